"""Calibration: known temperatures are found, priors enter as ratios, heads fuse as stated."""

import numpy as np
import pytest

from xrdlib.base.errors import XrdlibError
from xrdlib.learning import calibrate, metrics, priors

FLAT = np.zeros(99)


def log_softmax(x):
    return x - metrics.logsumexp(x)[:, None]


def sampled(scores, seed=0):
    """Labels drawn from softmax(scores)."""
    gumbel = np.random.default_rng(seed).gumbel(size=scores.shape)
    return (scores + gumbel).argmax(axis=1)


@pytest.fixture(scope="module")
def logits():
    return np.random.default_rng(1).normal(size=(2500, 99)) * 3


def test_fit_recovers_temperature_and_prior_weight(logits):
    ratio = np.random.default_rng(2).normal(size=99)
    ratio -= ratio.mean()
    labels = sampled(logits + 0.6 * ratio)
    fitted = calibrate.fit(log_softmax(2 * logits), None, labels, ratio)
    assert pytest.approx(2, rel=0.06) == fitted.T
    assert fitted.w == pytest.approx(0.6, abs=0.1)
    assert fitted.a == 1.0


def test_fit_recovers_the_mixture_of_heads(logits):
    rule, aux = log_softmax(logits), log_softmax(np.roll(logits, 1, axis=0))
    labels = sampled(calibrate.fuse(rule, aux, 0.3))
    fitted = calibrate.fit(rule, aux, labels, FLAT)
    assert fitted.a == pytest.approx(0.3, abs=0.05)
    assert pytest.approx(1, abs=0.1) == fitted.T


def test_fit_trusts_the_head_that_knows(logits):
    labels = sampled(logits[:500])
    good, empty = log_softmax(logits[:500]), np.full((500, 99), -np.log(99))
    assert calibrate.fit(good, empty, labels, FLAT).a > 0.95
    assert calibrate.fit(empty, good, labels, FLAT).a < 0.05


def test_fit_is_the_minimum_of_the_profile(logits):
    rule, aux = log_softmax(logits)[:400], log_softmax(np.roll(logits, 1, axis=0))[:400]
    labels = sampled(calibrate.fuse(rule, aux, 0.47))
    ratio = np.linspace(-1, 1, 99)
    best = calibrate.fit(rule, aux, labels, ratio)
    value = metrics.nll(best.apply(rule, aux, ratio), labels)
    rng = np.random.default_rng(0)
    for T, w, a in zip(rng.uniform(0.3, 4, 60), rng.uniform(0, 2, 60), rng.random(60), strict=True):
        other = calibrate.Calibration(T, w, a).apply(rule, aux, ratio)
        assert value <= metrics.nll(other, labels) + 1e-9
    for stated, point in calibrate.profile_fusion(rule, aux, labels, ratio):
        assert stated >= value - 1e-9
        assert metrics.nll(point.apply(rule, aux, ratio), labels) == pytest.approx(stated)


def test_a_model_that_knows_nothing_is_cooled_to_the_prior():
    rng = np.random.default_rng(3)
    prior = rng.dirichlet(np.ones(99)) * 0.9 + 0.1 / 99
    labels = rng.choice(99, p=prior, size=3000)
    noise = log_softmax(rng.normal(size=(3000, 99)) * 3)
    ratio = priors.log_ratio(prior, np.ones(99))
    fitted = calibrate.fit(None, noise, labels, ratio)
    assert fitted.T > 20
    assert fitted.w == pytest.approx(1, abs=0.1)
    logp = fitted.apply(None, noise, ratio)
    bits = metrics.measure(logp, labels, np.log(prior))["bits_over_prior"]
    assert bits == pytest.approx(0, abs=0.02)


def test_ratio_prior_is_bayes_rule():
    # Likelihood p(x | k) known, so the posterior under any prior is known too.
    rng = np.random.default_rng(5)
    likelihood = rng.random((20, 99))
    train, target = rng.dirichlet(np.ones(99), 2) + 1e-4
    posterior = likelihood * train
    posterior /= posterior.sum(axis=1, keepdims=True)
    expected = likelihood * target
    expected /= expected.sum(axis=1, keepdims=True)
    ratio = priors.log_ratio(target, train)
    fitted = np.exp(calibrate.rescale(np.log(posterior), 1, 1, ratio))
    assert np.allclose(fitted, expected)


def test_fusion_is_the_stated_mixture(logits):
    rule, aux = log_softmax(logits[:50]), log_softmax(logits[50:100])
    for a in (0, 0.25, 1):
        mixed = np.exp(calibrate.fuse(rule, aux, a))
        assert np.allclose(mixed, a * np.exp(rule) + (1 - a) * np.exp(aux))
    assert np.array_equal(calibrate.fuse(None, aux, 0.7), aux)
    assert np.array_equal(calibrate.fuse(rule, None, 0.7), rule)
    with pytest.raises(XrdlibError, match="one head"):
        calibrate.fuse(None, None, 0.5)
    with pytest.raises(XrdlibError, match="equal shape"):
        calibrate.fuse(rule, aux[1:], 0.5)


def test_temperature_curve_ends_in_the_prior_alone(logits):
    prior = np.random.default_rng(6).dirichlet(np.ones(99)) + 1e-3
    prior /= prior.sum()
    labels = sampled(logits)
    ratio = priors.log_ratio(prior, np.ones(99))
    curve = calibrate.temperature_curve(log_softmax(logits), labels, 1, ratio, [1, 1e7])
    alone = np.tile(np.log(prior), (len(labels), 1))
    assert curve["limit"]["nll"] == pytest.approx(metrics.nll(alone, labels))
    assert curve["limit"]["top5"] == pytest.approx(100 * metrics.top_k(alone, labels, 5))
    assert curve["nll"][1] == pytest.approx(curve["limit"]["nll"], rel=1e-5)
    assert len(calibrate.temperature_curve(log_softmax(logits), labels, 1, ratio)["ece"]) == 25
