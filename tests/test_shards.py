"""Patterns kept in Parquet shards: what is read is what was drawn, and nothing half-written."""

import os

import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch
from full_disk import room_for
from shard_sets import GRID, small_bank, write

from xrdlib import shards
from xrdlib.errors import XrdlibError
from xrdlib.realism import Realism
from xrdlib.shard_stream import ShardStream
from xrdlib.stream import BankSource, PatternStream


@pytest.fixture(scope="module")
def bank():
    return small_bank()


@pytest.fixture
def stream(bank):
    """A stream that counts the steps it is asked for."""
    made = PatternStream([(BankSource(bank), 1)], Realism(), 5, 4, grid=GRID)
    made.asked, draw = [], made.batch
    made.batch = lambda step: made.asked.append(step) or draw(step)
    return made


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_read_is_what_the_stream_gives(stream, tmp_path):
    assert write(stream, tmp_path) == 4  # of 12 patterns each
    kept = ShardStream(tmp_path)
    assert len(kept) == 48 and kept.batch_size == 4
    assert np.allclose(kept.class_probabilities, stream.class_probabilities)
    for step in (0, 5, 11, 2):
        (x, label), (drawn, expected) = kept.batch(step), stream.batch(step)
        assert x.dtype == torch.float32 and torch.equal(label, expected)
        assert torch.equal(x, drawn.half().float())
    numbers = [parquet.read_table(path)["number"].to_numpy() for path in sorted(tmp_path.iterdir())]
    assert (np.concatenate(numbers) == np.arange(48)).all()


def test_processes_write_together_what_one_writes(stream, tmp_path, monkeypatch):
    write(stream, tmp_path / "one")
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank in range(3):
        monkeypatch.setenv("RANK", f"{rank}")
        assert write(stream, tmp_path / "three") == (2 if rank == 2 else 1)
    assert contents(tmp_path / "three") == contents(tmp_path / "one")


def test_an_interrupted_set_goes_on_with_the_shard_it_was_at(stream, bank, tmp_path):
    class Stopped(PatternStream):
        def batch(self, step):
            if step == 7:
                raise KeyboardInterrupt
            return super().batch(step)

    with pytest.raises(KeyboardInterrupt):
        write(Stopped([(BankSource(bank), 1)], Realism(), 5, 4, grid=GRID), tmp_path)
    assert sorted(contents(tmp_path)) == ["part-000000.parquet", "part-000001.parquet"]
    assert write(stream, tmp_path) == 2
    assert stream.asked == [6, 7, 8, 9, 10, 11]
    assert write(stream, tmp_path) == 0


def test_no_room_is_one_error_and_finished_shards_stay(stream, tmp_path):
    write(stream, tmp_path, 12)
    whole = contents(tmp_path)["part-000000.parquet"]
    write(stream, tmp_path / "set", 48)
    (tmp_path / "set/part-000002.parquet").unlink()
    before = contents(tmp_path / "set")
    with room_for(len(whole) // 2):
        with pytest.raises(XrdlibError, match="000002.parquet cannot be written.*same command"):
            write(stream, tmp_path / "set", 48)
    assert contents(tmp_path / "set") == before
    assert write(stream, tmp_path / "set", 48) == 1


@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_a_half_written_shard_is_named_and_made_again(stream, tmp_path, damage):
    write(stream, tmp_path)
    path = tmp_path / "part-000001.parquet"
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[:-40], "empty": b"", "text": b"text"}[damage])
    with pytest.raises(XrdlibError, match=r"part-000001\.parquet is damaged"):
        ShardStream(tmp_path).batch(4)
    stream.asked.clear()
    assert write(stream, tmp_path) == 1 and stream.asked == [3, 4, 5]
    assert path.read_bytes() == whole


def test_flipped_bytes_are_noticed(stream, tmp_path):
    write(stream, tmp_path)
    path = tmp_path / "part-000000.parquet"
    whole, refused = path.read_bytes(), 0
    expected = ShardStream(tmp_path).batch(0)
    for position in np.random.default_rng(0).choice(len(whole), 80, replace=False):
        damaged = bytearray(whole)
        damaged[position] ^= 255
        path.write_bytes(damaged)
        try:
            found = ShardStream(tmp_path).batch(0)
        except XrdlibError as error:
            assert "part-000000.parquet is damaged" in str(error)
            refused += 1
            continue
        # Statistics and the like may change without a change in what is kept.
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert refused > 50


def test_a_missing_shard_or_set_is_named(stream, tmp_path):
    with pytest.raises(XrdlibError, match=r"part-000000\.parquet does not exist"):
        ShardStream(tmp_path)
    write(stream, tmp_path)
    os.unlink(tmp_path / "part-000002.parquet")
    with pytest.raises(XrdlibError, match=r"part-000002\.parquet does not exist"):
        ShardStream(tmp_path).batch(6)


def test_another_set_in_the_folder_is_refused_and_unharmed(stream, bank, tmp_path):
    write(stream, tmp_path)
    before = contents(tmp_path)
    other = PatternStream([(BankSource(bank), 1)], Realism(), 6, 4, grid=GRID)
    with pytest.raises(XrdlibError, match="belongs to another set; choose another folder"):
        write(other, tmp_path)
    assert contents(tmp_path) == before
    write(other, tmp_path / "other")
    os.replace(tmp_path / "other/part-000001.parquet", tmp_path / "part-000001.parquet")
    with pytest.raises(XrdlibError, match="belongs to another set"):
        ShardStream(tmp_path).batch(3)


def test_the_command_writes_a_stream_of_a_profile(tmp_path):
    options = "--profile tiny --stage stage1 --batches 1 --patterns".split()
    shards.main([f"{tmp_path}", *options, "33"])
    kept = ShardStream(tmp_path)
    assert (len(kept), kept.batch_size) == (64, 32)
    (tmp_path / "file").write_text("")
    for folder, patterns, message in (("file", "9", "cannot be written"), ("x", "0", "at least")):
        with pytest.raises(SystemExit, match=f"xrdlib.shards: .*{message}"):
            shards.main([f"{tmp_path}/{folder}", *options, patterns])
