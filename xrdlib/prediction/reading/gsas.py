"""GSAS powder data (the GSAS manual, chapter on the histogram file): STD, ESD, FXY and FXYE.

geddes reads them too, but refuses what files in the field have: numbers of detectors above 1
before the counts, fields with no blank between, a type that is left out, a bare zero byte.
"""

import re

import numpy as np

from ...base.errors import XrdlibError
from . import several
from .header import probe_in, wavelength_in
from .scans import MAX_ROWS, Scan
from .steps import counts

_BANK = re.compile(
    r"^ *BANK[ \t]+(\d+)[ \t]+(\d+)[ \t]+(\d+)[ \t]+([A-Z_0-9]+)([^\n]*)", re.MULTILINE
)
_LAYOUTS = ("STD", "ESD", "FXY", "FXYE")
_DEGREES = 0.01  # angles are in hundredths


def looks_like(text):
    """Whether a text has the record that GSAS begins its data with."""
    return bool(_BANK.search(text, 0, 20_000))


def read(text, scan=None):
    """One bank of a file of GSAS, of no time-of-flight diffractometer."""
    banks = list(_BANK.finditer(text))
    ends = [*(bank.start() for bank in banks[1:]), len(text)]
    header = text[: banks[0].start()].splitlines()
    return several.pick(
        len(banks), scan, lambda i: _bank(banks[i], text[banks[i].end() : ends[i]], header), "GSAS"
    )


def _bank(bank, below, header):
    """The scan of one bank; `below` is what stands under its record."""
    n, binning, rest = int(bank[2]), bank[4], bank[5].split()
    if not binning.startswith("CON"):
        raise XrdlibError(
            f"cannot be read as GSAS, for its bins are {binning} (time of flight); give a scan "
            "over angles"
        )
    layout = next((word for word in rest if word in _LAYOUTS), "STD")
    start, step = _number(rest[:1]), _number(rest[1:2])
    lines = [line for line in below.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("#", "TIME_MAP"))]
    if n > MAX_ROWS or start is None or step is None:
        raise _damaged("its BANK record")
    x, y = _listed(lines, n) if layout.startswith("F") else (None, _binned(lines, n, layout))
    x = start + step * np.arange(n) if x is None else x
    metadata = {"title": (header or [""])[0].strip(), "probe": probe_in(header)}
    wavelength = wavelength_in(header)
    return Scan(_DEGREES * np.asarray(x), y, "GSAS", wavelength=wavelength, metadata=metadata)


def _binned(lines, n, layout):
    """Counts on constant steps; ESD lists each with its error."""
    y = counts(lines, n if layout == "STD" else 2 * n)
    if y is None:
        raise _damaged(f"{n} counts of layout {layout} are not there")
    return y if layout == "STD" else y[::2]


def _listed(lines, n):
    """Angles and counts, a point a line."""
    rows = [row for line in lines if len(row := line.replace(",", " ").split()) >= 2]
    try:
        table = [(float(row[0]), float(row[1])) for row in rows[:n]]
    except ValueError:
        raise _damaged("a row that is no numbers") from None
    if len(table) < n:
        raise _damaged(f"{len(table)} rows of {n}")
    return np.array(table).T


def _number(words):
    try:
        return float(words[0])
    except (ValueError, IndexError):
        return None


def _damaged(what):
    return XrdlibError(f"cannot be read as GSAS ({what}); export it again")
