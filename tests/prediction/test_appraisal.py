"""The appraisal's tables, counted by hand, and the headline and the document made of them."""

import numpy as np
import pytest
from predictions import peaked

from xrdlib.base.patterns import GRID
from xrdlib.learning.experiment import MEASURED
from xrdlib.prediction import appraisal, mistakes
from xrdlib.reporting import documents
from xrdlib.reporting.headline import headline
from xrdlib.structures.measured import Measured
from xrdlib.symmetry.groups import first_member, symbols

RNG = np.random.default_rng(5)


def measured(groups, intensity=None):
    n = len(groups)
    name = np.array([f"specimen {i}" for i in range(n)])
    intensity = RNG.random((n, GRID.size)) if intensity is None else intensity
    number = np.array([first_member(label) for label in groups], np.int16)
    return Measured(intensity, number, np.array(groups), name, name)


@pytest.mark.parametrize("sigma", [0.002, 0.03])
def test_noise_is_its_deviation_over_the_strongest_line(sigma):
    x = np.arange(8000)
    peaks = 50.0 * np.exp(-(((x - 4000) / 6) ** 2))[None] + 3
    levels = appraisal.noise(peaks + 50 * sigma * RNG.standard_normal((1, 8000)))
    assert levels == pytest.approx([sigma * 50 / 53], rel=0.1)


def test_scores_of_each_kind_are_those_of_its_patterns():
    labels = np.array([0, 1, 2, 3, 4, 5])
    logp = peaked(np.array([0, 1, 2, 9, 9, 9]))
    null = np.full(99, 0.5 / 98)
    null[3] = 0.5  # what the prior alone says is the fourth class, which one pattern of four has
    kind = ["x", "x", "x", "x", "y", "y"]
    rows = appraisal.breakdown(logp, labels, list("aabbbc"), kind, null, n_boot=20)
    assert [(r["kind"], r["n"], r["n_families"]) for r in rows] == [("x", 4, 2), ("y", 2, 2)]
    assert [r["prior_top1"] for r in rows] == [25, 0]
    assert rows[0]["top1_ci95"][0] <= 75 <= rows[0]["top1_ci95"][1]
    assert [r["top1"] for r in rows] == [75, 0]
    assert rows[1]["nll"] == pytest.approx(-np.log(0.1 / 98))


def test_patterns_are_sorted_by_system_similarity_and_noise():
    quiet, loud = np.full(GRID.size, 1.0), 1 + 0.2 * RNG.standard_normal(GRID.size)
    kinds = appraisal.kinds(
        measured([4, 99, 4], np.stack([quiet, loud, quiet])),
        np.array([0.3, 0.72, 0.9]),
        (0.01, 0.5),
    )
    assert kinds["crystal system"].tolist() == ["monoclinic", "triclinic", "monoclinic"]
    assert kinds["noise"].tolist() == ["low", "middling", "low"]
    names = kinds["similarity to the nearest known structure"].tolist()
    assert names == ["below 0.5", "0.7 to 0.8", "0.8 to 1"]


def test_coverage_counts_patterns_and_families():
    labels = np.array([0, 0, 0, 5])
    logp = peaked(np.array([0, 0, 0, 7]))
    rows = appraisal.coverage([0.0] * 9, list("abcdefghi"), logp, labels, list("xxxy"), (0.5,))
    assert rows[0]["patterns"] == 0.75 and rows[0]["families"] == 0.5  # sets of the first group
    assert rows[0]["size"] == 1 and rows[0]["single"] == 1
    # Too few families for the promise: every group is in the set.
    rows = appraisal.coverage([0.0], ["a"], logp, labels, list("xxxy"), (0.9,))
    assert rows[0]["patterns"] == rows[0]["families"] == 1 and rows[0]["size"] == 99


def test_the_surest_are_answered_first():
    labels = np.arange(20)
    logp = np.stack([peaked([k if k < 10 else 50], 0.9 - 0.02 * k)[0] for k in labels])
    curve = appraisal.answered(logp, labels)
    assert curve["share"][-1] == 1 and curve["top1"][-1] == 0.5
    assert all(t == 1 for s, t in zip(curve["share"], curve["top1"], strict=True) if s <= 0.5)
    assert curve["confidence"] == sorted(curve["confidence"], reverse=True)


def test_mistakes_are_wrong_and_sorted_and_say_what_was_near():
    guess = np.array([0, 7, 8, 3])
    logp = np.stack([peaked([k], p)[0] for k, p in zip(guess, (0.9, 0.5, 0.8, 0.99), strict=True)])
    rows = mistakes.mistakes(logp, measured([1, 2, 3, 4]), [0.9] * 4, list("abcd"), n=5)
    assert [row["source"] for row in rows] == ["specimen 2", "specimen 1"]
    assert [row["nearest"] for row in rows] == ["c", "b"]
    assert rows[0]["predicted"] == symbols()[8] and rows[0]["true"] == symbols()[2]
    assert max(rows[0]["intensity"]) <= 1 and len(rows[0]["two_theta"]) == len(rows[0]["intensity"])


def row(model, subset=MEASURED[1], **changes):
    scores = {"top1": 50.0, "top5": 80.0, "ece": 5.0, "bits_over_prior": 1.25, "nll": 2.0}
    ends = {"top1_ci95": [40.0, 60.0], "top5_ci95": [70.0, 90.0], "bits_ci95": [1.0, 1.5]}
    return {"model": model, "subset": subset, "n": 9, "n_families": 3, **scores, **ends, **changes}


def test_the_headline_sets_ours_beside_the_nulls_and_the_published_numbers():
    rows = [row("released", top1=61.25), row("prior only", top1=9.0), row("search-match")]
    lines = headline(rows).splitlines()
    assert "| top-1 % | 9.0 | - | 10.5 | 50.0 | - | - | 61.2 [40.0, 60.0] |" in lines
    assert len({line.count("|") for line in lines}) == 1


def test_the_document_of_results_shows_every_table():
    kind = {**row("cubic"), "kind": "cubic", "prior_top1": 4.0, "bits_ci95": None}
    group = {"symbol": "P -", "n": 9, "predicted": 1, "top1": 50.0, "top5": 80.0, "nll": 2.0}
    mistake = dict.fromkeys(("source", "true", "predicted", "nearest", "why"), "a|b")
    appraised = {
        "rows": [row("released")],
        "kinds": {"crystal system": [kind]},
        "groups": [group],
        "coverage": [
            {
                "subset": "all",
                "threshold": "one",
                "n": 9,
                "n_families": 3,
                "promised": 0.9,
                "families": 0.88,
                "patterns": 0.9,
                "size": 4.2,
                "single": 0.5,
            }
        ],
        "mistakes": [{**mistake, "probability": 0.8, "similarity": 0.7}],
    }
    text = documents.tables({"rows": [], "notes": [], "released": appraised})
    assert "| cubic | 9 | 3 | 50.0 [40.0, 60.0] | 80.0 | 4.0 | 1.25 | 2.00 |" in text
    assert "| all | 9 | 3 | one | 90 % | 88 % | 90 % | 4.20 | 50 % |" in text
    assert "a\\|b" in text and "| P - | 9 | 1 |" in text
    assert "By crystal system" not in documents.tables({"rows": [], "notes": []})
