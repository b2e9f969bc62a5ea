"""Scores against hand counts, naive loops and properties that any score must have."""

import numpy as np
import pytest
from predictions import peaked

from xrdlib.base.errors import XrdlibError
from xrdlib.learning import breakdown, metrics
from xrdlib.symmetry import groups

UNIFORM = np.full(99, -np.log(99))


def random_case(n=300, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(99, 0.1), size=n) * 0.999 + 0.001 / 99
    labels = np.array([rng.choice(99, p=row) for row in p])
    return np.log(p), labels, rng.integers(0, 80, n)


def test_hand_counted_scores():
    # Four patterns: classes 0, 0, 0, 5; two hits of class 0, one miss, one hit of class 5.
    logp, labels = peaked([0, 0, 7, 5], p=0.5), np.array([0, 0, 0, 5])
    assert metrics.top_k(logp, labels) == pytest.approx(3 / 4)
    measured = metrics.measure(logp, labels, UNIFORM)
    assert measured["balanced_top1"] == pytest.approx(100 * (2 / 3 + 1) / 2)
    expected = -(3 * np.log(0.5) + np.log(0.5 / 98)) / 4
    assert metrics.nll(logp, labels) == pytest.approx(expected)
    assert metrics.ece(logp, labels) == pytest.approx(0.75 - 0.5)


def test_top_k_equals_sorting():
    logp, labels, _ = random_case()
    for k in (1, 3, 5):
        hits = [label in np.argsort(-row)[:k] for row, label in zip(logp, labels, strict=True)]
        assert metrics.top_k(logp, labels, k) == pytest.approx(np.mean(hits))


def test_a_predictor_without_opinion_gains_nothing_from_ties():
    labels = np.arange(99)
    logp = np.full((99, 99), -np.log(99))
    for subset in (labels, np.zeros(99, dtype=int)):
        assert metrics.top_k(logp, subset, 5) == pytest.approx(5 / 99)
    # Three classes tie for the first two places.
    row = np.full(99, 1e-6)
    row[[10, 20, 30]] = 1
    logp = np.log(row / row.sum())[None]
    assert metrics.top_k(logp, np.array([30]), 2) == pytest.approx(2 / 3)


def test_ece_of_a_calibrated_predictor_is_near_zero_and_of_an_overconfident_one_is_not():
    logp, labels, _ = random_case(n=6000, seed=1)
    assert metrics.ece(logp, labels) < 0.02
    sharp = 3 * logp - metrics.logsumexp(3 * logp)[:, None]
    assert metrics.ece(sharp, labels) > 0.1


def test_bits_of_the_prior_itself_are_zero():
    _, labels, families = random_case()
    prior = np.log(np.random.default_rng(3).dirichlet(np.ones(99)))
    row = metrics.evaluate("p", "s", np.tile(prior, (300, 1)), labels, families, prior, n_boot=50)
    assert row["bits_over_prior"] == pytest.approx(0, abs=1e-12)
    assert row["bits_ci95"] == pytest.approx([0, 0], abs=1e-12)


def test_weights_equal_repetition():
    logp, labels, _ = random_case()
    prior = np.log(np.random.default_rng(3).dirichlet(np.ones(99)))
    counts = np.random.default_rng(4).integers(0, 4, len(labels))
    repeated = np.repeat(np.arange(len(labels)), counts)
    weighted = metrics.measure(logp, labels, prior, counts[None].astype(float))
    plain = metrics.measure(logp[repeated], labels[repeated], prior)
    for key, value in plain.items():
        assert weighted[key] == pytest.approx([value]), key


def test_bootstrap_width_is_the_binomial_one_for_independent_patterns():
    labels = np.zeros(400, dtype=int)
    logp = peaked(np.repeat([0, 1], [120, 280]))
    hit = {"top1": metrics.credit(logp, labels, 1)}
    low, high = metrics.means(hit, np.arange(400), n_boot=4000)["top1_ci95"]
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.3 * 0.7 / 400), rel=0.08)
    assert low < 0.3 < high


def test_copies_within_a_family_add_no_certainty():
    logp, labels, families = random_case()
    hit = metrics.credit(logp, labels, 5)
    copied = {"top5": np.tile(hit, 4)}
    once = metrics.means({"top5": hit}, families, 500, seed=2)
    repeated = metrics.means(copied, np.tile(families, 4), 500, seed=2)
    assert repeated["top5_ci95"] == pytest.approx(once["top5_ci95"])
    votes = metrics.means({"top5": hit}, families, 500, seed=2, votes=np.full(len(hit), 3.0))
    assert votes["top5_ci95"] == pytest.approx(once["top5_ci95"])
    wrongly_independent = metrics.means(copied, np.arange(4 * len(labels)), 500)["top5_ci95"]
    assert np.ptp(wrongly_independent) < 0.7 * np.ptp(once["top5_ci95"])


