"""Read a measured powder pattern from a file of any common format.

The content decides what a file is; its name only helps. A file is read into memory once, never
unpacked to disk, and refused with one sentence where it is not a pattern.
"""

import os
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...base.errors import XrdlibError, printable
from ...simulation.diffraction import resolve_wavelength
from . import archive, bruker, cif, foreign, gsas, native, steps, vendor
from .decode import decode
from .scans import AXES, checked
from .text import parse

MAX_BYTES = 64_000_000  # the longest scans are some 10 MB


@dataclass(frozen=True, eq=False)
class Pattern:
    """A measured powder pattern.

    Attributes
    ----------
    two_theta : ndarray, (m,) float64
        Degrees, strictly rising.
    intensity : ndarray, (m,) float64
        As in the file: counts, counts per second, or any linear scale.
    wavelength : float or None
        Angstrom; None where the file does not say and none was given.
    metadata : dict
        "file", "format", "axis" as found, and what else the file says; "points_masked",
        "points_merged", "points_below_zero" and "points_beyond_reach" count what was left out or
        averaged.
    probe : str or None
        "neutron", "x-ray" or another, where the file says it.
    """

    two_theta: np.ndarray
    intensity: np.ndarray
    wavelength: float | None
    metadata: dict
    probe: str | None = None


def read_pattern(path, axis=None, wavelength=None, scan=None):
    """Read one powder pattern.

    Text in columns (XY, XYE, CSV, TXT, CHI, PRF, RRUFF; any usual delimiter, decimal comma,
    header), step scans as text (FullProf, DBWS, LHPM, PSI, ILL, XDD, MDI, UDF, CPI, Rigaku ASC),
    GSAS (STD, ESD, FXY, FXYE), powder CIF, PANalytical XRDML, Bruker RAW 1 to 4, UXD and BRML,
    Rigaku RAS and RASX; any of them packed with gzip or zip.

    Parameters
    ----------
    path : path-like
        "-" for the standard input.
    axis : {"two_theta", "d", "q"}, optional
        What the positions are: degrees 2theta, d-spacing in angstrom, or q = 4 pi sin(theta) /
        wavelength in 1/angstrom. By default what the file's header says, else degrees 2theta.
    wavelength : str or float, optional
        A named line such as "CuKa1", or angstrom; goes before what the file states. Angles that
        are made from d or q are those of this wavelength, by default of Cu K-alpha1.
    scan : int, optional
        Which scan of a file that holds several, or which file of a zip archive, counted from 1. By
        default ranges that follow each other are joined, repeated scans that agree averaged, and
        else the first of the widest is read; "notes" in the metadata says so.

    Returns
    -------
    Pattern

    Raises
    ------
    XrdlibError
        If the file cannot be read, is no powder pattern, or is an archive of several and `scan` is
        not given.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> rows = "".join(f"{10 + i / 20} {100 + i % 7}\\n" for i in range(151))
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "scan.xy"
    ...     _ = path.write_text("# lambda 0.7093\\n" + rows)
    ...     pattern = read_pattern(path)
    >>> len(pattern.two_theta), pattern.wavelength
    (151, 0.7093)
    """
    if axis not in (None, *AXES):
        raise XrdlibError(f"Unknown axis {axis!r}; choose one of {', '.join(AXES)}.")
    if scan is not None and (isinstance(scan, bool) or not isinstance(scan, int) or scan < 1):
        raise XrdlibError(f"scan is {scan!r}; give 1 for the first scan of a file.")
    if wavelength is not None:
        wavelength = resolve_wavelength(wavelength)
    try:
        path = Path(path)
    except TypeError:
        raise XrdlibError(f"{path!r} is not a path; give the name of a file.") from None
    try:
        content, suffix = archive.unpacked(_content(path), path, MAX_BYTES)
        raw = _parse(content, suffix, axis, scan)
        two_theta, intensity, wavelength, metadata = checked(raw, wavelength)
    except XrdlibError as problem:
        raise XrdlibError(f"{printable(path)}: {problem}.") from None
    metadata = {"file": path.name, **metadata}
    return Pattern(two_theta, intensity, wavelength, metadata, metadata.get("probe"))


