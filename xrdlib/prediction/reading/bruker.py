"""Binary Bruker and Siemens RAW files, versions 1 to 4.

Offsets are those of the DIFFRAC-AT and DIFFRACplus manuals (Appendix "Raw data file format").
Version 4 is decoded by `native`; here only its wavelength is looked up. Version 3 is read here
since geddes refuses the scan types of position-sensitive detectors, 129 and 130.
"""

import struct

import numpy as np

from ...base.errors import XrdlibError
from .native import arrays, check_amount
from .scans import Scan, anode_line

_UNKNOWN = -1e6  # how version 1 says so
# Coupled, uncoupled and detector scans, uncoupled ones of high resolution; a PSD, fixed and fast.
_OVER_TWO_THETA = (0, 1, 2, 20, 129, 130)
_CUT_OFF = "is a damaged or cut-off RAW file; copy or export it again"


def read_raw(content, scan=None):
    """One range of a RAW file.

    Raises
    ------
    XrdlibError
        If the file is damaged, or holds several ranges and `scan` is not given.
    """
    check_amount(content, binary=True)
    try:
        if content.startswith(b"RAW4.00"):
            version = 4
            x, y = arrays(content, "scan.raw", scan)
            wavelength, anode = _version4(content)
        else:
            version, ranges_of = next(v for k, v in _VERSIONS.items() if content.startswith(k))
            ranges, wavelength, anode = ranges_of(content)
            x, y = _chosen(ranges, content, scan)
    except (struct.error, ValueError, IndexError) as error:
        if isinstance(error, XrdlibError):
            raise
        raise XrdlibError(_CUT_OFF) from None
    wavelength = wavelength if wavelength and wavelength > 0 else anode_line(anode)
    metadata = {"anode": anode} if anode else {}
    return Scan(x, y, f"Bruker RAW {version}", wavelength=wavelength, metadata=metadata)


def _chosen(ranges, content, scan):
    """Angles and counts of one of the ranges of version 1 or 2."""
    if scan is None and len(ranges) > 1:
        raise XrdlibError("holds several scans; choose one with scan=1, scan=2 and so on")
    if (scan or 1) > len(ranges):
        raise XrdlibError(f"has no scan {scan}; it holds {len(ranges)}")
    offset, points, start, step = ranges[(scan or 1) - 1]
    if not (np.isfinite([start, step]).all() and step):
        raise XrdlibError(_CUT_OFF)
    with np.errstate(invalid="ignore"):  # what is not a number is refused later
        counts = np.frombuffer(content, "<f4", points, offset).astype(np.float64)
    # The step is a float32; rounding it to its seven digits keeps long scans from drifting.
    return float(f"{start:.7g}") + float(f"{step:.7g}") * np.arange(points), counts


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
        _check_inside(content, offset, points)
        ranges.append((offset, points, start, step))
        offset += 4 * points
        if not follows:
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
        _check_inside(content, offset, points)
        ranges.append((offset, points, start, step))
        offset += 4 * points
    return ranges, _digits(wavelength), anode


def _check_inside(content, offset, points):
    if not points or offset + 4 * points > len(content):
        raise XrdlibError(_CUT_OFF)


def _digits(value):
    """A float32 as the decimal number that it was made from."""
    return None if value is None or value == _UNKNOWN else float(f"{value:.7g}")


def _ranges3(content):
    """(offset, points, start, step) of each range of version 3; wavelength; anode."""
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
        if kind not in _OVER_TWO_THETA:
            raise XrdlibError(f"is a RAW file with a scan of type {kind}, which is not over 2theta")
        offset += length + beside
        _check_inside(content, offset, points)
        ranges.append((offset, points, start, step))
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
