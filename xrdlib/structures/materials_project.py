"""Structures of the Materials Project whose formula and space group are known from experiment.

`collect` makes their table from CIF files, `crystals` makes crystals from it.
"""

import gzip
import json
import re
import zipfile
import zlib
from functools import cache
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
import spglib
from tqdm import tqdm

from ..base import files, records
from ..base.errors import XrdlibError
from ..symmetry.cells import cell_of_lattice
from ..symmetry.groups import group_of_space_group, half_rotations

NAME = "materials-project"  # of the data set

_FROM_EXPERIMENT = "_filtered_info_"  # in the names of lists of the package
_NEWER = 3_000_000  # ids from which on structures are under other terms
_SYMPRECS = (0.1, 0.01)  # angstrom; the first that gives a space group known from experiment
_SAME_POSITION = 0.02  # angstrom; atoms on special positions repeat within this
_SAME_SIZE = 0.01  # relative difference of edges
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
        rows = pd.read_parquet(path, columns=_COLUMNS)
    except (OSError, ValueError) as problem:
        raise XrdlibError(f"{path} holds no table of structures ({problem}).") from None
    rows["group"] = group_of_space_group()[rows["space_group"]]
    kind = rows["space_group"].astype(str) + " " + rows["formula"].map(_anonymous)
    rows["type"] = kind + " " + rows["element"].map(len).astype(str)
    rows["holdout"] = [zlib.crc32(t.encode()) % 100 < _HOLDOUT_PERCENT for t in rows["type"]]
    return rows


def collect(clone: str | Path, lists: str | Path, file: str | Path) -> int:
    """Make the table from the CIF files of a clone; takes half an hour for 170,000 files.

    Kept are structures whose formula and space group stand in a list of structures from experiment,
    in the standard setting that spglib finds. A number after a bracket belongs to no element there,
    as "Ca(OH)2" is read as Ca O H: the table in use was made so, and lacks formulas with brackets.

    Parameters
    ----------
    clone : path-like
        Any folder with files `mp-*.cif`.
    lists : path-like
        The package, ``datasets.path("known-formulas")``.
    file : path-like
        What to write.

    Returns
    -------
    int
        Structures.

    Raises
    ------
    XrdlibError
        If the package is damaged, or there is no structure to keep.
    """
    observed = _known(lists)
    formulas = {formula for formula, _ in observed}
    numbered = {int(path.stem[3:]): path for path in Path(clone).rglob("mp-*.cif")}
    chosen = [numbered[number] for number in sorted(numbered) if number < _NEWER]
    rows = [_row(path, observed, formulas) for path in tqdm(chosen, mininterval=2, leave=False)]
    rows = [row for row in rows if row]
    if not rows:
        raise XrdlibError(f"{clone} holds no CIF file of a known structure; give the clone.")
    with files.replacing(file) as stream:
        pd.DataFrame(rows, columns=_COLUMNS).to_parquet(stream)
    return len(rows)


def _known(lists):
    """(formula as ratios, space group) of all structures in the lists of a package."""
    listed = set()
    try:
        with zipfile.ZipFile(lists) as archive:
            for name in archive.namelist():
                if _FROM_EXPERIMENT in name:
                    for rows in json.loads(gzip.decompress(archive.read(name))).values():
                        listed |= {(_ratios(formula), number) for formula, _, number, _ in rows}
    except (OSError, ValueError, LookupError, AttributeError, zipfile.BadZipFile) as problem:
        raise XrdlibError(f"{lists} is not the package with lists ({problem}).") from None
    return {(formula, number) for formula, number in listed if formula}


