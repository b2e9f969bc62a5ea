"""Ablations: tables against numbers counted by hand; what has not left the plateau is no vote."""

from types import SimpleNamespace

import numpy as np
import pytest

from xrdlib.base.errors import XrdlibError
from xrdlib.learning.calibrate import Calibration
from xrdlib.learning.outcomes import BALANCED
from xrdlib.reporting import plot_trainings
from xrdlib.studies import ablations
from xrdlib.studies.ablations import collapse
from xrdlib.symmetry import groups

FAMILIES = np.array(["a", "a", "b", "c", "c", "d"])
SUBSET = "rruff-test"


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
            "learned": 0.5,
            "valid": {SUBSET: 40.0},
        }
        for name, hits in right.items()
        for seed in (0, 1)
    ]
    return predictions, sets, prior


def test_a_change_is_paired(study):
    predictions, sets, prior = study
    scores = ablations.scored(predictions, sets, prior, SUBSET)
    rows = ablations.table(scores, FAMILIES, "base", n_boot=200)
    base, other = rows
    assert base["top1"] == pytest.approx(100 * 4 / 6) and base["top1_change"] is None
    assert (base["pairs"], other["pairs"], other["stuck"]) == (0, 2, 0)
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


def test_collapsing_adds_the_members():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(230), size=5)
    result = np.exp(collapse(np.log(p)))
    np.testing.assert_allclose(result.sum(axis=1), 1)
    table = groups.extinction_groups()
    for label in (4, 18, 99):
        members = [int(n) - 1 for n in table.loc[label, "space_groups"]]
        np.testing.assert_allclose(result[:, label - 1], p[:, members].sum(axis=1))


def test_a_training_on_the_plateau_decides_nothing(study):
    """Whatever it answers: its seed is left out of all comparisons, and of none of the means."""
    predictions, sets, prior = study
    stuck = predictions[3]
    assert (stuck["training"].name, stuck["training"].seed) == ("other", 1)
    stuck["learned"] = 0.004
    stuck["evidence"] = {SUBSET: (None, certain(np.ones(6, bool)))}
    scores = ablations.scored(predictions, sets, prior, SUBSET)
    base, other = ablations.table(scores, FAMILIES, "base", {"base": "other"}, n_boot=50)
    assert (other["pairs"], other["stuck"], other["seeds"]) == (1, 1, 2)
    assert other["top1_change"] == pytest.approx(-100 * 2 / 6)  # of the other seed alone
    assert other["top1_seeds"] == pytest.approx([100 * 2 / 6, 100])
    assert base["against"]["other"]["pairs"] == 1
    predictions[2]["learned"] = 0.004
    scores = ablations.scored(predictions, sets, prior, SUBSET)
    _, other = ablations.table(scores, FAMILIES, "base", n_boot=50)
    assert other["pairs"] == 0 and other["bits_change"] is other["bits_change_p"] is None


def test_what_a_training_learned_is_seen_on_balanced_patterns():
    rng = np.random.default_rng(0)
    sets = {BALANCED: SimpleNamespace(label=np.arange(990) % 99)}
    blind = rng.normal(size=(1, 99)) + 0.01 * rng.normal(size=(990, 99))
    blind -= np.logaddexp.reduce(blind, axis=1, keepdims=True)
    assert ablations.learned({BALANCED: (None, blind)}, sets) < ablations.PLATEAU
    sees = blind + 3 * (np.arange(99) == sets[BALANCED].label[:, None])
    sees -= np.logaddexp.reduce(sees, axis=1, keepdims=True)
    assert ablations.learned({BALANCED: (None, sees)}, sets) > 1
    assert ablations.learned({}, {}) is None


def test_differences_are_corrected_for_their_number(study):
    predictions, sets, prior = study
    scores = ablations.scored(predictions, sets, prior, SUBSET)
    tables = {k: ablations.table(scores, FAMILIES, "base", n_boot=200) for k in ("one", "two")}
    ablations.correct(tables)
    rows = [rows[1] for rows in tables.values()]
    for row in rows:
        assert row["bits_change_p_holm"] == pytest.approx(2 * row["bits_change_p"])


def test_texture_is_contrasted_in_the_errors(study, monkeypatch):
    predictions, sets, prior = study
    monkeypatch.setattr(ablations, "TEXTURE", ("base", "other"))
    result = ablations.errors(predictions, sets, prior, SUBSET, 50, 50)
    assert [one["model"] for one in result["models"]] == ["base", "other"]
    assert [one["n_errors"] for one in result["models"]] == [2, 4]
    assert result["models"][0]["valid"] == 40
    assert result["texture"]["other"]["mean_distance"]["change"] == pytest.approx(0)
