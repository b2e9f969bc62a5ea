"""Isotypes: structures of one space group with nearly the same cell and number of atoms.

A held-out mineral is not new to a model that was trained on an isotype, whose pattern has nearly
the same peaks. So a split keeps whole types together.
"""

import gemmi
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..symmetry.cells import cell_of_lattice

EDGES, ATOMS = 0.02, 0.1  # relative differences up to which two structures are isotypes

_MULTIPLICITY = {"A": 2, "B": 2, "C": 2, "I": 2, "F": 4, "R": 3}


def structure_types(
    symbols: ArrayLike,
    space_groups: ArrayLike,
    lattices: ArrayLike,
    n_atoms: ArrayLike,
    families: ArrayLike,
) -> list[str]:
    """Name of the structure type of each structure.

    Isotypes have the same space group, edges of the reduced primitive cell within 2 % and a volume
    within 6 %, and within 10 % as many atoms in it. Types hold all isotypes of their members and
    all structures of a family, so that members at their ends may differ more.

    Parameters
    ----------
    symbols : array_like, (n,) of str
        Of space groups, as published; the first letter names the lattice.
    space_groups : array_like, (n,) int
        1..230, or 0 where unknown: such a structure is in the type of its family.
    lattices : array_like, (n, 3, 3)
        Conventional, rows a, b, c in angstrom.
    n_atoms : array_like, (n,)
        In the conventional cell; fractions where positions are not full.
    families : array_like, (n,) of str

    Returns
    -------
    list of str
        One of a type's families, a mineral's name where there is any; "... type" for more than one.
    """
    families, n = np.asarray(families, dtype=str), len(families)
    primitive = [_primitive(*row) for row in zip(symbols, lattices, n_atoms, strict=True)]
    size = np.array(primitive).reshape(n, 5)
    rows, columns = [np.arange(n)], [_first(families)]
    for number in np.unique(space_groups):
        mine = np.flatnonzero(np.asarray(space_groups) == number)
        if number == 0:
            continue
        ratio = np.abs(np.log(size[mine, None] / size[None, mine]))
        alike = (ratio <= np.log1p([EDGES, EDGES, EDGES, 3 * EDGES, ATOMS])).all(-1)
        left, right = np.nonzero(np.triu(alike, 1))
        rows.append(mine[left])
        columns.append(mine[right])
    row, column = np.concatenate(rows), np.concatenate(columns)
    graph = coo_array((np.ones(len(row), dtype=bool), (row, column)), shape=(n, n))
    # Formulas have blanks, names of minerals have none and go first.
    keys = pd.Series([f"{' ' in name:d}{name}" for name in families])
    member = keys.groupby(connected_components(graph, directed=False)[1])
    several, first = member.transform("nunique") > 1, member.transform("min").str[1:]
    return first.where(~several, first + " type").tolist()


def _first(names):
    """Index of the first element that is equal to each."""
    _, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    return first[inverse]


def _primitive(symbol, lattice, n_atoms):
    """Edges and volume of the reduced primitive cell, and its atoms."""
    cell = cell_of_lattice(np.asarray(lattice))
    letter = symbol.strip()[:1].upper()
    if letter == "R" and abs(cell[5] - 120) > 1:
        letter = "P"  # rhombohedral axes
    letter = letter if letter in _MULTIPLICITY else "P"
    vector = gemmi.GruberVector(gemmi.UnitCell(*map(float, cell)), letter)
    vector.niggli_reduce()
    reduced = gemmi.UnitCell(*vector.cell_parameters())
    return reduced.a, reduced.b, reduced.c, reduced.volume, n_atoms / _MULTIPLICITY.get(letter, 1)
