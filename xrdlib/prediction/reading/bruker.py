"""Binary Bruker and Siemens RAW files, versions 1 to 4.

Offsets are those of the DIFFRAC-AT and DIFFRACplus manuals (Appendix "Raw data file format").
Version 4 is decoded by `native`; here its wavelength is looked up, and a last range that was cut
off is filled. Version 3 is read here since geddes refuses the scan types of position-sensitive
detectors, 129 and 130.
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
    """One range of a RAW file."""
    check_amount(content, binary=True)
    try:
        if content.startswith(b"RAW4.00"):
            return _read4(content, scan)
        version = next(v for magic, v in _VERSIONS.items() if content.startswith(magic))
        ranges, wavelength, anode = _ranges(content, *version[1:])
        return several.pick(
            len(ranges),
            scan,
            lambda i: _scan(version[0], wavelength, anode, *_range(content, *ranges[i])),
            f"RAW {version[0]}",
        )
    except (struct.error, ValueError, IndexError) as error:
        if isinstance(error, XrdlibError):
            raise
        raise XrdlibError(_CUT_OFF) from None


def _scan(version, wavelength, anode, x, y, aborted=False):
    wavelength = wavelength if wavelength and wavelength > 0 else anode_line(anode)
    metadata = {"anode": anode, "notes": ["aborted"] if aborted else None}
    return Scan(x, y, f"Bruker RAW {version}", wavelength=wavelength, metadata=metadata)


def _range(content, offset, points, start, step, kind=0):
    """Angles and counts of a range of versions 1 to 3, and whether it was aborted."""
    if kind not in _OVER_TWO_THETA:
        raise XrdlibError(f"is a RAW file with a scan of type {kind}, which is not over 2theta")
    if not (np.isfinite([start, step]).all() and step):
        raise XrdlibError(_CUT_OFF)
    inside = _inside(content, offset, points)
    with np.errstate(invalid="ignore"):  # what is not a number is refused later
        counts = np.frombuffer(content, "<f4", inside, offset).astype(np.float64)
    # The step is a float32; rounding it to its seven digits keeps long scans from drifting.
    angles = float(f"{start:.7g}") + float(f"{step:.7g}") * np.arange(inside)
    return angles, counts, inside < points


def _ranges(content, overview, head):
    """(offset, points, start, step[, type]) of each range; wavelength; anode."""
    offset, count, wavelength, anode = overview(content)
    ranges = []
    while count is None or len(ranges) < count:
        offset, follows, points, *rest = head(content, offset)
        ranges.append((offset, points, *rest))
        if _inside(content, offset, points) < points or not follows:
            break
        offset += 4 * points
    if not ranges:
        raise XrdlibError("is a RAW file that holds no scan; export it again")
    return ranges, wavelength, anode and anode.decode("latin-1").strip("\0 ")


def _inside(content, offset, points):
    """How many points a range really holds: fewer than it says if the scan was aborted."""
    inside = min(points, (len(content) - offset) // 4)
    if not points or (inside < points and inside < MIN_POINTS):
        raise XrdlibError(_CUT_OFF)
    return inside


def _digits(value):
    """A float32 as the decimal number that it was made from."""
    return None if value == _UNKNOWN else float(f"{value:.7g}")


# What a file says, by version: where its ranges begin, how many they are, wavelength, anode. Then
# a range: where its counts begin, whether another may follow, number of points, start, step, type.


def _overview1(content):
    first = 4 * content.startswith(b"RAW ")  # which early files give for the first range only
    return 0, None, _digits(*struct.unpack_from("<f", content, first + 68)), None


def _head1(content, offset):
    offset += 4 * (content[offset : offset + 4] == b"RAW ")
    points, _, step, _, _, start = struct.unpack_from("<IffIIf", content, offset)
    (follows,) = struct.unpack_from("<I", content, offset + 148)
    return offset + 152, follows, points, start, step


def _overview2(content):
    (count,) = struct.unpack_from("<H", content, 4)
    return 256, count, _digits(*struct.unpack_from("<f", content, 190)), content[188:190]


def _head2(content, offset):
    header, points, _, _, step, start = struct.unpack_from("<HHIfff", content, offset)
    if header < 48:
        raise XrdlibError(_CUT_OFF)
    return offset + header, True, points, start, step


def _overview3(content):
    (count,) = struct.unpack_from("<I", content, 12)
    return 712, count, *struct.unpack_from("<d", content, 624), content[608:612]


def _head3(content, offset):
    length, points = struct.unpack_from("<II", content, offset)
    (start,) = struct.unpack_from("<d", content, offset + 16)
    (step,) = struct.unpack_from("<d", content, offset + 176)
    (kind,) = struct.unpack_from("<I", content, offset + 196)
    size, beside = struct.unpack_from("<II", content, offset + 252)
    if length < 304 or size != 4:
        raise XrdlibError(_CUT_OFF)
    return offset + length + beside, True, points, start, step, kind


_VERSIONS = {
    b"RAW1.01": (3, _overview3, _head3),
    b"RAW2": (2, _overview2, _head2),
    b"RAW ": (1, _overview1, _head1),
}


def _read4(content, scan):
    """A range of version 4; wavelength and anode stand in the hardware record (type 30)."""
    wavelength = anode = None
    offset = 61
    while True:
        kind, length = struct.unpack_from("<II", content, offset)
        if kind in (0, 160) or length < 8:
            break
        if kind == 30 and length >= 120:
            (wavelength,) = struct.unpack_from("<d", content, offset + 80)
            anode = content[offset + 116 : offset + 120].decode("latin-1").strip("\0 ")
        offset += length
    last, inside, content = _filled4(content, offset)

    def made(x, y, index):
        end = inside if index == last else None
        return _scan(4, wavelength, anode, x[:end], y[:end], end is not None)

    return native.read(content, "scan.raw", scan, made)


def _filled4(content, offset):
    """Index of a last range that was cut off, the points in it, and the file filled with zeros."""
    for index in range(several.MAX_PASSES):
        if offset + 160 > len(content):
            break
        (points,) = struct.unpack_from("<I", content, offset + 88)
        size, beside = struct.unpack_from("<II", content, offset + 136)
        start = offset + 160 + beside
        offset = start + points * size
        missing, inside = offset - len(content), (len(content) - start) // max(size, 1)
        if 0 < missing <= native.MAX_BINARY and inside >= MIN_POINTS:
            filled = content[: start + inside * size] + bytes(size * (points - inside))
            return index, inside, filled
    return None, None, content
