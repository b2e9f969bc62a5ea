"""Wyckoff positions of the 230 space groups in the reference setting.

Read from `tables/wyckoff.json`, which `xrdlib derive wyckoff` derives from the operations
of `groups.operations`; nothing is typed in, so there are no Wyckoff letters: positions are numbered
by rising multiplicity.
"""

import json
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..base import paths
from ..base.errors import XrdlibError
from .groups import operations

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
def positions(number):
    """Wyckoff positions of a space group, by rising multiplicity; the general one is the last.

    Parameters
    ----------
    number : int
        Space-group number, 1..230.

    Returns
    -------
    tuple of Position

    Raises
    ------
    XrdlibError
        If there is no such space group, or the table is missing.
    """
    operations(number)  # refuses a number that is not a space group's
    return tuple(
        Position(
            multiplicity,
            freedom,
            _frozen(np.reshape(projection, (3, 3)) / denominator),
            _frozen(np.array(point) / denominator),
            _frozen(np.array(chosen)),
        )
        for multiplicity, freedom, denominator, projection, point, chosen in _table()[number - 1]
    )


def orbit(number, position, x):
    """All atoms in the cell of sites on one Wyckoff position.

    Parameters
    ----------
    number : int
        Space-group number, 1..230.
    position : int
        Which of `positions(number)`.
    x : array_like, (..., 3)
        Fractional coordinates, first moved to the nearest place on the representative.

    Returns
    -------
    ndarray, (..., multiplicity, 3) float64
        In [0, 1).

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
    path = paths.TABLES / "wyckoff.json"
    if not path.is_file():
        raise XrdlibError(f"{path} does not exist; run `xrdlib derive wyckoff`.")
    return json.loads(path.read_text(encoding="utf-8"))


def _frozen(array):
    """Cached arrays are shared by all callers, so none may write to them."""
    array.flags.writeable = False
    return array
