"""Temperatures chosen, what they win and leave, and what five published probabilities can tell."""

import numpy as np
import pytest

from figures import texts
from xrdlib.base.errors import XrdlibError
from xrdlib.learning import calibrate
from xrdlib.learning.metrics import logsumexp
from xrdlib.reporting import plot_measured
from xrdlib.structures.published import Published
from xrdlib.studies import temperature

UNIFORM = np.full(99, 1 / 99)


def drawn(n, sharpness=1.0, seed=0):
    """Predictions whose labels are drawn from them, then raised to a power: T = sharpness."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n, 99))
    logp = logits - logsumexp(logits)[:, None]
    labels = np.array([rng.choice(99, p=np.exp(row) / np.exp(row).sum()) for row in logp])
    return sharpness * logp, labels, np.arange(n) // 2


def one(sharpness, n=600):
    """A predictor of known temperature, studied."""
    parts = []
    for seed in (0, 1):
        logp, labels, families = drawn(n, sharpness, seed)
        parts.append((logp, np.zeros(99), labels, families))
    return temperature.model(*parts, UNIFORM, n_boot=200)


@pytest.mark.parametrize("T", [3.0, 1.0])
def test_the_temperature_that_was_put_in_is_found(T):
    result = one(T)
    low, high = result["chosen"]["T_ci95"]
    assert low <= T * 1.1 and high >= T / 1.1 and high / low < 1.6
    assert result["chosen"]["at_limit"] == 0 and result["left_ci95"][0] > 0
    assert (result["won_ci95"][0] > 0) == (T == 3) and result["won_top1"] == 0
    # Nothing but T changes: the order of the classes stays.
    assert result["rows"]["chosen"]["top1"] == result["rows"]["T = 1"]["top1"]
    assert result["rows"]["limit"]["nll"] == pytest.approx(np.log(99))
    assert result["won"] == pytest.approx(result["rows"]["T = 1"]["nll"]
                                         - result["rows"]["chosen"]["nll"])  # fmt: skip


def test_predictions_that_know_nothing_slide_to_the_prior():
    logp, _, families = drawn(400, 3.0)
    labels = np.random.default_rng(5).integers(99, size=400)
    part = (logp - logsumexp(logp)[:, None], np.zeros(99), labels, families)
    result = temperature.model(part, part, UNIFORM, n_boot=100)
    assert result["won_ci95"][0] > 0 >= result["left_ci95"][0]
    assert result["chosen"]["at_limit"] > 0.2


def test_a_temperature_chosen_wrongly_is_called_harmful():
    flat, sharp = drawn(400, 0.3), drawn(400, 1.0, 1)
    parts = [(logp, np.zeros(99), labels, family) for logp, labels, family in (flat, sharp)]
    result = temperature.model(*parts, UNIFORM, n_boot=100)
    assert result["chosen"]["T"] == 0.5  # the end of the grid
    assert result["won_ci95"][1] < 0


def test_the_ways_differ_in_what_is_left_at_the_limit():
    logp, labels, _ = drawn(50)
    train, target = np.arange(1, 100) / 4950, np.arange(99, 0, -1) / 4950
    ways = temperature.ways(logp, train, target)
    ends = {way: calibrate.rescale(*pair_T(ways[way], np.inf)) for way in temperature.WAYS}
    assert np.exp(ends[temperature.RATIO]) == pytest.approx(np.tile(target, (50, 1)))
    assert np.exp(ends[temperature.TWICE]) == pytest.approx(np.tile(train, (50, 1)))
    assert np.exp(ends[temperature.NONE]) == pytest.approx(1 / 99)
    # At temperature 1 twice is once more than none, by exactly the training prior.
    twice, none = (
        calibrate.rescale(*pair_T(ways[way], 1)) for way in (temperature.TWICE, temperature.NONE)
    )
    gap = twice - none - np.log(train)
    assert np.ptp(gap, axis=1) == pytest.approx(0, abs=1e-9)
    assert len(temperature.curve(*ways[temperature.RATIO], labels)["nll"]) == len(temperature.SHOWN)


def pair_T(pair, T):
    return pair[0], T, 1, pair[1]


def test_the_choice_is_the_least_mean_cost_and_infinity_is_none():
    costs = np.array([[3.0, 1, 2], [3, 2, 1], [3, 2, 1]])
    result = temperature.choose(costs, ["a", "b", "c"], (0.5, 1.0), n_boot=50)
    assert result["T"] is None and result["T_ci95"][0] == 1.0 and result["T_ci95"][1] is None
    assert temperature.choose(costs, ["a"] * 3, (0.5, 1.0))["T_ci95"] is None
    with pytest.raises(XrdlibError, match="2 temperatures and infinity"):
        temperature.choose(costs[:, :2], ["a", "b", "c"], (0.5, 1.0))


def cases(n=60, seed=0):
    """Published-looking cases whose truth is drawn from their own five probabilities."""
    rng = np.random.default_rng(seed)
    top = np.array([rng.permutation(99)[:5] for _ in range(n)])
    p = -np.sort(-rng.dirichlet(np.ones(5), n)) * 0.6
    label = np.array([rng.choice(t, p=q / q.sum()) for t, q in zip(top, p, strict=True)])
    label[: n // 6] = (top[: n // 6, 0] + 1) % 99  # some outside or elsewhere
    name = np.arange(n).astype(str)
    return Published(name, name, name, label, rng.random(n), name, top, p)


def test_informative_probabilities_differ_from_equal_odds():
    result = temperature.published_study(cases(400), n_boot=100)
    assert result["told_ci95"][0] > 0
    way = result["ways"]["as published"]
    assert way["limit"] == pytest.approx(np.log(5)) == result["nulls"]["uniform"]
    assert way["chosen"]["T_ci95"][0] < 1.0 < way["chosen"]["T_ci95"][1]


def test_the_label_prior_of_a_case_does_not_count_its_family():
    labels, families = np.array([3, 3, 7]), np.array(["a", "a", "b"])
    prior = temperature.label_prior(labels, families, strength=1.0)
    assert prior.sum(1) == pytest.approx(1)
    assert prior[0, 3] == pytest.approx(1 / 99 / 2) and prior[0, 7] == pytest.approx(1.01010101 / 2)
    assert prior[2, 3] == pytest.approx((2 + 1 / 99) / 3)


@pytest.mark.parametrize("known", [True, False])
def test_the_figure_names_its_subset_and_draws_every_predictor(known):
    model = one(2.0, 60)
    result = {
        "subset": "rruff-test",
        "chosen_on": "rruff-calibration",
        "n": 60,
        "n_families": 30,
        "models": {"net": dict.fromkeys(temperature.WAYS, model)},
        "published": temperature.published_study(cases(), n_boot=20) if known else None,
    }
    figure = plot_measured.calibration_study(result)
    shown = texts(figure)
    assert "rruff-test: n = 60 patterns of 30 families" in shown and "net" in shown
    assert ("not at hand" in shown) is not known
