"""The studies of difficulty against made-up truths."""

import matplotlib
import numpy as np
import pytest

from xrdlib.base.patterns import GRID
from xrdlib.prediction.evidence import Seen
from xrdlib.reporting import judges_measured, plot_measured
from xrdlib.structures.published import SEVERITIES, Published
from xrdlib.studies import difficulty

FEW = {"n_permutations": 200, "n_boot": 200}


def cases(n=240, seed=0, effect=0.0):
    """Cases of six groups; hits go with Rwp by `effect`, or with the group alone."""
    rng = np.random.default_rng(seed)
    label = rng.integers(6, size=n)
    rwp = rng.random(n) * 0.2
    top = np.tile(np.arange(5), (n, 1))
    chance = np.where(rwp < 0.1, 0.5 + effect, 0.5 - effect)
    swap = rng.random(n) < chance if effect else np.zeros(n, dtype=bool)
    for i in np.flatnonzero(swap & (label < 5)):
        at = label[i]
        top[i, 0], top[i, at] = at, 0
    severity = np.where(rwp < 0.1, *SEVERITIES)
    p = np.tile([0.3, 0.1, 0.09, 0.08, 0.07], (n, 1)) + 0.001 * rng.random((n, 1))
    name = np.array([f"m{i // 2}" for i in range(n)])
    return Published(name, name, name, label, rwp, severity, top, p)


def test_hits_that_follow_the_class_show_no_dependence_and_cannot():
    result = difficulty.published_study(cases(), **FEW)
    assert result["by_class"] == pytest.approx({"top1": 1, "top5": 1})
    assert result["rwp"]["top1"]["within classes"]["p"] is None
    judged = judges_measured.difficulty({"published": result, "measured": None})
    assert judged.verdict == "holds in part" and "cannot show" in judged.evidence
    assert [row["n"] for row in result["severity"]] == [
        int((cases().severity == name).sum()) for name in SEVERITIES
    ]
    assert sum(row["n"] for row in result["bins"]) == 240


def test_hits_that_follow_the_fit_contradict_the_claim():
    result = difficulty.published_study(cases(effect=0.45), **FEW)
    assert result["rwp"]["top1"]["within classes"]["rho"] < -0.3
    judged = judges_measured.difficulty({"published": result, "measured": None})
    assert judged.verdict == "does not hold"


class Half:
    """A predictor that is right where a pattern is quiet."""

    metadata = {
        "minerals": np.full(99, 1 / 99),
        "retrieval_alone": {"network": 0.0, "similarity": 1.0, "prior": 1.0},
    }

    def __init__(self, labels, quiet):
        score = np.zeros((len(labels), 99))
        score[np.arange(len(labels)), labels] = 4 * quiet
        self.score = score - np.log(np.exp(score).sum(1, keepdims=True))
        self.fusion = self.calibration = self

    def evidence(self, two_theta, intensity):
        return Seen(self.score, np.tile(np.linspace(0.5, 0.9, len(self.score))[:, None], 99))

    def apply(self, *_):
        return self.score

    def weigh(self, *_):
        return self.score


class Patterns:
    """Patterns of five lines with noise that grows along the set."""

    def __init__(self, n):
        rng = np.random.default_rng(0)
        self.group, self.family = np.arange(n) % 4 + 1, np.arange(n) // 2
        self.level = np.linspace(0.001, 0.04, n)[rng.permutation(n)]
        at = np.array([20, 30, 40, 50, 60])
        lines = np.exp(-0.5 * ((GRID.two_theta[:, None] - at) / 0.05) ** 2).sum(1)
        noise = rng.normal(size=(n, GRID.size)) * self.level[:, None]
        self.intensity = np.abs(lines + noise)


def test_a_predictor_that_fails_on_noise_contradicts_the_claim():
    patterns = Patterns(40)
    predictor = Half(patterns.group - 1, 1 - patterns.level / 0.04)
    result = difficulty.measured_study(
        predictor, patterns, np.full(99, 1 / 99), n_permutations=200, n_boot=100
    )
    own = result["predictors"]["released"]
    assert own["association"]["noise"]["within classes"]["rho"] > 0.9
    assert own["association"]["class frequency"]["within classes"]["rho"] is None
    assert own["explained"]["quality"]["share"] > 0.5
    judged = judges_measured.difficulty({"published": None, "measured": result})
    assert judged.verdict == "does not hold" and "noise (+" in judged.evidence
    figure = plot_measured.fit_quality({"published": None, "measured": result})
    assert "noise" in [t.get_text() for t in figure.findobj(matplotlib.text.Text)]
    both = {"published": difficulty.published_study(cases(), **FEW), "measured": result}
    assert len(plot_measured.fit_quality(both).axes) == 3


def test_measures_of_a_pattern_see_what_was_put_in():
    patterns = Patterns(20)
    result = difficulty.signal(patterns.intensity)
    order = np.argsort(patterns.level)
    assert (np.diff(result["noise"][order]) > -1e-3).all()
    assert np.median(result["width"]) == pytest.approx(2.355 * 0.05, rel=0.2)
    assert result["lines"][order[0]] == 5
    plain = difficulty.signal(patterns.intensity + 0.2)
    assert (plain["background"] > result["background"]).all()


def test_missing_data_give_a_note():
    nothing = {"published": None, "measured": None}
    judged = judges_measured.difficulty(nothing)
    assert judged.verdict == "not decided" and "No data" in judged.evidence
    figure = plot_measured.fit_quality(nothing)
    assert len(figure.axes) == 1
