"""From predictions to calibrated probabilities: Bayes by hand, and fits of known answers."""

import numpy as np
import pytest
from made_up_models import (
    CHOSEN,
    MINERALS,
    NAMES,
    NULL,
    PRIOR,
    TITLES,
    TRAIN,
    N,
    a_set,
    heads,
    softmax,
    train,
)

from xrdlib.base import paths, results
from xrdlib.learning import calibrate, experiment, metrics, outcomes
from xrdlib.learning.calibrate import Calibration


@pytest.fixture
def cfg(cfg):
    return train(cfg)


@pytest.fixture
def sets(cfg):
    return {name: a_set(name) for name in NAMES}


def test_at_temperature_1_the_prior_ratio_is_bayes_rule(cfg, sets):
    """Predictions made of a known likelihood and the training prior get another prior."""
    likelihood = np.random.default_rng(4).gamma(0.5, size=(N, 99)) + 1e-4
    posterior = likelihood * TRAIN / (likelihood @ TRAIN)[:, None]
    experiment.save_predictions(cfg, "resnet", {"rruff-test": {"aux": np.log(posterior)}})
    found = outcomes.evidence(cfg, "resnet", ["rruff-test"])["rruff-test"]
    by_hand = likelihood * MINERALS / (likelihood @ MINERALS)[:, None]
    ratio = outcomes.prior_ratio(MINERALS)
    assert np.allclose(np.exp(Calibration().apply(*found, ratio)), by_hand)
    # With no prior weight the evidence is left, at infinite temperature the prior is.
    likely = likelihood / likelihood.sum(1, keepdims=True)
    assert np.allclose(np.exp(Calibration(w=0).apply(*found, ratio)), likely)
    limit = Calibration(T=np.inf).apply(*found, ratio)
    assert np.allclose(np.exp(limit), np.tile(MINERALS, (N, 1)))


def test_evidence_is_of_the_heads_that_a_model_has(cfg):
    rule, aux = outcomes.evidence(cfg, results.MAIN, NAMES)["amcsd-test"]
    stored = experiment.load_predictions(cfg, "stage2", "amcsd-test")
    for made, head in ((rule, "rule"), (aux, "aux")):
        p = np.exp(stored[head].astype(float)) / TRAIN
        assert np.allclose(np.exp(made), p / p.sum(1, keepdims=True), rtol=1e-5)
    rule, aux = outcomes.evidence(cfg, "plain transformer", NAMES)["amcsd-test"]
    assert rule is None and aux.shape == (N, 99)


def test_evidence_of_search_match_needs_no_prior(cfg):
    found = outcomes.evidence(cfg, outcomes.SEARCH, ["rruff-test"])
    rule, aux = found["rruff-test"]
    scores = experiment.load_predictions(cfg, outcomes.SEARCH, "rruff-test")["scores"]
    assert rule is None and np.allclose(np.exp(aux).sum(1), 1)
    assert (np.argsort(aux, 1) == np.argsort(scores.astype(float), 1)).all()


@pytest.mark.parametrize(("T", "w"), [(0.5, 1.0), (3.0, 0.4)])
def test_fit_finds_the_temperature_and_prior_weight_that_made_the_labels(T, w):
    rng = np.random.default_rng(6)
    z = 2.5 * rng.normal(size=(6000, 99))
    z = z - metrics.logsumexp(z)[:, None]
    target = np.random.default_rng(7).dirichlet(np.full(99, 0.7)) + 1e-4
    target /= target.sum()
    p = softmax(z / T + w * np.log(target * 99))
    labels = (p.cumsum(1) > rng.random((6000, 1))).argmax(1)
    found = outcomes.fit((None, z), labels, target)
    assert abs(np.log(found.T / T)) < 0.08 and abs(found.w - w) < 0.08


def test_fit_prefers_the_head_that_knows():
    patterns = a_set("any", 400)
    good, bad = heads(patterns, 4, 1)["aux"], heads(patterns, 0, 2)["aux"]
    uniform = np.full(99, 1 / 99)
    assert outcomes.fit((good, bad), patterns.label, uniform).a > 0.8
    assert outcomes.fit((bad, good), patterns.label, uniform).a < 0.2


