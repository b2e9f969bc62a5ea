"""What the header of a text file says beside its columns: wavelength, radiation, other fields."""

import re

from .axes import plain
from .scans import ANODES, anode_line

HC = 12.398419843320026  # keV angstrom, exact in the SI
_NEUTRON = 9.0445680  # sqrt(meV) angstrom: h / sqrt(2 m E), CODATA 2018
_NAMES = {
    "Cr": "chromium chrom 24",
    "Fe": "iron eisen 26",
    "Co": "cobalt kobalt 27",
    "Cu": "copper kupfer 29",
    "Mo": "molybdenum molybdän 42",
    "Ag": "silver silber 47",
    "Ga": "gallium 31",
    "In": "indium",
    "W": "tungsten wolfram",
}
_NAMES = {name: symbol for symbol, names in _NAMES.items() for name in names.split()}
_SYMBOL = "|".join(ANODES)
_ANODE = rf"(?P<anode>{_SYMBOL}|{_SYMBOL.upper()}|(?i:{'|'.join(_NAMES)}))(?![A-Za-z\d])"
_TUBE = r"(?i:x-?ray(?:\s+source)?|anode|target|tube|radiation|wave\s?length)"
# "Co." is more often a company than cobalt.
_ANODES = (
    re.compile(
        rf"(?<![A-Za-z])(?P<anode>{_SYMBOL})[\s_-]*K[\s_-]*(?:alpha|α|a|\\a)", re.IGNORECASE
    ),
    re.compile(rf"{_TUBE}\w*\W[^\n\d]{{0,30}}?(?<![A-Za-z\d]){_ANODE}(?!\.\s)"),
    re.compile(rf"(?<![A-Za-z]){_ANODE}[\s-]+{_TUBE}"),
)
_NO_TUBE = re.compile(
    r"sputter|filament|cathode|deposit|ablat|evaporat|magnetron|\bpld\b|^\W*(?:sample|specimen)",
    re.I,
)

# The lines of a doublet, marked so that their digits are not taken for a number.
_LINES = (
    (r"(?:k[\s_-]*)?(?:alpha|α)[\s_-]*1(?!\d|\.\d)|k[\s_-]*a[\s_-]*1(?!\d|\.\d)", "①"),
    (r"(?:k[\s_-]*)?(?:alpha|α)[\s_-]*2(?!\d|\.\d)|k[\s_-]*a[\s_-]*2(?!\d|\.\d)", "②"),
    (r"(?:k[\s_-]*)?(?:beta|β)|k[\s_-]*b\b", "②"),
    (
        r"(wave[\s_-]*length|lam(?:b?da)?|λ|_wl)[\s_]*[(\[]?\s*([12])[)\]]?"
        r"(?!\d|\.\d|,\d+(?![\d.]))",
        lambda match: match[1] + "①②"[int(match[2]) - 1],
    ),
)
_NUMBER = r"(?P<number>(?:\d+(?:[.,]\d*)?|\.\d+)(?:e[-+]?\d+)?)(?!\d|\.\d|,\d+(?![\d.]))"
_LENGTHS = {"å": 1.0, "a": 1.0, "ang": 1.0, "nm": 10.0, "pm": 0.01, "m": 1e10, "µm": 1e4, "um": 1e4}
_UNITS = (
    (r"\bnanomet(?:er|re)s?\b", "nm"),
    (r"\bpicomet(?:er|re)s?\b", "pm"),
    (r"\bmicromet(?:er|re)s?\b", "um"),
    (r"\bmet(?:er|re)s?\b", "m"),
)
_LENGTH = rf"(?P<unit>{'|'.join(sorted(_LENGTHS, key=len, reverse=True))})(?![a-z\d])"
_WAVELENGTH = re.compile(
    r"(?P<key>(?:wave[\s-]*len(?:gth)?|wellenl[äa]e?nge|longueur\s+d.onde|\blam(?:b?da)?(?![a-z])|λ|\bwl)|[①②])"
    rf"(?P<between>[^\d\n]{{0,40}}?)(?<![\d.]){_NUMBER}\s*[(\[]?\s*(?:{_LENGTH})?"
)
_NO_WAVELENGTH = re.compile(
    r"ratio|range|resol|spread|step|error|filter|laser|raman|excitation|②|calib\w*\s+d\b"
)
_ENERGY = re.compile(
    r"(?P<key>(?:photon|beam|x-?ray|incident|mono\w*)?[\s-]*(?:energy|energie|\be[i0]?\b))"
    rf"(?P<between>[^\d\n]{{0,30}}?)(?<![\d.]){_NUMBER}\s*[(\[]?\s*(?P<unit>k|m)?(?P<ev>ev)?(?![a-z])"
)
_NO_ENERGY = re.compile(
    r"thresh|resol|window|range|cut-?off|lower|upper|discri|width|spread|step|scatter|pha|mode|gap"
)
_ANGSTROM = re.compile(rf"(?<![\d.\w]){_NUMBER}\s*(?:å|a\b)")
_KEV = re.compile(rf"(?<![\d.\w]){_NUMBER}\s*kev\b")
_SOURCE = re.compile(
    r"radiation|x-?ray|source|synchrotron|beam|neutron|\bk\s?(?:α|alpha)|d[12][ab]\d?\b|d20\b"
)
_NEUTRONS = re.compile(
    r"\bneutrons?\b|\b(?:d1[ab]\d?|d2b|d20|3t2|g4[.-]?[1-4]|hrpt|spodi|echidna|wombat|bt-?1"
    r"|hb-?2a|firepod)\b",
    re.IGNORECASE,
)
_FIELD = re.compile(r"[#!%'/*@;_\s\"]*([^=:,\t]{1,60}?)\s*[=:,\t]\s*(.*\S)")
_AGREES = 0.01
_NO_INDEX = 1000  # whole numbers below, without a unit, may count wavelengths
_MAX_FIELDS = 200


