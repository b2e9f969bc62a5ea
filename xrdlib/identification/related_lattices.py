"""Related lattices: the same under other names, of higher metric symmetry, or twice as large."""

from collections.abc import Sequence
from functools import cache
from itertools import permutations, product

import numpy as np
import spglib

from ..symmetry.cells import (
    SYSTEMS,
    angle,
    cell_of_parameters,
    inverse_square,
    metric_tensor,
    on_conventional_axes,
    parameters_of,
    permits,
    reciprocal_metric,
)
from .cell_fits import Data
from .index_cells import Lattice, allowed, reflections
from .triclinic_search import reduced

_ALIKE = 0.004  # relative difference of edges
_SYMPREC = 0.02  # of the mean edge; a metric so near to a higher one is taken for it
_MOST = 4  # larger ones
_NEAR = 0.6  # of the width: a peak so near is indexed
_LAST_NUMBER = {
    "triclinic": 2, "monoclinic": 15, "orthorhombic": 74, "tetragonal": 142, "hexagonal": 194,
    "cubic": 230,
}  # fmt: skip
_HALVES = [np.array(t) / 2 for t in product((0, 1), repeat=3) if sum(t) > 1]
_THIRDS = [np.array(t) / 3 for t in ((2, 1, 1), (1, 2, 2), (1, 2, 1), (2, 1, 2))]
# Rows of each: a basis of one of the seven sublattices of index 2, or of that with all doubled.
_DOUBLED = [
    np.array(m).reshape(3, 3)
    for m in (
        (2, 0, 0, 0, 1, 0, 0, 0, 1), (1, 0, 0, 0, 2, 0, 0, 0, 1), (1, 0, 0, 0, 1, 0, 0, 0, 2),
        (1, 1, 0, 0, 2, 0, 0, 0, 1), (1, 0, 1, 0, 1, 0, 0, 0, 2), (1, 0, 0, 0, 1, 1, 0, 0, 2),
        (1, 1, 0, 0, 1, 1, 0, 0, 2), (2, 0, 0, 0, 2, 0, 0, 0, 2),
    )
]  # fmt: skip


def distinct(lattices: Sequence[Lattice], each: int) -> list[Lattice]:
    """The best lattices of each system, without those that differ by the names of axes alone.

    Parameters
    ----------
    lattices : list of index_cells.Lattice
        The best first in each system.
    each : int
        At most so many of a system.

    Returns
    -------
    list of index_cells.Lattice
    """
    kept = []
    for lattice in lattices:
        same = [other for other in kept if other.system == lattice.system]
        if len(same) < each and not any(alike(lattice, other) for other in same):
            kept.append(lattice)
    return kept


def alike(one: Lattice, other: Lattice) -> bool:
    """Whether two lattices of a system are the same but for the names of axes."""
    return bool(np.abs(_edges(one) / _edges(other) - 1).max() < _ALIKE)


def _edges(lattice):
    """Lengths that name a lattice, and angles if it is triclinic."""
    if lattice.system == "triclinic":
        return reduced(lattice.parameters)[1]
    a, b, c, _, beta, _ = cell_of_parameters(lattice.system, lattice.parameters)
    if lattice.system == "orthorhombic":
        return np.sort([a, b, c])
    if lattice.system != "monoclinic":
        return np.array([a, b, c])
    beta = np.radians(beta)
    short, long = np.array([a, 0.0]), c * np.array([np.cos(beta), np.sin(beta)])
    for _ in range(30):
        if long @ long < short @ short:
            short, long = long, short
        shift = np.rint(short @ long / (short @ short))
        if shift == 0:
            break
        long = long - shift * short
    sums = np.sort([np.linalg.norm(long - short), np.linalg.norm(long + short)])
    return np.array([b, np.linalg.norm(short), np.linalg.norm(long), sums[0]])


