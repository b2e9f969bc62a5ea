"""Whole-pattern evidence of the 99 groups: the best lattices fitted, absences of all groups scored.

Lattices that indexing found, and their relatives, are fitted to the whole pattern (`cell_fits`);
every group that a lattice permits is scored from that one fit (`intensity_evidence`).
"""

from typing import NamedTuple

import numpy as np

from ..base.errors import XrdlibError
from ..symmetry import groups
from ..symmetry.cells import angle, cell_of_parameters, free, inverse_square, products
from .cell_fits import STAGES, fit, prepare
from .index_cells import Lattice, allowed, refine, reflections
from .intensity_evidence import log_evidence
from .pattern_weights import PRICE
from .peak_finder import peak_width
from .related_lattices import alike, distinct, of_cell, relatives

_EACH, _PARENTS = 3, 3  # lattices of each system that are fitted; those whose relatives are
_REFLECTIONS = 3000
_LINES = 200  # of a typical lattice, up to which the pattern is fitted


class Scored(NamedTuple):
    """A fitted lattice and its groups.

    Attributes
    ----------
    lattice : index_cells.Lattice
        Refined.
    evidence : ndarray, (99,)
        Log-evidence of each group's best setting, -inf for one of other systems.
    settings : ndarray, (s,)
        Log-evidence of each setting, in the order of `index_cells.changes`.
    setting : int
        The best of them.
    points, misfit : float
        What was fitted, and the squared misfit.
    lines, permitted : int
        Of the cell, and those that the best setting allows.
    strange : ndarray, (k,)
        Observed lines that it leaves unexplained, degrees.
    observed : int
        Lines in the fitted range.
    derived : bool
        Whether it was made from another one.
    shift : ndarray, (2,)
        Zero shift and displacement, see `cell_fits.CellFit`.
    """

    lattice: Lattice
    evidence: np.ndarray
    settings: np.ndarray
    setting: int
    points: int
    misfit: float
    lines: int
    permitted: int
    strange: np.ndarray
    observed: int
    derived: bool
    shift: np.ndarray

    @property
    def worth(self):
        """Best log-evidence, less a price for each free parameter of the cell."""
        return self.evidence.max() - PRICE * free(self.lattice.system)


def score(intensity, lines, lattices):
    """Fit lattices and their relatives and score the groups of each.

    Parameters
    ----------
    intensity : array_like, (GRID.size,)
    lines : peak_finder.PeakList
    lattices : list of index_cells.Lattice

    Returns
    -------
    list of Scored
        The best first.
    """
    lattices = distinct(lattices, _EACH)
    if not lattices:
        return []
    data = prepare(intensity, lines, _stop(lattices, peak_width(intensity)))
    fits = _fits(data, sorted(lattices, key=lambda lattice: -lattice.score), None)
    if not fits:
        return []
    scale = max(1.0, min(f.misfit for _, f, _ in fits) / len(data.y))
    found = sorted((_scored(data, *own, scale) for own in fits), key=lambda x: -x.worth)
    more = []
    for one in found[:_PARENTS]:
        for other in relatives(one.lattice, one.setting, data, one.strange):
            known = (*more, *(x.lattice for x in found))
            if not any(x.system == other.system and alike(x, other) for x in known):
                more.append(other)
    shape = min(fits, key=lambda f: f[1].misfit)[1].shape
    found += [_scored(data, *own, scale, True) for own in _fits(data, more, shape)]
    return sorted(found, key=lambda x: -x.worth)


def score_cell(intensity, cell):
    """Fit a cell that is known and score the groups of all crystal systems that it permits.

    Parameters
    ----------
    intensity : array_like, (GRID.size,)
    cell : sequence of 6 floats
        Angstrom and degrees, the axes in any order.

    Returns
    -------
    list of Scored
        One for each system that it permits, the highest first; the triclinic one alone.

    Raises
    ------
    XrdlibError
        If the cell is impossible, or cannot be fitted.
    """
    lattices = of_cell(cell)
    system, parameters, _ = lattices[0]
    fits = []
    if len(reflections(parameters, system, inverse_square(90.0))[0]):
        data = prepare(intensity, None, _stop(lattices[:1], peak_width(intensity)))
        fits = _fits(data, lattices[:1], None)
    if not fits:
        raise XrdlibError(
            f"The cell {tuple(cell)} has no reflection in the range of the scan, or too many to "
            "tell apart; check it."
        )
    # In lower systems the cell stays what it is in the highest: it is known, and not free.
    (lattice, found, _), *_ = fits
    lower = of_cell(cell_of_parameters(*lattice[:2]))[1:]
    fits += _fits(data, lower, found.shape, stages=((1.0, 0),))
    scale = max(1.0, found.misfit / len(data.y))
    return [_scored(data, *own, scale) for own in fits]


def _stop(lattices, width):
    """Degrees up to which the likeliest lattices have so many lines as can be fitted well."""
    best = sorted(lattices, key=lambda lattice: -lattice.score)[:2]
    stop = 90.0
    for system, parameters, _ in best:
        _, square = reflections(parameters, system, inverse_square(90.0))
        place = np.sort(angle(square))
        number = np.cumsum(np.diff(place, prepend=0) > 0.35 * width)
        if number[-1] > _LINES:
            stop = min(stop, place[np.searchsorted(number, _LINES)])
    return stop


def _fits(data, lattices, shape, stages=STAGES):
    """Refined lattice, fit and reflections of those that can be fitted."""
    found = []
    for system, parameters, score in lattices:
        # More lines step by step, so that none is taken for its neighbour.
        for n in range(36, len(data.two_theta) + 24, 24) if stages is STAGES else ():
            parameters, _ = refine(parameters, system, data.two_theta[:n])
        hkl, _ = reflections(parameters, system, inverse_square(data.stop + 0.2))
        if not 0 < len(hkl) <= _REFLECTIONS:
            continue
        own = fit(data, products(hkl, system), parameters, shape, stages)
        if own is None:
            continue
        found.append((Lattice(system, own.parameters, score), own, hkl))
        # Of the best fit so far, others take widths and shifts to start from.
        shape = min(found, key=lambda f: f[1].misfit)[1].shape
    return found


def _scored(data, lattice, found, hkl, scale, derived=False):
    labels, table, first = allowed(lattice.system)
    states = table[:, *(hkl - first).T]
    folded = (first == 0) & (hkl > 0)
    weight = np.where(folded, 2.0, 1.0).prod(1)
    evidence = log_evidence(found, states, weight, scale)
    best = np.full(groups.N_GROUPS, -np.inf)
    np.maximum.at(best, labels - 1, evidence)
    own, setting = found.strange == 0, int(evidence.argmax())
    return Scored(
        lattice,
        best,
        evidence,
        setting,
        len(data.y),
        found.misfit,
        int(own.sum()),
        len(np.unique(found.line[states[setting]])),
        found.two_theta[~own],
        len(data.two_theta),
        derived,
        found.shape[:2],
    )
