"""Measured patterns of the RRUFF collection: a ready bundle, or the project's own zip archives."""

import os
import re
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import gemmi
import numpy as np

from ..base import paths
from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1, GRID, Grid, to_grid
from ..symmetry.groups import group_of_space_group
from . import datasets

OTHER = "measured_other.npz"


@dataclass
class Measured:
    """n measured patterns."""

    intensity: np.ndarray  # (n, grid.size) float32, as measured; not normalised
    space_group: np.ndarray  # (n,) int16: 1..230, as published for the specimen
    group: np.ndarray  # (n,) int16: extinction group 1..99
    # (n,) str: of specimens of one mineral, or re-measured ones; never on both sides of a split
    family: np.ndarray
    source: np.ndarray  # (n,) str: identifies the pattern in its collection
    grid: Grid = GRID
    skipped: dict = field(default_factory=dict)  # patterns of no use, counted by reason

    def __len__(self) -> int:
        return len(self.group)

    def take(self, index: np.ndarray) -> "Measured":
        """The patterns at `index` (integers or booleans), in that order."""
        names = ("intensity", "space_group", "group", "family", "source")
        return Measured(**{k: getattr(self, k)[index] for k in names}, grid=self.grid)


def load(path: str | os.PathLike | None = None, grid: Grid = GRID) -> Measured:
    """Measured patterns, from a bundle of the layout of rruff.npz or else from the archives.

    By default the bundle in the data folder, and if there is none, the archives `rruff-processed`
    and `rruff-dif`.

    Raises
    ------
    datasets.MissingData
        If no RRUFF data are on this machine.
    XrdlibError
        If the file is damaged or its arrays disagree.
    """
    if path is not None:
        return _bundle(path, grid)
    try:
        return _bundle(datasets.path("rruff"), grid)
    except datasets.MissingData as missing:
        try:
            archives = datasets.path("rruff-processed"), datasets.path("rruff-dif")
        except datasets.MissingData:
            raise datasets.MissingData(
                f"{missing} Or fetch the RRUFF Project's own archives with "
                "`xrdlib.structures.datasets.fetch` of 'rruff-processed' and 'rruff-dif'."
            ) from None
        return load_archives(*archives, grid)


def load_other(path: str | Path | None = None, grid: Grid = GRID) -> Measured:
    """Measured patterns of other laboratories, each on angles of its own; `source` is its name.

    From a bundle of the layout of measured_other.npz, by default the one in the data folder.

    Raises
    ------
    datasets.MissingData
        If the file does not exist.
    XrdlibError
        If it is damaged.
    """
    names = ("start", "two_theta", "intensity", "wavelength", "space_group", "family", "name")
    start, two_theta, intensity, wavelength, *columns = _arrays(
        path or paths.data_dir() / OTHER, names
    )
    rows = [
        to_grid(two_theta[first:last], intensity[first:last], _strong(wave), grid)
        for first, last, wave in zip(start, start[1:], wavelength, strict=False)
    ]
    return _record(np.stack(rows), *columns, grid)


def split(measured: Measured, collection: str = "rruff") -> tuple[Measured, Measured]:
    """Calibration and test patterns, about half each, every family wholly on one side.

    The side is the parity of the CRC-32 of the collection's name ("rruff", or "other" for
    `load_other`), a hyphen and the family's: fixed before any result was seen, the same anywhere.
    """
    names = [f"{collection}-{family}" for family in measured.family]
    side = np.array([zlib.crc32(name.encode()) % 2 for name in names])
    return measured.take(np.flatnonzero(side == 0)), measured.take(np.flatnonzero(side == 1))


def halves(limit: int | None = None, grid: Grid = GRID) -> tuple[Measured, Measured]:
    """Calibration and test patterns of `load`, all of them or some, spread evenly over each half.

    Parameters
    ----------
    limit : int, optional
        Patterns of each half, where there are more.
    grid : patterns.Grid

    Returns
    -------
    calibration, test : Measured

    Raises
    ------
    datasets.MissingData, XrdlibError
        As by `load`.
    """
    whole = split(load(grid=grid))
    if limit is None:
        return whole
    ends = (np.linspace(0, len(half) - 1, min(limit, len(half))).astype(int) for half in whole)
    return tuple(half.take(index) for half, index in zip(whole, ends, strict=True))


def join(sets: Sequence[Measured]) -> Measured:
    """All patterns of some sets, one set after another, all on one grid."""
    names = ("intensity", "space_group", "group", "family", "source")
    found = {k: np.concatenate([np.asarray(getattr(own, k)) for own in sets]) for k in names}
    return Measured(**found, grid=sets[0].grid)


