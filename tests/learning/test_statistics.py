"""Paired contrasts and tests by permutation, against hand counts and their own nulls."""

import numpy as np
import pytest

from xrdlib.base.errors import XrdlibError
from xrdlib.learning import statistics


def test_paired_test_by_hand():
    result = statistics.compare([[1.0], [3.0], [5.0], [5.0]], ["a", "a", "b", "c"], n_flips=4000)
    assert (result["n"], result["n_families"]) == (4, 3)
    assert result["mean"] == [pytest.approx(4)]
    # All signs equal: 2 of the 8 ways to sign three families.
    assert result["p"][0] == pytest.approx(1 / 4, abs=0.03) and result["p"] == result["p_all"]
    with pytest.raises(XrdlibError, match="two families or more"):
        statistics.compare([[1.0], [2.0]], ["a", "a"])


def test_many_questions_do_not_give_false_answers():
    rng = np.random.default_rng(0)
    alone, together = [], []
    for seed in range(60):
        result = statistics.compare(rng.normal(size=(30, 20)), np.arange(30), 10, 300, seed)
        alone.append(min(result["p"]) < 0.05)
        together.append(min(result["p_all"]) < 0.05)
    assert np.mean(alone) > 0.4 and np.mean(together) < 0.15
    shifted = rng.normal(size=(30, 20)) + 2 * (np.arange(20) == 7)
    result = statistics.compare(shifted, np.arange(30), 10, 500)
    assert np.argmin(result["p_all"]) == 7 and result["p_all"][7] < 0.01


def test_holm_by_hand():
    rows = [{"p": 0.04}, {"p": 0.01}, {"p": 0.03}]
    statistics.holm(rows)
    assert [row["p_holm"] for row in rows] == pytest.approx([0.06, 0.03, 0.06])


def test_block_permutation_keeps_strata_and_whole_families():
    rng = np.random.default_rng(0)
    family, stratum = np.repeat(np.arange(12), 5), np.repeat([0, 1, 2], 20)
    seen = set()
    for _ in range(50):
        order = statistics.block_permutation(family, stratum, rng)
        assert sorted(order) == list(range(60))
        assert (stratum[order] == stratum).all()
        # Equal sizes: each family receives the predictions of exactly one family.
        blocks = family[order].reshape(12, 5)
        assert (blocks == blocks[:, :1]).all()
        seen.add(tuple(order))
    assert len(seen) > 40
