"""Binary Bruker and Siemens RAW files, versions 1 to 4.

Offsets are those of the DIFFRAC-AT and DIFFRACplus manuals (Appendix "Raw data file format").
Version 4 is decoded by `native`; here only its wavelength is looked up. Version 3 is read here
since geddes refuses the scan types of position-sensitive detectors, 129 and 130.
"""

import struct

import numpy as np

from ...base.errors import XrdlibError
from . import native, several
from .native import check_amount
from .scans import MIN_POINTS, Scan, anode_line

_UNKNOWN = -1e6  # how version 1 says so
# Coupled, uncoupled and detector scans, uncoupled ones of high resolution; a PSD, fixed and fast.
_OVER_TWO_THETA = (0, 1, 2, 20, 129, 130)
_CUT_OFF = "is a damaged or cut-off RAW file; copy or export it again"


def read_raw(content, scan=None):
    """One range of a RAW file.

    Raises
    ------
    XrdlibError
        If the file is damaged, or there is no such range.
    """
    check_amount(content, binary=True)
    try:
        if content.startswith(b"RAW4.00"):
            made = _made(4, *_version4(content))
            return native.read(content, "scan.raw", scan, made)
        version, ranges_of = next(v for k, v in _VERSIONS.items() if content.startswith(k))
        ranges, wavelength, anode = ranges_of(content)
        made = _made(version, wavelength, anode)
        return several.pick(
            len(ranges), scan, lambda i: made(*_range(content, *ranges[i])), f"RAW {version}"
        )
    except (struct.error, ValueError, IndexError) as error:
        if isinstance(error, XrdlibError):
            raise
        raise XrdlibError(_CUT_OFF) from None


def _made(version, wavelength, anode):
    """What makes scans of the angles and counts of a file."""
    wavelength = wavelength if wavelength and wavelength > 0 else anode_line(anode)
    known = {"anode": anode} if anode else {}
    name = f"Bruker RAW {version}"

    def scan(x, y, _=None, notes=()):
        metadata = known | ({"notes": list(notes)} if notes else {})
        return Scan(x, y, name, wavelength=wavelength, metadata=metadata)

    return scan


def _range(content, offset, points, start, step, kind=0):
    """Angles, counts, None and notes of a range of versions 1 to 3."""
    if kind not in _OVER_TWO_THETA:
        raise XrdlibError(f"is a RAW file with a scan of type {kind}, which is not over 2theta")
    if not (np.isfinite([start, step]).all() and step):
        raise XrdlibError(_CUT_OFF)
    inside = _inside(content, offset, points)
    with np.errstate(invalid="ignore"):  # what is not a number is refused later
        counts = np.frombuffer(content, "<f4", inside, offset).astype(np.float64)
    # The step is a float32; rounding it to its seven digits keeps long scans from drifting.
    angles = float(f"{start:.7g}") + float(f"{step:.7g}") * np.arange(inside)
    return angles, counts, None, ["aborted"] if inside < points else ()


def _ranges1(content):
    """(offset, points, start, step) of each range of version 1; wavelength; anode (not stored)."""
    ranges, offset, wavelength = [], 0, None
    while True:
        if content[offset : offset + 4] == b"RAW ":
            offset += 4  # early files give it for the first range only
        points, _, step, _, _, start = struct.unpack_from("<IffIIf", content, offset)
        if wavelength is None:
            (wavelength,) = struct.unpack_from("<f", content, offset + 68)
        (follows,) = struct.unpack_from("<I", content, offset + 148)
        offset += 152
        aborted = _inside(content, offset, points) < points
        ranges.append((offset, points, start, step))
        offset += 4 * points
        if aborted or not follows:
            return ranges, _digits(wavelength), None


def _ranges2(content):
    """(offset, points, start, step) of each range of version 2; wavelength; anode."""
    (count,) = struct.unpack_from("<H", content, 4)
    anode = content[188:190].decode("latin-1").strip("\0 ")
    (wavelength,) = struct.unpack_from("<f", content, 190)
    ranges, offset = [], 256
    for _ in range(count):
        header, points, _, _, step, start = struct.unpack_from("<HHIfff", content, offset)
        if header < 48:
            raise XrdlibError(_CUT_OFF)
        offset += header
        ranges.append((offset, points, start, step))
        if _inside(content, offset, points) < points:
            break
        offset += 4 * points
    return ranges, _digits(wavelength), anode


def _inside(content, offset, points):
    """How many points a range really holds: fewer than it says if the scan was aborted."""
    inside = min(points, (len(content) - offset) // 4)
    if not points or (inside < points and inside < MIN_POINTS):
        raise XrdlibError(_CUT_OFF)
    return inside


def _digits(value):
    """A float32 as the decimal number that it was made from."""
    return None if value is None or value == _UNKNOWN else float(f"{value:.7g}")


def _ranges3(content):
    """(offset, points, start, step, type) of each range of version 3; wavelength; anode."""
    (count,) = struct.unpack_from("<I", content, 12)
    anode = content[608:612].decode("latin-1").strip("\0 ")
    (wavelength,) = struct.unpack_from("<d", content, 624)
    ranges, offset = [], 712
    for _ in range(count):
        length, points = struct.unpack_from("<II", content, offset)
        (start,) = struct.unpack_from("<d", content, offset + 16)
        (step,) = struct.unpack_from("<d", content, offset + 176)
        (kind,) = struct.unpack_from("<I", content, offset + 196)
        size, beside = struct.unpack_from("<II", content, offset + 252)
        if length < 304 or size != 4:
            raise XrdlibError(_CUT_OFF)
        offset += length + beside
        ranges.append((offset, points, start, step, kind))
        if _inside(content, offset, points) < points:
            break
        offset += 4 * points
    if not ranges:
        raise XrdlibError("is a RAW file that holds no scan; export it again")
    return ranges, wavelength, anode


def _version4(content):
    """Wavelength and anode in the hardware record (type 30) before the first range of version 4."""
    offset = 61
    while True:
        kind, length = struct.unpack_from("<II", content, offset)
        if kind in (0, 160) or length < 8:
            return None, None
        if kind == 30 and length >= 120:
            (wavelength,) = struct.unpack_from("<d", content, offset + 80)
            return wavelength, content[offset + 116 : offset + 120].decode("latin-1").strip("\0 ")
        offset += length


_VERSIONS = {b"RAW1.01": (3, _ranges3), b"RAW2": (2, _ranges2), b"RAW ": (1, _ranges1)}
