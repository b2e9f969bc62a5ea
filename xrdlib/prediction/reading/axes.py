"""What the header of a table says of its columns: which is the position, on what axis and unit."""

import math
import re
from typing import NamedTuple

from ...base.errors import XrdlibError

_MARKS = "#!%'/*@;:$[]{}\" \t°"
# Spellings of one thing, brought to one form before anything is looked up.
_SPELLINGS = (
    (r"[_|]", " "),
    (r"\\305|\\aa\b|\u212b|[aå]ngstr[öo]e?ms?|å+", "å"),
    (r"⁻|−|–|\\-", "-"),
    (r"¹|\\1", "1"),
    (r"²", "2"),
    (r"(?<=[amå])[\s-]*inv\b", "-1"),
    (r"\b(?:inverse|reciprocal|inv|per)\b\s*", "1/"),
    (r"[$\\{}^]", ""),
)
# Names that begin like this are axes; what stands before ("x:", "column 1 =") does not count.
_BEFORE = re.compile(
    r"^(?:(?:x[\s-]*(?:axis|units?|label|title)?|col(?:umn)?\s*[01xa]|units?|axis|abscissa|data"
    r"|radial\s+unit)\b\"?(?:\s*[:=,\u066b(]|\s+is\b)?|1\s*[:=)])\s*"
)
_ALL_NAMES = re.compile(r"^(?:col(?:umn)?s?(?:\s+names)?|names|labels?|fields|header)\s*[:=]\s*")
_AXES = (
    (
        "two_theta",
        re.compile(
            r"(?:2|two|degrees?\s+2|deg\.?\s+2)[\s*-]*(?:th(?:eta)?|θ|ϑ|q\b|t\b)"
            r"|t[\s-]*th(?:eta)?\b|(?:theta|θ)\s*[-/]\s*2\s*(?:theta|th|θ)?|(?:(?:diffraction|scattering)\s+)?angle\b"
            r"|pos(?:ition)?\b|deg(?:ree)?s?\W*$"
        ),
    ),
    (
        "d",
        re.compile(
            r"d(?:[\s-]*(?:spac(?:ings?|e)|values?|hkl))?(?![\w.*-])"
            r"|d(?=[\s-]+1?/?(?:å|a|nm|pm)\b)|(?:interplanar|lattice)[\s-]+(?:spacing|distance)"
        ),
    ),
    (
        "q",
        re.compile(
            r"q(?:[\s-]*(?:values?|vals?|vector|space|axis|range))?(?![\w.*-])"
            r"|q(?=[\s-]+1?/?(?:å|a|[nupµcm]?m)\b|-?(?:nm|å)-)|scattering\s+vector"
            r"|(?:momentum|wave\s?vector)\s+transfer"
        ),
    ),
)
# Positions that would pass for degrees and are none.
_OTHER = re.compile(
    r"(?:1/(?!å|a\b|nm|pm)|theta|θ|bragg|λ|stol\b|bin\b|index\b|k\s*[(\[/]|2\s*\*?\s*(?:pi|π)|omega|ω|chi\b|phi\b|psi\b|azimuth|eta\b|tof|time|energy|e\b|channel|pixel|px\b"
    r"|row\b|strip|s\b|d\s*\*|1/d|sin|log|ln\b|arc|r\b|radi(?:us|al)|distance|wave|raman"
    r"|frequency|temp|q\s*[xyz*]|q\s*2|exit|incident|x\s*[(/]?\s*(?:mm|cm|pixel|px)|mm\b|cm\b)"
)
_INTENSITY = re.compile(
    r"(?:intensit|inten\b|int\b|i\b|i\s?(?:_|-)?obs|i\(|counts?|cps|y\s?obs|yo\b|y\b|obs|net|signal"
    r"|psd|det|lin\b|iobs|intensity)"
)
_NOT_INTENSITY = re.compile(r"calc|back|bkg|bg|sigma|err|esd|std|weight|diff|y\s?obs\s?-|time")
_WORDS = re.compile(r"[^\W\d][^\s=:]*(?:\s*[(\[].*)?")
# Unit behind a name -> factor to degrees, angstrom or 1/angstrom. The first that fits counts.
_UNITS = {
    "two_theta": (
        (r"\bm(?:illi)?rad", math.degrees(1e-3)),
        (r"\brad(?:ian)?s?\b", math.degrees(1)),
        (r"deg|°", 1.0),
    ),
    "d": (
        (r"(?<![a-z])nm(?![a-z])|nanom", 10.0),
        (r"\bpm(?![a-z])|picom", 0.01),
        (r"(?<![a-zµμ])m(?:et(?:er|re)s?)?\b", 1e10),
        (r"å|\ba\b|\bang", 1.0),
    ),
    "q": (
        (r"(?<![a-z])nm(?![a-z])|nano\s?m", 0.1),
        (r"\bpm(?![a-z])|picom", 100.0),
        (r"(?<![a-zµμ])m(?:et(?:er|re)s?)?(?:\b|-)", 1e-10),
        (r"å|\ba-?1?\b|\bang", 1.0),
    ),
}
# Words behind a name that are no unit; any other word may be one that is not known.
_NO_UNIT = re.compile(
    r"calc\w*|corr\w*|obs\w*|exp\w*|raw|meas\w*|scale|values?|axis|scan|pos\w*|angles?|of|in|the"
    r"|c[uore]|fe|mo|ag|k|ka|alpha|α|kα|λ|lambda|radiation|x|ray|two|t?th|(?:two)?theta|θ|q|d|hkl"
    r"|spac\w+|vector|magnitude|data|coord\w*|col\w*|bragg|detector|s|\u066b"
)


