"""Priors: smoothing by hand, every way to name a group, and what is refused."""

import numpy as np
import pytest

from xrdlib import groups, priors
from xrdlib.errors import XrdlibError


def test_smoothing_runs_from_counts_to_base():
    counts, base = np.arange(99.0), np.linspace(1, 2, 99)
    weak = priors.smooth_prior(counts, 1e-9, base)
    strong = priors.smooth_prior(counts, 1e12, base)
    assert np.allclose(weak, counts / counts.sum())
    assert np.allclose(strong, base / base.sum())
    # Three patterns of class 0 and two pseudo-patterns on 99 classes.
    three = priors.smooth_prior(3 * np.eye(99)[0], 2)
    assert three[0] == pytest.approx((3 + 2 / 99) / 5)
    assert three.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "args",
    [(np.ones(98),), (-np.ones(99),), (np.ones(99), 0), (np.ones(99), 1, np.zeros(99))],
)
def test_impossible_counts_are_refused(args):
    with pytest.raises(XrdlibError, match="non-negative counts"):
        priors.smooth_prior(*args)


def test_named_priors():
    minerals = np.arange(1.0, 100)
    assert np.allclose(priors.resolve_prior("uniform"), 1 / 99)
    assert np.allclose(priors.resolve_prior("minerals", minerals), minerals / minerals.sum())
    with pytest.raises(XrdlibError, match="'minerals' is not available"):
        priors.resolve_prior("minerals")
    with pytest.raises(XrdlibError, match="'perovskites' is not available"):
        priors.resolve_prior("perovskites", minerals)


def test_mapping_names_groups_in_every_way():
    label = int(groups.group_of_space_group()[14])
    for key in (label, "sg14", groups.reference_symbol(14), "P 1 21/c 1"):
        prior = priors.resolve_prior({key: 3}, floor=0.01)
        assert prior.argmax() == label - 1, key
        assert prior[label - 1] == pytest.approx(0.99 + 0.01 / 99)
        assert prior.sum() == pytest.approx(1) and (prior > 0).all()


def test_mapping_adds_space_groups_of_one_extinction_group():
    first, second = groups.extinction_groups().space_groups.loc[7][:2]
    prior = priors.resolve_prior({f"sg{first}": 1, f"sg{second}": 2, 99: 1}, floor=0)
    assert prior[6] == pytest.approx(0.75) and prior[98] == pytest.approx(0.25)


def test_every_space_group_is_found_by_number_and_by_symbol():
    labels = groups.group_of_space_group()
    for number in range(1, 231):
        for key in (f"sg{number}", groups.reference_symbol(number)):
            assert priors.resolve_prior({key: 1}).argmax() == labels[number] - 1, key


@pytest.mark.parametrize("key", [0, 100, "sg231", "P 9 m", "P - - -", True])
def test_unknown_or_ambiguous_keys_are_refused(key):
    with pytest.raises(XrdlibError, match="names [0-9] groups"):
        priors.resolve_prior({key: 1})


@pytest.mark.parametrize("weights", [{3: -1}, {3: np.nan}, {3: 0}, {}])
def test_impossible_weights_are_refused(weights):
    with pytest.raises(XrdlibError, match="weight"):
        priors.resolve_prior(weights)


def test_ratio_of_an_impossible_class_is_refused():
    with pytest.raises(XrdlibError, match="positive everywhere"):
        priors.log_ratio(np.eye(99)[0], np.ones(99))


def test_training_prior_divided_out_leaves_the_likelihood():
    rng = np.random.default_rng(5)
    likelihood = rng.random((20, 99))
    train = rng.dirichlet(np.ones(99)) + 1e-4
    posterior = likelihood * train
    logp = np.log(posterior / posterior.sum(axis=1, keepdims=True))
    expected = likelihood / likelihood.sum(axis=1, keepdims=True)
    assert np.allclose(np.exp(priors.divide_out(logp, 5 * train)), expected)


@pytest.mark.parametrize("labels", [[99], [-1], [0.5]])
def test_impossible_labels_make_no_prior(labels):
    with pytest.raises(XrdlibError, match="integer labels"):
        priors.fit_prior(labels)
