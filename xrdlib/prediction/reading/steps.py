"""Step scans as text: a first angle, a step and a last angle, then nothing but counts.

Many programs of the last decades write them, each with a head of its own: a row of `_FORMS` for
each. The number of counts that the angles ask for must be there, else it is no such file.
"""

import re

import numpy as np

from ...base.errors import XrdlibError
from ...base.patterns import MIN_POINTS
from . import several
from .header import probe_in, wavelength_in
from .scans import MAX_ROWS, Scan, anode_line

_N = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_GAP = r"(?:,?\s+|,)"
_SEPARATOR = re.compile(r"[\s,;]+")
_FIELD = 8  # characters of a count in the old Fortran layouts
_DETECTORS = re.compile(r"[ \d]\d +[-\d.]+ *$")  # how many of them gave the count that follows
_ENDS = {0.0, -1.0, -1000.0}  # what may follow the last count
_HEAD = 40  # lines that are searched for the angles
_FLAGS = re.MULTILINE | re.DOTALL
# Format -> (how its text begins, a whole scan of it). Scans of one text follow each other.
_FORMS = {
    "Rigaku ASCII": (
        r"\*TYPE\s*=",
        rf"^\*BEGIN\b(?:(?!^\*BEGIN\b).)*?^\*START\s*=\s*(?P<start>{_N})"
        rf"(?:(?!^\*BEGIN\b).)*?^\*STOP\s*=\s*(?P<stop>{_N})"
        rf"(?:(?!^\*BEGIN\b).)*?^\*STEP\s*=\s*(?P<step>{_N})"
        r"(?:(?!^\*BEGIN\b).)*?^\*COUNT\s*=[^\n]*\n(?P<counts>[^*]*)",
    ),
    "Philips UDF": (
        r"SampleIdent,|Title1?,[^\n]*/",
        rf"DataAngleRange,\s*(?P<start>{_N})\s*,\s*(?P<stop>{_N}).*?"
        rf"ScanStepSize,\s*(?P<step>{_N}).*?^RawScan[,/\s]*\n(?P<counts>[^/]*)",
    ),
    "Sietronics CPI": (
        r"SIETRONICS",
        rf"\A[^\n]*\n\s*(?P<start>{_N})\s*\n\s*(?P<stop>{_N})\s*\n\s*(?P<step>{_N})\s*\n"
        rf"\s*(?P<anode>[A-Za-z]*)\s*\n\s*(?P<wavelength>{_N})?[^\n]*\n.*?^SCANDATA\s*\n"
        r"(?P<counts>.*)",
    ),
    "Jade MDI": (
        r"[^\n]*\n\s*(?:" + _N + r"\s+){3}[A-Za-z]",
        rf"\A[^\n]*\n\s*(?P<start>{_N})\s+(?P<step>{_N})\s+{_N}\s+(?P<anode>[A-Za-z]+)\w*\s+"
        rf"(?P<wavelength>{_N})\s+(?P<stop>{_N})\s+\d+\.?[^\n]*\n(?P<counts>.*)",
    ),
}
_TYPED = re.compile(r"^\*(?:SCAN_AXIS|AXIS_?NAME|SCANAXIS)\s*=\s*(.*)", re.MULTILINE)


def read(text, scan=None):
    """The scan of a text of angles and counts, or None where it is none; lines end with \\n."""
    start = text.lstrip()
    for name, (begins, whole) in _FORMS.items():
        if re.match(begins, start, re.DOTALL):
            matches = list(re.finditer(whole, start, _FLAGS))
            if not matches and re.search(r"^(?:RawScan|SCANDATA|\*COUNT)\b", start, re.MULTILINE):
                raise XrdlibError(f"is a {name} file without angles and counts; export it again")
            if matches:
                return _picked(name, start, matches, scan)
    return _plain(text)


def _picked(name, text, matches, scan):
    return several.pick(len(matches), scan, lambda i: _formed(name, text, matches[i]), name)


