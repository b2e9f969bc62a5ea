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
        x -> projection @ x + point takes any x (fractional) to the nearest place of the position's
        representative. With x uniform on [0, 12)^3 the places are uniform over the position.
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
    """Wyckoff positions of a space group, by rising multiplicity; the general one is the last.

    Raises
    ------
    XrdlibError
        If there is no such space group.
    """
    operations(number)  # refuses a number that is not a space group's
    return tuple(
        Position(
            multiplicity,
            freedom,
            frozen(np.reshape(projection, (3, 3)) / denominator),
            frozen(np.array(point) / denominator),
            frozen(np.array(chosen)),
        )
        for multiplicity, freedom, denominator, projection, point, chosen in _table()[number - 1]
    )


def orbit(number: int, position: int, x: np.ndarray) -> np.ndarray:
    """All atoms (..., multiplicity, 3) in the cell, in [0, 1), of sites on one Wyckoff position.

    Parameters
    ----------
    number, position : int
        Space group 1..230, and which of its `positions`.
    x : array_like, (..., 3)
        Fractional coordinates, first moved to the nearest place on the representative.

    Raises
    ------
    XrdlibError
        If there is no such position.
    """
    found = positions(number)
    if position not in range(len(found)):
        raise XrdlibError(
            f"Space group {number} has no Wyckoff position {position!r}; "
            f"pass an integer 0..{len(found) - 1}."
        )
    site = found[position]
    rotations, translations = (part[site.operations] for part in operations(number))
    placed = np.asarray(x, dtype=np.float64) @ site.projection.T + site.point
    atoms = np.einsum("mij,...j->...mi", rotations, placed) + translations
    atoms -= np.floor(atoms)
    return np.where(atoms == 1.0, 0.0, atoms)  # -1e-17 is rounded up to 1


@cache
def _table():
    return paths.table("wyckoff.json")
