"""Priors: smoothing by hand, every way to name a group, and what is refused."""

import numpy as np
import pytest

from xrdlib.base.errors import XrdlibError
from xrdlib.learning import priors
from xrdlib.symmetry import groups


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
    "args", [(np.ones(98),), (-np.ones(99),), (np.ones(99), 0), (np.ones(99), 1, np.zeros(99))]
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
    for key in (14, f"eg{label}", "sg14", groups.reference_symbol(14), "P 1 21/n 1"):
        prior = priors.resolve_prior({key: 3}, floor=0.01)
        assert prior.argmax() == label - 1, key
        assert prior[label - 1] == pytest.approx(0.99 + 0.01 / 99)
        assert prior.sum() == pytest.approx(1) and (prior > 0).all()


def test_every_space_group_is_found_by_number_and_by_symbol():
    labels = groups.group_of_space_group()
    for number in range(1, 231):
        for key in (f"sg{number}", groups.reference_symbol(number)):
            assert priors.resolve_prior({key: 1}).argmax() == labels[number] - 1, key


@pytest.mark.parametrize("key", [0, 231, "sg231", "P 9 m", "P - - -", True])
def test_unknown_or_ambiguous_keys_are_refused(key):
    with pytest.raises(XrdlibError, match="names (no|4) group"):
        priors.resolve_prior({key: 1})


def test_impossible_labels_and_ratios_are_refused():
    for label in (99, -1, 0.5):
        with pytest.raises(XrdlibError, match="integer labels"):
            priors.fit_prior([label])
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


MINERALS = np.linspace(1, 2, 99)


@pytest.mark.parametrize("named", [*groups.SYSTEMS, "trigonal, hexagonal"])
def test_a_known_crystal_system_leaves_the_minerals_within_it(named):
    prior = priors.resolve_prior(f"system={named}", MINERALS, floor=0)
    rows, systems = groups.extinction_groups()["space_groups"], named.split(", ")
    holds = np.array(
        [any(groups.space_group(n)["crystal_system"] in systems for n in row) for row in rows]
    )
    assert ((prior > 0) == holds).all()
    assert np.allclose(prior[holds], MINERALS[holds] / MINERALS[holds].sum())


@pytest.mark.parametrize("spec", ["sg=14,15", "sg= 14, 15", [14, 15], (15, "P21/c"), {14, 15}])
def test_space_groups_to_consider_keep_the_minerals_ratio(spec):
    prior = priors.resolve_prior(spec, MINERALS, floor=0)
    rows = groups.group_of_space_group()[[14, 15]] - 1
    assert np.flatnonzero(prior).tolist() == sorted(rows.tolist())
    assert prior[rows[0]] / prior[rows[1]] == pytest.approx(MINERALS[rows[0]] / MINERALS[rows[1]])


def test_weights_as_text_are_those_of_the_mapping():
    text = priors.resolve_prior("P21/c=3, C2/c = 1,sg19=0.5")
    assert np.allclose(text, priors.resolve_prior({"P21/c": 3, "C2/c": 1, "sg19": 0.5}))
    # Two space groups of one extinction group: weights add up, what is considered counts once.
    first, second = groups.extinction_groups().space_groups.loc[7][:2]
    prior = priors.resolve_prior({f"sg{first}": 1, f"sg{second}": 2, "eg99": 1}, floor=0)
    assert prior[6] == pytest.approx(0.75) and prior[98] == pytest.approx(0.25)
    assert np.allclose(priors.resolve_prior([first, second], floor=0)[6], 1)


@pytest.mark.parametrize("spec", ["system=monoclinic", [14], "P21/c=1"])
def test_what_is_left_out_stays_possible(spec):
    prior = priors.resolve_prior(spec, MINERALS)
    assert (prior > 0).all() and prior.sum() == pytest.approx(1)


def test_what_is_known_weighs_more_than_what_is_thought_likely():
    outside = groups.group_of_space_group()[227] - 1
    thought, known = (priors.resolve_prior(spec)[outside] for spec in ({"P21/c": 1}, "sg=14"))
    assert 0 < known < 1e-50 * thought


def test_crystal_systems_may_be_written_with_capitals():
    assert priors.parsed("system=Cubic") == priors.parsed("system=cubic")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("system=cubical", "'cubical' is not a crystal system"),
        ("system=", "'' is not a crystal system"),
        ("sg=231", "names no group"),
        ("sg=", "names no group"),
        ("P21/c=three", "is not available"),
        ("P21/c=nan", "non-negative"),
        ("", "is not available"),
        ({"P21/c": "3"}, "non-negative"),
        ([], "all zero"),
        ({3: -1}, "non-negative"),
        ({3: 0}, "all zero"),
        ({}, "all zero"),
        (5, "neither"),
        (None, "neither"),
    ],
)
def test_what_cannot_be_meant_is_refused(spec, message):
    with pytest.raises(XrdlibError, match=message):
        priors.resolve_prior(spec, MINERALS)
