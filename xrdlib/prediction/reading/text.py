"""Patterns in columns of text: which delimiter, which decimal sign, which column is what."""

import re

from ...base.errors import XrdlibError
from .header import axis_of_columns, fields, wavelength_in
from .scans import MAX_ROWS, Scan

MAX_LINE = 4000  # characters; a row of a table is shorter

_MAX_HEADER = 2000  # lines that are searched for a wavelength

_SAMPLE = 500  # lines that decide on the dialect

_COMMENT = ("#", "!", "%", "'", "//", "*", "@", ";")

_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1a"))

_WORDS = r"|[-+]?(?:nan|inf(?:inity)?)"  # not a number, but the right place for one

_POINT = r"(?:[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[ed][-+]?\d+)?" + _WORDS + ")"

_COMMA = r"(?:[-+]?(?:\d+(?:,\d*)?|,\d+)(?:[ed][-+]?\d+)?" + _WORDS + ")"

# (separator, number): the first of equals wins, so "5, 72" is two integers and not "5," and "72".
_DIALECTS = {
    (sep, number): re.compile(rf"\s*{number}(?:{between}{number})+{end}\s*", re.IGNORECASE)
    for sep, number, between, end in (
        (";", _POINT, r"\s*;\s*", r"(?:\s*;)?"),
        (";", _COMMA, r"\s*;\s*", r"(?:\s*;)?"),
        (None, _POINT, r"\s+", ""),
        (",", _POINT, r"\s*,\s*", r"(?:\s*,)?"),
        (None, _COMMA, r"\s+", ""),
    )
}

_ONE_NUMBER = re.compile(rf"\s*(?:{_POINT}|{_COMMA})\s*[,;]?\s*", re.IGNORECASE)


def decode(content):
    """Text of a file in UTF-8 or UTF-16 (with a byte-order mark) or Latin-1.

    Raises
    ------
    XrdlibError
        If the content is not text.
    """
    try:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return content.decode("utf-16")
        if content.translate(None, _CONTROL) != content:
            raise XrdlibError(
                "is binary and none of the formats known; export the scan as two columns of text"
            )
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return content.decode("latin-1")
    except UnicodeDecodeError:
        raise XrdlibError("is damaged UTF-16 text; save it again as UTF-8") from None


def parse(text, axis=None):
    """The scan in a table of text.

    Parameters
    ----------
    text : str
    axis : str, optional
        One of `scans.AXES`, in place of what the header says.

    Returns
    -------
    scans.Scan

    Raises
    ------
    XrdlibError
        If there is no table of two or more columns, or a row does not fit the others.
    """
    lines = _lines(text)
    dialect = _dialect(lines)
    header, rows, numbers = _split(lines, dialect)
    separator, number = dialect
    width = len(_fields(rows[len(rows) // 2], separator))
    if separator == "," and width >= 4 and width % 2 == 0 and not any("." in row for row in rows):
        raise XrdlibError(
            "uses the comma both inside numbers and between them; separate columns by semicolon "
            "or tab"
        )
    columns = axis_of_columns([line for line in header if line.strip()], width, separator, axis)
    header = header[:_MAX_HEADER]
    x, y = [], []
    for row, line in zip(rows, numbers, strict=True):
        values = _fields(row, separator)
        if len(values) != width:
            raise XrdlibError(
                f"line {line} has {len(values)} columns where others have {width}; repair it"
            )
        x.append(columns.factor * _number(values[columns.x], number is _COMMA))
        y.append(_number(values[columns.y], number is _COMMA))
    metadata = {"header": said} if (said := fields(header)) else {}
    return Scan(x, y, "text", columns.axis, wavelength_in(header), metadata)


def _lines(text):
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n\x1a \t")
    if text.count("\n") >= MAX_ROWS:
        raise XrdlibError(f"has more than {MAX_ROWS} lines; give one powder scan")
    lines = text.split("\n")
    if (longest := max(map(len, lines))) > MAX_LINE:
        raise XrdlibError(
            f"has a line of {longest} characters, so it is no table; give angle and intensity in "
            "columns, a point a line"
        )
    if '"' in text:  # quoted fields: a comma inside is a decimal sign
        lines = [re.sub(r'"([^"]*)"', lambda m: m[1].replace(",", "."), line) for line in lines]
    return lines


def _dialect(lines):
    """The (separator, number) that fits most lines of a sample from the middle and both ends."""
    n, third = len(lines), _SAMPLE // 3
    middle = max(n // 2 - third // 2, 0)
    sample = lines if n <= _SAMPLE else lines[:third] + lines[middle:][:third] + lines[-third:]
    sample = [_bare(line) for line in sample]
    scores = {key: sum(map(bool, map(row.fullmatch, sample))) for key, row in _DIALECTS.items()}
    best = max(scores, key=scores.get)
    if not scores[best]:
        if 2 * sum(map(bool, map(_ONE_NUMBER.fullmatch, sample))) > len(sample):
            raise XrdlibError("has one column; give angle and intensity in two")
        raise XrdlibError("holds no columns of numbers; give angle and intensity, a point a line")
    return best


def _bare(line):
    """A line without a remark at its end."""
    return line.split("#", 1)[0] if "#" in line else line


def _split(lines, dialect):
    """Header lines, rows of numbers, and the line numbers of these rows."""
    is_row = _DIALECTS[dialect].fullmatch
    header, rows, numbers = [], [], []
    for number, line in enumerate(lines, 1):
        if is_row(bare := _bare(line)):
            rows.append(bare)
            numbers.append(number)
        elif not rows:
            header.append(line)
        elif (mark := line.strip()) and not mark.startswith(_COMMENT):
            raise XrdlibError(
                f"line {number} ({mark[:30]!r}) is no row of numbers like those before it; "
                "repair or remove it"
            )
    return header, rows, numbers


def _fields(row, separator):
    values = row.split(separator)
    return values if values[-1].strip() else values[:-1]


def _number(value, decimal_comma):
    if decimal_comma:
        value = value.replace(",", ".")
    try:
        return float(value)
    except ValueError:  # Fortran's exponent, "1.5D+03"
        return float(value.upper().replace("D", "E"))
