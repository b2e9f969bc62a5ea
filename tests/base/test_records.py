from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrdlib.base import records
from xrdlib.base.errors import XrdlibError
from xrdlib.base.records import Crystals, Reflections

RAGGED = {Crystals: ("number", "frac", "occupancy"), Reflections: ("hkl", "multiplicity", "f2")}


def make(kind, counts, seed=0):
    """A record whose rows are all different, with counts[i] rows of item i."""
    rng = np.random.default_rng(seed)
    n, m = len(counts), int(np.sum(counts))
    shared = {
        "lattice": rng.normal(size=(n, 3, 3)),
        "start": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        "rotations": rng.integers(-1, 2, (n, 24, 3, 3)).astype(np.int8),
        "space_group": np.arange(1, n + 1, dtype=np.int16),
        "group": np.arange(n, dtype=np.int16),
        "name": np.array([f"crystal {i}" for i in range(n)], dtype="U20"),
    }
    if kind is Crystals:
        rows = {"number": np.arange(m, dtype=np.int16), "frac": rng.random((m, 3), np.float32)}
        return Crystals(**shared, **rows, occupancy=rng.random(m, np.float32))
    rows = {"hkl": np.arange(3 * m, dtype=np.int16).reshape(m, 3)}
    rows |= {"multiplicity": rng.random(m, np.float32), "f2": rng.random(m, np.float32)}
    shared["elements"] = rng.integers(0, 9, (n, 2)).astype(np.uint64)
    return Reflections(**shared, **rows)


def items(record):
    """Each item's arrays, read straight from the definition of `start`."""
    ragged = RAGGED[type(record)]
    for i, (a, b) in enumerate(zip(record.start[:-1], record.start[1:], strict=True)):
        yield {
            f.name: getattr(record, f.name)[a:b] if f.name in ragged else getattr(record, f.name)[i]
            for f in fields(record)
            if f.name != "start"
        }


def assert_same(got, wanted):
    got, wanted = list(got), list(wanted)
    assert len(got) == len(wanted)
    for one, other in zip(got, wanted, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


kinds = pytest.mark.parametrize("kind", [Crystals, Reflections])
counts = st.lists(st.integers(0, 4), min_size=1, max_size=6)


@kinds
@given(counts=counts, data=st.data())
def test_take_picks_whole_items_in_order(kind, counts, data):
    record = make(kind, counts)
    n = len(counts)
    index = data.draw(st.lists(st.integers(-n, n - 1), max_size=8))
    taken = record.take(np.array(index, dtype=int))
    all_items = list(items(record))
    assert len(taken) == len(index)
    assert_same(items(taken), [all_items[i] for i in index])


@kinds
def test_take_accepts_a_mask_and_a_slice(kind):
    record = make(kind, [2, 0, 3, 1])
    mask = np.array([True, False, False, True])
    assert_same(items(record.take(mask)), items(record.take([0, 3])))
    assert_same(items(record.take(slice(1, 3))), items(record.take([1, 2])))


@kinds
@given(parts=st.lists(counts, min_size=1, max_size=3))
def test_concatenate_keeps_every_item(kind, parts):
    made = [make(kind, part, seed) for seed, part in enumerate(parts)]
    joined = records.concatenate(made)
    assert_same(items(joined), [item for record in made for item in items(record)])


@kinds
def test_save_and_load_return_the_same_record(kind, tmp_path):
    record = make(kind, [2, 0, 3])
    path = tmp_path / "record.bin"
    records.save(record, path)
    loaded = records.load(kind, path)
    for f in fields(kind):
        before, after = getattr(record, f.name), getattr(loaded, f.name)
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(before, after)


def test_save_refuses_what_only_pickle_could_store(tmp_path):
    record = make(Crystals, [1])
    record.name = np.array([object()])
    with pytest.raises(XrdlibError, match="'name'"):
        records.save(record, tmp_path / "x.npz")
    assert not (tmp_path / "x.npz").exists()


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "flipped"])
def test_load_refuses_a_damaged_file(tmp_path, damage):
    path = tmp_path / "x.npz"
    records.save(make(Crystals, [3, 3]), path)
    with pytest.raises(XrdlibError, match=r"x\.npz is no Reflections file: it lacks hkl"):
        records.load(Reflections, path)
    flipped = bytearray(content := path.read_bytes())
    flipped[300] ^= 255  # within the first array, so that its checksum fails
    kinds = {"truncated": content[:500], "empty": b"", "text": b"hello", "flipped": flipped}
    path.write_bytes(kinds[damage])
    with pytest.raises(XrdlibError, match=r"x\.npz is damaged .*; run the stage"):
        records.load(Crystals, path)
    with pytest.raises(XrdlibError, match="does not exist; run the stage"):
        records.load_arrays(tmp_path / "none.npz")
