"""Patterns in the formats of instruments and of GSAS: which one it is, and the wavelength.

Positions and intensities come from `native`; the wavelength and the kind of scan are read
beside them.
"""

import re

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from ...base.errors import XrdlibError
from .header import fields, wavelength_in
from .native import arrays, check_amount
from .scans import Scan, anode_line

_BANK = re.compile(r"^BANK\s+\d+\s+\d+\s", re.MULTILINE)

_RAS_SCAN = re.compile(
    r"^\*RAS_HEADER_START\s(.*?)^\*RAS_INT_START\s(.*?)^\*RAS_INT_END", re.MULTILINE | re.DOTALL
)


def xml(content, what="file"):
    """Root of an XML document; names without their namespace.

    Raises
    ------
    XrdlibError
        If it is no XML, or declares a document type or entities.
    """
    check_amount(content)
    try:
        root = fromstring(content, forbid_dtd=True)
    except DefusedXmlException:
        raise XrdlibError(
            f"the {what} is XML with a document type or entities, which no scan needs; export it "
            "again"
        ) from None
    except (ParseError, LookupError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise XrdlibError(
            f"the {what} is damaged or cut-off XML ({reason}); export it again"
        ) from None
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2]
    return root


def _as_utf8(content):
    """XML that has been parsed already, in an encoding that `arrays` knows."""
    declared = re.match(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([\w.-]+)[^>]*\?>", content)
    if declared is None or declared[1].lower() in (b"utf-8", b"utf-16"):
        return content
    return content[declared.end() :].decode(declared[1].decode()).encode()


def number(text):
    """A positive number in a text or None, or None."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if 0 < value < float("inf") else None


def read_xrdml(content, scan=None):
    """PANalytical XRDML; `scan` counts the scans of all measurements.

    Raises
    ------
    XrdlibError
    """
    root = xml(content)
    if root.tag != "xrdMeasurements":
        raise XrdlibError(f"is XML of another kind (<{root.tag[:40]}>) than XRDML; export XRDML")
    x, y = arrays(_as_utf8(content), "scan.xrdml", scan)
    owners = [m for m in root.findall("xrdMeasurement") for _ in m.findall("scan")]
    owner = owners[(scan or 1) - 1]
    used = owner.find("usedWavelength")
    line, wavelength = "kAlpha1", None
    if used is not None:
        line = "kBeta" if "beta" in used.get("intended", "").lower() else "kAlpha1"
        wavelength = number(used.findtext(line))
    anode = owner.findtext(".//anodeMaterial")
    metadata = {"anode": anode, "sample": root.findtext(".//sample/id"), "scans": len(owners)}
    wavelength = wavelength or (anode_line(anode) if line == "kAlpha1" else None)
    return Scan(x, y, "XRDML", wavelength=wavelength, metadata=_said(metadata))


def read_ras(text, scan=None):
    """Rigaku RAS.

    Raises
    ------
    XrdlibError
    """
    x, y = arrays(text.encode(), "scan.ras", scan)
    scans = _RAS_SCAN.findall(text.replace("\r", "\n"))
    header, rows = scans[(scan or 1) - 1] if (scan or 1) <= len(scans) else ("", "")
    said = dict(re.findall(r'^\*(\w+) +"?([^"\n]*)"?', header, re.MULTILINE))
    check_attenuation(rows)
    anode = said.get("HW_XG_TARGET_NAME")
    metadata = {
        "anode": anode,
        "sample": said.get("FILE_SAMPLE"),
        "counts": said.get("MEAS_SCAN_UNIT_Y"),
    }
    wavelength = number(said.get("HW_XG_WAVE_LENGTH_ALPHA1")) or anode_line(anode)
    return Scan(x, y, "RAS", wavelength=wavelength, metadata=_said(metadata))


def check_attenuation(rows):
    """Refuse Rigaku's rows of angle, counts and attenuation where the last one changes.

    Raises
    ------
    XrdlibError
        Counts of different attenuation do not compare, and files differ in whether the factor is
        applied already.
    """
    third = {parts[2] for parts in map(str.split, rows.splitlines()) if len(parts) > 2}
    if len({number(value) for value in third}) > 1:
        raise XrdlibError(
            "an attenuator moved during the scan; export corrected intensities as two columns"
        )


def looks_like_gsas(text):
    """Whether a text has the record that GSAS begins its data with."""
    return bool(_BANK.search(text, 0, 20_000))


def read_gsas(text, scan=None):
    """GSAS powder data with constant steps (STD, ESD) or given angles (FXYE).

    Raises
    ------
    XrdlibError
    """
    x, y = arrays(text.encode(), "scan.gsas", scan)
    header = text[: _BANK.search(text).start()].splitlines()
    return Scan(
        x,
        y,
        "GSAS",
        wavelength=wavelength_in(header),
        metadata=_said({"title": (header or [""])[0]}),
    )


def read_uxd(text, scan=None):
    """Bruker UXD.

    Raises
    ------
    XrdlibError
    """
    x, y = arrays(text.encode(), "scan.uxd", scan)
    header = [line for line in text[:20_000].splitlines() if line.startswith(("_", ";"))]
    said = fields(header)
    metadata = {"anode": said.get("ANODE"), "sample": said.get("SAMPLE")}
    return Scan(x, y, "UXD", wavelength=wavelength_in(header), metadata=_said(metadata))


def _said(metadata):
    """Without what the file leaves open."""
    return {key: value for key, value in metadata.items() if value not in (None, "")}
