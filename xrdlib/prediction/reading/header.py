"""What the header of a text file says: the columns, their unit, the wavelength, other fields."""

import math
import re
from typing import NamedTuple

from ...base.errors import XrdlibError
from .scans import anode_line

_TWO_THETA = re.compile(
    r"(?:2|two)[\s_*-]*(?:th|θ|ϑ|q\b)|(?:theta|θ)\s*[-/]\s*2|tth\b|(?:angle|pos)\b"
)

_D = re.compile(r"d[\s_-]*(?:spacings?|values?|hkl)?(?![\w.])")

_Q = re.compile(r"q(?:[\s_-]*(?:value|vector))?(?![\w.])|scattering vector")

# Positions that would pass for degrees and are none.
_OTHER = re.compile(
    r"(?:theta|θ|omega|ω|chi|phi|tof|time|energy|e\b|channel|s\b|1/d|sin|r\b|wave|raman|frequency)"
)

_INTENSITY = re.compile(
    r"(?:intensit|int\b|i\b|i_?obs|i\(|counts?|cps|y_?obs|y\b|obs|net|signal|psd|det)"
)

_NOT_INTENSITY = re.compile(r"calc|back|bkg|bg|sigma|err|esd|std|weight|diff")

_MARKS = "#!%'/*@;$[]{}\" \t°"

_ANODES = "Cr|Fe|Co|Cu|Mo|Ag"

_LINE = re.compile(rf"\b({_ANODES})[\s_-]*K[\s_-]*(?:alpha|α|a)", re.IGNORECASE)

# "Co." is more often a company than cobalt.
_TUBE = re.compile(
    rf"(?i:anode|target|tube|radiation)\W[^\n]{{0,30}}?\b({_ANODES}|{_ANODES.upper()})\b(?!\.)"
)

_WAVELENGTH = re.compile(
    r"(?:wave[\s_-]*length|lambda|λ|_WL)[\s_]*(?:k[\s_-]?)?(?:a(?:lpha)?|α)?[\s_-]?1?\b"
    r"|k[\s_-]?(?:alpha|α)[\s_-]?1\b(?:[\s_-]*wave[\s_-]*length)?",
    re.IGNORECASE,
)

_VALUE = re.compile(r"[^\d\n]{0,40}?(?<![\d.])(\d+[.,]\d+|\.\d+)\s*(nm|pm)?\b", re.IGNORECASE)

_NOT_STRONG = re.compile(r"alpha[\s_-]?2|α[\s_-]?2|beta|β|_WL2|ratio", re.IGNORECASE)

_FIELD = re.compile(r"[#!%'/*@;_\s\"]*([^=:,\t]{1,60}?)\s*[=:,\t]\s*(.*\S)")

_MAX_FIELDS = 200


class Columns(NamedTuple):
    """Axis of the positions, factor to its unit, and the indices of the two columns."""

    axis: str
    factor: float
    x: int
    y: int


def axis_of_columns(header, width, separator, axis=None):
    """Which columns hold positions and intensities, and on what axis.

    Parameters
    ----------
    header : sequence of str
        Lines above the table.
    width : int
        Number of columns.
    separator : str or None
        Of the table; None for white space.
    axis : str, optional
        What the caller says the axis is.

    Returns
    -------
    Columns

    Raises
    ------
    XrdlibError
        If the positions are named as something that cannot become 2theta.
    """
    for line in header[:-6:-1]:
        for names in _names(line, separator):
            if len(names) == width and (found := _from_names(names, axis)):
                return found
        line = line.strip(_MARKS).lower()
        # A title of the axis alone, as in CHI files, or names that hold blanks.
        if (kind := _kind(line)) and (len(line) < 40 and _surely(line)):
            if axis in (None, kind):
                return Columns(kind, _factor(kind, line), 0, 1)
    return Columns(axis or "two_theta", 1.0, 0, 1)


def _names(line, separator):
    """A header line split in the ways that headers are."""
    line = line.strip(_MARKS).lower()
    for split in (separator, "\t", ",", ";", "  ", None):
        names = re.split(r"\s{2,}", line) if split == "  " else line.split(split)
        while names and not names[-1].strip():
            names.pop()
        yield [name.strip(_MARKS) for name in names]


def _from_names(names, axis):
    """Columns by their names, or None where the line names nothing."""
    kinds = [_kind(name) for name in names]
    values = [
        i for i, n in enumerate(names) if _INTENSITY.match(n) and not _NOT_INTENSITY.search(n)
    ]
    for wanted in [axis] if axis else ["two_theta", "d", "q"]:
        if wanted in kinds:
            x = kinds.index(wanted)
            y = next((i for i in values if i != x), None)
            if y is None and not _surely(names[x]):
                continue
            y = (x + 1 if x + 1 < len(names) else 0) if y is None else y
            return Columns(wanted, _factor(wanted, names[x]), x, y)
    if not values:
        return None
    y = next((i for i in values if i > 0), 1)
    if axis:
        return Columns(axis, 1.0, 0, y)
    if _OTHER.match(names[0]):
        raise XrdlibError(
            f"the first column is called {names[0]!r}; give 2theta, d or q, or say what it is "
            "with axis="
        )
    return Columns("two_theta", 1.0, 0, y)


def _kind(name):
    if _TWO_THETA.match(name):
        return "two_theta"
    return "d" if _D.match(name) else "q" if _Q.match(name) else None


def _surely(name):
    """Whether a name is that of an axis beyond doubt: it has a unit or is long."""
    return bool(
        re.search(r"[(\[/,].*(?:deg|°|rad|å|a\b|ang|nm|pm)", name)
        or re.match(r"(?:2|two)[\s_*-]*(?:th|θ)|tth|d[\s_-]*(?:spacing|value)", name)
    )


def _factor(kind, name):
    """From the unit in a name to degrees, angstrom or 1/angstrom."""
    unit = name[1:]
    if kind == "two_theta":
        return math.degrees(1) if re.search(r"\brad", unit) else 1.0
    if re.search(r"\bnm", unit):
        return 10.0 if kind == "d" else 0.1
    if re.search(r"\bpm", unit):
        return 0.01 if kind == "d" else 100.0
    return 1.0


def wavelength_in(lines):
    """Wavelength in angstrom that header lines state, by number or by anode, or None.

    The K-alpha1 line goes before a mean, and a number before an anode.
    """
    found = None
    for line in lines:
        if _NOT_STRONG.search(line) and not re.search(r"(?:alpha|α)[\s_-]?1|_WL1", line, re.I):
            continue
        if (key := _WAVELENGTH.search(line)) and (value := _VALUE.match(line, key.end())):
            unit = {"nm": 10.0, "pm": 0.01}.get((value[2] or _unit(line)).lower(), 1.0)
            number = float(value[1].replace(",", ".")) * unit
            if re.search(r"1\b", key[0]):
                return number
            found = found or number
    anodes = (m[1] for line in lines for m in [_LINE.search(line) or _TUBE.search(line)] if m)
    return found or next(map(anode_line, anodes), None)


def _unit(line):
    found = re.search(r"[(\[]\s*(nm|pm)\s*[)\]]", line, re.IGNORECASE)
    return found[1] if found else ""


def fields(lines):
    """ "key = value" lines of a header as a dict."""
    found = {}
    for match in filter(None, (_FIELD.match(line[:600]) for line in lines[:2000])):
        if len(found) < _MAX_FIELDS and match[1].strip() and not _kind(match[1].strip().lower()):
            found.setdefault(match[1].strip(), match[2].strip("\"'"))
    return found
