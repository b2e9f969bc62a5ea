"""Training on patterns that are kept: as on patterns drawn, then in orders of other epochs."""

import json

import numpy as np
import pytest
import torch
from shard_sets import GRID, small_bank, small_stream, write
from training import losses, run, same, tiny, weights

from xrdlib import experiment, records, tensorfile
from xrdlib.errors import XrdlibError
from xrdlib.shard_stream import ShardStream


class Rounded:
    """A stream whose patterns are rounded as they are in shards."""

    def __init__(self, stream):
        self.stream = stream

    def batch(self, step):
        x, label = self.stream.batch(step)
        return x.half().float(), label


@pytest.fixture(scope="module")
def bank():
    return small_bank()


@pytest.fixture(scope="module")
def kept(bank, tmp_path_factory):
    """A set of 48 patterns in four shards of twelve; batches of four."""
    folder = tmp_path_factory.mktemp("kept")
    write(small_stream(bank), folder)
    return ShardStream(folder)


def read(stream, steps):
    return [torch.cat(parts) for parts in zip(*map(stream.batch, steps), strict=True)]


def rows(x):
    return [tuple(row) for row in x.numpy().round(6).tolist()]


def test_training_on_shards_is_training_on_the_drawn_patterns(bank, kept):
    drawn, rounded, read_back = tiny(), tiny(), tiny()
    by_drawn = run(drawn, small_stream(bank), steps=8)
    by_rounded = run(rounded, Rounded(small_stream(bank)), steps=8)
    by_read = run(read_back, kept, steps=8)
    # Bitwise, but for the rounding to float16.
    assert same(weights(read_back), weights(rounded)) and losses(by_read) == losses(by_rounded)
    for a, b in zip(weights(read_back), weights(drawn), strict=True):
        assert torch.allclose(a, b, atol=2e-3)
    for a, b in zip(by_read.rows, by_drawn.rows, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-3)


def test_an_epoch_shows_every_pattern_once_and_each_in_its_own_order(kept):
    epochs = [read(kept, range(12 * e, 12 * e + 12)) for e in range(4)]
    orders = [rows(x) for x, _ in epochs]
    assert len(set(orders[0])) == 48 and len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == sorted(orders[0]) for order in orders)
    label_of = dict(zip(orders[0], epochs[0][1].tolist(), strict=True))
    for order, (_, label) in zip(orders, epochs, strict=True):
        assert [label_of[row] for row in order] == label.tolist()
    # Shards come whole, in another order, and the patterns of each in another order too.
    place = {row: i for i, row in enumerate(orders[0])}
    moved = np.array([[place[row] for row in order] for order in orders]).reshape(4, 4, 12)
    shards = moved // 12
    assert (shards == shards[..., :1]).all() and len({tuple(e) for e in shards[..., 0]}) > 1
    assert all((np.diff(within) != 1).any() for within in moved[1:].reshape(12, 12))


def test_orders_follow_from_the_seed(kept):
    later = [read(ShardStream(kept.folder, seed=seed), range(12, 24))[0] for seed in (0, 0, 1)]
    assert torch.equal(later[0], later[1]) and not torch.equal(later[0], later[2])


def test_a_batch_is_a_pure_function_of_the_step(kept):
    forth = [kept.batch(step) for step in range(30)]
    fresh = ShardStream(kept.folder)
    for step in np.random.default_rng(0).permutation(30).tolist():
        assert same(fresh.batch(step), forth[step])


@pytest.mark.parametrize("size", [1, 5, 12, 20, 100])
def test_another_batch_size_shows_the_same_sequence(kept, size):
    steps = -(-2 * len(kept) // size)  # two epochs
    whole, other = read(kept, range(24)), read(ShardStream(kept.folder, batch=size), range(steps))
    assert len(other[0]) == steps * size
    assert all(torch.equal(a, b[:96]) for a, b in zip(whole, other, strict=True))


def test_the_parts_of_processes_make_up_the_batch(kept):
    for step in (4, 17):
        whole, parts = kept.batch(step), [kept.part(rank, 2).batch(step) for rank in range(2)]
        for i in (0, 1):
            assert torch.equal(torch.cat([part[i] for part in parts]), whole[i])
    with pytest.raises(XrdlibError, match="cannot be divided evenly"):
        kept.part(0, 3)
    with pytest.raises(XrdlibError, match="at least one"):
        ShardStream(kept.folder, batch=0)


def test_order_and_batch_size_belong_to_the_identity_of_a_run(kept):
    changed = ({}, {"seed": 1}, {"batch": 8})
    configs = [ShardStream(kept.folder, **change).config for change in changed]
    assert configs[0] == kept.config == json.loads(tensorfile.canonical(kept.config))
    assert configs[1] != configs[0] != configs[2]


def test_a_damaged_shard_stops_the_training_and_mended_it_goes_on(bank, tmp_path):
    write(small_stream(bank), tmp_path / "set")
    undisturbed = tiny()
    run(undisturbed, ShardStream(tmp_path / "set"), steps=8)
    path = tmp_path / "set/part-000002.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    options = {"steps": 8, "folder": tmp_path / "checkpoints", "every_minutes": 0}
    with pytest.raises(XrdlibError, match=r"part-000002\.parquet is damaged .*write the set again"):
        run(tiny(), ShardStream(tmp_path / "set"), **options)
    write(small_stream(bank), tmp_path / "set")
    model = tiny()
    run(model, ShardStream(tmp_path / "set"), **options)
    assert same(weights(model), weights(undisturbed))


@pytest.fixture
def cfg(cfg):
    """The tiny profile on a coarse grid."""
    cfg.grid_step = 1.0
    return cfg


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_a_stage_reads_the_folder_that_its_section_names(cfg, bank, tmp_path, stage):
    records.save(bank, experiment.folder(cfg, "bank") / "train.npz")
    cfg.synthesis.chunk = 30
    make = {
        "stage1": lambda: experiment.stage1_stream(cfg),
        "stage2": lambda: experiment.stage2_stream(cfg, cfg.stage2.batch),
    }[stage]
    drawn = make()
    write(drawn, tmp_path / "kept", 1)
    getattr(cfg, stage).shards = "kept"
    stream = make()
    for step in (0, 2):
        (x, label), (expected, labels) = stream.batch(step), drawn.batch(step)
        assert torch.equal(x, expected.half().float()) and torch.equal(label, labels)
    assert np.allclose(stream.class_probabilities, drawn.class_probabilities)
    assert stream.batch_size == drawn.batch_size


def test_a_set_that_is_absent_or_on_another_grid_is_named(cfg, bank, tmp_path):
    cfg.stage1.shards = "kept"
    with pytest.raises(XrdlibError, match=r"part-000000\.parquet does not exist"):
        experiment.stage1_stream(cfg)
    write(small_stream(bank, grid=GRID), tmp_path / "kept", 1)
    with pytest.raises(XrdlibError, match="kept are on another grid .*--profile tiny"):
        experiment.stage1_stream(cfg)
