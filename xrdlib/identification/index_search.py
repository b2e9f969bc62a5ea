"""Search for lattices that index the first peaks of a pattern.

Basis reflections (`basis_reflections`) assigned to a few of the first peaks, in ascending order,
fix a lattice. It is judged by how many of the other peaks it indexes, and by how few reflections
it has for that (after de Wolff, J. Appl. Cryst. 1, 108, 1968).
"""

from itertools import combinations

import numpy as np
from numba import njit

from ..symmetry.cells import EXPANSION, free, inverse_square

MOST_LINES = 24  # of a pattern that are looked at; they are bits of a number of 64

TOLERANCE = 0.06  # degrees

_BASES = {"cubic": 5, "tetragonal": 7, "hexagonal": 7, "orthorhombic": 7, "monoclinic": 8}

# Sets of indices that give reflections of the same 1/d^2, about.
_EQUIVALENT = {"cubic": 6, "tetragonal": 2, "hexagonal": 2, "orthorhombic": 1, "monoclinic": 1}

BIN = 2e-5  # per square angstrom

_SMALLEST, _LARGEST = 20.0, 4000.0  # cubic angstrom

_NARROW, _WIDE = 0.16, 0.0008  # per square angstrom; A, B and C: edges of about 2.5 to 35 angstrom

EXPLAINED = 0.6  # of the lines, at least

BY_CHANCE = 0.05  # of the lines that a right lattice leaves unexplained

# Not for infinities, which mark rows that are still empty.
FAST = {"nnan", "nsz", "arcp", "contract", "afn", "reassoc"}

_MOST_BY_CHANCE = 3.0  # lines of a lattice near any place

_MOST_LATTICE = 11  # lines of a lattice, primitive, for each one that is observed

_BELOW = 10.0  # degrees; lines are counted from here, or from a degree before the first one


def search(two_theta, sets, system, keep=12):
    """The lattices of one crystal system that best explain a pattern's lines.

    Parameters
    ----------
    two_theta : ndarray, (n,)
        Lines, ascending, at most `MOST_LINES`; degrees of Cu K-alpha1.
    sets : ndarray, (s, p, p)
        As from `basis_reflections.learn`.
    system : str
        One of `cells.SYSTEMS`.
    keep : int

    Returns
    -------
    ndarray, (k, p)
        Parameters of at most `keep` different lattices (`lattice_systems`), the best first.
    """
    n, p = len(two_theta), free(system)
    if n <= p or not len(sets):
        return np.zeros((0, p))
    bases = np.array(list(combinations(range(min(_BASES[system], n)), p)))
    near, limit, span = windows(two_theta)
    times = _EQUIVALENT[system]
    found = _search(
        np.linalg.inv(sets.astype(np.float64)),
        EXPANSION[system],
        inverse_square(two_theta),
        bases,
        limit,
        near,
        2 * TOLERANCE / span / times,
        _MOST_LATTICE * n * times + 30,
        max(p + 1, int(EXPLAINED * n)),
        keep,
    )
    found = found[np.argsort(-found[:, 0], kind="stable")]
    found = found[found[:, 0] > -np.inf]
    return found[:, 1:5][:, EXPANSION[system].argmax(1)]


def windows(two_theta):
    """Where lines are: their bits by 1/d^2, in steps of `BIN`; the highest; degrees they span."""
    limit = inverse_square(two_theta[-1] + TOLERANCE)
    near = np.zeros(int(limit / BIN) + 2, dtype=np.int64)
    low, high = (inverse_square(two_theta + d) / BIN for d in (-TOLERANCE, TOLERANCE))
    for i, (first, last) in enumerate(zip(low.astype(int), high.astype(int), strict=True)):
        near[first : last + 1] |= 1 << i
    return near, limit, two_theta[-1] - min(two_theta[0], _BELOW) + 1


@njit(cache=True, fastmath=FAST)
def _search(inverse, expansion, square, bases, limit, near, chance, most, least, keep):
    """The best lattices: merit, A, B, C, D in each row, merit -inf where there are fewer."""
    n, p = len(square), inverse.shape[1]
    best = np.full((keep, 5), -np.inf)
    worst = 0
    factor = np.zeros(5)
    for b in range(len(bases)):
        for s in range(len(inverse)):
            factor[:] = 0.0
            possible = True
            for i in range(p):
                value = 0.0
                for j in range(p):
                    value += inverse[s, i, j] * square[bases[b, j]]
                if i < 3 and not _WIDE < value < _NARROW:
                    possible = False
                    break
                for j in range(5):
                    factor[j] += value * expansion[i, j]
            if not possible:
                continue
            a, b_, c, d, e = factor
            determinant = a * b_ * c - d * d * b_ - e * e * c
            # Of the equivalent choices of a* and c* the shortest; D may round to its limit.
            if 2 * abs(d) > 1.0001 * min(a, c) or determinant <= 0:
                continue
            volume = 1 / np.sqrt(determinant)
            if not _SMALLEST < volume < _LARGEST:
                continue
            # An octant (for monoclinic lattices two) of the sphere holds so many lines or more.
            fewest = np.pi / 6 * volume * limit**1.5 * (2 if p == 4 else 1) - 1
            if n * gain(fewest * chance) <= best[worst, 0]:
                continue
            explained, own = _lines(a, b_, c, d, e, determinant, limit, near, most)
            hits = bits(explained)
            if hits < least or own > most:
                continue
            if own * chance > _MOST_BY_CHANCE:
                continue
            # The loss of a line that is not explained, beside that by chance it would not be.
            merit = hits * gain(own * chance) + (n - hits) * (np.log(BY_CHANCE) + own * chance)
            if merit <= best[worst, 0]:
                continue
            place = worst
            for r in range(keep):
                if best[r, 0] > -np.inf and _same(best[r], a, b_, c, d):
                    place = r if merit > best[r, 0] else -1
                    break
            if place >= 0:
                best[place] = (merit, a, b_, c, d)
                worst = np.argmin(best[:, 0])
    return best


@njit(cache=True, fastmath=FAST)
def _lines(a, b, c, d, e, determinant, limit, near, most):
    """Bits of the observed lines near those of a lattice, and how many the lattice has."""
    explained, own = np.int64(0), 0
    h_last = int(np.sqrt(limit * b * c / determinant))
    k_last = int(np.sqrt(limit * (a * c - d * d) / determinant))
    l_last = int(np.sqrt(limit * (a * b - e * e) / determinant))
    for h in range(h_last + 1):
        for k in range(-k_last if h and e else 0, k_last + 1):
            for l in range(-l_last if h and d else 0, l_last + 1):  # noqa: E741
                square = a * h * h + b * k * k + c * l * l + 2 * d * h * l + 2 * e * h * k
                if 0 < square < limit:
                    own += 1
                    explained |= near[int(square / BIN)]
        if own > most:
            break
    return explained, own


@njit(cache=True, fastmath=FAST)
def gain(expected):
    """Of an explained line, where so many lines of the lattice are expected near any place."""
    return np.log((1 - BY_CHANCE) / (1 - np.exp(-max(expected, 1e-6))))


@njit(cache=True, fastmath=FAST)
def bits(number):
    count = 0
    while number:
        number &= number - 1
        count += 1
    return count


@njit(cache=True, fastmath=FAST)
def _same(row, a, b, c, d):
    return (
        abs(row[1] / a - 1) < 0.004
        and abs(row[2] / b - 1) < 0.004
        and abs(row[3] / c - 1) < 0.004
        and abs(row[4] - d) < 0.0003
    )
