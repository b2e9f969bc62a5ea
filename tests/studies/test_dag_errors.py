"""Error analysis on the subgroup graph: constructed predictors with known geometry."""

import json

import networkx as nx
import numpy as np
import pytest
from predictions import peaked

from xrdlib.base.errors import XrdlibError
from xrdlib.learning import statistics
from xrdlib.studies import graph_errors
from xrdlib.symmetry import dag, groups

GRAPH = dag.subgroup_dag()
PRIOR = np.full(99, 1 / 99)
LOCAL, FLOW = "errors are local", "errors flow to lower symmetry"


def truth(n=240, seed=0):
    """Labels whose families are pure, as mineral families are."""
    rng = np.random.default_rng(seed)
    families = rng.integers(0, 80, n)
    interior = [k for k in GRAPH if GRAPH.in_degree(k) and GRAPH.out_degree(k)]
    return rng.choice(interior, size=80)[families] - 1, families


def moved(labels, step, seed=1):
    """Each label taken to a random neighbour that `step` lists."""
    rng = np.random.default_rng(seed)
    return np.array([rng.choice(sorted(step(k + 1))) - 1 for k in labels])


def test_counts_of_a_hand_made_case():
    # P21/c (4): P-1 (99) is its descendant, one hop; an ancestor and a branch are looked up.
    ancestor = next(iter(nx.ancestors(GRAPH, 4)))
    related = nx.ancestors(GRAPH, 4) | nx.descendants(GRAPH, 4) | {4}
    branch = next(k for k in GRAPH if k not in related)
    predicted = np.array([4, 99, 99, ancestor, branch]) - 1
    result = graph_errors.analyse(peaked(predicted), np.full(5, 3), np.arange(5), PRIOR, 50)
    undirected = GRAPH.to_undirected()
    hops = [nx.shortest_path_length(undirected, 4, k) for k in (99, 99, ancestor, branch)]
    assert (result["n"], result["n_errors"], result["accuracy"]) == (5, 4, pytest.approx(20))
    assert result["observed"]["direction"] == {"descendant": 50, "ancestor": 25, "branch": 25}
    assert result["observed"]["value"]["mean_distance"] == pytest.approx(np.mean(hops))
    assert result["observed"]["value"]["within_two"] == 100 * np.mean(np.array(hops) <= 2)
    assert result["observed"]["distance"]["1"] == 100 * np.mean(np.array(hops) == 1)


def test_local_errors_are_found_local():
    labels, families = truth()
    near = moved(labels, lambda k: {*GRAPH.successors(k), *GRAPH.predecessors(k)})
    predicted = np.where(np.arange(len(labels)) % 3 == 0, labels, near)
    result = graph_errors.analyse(peaked(predicted), labels, families, PRIOR, 500)
    assert result["observed"]["value"]["mean_distance"] == 1
    for name in graph_errors.SHUFFLES:
        null = result["nulls"][name]
        assert null["value"]["mean_distance"] > 1 and null["p"]["mean_distance"] < 0.01, name
        assert null["p"]["within_two"] < 0.05
    assert result["verdict"][LOCAL].startswith("Supported.")
    assert "not seen" not in result["verdict"][LOCAL]


@pytest.mark.parametrize(
    ("step", "head"), [(GRAPH.successors, "Supported."), (GRAPH.predecessors, "Contradicted.")]
)
def test_direction_of_flow_is_told_apart(step, head):
    labels, families = truth()
    result = graph_errors.analyse(peaked(moved(labels, step)), labels, families, PRIOR, 500)
    share = {"Supported.": 100, "Contradicted.": 0}[head]
    assert result["observed"]["value"]["descendant"] == share
    assert result["verdict"][FLOW].startswith(head)


