"""Paired comparisons against counts by hand; bits of the rule head that name a group."""

import numpy as np
import pytest
import torch

from xrdlib.learning.experiment import PatternSet
from xrdlib.studies import comparison
from xrdlib.symmetry import groups

FLAT = np.full(99, 1 / 99)
FAMILIES = np.array(["a", "a", "b", "c", "c", "d"])


def certain(labels, right, p=0.9):
    """Log-probabilities that give the true class, or the next one, a probability."""
    logp = np.full((len(labels), 99), np.log((1 - p) / 98))
    logp[np.arange(len(labels)), np.where(right, labels, (labels + 1) % 99)] = np.log(p)
    return logp


def test_scores_of_each_pattern():
    right = np.array([1, 1, 1, 0, 0, 0], bool)
    values = comparison.per_pattern(certain(np.zeros(6, int), right), np.zeros(6, int), FLAT)
    np.testing.assert_array_equal(values["top1"], 100 * right)
    np.testing.assert_allclose(values["bits"][0], np.log2(0.9 * 99))
    np.testing.assert_allclose(values["bits"][5], np.log2(0.1 / 98 * 99))


def test_intervals_know_of_seeds_and_of_families():
    rng = np.random.default_rng(0)
    families = np.arange(200)
    alike = np.repeat(rng.normal(size=(1, 200)), 3, axis=0)
    low, high = comparison.interval(alike, families)
    assert 0.6 < (high - low) / (2 * 1.96 * alike[0].std() / np.sqrt(200)) < 1.4
    # Seeds that differ by far more than patterns do widen it to what they span.
    apart = alike * 0.01 + np.array([[-1.0], [0.0], [1.0]])
    low, high = comparison.interval(apart, families)
    assert -1.05 < low < -0.6 and 0.6 < high < 1.05
    assert comparison.interval(alike, np.zeros(200)) is None


def test_pairs_decide_where_two_intervals_overlap():
    """Patterns differ far more from each other than one predictor from the other."""
    rng = np.random.default_rng(1)
    hard = rng.normal(scale=5, size=300)
    one, other = ({"bits": hard + gain + 0.1 * rng.normal(size=300)} for gain in (0.2, 0.0))
    ends = [comparison.interval(v["bits"][None], np.arange(300)) for v in (one, other)]
    assert ends[0][0] < ends[1][1]
    row = comparison.changes(one, other, np.arange(300))
    assert row["bits_change"] == pytest.approx(0.2, abs=0.03) and row["bits_change_ci95"][0] > 0.1
    assert comparison.direction(row) == 1
    assert comparison.direction(comparison.changes(other, one, np.arange(300))) == -1
    same = comparison.changes(one, one, np.arange(300))
    assert comparison.direction(same) == 0 and same["bits_change_p"] == 1
    nothing = comparison.changes({"bits": np.empty((0, 6))}, {"bits": np.empty((0, 6))}, FAMILIES)
    assert set(nothing.values()) == {None} and comparison.direction(nothing) == 0


def test_one_small_p_of_many_decides_nothing():
    rows = [{"bits_change_ci95": [0.1, 0.5], "bits_change_p": p} for p in (0.02, 0.5, 0.6)]
    assert comparison.direction(rows[0]) == 1
    comparison.corrected([*rows, {"bits_change_p": None}])
    assert rows[0]["bits_change_p_holm"] == pytest.approx(0.06)
    assert comparison.direction(rows[0]) == 0


def test_p_of_a_difference_that_is_not_there_is_uniform():
    rng = np.random.default_rng(2)
    p = []
    for _ in range(200):
        values = {"bits": rng.normal(size=60)}
        p.append(comparison.changes(values, {"bits": np.zeros(60)}, np.arange(60), 200))
    p = np.array([row["bits_change_p"] for row in p])
    assert 0.4 < p.mean() < 0.6 and 0.02 < (p < 0.05).mean() < 0.1


def test_two_seeds_are_given_the_spread_that_they_have():
    """Seeds whose difference varies with unit variance, on patterns that all agree."""
    rng = np.random.default_rng(3)
    zero, p = {"bits": np.zeros((5, 40))}, []
    for _ in range(200):
        values = {"bits": rng.normal(size=(5, 1)) + 1e-3 * rng.normal(size=(5, 40))}
        p.append(comparison.changes(values, zero, np.arange(40), 300)["bits_change_p"])
    # Of five numbers a normal test says too often, at most a little, that they differ from nought.
    assert (np.array(p) < 0.05).mean() < 0.2


def test_the_decoder_that_knows_is_found_best():
    labels = np.arange(198) % 99
    rng = np.random.default_rng(0)
    rule, aux = (certain(labels, rng.random(198) < share) for share in (0.8, 0.3))
    names = np.arange(198).astype(str)
    own = PatternSet(np.zeros((198, 1)), labels, names, names)
    prior = {"chosen_on": "one", "minerals": FLAT, "null": FLAT}
    heads = {name: (rule, aux) for name in ("one", "two")}
    rows = comparison.decoders(heads, {"one": own, "two": own}, prior, ["two"], 100)
    by_name = {row["decoder"]: row for row in rows}
    assert list(by_name) == ["auxiliary head", "rule head", "fused, 0.25", "fused, 0.5",
                             comparison.BEST]  # fmt: skip
    best, alone = by_name[comparison.BEST], by_name[comparison.AUXILIARY]
    assert alone["plain_top1"] == pytest.approx(100 * (aux.argmax(1) == labels).mean())
    assert "bits_change" not in alone and best["weight"] > 0.5
    assert comparison.direction(best) == 1 and best["n"] == 198
    assert best["top1"] <= best["top3"] <= best["top5"]
    assert best["bits_change"] == pytest.approx(best["bits"] - alone["bits"])
    without = {name: (None, aux) for name in heads}
    assert comparison.decoders(without, {"one": own}, prior, ["one"]) == []


def test_rule_bits_are_valid_where_they_are_a_template():
    templates = groups.templates()
    logits = torch.from_numpy(8.0 * templates - 4)
    assert (comparison.rule_bits(logits) == templates).all()
    torch.manual_seed(0)
    wrong = logits.clone()
    wrong[:40, groups.OPERATORS] = 4.0  # every screw and glide at once is no group

    class Reader(torch.nn.Module):
        def __init__(self, heads):
            super().__init__()
            self.heads = heads

        def forward(self, x):
            return {key: value[x[:, 0].long()] for key, value in self.heads.items()}

    names = np.arange(99).astype(str)
    patterns = PatternSet(np.arange(99, dtype=np.float16)[:, None], np.arange(99), names, names)
    assert comparison.validity(Reader({"rule": logits}), patterns) == 100
    assert comparison.validity(Reader({"rule": wrong}), patterns) == pytest.approx(100 * 59 / 99)
    assert comparison.validity(Reader({"aux": logits}), patterns) is None
