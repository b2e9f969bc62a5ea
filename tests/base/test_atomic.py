"""Files written in one step, and that all who keep arrays, tables and results write them so."""

import os
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from full_disk import room_for

from xrdlib.base import files, paths, records, results
from xrdlib.base.errors import XrdlibError
from xrdlib.structures import structure_library


def test_a_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "deeper" / "file"
    for content in (b"first", b"second"):
        with files.replacing(path) as file:
            file.write(content)
            assert not path.exists() or path.read_bytes() == b"first"
        assert path.read_bytes() == content and os.listdir(path.parent) == ["file"]


def test_what_comes_before_finds_the_old_file_and_the_whole_new_one(tmp_path):
    path, seen = tmp_path / "file", []
    path.write_bytes(b"old")
    with files.replacing(path, before=lambda: seen.extend(sorted(tmp_path.iterdir()))) as file:
        file.write(b"new")
        assert not seen
    assert [p.name for p in seen] == ["file", f"file.{os.getpid()}.tmp"]


@dataclass
class Numbers(records.Record):
    x: np.ndarray


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_while_writing_is_passed_on_and_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(error), files.replacing(path) as file:
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


def test_sweeping_removes_unfinished_files_of_that_name_only(tmp_path):
    others = {"file", "other.12.tmp", "file.previous", "files.1.tmp"}
    for name in {"file.12.tmp", "file.345.tmp"} | others:
        (tmp_path / name).write_text("half")
    files.sweep(tmp_path / "file")
    assert set(os.listdir(tmp_path)) == others


N = 500


def save_record(cfg, value):
    records.save_arrays(paths.ROOT / "library.npz", {"x": np.full(N, value)})


def save_bank(cfg, value):
    table = pd.DataFrame({"x": np.random.default_rng(value).random(20 * N)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structure_library, "amcsd_entries", lambda database: [])
        patch.setattr(structure_library, "build", lambda entries: (Numbers(np.arange(3)), table))
        structure_library.build_amcsd("database", paths.ROOT / "amcsd")


def save_result(cfg, value):
    results.write(cfg, "made", {"x": [value] * N})


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("save", [save_record, save_bank, save_result])
def test_no_room_is_one_error_and_what_was_saved_stays(cfg, tmp_path, save):
    save(cfg, 1)
    before = contents(tmp_path)
    size = max(map(len, before.values()))
    with room_for(size // 2):
        with pytest.raises(XrdlibError, match=r"cannot be written \(File too large\); make room"):
            save(cfg, 2)
    assert contents(tmp_path) == before
    save(cfg, 2)
    after = contents(tmp_path)
    assert after.keys() == before.keys() and after != before
