"""What a perfect reader of the lines above a limit knows of the group.

Not every absence shows: a line may lie upon another, and a line that is allowed may be too weak.
The reader is told the cell, the Bravais lattice, and which of the places that the cell permits have
a line above a limit, without noise or error. For every group of the lattice, in every setting, the
probability of that is the product over places: a line where the group has none is next to
impossible, and where it allows one, lines are as frequent as among near places that all allow.
"""

import numpy as np
from numpy import ndarray
from scipy.special import log_softmax, logsumexp

from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1, GRID
from ..base.records import Reflections
from ..identification.cell_evidence import lines
from ..simulation.diffraction import d_star
from ..symmetry.cells import cell_of_lattice, settings
from ..symmetry.groups import N_GROUPS
from .information import LATTICE, readings
from .specimens import allowed, powder_lines

RESOLUTION = 0.1  # degrees; places nearer to each other are one
LIMITS = (0.003, 0.01, 0.03)  # of the strongest line; what is below is not seen

_STRAY = 1e-3  # probability of a line where there can be none
_NEAR = 40  # places over which the frequency of lines is taken
_DEBYE_WALLER = 1.0  # square angstrom
_IMPOSSIBLE = -50  # log-likelihood below the best, further down than any is needed


def evidence(bank: Reflections, limit: float) -> tuple[ndarray, ndarray]:
    """Log-likelihood of every group, given lattice, cell and visible lines.

    The bank is of known groups, in axes of a known setting; `limit` is the intensity of the weakest
    line that is seen, over that of the strongest.

    (n, 99), normalised; groups of another lattice share next to nothing. And (n,) bool, False where
    the cell is too large, and the row is flat.
    """
    lattice = readings()[LATTICE]
    found = np.full((len(bank), N_GROUPS), -np.log(N_GROUPS))
    usable = np.zeros(len(bank), dtype=bool)
    for i in range(len(bank)):
        cell = cell_of_lattice(bank.lattice[i])
        try:
            hkl, line, angle, _ = lines(cell, CU_KA1, GRID.start, GRID.stop)
        except XrdlibError:  # more reflections than are listed
            continue
        cluster = np.cumsum(np.diff(angle, prepend=angle[0]) > RESOLUTION)
        seen = _seen(bank.take([i]), angle, cluster, limit)
        options = {
            label: [allowed(label, change, hkl, cluster[line]) for change in settings(label, cell)]
            for label in np.flatnonzero(lattice == lattice[bank.group[i] - 1]) + 1
        }
        rate = _rate(seen, np.concatenate([o for o in options.values() if o]).all(axis=0))
        there, never = (np.where(seen, np.log(p), np.log(1 - p)) for p in (rate, _STRAY))
        score = np.full(N_GROUPS, -1e3)
        for label, states in options.items():
            if states:
                likelihood = np.where(states, there, never).sum(axis=1)
                score[label - 1] = logsumexp(likelihood) - np.log(len(likelihood))
        found[i] = log_softmax(np.maximum(score, score.max() + _IMPOSSIBLE))
        usable[i] = True
    return found, usable


def _seen(one, angle, cluster, limit):
    """Which places show a line, (k,) bool."""
    own, strength = powder_lines(one)
    inside = (own >= GRID.start) & (own <= GRID.stop)
    strength = strength * np.exp(-_DEBYE_WALLER * d_star(one.lattice[0], one.hkl) ** 2 / 2)
    place = cluster[np.abs(own[inside][:, None] - angle).argmin(axis=1)]
    total = np.bincount(place, strength[inside], minlength=cluster[-1] + 1)
    return total > limit * total.max()


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
