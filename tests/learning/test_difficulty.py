"""Associations within classes, and the studies made of them, against made-up truths."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import spearmanr

from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import GRID
from xrdlib.learning import statistics
from xrdlib.learning.statistics import association, explained, odds_ratio
from xrdlib.prediction.predictor import Seen
from xrdlib.reporting import plot_measured
from xrdlib.structures.published import SEVERITIES, Published
from xrdlib.studies import difficulty

FEW = {"n_permutations": 200, "n_boot": 200}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_without_strata_it_is_spearmans_correlation():
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    y = x + rng.normal(size=80)
    found = association(x, y, np.arange(80), **FEW)
    assert found["rho"] == pytest.approx(spearmanr(x, y).statistic)
    assert found["p"] == pytest.approx(1 / 201) and found["n_informative"] == 80
    low, high = found["rho_ci95"]
    assert low < found["rho"] < high and low > 0


def test_a_difference_between_classes_is_no_association_within_them():
    rng = np.random.default_rng(1)
    classes = np.repeat([0, 1], 60)
    x, y = rng.normal(size=120) + 5 * classes, rng.normal(size=120) + 5 * classes
    over_all = association(x, y, np.arange(120), **FEW)
    within = association(x, y, np.arange(120), classes, **FEW)
    assert over_all["rho"] > 0.6 and over_all["p"] < 0.01
    assert abs(within["rho"]) < 0.3 and within["p"] > 0.05


def test_classes_that_do_not_vary_say_nothing():
    hit, classes = np.array([1, 1, 1, 0, 1, 0]), np.array([0, 0, 0, 1, 1, 1])
    x = np.arange(6.0)
    found = association(x, hit, np.arange(6), classes, **FEW)
    assert (found["n"], found["n_informative"], found["strata_informative"]) == (6, 3, 1)
    none = association(x[:3], hit[:3], np.arange(3), **FEW)
    assert none["rho"] is None and none["p"] is None and none["n_informative"] == 0
    gone = association([1.0, np.nan, 2.0, 3.0], [1.0, 5.0, 2.0, 3.0], np.arange(4), **FEW)
    assert gone["n"] == 3 and gone["rho"] == pytest.approx(1)
    with pytest.raises(XrdlibError, match="as many numbers"):
        association([1.0], [1.0, 2.0], [1, 2])


def test_patterns_of_one_family_are_not_counted_as_independent():
    rng = np.random.default_rng(2)
    family = np.repeat(np.arange(8), 30)
    x, y = (rng.normal(size=8)[family] + 0.01 * rng.normal(size=240) for _ in range(2))
    known, blind = (association(x, y, f, **FEW) for f in (family, np.arange(240)))
    assert np.ptp(known["rho_ci95"]) > 3 * np.ptp(blind["rho_ci95"])
    assert known["p"] > blind["p"]


def test_the_odds_ratio_that_was_put_in_is_found():
    rng = np.random.default_rng(3)
    x, offset = rng.normal(size=6000), rng.normal(size=6000)
    hit = rng.random(6000) < 1 / (1 + np.exp(-(0.5 + 0.7 * x + offset)))
    found = odds_ratio(x, hit, offset, np.arange(6000), n_boot=20)
    assert np.log(found["ratio"]) == pytest.approx(0.7, abs=0.1)
    assert found["ratio_ci95"][0] < np.exp(0.7) < found["ratio_ci95"][1]
    null = odds_ratio(rng.normal(size=6000), hit, offset, np.arange(6000), n_boot=20)
    assert null["ratio"] == pytest.approx(1, abs=0.1)
    perfect = odds_ratio([0.0, 0.0, 1.0, 1.0], [0, 0, 1, 1], np.zeros(4), np.zeros(4))
    assert np.isfinite(perfect["ratio"]) and perfect["ratio"] > 10
    assert perfect["ratio_ci95"] is None


def test_a_fit_explains_other_families_only_where_there_is_something():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(300, 2))
    y = x[:, 0] + 0.5 * rng.normal(size=300)
    family = np.arange(300) // 2
    good = explained(x, y, family, 100)
    assert good["share"] == pytest.approx(0.8, abs=0.08) and good["p"] < 0.05
    none = explained(rng.normal(size=(300, 2)), y, family, 100)
    assert none["share"] < 0.05 and good["null95"] < 0.1
    x[::7, 1] = np.nan
    assert explained(x, y, family, 20)["share"] > 0.7


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
    found = difficulty.published_study(cases(), **FEW)
    assert found["by_class"] == pytest.approx({"top1": 1, "top5": 1})
    assert found["rwp"]["top1"]["within classes"]["p"] is None
    verdict = difficulty.verdict(found, None)
    assert verdict["published"] == "holds in part" and verdict["measured"] is None
    assert "cannot show" in verdict["text"]
    assert [row["n"] for row in found["severity"]] == [
        int((cases().severity == name).sum()) for name in SEVERITIES
    ]
    assert sum(row["n"] for row in found["bins"]) == 240


def test_hits_that_follow_the_fit_contradict_the_claim():
    found = difficulty.published_study(cases(effect=0.45), **FEW)
    assert found["rwp"]["top1"]["within classes"]["rho"] < -0.3
    assert found["odds"]["top1"]["ratio_ci95"][1] < 1
    assert difficulty.verdict(found, None)["published"] == "does not hold"


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
    found = difficulty.measured_study(
        predictor, patterns, np.full(99, 1 / 99), n_permutations=200, n_boot=100
    )
    own = found["predictors"]["released"]
    assert own["association"]["noise"]["within classes"]["rho"] > 0.9
    assert own["association"]["class frequency"]["within classes"]["rho"] is None
    assert own["explained"]["quality"]["share"] > 0.5
    verdict = difficulty.verdict(None, found)
    assert verdict["measured"] == "does not hold" and "noise (+" in verdict["text"]
    figure = plot_measured.fit_quality({"published": None, "measured": found})
    assert "noise" in [t.get_text() for t in figure.findobj(matplotlib.text.Text)]
    both = {"published": difficulty.published_study(cases(), **FEW), "measured": found}
    assert len(plot_measured.fit_quality(both).axes) == 3


def test_measures_of_a_pattern_see_what_was_put_in():
    patterns = Patterns(20)
    found = difficulty.signal(patterns.intensity)
    order = np.argsort(patterns.level)
    assert (np.diff(found["noise"][order]) > -1e-3).all()
    assert np.median(found["width"]) == pytest.approx(2.355 * 0.05, rel=0.2)
    assert found["lines"][order[0]] == 5
    plain = difficulty.signal(patterns.intensity + 0.2)
    assert (plain["background"] > found["background"]).all()


def test_nothing_at_hand_is_said():
    found = difficulty.verdict(None, None)
    assert found["published"] is found["measured"] is None and "No data" in found["text"]
    figure = plot_measured.fit_quality({"published": None, "measured": None})
    assert len(figure.axes) == 1


def test_the_newton_steps_reach_the_maximum():
    rng = np.random.default_rng(7)
    z, hit = rng.normal(size=50), rng.random(50) < 0.3
    slope = statistics._slope(z, hit.astype(float), np.zeros(50), np.ones((1, 50)))[0]
    odds = [odds_at(z, hit, slope + d) for d in (-0.05, 0, 0.05)]
    assert odds[1] > odds[0] and odds[1] > odds[2]


def odds_at(z, hit, slope):
    """Largest log-likelihood over the constant at a given slope."""
    constant = np.linspace(-5, 5, 2001)[:, None]
    score = constant + slope * z
    return (hit * score - np.logaddexp(0, score)).sum(1).max()
