"""Published crystal structures as stated, and those of the AMCSD's SQLite file."""

import base64
import json
import os
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np

from ..base.errors import XrdlibError

UNNAMED = "<missing>"  # what the AMCSD file writes for no mineral name


class Unreadable(XrdlibError):
    """One structure cannot be used; the message is a reason that many structures may share."""


@dataclass
class Entry:
    """One structure: its asymmetric unit of n sites, and what was stated about it."""

    id: str
    mineral: str  # empty where not named
    formula: str
    symbol: str  # the stated Hermann-Mauguin symbol
    operators: tuple  # all operations as triplets such as "-x,1/2+y,-z", centring included
    cell: tuple  # a, b, c in angstrom; alpha, beta, gamma in degrees
    volume: float  # as stated, in cubic angstrom; NaN where not stated
    density: float  # as stated, in g/cm^3; NaN where not stated
    labels: list  # n str
    frac: np.ndarray  # (n, 3) float64
    occupancy: np.ndarray  # (n,) float64


def amcsd_entries(path: str | os.PathLike) -> list:
    """Read the AMCSD SQLite file, in order of its ids.

    Returns
    -------
    list of Entry or Unreadable
        An `Unreadable` stands for each structure that cannot be parsed.

    Raises
    ------
    XrdlibError
        If the file is missing or is not that database.
    """
    query = """select cif.id, minerals.name, formula, hm_notation, symmetry_xyz, a, b, c, alpha,
        beta, gamma, cell_volume, crystal_density, atoms_sites, atoms_x, atoms_y, atoms_z,
        atoms_occupancy from cif join minerals on minerals.id = mineral_id
        join spacegroups on spacegroups.id = spacegroup_id order by cif.id"""
    try:
        database = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
        rows = database.execute(query).fetchall()
        database.close()
    except sqlite3.Error as error:
        raise XrdlibError(f"{path} is not the AMCSD database ({error}); fetch it again.") from None
    return [or_reason(_amcsd_entry, *row) for row in rows]


def number(text: str) -> float:
    """A number as printed: "5.93(2)" without its uncertainty, a stray or decimal comma read."""
    try:
        return float(text.split("(")[0].strip().rstrip(",").replace(",", "."))
    except ValueError:
        raise Unreadable("a number that is none") from None


def element(label: str, formula: str) -> int:
    """Atomic number of a site label, the formula deciding what its letters mean.

    "Os" is osmium where the formula has osmium, else an oxygen called s. "Wat" and "O-H" are
    oxygen, their hydrogen atoms not having been located; deuterium is hydrogen.

    Raises
    ------
    Unreadable
    """
    if label.startswith("Wat"):
        return gemmi.Element("O").atomic_number
    letters = "".join(_symbols(label)[:1])
    candidates = [c for c in (letters, letters[:1]) if gemmi.Element(c).atomic_number]
    in_formula = [c for c in candidates if c in _symbols(formula)]
    if not candidates:
        raise Unreadable("a site that names no element")
    return gemmi.Element((in_formula or candidates)[0]).atomic_number


def _symbols(text):
    return re.findall("[A-Z][a-z]?", text)


def or_reason(read: Callable, *arguments: object) -> object:
    """What `read` returns, or the `Unreadable` that it raises."""
    try:
        return read(*arguments)
    except Unreadable as reason:
        return reason


def _amcsd_entry(id_, mineral, formula, symbol, operators, *rest):
    *cell, volume, density, labels, x, y, z, occupancy = rest
    labels = json.loads(labels)
    return Entry(
        id=str(id_),
        mineral="" if mineral == UNNAMED else mineral,
        formula=formula,
        symbol=symbol.split("%")[0].strip(),  # "%var1%" marks another origin
        operators=tuple(json.loads(operators)),
        cell=tuple(number(value) for value in cell),
        volume=number(volume),
        density=number(density),
        labels=labels,
        frac=np.stack([_decoded(v, len(labels), 0.0) for v in (x, y, z)], axis=1),
        occupancy=_decoded(occupancy, len(labels), 1.0),
    )


def _decoded(text, n, absent):
    """n values kept as base64 int32 in units of 1/4,000,000; "0" stands for an absent column."""
    if text == "0":
        return np.full(n, absent)
    values = np.frombuffer(base64.b64decode(text), dtype="<i4") / 4e6
    if len(values) != n:
        raise Unreadable("site columns of different lengths")
    return values
