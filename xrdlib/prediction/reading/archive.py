"""Patterns in zip archives: Bruker BRML and Rigaku RASX. Nothing is ever unpacked to disk."""

import io
import re
import zipfile
import zlib
from contextlib import contextmanager

from ...base.errors import XrdlibError
from .native import arrays, check_amount
from .scans import Scan, anode_line
from .vendor import check_attenuation, number, xml

MAX_UNPACKED = 128_000_000  # bytes of all members together

MAX_MEMBERS = 5000

_DAMAGED = "is a damaged or cut-off zip archive; copy or export it again"


def read_archive(content, scan=None):
    """A BRML or RASX file.

    Raises
    ------
    XrdlibError
        If the archive is damaged, unpacks to too much, or is of another kind.
    """
    members = _members(content)
    if any(name.endswith("DataContainer.xml") for name in members):
        return _brml(content, members, scan)
    if "root.xml" in members:
        return _rasx(content, members, scan)
    if "[Content_Types].xml" in members:
        raise XrdlibError("is an Office document; save the sheet as CSV")
    if any(name.endswith(".npy") for name in members):
        raise XrdlibError("is a NumPy archive; save angle and intensity as two columns of text")
    raise XrdlibError("is a zip archive without a BRML or RASX pattern; unpack it first")


def _members(content):
    """Content of the XML and text members by name, after a check of all of them."""
    found = {}
    with _told():
        archive = zipfile.ZipFile(io.BytesIO(content))
    with archive:
        entries = archive.infolist()
        _check_entries(entries)
        for entry in entries:
            # Reading checks the length and the checksum; it stops at the length declared.
            with _told():
                data = archive.read(entry)
            wanted = entry.filename.lower().endswith((".xml", ".txt"))
            if wanted:
                check_amount(data)
            found[entry.filename] = data if wanted else b""
    return found


@contextmanager
def _told():
    """Say in one sentence what the standard library raises for an archive that is damaged.

    Nothing but one call of that library stands inside, so no error of ours is taken for damage.
    """
    try:
        yield
    # In turn: no archive or a wrong checksum, bad compressed data, cut off within a member, offsets
    # outside the file (two kinds), a version of the format that does not exist.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError):
        raise XrdlibError(_DAMAGED) from None


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
    x, y = arrays(content, "scan.brml", scan)
    wavelength = anode = None
    for name in sorted(n for n in members if re.search(r"RawData\d*\.xml$|Measurement", n)):
        root = xml(members[name], f"member {name}")
        wavelength = wavelength or next(
            filter(None, (number(e.get("Value")) for e in root.iter("WaveLengthAlpha1"))), None
        )
        anode = anode or next((e.text or e.get("Value") for e in root.iter("TubeMaterial")), None)
    return _scan(x, y, "BRML", wavelength, anode)


def _rasx(content, members, scan):
    x, y = arrays(content, "scan.rasx", scan)
    groups = xml(members["root.xml"], "member root.xml")
    # As `arrays` counts them: groups named Data0, Data1, ... that list a text member.
    folders = [
        group.tag
        for group in groups
        if re.fullmatch(r"Data\d+", group.tag)
        and any(
            e.get("Name", "").lower().endswith(".txt") for e in group.findall("ContentHashList")
        )
    ]
    folder = folders[(scan or 1) - 1]
    wavelength = anode = None
    for name, data in members.items():
        if not name.startswith(f"{folder}/"):
            continue
        if name.endswith(".xml") and "Conditions" in name:
            root = xml(data, f"member {name}")
            wavelength = number(root.findtext(".//WavelengthKalpha1"))
            anode = root.findtext(".//TargetName")
        elif re.search(r"Profile\d+\.txt$", name):
            check_attenuation(data.decode("utf-8-sig", errors="replace"))
    return _scan(x, y, "RASX", wavelength, anode)


def _scan(x, y, kind, wavelength, anode):
    metadata = {"anode": anode} if anode else {}
    return Scan(x, y, kind, wavelength=wavelength or anode_line(anode), metadata=metadata)
