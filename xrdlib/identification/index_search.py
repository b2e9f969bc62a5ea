"""Search for lattices that index the first peaks of a pattern.

Basis reflections (`basis_reflections`) assigned to a few of the first peaks, in ascending order,
fix a lattice. It is judged by how many of the other peaks it indexes, and by how few reflections
it has for that (after de Wolff, J. Appl. Cryst. 1, 108, 1968).
"""

from itertools import combinations

import numpy as np
from numba import njit

from ..symmetry.cells import EXPANSION, free, inverse_square

MOST_PEAKS = 24  # of a pattern that are used: each is a bit of a 64-bit integer

TOLERANCE = 0.06  # degrees

_BASES = {"cubic": 5, "tetragonal": 7, "hexagonal": 7, "orthorhombic": 7, "monoclinic": 8}

# Reflections of about the same 1/d^2.
_EQUIVALENT = {"cubic": 6, "tetragonal": 2, "hexagonal": 2, "orthorhombic": 1, "monoclinic": 1}

BIN = 2e-5  # per square angstrom

_SMALLEST, _LARGEST = 20.0, 4000.0  # cubic angstrom

_NARROW, _WIDE = 0.16, 0.0008  # per square angstrom; A, B and C: edges of about 2.5 to 35 angstrom

INDEXED = 0.6  # of the peaks, at least

UNINDEXED = 0.05  # of the peaks, by the right lattice: impurities, misread positions

# Not for infinities, which mark rows that are still empty.
FAST = {"nnan", "nsz", "arcp", "contract", "afn", "reassoc"}

_MOST_BY_CHANCE = 3.0  # reflections of a lattice near any position

_MOST_LATTICE = 11  # reflections of a primitive lattice for each peak

_BELOW = 10.0  # degrees; peaks are counted from here, or from a degree before the first one


def search(two_theta, sets, system, keep=12):
    """The lattices of one crystal system that best index a pattern's peaks.

    Parameters
    ----------
    two_theta : ndarray, (n,)
        Peaks, ascending, at most `MOST_PEAKS`; degrees of Cu K-alpha1.
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
    rows = _search(
        np.linalg.inv(sets.astype(np.float64)),
        EXPANSION[system],
        inverse_square(two_theta),
        bases,
        limit,
        near,
        2 * TOLERANCE / span / times,
        _MOST_LATTICE * n * times + 30,
        max(p + 1, int(INDEXED * n)),
        keep,
    )
    rows = rows[np.argsort(-rows[:, 0], kind="stable")]
    rows = rows[rows[:, 0] > -np.inf]
    return rows[:, 1:5][:, EXPANSION[system].argmax(1)]


def windows(two_theta):
    """Bits of the peaks near each 1/d^2, in steps of `BIN`; the highest; degrees they span."""
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
            plausible = True
            for i in range(p):
                value = 0.0
                for j in range(p):
                    value += inverse[s, i, j] * square[bases[b, j]]
                if i < 3 and not _WIDE < value < _NARROW:
                    plausible = False
                    break
                for j in range(5):
                    factor[j] += value * expansion[i, j]
            if not plausible:
                continue
            a, b_, c, d, e = factor
            determinant = a * b_ * c - d * d * b_ - e * e * c
            # Of the equivalent choices of a* and c* the shortest; D may round to its limit.
            if 2 * abs(d) > 1.0001 * min(a, c) or determinant <= 0:
                continue
            volume = 1 / np.sqrt(determinant)
            if not _SMALLEST < volume < _LARGEST:
                continue
            # At least so many reflections lie in an octant of the sphere (monoclinic: two). Even
            # with so few the lattice must be able to beat the worst one kept.
            fewest = np.pi / 6 * volume * limit**1.5 * (2 if p == 4 else 1) - 1
            if n * gain(fewest * chance) <= best[worst, 0]:
                continue
            indexed, possible = _indexed(a, b_, c, d, e, determinant, limit, near, most)
            hits = bits(indexed)
            if hits < least or possible > most:
                continue
            if possible * chance > _MOST_BY_CHANCE:
                continue
            # Log-odds against chance: of a match for each indexed peak, of a miss for the others.
            merit = hits * gain(possible * chance)
            merit += (n - hits) * (np.log(UNINDEXED) + possible * chance)
            if merit <= best[worst, 0]:
                continue
            row = worst
            for r in range(keep):
                if best[r, 0] > -np.inf and _same(best[r], a, b_, c, d):
                    row = r if merit > best[r, 0] else -1
                    break
            if row >= 0:
                best[row] = (merit, a, b_, c, d)
                worst = np.argmin(best[:, 0])
    return best


@njit(cache=True, fastmath=FAST)
def _indexed(a, b, c, d, e, determinant, limit, near, most):
    """Bits of the peaks that a lattice indexes, and how many reflections it has."""
    indexed, possible = np.int64(0), 0
    h_last = int(np.sqrt(limit * b * c / determinant))
    k_last = int(np.sqrt(limit * (a * c - d * d) / determinant))
    l_last = int(np.sqrt(limit * (a * b - e * e) / determinant))
    for h in range(h_last + 1):
        for k in range(-k_last if h and e else 0, k_last + 1):
            for l in range(-l_last if h and d else 0, l_last + 1):  # noqa: E741
                square = a * h * h + b * k * k + c * l * l + 2 * d * h * l + 2 * e * h * k
                if 0 < square < limit:
                    possible += 1
                    indexed |= near[int(square / BIN)]
        if possible > most:
            break
    return indexed, possible


@njit(cache=True, fastmath=FAST)
def gain(expected):
    """Log-odds of an indexed peak, where so many reflections are expected near any position."""
    return np.log((1 - UNINDEXED) / (1 - np.exp(-max(expected, 1e-6))))


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