def _content(path):
    """All bytes of a regular file that is not too large, or of the standard input."""
    try:
        content = sys.stdin.buffer.read(MAX_BYTES + 1) if str(path) == "-" else _of_file(path)
    except XrdlibError:
        raise
    except FileNotFoundError:
        raise XrdlibError("does not exist; check the name") from None
    except PermissionError:
        raise XrdlibError("may not be read; ask for permission or copy it") from None
    except OSError as error:
        raise XrdlibError(f"cannot be read ({error.strerror}); check name and disk") from None
    except ValueError:
        raise XrdlibError("is not a possible file name; check it") from None
    if len(content) > MAX_BYTES:
        raise XrdlibError("does not end where it should; give one powder scan")
    return content


def _of_file(path):
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise XrdlibError("is a folder; give a file in it")
    # A pipe or a device could block for ever or never end.
    if not stat.S_ISREG(status.st_mode):
        raise XrdlibError("is not a regular file; give a file with a measured scan")
    if status.st_size > MAX_BYTES:
        raise XrdlibError(
            f"has {status.st_size / 1e6:.0f} MB and at most {MAX_BYTES / 1e6:.0f} MB are read; "
            "give one powder scan"
        )
    with open(path, "rb", opener=_open) as file:
        return file.read(MAX_BYTES + 1)


def _open(path, flags):
    # Should a pipe have taken the file's place meanwhile, opening it must not wait for a writer.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _parse(content, suffix, axis, scan, outer=True):
    """The scan in the content of a file, whatever its format."""
    if not content.strip(b"\0 \t\r\n"):
        what = "holds nothing but zeros or blanks" if content else "is empty"
        raise XrdlibError(f"{what}; measure or export it again")
    foreign.refuse(content)
    if content.startswith(b"PK\x03\x04"):
        raw = archive.read_archive(content, scan)
        if isinstance(raw, tuple):
            if not outer:
                raise XrdlibError("is an archive within an archive; unpack it first")
            raw = _parse_member(*raw, axis)
    elif content.startswith((b"RAW1.01", b"RAW4.00", b"RAW2", b"RAW ")) and b"\0" in content:
        raw = bruker.read_raw(content, scan)
    else:
        native.check_amount(content)
        raw = _parse_text(decode(content), content, suffix, axis, scan)
    if axis not in (None, raw.axis):
        raise XrdlibError(f"the file holds {raw.axis} positions and axis={axis!r} was given")
    return raw


def _parse_member(name, content, axis):
    """The scan in a file of a zip archive."""
    try:
        content, suffix = archive.unpacked(content, Path(name), MAX_BYTES)
        return _parse(content, suffix, axis, None, outer=False)
    except XrdlibError as problem:
        raise XrdlibError(f"its member {name} {problem}") from None


def _parse_text(text, content, suffix, axis, scan):
    start = text[:4096].lstrip()
    foreign.refuse_text(text)
    if re.match(r"<(?:[?!]|xrd|[A-Za-z][^<>]*>\s*<|[A-Za-z][^<>]*/>)", start):
        return vendor.read_xrdml(content, scan)
    if re.search(r"^\*RAS_(?:DATA|HEADER)_START", start, re.MULTILINE):
        return vendor.read_ras(text, scan)
    if cif.looks_like_cif(text, suffix):
        return cif.parse(text, axis, scan)
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    if gsas.looks_like(lines):
        return gsas.read(lines, scan)
    if suffix == ".uxd" or start.startswith("_FILEVERSION") or "\n_FILEVERSION" in text[:4096]:
        return vendor.read_uxd(text, scan)
    if (stepped := steps.read(lines, scan)) is not None:
        return stepped
    return parse(text, axis, scan)
