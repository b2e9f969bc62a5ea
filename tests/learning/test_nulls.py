"""The nulls: what a constant and a shuffled prediction must score."""

import numpy as np
import pytest

from xrdlib.base.errors import XrdlibError
from xrdlib.learning import metrics, nulls, priors

UNIFORM = np.full(99, -np.log(99))


def labelled(n=200, seed=0):
    rng = np.random.default_rng(seed)
    return rng.choice([3, 4, 16, 98], p=[0.5, 0.25, 0.15, 0.1], size=n), rng.integers(0, 50, n)


def certain(labels):
    rows = np.full((len(labels), 99), 1e-9)
    rows[np.arange(len(labels)), labels] = 1
    return np.log(rows / rows.sum(axis=1, keepdims=True))


def test_prior_only_scores_are_class_frequencies():
    labels, families = labelled()
    prior = priors.fit_prior(labels, strength=1e-6)
    row = nulls.prior_only("s", prior, labels, families, np.log(prior))
    frequency = np.bincount(labels, minlength=99) / len(labels)
    assert row["top1"] == pytest.approx(100 * frequency.max())
    assert row["top5"] == pytest.approx(100)
    assert row["bits_over_prior"] == pytest.approx(0, abs=1e-12)
    entropy = -sum(f * np.log(f) for f in frequency if f > 0)
    assert row["nll"] == pytest.approx(entropy, abs=1e-4)
    assert row["ece"] == pytest.approx(0, abs=1e-4)
    assert row["balanced_top1"] == pytest.approx(100 / 4)


def test_shuffled_perfect_predictions_hit_at_the_collision_rate():
    labels, families = labelled()
    row = nulls.shuffled("s", certain(labels), labels, families, UNIFORM, n_shuffles=400)
    frequency = np.bincount(labels) / len(labels)
    assert row["top1"] == pytest.approx(100 * (frequency**2).sum(), abs=0.7)
    assert row["n"] == 200 and row["model"] == "shuffled"
    low, high = row["top1_ci95"]
    assert low < row["top1"] < high and row["bits_over_prior"] < 0


def test_shuffling_a_constant_changes_nothing_but_the_interval():
    labels, families = labelled()
    prior = priors.fit_prior(labels)
    constant = nulls.prior_only("s", prior, labels, families, UNIFORM)
    logp = np.tile(np.log(prior), (len(labels), 1))
    shuffled = nulls.shuffled("s", logp, labels, families, UNIFORM, n_shuffles=3)
    for key in ("top1", "top5", "balanced_top1", "nll", "ece", "bits_over_prior", "top1_97"):
        assert shuffled[key] == pytest.approx(constant[key]), key
    assert constant.keys() < shuffled.keys()


def test_an_impossible_constant_is_refused():
    labels, families = labelled()
    with pytest.raises(XrdlibError, match="positive probabilities"):
        nulls.prior_only("s", np.eye(99)[0], labels, families, UNIFORM)
    with pytest.raises(XrdlibError, match="differ in length"):
        nulls.shuffled("s", certain(labels), labels, families[1:], UNIFORM)


def test_chance_alone_moves_the_ece_of_a_calibrated_predictor():
    rng = np.random.default_rng(0)
    p = np.full((300, 99), 0.3 / 98)
    p[:, 0] = 0.7
    logp = np.log(p)
    alone = nulls.calibrated_ece(logp, np.arange(300), 2000)
    # One bin: the ECE is the distance of a mean of 300 draws from 0.7, a half-normal.
    spread = 100 * np.sqrt(0.7 * 0.3 / 300)
    np.testing.assert_allclose(alone[1], 0.674 * spread, rtol=0.15)
    together = nulls.calibrated_ece(logp, np.arange(300) // 10, 2000)
    np.testing.assert_allclose(together[1], np.sqrt(10) * alone[1], rtol=0.2)
    hit = rng.random(300) < 0.7
    calibration_error = metrics.ece(logp, np.where(hit, 0, 1))
    assert alone[0] / 3 <= 100 * calibration_error <= 1.5 * alone[2]
    sure = np.log(np.where(np.arange(99) == 0, 1 - 98e-12, 1e-12))[None].repeat(9, 0)
    assert nulls.calibrated_ece(sure, np.arange(9))[2] < 1e-6