def test_the_null_prior_lies_between_the_labels_and_the_minerals(cfg):
    labels = np.array([4] * 50 + [7] * 10)
    prior = outcomes.null_prior(cfg, labels, MINERALS)
    strength = cfg.evaluate.prior_strength
    by_hand = (np.bincount(labels, minlength=99) + strength * MINERALS) / (60 + strength)
    assert np.allclose(prior, by_hand) and np.isclose(prior.sum(), 1)


def test_predictors_of_balanced_crystals_are_told_that_they_are_balanced():
    for name in ("rruff-test", "rruff-calibration", "amcsd-test", "amcsd-calibration"):
        target, null = outcomes.told_of(name, PRIOR)
        expected = NULL if name.startswith("rruff") else NULL[::-1]
        assert np.allclose(target, MINERALS) and np.allclose(null, expected)
    for told in outcomes.told_of("random-crystals", PRIOR):
        assert np.allclose(told, 1 / 99)


def test_calibrated_is_the_evidence_with_what_was_chosen_and_told(cfg, sets):
    found = outcomes.calibrated(cfg, sets, TITLES, PRIOR)
    assert list(found) == TITLES
    for title, name in ((results.MAIN, "rruff-test"), ("resnet", "random-crystals")):
        evidence = outcomes.evidence(cfg, title, [name])[name]
        a = 0.0 if evidence[0] is None else CHOSEN.a
        rule = 0 if evidence[0] is None else np.exp(evidence[0])
        mixed = a * rule + (1 - a) * np.exp(evidence[1])
        prior = 1 if name == "random-crystals" else MINERALS
        p = mixed ** (1 / CHOSEN.T) * prior**CHOSEN.w
        assert np.allclose(np.exp(found[title][name]), p / p.sum(1, keepdims=True))


def test_the_main_model_needs_no_baselines(cfg, sets):
    (paths.results("tiny") / "baselines.json").unlink()
    found = outcomes.calibrated(cfg, sets, [results.MAIN], PRIOR)
    assert set(found[results.MAIN]) == set(NAMES)


def test_the_fusion_curve_ends_at_the_single_heads_and_bounds_the_fit(sets):
    patterns = sets["rruff-test"]
    rule, aux = (heads(patterns, 3, seed)["aux"] for seed in (1, 2))
    curve = outcomes.fusion_curve((rule, aux), patterns.label, MINERALS)
    assert curve["a"] == pytest.approx(np.linspace(0, 1, 11))
    ratio = outcomes.prior_ratio(MINERALS)
    for k, single in ((0, (None, aux)), (-1, (rule, None))):
        chosen = outcomes.fit(single, patterns.label, MINERALS)
        logp = chosen.apply(*single, ratio)
        assert np.isclose(curve["nll"][k], metrics.nll(logp, patterns.label), atol=1e-4)
        assert np.isclose(curve["top1"][k], 100 * metrics.top_k(logp, patterns.label, 1))
        assert curve["top5"][k] >= curve["top1"][k]
    best = outcomes.fit((rule, aux), patterns.label, MINERALS).apply(rule, aux, ratio)
    assert metrics.nll(best, patterns.label) <= min(curve["nll"]) + 1e-6
    # Two heads with independent errors are better than either.
    assert min(curve["nll"]) < min(curve["nll"][0], curve["nll"][-1])


def test_the_ratio_is_taken_to_the_uniform_prior():
    ratio = outcomes.prior_ratio(MINERALS)
    assert np.allclose(ratio, np.log(MINERALS / MINERALS.sum()) + np.log(99))
    flat = np.full((1, 99), -np.log(99))
    assert np.allclose(np.exp(calibrate.rescale(flat, 1, 1, ratio)), MINERALS / MINERALS.sum())


def test_trainings_that_a_clock_cut_short_are_named(cfg):
    steps = {"stage1": (20, 20), "stage2": (13, 4500), "resnet": (9, None), "plain": (14, 15)}
    for name, (step, planned) in steps.items():
        results.write(cfg, name, {"step": step, "planned": planned, "patterns": 32 * step})
    told = outcomes.cut_short(cfg)
    assert "stage2 after 13 of 4,500 steps, plain after 14 of 15 steps" in told
    assert "stage1" not in told and "resnet" not in told
    results.write(cfg, "stage2", {"step": 4500, "planned": 4500, "patterns": 1})
    results.write(cfg, "plain", {"step": 15, "planned": 15, "patterns": 1})
    assert outcomes.cut_short(cfg) is None
