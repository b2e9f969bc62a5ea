"""Figures of merit of indexed patterns, as de Wolff and as Smith and Snyder define them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1
from ..symmetry.cells import angle, inverse_square, metric_tensor

FIRST = 20  # peaks

_BEYOND = 2.0  # degrees

_SAME = 1e-7  # relative difference of 1/d^2 of reflections that are one

# Reflections that a centring allows: hkl times these vectors is zero modulo the last number.
_CENTRINGS = {
    "P": ([], 1),
    "A": ([(0, 1, 1)], 2),
    "B": ([(1, 0, 1)], 2),
    "C": ([(1, 1, 0)], 2),
    "I": ([(1, 1, 1)], 2),
    "F": ([(1, 1, 0), (0, 1, 1)], 2),
    "R": ([(-1, 1, 1)], 3),
}


class Merit(NamedTuple):
    """Figures of merit of a cell.

    Attributes
    ----------
    m, f : float
        M_n and F_n; infinite where all peaks fit exactly, 0 without peaks.
    n : int
        Peaks that they are computed from.
    possible : int
        Distinct reflections up to the last of these peaks.
    """

    m: float
    f: float
    n: int
    possible: int


def reflections(
    cell: Sequence[float], centring: str, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Distinct reflections of a cell: one of each set that has the same spacing.

    Parameters
    ----------
    cell : sequence of 6 floats
        Angstrom and degrees.
    centring : str
        P, A, B, C, I, F, or R on hexagonal axes (obverse).
    limit : float
        The largest 1/d^2, per square angstrom.

    Returns
    -------
    hkl : ndarray, (m, 3) int
    square : ndarray, (m,)
        1/d^2, ascending.

    Raises
    ------
    XrdlibError
        If the cell is impossible or the centring unknown.

    Examples
    --------
    >>> hkl, _ = reflections((4, 4, 4, 90, 90, 90), "F", 1.0)
    >>> hkl[:3].tolist()
    [[1, 1, 1], [2, 0, 0], [2, 2, 0]]
    """
    if centring not in _CENTRINGS:
        raise XrdlibError(f"The centring {centring!r} is unknown; give one of P A B C I F R.")
    direct = metric_tensor(cell)
    last = np.sqrt(limit * np.diag(direct)).astype(int)
    ranges = (np.arange(-n, n + 1) for n in last * [0, 1, 1])
    ranges = [np.arange(last[0] + 1), *list(ranges)[1:]]
    hkl = np.stack(np.meshgrid(*ranges, indexing="ij"), -1).reshape(-1, 3)
    square = np.einsum("ni,ij,nj->n", hkl, np.linalg.inv(direct), hkl)
    factors, modulus = _CENTRINGS[centring]
    kept = (square > 0) & (square <= limit)
    for factor in factors:
        kept &= (hkl @ factor) % modulus == 0
    hkl, square = hkl[kept], square[kept]
    order = np.argsort(square)
    hkl, square = hkl[order], square[order]
    number = np.cumsum(np.diff(square, prepend=0) > _SAME * square)
    # Named by the customary indices: not negative, the highest first.
    order = np.lexsort((-hkl[:, 2], -hkl[:, 1], -hkl[:, 0], (hkl < 0).sum(1), number))
    first = order[np.flatnonzero(np.diff(number[order], prepend=0))]
    return hkl[first], square[first]


def positions_of(
    cell: Sequence[float], centring: str, stop: float, wavelength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Distinct reflections of a cell, as `reflections`, and their 2theta up to a last one.

    Parameters
    ----------
    cell : sequence of 6 floats
    centring : str
    stop, wavelength : float
        Degrees and angstrom.

    Returns
    -------
    hkl : ndarray, (m, 3) int
    two_theta : ndarray, (m,)
        Degrees, ascending.
    """
    hkl, square = reflections(cell, centring, inverse_square(stop, wavelength))
    return hkl, angle(square, wavelength)


def nearest(values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Index of the position (m,), ascending and not empty, nearest to each value (n,)."""
    right = np.clip(np.searchsorted(positions, values), 1, max(len(positions) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(positions) - 1)
    return np.where(values - positions[left] <= positions[right] - values, left, right)


def figures_of_merit(
    two_theta: np.ndarray,
    cell: Sequence[float],
    centring: str = "P",
    wavelength: float = CU_KA1,
    within: float = np.inf,
) -> Merit:
    """M20 and F20 of a cell, from the first 20 peaks that it indexes, or as many as there are.

    With Q = 1/d^2, M20 = Q20 / (2 <|dQ|> N20) (de Wolff, J. Appl. Cryst. 1, 108, 1968) and
    F20 = 20 / (<|d2theta|> N20) (Smith & Snyder, J. Appl. Cryst. 12, 60, 1979), where N20 is the
    number of distinct reflections that the lattice allows up to the 20th peak. A peak has the
    indices of the nearest of them.

    Parameters
    ----------
    two_theta : array_like, (n,)
        Peaks in degrees, free of zero shift.
    cell : sequence of 6 floats
    centring : str
        As for `reflections`.
    wavelength : float
        Angstrom.
    within : float
        Degrees; a peak that is farther from all reflections is not indexed and left out.

    Returns
    -------
    Merit

    Raises
    ------
    XrdlibError
        If the cell is impossible or the centring unknown.

    Examples
    --------
    >>> merit = figures_of_merit([38.20, 44.38, 64.58], (4.08, 4.08, 4.08, 90, 90, 90), "F")
    >>> merit.n, merit.possible
    (3, 3)
    """
    observed = np.sort(np.asarray(two_theta, dtype=np.float64))
    if not len(observed):
        return Merit(0.0, 0.0, 0, 0)
    # Beyond the last peak, so that its own reflection is among them.
    stop = min(observed[-1] + _BEYOND, 180.0)
    _, calculated = positions_of(cell, centring, stop, wavelength)
    if not len(calculated):
        return Merit(0.0, 0.0, 0, 0)
    assigned = nearest(observed, calculated)
    indexed = np.abs(observed - calculated[assigned]) <= within
    observed, assigned = observed[indexed][:FIRST], assigned[indexed][:FIRST]
    if not len(observed):
        return Merit(0.0, 0.0, 0, 0)
    q, square = (inverse_square(x, wavelength) for x in (observed, calculated[assigned]))
    possible = max(int(np.searchsorted(calculated, observed[-1], "right")), int(assigned[-1]) + 1)
    with np.errstate(divide="ignore"):
        m = q[-1] / (2 * np.abs(q - square).mean() * possible)
        f = len(q) / (np.abs(observed - calculated[assigned]).mean() * possible)
    return Merit(float(m), float(f), len(q), possible)


def count_indexed(
    two_theta: np.ndarray, cell: Sequence[float], centring: str, wavelength: float, within: float
) -> int:
    """Number of peaks that have a reflection of the cell within so many degrees.

    Parameters and errors are those of `figures_of_merit`.
    """
    if not len(two_theta):
        return 0
    stop = min(np.max(two_theta) + _BEYOND, 180.0)
    _, calculated = positions_of(cell, centring, stop, wavelength)
    if not len(calculated):
        return 0
    return int((np.abs(two_theta - calculated[nearest(two_theta, calculated)]) <= within).sum())
