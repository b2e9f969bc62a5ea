"""Formats that are known and not read: what each is, and what to export instead."""

import re

from ...base.errors import XrdlibError

_IMAGE = "is an image; give the measured scan as numbers"
_FRAME = "is a frame of an area detector; integrate it and give angle and intensity as text"
_BINARY = {
    b"BZh": "is compressed with bzip2; unpack it first",
    b"\xfd7zXZ\0": "is compressed with xz; unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; unpack it first",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive; unpack it first",
    b"Rar!": "is a RAR archive; unpack it first",
    b"%PDF": "is a PDF document; give the measured scan as text or in the instrument's format",
    b"\x89PNG": _IMAGE,
    b"\xff\xd8\xff": _IMAGE,
    b"GIF8": _IMAGE,
    b"II*\0": _IMAGE,
    b"MM\0*": _IMAGE,
    b"\x89HDF": "is an HDF5 file; export the integrated scan as two columns of text",
    b"\x93NUMPY": "is a NumPy array; save angle and intensity as two columns of text",
    b"\xd0\xcf\x11\xe0": "is an old Office document; save the sheet as CSV",
    b"SQLite format 3": "is an SQLite database; export the scan as two columns of text",
    b"RAW_": "is a STOE RAW file, which is not read; export XY or CIF from WinXPOW",
    b"FI": "is a binary Rigaku RAW file, which is not read; export RAS or ASC from the software",
    b"V3RD": "is a Philips RD file, which is not read; export UDF, XRDML or XY from HighScore",
    b"V5RD": "is a Philips RD file, which is not read; export UDF, XRDML or XY from HighScore",
    b"###CBF": _FRAME,
    b"mar345": _FRAME,
    b"FORMAT :": _FRAME,
}
_NEEDS_ZERO = (b"RAW_", b"FI", b"mar345")  # a text may begin with these
_TEXT = (
    (
        r"\s*[\[{]\s*[\"\[{\d]",
        "is JSON, which is not read; give angle and intensity as two columns of text",
    ),
    (r"\s*<(?:!doctype )?html\b", "is a web page; download the file itself"),
    (r"\s*\{\s*(?:HEADER_BYTES|HeaderID|EDF_DataBlockID)", _FRAME),
    (
        r".*^\s*(?:loop_\s+)?_(?:pd_meas_position\b|pd_meas_position_[xy]|riet_meas_)",
        "is a Maud file (ESG), which lists detector positions and is not read; export the "
        "integrated pattern from Maud as CIF or XY",
    ),
    (
        r".*^(?:#\s*L\s+r\b[^\n]*G\(r\)|outputtype\s*[=:]\s*gr\b)",
        "is a pair distribution function, G(r), not a diffraction pattern; give the measured scan",
    ),
    (
        r"[^\n]*\n?#ScanTableParameter",
        "is a Seifert NJA file, which is not read; export the scan as XY from the software",
    ),
    (
        r".*^#\s*Maud|.*_audit_creation_method\s+'?Maud",
        "is a Maud analysis; give the measured scan",
    ),
    (
        r"\s*##TITLE=.*^##XYDATA=\s*\(X\+\+",
        "is a JCAMP-DX file with packed values, which is not read; export it as XY",
    ),
)


def refuse(content):
    """Refuse a file that begins like one of the binary formats."""
    for magic, problem in _BINARY.items():
        if content.startswith(magic) and (magic not in _NEEDS_ZERO or b"\0" in content[:512]):
            raise XrdlibError(problem)


def refuse_text(text):
    """Refuse a text of one of the formats."""
    for pattern, problem in _TEXT:
        if re.match(pattern, text[:20_000], re.IGNORECASE | re.MULTILINE | re.DOTALL):
            raise XrdlibError(problem)