class Columns(NamedTuple):
    """Axis of the positions, factor to its unit, the two columns, and what the header leaves open.

    `y` is None where no name says which column holds intensities; `named` is whether the header
    (or the caller) names the axis, `unit` whether it gives a unit.
    """

    axis: str
    factor: float
    x: int
    y: int | None
    named: bool = True
    unit: bool = True


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
        If the positions are named as something that cannot become 2theta, or in a unit that is
        not known.
    """
    chi = len(header) == 4 and re.fullmatch(r"\s*\d+(?:\s+\d+)?\s*", header[3])
    heading = header[1] if chi else None
    below = ""
    for line in header[:-13:-1]:
        for names, units in zip(_names(line, separator), _names(below, separator), strict=True):
            if line is heading:
                break
            if len(names) == width or (len(names) > width and _profile_names(names)):
                if len(units) == width and not any(map(_kind, units)):
                    names = [f"{name} ({unit})" for name, unit in zip(names, units, strict=True)]
                if columns := _from_names(names, axis, not below or line.startswith("#L ")):
                    return columns
        below = line
        # A title of the axis alone, as in CHI files, or names that hold blanks.
        title = plain(line)
        named, stripped = _kind(title), _BEFORE.sub("", title, count=1)
        labelled = stripped != title or line is heading
        sure = labelled or (len(title) < 40 and _surely(stripped))
        if named and sure and axis in (None, named) and (labelled or not _prose(named, stripped)):
            return _columns(named, stripped, 0, None)
        if not axis and _OTHER.match(stripped) and labelled:
            _refuse(title)
    return Columns(axis or "two_theta", 1.0, 0, 1, axis is not None, False)


def plain(name):
    """A name or a line of a header in the one spelling that all look-ups here expect."""
    name = name.lower().lstrip(_MARKS).rstrip(_MARKS.replace("*", ""))
    for spelling, form in _SPELLINGS:
        name = re.sub(spelling, form, name)
    return name.lstrip(_MARKS).rstrip(_MARKS.replace("*", ""))


def names_an_axis(line):
    """Whether a line begins with the name of an axis."""
    return _kind(plain(line)) is not None


def _names(line, separator):
    """A header line split in the ways that headers are."""
    line = re.sub(r"^[#\s]*#?L\s", "", line) if line.lstrip().startswith("#L ") else line
    line = _ALL_NAMES.sub("", line.strip(_MARKS).lower(), count=1)
    if re.match(r"[\w\s-]+[:=]", line):  # a key and its value
        line = ""
    # A unit that stands apart is no name of a column.
    apart = re.search(r"\w\s[(\[/]|[(\[][^)\]]*\s", line)
    for split in (separator, "\t", ",", ";", "  ", None):
        if split is None and apart:
            yield []
            continue
        names = re.split(r"\s{2,}", line) if split == "  " else line.split(split)
        while names and not names[-1].strip():
            names.pop()
        yield [plain(name) for name in names]


def _profile_names(names):
    """Names of a profile with lists of reflections beside it: more names than columns."""
    return _kind(names[0]) == "two_theta" and bool(_INTENSITY.match(names[1]))


def _from_names(names, axis, last=False):
    """Columns by their names, or None where the line, the last perhaps, names nothing."""
    kinds = [_kind(name) for name in names]
    values = [
        i for i, n in enumerate(names) if _INTENSITY.match(n) and not _NOT_INTENSITY.search(n)
    ]
    for wanted in [axis] if axis else ["two_theta", "d", "q"]:
        if wanted in kinds:
            x = kinds.index(wanted)
            y = next((i for i in values if i != x), None)
            if y is None and not (_surely(names[x]) and x + 1 < len(names)):
                continue
            return _columns(wanted, names[x], x, y)
    if not values:
        if last and not axis and _OTHER.match(names[0]) and all(map(_WORDS.fullmatch, names)):
            _refuse(names[0])
        return None
    y = next((i for i in values if i > 0), 1)
    if axis:
        return Columns(axis, 1.0, 0, y)
    if _OTHER.match(names[0]):
        _refuse(names[0])
    return Columns("two_theta", 1.0, 0, y, False, False)


def _refuse(name):
    raise XrdlibError(
        f"the first column is called {name[:40]!r}; give 2theta, d or q, or say what it is with "
        "axis="
    )


def _refuse_unit(name):
    raise XrdlibError(
        f"the positions are called {name[:40]!r}, in a unit that is not known; give degrees or "
        "radians, d in angstrom or nm, q in 1/angstrom or 1/nm"
    )


def _columns(axis, name, x, y):
    rest = _rest(name)
    inverse = axis == "d" and re.search(r"1/|-1", rest)
    for unit, factor in _UNITS[axis]:
        if re.search(unit, rest) and not inverse:
            return Columns(axis, factor, x, y)
    if inverse or _strange(rest):
        _refuse_unit(name)
    return Columns(axis, 1.0, x, y, unit=False)


def _prose(axis, line):
    """Whether a line that begins like an axis goes on with something else."""
    rest = _rest(line)
    return not any(re.search(unit, rest) for unit, _ in _UNITS[axis]) and _strange(rest)


def _rest(name):
    """What stands behind the name of an axis."""
    name = _BEFORE.sub("", name, count=1)
    return next(name[m.end() :] for _, pattern in _AXES if (m := pattern.match(name)))


def _strange(rest):
    """Whether words may be a unit that is not known."""
    return not all(map(_NO_UNIT.fullmatch, re.findall(r"[^\W\d_]+", rest)))


def _kind(name):
    for text in (name, _BEFORE.sub("", name, count=1)):
        for axis, pattern in _AXES:
            if text and pattern.match(text):
                return axis
    return None


def _surely(name):
    """Whether a name is that of an axis beyond doubt: it has a unit or is long."""
    return bool(
        re.search(r"[(\[/,\s].*(?:deg|°|rad|å|\ba\b|\ba-|ang|nm|nanom|pm|\bm-|1/m)", name)
        or re.match(r"(?:2|two)[\s*-]*(?:th|θ)|t[\s-]*th|d[\s-]*(?:spac|value)", name)
    )
