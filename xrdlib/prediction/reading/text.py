"""Patterns in columns of text: which delimiter, which decimal sign, which column is what."""

import re
from collections import Counter

import numpy as np

from ...base.errors import XrdlibError
from . import several
from .axes import axis_of_columns, names_an_axis
from .decode import MAX_COLUMNS, MAX_LINE, upright
from .dialect import COMMENT, QUOTED, bare, dialect_of
from .header import fields, probe_in, wavelength_in
from .scans import MAX_ROWS, MIN_POINTS, Scan

_MAX_HEADER = 2000  # lines that are searched for a wavelength
_BRAGG = 3e-3  # relative; a d-spacing of 1.2 with two decimals
_LEAD = 5  # rows of numbers before the table that may belong to the header
_RULE = re.compile(r"[\s|+:=-]*")
_FRAME = re.compile(r"^\s*\|(.*?)\|?\s*$")
_UNEVEN = 10  # ratio of the steps of positions that are no angles, at their outer tenths
_THREE = re.compile(r"\d{3}")


def parse(text, axis=None, scan=None):
    """The scan in a table of text.

    Parameters
    ----------
    text : str
    axis : str, optional
        One of `scans.AXES`, in place of what the header says.
    scan : int, optional
        Which of several scans below each other, counted from 1.
    """
    lines = _lines(upright(text))
    dialect = dialect_of(lines)
    header, rows = _split(lines, dialect)
    width = len(rows[len(rows) // 2][1])
    header = [line for line in header if line.strip()]
    columns = axis_of_columns(header, width, dialect.separator, axis)
    leading = range(min(min(len(row) for _, row in rows), MAX_COLUMNS))
    looked = len(leading) > 2 or not columns.named
    table = [_column(dialect, rows, i) for i in leading] if looked else []
    stated = wavelength_in(header[:_MAX_HEADER]) or _unlabelled(header)
    if not columns.named:
        columns = _unnamed(table, columns)
    if columns.y is None:
        columns = columns._replace(y=_intensity(table, columns.x))
    if stated is None and columns.axis == "two_theta":
        stated = _implied(table, columns)
    x, y = (
        table[i] if i < len(table) else _column(dialect, rows, i) for i in (columns.x, columns.y)
    )
    x = columns.factor * x
    if axis is None:
        _check_unit(columns, x, stated)
    metadata = {"header": fields(header), "probe": probe_in(header)}
    parts = _parts(x)
    return several.pick(
        len(parts),
        scan,
        lambda i: Scan(x[parts[i]], y[parts[i]], "text", columns.axis, stated, metadata),
        "text",
    )


def _parts(x):
    """Where the scans are that stand below each other, each with positions that begin anew."""
    step = np.diff(x)
    back = step < 0 if np.nansum(np.sign(step)) > 0 else step > 0
    edges = [0, *(np.flatnonzero(back) + 1), len(x)]
    if min(np.diff(edges)) < MIN_POINTS:  # no scans, but an error in the table
        return [slice(None)]
    return [slice(a, b) for a, b in zip(edges, edges[1:], strict=False)]


def _lines(text):
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n\x1a ")
    if text.count("\n") >= MAX_ROWS:
        raise XrdlibError(f"has more than {MAX_ROWS} lines; give one powder scan")
    lines = text.split("\n")
    longest = max((len(line) for line in lines if not line.lstrip().startswith(COMMENT)), default=0)
    if longest > MAX_LINE:
        raise XrdlibError(
            f"has a line of {longest} characters, so it is no table; give angle and intensity in "
            "columns, a point a line"
        )
    if "|" in text:  # a table in Markdown, or drawn
        lines = ["" if _RULE.fullmatch(line) else _FRAME.sub(r"\1", line) for line in lines]
    if '"' in text:
        lines = [re.sub(r'"([^"]*)"', lambda m: m[1].replace(",", QUOTED), line) for line in lines]
    return lines


def _split(lines, dialect):
    """Header lines, and the rows of the table as (line number, cells)."""
    header, rows, odd = [], [], None
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith(COMMENT):
            header += [] if rows else [line]
        elif dialect.lenient.fullmatch(row := bare(line)):
            cells = dialect.cells(row)
            few = odd and len(rows) <= _LEAD
            if few and (names_an_axis(odd[1]) or len(cells) != len(rows[0][1])):
                header, rows, odd = lines[: number - 1], [], None
            if odd:
                raise XrdlibError(
                    f"line {odd[0]} ({odd[1][:30]!r}) is no row of numbers like those before it; "
                    "repair or remove it"
                )
            rows.append((number, cells))
        elif not rows:
            header.append(line)
        elif mark := line.strip():
            odd = odd or (number, mark)  # a footer, if no row follows
    return _even(header, rows, lines, dialect)


def _even(header, rows, lines, dialect):
    """The same, checked: all rows as wide as most, but for lists beside the table that end."""
    # Numbers to begin with; remarks in words do not count.
    widths = []
    for _, cells in rows:
        width = next((i for i, c in enumerate(cells) if not dialect.cell.fullmatch(c)), len(cells))
        widths.append(width)
    if (dialect.separator, dialect.decimal) == (",", "point") and min(widths) >= 3:
        last = [cells[-1] for _, cells in rows]
        decimals = not min(widths) % 2 and not any("." in c for _, cells in rows for c in cells)
        # Such as 10.05,1,035: no other number begins with a zero.
        thousands = all(map(_THREE.fullmatch, last)) and any(c.startswith("0") for c in last)
        if decimals or thousands:
            raise XrdlibError(
                "uses the comma both inside numbers and between them; separate columns by "
                "semicolon or tab"
            )
    if rows[0][1][0] == str(len(rows) - 1):  # how many rows follow
        header, rows, widths = [*header, lines[rows[0][0] - 1]], rows[1:], widths[1:]
    usual = Counter(widths).most_common(1)[0][0]
    first = widths.index(usual)
    named = bool(header) and names_an_axis(header[-1])
    if 0 < first <= _LEAD and not named:
        header = [*header, *(lines[number - 1] for number, _ in rows[:first])]
        rows, widths = rows[first:], widths[first:]
    falling = all(a >= b for a, b in zip(widths, widths[1:], strict=False)) and min(widths) > 2
    odd = next((i for i, width in enumerate(widths) if width != usual), None)
    if odd is not None and not falling:
        raise XrdlibError(
            f"line {rows[odd][0]} has {widths[odd]} columns where others have {usual}; repair it"
        )
    return header, rows


def _column(dialect, rows, i):
    """A column as numbers; NaN where a row has none."""
    values = np.full(len(rows), np.nan)
    for k, (_, cells) in enumerate(rows):
        if i < len(cells):
            values[k] = dialect.number(cells[i])
    return values


def _unlabelled(header):
    """A wavelength without a label: DASH's first line, the second of FullProf's PRF; or None."""
    for line, pattern in zip(
        header, (r"\s*(\d?\.\d{2,})\s*", r"\s*\d+\s+\d+\s+(\d\.\d{3,})\s+\d\.\d.*"), strict=False
    ):
        if (match := re.fullmatch(pattern, line)) and 0.1 <= float(match[1]) <= 2.6:
            return float(match[1])
    return None


def _unnamed(table, columns):
    """Columns without names.

    The position is the first column that rises or falls throughout, but for one that counts the
    points; 2theta goes before theta. Angles beside d-spacings are known by Bragg's law. What rises
    or falls throughout is no intensity where another column can be one.
    """
    steady = [i for i, values in enumerate(table) if _monotone(values)]
    varied = [i for i, v in enumerate(table) if i not in steady and np.isfinite(v).any()]
    if (
        len(steady) > 1
        and set(np.diff(table[steady[0]])) == {1.0}
        and table[steady[0]][0] in (0, 1)
    ):
        steady = steady[1:]
    x = next(iter(steady), columns.x)
    pairs = [(*_bragg(table[i], table[j]), i) for i in steady for j in steady if i != j]
    if pairs and min(pairs)[0] < _BRAGG:
        x = min(pairs)[2]
        columns = columns._replace(named=True, unit=True)
    elif len(steady) > 1 and np.allclose(2 * table[x], table[steady[1]], rtol=1e-3):
        x = steady[1]
    if columns.y == x or columns.y not in varied:
        columns = columns._replace(y=_intensity(table, x))
    return columns._replace(x=x)


def _intensity(table, x):
    """The first column behind the positions, else before, that neither rises nor falls throughout.

    Two columns need no such look, and counts may well rise in them.
    """
    varied = [
        i for i, v in enumerate(table) if i != x and not _monotone(v) and np.isfinite(v).any()
    ]
    return next((i for i in varied if i > x), next(iter(varied), x + 1 if x == 0 else x - 1))


def _implied(table, columns):
    """The wavelength for which the angles belong to another column, of d-spacings; or None."""
    if columns.x >= len(table):
        return None
    others = (d for i, d in enumerate(table) if i != columns.x and _monotone(d))
    spread, wavelength = min((_bragg(table[columns.x], d) for d in others), default=(np.inf, None))
    return wavelength if spread < _BRAGG and columns.factor == 1 else None


def _monotone(values):
    if np.isinf(values).any():
        return False
    step = np.diff(values)
    return len(step) > 1 and bool((step >= 0).all() or (step <= 0).all()) and step.any()


def _bragg(angle, d):
    """How far angles and d-spacings are from Bragg's law, and the wavelength."""
    with np.errstate(all="ignore"):
        wavelength = 2 * d * np.sin(np.radians(angle) / 2)
    middle = float(np.median(wavelength))
    if not 0.1 < middle < 5:
        return np.inf, middle
    return float(np.quantile(np.abs(wavelength / middle - 1), 0.9)), round(middle, 4)


def _check_unit(columns, x, wavelength):
    """Refuse positions that may well be in another unit than is assumed where none is stated."""
    top = np.nanmax(np.abs(x)) if np.isfinite(x).any() else np.nan
    if columns.unit or len(x) < MIN_POINTS:
        return
    limits = {"q": (top > 15, "1/angstrom or 1/nm"), "d": (top < 2, "angstrom or nm")}
    doubtful, units = limits.get(columns.axis, (False, ""))
    if doubtful and columns.named:
        raise XrdlibError(
            f"{columns.axis} runs to {top:g} and no unit is given; write {units} behind its name"
        )
    low, high = np.nanquantile(np.abs(np.diff(x)), (0.1, 0.9))
    if not columns.named and _monotone(x) and high > _UNEVEN * low > 0:
        raise XrdlibError(
            "positions are not named, and their steps are as uneven as those of d-spacings; say "
            "with axis= whether they are two_theta, d or q"
        )
    if not columns.named and 0 <= np.nanmin(x) < 2 and top < 15 and wavelength is None:
        raise XrdlibError(
            f"positions run to {top:g} only and are not named; say with axis= whether they are "
            "two_theta, d or q"
        )
