"""Read a measured powder pattern from a file of any common format.

The content decides what a file is; its name only helps. A file is read into memory once, never
unpacked to disk, and refused with one sentence where it is not a pattern.
"""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...base.errors import XrdlibError
from ...simulation.diffraction import resolve_wavelength
from . import archive, bruker, cif, native, vendor
from .scans import AXES, checked
from .text import decode, parse

MAX_BYTES = 64_000_000  # the longest scans are some 10 MB

_FOREIGN = {
    b"\x1f\x8b": "is compressed with gzip; unpack it first",
    b"BZh": "is compressed with bzip2; unpack it first",
    b"\xfd7zXZ\0": "is compressed with xz; unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; unpack it first",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive; unpack it first",
    b"Rar!": "is a RAR archive; unpack it first",
    b"%PDF": "is a PDF document; give the measured scan as text or in the instrument's format",
    b"\x89PNG": "is an image; give the measured scan as numbers",
    b"\xff\xd8\xff": "is an image; give the measured scan as numbers",
    b"GIF8": "is an image; give the measured scan as numbers",
    b"II*\0": "is an image; give the measured scan as numbers",
    b"MM\0*": "is an image; give the measured scan as numbers",
    b"\x89HDF": "is an HDF5 file; export the integrated scan as two columns of text",
    b"\x93NUMPY": "is a NumPy array; save angle and intensity as two columns of text",
    b"\xd0\xcf\x11\xe0": "is an old Office document; save the sheet as CSV",
}


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
        "file", "format", "axis" as found, and what else the file says.
    """

    two_theta: np.ndarray
    intensity: np.ndarray
    wavelength: float | None
    metadata: dict


def read_pattern(path, axis=None, wavelength=None, scan=None):
    """Read one powder pattern.

    Text in columns (XY, XYE, CSV, TXT, RRUFF; any usual delimiter, decimal comma, header), GSAS
    (STD, ESD, FXYE), powder CIF, PANalytical XRDML, Bruker RAW 1 to 4, UXD and BRML, Rigaku RAS
    and RASX.

    Parameters
    ----------
    path : path-like
    axis : {"two_theta", "d", "q"}, optional
        What the positions are: degrees 2theta, d-spacing in angstrom, or q = 4 pi sin(theta) /
        wavelength in 1/angstrom. By default what the file's header says, else degrees 2theta.
    wavelength : str or float, optional
        A named line such as "CuKa1", or angstrom; goes before what the file states. Angles that
        are made from d or q are those of this wavelength, by default of Cu K-alpha1.
    scan : int, optional
        Which scan of a file that holds several, counted from 1.

    Returns
    -------
    Pattern

    Raises
    ------
    XrdlibError
        If the file cannot be read, is no powder pattern, or holds several and `scan` is not given.
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
    name = "".join(c if c.isprintable() else "?" for c in str(path))
    try:
        found = _parse(_content(path), path.suffix.lower(), axis, scan)
        two_theta, intensity, wavelength, metadata = checked(found, wavelength)
    except XrdlibError as problem:
        raise XrdlibError(f"{name}: {problem}.") from None
    return Pattern(two_theta, intensity, wavelength, {"file": path.name, **metadata})


def _content(path):
    """All bytes of a regular file of bearable size."""
    try:
        about = path.stat()
        if stat.S_ISDIR(about.st_mode):
            raise XrdlibError("is a folder; give a file in it")
        # A pipe or a device could block for ever or never end.
        if not stat.S_ISREG(about.st_mode):
            raise XrdlibError("is not a regular file; give a file with a measured scan")
        if about.st_size > MAX_BYTES:
            raise XrdlibError(
                f"has {about.st_size / 1e6:.0f} MB and at most {MAX_BYTES / 1e6:.0f} MB are read; "
                "give one powder scan"
            )
        with open(path, "rb", opener=_open) as file:
            content = file.read(MAX_BYTES + 1)
    except XrdlibError:
        raise
    except FileNotFoundError:
        raise XrdlibError("does not exist; check the name") from None
    except PermissionError:
        raise XrdlibError("may not be read; ask for permission or copy it") from None
    except OSError as error:
        raise XrdlibError(f"cannot be read ({error.strerror}); check name and disk") from None
    except ValueError:
        raise XrdlibError("is no possible file name; check it") from None
    if len(content) > MAX_BYTES:
        raise XrdlibError("does not end where it should; give one powder scan")
    return content


def _open(path, flags):
    # Should a pipe have taken the file's place meanwhile, opening it must not wait for a writer.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _parse(content, suffix, axis, scan):
    """The scan in the content of a file, whatever its format."""
    if not content.strip(b"\0 \t\r\n"):
        what = "holds nothing but zeros or blanks" if content else "is empty"
        raise XrdlibError(f"{what}; measure or export it again")
    for magic, problem in _FOREIGN.items():
        if content.startswith(magic):
            raise XrdlibError(problem)
    if content.startswith(b"PK\x03\x04"):
        found = archive.read_archive(content, scan)
    elif content.startswith((b"RAW1.01", b"RAW4.00", b"RAW2", b"RAW ")) and b"\0" in content:
        found = bruker.read_raw(content, scan)
    else:
        native.check_amount(content)
        found = _parse_text(decode(content), content, suffix, axis, scan)
    if axis not in (None, found.axis):
        raise XrdlibError(f"the file holds {found.axis} positions and axis={axis!r} was given")
    return found


def _parse_text(text, content, suffix, axis, scan):
    start = text[:4096].lstrip()
    if re.match(r"<(?:!doctype )?html\b", start, re.IGNORECASE):
        raise XrdlibError("is a web page; download the file itself")
    if start.startswith("<"):
        return vendor.read_xrdml(content, scan)
    if start.startswith("*RAS_"):
        return vendor.read_ras(text, scan)
    if cif.looks_like_cif(text, suffix):
        return cif.parse(text, axis, scan)
    if vendor.looks_like_gsas(text):
        return vendor.read_gsas(text, scan)
    if suffix == ".uxd" or start.startswith("_FILEVERSION") or "\n_FILEVERSION" in text[:4096]:
        return vendor.read_uxd(text, scan)
    if scan not in (None, 1):
        raise XrdlibError(f"scan {scan} was asked for and a text file holds one")
    return parse(text, axis)
