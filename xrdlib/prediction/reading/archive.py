"""Patterns in archives: Bruker BRML, Rigaku RASX, any file packed with gzip or zip.

Nothing is ever unpacked to disk.
"""

import gzip
import io
import re
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

from ...base.errors import XrdlibError
from . import native, several
from .native import check_amount
from .scans import Scan, anode_line
from .vendor import check_axis, check_unit, number, rigaku_rows, xml

MAX_UNPACKED = 128_000_000  # bytes of all members together
MAX_MEMBERS = 5000
# Members that are no pattern: what systems leave, documents.
_BESIDE = re.compile(
    r"(?:^|/)(?:[._]|readme|licen[cs]e)[^/]*|\.(?:md|pdf|docx?|html?|png|jpe?g|gif|svg)$",
    re.IGNORECASE,
)


def unpacked(content, path, most):
    """Content without the packing of gzip, at most so many bytes; the suffix of what was packed."""
    if not content.startswith(b"\x1f\x8b"):
        return content, path.suffix.lower()
    with _damage_refused("gzip file"), gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise XrdlibError(f"unpacks to more than {most / 1e6:.0f} MB; give one powder scan")
    return content, Path(path.stem).suffix.lower()


def read_archive(content, scan=None):
    """A scan of a BRML or RASX file, or the name and the content of a file in a zip archive.

    Parameters
    ----------
    content : bytes
    scan : int, optional
        Which scan, or which file by its name, counted from 1.

    Returns
    -------
    Scan or (str, bytes)
    """
    members = _members(content)
    if any(name.endswith("DataContainer.xml") for name in members):
        return _brml(content, members, scan)
    if any(re.search(r"(?:^|/)Data\d+/Profile\d*\.txt$", name) for name in members):
        return _rasx(members, scan)
    if "[Content_Types].xml" in members:
        raise XrdlibError("is an Office document; save the sheet as CSV")
    if any(name.endswith(".npy") for name in members):
        raise XrdlibError("is a NumPy archive; save angle and intensity as two columns of text")
    files = sorted(name for name, data in members.items() if data and not _BESIDE.search(name))
    if not files:
        raise XrdlibError("is a zip archive without a file; give one with a measured scan")
    if scan is None and len(files) > 1:
        raise XrdlibError(
            f"holds several scans ({len(files)} files); choose one with scan=1, scan=2 and so on"
        )
    if (scan or 1) > len(files):
        raise XrdlibError(f"has no scan {scan}; it holds {len(files)}")
    name = files[(scan or 1) - 1]
    return name, members[name]


def _members(content):
    """Content of the members by name, after a check of all of them."""
    contents = {}
    with _damage_refused():
        archive = zipfile.ZipFile(io.BytesIO(content))
    with archive:
        entries = archive.infolist()
        _check_entries(entries)
        for entry in entries:
            # Reading checks the length and the checksum; it stops at the length declared.
            with _damage_refused():
                data = archive.read(entry)
            if entry.filename.lower().endswith((".xml", ".txt")):
                check_amount(data)
            contents[entry.filename] = data
    return contents


@contextmanager
def _damage_refused(what="zip archive"):
    """Refuse a damaged archive in one sentence, for whatever the standard library raises.

    Nothing but one call of that library stands inside, so no error of ours is taken for damage.
    """
    try:
        yield
    # In turn: no archive or a wrong checksum, bad compressed data, cut off within a member, offsets
    # outside the file (two kinds), a version of the format that does not exist.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError):
        raise XrdlibError(f"is a damaged or cut-off {what}; copy or export it again") from None


def _check_entries(entries):
    if len(entries) > MAX_MEMBERS or sum(e.file_size for e in entries) > MAX_UNPACKED:
        raise XrdlibError(
            f"unpacks to more than {MAX_UNPACKED / 1e6:.0f} MB or {MAX_MEMBERS} files; give one "
            "powder scan"
        )
    for entry in entries:
        if entry.flag_bits & 1:
            raise XrdlibError("is an encrypted archive; save it without a password")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise XrdlibError("is packed in an unusual way; export it again")
        parts = re.split(r"[/\\]", entry.filename)
        if ".." in parts or not parts[0] or ":" in parts[0]:
            raise XrdlibError("is an archive with files outside itself; get it from its source")


def _brml(content, members, scan):
    wavelength = anode = None
    for name in sorted(n for n in members if re.search(r"RawData\d*\.xml$|Measurement", n)):
        root = xml(members[name], f"member {name}")
        wavelength = wavelength or next(
            filter(None, (number(e.get("Value")) for e in root.iter("WaveLengthAlpha1"))), None
        )
        anode = anode or next((e.text or e.get("Value") for e in root.iter("TubeMaterial")), None)
    return native.read(
        content, "scan.brml", scan, lambda x, y, _: _scan(x, y, "BRML", wavelength, anode)
    )


def _rasx(members, scan):
    """A scan of a RASX file; geddes wants an index, root.xml, that some programs leave out."""
    tables = sorted(
        (int(match[1]), name)
        for name in members
        if (match := re.fullmatch(r"(?:.*/)?Data(\d+)/Profile\d*\.txt", name))
    )
    return several.pick(len(tables), scan, lambda i: _rasx_scan(members, tables[i][1]), "RASX")


def _rasx_scan(members, table):
    """One scan of a RASX file, with what the folder of its table says."""
    folder = table.rpartition("/")[0]
    wavelength = anode = None
    for name, data in members.items():
        if name.startswith(f"{folder}/") and name.endswith(".xml") and "Conditions" in name:
            root = xml(data, f"member {name}")
            wavelength = number(root.findtext(".//WavelengthKalpha1"))
            anode = root.findtext(".//TargetName")
            check_axis(root.findtext(".//ScanInformation/AxisName"), "RASX")
            check_unit(root.findtext(".//ScanInformation/PositionUnit"), "RASX")
    rows = members[table].decode("utf-8-sig", errors="replace")
    return _scan(*rigaku_rows(rows, "RASX"), "RASX", wavelength, anode)


def _scan(x, y, kind, wavelength, anode):
    wavelength = wavelength or anode_line(anode)
    return Scan(x, y, kind, wavelength=wavelength, metadata={"anode": anode})
