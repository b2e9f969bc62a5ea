"""Patterns in the formats of instruments: PANalytical XRDML, Rigaku RAS, Bruker UXD.

Positions and intensities of XRDML and UXD come from `native`; the wavelength and the kind of scan
are read beside them.
"""

import re

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from ...base.errors import XrdlibError
from . import native, several
from .header import fields, wavelength_in
from .native import check_amount
from .scans import Scan, anode_line

# Files of an interrupted measurement, or cut by hand, lack the marks at the end.
_RAS_SCAN = re.compile(
    r"^\*RAS_HEADER_START\s(.*?)^\*RAS_INT_START\s(.*?)(?=^\*RAS_|\Z)", re.MULTILINE | re.DOTALL
)


def xml(content, what="file"):
    """Root of an XML document without a document type or entities; names without namespace."""
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
    """XML that has been parsed already, in an encoding that geddes knows."""
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
    """PANalytical XRDML; `scan` counts the scans of all measurements."""
    root = xml(content)
    if root.tag != "xrdMeasurements":
        raise XrdlibError(f"is XML of another kind (<{root.tag[:40]}>) than XRDML; export XRDML")
    owners = [(m, s) for m in root.findall("xrdMeasurement") for s in m.findall("scan")]
    sample = root.findtext(".//sample/id")
    return native.read(
        _as_utf8(content),
        "scan.xrdml",
        scan,
        lambda x, y, index: _xrdml_scan(x, y, *owners[index], sample),
    )


def _xrdml_scan(x, y, owner, scan, sample):
    """A scan of XRDML with what it and the measurement that it belongs to say."""
    used = owner.find("usedWavelength")
    line, wavelength = "kAlpha1", None
    if used is not None:
        line = "kBeta" if "beta" in used.get("intended", "").lower() else "kAlpha1"
        wavelength = number(used.findtext(line))
    anode = owner.findtext(".//anodeMaterial")
    status = {part.get("status") for part in (owner, scan)}
    metadata = {"anode": anode, "sample": sample}
    metadata["notes"] = ["aborted"] if "Aborted" in status else None
    wavelength = wavelength or (anode_line(anode) if line == "kAlpha1" else None)
    return Scan(x, y, "XRDML", wavelength=wavelength, metadata=metadata)


def read_ras(text, scan=None):
    """Rigaku RAS. geddes reads only those with whole numbers of points and all marks."""
    scans = _RAS_SCAN.findall(text.replace("\r\n", "\n").replace("\r", "\n"))
    return several.pick(len(scans), scan, lambda i: _ras_scan(*scans[i]), "RAS")


def _ras_scan(header, rows):
    facts = dict(re.findall(r'^\*(\w+) +"?([^"\n]*)"?', header, re.MULTILINE))
    check_axis(facts.get("MEAS_SCAN_AXIS_X_INTERNAL") or facts.get("MEAS_SCAN_AXIS_X"), "RAS")
    check_unit(facts.get("MEAS_SCAN_UNIT_X"), "RAS")
    anode = facts.get("HW_XG_TARGET_NAME")
    masked = sum(row.lstrip().startswith("#") for row in rows.splitlines())
    metadata = {
        "anode": anode,
        "sample": facts.get("FILE_SAMPLE"),
        "counts": facts.get("MEAS_SCAN_UNIT_Y"),
        "points_masked": masked,
    }
    wavelength = number(facts.get("HW_XG_WAVE_LENGTH_ALPHA1"))
    if wavelength and facts.get("HW_XG_WAVE_LENGTH_UNIT", "").lower().startswith(("nm", "nano")):
        wavelength *= 10
    x, y = rigaku_rows(rows, "RAS")
    return Scan(x, y, "RAS", wavelength=wavelength or anode_line(anode), metadata=metadata)


def check_axis(name, kind):
    """Refuse a Rigaku scan over another axis than 2theta, under any of its names."""
    if name and not re.search(r"(?:2|two)[\s_-]*theta", name.lower()):
        raise XrdlibError(f"is a {kind} scan over {name[:20]}, not 2theta; give one over 2theta")


def check_unit(unit, kind):
    """Refuse angles of a Rigaku scan in anything but degrees."""
    if unit and not re.match(r"deg|\xb0", unit.strip().lower()):
        raise XrdlibError(f"is a {kind} scan with angles in {unit[:20]}; export it in degrees")


def rigaku_rows(rows, kind):
    """Angles and counts of Rigaku's rows, whose third column is the attenuation.

    Rows behind # are left out. Counts of different attenuation do not compare, and files differ in
    whether the factor is applied already.
    """
    rows = [row.split() for row in rows.splitlines() if row.strip() and not row.lstrip()[0] == "#"]
    if len({number(row[2]) for row in rows if len(row) > 2}) > 1:
        raise XrdlibError(
            "an attenuator moved during the scan; export corrected intensities as two columns"
        )
    try:
        values = [(float(row[0]), float(row[1])) for row in rows]
    except (ValueError, IndexError):
        raise XrdlibError(
            f"cannot be read as {kind} (a row of its table is damaged); export it again"
        ) from None
    return [x for x, _ in values], [y for _, y in values]


def read_uxd(text, scan=None):
    """Bruker UXD."""
    # Each count may have its time behind it, which geddes does not know.
    if "_2THETACOUNTSTIME" in text:
        text = text.replace("_2THETACOUNTSTIME", "_2THETACOUNTS")
        text = re.sub(r"^(\s*[\d.]+\s+\S+)[ \t]+\S+[ \t]*$", r"\1", text, flags=re.MULTILINE)
    header = [line for line in text[:20_000].splitlines() if line.startswith(("_", ";"))]
    facts = fields(header)
    metadata = {"anode": facts.get("ANODE"), "sample": facts.get("SAMPLE")}
    wavelength = wavelength_in(header)
    return native.read(
        text.encode(),
        "scan.uxd",
        scan,
        lambda x, y, _: Scan(x, y, "UXD", wavelength=wavelength, metadata=metadata),
    )
