"""Search for triclinic lattices that explain the first lines of a pattern.

A reciprocal lattice has many bases. One is sought whose three vectors, and of each two of them the
sum or the difference, are among the first lines: three zones with an axis in common each, after
Ito (Nature 164, 755, 1949). Six lines so fix a lattice. What counts is what it explains, as in
`index_search`.
"""

import gemmi
import numpy as np
from numba import njit

from ..symmetry.cells import cell_of_parameters, inverse_square, metric_tensor, parameters_of
from .index_search import BIN, BY_CHANCE, EXPLAINED, FAST, TOLERANCE, bits, gain, windows

_FEWEST = 10  # lines; so few fit almost any six numbers

_AXES = 8  # first lines that are vectors of a basis

_OBLIQUE = 0.75  # highest cosine between vectors of a basis

_SMALLEST, _LARGEST = 40.0, 2000.0  # cubic angstrom

_SEEN = 2  # of the next seven vectors of a basis that are lines, at least

_MOST_LATTICE = 9  # lines of a lattice for each one that is observed

_TRIED = 60  # bases that are reduced

_SAME = 0.01  # relative difference of edges and angles of reduced cells that are one


def search_triclinic(two_theta: np.ndarray, keep: int = 12) -> np.ndarray:
    """The triclinic lattices that best explain a pattern's lines.

    Parameters
    ----------
    two_theta : ndarray, (n,)
        Lines, ascending, at most `index_search.MOST_LINES`; degrees of Cu K-alpha1.
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
    chance, least = 2 * TOLERANCE / span, int(EXPLAINED * n)
    found = _search(inverse_square(two_theta), limit, near, chance, least, _TRIED)
    kept, cells = [], []
    for row in found[np.argsort(-found[:, 0], kind="stable")]:
        if row[0] == -np.inf or len(kept) == keep:
            break
        own, cell = reduced(row[1:7])
        if not any(np.abs(cell / other - 1).max() < _SAME for other in cells):
            kept.append(own)
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
    explained_by = np.zeros(keep, dtype=np.int64)
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
                    # Only whether the angles are all acute or all obtuse cannot be undone.
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
                    if _seen(a, b, c, d, e, f, limit, near) < _SEEN:
                        continue
                    explained, own = _lines(a, b, c, d, e, f, det, limit, near, most)
                    hits = bits(explained)
                    if hits < least or own > most:
                        continue
                    merit = hits * gain(own * chance)
                    merit += (n - hits) * (np.log(BY_CHANCE) + own * chance)
                    if merit <= best[worst, 0]:
                        continue
                    place = worst
                    for r in range(keep):
                        # Another basis of one lattice.
                        alike = abs(best[r, 7] / volume - 1) < 0.004
                        if alike and bits(explained_by[r] ^ explained) <= 2:
                            place = r if merit > best[r, 0] else -1
                            break
                    if place >= 0:
                        best[place] = (merit, a, b, c, d, e, f, volume)
                        explained_by[place] = explained
                        worst = np.argmin(best[:, 0])
    return best


@njit(cache=True, fastmath=FAST)
def _products(square, one, other, found):
    """Fill in the different scalar products of two vectors whose sum is a line; how many."""
    number = 0
    for x in square:
        product = 0.5 * abs(x - one - other)
        new = product < _OBLIQUE * np.sqrt(one * other)
        for r in range(number):
            new = new and abs(found[r] - product) > 1e-4
        if new:
            found[number] = product
            number += 1
    return number


@njit(cache=True, fastmath=FAST)
def _seen(a, b, c, d, e, f, limit, near):
    """How many of the other sums of two vectors of a basis, and of all three, are lines."""
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
def _lines(a, b, c, d, e, f, det, limit, near, most):
    """Bits of the observed lines near those of a lattice, and how many the lattice has."""
    explained, own = np.int64(0), 0
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
                    own += 1
                    explained |= near[int(value / BIN)]
        if own > most:
            break
    return explained, own
