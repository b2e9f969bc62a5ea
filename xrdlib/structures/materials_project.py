"""Structures of the Materials Project whose formula and space group are known from experiment."""

import re
import zlib
from functools import cache
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
import spglib

from ..base import records
from ..base.errors import XrdlibError
from ..symmetry.groups import group_of_space_group, half_rotations

FILE = "mp_structures.parquet"

_SAME_PLACE = 0.02  # angstrom; atoms on special positions repeat within this
_HOLDOUT_PERCENT = 8
_COLUMNS = ["id", "formula", "space_group", "hall_number", "cell", "element", "position"]


def table(path: str | Path) -> pd.DataFrame:
    """The structures of a file, one a row.

    Parameters
    ----------
    path : path-like
        Columns id, formula, space_group, hall_number (of spglib), cell (6), element and position of
        the asymmetric unit, in the setting of the Hall number.

    Returns
    -------
    pandas.DataFrame
        With "group" (extinction group 1..99), "type" (space group, formula without names of
        elements, and number of sites) and "holdout", the same for all structures of a type.

    Raises
    ------
    XrdlibError
        If the file is missing or lacks a column.
    """
    try:
        found = pd.read_parquet(path, columns=_COLUMNS)
    except (OSError, ValueError) as problem:
        raise XrdlibError(f"{path} holds no table of structures ({problem}).") from None
    found["group"] = group_of_space_group()[found["space_group"]]
    kind = found["space_group"].astype(str) + " " + found["formula"].map(_anonymous)
    found["type"] = kind + " " + found["element"].map(len).astype(str)
    found["holdout"] = [zlib.crc32(t.encode()) % 100 < _HOLDOUT_PERCENT for t in found["type"]]
    return found


def crystals(rows: pd.DataFrame) -> records.Crystals:
    """Crystals with all atoms of their cells.

    Parameters
    ----------
    rows : pandas.DataFrame
        Of `table`.

    Returns
    -------
    records.Crystals
        `name` is the id.
    """
    cells = [_filled(*row) for row in rows[_COLUMNS[3:]].itertuples(index=False)]
    counts = [len(number) for _, _, number, _ in cells]
    return records.Crystals(
        lattice=np.stack([lattice for lattice, *_ in cells]),
        start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        number=np.concatenate([number for _, _, number, _ in cells]).astype(np.int16),
        frac=np.concatenate([frac for _, frac, *_ in cells]).astype(np.float32),
        occupancy=np.ones(sum(counts), dtype=np.float32),
        rotations=np.stack([half_rotations(rotations) for *_, rotations in cells]),
        space_group=rows["space_group"].to_numpy(np.int16),
        group=rows["group"].to_numpy(np.int16),
        name=rows["id"].to_numpy(str),
    )


def _filled(hall_number, cell, element, position):
    rotations, shifts = _operations(int(hall_number))
    lattice = np.array(gemmi.UnitCell(*map(float, cell)).orth.mat.tolist()).T
    frac, number = [], []
    for z, x in zip(element, np.asarray(position, dtype=np.float64).reshape(-1, 3), strict=True):
        own = []
        for image in (rotations @ x + shifts) % 1.0:
            off = np.array(own).reshape(-1, 3) - image
            if not (np.linalg.norm((off - np.rint(off)) @ lattice, axis=1) < _SAME_PLACE).any():
                own.append(image)
        frac += own
        number += [z] * len(own)
    return lattice, np.array(frac), np.array(number), rotations


@cache
def _operations(hall_number):
    found = spglib.get_symmetry_from_database(hall_number)
    return found["rotations"], found["translations"]


def _anonymous(formula):
    """Numbers of a formula's elements in smallest whole numbers, ascending."""
    counts = np.sort([int(n or 1) for n in re.findall(r"[A-Z][a-z]?(\d*)", formula)])
    return "-".join(map(str, counts // np.gcd.reduce(counts)))
