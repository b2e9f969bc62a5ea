"""What data there are: the inventory file, the list of sets, counts of structures, the fetcher."""

import hashlib
import json
import os

import pandas as pd
import pytest

from xrdlib import cli
from xrdlib.base import paths
from xrdlib.base.errors import XrdlibError
from xrdlib.structures import banks, datasets, registry


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


def test_an_old_file_with_the_same_content_counts_as_the_same(folder, target):
    (folder / "rruff.npz").write_bytes(b"patterns")
    assert refreshed(target)
    os.utime(folder / "rruff.npz", (5, 5))
    assert not refreshed(target)


def test_it_holds_the_hash_of_what_is_there(folder, target):
    (folder / "rruff.npz").write_bytes(b"patterns")
    datasets.write(target)
    found = json.loads(target.read_text())
    assert found.pop("rruff") == hashlib.sha256(b"patterns").hexdigest()
    assert set(found) == {"rruff-processed", "rruff-dif"} and set(found.values()) == {None}


def test_the_place_of_a_data_set_does_not_matter(folder, target):
    (folder / "rruff.npz").write_bytes(b"patterns")
    datasets.write(target)
    other = paths.ROOT / "data"
    other.mkdir(parents=True)
    (folder / "rruff.npz").rename(other / "rruff.npz")
    assert not refreshed(target)


def test_a_damaged_data_set_is_told_and_the_file_left_alone(folder, target):
    datasets.write(target)
    before = target.read_text()
    (folder / "DIF.zip").write_bytes(b"half")
    (folder / "DIF.zip.sha256").write_text("0" * 64 + "\n")
    with pytest.raises(XrdlibError, match=r"DIF\.zip is damaged"):
        datasets.write(target)
    assert target.read_text() == before


def test_the_command_line_writes_the_file(folder, target):
    assert cli.main(["inventory", str(target)]) == 0
    assert set(json.loads(target.read_text())) == set(datasets.PROVIDED)
    assert cli.main(["inventory"]) == 2


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


def test_fetch_from_the_command_line_prints_where_the_set_is(folder, capsys):
    (folder / "rruff.npz").write_bytes(b"patterns")
    assert cli.main(["fetch", "rruff"]) == 0
    assert capsys.readouterr().out == f"rruff: {folder / 'rruff.npz'}\n"


@pytest.mark.parametrize(
    ("names", "message"),
    [(["rruff"], "put it there"), (["icsd"], "choose one of amcsd")],
)
def test_fetch_from_the_command_line_ends_with_2_and_a_word(folder, capsys, names, message):
    assert cli.main(["fetch", *names]) == 2
    shown = capsys.readouterr()
    assert message in shown.err and shown.out == ""


def test_structures_are_counted_by_what_is_known_of_them():
    table = pd.DataFrame(
        {
            "mineral": ["Halite", "Halite", "Quartz", ""],
            "stated_group": [97, 97, 50, 0],
            "agrees": [True, True, False, False],
            "agrees_space_group": [True, False, False, False],
            "holdout": [True, False, True, True],
        }
    )
    table.attrs["skipped"] = {"no atoms": 3}
    assert banks.counts(table) == {
        "structures": 4,
        "minerals": 2,
        "extinction group known": 3,
        "extinction group confirmed by the atoms": 2,
        "space group confirmed by the atoms": 1,
        "held out": 1,
        "unusable: no atoms": 3,
    }
    json.dumps(banks.counts(table))
