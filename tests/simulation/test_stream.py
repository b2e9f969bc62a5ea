"""The pattern stream: a function of seed and number alone, with the class balance it states."""

import json

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import Grid, normalise
from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.realism import Realism
from xrdlib.simulation.stream import (
    PatternStream,
    RandomCrystalSource,
    StructureSource,
    mineral_weights,
)
from xrdlib.structures.crystals import generate_balanced
from xrdlib.structures.recipes import shipped

COARSE = Grid(5.0, 90.0, 0.05)
RECIPES = shipped()


@pytest.fixture(scope="module")
def library():
    """Reflections of 120 random crystals, each with a name of its own."""
    library = reflections(generate_balanced(RECIPES, 120, seed=11))
    library.name = np.array([f"mineral {i}" for i in range(120)])
    return library


def uniforms(n, seed=0):
    """Numbers as the stream gives them to a source: multiples of 2^-24."""
    return np.random.default_rng(seed).integers(1 << 24, size=n) / (1 << 24)


def mixed(library, batch, seed=5, **changes):
    """Minerals and random crystals with impurities; the random ones change every 96 patterns."""
    random = RandomCrystalSource(RECIPES, seed=21, chunk=48, reuse=2)
    weighted = StructureSource(library, np.arange(1, len(library) + 1))
    options = {"impurities": library, "grid": COARSE} | changes
    return PatternStream([(weighted, 3), (random, 1)], Realism(), seed, batch, **options)


