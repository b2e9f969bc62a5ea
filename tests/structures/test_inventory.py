"""What data there are: the inventory file, the list of sets, counts of structures, the fetcher."""

import os

import pytest

from xrdlib.base import paths
from xrdlib.base.errors import XrdlibError
from xrdlib.structures import datasets, registry


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty data folder, away from any real one."""
    data = tmp_path / "data-folder"
    data.mkdir()
    monkeypatch.setenv("XRDLIB_DATA", str(data))
    monkeypatch.setattr(paths, "ROOT", tmp_path / "project")
    return data


@pytest.fixture
def target(tmp_path):
    return tmp_path / "build" / "inventory.json"


def refreshed(target):
    """Whether a refresh writes the file, judged by a time stamp set to the past."""
    if target.exists():
        os.utime(target, (1, 1))
    datasets.write(target)
    return target.stat().st_mtime != 1


def test_it_is_written_only_when_something_changed(folder, target):
    assert refreshed(target)
    assert not refreshed(target)
    (folder / "rruff.npz").write_bytes(b"patterns")
    assert refreshed(target)
    assert not refreshed(target)
    (folder / "rruff.npz").write_bytes(b"other patterns")
    assert refreshed(target)
    (folder / "unrelated.txt").write_text("no data set")
    assert not refreshed(target)
    (folder / "rruff.npz").unlink()
    assert refreshed(target)
    assert not refreshed(target)


def test_a_damaged_data_set_is_reported_and_the_file_left_alone(folder, target):
    datasets.write(target)
    before = target.read_text()
    (folder / "DIF.zip").write_bytes(b"half")
    (folder / "DIF.zip.sha256").write_text("0" * 64 + "\n")
    with pytest.raises(XrdlibError, match=r"DIF\.zip is damaged"):
        datasets.write(target)
    assert target.read_text() == before


def test_what_the_pipeline_reads_and_a_person_provides_is_in_the_inventory():
    """Sets that have a fixed hash cannot change, and the raw patterns are not read."""
    changeable = {name for name, entry in registry.REGISTRY.items() if entry.sha256 is None}
    assert set(datasets.PROVIDED) == changeable - {"rruff-raw"}


def test_the_list_of_sets_says_which_are_present(folder):
    listed = datasets.inventory()
    assert [row["name"] for row in listed] == list(registry.REGISTRY)
    assert not any(row["present"] for row in listed)
    (folder / "rruff.npz").write_bytes(b"patterns")
    (paths.ROOT / "data").mkdir(parents=True)
    (paths.ROOT / "data" / "DIF.zip").write_bytes(b"cells")
    present = {row["name"] for row in datasets.inventory() if row["present"]}
    assert present == {"rruff", "rruff-dif"}
    for row in listed:
        entry = registry.REGISTRY[row["name"]]
        assert row["file"] == entry.file and row["licence"] and row["citation"] and row["origin"]
