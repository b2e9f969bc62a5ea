"""Refined cells, and how well the peaks of a pattern fit what each extinction group allows."""

from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit

from ..base.patterns import CU_KA1
from ..symmetry import groups
from ..symmetry.cells import (
    EXPANSION,
    SYSTEMS,
    angle,
    cell_of_parameters,
    inverse_square,
    products,
    reciprocal_metric,
    settings,
)
from .figures_of_merit import nearest
from .index_search import MOST_PEAKS, search
from .peak_finder import PeakList
from .triclinic_search import search_triclinic

SHIFTS = (0.0, -0.04, 0.04)  # degrees; zero shifts of the search

_SURE = 2.0  # score for each peak, beyond which no better lattice is expected

_REFINED = 8  # lattices of each system

_FIRST = 16  # peaks of the search for triclinic lattices

_SURPLUS = 6.0  # of the score of a triclinic lattice, over that of others that are as good

_MATCHES = (0.06, 0.05, 0.035, 0.03)  # degrees; peaks within this are fitted, step by step

_ERROR, _SHIFT = 0.015, 0.05  # degrees; of a peak's position, and of the zero

_SIGMA, _TAIL, _TAIL_SHARE = 0.018, 0.05, 0.08  # degrees; of peaks around their reflections

_STRONG, _STRAY, _STRAY_WEAK = 0.1, 0.04, 0.12  # shares of strong, of weak peaks that are stray

_SAME_POSITION = 0.01  # degrees

_REACH = 16  # highest index

_MOST_REFLECTIONS = 3000

_RANGE_FROM = 8.0  # degrees; impurity peaks lie anywhere from here, or a degree before the first

# A cell of each metric, to ask for the settings that it permits.
_TYPICAL = {
    "cubic": (6.0, 6.0, 6.0, 90.0, 90.0, 90.0),
    "tetragonal": (6.0, 6.0, 8.0, 90.0, 90.0, 90.0),
    "hexagonal": (6.0, 6.0, 8.0, 90.0, 90.0, 120.0),
    "orthorhombic": (5.1, 6.3, 7.7, 90.0, 90.0, 90.0),
    "monoclinic": (5.1, 6.3, 7.7, 90.0, 100.0, 90.0),
    "triclinic": (5.1, 6.3, 7.7, 81.0, 95.0, 103.0),
}


class Indexed(NamedTuple):
    """Likelihood of each extinction group under the lattices that were found.

    Attributes
    ----------
    score : ndarray, (99,)
        Log-likelihood of the peak positions under the best lattice of the group's system, over
        that of peaks anywhere; NaN where no lattice was found, and for the triclinic group, whose
        lattices are only judged by their fits to the whole pattern.
    reflections, indexed : ndarray, (99,)
        Reflections that the group allows in the range, and peaks that they index; 0 likewise.
    cell : dict of int to tuple
        By label 1..99: (a, b, c, alpha, beta, gamma), angstrom and degrees.
    n : int
        Peaks of the pattern.
    looked_at : int
        The first of them, which lattices had to index.
    lattices : list of Lattice
        All that were found, system after system, the best first in each.
    peaks : peak_finder.PeakList
        All peaks of the pattern.
    """

    score: np.ndarray
    reflections: np.ndarray
    indexed: np.ndarray
    cell: dict
    n: int
    looked_at: int
    lattices: list = []
    peaks: PeakList | None = None


class Lattice(NamedTuple):
    """A lattice that indexes peaks.

    Attributes
    ----------
    system : str
        One of `cells.LATTICES`.
    parameters : ndarray, (p,)
        See `cells.EXPANSION`.
    score : float
        Of its best group, see `Indexed`.
    """

    system: str
    parameters: np.ndarray
    score: float


