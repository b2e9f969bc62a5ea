"""How the rows of a table of text are written: delimiter, decimal sign, thousands, masked cells."""

import re

import numpy as np

from ...base.errors import XrdlibError

COMMENT = ("#", "!", "%", "'", "//", "*", "@", ";", "&")
_SAMPLE = 500  # lines that decide on the dialect
QUOTED = "\u066b"  # a comma inside quotes, until the dialect says what it is
_SPACE = " \u00a0\u202f'"
_EXPONENT = r"(?:[ed][-+]?\d+)?"
_PLAIN = {
    "point": rf"[-+]?(?:\d+(?:\.\d*)?|\.\d+){_EXPONENT}",
    "comma": rf"[-+]?(?:\d+(?:[,{QUOTED}]\d*)?|[,{QUOTED}]\d+){_EXPONENT}",
}
# The same with marks between thousands; no angle has as many.
_GROUPED = {
    "point": rf"{_PLAIN['point']}|[-+]?\d{{1,3}}(?:[,{QUOTED}SPACE]\d{{3}})+(?:\.\d*)?",
    "comma": rf"{_PLAIN['comma']}|[-+]?\d{{1,3}}(?:[.SPACE]\d{{3}})+(?:[,{QUOTED}]\d*)?",
}
_MASK = r"[-+]?nan|[-+]?inf(?:inity)?|n/?a|none|null|masked|-+|\*+|\?|"
_WORDS = re.compile(_MASK, re.IGNORECASE)
_TIME = r"\d{1,2}:\d{2}[\d:.Z]*(?: ?[AP]M)?"
_DATE = rf"\d{{1,4}}[-/.]\d{{1,2}}[-/.]\d{{1,4}}(?:[T ]+{_TIME})?|{_TIME}"
# How columns are set apart: what stands between two, and how the table is split there.
_BETWEEN = {
    ";": r"\s*;\s*",
    "|": r"\s*\|\s*",
    ":": r"\s*:\s*",
    "\t": r" *\t *",
    ",": r"\s*,\s*",
    None: r"\s+",
}


class Dialect:
    """A delimiter and a decimal sign; `strict` finds rows, `lenient` those with masked cells."""

    def __init__(self, separator, decimal, grouped):
        self.separator, self.decimal, self.grouped = separator, decimal, grouped
        between = _BETWEEN[separator]
        first = _PLAIN[decimal]
        space = _SPACE if separator else "'"
        other = _GROUPED[decimal].replace("SPACE", space) if grouped else first
        lead = rf"\s*(?:(?:{_DATE}{'|' if separator else ''}){between})*"
        mask = _MASK if separator else _MASK.rstrip("|")
        end = rf"(?:{between}.*|\s*)" if separator else r"(?:\s.*)?"
        self.strict = re.compile(rf"{lead}(?:{first}){between}(?:{other}){end}", re.IGNORECASE)
        self.lenient = re.compile(
            rf"{lead}(?:{first}|nan){between}(?:{other}|{mask}){end}", re.IGNORECASE
        )
        self.cell = re.compile(rf"(?:{other}|{mask or ' '})", re.IGNORECASE)

    def cells(self, row):
        """A row as a list of texts."""
        return [cell.strip() for cell in row.split(self.separator)]

    def number(self, cell):
        """A cell as a number; NaN where it is masked or none."""
        if self.decimal == "point" and "_" not in cell:  # most files, and fast
            try:
                return float(cell)
            except ValueError:
                pass
        if _WORDS.fullmatch(cell) or not self.cell.fullmatch(cell):
            return np.inf if cell.lower().lstrip("+-").startswith("inf") else np.nan
        if self.grouped:
            marks = f",{QUOTED}" if self.decimal == "point" else "."
            cell = re.sub(rf"(?<=\d)[{marks}{_SPACE}](?=\d{{3}}(?!\d))", "", cell)
        if self.decimal == "comma":
            cell = cell.replace(",", ".").replace(QUOTED, ".")
        return float(cell.lower().replace("d", "e"))


# The first of equals wins, so "5, 72" is two integers and not "5," and "72".
_DIALECTS = [
    Dialect(separator, decimal, grouped)
    for grouped, decimal, separators in (
        (False, "point", ";"), (False, "comma", ";"), (True, "point", "\t"),
        (False, "point", (None, ",")), (False, "comma", (",", None)), (True, "point", ";"),
        (True, "comma", ";\t"), (True, "point", (",", None)), (True, "comma", (None,)),
        (False, "point", "|"), (False, "comma", "|"), (False, "point", ":"), (False, "comma", ":"),
    )
    for separator in separators
]  # fmt: skip
_ONE_NUMBER = re.compile(rf"\s*(?:{_PLAIN['point']}|{_PLAIN['comma']})\s*[,;]?\s*", re.IGNORECASE)


def dialect_of(lines):
    """The dialect that fits most lines of a sample from the middle and both ends."""
    n, third = len(lines), _SAMPLE // 3
    middle = max(n // 2 - third // 2, 0)
    sample = lines if n <= _SAMPLE else lines[:third] + lines[middle:][:third] + lines[-third:]
    sample = [bare(line) for line in sample]
    scores = [sum(map(bool, map(each.strict.fullmatch, sample))) for each in _DIALECTS]
    if not max(scores):
        if 2 * sum(map(bool, map(_ONE_NUMBER.fullmatch, sample))) > len(sample):
            raise XrdlibError("has one column; give angle and intensity in two")
        raise XrdlibError("holds no columns of numbers; give angle and intensity, a point a line")
    return _DIALECTS[scores.index(max(scores))]


def bare(line):
    """A line without a remark at its end; NaN for what Fortran of Windows makes of it."""
    line = re.sub(r"-?1\.?#(?:QNAN|IND|INF)\w*|#N/A", "nan", line) if "#" in line else line
    return re.split(r"#|(?<=[\d\s])(?:'(?!\d{3}\b)|!|//|/\*)", line, maxsplit=1)[0]