def test_slices_of_a_large_bootstrap_are_the_whole(monkeypatch):
    families = np.arange(40) % 9
    whole = np.concatenate(list(metrics.resamples(families, 100, seed=1)))
    monkeypatch.setattr(metrics, "_SLICE", 400)
    parts = list(metrics.resamples(families, 100, seed=1))
    assert len(parts) == 10
    assert np.array_equal(np.concatenate(parts), whole)


def test_one_family_gives_no_interval():
    logp, labels, _ = random_case(n=20)
    families = np.zeros(20, dtype=int)
    row = metrics.evaluate("m", "s", logp, labels, families, np.full(99, -np.log(99)))
    assert row["top1_ci95"] is None and row["n_families"] == 1
    with pytest.raises(XrdlibError, match="two families"):
        next(metrics.resamples(families))
    assert metrics.means({"x": labels}, families) == {"x": labels.mean(), "x_ci95": None}


def test_merging_pairs_that_diffraction_cannot_tell_apart():
    classes = groups.diffraction_classes()
    twin, other = np.flatnonzero(classes == classes[np.argmax(np.bincount(classes)[classes] > 1)])
    logp, labels = peaked([twin]), np.array([other])
    merged, merged_labels = metrics.merge_97(logp, labels)
    assert merged.shape == (1, 97)
    assert metrics.logsumexp(merged) == pytest.approx(0, abs=1e-9)
    assert np.exp(merged[0, merged_labels[0]]) == pytest.approx(0.9 + 0.1 / 98)
    scores = metrics.measure(logp, labels, np.full(99, -np.log(99)))
    assert scores["top1"] == 0 and scores["top1_97"] == 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, y: (p[:-1], y), "one label a pattern"),
        (lambda p, y: (p[:, :98], y), "have shape"),
        (lambda p, y: (p[:0], y[:0]), "have shape"),
        (lambda p, y: (np.where(np.eye(4, 99) > 0, np.nan, p), y), "row 0 .* not finite"),
        (lambda p, y: (np.where(np.eye(4, 99, k=0) > 0, -np.inf, p), y), "not finite"),
        (lambda p, y: (p + 0.1, y), "sums to 1.105"),
        (lambda p, y: (p, y + 96), "integers 0..98"),
        (lambda p, y: (p, y - 1), "integers 0..98"),
        (lambda p, y: (p, y.astype(float)), "integers 0..98"),
    ],
)
def test_bad_input_is_refused(change, message):
    logp, labels = change(peaked([0, 1, 2, 3]), np.array([0, 1, 2, 3]))
    with pytest.raises(XrdlibError, match=message):
        metrics.top_k(logp, labels)


def test_reliability_adds_up_to_the_ece():
    logp, labels, _ = random_case()
    table = breakdown.reliability(logp, labels)
    count = np.array(table["count"])
    assert count.sum() == len(labels) and len(count) == 15
    gaps = [
        n * abs(c - a)
        for n, c, a in zip(count, table["confidence"], table["accuracy"], strict=True)
        if n
    ]
    assert sum(gaps) / len(labels) == pytest.approx(metrics.ece(logp, labels))
    for low, high, mean in zip(table["lower"], table["upper"], table["confidence"], strict=True):
        assert mean is None or low <= mean <= high


def test_confusion_rows_are_the_true_systems():
    logp, labels, _ = random_case()
    result = breakdown.confusion_by_system(logp, labels)
    counts, systems = np.array(result["counts"]), groups.system_names()
    for name, row in zip(result["systems"], counts, strict=True):
        assert row.sum() == sum(systems[k] == name for k in labels)
    same = [systems[g] == systems[k] for g, k in zip(logp.argmax(1), labels, strict=True)]
    assert np.trace(counts) == sum(same)


def test_classes_average_to_the_whole():
    logp, labels, _ = random_case()
    table = breakdown.per_class(logp, labels)
    n = np.array([row["n"] for row in table])
    top1 = np.array([row["top1"] for row in table])
    assert n.sum() == len(labels)
    assert n @ top1 / n.sum() == pytest.approx(100 * metrics.top_k(logp, labels))
    assert top1.mean() == pytest.approx(metrics.measure(logp, labels, UNIFORM)["balanced_top1"])
