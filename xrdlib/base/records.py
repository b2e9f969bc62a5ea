"""Ragged records that the simulator passes around: crystals and their reflections.

Both are plain containers of NumPy arrays; `start[i]:start[i + 1]` are the rows of item i.
"""

from dataclasses import dataclass, fields
from zipfile import BadZipFile

import numpy as np

from . import files
from .errors import XrdlibError

# Every crystallographic rotation group modulo inversion has an order that divides 24, so a group
# repeated to 24 elements keeps exact equal weights and all crystals share one array shape.
N_ROTATIONS = 24


@dataclass
class Crystals:
    """n crystals with all atoms of the unit cell listed (symmetry already applied).

    Attributes
    ----------
    lattice : ndarray, (n, 3, 3) float64
        Rows a, b, c in angstrom.
    start : ndarray, (n + 1,) int64
        Offsets of each crystal's atoms.
    number : ndarray, (m,) int16
        Atomic number of each atom.
    frac : ndarray, (m, 3) float32
        Fractional coordinates.
    occupancy : ndarray, (m,) float32
    rotations : ndarray, (n, 24, 3, 3) int8
        Rotation parts W of the point group modulo inversion, repeated cyclically to 24; a
        reflection's equivalents are the row vectors ``h @ W`` and their Friedel opposites.
    space_group : ndarray, (n,) int16
        1..230, or 0 where unknown.
    group : ndarray, (n,) int16
        Extinction group 1..99, or 0 where unknown.
    name : ndarray, (n,) str
        What to call the crystal in an error or a table.
    """

    lattice: np.ndarray
    start: np.ndarray
    number: np.ndarray
    frac: np.ndarray
    occupancy: np.ndarray
    rotations: np.ndarray
    space_group: np.ndarray
    group: np.ndarray
    name: np.ndarray

    def __len__(self):
        return len(self.start) - 1

    def take(self, index):
        """The crystals at `index` (integers, a mask or a slice), in that order, as a new record."""
        return _take(self, index, ("number", "frac", "occupancy"))


@dataclass
class Reflections:
    """Symmetry-unique reflections of n crystals, positions left to the lattice.

    Attributes
    ----------
    lattice : ndarray, (n, 3, 3) float64
    start : ndarray, (n + 1,) int64
    hkl : ndarray, (m, 3) int16
        One representative of each set of equivalents.
    multiplicity : ndarray, (m,) float32
        Number of equivalents, Friedel opposites included.
    f2 : ndarray, (m,) float32
        |F|^2 in electrons squared, no Debye-Waller factor.
    rotations : ndarray, (n, 24, 3, 3) int8
    space_group, group : ndarray, (n,) int16
    name : ndarray, (n,) str
    """

    lattice: np.ndarray
    start: np.ndarray
    hkl: np.ndarray
    multiplicity: np.ndarray
    f2: np.ndarray
    rotations: np.ndarray
    space_group: np.ndarray
    group: np.ndarray
    name: np.ndarray

    def __len__(self):
        return len(self.start) - 1

    def take(self, index):
        """The crystals at `index` (integers, a mask or a slice), in that order, as a new record."""
        return _take(self, index, ("hkl", "multiplicity", "f2"))


def concatenate(records):
    """Join records of one type, in order.

    Raises
    ------
    XrdlibError
        If `records` is empty or mixes types.
    """
    records = list(records)
    if not records or len({type(r) for r in records}) != 1:
        raise XrdlibError("concatenate needs one or more records of one type.")
    joined = {
        f.name: np.concatenate([getattr(r, f.name) for r in records]) for f in fields(records[0])
    }
    counts = np.concatenate([np.diff(r.start) for r in records])
    joined["start"] = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return type(records[0])(**joined)


def save(record, path):
    """Write a record to `path` as an uncompressed .npz that loads without pickle.

    Raises
    ------
    XrdlibError
        If an array holds Python objects, which only pickle could store, or the file cannot be
        written.
    """
    arrays = {f.name: np.asarray(getattr(record, f.name)) for f in fields(record)}
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise XrdlibError(f"{path}: the array {name!r} holds objects; give it a plain dtype.")
    with files.replacing(path) as file:
        np.savez(file, **arrays)


def load(kind, path):
    """Read a record of class `kind` written by `save`.

    Raises
    ------
    XrdlibError
        If the file is missing or lacks one of the record's arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return kind(**{f.name: file[f.name] for f in fields(kind)})
    except FileNotFoundError:
        raise XrdlibError(f"{path} does not exist; run the stage that writes it.") from None
    except (BadZipFile, EOFError, KeyError, OSError, ValueError) as error:
        raise XrdlibError(f"{path} is not a readable {kind.__name__} file: {error}.") from None


def _take(record, index, ragged):
    index = np.atleast_1d(np.arange(len(record))[index])
    counts = np.diff(record.start)[index]
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    rows = np.arange(start[-1]) + np.repeat(record.start[index] - start[:-1], counts)
    values = {"start": start}
    for f in fields(record):
        if f.name != "start":
            values[f.name] = getattr(record, f.name)[rows if f.name in ragged else index]
    return type(record)(**values)
