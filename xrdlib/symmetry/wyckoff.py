"""Wyckoff positions of the 230 space groups in the reference setting.

Read from `tables/wyckoff.json`, which `xrdlib derive wyckoff` derives from the operations
of `groups.operations`; nothing is typed in, so there are no Wyckoff letters: positions are numbered
by rising multiplicity.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from ..base import paths
from ..base.errors import XrdlibError
from .groups import frozen, operations

# Every entry of every projection is a whole multiple of 1/12.
PROJECTION_UNIT = 12


@dataclass(frozen=True)
class Position:
    """One Wyckoff position.

    Attributes
    ----------
    multiplicity : int
        Atoms of one site in the conventional cell.
    freedom : int
        Free coordinates, 0..3.
    projection, point : ndarray, (3, 3) and (3,) float64
        x -> projection @ x + point takes any x (fractional) to the nearest point of the position's
        representative. With x uniform on [0, 12)^3 these points are uniform over the position.
    operations : ndarray, (multiplicity,) int
        Rows of `groups.operations` that turn the representative into each atom of the cell once;
        the identity is the first.
    """

    multiplicity: int
    freedom: int
    projection: np.ndarray
    point: np.ndarray
    operations: np.ndarray


@cache
def positions(number: int) -> tuple[Position, ...]:
    """Wyckoff positions of a space group, by rising multiplicity; the general one is the last."""
    operations(number)  # refuses a number that is not a space group's
    rows = []
    for multiplicity, freedom, denominator, *arrays, chosen in _table()[number - 1]:
        projection, point = (np.array(array) / denominator for array in arrays)
        parts = (projection.reshape(3, 3), point, np.array(chosen))
        rows.append(Position(multiplicity, freedom, *map(frozen, parts)))
    return tuple(rows)


@cache
def _table():
    return paths.table("wyckoff.json")


def orbit(number: int, position: int, x: np.ndarray) -> np.ndarray:
    """All atoms (..., multiplicity, 3) in the cell, in [0, 1), of sites on one Wyckoff position.

    The fractional coordinates x (..., 3) are first moved to the nearest point on the representative
    of one of the `positions` of a space group; XrdlibError if there is no such position.
    """
    candidates = positions(number)
    if position not in range(len(candidates)):
        raise XrdlibError(
            f"Space group {number} has no Wyckoff position {position!r}; "
            f"pass an integer 0..{len(candidates) - 1}."
        )
    site = candidates[position]
    rotations, translations = (part[site.operations] for part in operations(number))
    moved = np.asarray(x, dtype=np.float64) @ site.projection.T + site.point
    atoms = np.einsum("mij,...j->...mi", rotations, moved) + translations
    atoms -= np.floor(atoms)
    return np.where(atoms == 1.0, 0.0, atoms)  # -1e-17 is rounded up to 1
