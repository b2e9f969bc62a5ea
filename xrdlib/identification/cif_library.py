"""A structure library from a folder of CIF files."""

import logging
from pathlib import Path

import gemmi
import numpy as np
import spglib

from ..base.errors import XrdlibError
from ..base.records import concatenate
from ..simulation.diffraction import reflections
from ..structures.entries import Entry, Unreadable
from ..structures.structure_library import assembled
from ..structures.unit_cells import SYMPREC, fill, stated_space_group
from ..symmetry.groups import half_rotations, operations
from .library import Library, from_reflections


def read(folder: str | Path) -> Library:
    """Reflections of the structures in all CIF files of a folder and those below it.

    Parameters
    ----------
    folder : path-like
        With files \\*.cif; every block with atoms is a structure. What is stated without symmetry
        (P1) is used with the symmetry that its atoms have.

    Returns
    -------
    Library
        `name` is that of the file, and of the block where there are several. A structure that
        cannot be used is left out, with one sentence in the log.

    Raises
    ------
    XrdlibError
        If none can be used.
    """
    files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() == ".cif")
    structures = [structure for path in files for structure in _structures(path)]
    if not structures:
        why = f"none of its {len(files)} CIF files can be used" if files else "it has no CIF file"
        raise XrdlibError(f"{folder} is no library: {why}; name a folder with structures.")
    return concatenate(structures)


def _structures(path):
    try:
        blocks = [b for b in gemmi.cif.read(str(path)) if b.find_loop("_atom_site_fract_x")]
        if not blocks:
            raise Unreadable("no atoms")
    except (OSError, RuntimeError, ValueError, Unreadable) as problem:
        _leave_out(path, problem)
        return
    for block in blocks:
        name = path.name if len(blocks) == 1 else f"{block.name} of {path.name}"
        try:
            yield from_reflections(reflections(_crystal(block, name)))
        except (XrdlibError, RuntimeError, ValueError) as problem:
            _leave_out(path, problem)


def _leave_out(path, problem):
    reason = " ".join(str(problem).split()).rstrip(".")
    logging.getLogger(__name__).warning("%s cannot be used: %s.", path, reason)


def _crystal(block, name):
    """One structure, as stated; without stated symmetry, on the axes that spglib gives it."""
    entry = _entry(block, name)
    cell, number = fill(entry), stated_space_group(entry.symbol, entry.operators)
    if number <= 1 < cell["detected"]:
        number = cell["detected"]
        if (cell["occupancy"] == 1).all():
            atoms = cell["lattice"], cell["frac"], cell["number"]
            dataset = spglib.get_symmetry_dataset(atoms, symprec=SYMPREC)
            cell = {
                "lattice": dataset.std_lattice,
                "frac": dataset.std_positions,
                "number": dataset.std_types,
                "occupancy": np.ones(len(dataset.std_types)),
                "rotations": half_rotations(operations(number)[0]),
            }
    if not number:
        raise Unreadable("a space group that is not known")
    return assembled([cell], [number], [name])


def _entry(block, name):
    stated = gemmi.make_small_structure_from_block(block)
    symbol = stated.spacegroup_hm or ""
    group = gemmi.find_spacegroup_by_name(symbol, stated.cell.alpha, stated.cell.gamma)
    operators = stated.symops or (group and [op.triplet() for op in group.operations()])
    return Entry(
        id=name,
        mineral="",
        formula="",
        symbol=symbol,
        operators=tuple(operators or ["x,y,z"]),
        cell=stated.cell.parameters,
        volume=np.nan,
        density=np.nan,
        labels=[site.element.name for site in stated.sites],
        frac=np.array([site.fract.tolist() for site in stated.sites]).reshape(-1, 3),
        occupancy=np.array([site.occ for site in stated.sites]),
    )
