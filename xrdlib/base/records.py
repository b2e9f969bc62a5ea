"""Records of arrays with one row an item: crystals, their reflections, and others of that kind."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self
from zipfile import BadZipFile

import numpy as np

from . import files
from .errors import XrdlibError

# Every crystallographic rotation group modulo inversion has an order that divides 24, so a group
# repeated to 24 elements keeps exact equal weights and all crystals share one array shape.
N_ROTATIONS = 24


def offsets(counts: Iterable[int]) -> np.ndarray:
    """Where the rows of each of n items start, and the last end: (n + 1,) int64 of n counts.

    Examples
    --------
    >>> offsets([2, 0, 3]).tolist()
    [0, 2, 2, 5]
    """
    return np.concatenate([[0], np.cumsum(list(counts))]).astype(np.int64)


class Record:
    """Base of dataclasses whose arrays have one row an item."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[-1].name))

    def take(self, index: np.ndarray | list | slice) -> Self:
        """The items at `index` (integers, a mask or a slice), in that order, as a new record."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


class Ragged(Record):
    """A dataclass of arrays about n items: `start[i]:start[i + 1]` are the rows of item i.

    `ROWS` names the attributes with one entry a row; all others but `start` have one an item.
    """

    ROWS = ()

    def __len__(self) -> int:
        return len(self.start) - 1

    def take(self, index: np.ndarray | list | slice) -> Self:
        """The items at `index` (integers, a mask or a slice), in that order, as a new record."""
        index = np.atleast_1d(np.arange(len(self))[index])
        counts = np.diff(self.start)[index]
        start = offsets(counts)
        rows = np.arange(start[-1]) + np.repeat(self.start[index] - start[:-1], counts)
        names = [f.name for f in fields(self) if f.name != "start"]
        chosen = {n: getattr(self, n)[rows if n in self.ROWS else index] for n in names}
        return type(self)(start=start, **chosen)


@dataclass
class Crystals(Ragged):
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

    ROWS = ("number", "frac", "occupancy")

    @property
    def elements(self) -> np.ndarray:
        """Elements of each crystal, (n, 2) uint64: bit z % 64 of number z // 64 for element z."""
        bits = np.zeros((len(self.number), 2), dtype=np.uint64)
        z = self.number.astype(np.uint64)
        bits[np.arange(len(z)), z // 64] = np.uint64(1) << z % 64
        return np.bitwise_or.reduceat(bits, self.start[:-1])


@dataclass
class Reflections(Ragged):
    """Symmetry-unique reflections of n crystals, positions left to the lattice.

    Attributes
    ----------
    hkl : ndarray, (m, 3) int16
        One representative of each set of equivalents.
    multiplicity : ndarray, (m,) float32
        Number of equivalents, Friedel opposites included.
    f2 : ndarray, (m,) float32
        |F|^2 in electrons squared, no Debye-Waller factor.
    elements : ndarray, (n, 2) uint64
        Whose atoms each crystal holds, see `Crystals.elements`.
    lattice, start, rotations, space_group, group, name
        As in `Crystals`.
    """

    lattice: np.ndarray
    start: np.ndarray
    hkl: np.ndarray
    multiplicity: np.ndarray
    f2: np.ndarray
    rotations: np.ndarray
    space_group: np.ndarray
    group: np.ndarray
    elements: np.ndarray
    name: np.ndarray

    ROWS = ("hkl", "multiplicity", "f2")


def concatenate(records: Iterable[Ragged]) -> Ragged:
    """Join records of one type, in order.

    Raises
    ------
    XrdlibError
        If `records` is empty or mixes types.
    """
    records = list(records)
    if not records or len({type(r) for r in records}) != 1:
        raise XrdlibError("concatenate needs one or more records of one type.")
    names = [f.name for f in fields(records[0])]
    joined = {name: np.concatenate([getattr(r, name) for r in records]) for name in names}
    joined["start"] = offsets(np.concatenate([np.diff(r.start) for r in records]))
    return type(records[0])(**joined)


def save(record: Record, path: str | os.PathLike) -> None:
    """Write a record to `path`; see `save_arrays`."""
    save_arrays(path, {f.name: getattr(record, f.name) for f in fields(record)})


def load(kind: type[Record], path: str | os.PathLike) -> Record:
    """Read a record of class `kind`; XrdlibError as `load_arrays`, or if an array is lacking."""
    arrays = load_arrays(path)
    if lacking := [f.name for f in fields(kind) if f.name not in arrays]:
        raise XrdlibError(f"{path} is no {kind.__name__} file: it lacks {', '.join(lacking)}.")
    return kind(**{f.name: arrays[f.name] for f in fields(kind)})


def save_arrays(path: str | os.PathLike, arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays as an uncompressed .npz that loads without pickle.

    Raises
    ------
    XrdlibError
        If an array holds Python objects, or the file cannot be written.
    """
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise XrdlibError(f"{path}: the array {name!r} holds objects; give it a plain dtype.")
    with files.replacing(path) as file:
        np.savez(file, **arrays)


def load_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Arrays that `save_arrays` wrote.

    Raises
    ------
    XrdlibError
        If the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except FileNotFoundError:
        raise XrdlibError(f"{path} does not exist; run the stage that writes it.") from None
    except (BadZipFile, EOFError, OSError, ValueError) as error:
        raise XrdlibError(f"{path} is damaged ({error}); run the stage that writes it.") from None