def _formed(name, text, match):
    """The scan in a match of one of the forms."""
    fields = match.groupdict()
    if (typed := _TYPED.search(text[: match.end()])) and not re.search("2|two", typed[1].lower()):
        raise XrdlibError(f"is a {name} scan over {typed[1].strip()[:20]}; give one over 2theta")
    lines = [line for line in fields["counts"].splitlines() if re.search(r"\d|\*", line)]
    angles = fields["start"], fields["step"], fields["stop"]
    filled = _filled(*angles, lines, rounded=True)
    aborted = None if filled else _aborted(*angles, lines)
    if not (filled or aborted):
        raise XrdlibError(f"is a {name} file with {_misfit(lines, *angles)}; export it again")
    header = text[: match.start("counts")].splitlines()
    stated = fields.get("wavelength")
    wavelength = float(stated) if stated else wavelength_in(header)
    wavelength = wavelength or anode_line(fields.get("anode"))
    return _scan(name, *(filled or aborted), wavelength, header, aborted=bool(aborted))


def _plain(text):
    """A text with three angles in one of its first lines, as FullProf, DBWS, LHPM and PSI have."""
    text = re.sub(r"\A\s*/\*.*?\*/", "", text, flags=re.DOTALL)  # XDD
    lines = text.split("\n")
    misfit = cut = None
    for i, line in enumerate(lines[:_HEAD]):
        match = re.match(rf"\s*({_N})({_GAP})({_N}){_GAP}({_N})(?![\w.])", line)
        if match is None or (match[2] == "," and "." not in match[0]):  # a decimal comma
            continue
        first, second, third = match.group(1, 3, 4)
        for step, stop in ((second, third), (third, second)):
            if _points(first, step, stop) is None:
                continue
            rows = _numeric(lines[i + 1 :])
            if not rows or _table(rows[:4], float(first)):
                continue
            if filled := _filled(first, step, stop, rows):
                header = lines[: i + 1]
                return _scan("step scan", *filled, wavelength_in(header), header)
            if len(_split(rows[len(rows) // 2])) >= 4:
                misfit = misfit or _misfit(rows, first, step, stop)
                if not cut and _block(rows) and (short := _aborted(first, step, stop, rows)):
                    header = lines[: i + 1]
                    cut = _scan("step scan", *short, wavelength_in(header), header, aborted=True)
    if cut:
        return cut
    if misfit:
        raise XrdlibError(f"is a step scan as text with {misfit}; export it again")
    return _ill(lines)


def _ill(lines):
    """A scan of the ILL's D1A and D2B: a title, the step, the first angle, the monitor; -1000."""
    head = [re.findall(_N, line) for line in lines[1:4]]
    if len(head) < 3 or not any("-1000" in line for line in lines[-4:]) or not all(head):
        return None
    step, start = float(head[0][-1]), float(head[1][0])
    fields = [field for line in _numeric(lines[4:]) for field in _cut(line)]
    y = [float(field[2:] or "nan") for field in fields]
    end = next((i for i, value in enumerate(y) if value == -1000), len(y))
    header = [*lines[:4], "D1A"]
    return _scan("ILL", start + step * np.arange(end), y[:end], wavelength_in(header), header)


def _scan(name, x, y, wavelength, header, aborted=False):
    title = next((line.strip() for line in header if line.strip()), "")
    metadata = {"title": title[:200], "probe": probe_in(header)}
    metadata["notes"] = ["aborted"] if aborted else None
    return Scan(x, y, name, wavelength=wavelength, metadata=metadata)


def _points(start, step, stop):
    """How many points a range holds, a fraction too, or None where it is no range of a scan."""
    start, step, stop = float(start), float(step), float(stop)
    if not (step > 0 and -180 <= start < stop <= 180):
        return None
    n = (stop - start) / step + 1
    return n if MIN_POINTS <= n <= MAX_ROWS else None


def _filled(start, step, stop, lines, rounded=False):
    """Angles and counts of lines that fill a range, whose step may be rounded, or None."""
    if (n := _points(start, step, stop)) is None:
        return None
    start, size, stop = float(start), float(step), float(stop)
    for whole in dict.fromkeys((round(n), int(n), int(n) + 1)):
        if y := counts(lines, whole):
            return start + size * np.arange(whole), y
    # The step of a strip detector has more digits than some programs write.
    whole = sum(len(_split(line)) for line in lines)
    rounding = min(0.5 * 10.0 ** -len(step.partition(".")[2]), 0.1 * size)
    if rounded and whole >= MIN_POINTS and abs((stop - start) / (whole - 1) - size) <= rounding:
        if y := counts(lines, whole):
            return np.linspace(start, stop, whole), y
    return None


def _aborted(start, step, stop, lines):
    """Angles and counts of a scan that ended before its range did, or None."""
    y = [_value(token) for line in lines for token in _split(line)]
    n = _points(start, step, stop)
    if n is None or not MIN_POINTS <= len(y) < n or None in y:
        return None
    return float(start) + float(step) * np.arange(len(y)), y


def _block(rows):
    """Whether rows are a block of counts, which all hold as many but for the last."""
    widths = [len(_split(row)) for row in rows]
    return len(set(widths[:-1])) == 1 and widths[-1] <= widths[0]


def _misfit(lines, start, step, stop):
    number = sum(len(_split(line)) for line in lines)
    return f"{number} counts for {start} to {stop} degrees in steps of {step}"


def _numeric(lines):
    """The lines that follow each other and hold numbers only, blank ones left out."""
    rows = []
    for line in lines:
        if not line.strip():
            continue
        if not re.fullmatch(r"[-+\d.eE,;*\s/]+", line) or not re.search(r"\d", line):
            break
        rows.append(line.rstrip().rstrip("/"))
    return rows


def _table(rows, first):
    """Whether rows are those of a table that begins at the first angle itself."""
    starts = [float(match[1]) for row in rows if (match := re.match(rf"\s*({_N})", row))]
    widths = {len(_split(row)) for row in rows}
    return (
        len(widths) == 1
        and len(starts) == len(rows) > 1
        and abs(starts[0] - first) <= 2 * abs(starts[1] - starts[0]) <= 2
        and all(a < b for a, b in zip(starts, starts[1:], strict=False))
    )


def counts(lines, n):
    """The n counts in lines of text, or None where there are not as many.

    They may be followed by as many errors or by zeros that fill a line, stand each behind its
    number of detectors, or fill fields of eight characters with no blank between.
    """
    if sum(map(len, lines)) < n:
        return None
    tokens = [token for line in lines for token in _split(line)]
    values = list(map(_value, tokens))
    if None not in values:
        if len(values) == n or (n < len(values) < n + 10 and set(values[n:]) <= _ENDS):
            return values[:n]
        if 2 * n <= len(values) < 2 * n + 10:
            return _beside(values[: 2 * n])
    fields = [field for line in lines for field in _cut(line)]
    if not n <= len(fields) < n + 10:
        return None
    behind = any(map(_DETECTORS.match, fields))
    values = [_value((field[2:] if behind else field).strip()) for field in fields]
    return None if None in values or any(values[n:]) else values[:n]


def _beside(values):
    """Counts that stand behind their numbers of detectors, or with errors beside or after them."""
    first, second = values[::2], values[1::2]
    if all(v.is_integer() and 0 < v < 100 for v in first) and len(set(first)) < 20:
        return second
    half = len(first)
    return min((first, second), (values[:half], values[half:]), key=lambda pair: _scatter(*pair))[0]


def _scatter(y, error):
    """How far errors are from a multiple of the root of the counts, as those of counting are."""
    y, error = np.array(y), np.array(error)
    known = (y > 0) & (error > 0)
    return np.std(np.log(y[known] / error[known] ** 2)) if known.any() else np.inf


def _cut(line):
    """A line in fields of eight characters."""
    line = line.rstrip().expandtabs(8)
    return [line[i : i + _FIELD] for i in range(0, len(line), _FIELD)]


def _split(line):
    return [token for token in _SEPARATOR.split(line) if token]


def _value(token):
    """The number that a token is; NaN for what overflowed its field; None where it is neither."""
    try:
        return float(token)
    except ValueError:
        return float("nan") if token and not token.strip("*") else None
