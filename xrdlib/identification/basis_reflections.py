"""Basis reflections, whose indices are tried for the first peaks of a pattern.

A lattice follows from the indices of a few peaks. Few of all possible choices occur: the first
visible reflections of the structures of a library, on standard axes, have few different indices.
The bases that together serve the most structures are kept.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations

import numpy as np

from ..base.records import Reflections
from ..symmetry.cells import SYSTEMS, angle, free, products
from ..symmetry.groups import crystal_systems
from .reflection_profiles import lorentz_polarisation

FIRST = {"cubic": 5, "tetragonal": 6, "hexagonal": 6, "orthorhombic": 6, "monoclinic": 7}

_VISIBLE = 0.02  # of the strongest reflection

_TOGETHER = 0.06  # degrees; closer reflections are one peak

_LAST = 110.0  # degrees

_B = 0.6  # square angstrom, a usual Debye-Waller factor

# Worth of the nth basis that serves a structure: spare ones help where a peak is missed.
_WORTH = np.array([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.3, 0.3, 0.0])

_LEAST = 1.0  # worth of the last basis that is taken

_RHOMBOHEDRAL = np.array([[1, -1, 0], [0, 1, -1], [1, 1, 1]])


def learn(libraries: Iterable[Reflections]) -> dict[str, np.ndarray]:
    """Index products of as many reflections as a lattice has free parameters.

    Returns
    -------
    dict of str to ndarray, (s, p, p) int16
        By crystal system: products (`cells.products`) of p reflections, in the order
        of their angles. The most useful basis is the first.
    """
    served = {system: [] for system in SYSTEMS}
    systems = crystal_systems()
    for library in libraries:
        for i in range(len(library)):
            system = systems[library.group[i] - 1].replace("trigonal", "hexagonal")
            if system in SYSTEMS and (first := first_reflections(library, i, system)) is not None:
                served[system].append(_bases(first, free(system)))
    return {system: _chosen(bases, free(system)) for system, bases in served.items()}


def first_reflections(library: Reflections, i: int, system: str) -> np.ndarray | None:
    """Index products of the first visible reflections of one structure.

    Parameters
    ----------
    system : str
        Its crystal system, "hexagonal" for trigonal ones.

    Returns
    -------
    ndarray, (k, p) int, or None
        None where the lattice is not of the system.
    """
    rows = slice(library.start[i], library.start[i + 1])
    hkl = library.hkl[rows].astype(np.float64)
    standard = _standard(library.lattice[i], hkl, system)
    if standard is None:
        return None
    star, hkl = standard
    square = np.einsum("ni,ij,nj->n", hkl, star, hkl)
    two_theta = angle(square)
    kept = np.flatnonzero(two_theta < _LAST)
    kept = kept[np.argsort(two_theta[kept], kind="stable")]
    two_theta, hkl, square = two_theta[kept], hkl[kept], square[kept]
    strength = library.multiplicity[rows][kept] * library.f2[rows][kept] * np.exp(-_B * square / 2)
    strength = strength * lorentz_polarisation(two_theta)
    peak = np.concatenate([[0], np.cumsum(np.diff(two_theta) > _TOGETHER)])
    total = np.bincount(peak, strength)
    # Of overlapping reflections the strongest gives its indices.
    order = np.lexsort((-strength, peak))
    first = order[np.unique(peak[order], return_index=True)[1]]
    visible = first[total > _VISIBLE * total.max()][: FIRST[system]]
    return np.rint(products(hkl[visible], system)).astype(np.int16)


def _standard(lattice, hkl, system):
    """Reciprocal metric and indices on the axes that bases are given in, or None."""
    if system == "hexagonal":
        metric = lattice @ lattice.T
        alike = max(np.ptp(np.diag(metric)), abs(metric[0, 1] - metric[0, 2]))
        if alike < 2e-3 * metric[0, 0]:
            lattice, hkl = _RHOMBOHEDRAL @ lattice, hkl @ _RHOMBOHEDRAL.T
    star = np.linalg.inv(lattice @ lattice.T)
    if system == "monoclinic":
        return _monoclinic(star, hkl)
    if system == "orthorhombic":
        order = np.argsort(np.diag(star))
    elif system == "tetragonal":
        length = np.diag(star)
        unique = int(np.argmin([abs(length[i - 2] - length[i - 1]) for i in range(3)]))
        order = [i for i in range(3) if i != unique] + [unique]
    else:
        order = [0, 1, 2]
    return star[np.ix_(order, order)], hkl[:, order]


def _monoclinic(star, hkl):
    """b unique, the shortest reciprocal axes a* and c*, D not negative."""
    oblique = np.abs(star - np.diag(np.diag(star))) > 1e-5
    straight = np.flatnonzero(~oblique.any(0))
    if not len(straight):
        return None
    unique = straight[0] if len(straight) == 1 else 1
    order = [(unique + 1) % 3, unique, (unique + 2) % 3]
    star, hkl = star[np.ix_(order, order)], hkl[:, order]
    turn = np.eye(3)
    while True:
        metric = turn @ star @ turn.T
        if metric[0, 0] > metric[2, 2] * (1 + 1e-9):
            step = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0.0]])
        elif times := np.rint(metric[0, 2] / metric[0, 0] * (1 - 1e-9)):
            step = np.array([[1, 0, 0], [0, 1, 0], [-times, 0, 1.0]])
        else:
            break
        turn = step @ turn
    if metric[0, 2] < 0:
        turn = np.diag([1, 1, -1.0]) @ turn
    return turn @ star @ turn.T, np.rint(hkl @ np.linalg.inv(turn))


def _bases(reflections, p):
    """Choices of p reflections that fix a lattice, as bytes."""
    bases = set()
    for chosen in combinations(range(len(reflections)), p):
        rows = np.ascontiguousarray(reflections[list(chosen)])
        if abs(np.linalg.det(rows.astype(float))) > 0.5:
            bases.add(rows.tobytes())
    return bases


def _chosen(structures, p):
    """Bases that serve the most structures, each counting less the more serve it (lazy greedy)."""
    serves = defaultdict(list)
    for i, bases in enumerate(structures):
        for key in bases:
            serves[key].append(i)
    times = np.zeros(len(structures), dtype=int)
    queue = [(-float(len(rows)), key) for key, rows in serves.items()]
    heapq.heapify(queue)
    chosen = []
    while queue:
        _, key = heapq.heappop(queue)
        worth = _WORTH[np.minimum(times[serves[key]], len(_WORTH) - 1)].sum()
        if queue and worth < -queue[0][0] - 1e-9:
            heapq.heappush(queue, (-worth, key))  # others have become better
        elif worth < _LEAST:
            break
        else:
            chosen.append(np.frombuffer(key, np.int16).reshape(p, p))
            times[serves[key]] += 1
    return np.array(chosen, dtype=np.int16).reshape(-1, p, p)
