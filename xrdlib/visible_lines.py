"""A reader of true cells and of all lines that can be seen: the ceiling of absences on a powder.

Not every absence shows: a line may lie upon another, and a line that is allowed may be too weak.
The reader is told the cell, the Bravais lattice, and which of the places that the cell permits have
a line above a limit, without noise or error. For every group of the lattice, in every setting, the
probability of that is the product over places: a line where the group has none is next to
impossible, and where it allows one, lines are as frequent as among near places that all allow.
"""

import numpy as np
import torch

from . import groups, information
from .diffraction import d_star, lorentz_polarisation, two_theta
from .errors import XrdlibError
from .evidence import lines, settings
from .groups import N_GROUPS
from .knockouts import cell_of
from .metrics import logsumexp
from .patterns import CU_KA1, GRID

RESOLUTION = 0.1  # degrees; places nearer to each other are one
LIMITS = (0.003, 0.01, 0.03)  # of the strongest line; what is below is not seen
_STRAY = 1e-3  # probability of a line where there can be none
_NEAR = 40  # places over which the frequency of lines is taken
_DEBYE_WALLER = 1.0  # square angstrom


def evidence(bank, limit):
    """Log-likelihood of every group, given lattice, cell and visible lines.

    Parameters
    ----------
    bank : records.Reflections
        Of known groups, in axes of a known setting.
    limit : float
        Intensity of the weakest line that is seen, over that of the strongest.

    Returns
    -------
    evidence : ndarray, (n, 99)
        Normalised; groups of another lattice share next to nothing.
    usable : ndarray, (n,) bool
        False where the cell is too large, and the row is flat.
    """
    lattice = information.readings()[information.LATTICE]
    found = np.full((len(bank), N_GROUPS), -np.log(N_GROUPS))
    usable = np.zeros(len(bank), dtype=bool)
    for i in range(len(bank)):
        same = np.flatnonzero(lattice == lattice[bank.group[i] - 1]) + 1
        try:
            hkl, place, seen = _places(bank.take([i]), limit)
        except XrdlibError:  # more reflections than `evidence.lines` lists
            continue
        allowed = {label: _allowed(label, bank.lattice[i], hkl, place) for label in same}
        every = np.concatenate(list(allowed.values()))
        rate = _rate(seen, every.all(axis=0))
        score = np.full(N_GROUPS, -1e3)
        for label, options in allowed.items():
            there = np.where(seen, np.log(rate), np.log(1 - rate))
            never = np.where(seen, np.log(_STRAY), np.log(1 - _STRAY))
            likelihood = np.where(options, there, never).sum(axis=1)
            if len(likelihood):
                score[label - 1] = logsumexp(likelihood) - np.log(len(likelihood))
        # Further apart than this no logarithm is needed.
        score = np.maximum(score, score.max() - 50)
        found[i], usable[i] = score - logsumexp(score), True
    return found, usable


def _places(one, limit):
    """Reflections of a cell (m, 3), the place of each (m,), and which places show a line (k,)."""
    hkl, line, angle, _ = lines(cell_of(one.lattice[0]), CU_KA1, GRID.start, GRID.stop)
    step = np.diff(angle, prepend=angle[0]) > RESOLUTION
    cluster = np.cumsum(step)
    star = d_star(one.lattice[0], one.hkl)
    own = two_theta(star, CU_KA1)
    inside = (own >= GRID.start) & (own <= GRID.stop)
    factor = lorentz_polarisation(torch.from_numpy(star * CU_KA1 / 2)).numpy()
    strength = one.multiplicity * one.f2 * factor * np.exp(-_DEBYE_WALLER * star**2 / 2)
    nearest = np.abs(own[inside][:, None] - angle).argmin(axis=1)
    total = np.bincount(cluster[nearest], strength[inside], minlength=cluster[-1] + 1)
    return hkl, cluster[line], total > limit * total.max()


def _allowed(label, lattice, hkl, place):
    """Which places a group allows, one row a setting, (s, k) bool."""
    number = groups.table()["extinction_groups"][label - 1]["space_groups"][0]
    rows = []
    for change in settings(label, cell_of(lattice)):
        present = ~groups.absent(number, hkl @ change)
        rows.append(np.bincount(place, present, minlength=place[-1] + 1) > 0)
    return np.array(rows, dtype=bool).reshape(-1, place[-1] + 1)


def _rate(seen, certain):
    """Frequency of lines around each place among the nearest ones that are allowed for certain."""
    if not certain.any():
        return np.full(len(seen), 0.5)
    at = np.flatnonzero(certain)
    total = np.concatenate([[0], np.cumsum(seen[at])])
    first = np.searchsorted(at, np.arange(len(seen))) - _NEAR // 2
    first = np.clip(first, 0, max(len(at) - _NEAR, 0))
    last = np.minimum(first + _NEAR, len(at))
    return (total[last] - total[first] + 1) / (last - first + 2)
