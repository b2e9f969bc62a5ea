"""The one place that calls geddes, a reader of diffraction files, and what may be passed to it.

geddes gives positions in degrees 2theta and intensities, nothing else; its readers bound nesting,
refuse XML document types and check every offset. What it does not bound is how much is in a file.
"""

import re

import geddes
import numpy as np

from ...base.errors import XrdlibError
from . import several

MAX_NUMBERS = 2_000_000  # words of one file, numbers or not
MAX_ELEMENTS = 500_000  # of one XML document, and as many attributes
MAX_BINARY = 16_000_000  # bytes; four of them are a point
_ADVICE = "export it again, as XY if nothing else helps"


def read(content, hint, scan, made):
    """The scan that was asked for, or one made of all.

    Parameters
    ----------
    content : bytes
    hint : str
        File name with the extension of the format, for example "scan.xrdml".
    scan : int, optional
        Counted from 1.
    made : callable
        Takes positions, intensities and the index of a scan, counted from 0, and gives a `Scan`.
    """
    check_amount(content, binary=hint.endswith(".raw"))
    kind = hint.rpartition(".")[2].upper()
    return several.pick(None, scan, lambda i: made(*_read(content, hint, kind, i), i), kind)


def _read(content, hint, kind, index):
    try:
        pattern = geddes.read_bytes(content, hint, index=index)
    except (ValueError, OSError) as error:  # what geddes documents for damaged content
        reason = " ".join(str(error).removeprefix("Parse error: ").split()).rstrip(".")[:200]
        if "out of range" in reason:
            what = f"has no scan {index + 1}; choose a smaller number"
            raise several.Beyond(what if index else f"holds no {kind} scan; {_ADVICE}") from None
        reason = re.sub(rf"^(?:Bruker )?{kind}\b:? ?", "", reason)
        raise XrdlibError(f"cannot be read as {kind} ({reason}); {_ADVICE}") from None
    except OverflowError:
        raise several.Beyond(f"has no scan {index + 1}; choose a smaller number") from None
    return pattern.x, pattern.y


def check_amount(content, binary=False):
    """Refuse content that would take much more memory as numbers or elements than as bytes."""
    if binary:
        if len(content) > MAX_BINARY:
            raise XrdlibError(
                f"holds {len(content) / 1e6:.0f} MB in an instrument's format and at most "
                f"{MAX_BINARY / 1e6:.0f} MB are read; give one powder scan"
            )
        return
    markup = b"<" in content[:64]  # UTF-16 has the same byte
    if markup and max(content.count(b"<"), content.count(b"=")) > MAX_ELEMENTS:
        raise XrdlibError(f"holds more than {MAX_ELEMENTS} XML elements; give one powder scan")
    if len(content) > 2 * MAX_NUMBERS:
        byte = np.frombuffer(content, dtype=np.uint8)
        gap = (byte <= ord(" ")) | (byte == ord(","))
        if np.count_nonzero(gap[1:] & ~gap[:-1]) > MAX_NUMBERS:
            raise XrdlibError(f"holds more than {MAX_NUMBERS} numbers; give one powder scan")
