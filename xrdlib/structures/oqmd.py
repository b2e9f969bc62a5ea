"""Computed structures of inorganic compounds, from the Open Quantum Materials Database.

They add what the AMCSD file lacks, structures with more than nine sites. Cells are those of density
functional theory, volumes some per cent off, and every site is fully occupied.
"""

import json
import os
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
import spglib
from tqdm import tqdm

from ..base import records
from ..base.errors import XrdlibError
from ..symmetry.groups import group_of_space_group, half_rotations, operations
from .overlap import overlap
from .structure_library import assembled

SYMPREC = 0.05  # angstrom; a relaxation leaves more noise than a refinement
MAX_ATOMS = 400
TIGHT = 0.005  # angstrom; where the stated group is not found, both must show the same
UNSTABLE = 0.3  # eV per atom above the hull; what lies higher is hardly found in nature

# A mineral has one of them, metals and alloys have none: N to F, S, Cl, Se, Br, Te, I.
ANIONS = (7, 8, 9, 16, 17, 34, 35, 52, 53)
_ONE_EACH = "SELECT numbers, positions, cell, key_value_pairs FROM systems ORDER BY id"


def build_oqmd(database: str | os.PathLike) -> tuple[records.Crystals, pd.DataFrame]:
    """Read the structures that could be minerals, on the reference axes of their space groups.

    Left out are metals, compounds far from stability, cells of more than `MAX_ATOMS` atoms, and
    structures whose atoms leave their extinction group in doubt: spglib finds another space group
    than the one stated, and another one again at a smaller tolerance. Takes a minute or two;
    `database` is the SQLite file, ``datasets.path("oqmd")``.

    Returns
    -------
    crystals : records.Crystals
        `name` is the reduced formula with the space-group number, which polymorphs do not share.
    table : pandas.DataFrame
        One row a crystal: name, elements (tuple of atomic numbers), space_group, group, n_sites,
        volume (cubic angstrom). ``attrs["skipped"]`` counts what was left out, by reason.

    Raises
    ------
    XrdlibError
        If the file is not that database, or holds nothing usable.
    """
    try:
        uri = f"{Path(database).resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            rows = connection.execute(_ONE_EACH).fetchall()
    except sqlite3.Error as error:
        raise XrdlibError(
            f"{database} is not the expected database ({error}); fetch it again."
        ) from None
    made = [_standard(*row) for row in tqdm(rows, desc="compounds", mininterval=2, leave=False)]
    skipped = Counter(cell for cell in made if isinstance(cell, str))
    cells = [cell for cell in made if not isinstance(cell, str)]
    if not cells:
        raise XrdlibError(f"{database} holds no usable structure: {dict(skipped)}.")
    table = pd.DataFrame([cell["row"] for cell in cells])
    table["group"] = group_of_space_group()[table["space_group"]]
    table.attrs["skipped"] = dict(skipped)
    return assembled(cells, table["space_group"], table["name"]), table


def _standard(numbers, positions, cell, metadata):
    """One structure on the reference axes, origin choice 1, or the reason why it is left out."""
    try:
        metadata = json.loads(metadata)  # which reads the NaNs written for what was not computed
        z = np.frombuffer(numbers, "<i4")
        lattice = np.frombuffer(cell, "<f8").reshape(3, 3)
        frac = np.frombuffer(positions, "<f8").reshape(len(z), 3) @ np.linalg.inv(lattice)
        unstable = not metadata.get("stability", np.inf) < UNSTABLE
    except (AttributeError, TypeError, ValueError):  # a singular cell among them
        return "not readable"
    if not (np.isfinite(frac).all() and np.isfinite(lattice).all()):  # spglib would crash
        return "not readable"
    if not np.isin(z, ANIONS).any():
        return "a metal"
    if unstable:
        return "far from stability"
    dataset = spglib.get_symmetry_dataset((lattice, frac, z), symprec=SYMPREC)
    if dataset is None:
        return "no symmetry found"
    if dataset.number != metadata.get("spacegroup"):
        again = spglib.get_symmetry_dataset((lattice, frac, z), symprec=TIGHT)
        group = group_of_space_group()
        if again is None or group[again.number] != group[dataset.number]:
            return "a doubtful group"
    if len(dataset.std_types) > MAX_ATOMS:
        return "a large cell"
    if overlap(dataset.std_lattice, dataset.std_positions, np.ones(len(dataset.std_types))):
        return "atoms that lie upon each other"
    return {
        "lattice": dataset.std_lattice,
        "frac": dataset.std_positions,
        "number": dataset.std_types,
        "occupancy": np.ones(len(dataset.std_types)),
        "rotations": half_rotations(operations(dataset.number)[0]),
        "row": {
            "name": f"{_reduced(z)} {dataset.number}",
            "elements": tuple(sorted(set(z.tolist()))),
            "space_group": dataset.number,
            "n_sites": len(set(dataset.equivalent_atoms.tolist())),
            "volume": abs(np.linalg.det(dataset.std_lattice)),
        },
    }


def _reduced(z):
    """Formula with the smallest whole numbers, elements by atomic number."""
    kinds, count = np.unique(z, return_counts=True)
    count //= np.gcd.reduce(count)
    return "".join(
        f"{gemmi.Element(int(k)).name}{n if n > 1 else ''}"
        for k, n in zip(kinds, count, strict=True)
    )