def patterns(source, n):
    """The first n raw patterns of a stream, scaled to 1, and their class indices."""
    batches = [source.raw(step) for step in range(-(-n // source.batch_size))]
    x = torch.cat([x for x, _ in batches])[:n]
    return x / x.amax(1, keepdim=True), torch.cat([label for _, label in batches])[:n]


@pytest.mark.parametrize("batch", [16, 36])
def test_a_pattern_does_not_depend_on_the_batch_it_comes_in(library, batch):
    # Batches of 36 and 64 straddle the border of chunks at 96, those of 16 end there.
    x, label = patterns(mixed(library, 64), 144)
    other, other_label = patterns(mixed(library, batch), 144)
    assert torch.equal(label, other_label)
    assert torch.allclose(x, other, atol=1e-5)
    # The neighbour is another pattern altogether, so the tolerance is not what makes them equal.
    assert (x[1:] - x[:-1]).abs().amax(1).min() > 0.1


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_parts_of_several_processes_are_the_batch(library, count):
    # Step 2 holds the border of chunks at 96.
    source = mixed(library, 40)
    whole, label = source.raw(2)
    parts = [source.part(rank, count).raw(2) for rank in range(count)]
    assert {len(x) for x, _ in parts} == {40 // count}
    assert torch.equal(torch.cat([labels for _, labels in parts]), label)
    assert torch.allclose(torch.cat([x for x, _ in parts]), whole, rtol=1e-4, atol=1e-2)
    if count > 1:
        assert not torch.equal(parts[0][0], parts[1][0])
    # Which part a process draws says nothing about the run.
    assert source.part(count - 1, count).config == source.config


def test_a_batch_is_network_input(library):
    source = mixed(library, 32)
    (x, label), (raw, _) = source.batch(4), mixed(library, 32).raw(4)
    assert x.shape == (32, COARSE.size) and x.dtype == torch.float32
    assert torch.equal(x, normalise(raw)) and label.dtype == torch.int64
    assert (label.numpy() == source.crystals(np.arange(128, 160)).group - 1).all()


def test_sources_come_by_their_shares_and_crystals_by_their_weights(library):
    """And independently: every crystal of either source as often as the two say."""
    halves, n = (library.take(slice(0, 60)), library.take(slice(60, 120))), 12000
    weights = np.tile([0, 1, 2, 5], 15)
    sources = [
        (StructureSource(half, weights), share) for half, share in zip(halves, (1, 3), strict=True)
    ]
    stream = PatternStream(sources, Realism(), 8, 16)
    names, count = np.unique(stream.crystals(np.arange(n)).name, return_counts=True)
    expected = np.concatenate([weights * share for share in (1, 3)]) / weights.sum() / 4
    drawn = dict(zip(names, count, strict=True))
    counts = np.array([drawn.get(name, 0) for name in library.name])
    assert counts[expected == 0].sum() == 0
    assert chisquare(counts[expected > 0], n * expected[expected > 0]).pvalue > 1e-3
    assert np.allclose(stream.class_probabilities, np.bincount(library.group - 1, expected, 99))


def test_random_crystals_are_uniform_over_groups_however_many_came_out():
    source = RandomCrystalSource(RECIPES, seed=2, chunk=396, reuse=40)
    group = source.draw(uniforms(12000), np.arange(12000)).group
    made = generate_balanced(RECIPES, 396, seed=2).group
    present, count = np.unique(made, return_counts=True)
    assert count.max() >= 3 * count.min() and len(present) > 90
    assert chisquare([(group == g).sum() for g in present]).pvalue > 1e-3
    assert np.allclose(source.class_probabilities, 1 / 99)


def test_each_chunk_has_the_generators_crystals_and_an_earlier_one_comes_back():
    source = RandomCrystalSource(RECIPES, seed=4, chunk=30, reuse=3)
    u = uniforms(60)
    first, second = (source.draw(u, np.full(60, n)) for n in (89, 90))
    for made, start in ((first, 0), (second, 30)):
        known = generate_balanced(RECIPES, 30, seed=4, first=start)
        assert set(made.name) <= set(known.name)
        volume = dict(zip(known.name, np.linalg.det(known.lattice), strict=True))
        assert np.allclose(np.linalg.det(made.lattice), [volume[name] for name in made.name])
    again = source.draw(u, np.zeros(60, dtype=np.int64))
    assert (again.name == first.name).all() and np.array_equal(again.f2, first.f2)
    # Both chunks in one call, in the order asked.
    both = source.draw(u, np.where(np.arange(60) % 2, 90, 0))
    expected = np.where(np.arange(60) % 2, second.name, first.name)
    assert (both.name == expected).all()


def test_an_impurity_is_mixed_in_where_it_was_drawn_and_only_there(library):
    def raw(probability, impurities):
        ranges = Realism.mild(impurity=probability, impurity_level=(0.5, 0.6))
        source = PatternStream(
            [(StructureSource(library), 1)], ranges, 3, 24, impurities=impurities, grid=COARSE
        )
        return patterns(source, 24)[0]

    assert torch.equal(raw(0.0, library), raw(0.0, None))
    changed = (raw(1.0, library) - raw(1.0, None)).abs().amax(1) > 0.1
    assert changed.float().mean() > 0.9
    # Not one phase for all: two libraries give two sets of impurities.
    halves = raw(1.0, library.take(np.arange(60))), raw(1.0, library.take(np.arange(60, 120)))
    assert ((halves[0] - halves[1]).abs().amax(1) > 0.1).float().mean() > 0.9


def test_the_configuration_is_json_and_tells_streams_apart(library):
    configs = [
        mixed(library, 16).config,
        mixed(library, 16, seed=6).config,
        mixed(library, 32).config,
        mixed(library, 16, grid=Grid(5.0, 90.0, 0.1)).config,
        mixed(library, 16, impurities=None).config,
        mixed(library.take(np.arange(119)), 16).config,
    ]
    texts = [json.dumps(config, sort_keys=True) for config in configs]
    assert len(set(texts)) == len(texts)
    assert json.dumps(mixed(library, 16).config, sort_keys=True) == texts[0]


@pytest.mark.parametrize("temper", [0, 0.5, 1])
def test_tempering_raises_class_frequencies_to_a_power_and_keeps_minerals_equal(temper):
    rng = np.random.default_rng(1)
    mineral = rng.integers(40, size=300)
    group = 1 + mineral % 7  # each mineral in one class
    weight = mineral_weights(group, mineral.astype(str), temper)
    assert np.isclose(weight.sum(), 1)
    votes = np.array([len(set(mineral[group == g])) for g in range(1, 8)])
    share = np.array([weight[group == g].sum() for g in range(1, 8)])
    assert np.allclose(share, votes**temper / (votes**temper).sum())
    for g in range(1, 8):
        per_mineral = [weight[mineral == m].sum() for m in set(mineral[group == g])]
        assert np.allclose(per_mineral, per_mineral[0])


@pytest.mark.parametrize("weights", [[1.0], [0.0, 0.0], [2.0, -1.0], [1.0, np.nan]])
def test_weights_that_are_none_are_refused(library, weights):
    with pytest.raises(XrdlibError, match="one weight for each"):
        StructureSource(library.take([0, 1]), weights)