def _bundle(path, grid):
    names = ("two_theta", "intensity", "space_group", "family", "source_index")
    two_theta, intensity, *columns = _arrays(path, names)
    number, n = columns[0], len(intensity)
    if not n or number.dtype.kind not in "iu" or any(column.shape != (n,) for column in columns):
        raise XrdlibError(f"{path}: every pattern needs a space group, a family and a source.")
    if number.min() < 1 or number.max() > 230:
        raise XrdlibError(f"{path}: space-group numbers must lie between 1 and 230.")
    return _record(to_grid(two_theta, intensity, grid=grid), *columns, grid)


def _arrays(path, names):
    """Arrays of a bundle."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return [file[name] for name in names]
    except FileNotFoundError:
        raise datasets.MissingData(f"{path} does not exist.") from None
    except (KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise XrdlibError(f"{path} is not a readable bundle of patterns: {error}.") from None


def _strong(wavelength):
    """Wavelength in angstrom; that of K-alpha1 for 1.5418, the mean of the copper doublet."""
    return CU_KA1 if abs(wavelength - CU_KA1) < 2e-3 else float(wavelength)


def _record(intensity, space_group, family, source, grid, skipped=()):
    number = np.array(space_group, dtype=np.int16)
    names = (np.array(column).astype(str) for column in (family, source))
    return Measured(intensity, number, group_of_space_group()[number], *names, grid, dict(skipped))


def load_archives(
    patterns: str | os.PathLike, cells: str | os.PathLike, grid: Grid = GRID
) -> Measured:
    """Read the zip archives of the RRUFF Project; `source` is the specimen as in "R050336-1".

    Parameters
    ----------
    patterns : path-like
        XY_RAW.zip or XY_Processed.zip: one text file a pattern, of "##KEY=value" lines and
        "2theta, counts" lines.
    cells : path-like
        DIF.zip: the refined cell and space group of each specimen; what has none is skipped.
    grid : patterns.Grid

    Raises
    ------
    XrdlibError
        If an archive is missing or damaged, or no pattern can be used.
    """
    symbols = defaultdict(set)
    for name, text in _texts(cells):
        symbols[_specimen(name)].update(re.findall(r"SPACE GROUP:[ \t]*(\S.*)", text)[:1])
    rows, skipped = [], Counter()
    for name, text in _texts(patterns):
        try:
            mineral, *pattern = _read_xy(text)
            number = _space_group(symbols[_specimen(name)])
            rows.append((to_grid(*pattern, grid), number, mineral, _specimen(name)[1]))
        except XrdlibError as reason:
            skipped[str(reason)] += 1
    if not rows:
        raise XrdlibError(f"{patterns} holds no usable pattern: {dict(skipped)}.")
    intensity, space_group, family, source = zip(*rows, strict=True)
    return _record(np.stack(intensity), space_group, family, source, grid, skipped)


def _texts(path):
    """(file name, text) of each text file of an archive, by name."""
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(n for n in archive.namelist() if n.lower().endswith(".txt")):
                yield name.rsplit("/")[-1], archive.read(name).decode("utf-8", errors="replace")
    except (OSError, zipfile.BadZipFile) as error:
        raise XrdlibError(f"{path} is not a readable zip archive ({error}).") from None


def _specimen(name):
    """("Actinolite", "R050336-1") of "Actinolite__R050336-1__Powder__...", in every archive."""
    return tuple([*name.split("__"), "", ""][:2])


def _read_xy(text):
    """Mineral, angles, counts and wavelength of one XY file."""
    header = dict(re.findall(r"^##([^=\n]+)=([^\r\n]*)", text, re.MULTILINE))
    kind = header.get("DIFFRACTION SAMPLE DESCRIPTION", "Powder")
    if "powder" not in kind.lower():
        raise XrdlibError("Not measured on a powder.")
    rows = re.findall(r"^\s*([-+.\deE]+)\s*,\s*([-+.\deE]+)\s*$", text, re.MULTILINE)
    try:
        two_theta, counts = np.array(rows, dtype=np.float64).reshape(-1, 2).T
        wavelength = float(header.get("X-RAY WAVELENGTH") or CU_KA1)
    except ValueError:
        raise XrdlibError("A number is not readable.") from None
    return header.get("NAMES", ""), two_theta, counts, _strong(wavelength)


def _space_group(symbols):
    """Number of the space group that all refinements of a specimen give."""
    stated = {
        gemmi.find_spacegroup_by_name(s.strip().replace("_", "").lstrip("*")) for s in symbols
    }
    numbers = {s.number for s in stated if s}
    if len(numbers) != 1:
        raise XrdlibError("No space group, or more than one, is given for the specimen.")
    return numbers.pop()
