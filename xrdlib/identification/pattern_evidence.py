"""Whole-pattern evidence of the 99 groups: the best lattices fitted, absences of groups scored.

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
_MOST_REFLECTIONS = 3000
_TYPICAL = 200  # reflections of a typical lattice, up to which the pattern is fitted


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
        Number of fitted points, and the squared misfit.
    reflections, permitted : int
        Distinct ones of the cell, and those that the best setting allows.
    unindexed : ndarray, (k,)
        Peaks that it does not index, degrees.
    observed : int
        Peaks in the fitted range.
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
    reflections: int
    permitted: int
    unindexed: np.ndarray
    observed: int
    derived: bool
    shift: np.ndarray

    @property
    def worth(self):
        """Best log-evidence, less a price for each free parameter of the cell."""
        return self.evidence.max() - PRICE * free(self.lattice.system)


def score(intensity, peaks, lattices):
    """Fit lattices and their relatives and score the groups of each.

    Parameters
    ----------
    intensity : array_like, (GRID.size,)
    peaks : peak_finder.PeakList
    lattices : list of index_cells.Lattice

    Returns
    -------
    list of Scored
        The best first.
    """
    lattices = distinct(lattices, _EACH)
    if not lattices:
        return []
    data = prepare(intensity, peaks, _stop(lattices, peak_width(intensity)))
    fits = _fits(data, sorted(lattices, key=lambda lattice: -lattice.score), None)
    if not fits:
        return []
    scale = max(1.0, min(f.misfit for _, f, _ in fits) / len(data.y))
    scored = sorted((_scored(data, *fitted, scale) for fitted in fits), key=lambda x: -x.worth)
    related = []
    for parent in scored[:_PARENTS]:
        for other in relatives(parent.lattice, parent.setting, data, parent.unindexed):
            tried = (*related, *(x.lattice for x in scored))
            if not any(x.system == other.system and alike(x, other) for x in tried):
                related.append(other)
    shape = min(fits, key=lambda f: f[1].misfit)[1].shape
    scored += [_scored(data, *fitted, scale, True) for fitted in _fits(data, related, shape)]
    return sorted(scored, key=lambda x: -x.worth)


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
    # In lower systems the cell stays as refined in the highest: it is given, not free.
    (lattice, best, _), *_ = fits
    lower = of_cell(cell_of_parameters(*lattice[:2]))[1:]
    fits += _fits(data, lower, best.shape, stages=((1.0, 0),))
    scale = max(1.0, best.misfit / len(data.y))
    return [_scored(data, *fitted, scale) for fitted in fits]


def _stop(lattices, width):
    """Degrees up to which the likeliest lattices have as many reflections as can be fitted well."""
    best = sorted(lattices, key=lambda lattice: -lattice.score)[:2]
    stop = 90.0
    for system, parameters, _ in best:
        _, square = reflections(parameters, system, inverse_square(90.0))
        position = np.sort(angle(square))
        number = np.cumsum(np.diff(position, prepend=0) > 0.35 * width)
        if number[-1] > _TYPICAL:
            stop = min(stop, position[np.searchsorted(number, _TYPICAL)])
    return stop


def _fits(data, lattices, shape, stages=STAGES):
    """Refined lattice, fit and reflections of those that can be fitted."""
    fits = []
    for system, parameters, score in lattices:
        # More peaks step by step, so that none is assigned to a neighbouring reflection.
        for n in range(36, len(data.two_theta) + 24, 24) if stages is STAGES else ():
            parameters, _ = refine(parameters, system, data.two_theta[:n])
        hkl, _ = reflections(parameters, system, inverse_square(data.stop + 0.2))
        if not 0 < len(hkl) <= _MOST_REFLECTIONS:
            continue
        fitted = fit(data, products(hkl, system), parameters, shape, stages)
        if fitted is None:
            continue
        fits.append((Lattice(system, fitted.parameters, score), fitted, hkl))
        # The best fit so far gives the others widths and shifts to start from.
        shape = min(fits, key=lambda f: f[1].misfit)[1].shape
    return fits


def _scored(data, lattice, fitted, hkl, scale, derived=False):
    labels, table, first = allowed(lattice.system)
    states = table[:, *(hkl - first).T]
    folded = (first == 0) & (hkl > 0)
    weight = np.where(folded, 2.0, 1.0).prod(1)
    evidence = log_evidence(fitted, states, weight, scale)
    best = np.full(groups.N_GROUPS, -np.inf)
    np.maximum.at(best, labels - 1, evidence)
    indexed, setting = fitted.unindexed == 0, int(evidence.argmax())
    return Scored(
        lattice,
        best,
        evidence,
        setting,
        len(data.y),
        fitted.misfit,
        int(indexed.sum()),
        len(np.unique(fitted.profile[states[setting]])),
        fitted.two_theta[~indexed],
        len(data.two_theta),
        derived,
        fitted.shape[:2],
    )