def test_predictions_that_ignore_the_pattern_are_not_significant():
    p = {key: [] for key in ("mean_distance", "descendant")}
    for seed in range(40):
        labels, families = truth(seed=seed)
        rng = np.random.default_rng(seed)
        # Families share a guess, so their patterns are not independent evidence.
        guess = rng.choice(labels, size=80)[families]
        result = graph_errors.analyse(peaked(guess), labels, families, PRIOR, 199, seed)
        for key, values in p.items():
            values.append(result["nulls"]["shuffled"]["p"][key])
    for values in p.values():
        assert 0.35 < np.mean(values) < 0.7
        assert np.mean(np.array(values) < 0.05) < 0.15


def test_shuffling_patterns_one_by_one_would_be_overconfident():
    """The reason for moving families as blocks: without them a null effect looks significant."""
    p = []
    for seed in range(40):
        labels, families = truth(seed=seed)
        guess = np.random.default_rng(seed).choice(labels, size=80)[families]
        lonely = np.arange(len(labels))
        result = graph_errors.analyse(peaked(guess), labels, lonely, PRIOR, 199, seed)
        p.append(result["nulls"]["shuffled"]["p"]["mean_distance"])
    assert np.mean(np.array(p) < 0.05) > 0.15


def test_locality_of_the_crystal_system_alone_is_told_apart():
    """Errors that stay in the system but ignore the group vanish once the system is fixed."""
    labels, families = truth(n=400)
    system = np.array(groups.crystal_systems())
    rng = np.random.default_rng(2)
    predicted = np.array([rng.choice(labels[system[labels] == system[k]]) for k in labels])
    result = graph_errors.analyse(peaked(predicted), labels, families, PRIOR, 500)
    assert result["nulls"]["shuffled"]["p"]["mean_distance"] < 0.01
    assert result["nulls"]["shuffled within system"]["p"]["mean_distance"] > 0.05
    assert "Within a crystal system the effect is not seen" in result["verdict"][LOCAL]


def test_a_constant_model_equals_the_constant_null():
    labels, families = truth()
    prior = np.eye(99)[3] + 1e-3
    constant = np.full(len(labels), 3)
    result = graph_errors.analyse(peaked(constant), labels, families, prior, 200)
    for name, null in result["nulls"].items():
        assert set(null["p"].values()) == {1.0}, name
        for key, value in result["observed"]["value"].items():
            assert null["value"][key] == pytest.approx(value)
    assert result["verdict"][LOCAL].startswith("Not supported.")


def test_the_constant_is_compared_by_swapping():
    labels, families = truth()
    far = moved(labels, lambda k: np.flatnonzero(dag.distances()[k - 1] >= 3) + 1)
    hops = dag.distances()[labels].mean(axis=0)
    result = graph_errors.analyse(peaked(far), labels, families, -hops, 300)
    null = result["nulls"]["constant"]
    assert null["value"]["mean_distance"] < result["observed"]["value"]["mean_distance"]
    assert null["p"]["mean_distance"] < 0.05


def test_block_permutation_keeps_strata_and_whole_families():
    rng = np.random.default_rng(0)
    family = np.repeat(np.arange(12), 5)
    stratum = np.repeat([0, 1, 2], 20)
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


def test_result_is_json_and_repeats():
    labels, families = truth(n=60)
    args = (peaked(np.roll(labels, 7)), labels, families, PRIOR, 100)
    first = graph_errors.analyse(*args)
    assert json.loads(json.dumps(first, allow_nan=False)) == first
    assert graph_errors.analyse(*args) == first


def test_no_errors_and_bad_input():
    labels, families = truth(n=30)
    perfect = graph_errors.analyse(peaked(labels), labels, families, PRIOR, 10)
    assert perfect["n_errors"] == 0 and "no errors" in perfect["verdict"]["errors"]
    with pytest.raises(XrdlibError, match="as many families"):
        graph_errors.analyse(peaked(labels), labels, families[1:], PRIOR)
    with pytest.raises(XrdlibError, match="as many families"):
        graph_errors.analyse(peaked(labels), labels, families, PRIOR[1:])