def index(peaks, sets, shifts=SHIFTS):
    """Lattices for a pattern's peaks, and the likelihoods of the groups.

    Parameters
    ----------
    peaks : peak_finder.PeakList
    sets : dict of str to ndarray
        As from `basis_reflections.learn`.
    shifts : sequence of float
        Zero shifts to search with, degrees: what is read minus what is true; one after another,
        until a lattice indexes the peaks well. The search from zero allows for small ones; larger
        ones lose lattices with a long edge.

    Returns
    -------
    Indexed
    """
    two_theta, height = (x[:MOST_PEAKS] for x in peaks)
    by_group = np.full((3, groups.N_GROUPS), np.nan)
    cells, lattices = {}, {system: [] for system in SYSTEMS}
    for shift in shifts:
        for system in SYSTEMS:
            for start in search(two_theta - shift, sets[system], system)[:_REFINED]:
                parameters, zero = refine(start, system, two_theta, shift)
                scored = _scores(parameters, zero, system, two_theta, height)
                for label, row in scored.items():
                    if not row[0] <= by_group[0, label - 1]:
                        by_group[:, label - 1] = row
                        cells[label] = cell_of_parameters(system, parameters)
                if scored:
                    best = max(row[0] for row in scored.values())
                    lattices[system].append(Lattice(system, parameters, float(best)))
        best = by_group[0].max(where=np.isfinite(by_group[0]), initial=-np.inf)
        if best > _SURE * len(two_theta):
            break
    else:
        lattices["triclinic"] = _triclinic(two_theta, height, shifts, best + _SURPLUS)
    lattices = [x for rows in lattices.values() for x in sorted(rows, key=lambda x: -x.score)]
    n = len(peaks.two_theta), len(two_theta)
    return Indexed(by_group[0], *np.nan_to_num(by_group[1:]), cells, *n, lattices, peaks)


def _triclinic(two_theta, height, shifts, least):
    """Triclinic lattices with a score above the least."""
    lattices = []
    for shift in shifts:
        for parameters in search_triclinic(two_theta[:_FIRST] - shift):
            zero = shift
            for n in (_FIRST, len(two_theta)):
                parameters, zero = refine(parameters, "triclinic", two_theta[:n], zero)
            scored = _scores(parameters, zero, "triclinic", two_theta, height)
            lattices += [Lattice("triclinic", parameters, float(x[0])) for x in scored.values()]
        if any(x.score > _SURE * len(two_theta) for x in lattices):
            break
    return [x for x in lattices if x.score > least]


def refine(parameters, system, two_theta, zero=0.0):
    """Least squares of a lattice and a zero shift on the peaks that it indexes.

    Parameters
    ----------
    parameters : ndarray, (p,)
        As from `index_search.search`.
    system : str
    two_theta : ndarray, (n,)
        Degrees of Cu K-alpha1.
    zero : float
        To start from.

    Returns
    -------
    parameters : ndarray, (p,)
    zero : float
        Degrees; what is read minus what is true.
    """
    terms = products(
        reflections(parameters, system, inverse_square(two_theta[-1] + 0.5))[0], system
    )
    for match in _MATCHES:
        calculated = angle(np.maximum(terms @ parameters, 0))
        order = np.argsort(calculated)
        assigned = order[nearest(two_theta, calculated[order] + zero)]
        off = two_theta - calculated[assigned] - zero
        fitted = np.abs(off) < match
        if fitted.sum() < len(parameters) + 2:
            break
        theta = np.radians(calculated[assigned[fitted]]) / 2
        slope = np.degrees(CU_KA1**2 / (2 * np.sin(2 * theta)))  # of 2 theta over 1/d^2
        rows = terms[assigned[fitted]] * slope[:, None] / _ERROR
        rows = np.column_stack([rows, np.full(len(rows), 1 / _ERROR)])
        # The last row pulls the zero shift to none.
        rows = np.vstack([rows, [*np.zeros(len(parameters)), 1 / _SHIFT]])
        change = np.linalg.lstsq(rows, np.append(off[fitted] / _ERROR, -zero / _SHIFT))[0]
        changed = parameters + change[:-1]
        if np.linalg.eigvalsh(reciprocal_metric(system, changed))[0] <= 0:
            break
        parameters, zero = changed, zero + float(change[-1])
    return parameters, zero


