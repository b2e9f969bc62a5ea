"""Fast whole-pattern fits: one pattern with many candidate cells, one after another.

As in `whole_pattern`, cell, shifts, widths and intensities are refined, but all cells share the
points, the weights and the kind of background, so that their likelihoods can be compared. A
reflection overlaps with few others: all sums run over windows, and the normal matrix is a band.
Reflections too close to be told apart are one. Peaks that the cell does not index are fitted, too.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from ..base.patterns import CU_KA1, GRID
from .figures_of_merit import nearest
from .peak_finder import find_peaks, peak_width
from .peaks import background, profile
from .profile_sums import merged, one_pass

MOST_REFLECTIONS = 500  # of a cell; one with more is not fitted
_FEWEST = 20  # peaks; the pattern is fitted up to so many or more
_ERROR, _MOVED = 0.1, 0.02  # of the profile, of its height nearby; of its position, degrees
_NOISE_FLOOR = 5e-4  # of the highest point; interpolated patterns show too little noise
_SMOOTHED = round(0.1 / GRID.step) | 1
_KNOT = 8.0  # degrees between knots of the background's correction
_MERGED, _APART = 0.35, 0.9  # of the width: nearer reflections are one; farther peaks unindexed
STAGES = ((1.0, 2), (1.0, 3))
_SWEEPS = 25
_RISE = 0.05  # expected corrections of the background, of the pattern's maximum
# Zero shift, displacement, width, its slope, Lorentzian share, K-alpha2 ratio.
_START = np.array([0.0, 0.0, 0.1, 0.06, 0.3, 0.5])
_EXPECTED = np.array([0.03, 0.03, 0.03, 0.04, 0.3, 0.1])
_LEAST = np.array([-0.3, -0.3, 0.03, 0.0, 0.0, 0.0])
_MOST = np.array([0.3, 0.3, 0.5, 0.6, 1.0, 0.6])
_STRAIN = 0.002  # expected relative change of 1/d^2


class Data(NamedTuple):
    """What all fits of a pattern share.

    Attributes
    ----------
    y, under, weight : ndarray, (n,)
        Pattern over its maximum, its lower envelope, and one over the variance, on the points to
        fit.
    start : float
        First point, degrees.
    width : float
        Typical full width at half maximum, degrees.
    two_theta, height : ndarray, (k,)
        Peaks, see `peak_finder.PeakList`.
    """

    y: np.ndarray
    under: np.ndarray
    weight: np.ndarray
    start: float
    width: float
    two_theta: np.ndarray
    height: np.ndarray

    @property
    def stop(self):
        """Last point, degrees."""
        return self.start + (len(self.y) - 1) * GRID.step


@dataclass(frozen=True)
class CellFit:
    """Reflections of a cell in a pattern, and the peaks that it does not index, by angle.

    Attributes
    ----------
    profile : ndarray, (m,) int
        Profile 0..k-1 of each reflection.
    two_theta, width, intensity : ndarray, (k,)
        Degrees; intensities are areas, at least 0.
    unindexed : ndarray, (k,)
        Height of an unindexed peak (`peak_finder.PeakList`), 0 for a reflection of the cell.
    band : ndarray, (k, b)
        Normal matrix: of profile i with profiles i, i + 1, ...
    right : ndarray, (k,)
    misfit : float
        Weighted sum of squares.
    parameters : ndarray, (p,)
        Refined, see `lattice_systems`.
    shape : ndarray, (6,)
        Zero shift, displacement, width, its slope, Lorentzian share, K-alpha2 ratio.
    """

    profile: np.ndarray
    two_theta: np.ndarray
    width: np.ndarray
    intensity: np.ndarray
    unindexed: np.ndarray
    band: np.ndarray
    right: np.ndarray
    misfit: float
    parameters: np.ndarray
    shape: np.ndarray


def prepare(intensity, peaks=None, stop=90.0):
    """What all fits of a pattern share.

    Parameters
    ----------
    intensity : array_like, (GRID.size,)
        On `patterns.GRID`, any scale; zero where nothing was measured.
    peaks : peak_finder.PeakList, optional
        Found here if not given.
    stop : float
        Degrees to which it is fitted, or further to hold a few peaks.

    Returns
    -------
    Data
    """
    y = np.asarray(intensity, dtype=np.float64)
    peaks = find_peaks(y) if peaks is None else peaks
    y = y / y.max()
    measured = np.flatnonzero(y)
    if len(peaks.two_theta):
        stop = max(stop, peaks.two_theta[:_FEWEST][-1] + 0.5)
    last = min(measured[-1], int((stop - GRID.start) / GRID.step))
    span = slice(measured[0], last + 1)
    under = background(y, GRID.step)
    noise = np.maximum(profile(y, GRID.step).noise * np.sqrt(_SMOOTHED), _NOISE_FLOOR)
    net = gaussian_filter1d(np.clip(y - under, 0, None), 1.0)
    near = maximum_filter1d(net, 2 * _SMOOTHED + 1)
    slope = np.gradient(net, GRID.step)
    variance = noise**2 + (_ERROR * near) ** 2 + (_MOVED * slope) ** 2
    kept = peaks.two_theta < GRID.two_theta[last]
    return Data(
        y[span],
        under[span],
        1 / variance[span],
        float(GRID.two_theta[measured[0]]),
        float(peak_width(intensity)),
        *(x[kept] for x in peaks),
    )


def fit(data, terms, parameters, shape=None, stages=STAGES):
    """Fit a pattern with the reflections of one cell.

    Parameters
    ----------
    data : Data
    terms : ndarray, (m, p)
        Of reflections: what each parameter is multiplied by in 1/d^2, `lattice_systems.products`.
    parameters : ndarray, (p,)
    shape : ndarray, (6,), optional
        To start from, see `CellFit`.
    stages : sequence of (float, int)
        Shares of the range, from its start, and steps of refinement on each.

    Returns
    -------
    CellFit or None
        None where the cell has no reflection in the range, or more than `MOST_REFLECTIONS`.
    """
    start = np.array(parameters, dtype=np.float64)
    parameters, p = start.copy(), len(start)
    if shape is None:
        shape = _START.copy()
        shape[2] = np.clip(data.width, _LEAST[2], _MOST[2])
        stages = (*stages, stages[-1])  # far from the solution: twice as many steps
    knots = max(2, round((len(data.y) - 1) * GRID.step / _KNOT) + 1)
    correction = np.zeros(knots)
    expected = np.concatenate([[0.0, 0.0], shape[2:], start, correction])
    strain = np.full(p, _STRAIN * np.abs(start).max())
    inverse = 1 / np.concatenate([_EXPECTED, strain, np.full(knots, _RISE)]) ** 2
    for share, steps in stages:
        layout = _layout(data, terms, parameters, shape)
        if layout is None:
            return None
        weight = data.weight.copy()
        weight[int(share * len(weight)) :] = 0
        intensity = np.full(len(layout.unindexed), 0.01)
        for step in range(steps + 1):
            intensity, band, right, misfit, normal, gradient, position, width = one_pass(
                data.y, data.under, weight, data.start, layout.terms, layout.fixed, parameters,
                shape, correction, intensity, _SWEEPS, step < steps,
            )  # fmt: skip
            if step == steps:
                break
            scale = max(1.0, misfit / (share * len(data.y)))
            now = np.concatenate([shape, parameters, correction])
            gradient = gradient / scale + (expected - now) * inverse
            now += np.linalg.solve(normal / scale + np.diag(inverse), gradient)
            shape = np.clip(now[:6], _LEAST, _MOST)
            parameters, correction = now[6 : 6 + p], now[6 + p :]
            if not (layout.terms[layout.fixed == 0] @ parameters > 0).all():
                return None
    return CellFit(
        layout.profile, position, width, intensity, layout.unindexed, band, right, misfit,
        parameters, shape,
    )  # fmt: skip


class _Layout(NamedTuple):
    """Profile of each reflection; of each profile its terms, or position and height."""

    profile: np.ndarray
    terms: np.ndarray
    fixed: np.ndarray
    unindexed: np.ndarray


def _layout(data, terms, parameters, shape):
    """Profiles of the reflections that can be told apart, and of the unindexed peaks, by angle."""
    angle = _observed(terms @ parameters, shape)
    order = np.argsort(angle, kind="stable")
    ordered = angle[order]
    number = merged(ordered, _MERGED * (shape[2] + shape[3] * np.tan(np.radians(ordered) / 2)))
    if ordered[0] > data.stop or number[-1] >= MOST_REFLECTIONS:
        return None
    head = order[np.flatnonzero(np.diff(number, prepend=-1))]
    unindexed = _distance(data.two_theta, angle[head]) > _APART * data.width
    k, n = len(head), int(unindexed.sum())
    rank = np.empty(k + n, dtype=np.int64)
    sort = np.argsort(np.concatenate([angle[head], data.two_theta[unindexed]]), kind="stable")
    rank[sort] = np.arange(k + n)
    profile_of = np.empty(len(order), dtype=np.int64)
    profile_of[order] = rank[number]
    return _Layout(
        profile_of,
        np.concatenate([terms[head], np.zeros((n, terms.shape[1]))])[sort],
        np.concatenate([np.zeros(k), data.two_theta[unindexed]])[sort],
        np.concatenate([np.zeros(k), data.height[unindexed]])[sort],
    )


def _observed(square, shape):
    sine = np.clip(np.sqrt(np.maximum(square, 1e-9)) * CU_KA1 / 2, 0, 0.999)
    theta = np.arcsin(sine)
    return np.degrees(2 * theta) + shape[0] + shape[1] * np.cos(theta)


def _distance(values, positions):
    order = np.sort(positions)
    return np.abs(values - order[nearest(values, order)])