def of_cell(cell: Sequence[float]) -> list[Lattice]:
    """Lattices of a cell in all crystal systems whose axes it permits, the highest first.

    Parameters
    ----------
    cell : sequence of 6 floats
        Angstrom and degrees, on conventional axes or those of a primitive cell.

    Returns
    -------
    list of index_cells.Lattice
        The triclinic one alone where no other is permitted.

    Raises
    ------
    XrdlibError
        If the cell is impossible.

    Examples
    --------
    >>> [lattice.system for lattice in of_cell((4.6, 4.6, 3.0, 90, 90, 90))]
    ['tetragonal', 'orthorhombic', 'monoclinic']
    """
    cell = on_conventional_axes(cell)
    star = np.linalg.inv(metric_tensor(cell))
    lattices = []
    for system in SYSTEMS:
        for order in permutations(range(3)):
            if permits(cell, order, system):
                parameters = parameters_of(system, star[np.ix_(order, order)])
                lattices.append(Lattice(system, parameters, 0.0))
                break
    return lattices or [Lattice("triclinic", parameters_of("triclinic", star), 0.0)]


def relatives(lattice: Lattice, setting: int, data: Data, unindexed: np.ndarray) -> list[Lattice]:
    """Lattices to try beside one that indexes most of a pattern.

    Parameters
    ----------
    setting : int
        Of its system's (`index_cells.allowed`): the best, whose centring it has.
    unindexed : ndarray, (k,)
        Peaks that it does not index, degrees.

    Returns
    -------
    list of index_cells.Lattice
        That of a higher metric, and those of twice the volume that index most of the unindexed
        peaks; triclinic ones only beside a triclinic one.
    """
    primitive = _primitive(lattice, setting)
    related, kinds = [_standard(primitive, lattice.score)], {*SYSTEMS, lattice.system}
    if len(unindexed):
        larger = [_standard(double @ primitive, lattice.score) for double in _DOUBLED]
        larger = [x for x in larger if x is not None and x.system in kinds]
        gained = [_indexed(x, data, unindexed) for x in larger]
        best = max(gained, default=0)
        related += [x for x, n in zip(larger, gained, strict=True) if n == best > 0][:_MOST]
    return [x for x in related if x is not None and x.system in kinds]


def _indexed(lattice, data, positions):
    _, square = reflections(lattice.parameters, lattice.system, inverse_square(data.stop))
    off = np.abs(positions[:, None] - angle(square)).min(1)
    return int((off < _NEAR * data.width).sum())


def _primitive(lattice, setting):
    """Rows of a primitive basis, (3, 3)."""
    direct = np.linalg.inv(reciprocal_metric(lattice.system, lattice.parameters))
    basis = np.linalg.cholesky(direct)
    shifts = centring(lattice.system)[setting]
    rows = [*np.eye(3), *shifts]
    smallest = 1 / (len(shifts) + 1)
    # Any three of the translations that span the right volume.
    for a in range(len(rows)):
        for b in range(a):
            for c in range(b):
                if abs(abs(np.linalg.det([rows[a], rows[b], rows[c]])) - smallest) < 1e-6:
                    return np.array([rows[a], rows[b], rows[c]]) @ basis
    return basis


@cache
def centring(system: str) -> list[list[np.ndarray]]:
    """Centring translations of each setting of a system, list of lists of (3,)."""
    _, table, first = allowed(system)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in table.shape[1:]), indexing="ij"), -1)
    translations = []
    for present in table:
        hkl = grid[present] + first
        shifts = []
        for shift in (*_HALVES, *_THIRDS):
            phase = hkl @ shift
            if np.abs(phase - np.rint(phase)).max() < 1e-6:
                shifts.append(shift)
        translations.append(shifts)
    return translations


def _standard(primitive, score):
    """The lattice on standard axes of its metric symmetry; None where there is none."""
    edge = abs(np.linalg.det(primitive)) ** (1 / 3)
    dataset = spglib.get_symmetry_dataset((primitive, [[0, 0, 0]], [1]), symprec=_SYMPREC * edge)
    if dataset is None:
        return None
    system = next(name for name, last in _LAST_NUMBER.items() if dataset.number <= last)
    star = np.linalg.inv(dataset.std_lattice @ dataset.std_lattice.T)
    return Lattice(system, parameters_of(system, star), score)