def _scores(parameters, zero, system, two_theta, height):
    """Score, allowed reflections and indexed peaks of the groups of a system, dict by label."""
    hkl, square = reflections(parameters, system, inverse_square(two_theta[-1] + 0.1))
    if not 0 < len(hkl) <= _MOST_REFLECTIONS:
        return {}
    labels, table, first = allowed(system)
    position = angle(square) + zero
    order = np.argsort(position, kind="stable")
    start = np.flatnonzero(np.diff(np.rint(position[order] / _SAME_POSITION), prepend=-1))
    present = np.logical_or.reduceat(table[:, *(hkl[order] - first).T], start, axis=1)
    off = two_theta[:, None] - position[order][start]
    near = _gauss(off, _SIGMA) + _TAIL_SHARE * _gauss(off, _TAIL)
    number = present.sum(1)
    span = two_theta[-1] + 0.1 - min(_RANGE_FROM, two_theta[0] - 1)
    density = present @ near.T * (span / np.maximum(number, 1))[:, None]
    stray = np.where(height > _STRONG, _STRAY, _STRAY_WEAK)
    score = np.log((1 - stray) * density + stray).sum(1)
    # The best setting of each group.
    best = np.lexsort((-score, labels))
    best = best[np.unique(labels[best], return_index=True)[1]]
    indexed = (density > 1).sum(1)
    return {int(labels[i]): (score[i], number[i], indexed[i]) for i in best}


def reflections(parameters, system, limit):
    """Indices, (m, 3), and 1/d^2 below a limit; of each reflection and its opposite one."""
    star = reciprocal_metric(system, parameters)
    last = np.sqrt(limit * np.diag(np.linalg.inv(star))).astype(int)
    last = np.minimum(last, _REACH)
    return _listed(star, last * _signs(system), last, limit)


@njit(cache=True)
def _listed(star, first, last, limit):
    hkl = np.empty((np.prod(last - first + 1), 3), dtype=np.int64)
    square, number = np.empty(len(hkl)), 0
    for h in range(first[0], last[0] + 1):
        for k in range(first[1], last[1] + 1):
            flat = star[0, 0] * h * h + 2 * star[0, 1] * h * k + star[1, 1] * k * k
            slope = 2 * (star[0, 2] * h + star[1, 2] * k)
            for l in range(first[2], last[2] + 1):  # noqa: E741
                value = flat + slope * l + star[2, 2] * l * l
                if 1e-6 < value < limit:
                    hkl[number, 0], hkl[number, 1], hkl[number, 2] = h, k, l
                    square[number] = value
                    number += 1
    return hkl[:number].copy(), square[:number].copy()


@cache
def changes(system):
    """Label of each setting of a system, and what turns its hkl into reference ones, (3, 3)."""
    labels = [
        label
        for label, name in enumerate(groups.crystal_systems(), start=1)
        if name.replace("trigonal", "hexagonal") == system
    ]
    return [(label, change) for label in labels for change in settings(label, _TYPICAL[system])]


@cache
def allowed(system):
    """Labels of all settings of a system, what they allow, (s, h, k, l), and the first h, k, l."""
    first = _REACH * _signs(system)
    ranges = (np.arange(low, _REACH + 1) for low in first)
    grid = np.stack(np.meshgrid(*ranges, indexing="ij"), -1)
    labels, tables = [], []
    for label, change in changes(system):
        number = groups.first_member(label)
        present = ~groups.absent(number, grid.reshape(-1, 3) @ change)
        labels.append(label)
        tables.append(present.reshape(grid.shape[:3]))
    return np.array(labels), np.array(tables), first


def _signs(system):
    """-1 for each of h, k and l that takes negative values among inequivalent reflections."""
    return -np.array([0, EXPANSION[system][:, 4].any(), EXPANSION[system][:, 3].any()], dtype=int)


def _gauss(x, sigma):
    return np.exp(-0.5 * (x / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
