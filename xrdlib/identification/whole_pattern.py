"""Whole-pattern fit with a given cell: Le Bail for the shape, Pawley for the intensities.

The cell, the zero shift and the widths are refined with intensities shared out anew at each step
(Le Bail, Duroy & Fourquet, Mater. Res. Bull. 23, 447, 1988). At fixed positions and widths the
intensities are then a linear problem (Pawley, J. Appl. Cryst. 14, 357, 1981), solved without
negative ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve_triangular
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.optimize import least_squares, nnls

from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1, GRID
from ..symmetry.cells import metric_basis, products
from .cell_evidence import cell_reflections
from .peaks import background, profile
from .profile_sums import merged
from .reflection_profiles import Profiles, Shape, observed

ERROR = 0.05  # of the profile; twice as much does worse on rruff-calibration

MAX_REFLECTIONS = 250

_KNOT = 8.0  # degrees between knots of the background

_MERGED = 0.35  # of the width; closer reflections cannot be told apart

_SHARES = 4  # Le Bail steps at each trial of the shape

_SHIFT, _STRAIN = 0.05, 0.004  # expected zero shift in degrees, change of 1/d^2

_PULL = 5.0  # weight of what is expected; misfit of neighbouring points is one error, not many

_BLUR = 0.25  # degrees; smoothing that widens the range of convergence

_NOISE_FLOOR = 5e-4  # of the highest point; interpolated patterns show too little noise

_EDGE = 0.2  # degrees before the first reflection that is left out

_SMOOTHED = round(0.1 / GRID.step) | 1  # points of the running mean that `peaks` takes

_FWHM = np.sqrt(8 * np.log(2))

_TINY = 1e-12

# Width, slope, eta and K-alpha2 ratio: start, limits, and how far they may go at a step.
_WIDTHS, _LEAST, _MOST = (0.1, 0.05, 0.5, 0.5), (0.03, 0.0, 0.0, 0.0), (0.5, 1.0, 1.0, 0.6)

_STEPS = (0.03, 0.05, 0.2, 0.2)

_DIFFERENCE, _EVALUATIONS = 1e-4, 12


@dataclass(frozen=True)
class Fit:
    """Intensities of the reflections of a cell, with what their likelihood needs.

    Attributes
    ----------
    hkl : ndarray, (m, 3) int
        One of each Friedel pair.
    profile : ndarray, (m,) int
        Profile 0..k-1 of each; reflections that cannot be told apart share one.
    two_theta, width : ndarray, (k,)
        Of each profile, degrees.
    normal : ndarray, (k, k)
        P^T W P of the profiles P and weights W, divided by the reduced chi-squared if above 1.
    right : ndarray, (k,)
        P^T W y likewise; y is the pattern without the fitted background.
    intensity : ndarray, (k,)
        Fitted areas, at least 0, in units of the pattern's maximum times degrees.
    n_points : int
    residual : float
        Weighted profile residual R_wp, 0 to 1.
    shape : Shape
    calculated, background : ndarray, (GRID.size,)
        In units of the pattern's maximum, zero outside what was fitted.
    """

    hkl: np.ndarray
    profile: np.ndarray
    two_theta: np.ndarray
    width: np.ndarray
    normal: np.ndarray
    right: np.ndarray
    intensity: np.ndarray
    n_points: int
    residual: float
    shape: Shape
    calculated: np.ndarray
    background: np.ndarray


def fit(
    intensity: ArrayLike, cell: Sequence[float], error: float = ERROR, most: int = MAX_REFLECTIONS
) -> Fit:
    """Fit a pattern with all reflections of a primitive cell of given edges and angles.

    Parameters
    ----------
    intensity : array_like, (GRID.size,)
        On `patterns.GRID`, any scale; zero where nothing was measured.
    cell : sequence of 6 floats
        Conventional cell, see `conventional`; its metric symmetry is kept.
    error : float
        Standard error of the calculated profile, of its height nearby. It keeps the misfit of a
        strong reflection from passing for a weak one.
    most : int
        The pattern is fitted from its start up to so many reflections.

    Returns
    -------
    Fit

    Raises
    ------
    XrdlibError
        If the pattern is not on the grid, or the cell is impossible or shows no reflection.
    """
    y = np.asarray(intensity, dtype=np.float64)
    if y.shape != (GRID.size,) or not np.isfinite(y).all() or not y.max() > 0:
        raise XrdlibError(
            f"A pattern of shape {y.shape} given; a fit needs {GRID.size} finite points on the "
            "grid, some above zero."
        )
    y = y / y.max()
    measured = np.flatnonzero(y)
    first, last = GRID.two_theta[measured[[0, -1]]]
    hkl, number, position, _ = cell_reflections(cell, CU_KA1, first, last)
    if len(position) > most:
        last = position[most] - _EDGE
        kept = number < most
        hkl, number = hkl[kept], number[kept]
    inside = slice(measured[0], int((last - GRID.start) / GRID.step) + 1)
    noise = profile(y, GRID.step).noise * np.sqrt(_SMOOTHED)
    data = _Data(y, np.maximum(noise, _NOISE_FLOOR), inside, error)
    terms = products(hkl[np.unique(number, return_index=True)[1]])
    basis = metric_basis(cell)
    x = np.concatenate([np.zeros(2 + len(basis)), _WIDTHS])
    under = background(y, GRID.step)
    # The lower envelope takes tails for background, so later steps use the fitted background.
    for blurs in ((_BLUR, 0.0), (0.0,), (0.0,)):
        for blur in blurs:
            x = _refined(data, np.clip(y - under, 0, None), terms, basis, x, blur)
        result = _pawley(data, hkl, _shape(x, basis))
        under = result.background
    return result


@dataclass(frozen=True)
class _Data:
    """Pattern with maximum 1, its noise, the points to fit and the relative error of profiles."""

    y: np.ndarray
    noise: np.ndarray
    inside: slice
    error: float

    def profiles(self, shape, terms, blur=0.0):
        """`Profiles` on the points to fit."""
        start = GRID.two_theta[self.inside.start]
        return Profiles(shape, terms, start, self.inside.stop - self.inside.start, blur)


def _refined(data, net, terms, basis, x, blur):
    """Parameters of least squares for a pattern without background.

    They are zero shift, displacement, changes of the metric, and widths, the last left as they are
    where the pattern is blurred.
    """
    p = len(basis)
    free = 2 + p if blur else len(x)
    low = np.concatenate([np.full(2, -0.3), np.full(p, -0.04), _LEAST])[:free]
    high = np.concatenate([np.full(2, 0.3), np.full(p, 0.04), _MOST])[:free]
    expected = np.concatenate([np.full(2, _SHIFT), np.full(p, _STRAIN)])
    y = gaussian_filter1d(net, blur / _FWHM / GRID.step) if blur else net
    y = y[data.inside]
    sigma = np.hypot(data.noise[data.inside], 2 * data.error * y)
    share = data.profiles(_shape(x, basis), terms, blur).shared(y)

    def residuals(values):
        shape = _shape(np.concatenate([values, x[free:]]), basis)
        profiles = data.profiles(shape, terms, blur)
        misfit = (profiles.sum(profiles.shared(y, share, _SHARES)) - y) / sigma
        return np.concatenate([misfit, _PULL * values[: 2 + p] / expected])

    solution = least_squares(
        residuals,
        np.clip(x[:free], low, high),
        bounds=(low, high),
        loss="soft_l1",
        x_scale=np.concatenate([expected, _STEPS])[:free],
        diff_step=_DIFFERENCE,
        max_nfev=_EVALUATIONS,
    )
    return np.concatenate([solution.x, x[free:]])


def _shape(x, basis):
    p = len(basis)
    return Shape((1 + x[2 : 2 + p]) @ basis, x[0], x[1], *x[2 + p :])


def _pawley(data, hkl, shape):
    """Non-negative least squares of all distinguishable reflections and a background."""
    angle = observed(np.sqrt(np.maximum(products(hkl) @ shape.metric, 1e-9)) * CU_KA1, shape)
    order = np.argsort(angle, kind="stable")
    hkl, angle = hkl[order], angle[order]
    width = shape.width + shape.slope * np.tan(np.radians(angle) / 2)
    number = merged(angle, _MERGED * width)
    first = np.unique(number, return_index=True)[1]
    profiles = data.profiles(shape, products(hkl[first]))
    y = data.y[data.inside]
    at = np.arange(profiles.size) * GRID.step
    knots = np.linspace(0, at[-1], max(2, round(at[-1] / _KNOT) + 1))
    hats = np.clip(1 - np.abs(at[:, None] - knots) / knots[1], 0, 1)
    rows = np.concatenate([profiles.matrix(), hats], 1)
    k = len(first)
    peaks = profiles.sum(profiles.shared(np.clip(y - np.median(y), 0, None)))
    # Twice: the error of the profile is a share of what the first fit calculates.
    for _ in range(2):
        near = maximum_filter1d(peaks, 2 * _SMOOTHED + 1)
        weight = 1 / (data.noise[data.inside] ** 2 + (data.error * near) ** 2)
        normal = rows.T @ (rows * weight[:, None])
        right = rows.T @ (weight * y)
        areas = nonnegative(normal, right)
        peaks = rows[:, :k] @ areas[:k]
    net = y - hats @ areas[k:]
    excess = max(1.0, (weight * (net - peaks) ** 2).sum() / max(len(y) - rows.shape[1], 1))
    calculated, under = np.zeros(GRID.size), np.zeros(GRID.size)
    calculated[data.inside], under[data.inside] = rows @ areas, hats @ areas[k:]
    return Fit(
        hkl=hkl,
        profile=number,
        two_theta=profiles.angle,
        width=profiles.width,
        normal=normal[:k, :k] / excess,
        right=rows[:, :k].T @ (weight * net) / excess,
        intensity=areas[:k],
        n_points=len(y),
        residual=float(np.sqrt((weight * (net - peaks) ** 2).sum() / (weight * y**2).sum())),
        shape=shape,
        calculated=calculated,
        background=under,
    )


def nonnegative(normal: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Minimum of x^T N x - 2 r^T x over x >= 0, (k,).

    Parameters
    ----------
    normal : ndarray, (k, k)
        Symmetric and not negative.
    right : ndarray, (k,)
    """
    scale = 1 / np.sqrt(np.diag(normal) + _TINY)
    scaled = normal * np.outer(scale, scale) + 1e-9 * np.eye(len(right))
    factor = np.linalg.cholesky(scaled)
    target = solve_triangular(factor, scale * right, lower=True)
    return scale * nnls(factor.T, target, maxiter=30 * len(right))[0]