def _row(path, observed, formulas):
    """Row of the table for one file, or None where the structure is not known."""
    try:
        block = gemmi.cif.read(str(path)).sole_block()
        formula = gemmi.cif.as_string(block.find_value("_chemical_formula_sum") or "")
        structure = gemmi.make_small_structure_from_block(block)
    except (OSError, RuntimeError, ValueError):
        return None
    if _ratios(formula) not in formulas:
        return None
    lattice = np.array(structure.cell.orth.mat.tolist()).T
    frac = np.array([site.fract.tolist() for site in structure.sites])
    z = [site.element.atomic_number for site in structure.sites]
    for symprec in _SYMPRECS:
        dataset = spglib.get_symmetry_dataset((lattice, frac, z), symprec=symprec)
        if dataset is not None and (_ratios(formula), dataset.number) in observed:
            break
    else:
        return None
    cell = dataset.std_lattice, dataset.std_positions, dataset.std_types
    orbits = spglib.get_symmetry_dataset(cell, symprec=symprec).crystallographic_orbits
    first = np.unique(orbits, return_index=True)[1]
    return {
        "id": path.stem,
        "formula": formula,
        "space_group": np.uint8(dataset.number),
        "hall_number": np.uint16(dataset.hall_number),
        "cell": np.round(cell_of_lattice(dataset.std_lattice), 6).astype(np.float32),
        "element": dataset.std_types[first].astype(np.uint8),
        "position": np.round(dataset.std_positions[first], 6).astype(np.float32).ravel(),
    }


def crystals(rows: pd.DataFrame) -> records.Crystals:
    """Crystals with all atoms of their cells, from rows of `table`; `name` is the id."""
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


def names(rows: pd.DataFrame) -> np.ndarray:
    """Formula in smallest whole numbers, space group and id of each structure, (n,) str."""
    formulas = [
        "".join(f"{symbol}{n if n > 1 else ''}" for symbol, n in _ratios(formula))
        for formula in rows["formula"]
    ]
    columns = zip(formulas, rows["space_group"], rows["id"], strict=True)
    return np.array([" ".join(map(str, row)) for row in columns])


def repeated(crystals: records.Crystals, known: list[records.Reflections]) -> np.ndarray:
    """Which crystals are known already, or are there again, (n,) bool.

    Those of one space group and the same elements, whose edges differ by less than 1 %, and so
    does the edge of a cube of their volume.
    """
    seen = {}
    for record in (*known, crystals):
        edges = np.sort(np.linalg.norm(record.lattice, axis=2), axis=1)
        sizes = np.column_stack([edges, np.cbrt(np.abs(np.linalg.det(record.lattice)))])
        again = []
        for group, elements, size in zip(record.space_group, record.elements, sizes, strict=True):
            alike = seen.setdefault((int(group), *elements.tolist()), [])
            again.append(any((np.abs(size / other - 1) < _SAME_SIZE).all() for other in alike))
            alike.append(size)
    return np.array(again)


def _filled(hall_number, cell, element, position):
    rotations, shifts = _operations(int(hall_number))
    lattice = np.array(gemmi.UnitCell(*map(float, cell)).orth.mat.tolist()).T
    frac, number = [], []
    for z, x in zip(element, np.asarray(position, dtype=np.float64).reshape(-1, 3), strict=True):
        own = []
        for image in (rotations @ x + shifts) % 1.0:
            off = np.array(own).reshape(-1, 3) - image
            if not (np.linalg.norm((off - np.rint(off)) @ lattice, axis=1) < _SAME_POSITION).any():
                own.append(image)
        frac += own
        number += [z] * len(own)
    return lattice, np.array(frac), np.array(number), rotations


@cache
def _operations(hall_number):
    operations = spglib.get_symmetry_from_database(hall_number)
    return operations["rotations"], operations["translations"]


def _anonymous(formula):
    """Numbers of a formula's elements in smallest whole numbers, ascending."""
    return "-".join(map(str, sorted(count for _, count in _ratios(formula))))


@cache
def _ratios(formula):
    """Elements of a formula with their smallest whole numbers; empty where they are not whole."""
    counts = {}
    for symbol, number in re.findall(r"([A-Z][a-z]?)(\d+\.?\d*|\.\d+)?", formula):
        counts[symbol] = counts.get(symbol, 0) + float(number or 1)
    if not counts or any(n != int(n) or n < 1 for n in counts.values()):
        return ()
    divisor = np.gcd.reduce([int(n) for n in counts.values()])
    return tuple(sorted((symbol, int(n) // int(divisor)) for symbol, n in counts.items()))
