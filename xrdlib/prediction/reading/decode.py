"""The text of a file: its encoding, and tables that lie on their side."""

import math

import numpy as np

from ...base.errors import XrdlibError
from .scans import MIN_POINTS

MAX_LINE = 4000  # characters; a row of a table is shorter
MAX_COLUMNS = 4  # that are looked at where they have no names
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1a"))
_STRAY = 20  # control characters, zero bytes in titles for the most part, that a text may have


def decode(content):
    """Text of a file in UTF-8 or UTF-16 (with or without a byte-order mark) or Latin-1."""
    try:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return content.decode("utf-16")
        zeros = [content[i:4096:2].count(0) for i in (0, 1)]
        if max(zeros) > 0.4 * len(content[:4096]) / 2 and not min(zeros):
            return content.decode("utf-16-be" if zeros[0] else "utf-16-le")
        content = content.rstrip(b"\0")
        stray = len(content) - len(content.translate(None, _CONTROL))
        if stray > min(_STRAY, len(content) / 100):
            raise XrdlibError(
                "is binary and none of the formats known; export the scan as two columns of text"
            )
        if stray:
            content = content.translate(bytes(32 if i in _CONTROL else i for i in range(256)))
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return content.decode("latin-1")
    except UnicodeDecodeError:
        raise XrdlibError("is damaged UTF-16 text; save it again as UTF-8") from None


def upright(text):
    """A table whose positions and counts stand in rows turned upright; any other as it is."""
    start = text[: MAX_LINE * MIN_POINTS].lstrip("\ufeff").splitlines()[: 2 * MAX_COLUMNS]
    sep = next((s for s in ("\t", ";", ",") if any(s in line for line in start)), None)
    rows = [line.strip(f"{sep or ''} ").split(sep) for line in start if line.strip()]
    rows = [row for row in rows if sum(map(_is_number, row)) > len(row) / 2][:MAX_COLUMNS]
    wide = len(rows) > 1 and len(rows[0]) >= MIN_POINTS and len(set(map(len, rows))) == 1
    if not wide or not _steady(rows[0]):
        return text
    return "\n".join("\t".join(cells) for cells in zip(*rows, strict=True))


def _steady(row):
    """Whether the numbers of a row rise or fall throughout."""
    step = np.diff([float(cell) for cell in row if _is_number(cell)])
    return bool((step > 0).all() or (step < 0).all())


def _is_number(cell):
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
