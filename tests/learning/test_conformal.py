"""Conformal sets: coverage on exchangeable families, hand-counted scores and quantiles."""

import numpy as np
import pytest

from xrdlib.base.errors import XrdlibError
from xrdlib.learning import calibrate

RNG = np.random.default_rng(0)


def predictions(n, sharpness=2.0):
    logits = sharpness * RNG.standard_normal((n, 99))
    logp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    labels = np.array([RNG.choice(99, p=np.exp(row) / np.exp(row).sum()) for row in logp])
    return logp, labels


def test_a_score_adds_what_is_more_probable():
    p = np.full((1, 99), 0.1 / 96)
    p[0, :3] = 0.5, 0.3, 0.1
    assert calibrate.scores(np.log(p), [1]) == pytest.approx([0.5])
    assert calibrate.scores(np.log(p), [0]) == pytest.approx([0.0])
    assert calibrate.scores(np.log(p), [98]) == pytest.approx([0.9])


def test_a_family_has_one_vote_however_many_patterns_it_has():
    values = np.array([0.1] * 50 + [0.5, 0.9])
    families = np.array(["big"] * 50 + ["a", "b"])
    # Three families and the one to come: half of four votes are reached with the second.
    assert calibrate.quantile(values, families, 0.5) == 0.5
    assert calibrate.quantile(values, families, 0.25) == 0.1
    assert calibrate.quantile(values, families, 0.75) == 0.9
    assert calibrate.quantile(values, families, 0.9) == 1.0


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_sets_cover_new_families_as_often_as_promised(coverage):
    hits, sizes = [], []
    for _ in range(60):
        logp, labels = predictions(80)
        # Wrong on purpose: far too sure of itself, which conformal sets must make good.
        sure = 3 * logp - np.log(np.exp(3 * logp).sum(axis=1, keepdims=True))
        value = calibrate.scores(sure[:40], labels[:40])
        threshold = calibrate.quantile(value, np.arange(40), coverage)
        inside = calibrate.members(np.exp(sure[40:]), threshold)
        sizes.append(inside.sum(axis=1).mean())
        hits.append(inside[np.arange(40), labels[40:]].mean())
    error = np.std(hits) / np.sqrt(len(hits))
    assert np.mean(hits) > coverage - 4 * error
    assert np.mean(sizes) < 80  # and not by holding everything


def test_rare_and_frequent_groups_are_each_covered_as_promised():
    """A predictor that neglects rare groups: one threshold for all leaves them out."""
    minerals = np.where(np.arange(99) < 10, 0.09, 0.1 / 89)
    hits = {"one": [], "two": []}
    for _ in range(80):
        labels = np.where(
            RNG.random(300) < 0.7, RNG.integers(0, 10, 300), RNG.integers(10, 99, 300)
        )
        logits = RNG.standard_normal((300, 99)) + 6 * (minerals > calibrate.RARE)
        logits[np.arange(300), labels] += 3
        logp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        value, rare = calibrate.scores(logp[:150], labels[:150]), labels[150:] >= 10
        for way, more in (("one", ()), ("two", (labels[:150], minerals))):
            limit = calibrate.thresholds(value, np.arange(150), 0.8, *more)
            inside = calibrate.members(np.exp(logp[150:]), limit)[np.arange(150), labels[150:]]
            hits[way].append([inside[rare].mean(), inside[~rare].mean()])
    one, two = np.mean(hits["one"], axis=0), np.mean(hits["two"], axis=0)
    assert one[0] < 0.7 < 0.85 < one[1]
    # Where most are right at the first place, no threshold covers less than those.
    assert two[0] == pytest.approx(0.8, abs=0.03) and two[1] > 0.79


def test_a_set_holds_the_true_group_whose_score_is_within_the_threshold():
    logp, labels = predictions(200)
    value = calibrate.scores(logp, labels)
    for threshold in (0.2, 0.6, 0.95):
        inside = calibrate.members(np.exp(logp), threshold)[np.arange(200), labels]
        assert inside[value <= threshold].all()


def test_sets_are_never_empty_and_grow_with_the_threshold():
    p = np.exp(predictions(50)[0])
    small, large = (calibrate.members(p, q) for q in (0.0, 0.7))
    assert (small.sum(axis=1) == 1).all() and (small.argmax(axis=1) == p.argmax(axis=1)).all()
    assert (large >= small).all() and large.sum() > small.sum()
    assert calibrate.members(p, 1.0).all()


@pytest.mark.parametrize(
    ("values", "families", "coverage", "message"),
    [([0.5], ["a"], bad, "coverage") for bad in (0, 1, -0.1, float("nan"))]
    + [([0.5, 0.6], ["a"], 0.9, "family"), ([], [], 0.9, "family")],
)
def test_impossible_requests_are_refused(values, families, coverage, message):
    with pytest.raises(XrdlibError, match=message):
        calibrate.quantile(values, families, coverage)