def wavelength_in(lines):
    """Wavelength in angstrom that header lines state, or None.

    Parameters
    ----------
    lines : iterable of str

    Returns
    -------
    float or None
        In this order: the K-alpha1 line, another number with the word for wavelength, a photon or
        neutron energy, a number of angstrom beside a source of radiation, the anode.
    """
    lines = list(lines)
    by_rank = {}
    for line in lines:
        for rank, value in _stated(line):
            by_rank.setdefault(rank, value)
    if by_rank:
        return by_rank[min(by_rank)]
    anodes = {name for line in lines if (name := _anode(line))}
    return anode_line(anodes.pop()) if len(anodes) == 1 else None


def _stated(line):
    """(rank, wavelength) of each statement of a line; the smallest rank counts."""
    text = line.lower()
    for pattern, mark in _LINES:
        text = re.sub(pattern, mark, text)
    for pattern, unit in _UNITS:
        text = re.sub(pattern, unit, text)
    text = plain(text)
    for match in _WAVELENGTH.finditer(text):
        around = text[max(match.start() - 25, 0) : match.start("number")]
        if _NO_WAVELENGTH.search(match["key"] + match["between"]) or re.search(
            r"laser|raman|excitation|\buv\b|lamp|pump|light|detector|point", around
        ):
            continue
        before = re.search(rf"(?<![a-z]){_LENGTH}", match["between"])
        unit = match["unit"] or (before and before["unit"])
        if (value := _length(match["number"], unit)) is not None:
            yield (0 if "①" in match["key"] + match["between"] else 1), value
    for match in _ENERGY.finditer(text):
        unit = f"{match['unit'] or ''}{match['ev'] or ''}" if match["ev"] else ""
        between = re.search(r"(?<![a-z])(k|m)?ev(?![a-z])", match["between"])
        if not _NO_ENERGY.search(text):
            value = _energy(match["number"], unit or (between[0] if between else ""), match["key"])
            if value:
                yield 2, value
    length, energy = _ANGSTROM.search(text), _KEV.search(text)
    if length and energy:  # one beyond doubt, as each is that of the other
        value = float(length["number"].replace(",", "."))
        if abs(value * float(energy["number"].replace(",", ".")) / HC - 1) < _AGREES:
            yield 1, value
    if _SOURCE.search(text):
        if (match := _ANGSTROM.search(text)) and "." in match["number"]:
            yield 3, float(match["number"])
        if (match := _KEV.search(text)) and not _NO_ENERGY.search(text):
            yield 4, _energy(match["number"], "kev", "")


def _length(number, unit):
    """Angstrom from a number with or without a unit; None where it may be anything."""
    value = float(number.replace(",", "."))
    if unit is None:
        if not re.search(r"[.,]\d|e", number) and value < _NO_INDEX:
            return None
        # As pyFAI writes it: metres, without saying so.
        unit = "m" if 1e-12 <= value <= 1e-9 else "å"
    if not value or (unit == "m" and value > 1e-8):
        return None
    return float(f"{value * _LENGTHS[unit]:.10g}")


def _energy(number, unit, key):
    value = float(number.replace(",", "."))
    if not unit:  # a beam of so much can only be one of the two
        unit = "kev" if 3 <= value <= 150 else "ev" if 3000 <= value <= 150_000 else ""
        unit = unit if len(key.strip()) > 2 else ""
    if not unit or not value:
        return None
    if unit == "mev":
        return _NEUTRON / value**0.5
    return HC / (value if unit == "kev" else value / 1000)


def _anode(line):
    """Symbol of the anode that a line names, or None."""
    line = line.replace("_", " ")
    for i, pattern in enumerate(_ANODES):
        if (match := pattern.search(line)) and not (i and _NO_TUBE.search(line)):
            name = match["anode"]
            return _NAMES.get(name.lower(), name.capitalize())
    return None


def probe_in(lines):
    """ "neutron" where header lines name neutrons or one of their diffractometers, else None."""
    text = "\n".join(lines)
    return "neutron" if _NEUTRONS.search(text) and not re.search(r"x-?ray", text, re.I) else None


def fields(lines):
    """ "key = value" lines of a header as a dict."""
    values = {}
    for match in filter(None, (_FIELD.match(line[:600]) for line in lines[:2000])):
        if len(values) < _MAX_FIELDS and match[1].strip() and not _is_angle(match[1]):
            values.setdefault(match[1].strip(), match[2].strip("\"'"))
    return values


def _is_angle(name):
    return bool(re.match(r"\s*(?:2|two)[\s_*-]*(?:th|θ)|\s*(?:angle|pos)\b", name.lower()))
