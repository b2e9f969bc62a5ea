"""Search for triclinic lattices that index the first peaks of a pattern.

A reciprocal lattice has many bases. The search takes one whose three vectors, and the sum or the
difference of each two of them, are among the first peaks: three zones, two by two with an axis in
common, after Ito (Nature 164, 755, 1949). Six peaks then fix a lattice. It is judged by the peaks
that it indexes, as in `index_search`.
"""

import gemmi
import numpy as np
from numba import njit

from ..symmetry.cells import cell_of_parameters, inverse_square, metric_tensor, parameters_of
from .index_search import BIN, FAST, INDEXED, TOLERANCE, UNINDEXED, bits, gain, windows

_FEWEST = 10  # peaks; fewer fit almost any six parameters

_AXES = 8  # first peaks that are vectors of a basis

_OBLIQUE = 0.75  # highest cosine between vectors of a basis

_SMALLEST, _LARGEST = 40.0, 2000.0  # cubic angstrom

_OBSERVED = 2  # of the next seven vectors of a basis that are peaks, at least

_MOST_LATTICE = 9  # reflections of a lattice for each peak

_TRIED = 60  # bases that are reduced

_SAME = 0.01  # relative difference of edges and angles of reduced cells that are one


def search_triclinic(two_theta: np.ndarray, keep: int = 12) -> np.ndarray:
    """The triclinic lattices that best index a pattern's peaks.

    Parameters
    ----------
    two_theta : ndarray, (n,)
        Peaks, ascending, at most `index_search.MOST_PEAKS`; degrees of Cu K-alpha1.
    keep : int

    Returns
    -------
    ndarray, (k, 6)
        Parameters (`cells.EXPANSION`) of at most `keep` reduced lattices, the best first.
    """
    n = len(two_theta)
    if n < _FEWEST:
        return np.zeros((0, 6))
    near, limit, span = windows(two_theta)
    chance, least = 2 * TOLERANCE / span, int(INDEXED * n)
    rows = _search(inverse_square(two_theta), limit, near, chance, least, _TRIED)
    kept, cells = [], []
    for row in rows[np.argsort(-rows[:, 0], kind="stable")]:
        if row[0] == -np.inf or len(kept) == keep:
            break
        parameters, cell = reduced(row[1:7])
        if not any(np.abs(cell / other - 1).max() < _SAME for other in cells):
            kept.append(parameters)
            cells.append(cell)
    return np.array(kept).reshape(-1, 6)


def reduced(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parameters (6,) of a triclinic lattice on the axes of its Niggli cell, and that cell (6,)."""
    vector = gemmi.GruberVector(gemmi.UnitCell(*cell_of_parameters("triclinic", parameters)), "P")
    vector.niggli_reduce()
    cell = np.array(vector.cell_parameters())
    return parameters_of("triclinic", np.linalg.inv(metric_tensor(cell))), cell


@njit(cache=True, fastmath=FAST)
def _search(square, limit, near, chance, least, keep):
    """The best bases: merit, the six factors and volume, merit -inf where there are fewer."""
    n = len(square)
    most = _MOST_LATTICE * n
    best = np.full((keep, 8), -np.inf)
    indexed_by = np.zeros(keep, dtype=np.int64)
    worst = 0
    between = np.zeros((3, n))
    for i in range(min(_AXES, n)):
        for j in range(i + 1, min(_AXES, n)):
            n_e = _products(square, square[i], square[j], between[0])
            for k in range(j + 1, min(_AXES, n)):
                a, b, c = square[i], square[j], square[k]
                n_d = _products(square, a, c, between[1])
                n_f = _products(square, b, c, between[2])
                for choice in range(2 * n_e * n_d * n_f):
                    # Reversing a vector flips two signs of d, e and f, so only one is free.
                    f = between[2, choice // 2 % n_f] * (1 - choice % 2 * 2)
                    d = between[1, choice // 2 // n_f % n_d]
                    e = between[0, choice // 2 // n_f // n_d]
                    det = a * b * c + 2 * d * e * f - a * f * f - b * d * d - c * e * e
                    if not _LARGEST**-2 < det < _SMALLEST**-2:
                        continue
                    volume = 1 / np.sqrt(det)
                    fewest = 0.9 * 2 * np.pi / 3 * volume * limit**1.5 - 1
                    if fewest > most or n * gain(fewest * chance) <= best[worst, 0]:
                        continue
                    if _observed(a, b, c, d, e, f, limit, near) < _OBSERVED:
                        continue
                    indexed, possible = _indexed(a, b, c, d, e, f, det, limit, near, most)
                    hits = bits(indexed)
                    if hits < least or possible > most:
                        continue
                    merit = hits * gain(possible * chance)
                    merit += (n - hits) * (np.log(UNINDEXED) + possible * chance)
                    if merit <= best[worst, 0]:
                        continue
                    row = worst
                    for r in range(keep):
                        # Another basis of one lattice.
                        alike = abs(best[r, 7] / volume - 1) < 0.004
                        if alike and bits(indexed_by[r] ^ indexed) <= 2:
                            row = r if merit > best[r, 0] else -1
                            break
                    if row >= 0:
                        best[row] = (merit, a, b, c, d, e, f, volume)
                        indexed_by[row] = indexed
                        worst = np.argmin(best[:, 0])
    return best


@njit(cache=True, fastmath=FAST)
def _products(square, one, other, products):
    """Fill in the different scalar products of two vectors whose sum is a peak; how many."""
    number = 0
    for x in square:
        product = 0.5 * abs(x - one - other)
        new = product < _OBLIQUE * np.sqrt(one * other)
        for r in range(number):
            new = new and abs(products[r] - product) > 1e-4
        if new:
            products[number] = product
            number += 1
    return number


@njit(cache=True, fastmath=FAST)
def _observed(a, b, c, d, e, f, limit, near):
    """How many of the other sums of two vectors of a basis, and of all three, are peaks."""
    total = a + b + c
    number = 0
    for value in (
        a + b + 2 * e, a + c + 2 * d, b + c + 2 * f, total + 2 * (d + e + f),
        total + 2 * (f - d - e), total + 2 * (d - e - f), total + 2 * (e - d - f),
    ):  # fmt: skip
        if 0 < value < limit and near[int(value / BIN)]:
            number += 1
    return number


@njit(cache=True, fastmath=FAST)
def _indexed(a, b, c, d, e, f, det, limit, near, most):
    """Bits of the peaks that a lattice indexes, and how many reflections it has."""
    indexed, possible = np.int64(0), 0
    flat, tilt = a * b - e * e, d * e - a * f
    l_last = int(np.sqrt(limit * flat / det))
    for l in range(l_last + 1):  # noqa: E741
        # For each l the k, and for both the h, between the roots of a quadratic equation.
        root = (a * limit - (a * c - d * d) * l * l) * flat + tilt * tilt * l * l
        if root < 0:
            continue
        root = np.sqrt(root)
        k_first = 0 if l == 0 else int(np.ceil((tilt * l - root) / flat))
        for k in range(k_first, int(np.floor((tilt * l + root) / flat)) + 1):
            half = e * k + d * l
            rest = b * k * k + c * l * l + 2 * f * k * l
            root = half * half - a * (rest - limit)
            if root < 0:
                continue
            root = np.sqrt(root)
            h_first = 1 if l == 0 and k == 0 else int(np.ceil((-half - root) / a))
            for h in range(h_first, int(np.floor((-half + root) / a)) + 1):
                value = a * h * h + 2 * half * h + rest
                if 0 < value < limit:
                    possible += 1
                    indexed |= near[int(value / BIN)]
        if possible > most:
            break
    return indexed, possible
