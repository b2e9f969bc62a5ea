"""Ablations: tables against numbers counted by hand, and 230 space groups collapsed into 99."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from xrdlib.base import config, paths
from xrdlib.base.errors import XrdlibError
from xrdlib.learning.calibrate import Calibration
from xrdlib.learning.experiment import grid, random_crystals
from xrdlib.learning.model import PhysicsTransformer, TransformerConfig
from xrdlib.reporting import plot_trainings
from xrdlib.simulation.realism import Realism
from xrdlib.simulation.stream import PatternStream
from xrdlib.studies import ablations
from xrdlib.studies.ablations import SpaceGroupStream, collapse
from xrdlib.symmetry import groups

FAMILIES = np.array(["a", "a", "b", "c", "c", "d"])
SUBSET = "rruff-test"


def crystal_stream(settings, batch):
    sources = [(random_crystals(settings, "stage1"), 1.0)]
    return PatternStream(sources, Realism.mild(), 1, batch, grid=grid(settings))


def certain(right, p=0.9):
    """Log-probabilities that give class 0 a probability, right or wrong, of six patterns."""
    logp = np.full((6, 99), np.log((1 - p) / 98))
    logp[np.arange(6), np.where(right, 0, 50)] = np.log(p)
    return logp


@pytest.fixture
def study():
    prior = {"chosen_on": SUBSET, "minerals": np.full(99, 1 / 99), "null": np.full(99, 1 / 99)}
    sets = {SUBSET: SimpleNamespace(label=np.zeros(6, int), family=FAMILIES)}
    right = {"base": [1, 1, 1, 1, 0, 0], "other": [1, 1, 0, 0, 0, 0]}
    predictions = [
        {
            "training": SimpleNamespace(name=name, seed=seed),
            "calibration": Calibration(1.0, 1.0, 0.0),
            "evidence": {SUBSET: (None, certain(np.array(hits, bool)))},
        }
        for name, hits in right.items()
        for seed in (0, 1)
    ]
    return predictions, sets, prior


def test_scores_of_each_pattern():
    values = ablations.per_pattern(
        certain(np.array([1, 1, 1, 0, 0, 0], bool)), np.zeros(6, int), np.full(99, 1 / 99)
    )
    np.testing.assert_array_equal(values["top1"], [100, 100, 100, 0, 0, 0])
    np.testing.assert_allclose(values["bits"][0], np.log2(0.9 * 99))
    np.testing.assert_allclose(values["bits"][5], np.log2(0.1 / 98 * 99))


def test_a_change_is_paired(study):
    predictions, sets, prior = study
    scores = ablations.scored(predictions, sets, prior, SUBSET)
    rows = ablations.table(scores, FAMILIES, "base", n_boot=200)
    base, other = rows
    assert base["top1"] == pytest.approx(100 * 4 / 6) and base["top1_change"] is None
    assert other["top1_change"] == pytest.approx(-100 * 2 / 6)
    assert other["top1_seeds"] == pytest.approx([100 * 2 / 6] * 2) and other["seeds"] == 2
    # Families a and d are the same in both, so no resample shows a gain.
    assert other["bits_change_ci95"][1] <= 0 and other["n_families"] == 4


def test_prior_alone_has_no_bits(study):
    _, sets, prior = study
    null = ablations.nulls(sets, prior, [SUBSET])[SUBSET]
    assert null["bits"] == pytest.approx(0) and null["top1"] == pytest.approx(100 / 99)


def test_temperature_mends_what_is_too_sure(study):
    predictions, sets, prior = study
    rows = ablations.decoded(predictions, sets, prior, SUBSET, ["base", "other"])
    bits = {(row["variant"], row["decoding"]): row["bits"] for row in rows}
    assert bits["other", "with temperature"] > bits["other", "as it comes"]
    # A uniform prior changes nothing.
    assert bits["base", "with prior"] == pytest.approx(bits["base", "as it comes"])


def test_predictions_are_kept_by_pattern(study, tmp_path, monkeypatch):
    predictions, sets, prior = study
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    ablations.write_predictions(SimpleNamespace(profile="tiny"), predictions, sets, prior, [SUBSET])
    kept = pd.read_parquet(tmp_path / "results/tiny/ablations.parquet")
    assert len(kept) == 4 * 6
    first = kept[(kept.variant == "base") & (kept.seed == 0)]
    assert (first["first"] == [1, 1, 1, 1, 51, 51]).all() and (kept.label == 1).all()
    np.testing.assert_allclose(first.log_likelihood.iloc[0], np.log(0.9), atol=1e-4)


def test_figures_show_every_variant_and_the_null(study):
    predictions, sets, prior = study
    scores = ablations.scored(predictions, sets, prior, SUBSET)
    content = {
        "base": "base",
        "tables": {SUBSET: ablations.table(scores, FAMILIES, "base", n_boot=50)},
        "nulls": ablations.nulls(sets, prior, [SUBSET]),
        "decoded": {SUBSET: ablations.decoded(predictions, sets, prior, SUBSET, ["base"])},
    }
    figure = plot_trainings.ablations(content)
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["other"]
    assert "n = 6" in figure.legends[0].get_texts()[0].get_text()
    bars = plot_trainings.levels(content, ["base", "other"]).axes[0].patches
    assert [bar.get_height() for bar in bars] == pytest.approx([100 * 4 / 6, 100 * 2 / 6])
    assert len(plot_trainings.curriculum_study(content).axes[0].patches) == 4
    with pytest.raises(XrdlibError, match="nothing to draw"):
        plot_trainings.ablations({**content, "tables": {}})


def test_a_pair_is_compared_beside_the_base(study):
    predictions, sets, prior = study
    scores = ablations.scored(predictions, sets, prior, SUBSET)
    pairs = {"base": "other"}
    base, other = ablations.table(scores, FAMILIES, "base", pairs, n_boot=50)
    assert other["against"] == {}
    assert base["against"]["other"]["top1_change"] == pytest.approx(-other["top1_change"])


def test_intervals_know_of_seeds_and_of_families():
    rng = np.random.default_rng(0)
    families = np.arange(200)
    alike = np.repeat(rng.normal(size=(1, 200)), 3, axis=0)
    low, high = ablations.interval(alike, families)
    assert 0.6 < (high - low) / (2 * 1.96 * alike[0].std() / np.sqrt(200)) < 1.4
    # Seeds that differ by far more than patterns do widen it to what they span.
    apart = alike * 0.01 + np.array([[-1.0], [0.0], [1.0]])
    low, high = ablations.interval(apart, families)
    assert -1.05 < low < -0.6 and 0.6 < high < 1.05


def test_collapsing_adds_the_members():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(230), size=5)
    found = np.exp(collapse(np.log(p)))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    table = groups.extinction_groups()
    for label in (4, 18, 99):
        members = [int(n) - 1 for n in table.loc[label, "space_groups"]]
        np.testing.assert_allclose(found[:, label - 1], p[:, members].sum(axis=1))


def test_labels_are_space_groups_of_the_same_patterns():
    plain = crystal_stream(config.load("tiny"), 20)
    stream = SpaceGroupStream(plain)
    x, space_group = stream.batch(1)
    same, group = plain.batch(1)
    torch.testing.assert_close(x, same, rtol=0, atol=0)
    expected = groups.group_of_space_group()[space_group.numpy() + 1] - 1
    np.testing.assert_array_equal(expected, group.numpy())
    halves = [stream.part(k, 2).batch(1)[1] for k in (0, 1)]
    torch.testing.assert_close(torch.cat(halves), space_group)


def test_a_crystal_without_space_group_is_refused():
    stream = crystal_stream(config.load("tiny"), 4)
    crystals = stream.crystals

    def unknown(number):
        found = crystals(number)
        found.space_group = np.zeros_like(found.space_group)
        return found

    stream.crystals = unknown
    with pytest.raises(XrdlibError, match="train on extinction groups instead"):
        SpaceGroupStream(stream).batch(0)


def test_a_model_of_230_classes():
    shape = TransformerConfig(grid=(5.0, 0.1, 851), width=16, depth=1, heads=2, classes=230)
    assert PhysicsTransformer(shape)(torch.rand(2, 851))["aux"].shape == (2, 230)
