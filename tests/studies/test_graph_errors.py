"""Errors on the graph, model by model: constructed predictors with known geometry."""

import json

import networkx as nx
import numpy as np
import pytest

from figures import texts
from xrdlib.base.errors import XrdlibError
from xrdlib.reporting import gallery, plot_errors
from xrdlib.studies import graph_errors
from xrdlib.symmetry import dag, groups

GRAPH = dag.subgroup_dag()
PRIOR = np.full(99, 1 / 99)
SYSTEM = np.array(groups.crystal_systems())


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


def near(k):
    """Neighbours of the same crystal system where there are some, else all."""
    around = {*GRAPH.successors(k), *GRAPH.predecessors(k)}
    return {g for g in around if SYSTEM[g - 1] == SYSTEM[k - 1]} or around


def within_system(labels):
    """Predictions that keep the true system and know nothing else."""
    rng = np.random.default_rng(2)
    return np.array([rng.choice(labels[SYSTEM[labels] == SYSTEM[k]]) for k in labels])


def analyse(predicted, labels, families, n=300, prior=PRIOR, seed=0):
    logp = graph_errors.as_log_probs(predicted)
    return graph_errors.analyse(logp, labels, families, prior, n, seed)


def study(predicted, labels, families):
    logp = graph_errors.as_log_probs(predicted)
    arrays = logp, labels, families, PRIOR
    return graph_errors.study("model", "set", *arrays, n_permutations=200, n_boot=100)


def test_log_probabilities_of_a_class():
    logp = graph_errors.as_log_probs([5, 0], p=0.7)
    assert logp.argmax(1).tolist() == [5, 0]
    assert np.exp(logp).sum(1) == pytest.approx(1) and np.exp(logp[0, 5]) == pytest.approx(0.7)


def test_counts_of_a_hand_made_case():
    # P21/c (4): P-1 (99) is its descendant, one hop; an ancestor and a branch are looked up.
    ancestor = next(iter(nx.ancestors(GRAPH, 4)))
    related = nx.ancestors(GRAPH, 4) | nx.descendants(GRAPH, 4) | {4}
    branch = next(k for k in GRAPH if k not in related)
    predicted = np.array([4, 99, 99, ancestor, branch]) - 1
    result = analyse(predicted, np.full(5, 3), np.arange(5), 50)
    undirected = GRAPH.to_undirected()
    hops = [nx.shortest_path_length(undirected, 4, k) for k in (99, 99, ancestor, branch)]
    assert (result["n"], result["n_errors"], result["accuracy"]) == (5, 4, pytest.approx(20))
    assert result["observed"]["direction"] == {"descendant": 50, "ancestor": 25, "branch": 25}
    assert result["observed"]["value"]["mean_distance"] == pytest.approx(np.mean(hops))
    assert result["observed"]["value"]["within_two"] == 100 * np.mean(np.array(hops) <= 2)
    assert result["observed"]["distance"]["1"] == 100 * np.mean(np.array(hops) == 1)


def test_local_errors_are_found_local():
    labels, families = truth()
    predicted = np.where(np.arange(len(labels)) % 3 == 0, labels, moved(labels, near))
    result = study(predicted, labels, families)
    assert result["observed"]["value"]["mean_distance"] == 1
    assert result["ci95"]["mean_distance"] == [1, 1]
    for name in graph_errors.SHUFFLES:
        null = result["nulls"][name]
        assert null["value"]["mean_distance"] > 1 and null["p"]["mean_distance"] < 0.02, name
    assert result["summary"]["local"] == "holds"
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert study(predicted, labels, families) == result


@pytest.mark.parametrize(("step", "share"), [(GRAPH.successors, 100), (GRAPH.predecessors, 0)])
def test_direction_of_flow_is_seen(step, share):
    labels, families = truth()
    result = analyse(moved(labels, step), labels, families, 500)
    assert result["observed"]["value"]["descendant"] == share
    flows = graph_errors.summary(result)["flow to lower symmetry"]
    assert flows == ("holds" if share else "does not hold")
    p = [result["nulls"][name]["p"]["descendant"] for name in graph_errors.SHUFFLES[:2]]
    assert max(p) < 0.05


def test_a_contrast_sees_errors_turn_downward():
    labels, families = truth()
    up, down = (moved(labels, step) for step in (GRAPH.predecessors, GRAPH.successors))
    row = graph_errors.contrast(up, down, labels, families, 200)["downward"]
    assert (row["first"], row["second"], row["change"]) == (-100, 100, 200)
    assert row["change_ci95"] == [200, 200]
    half = np.where(families % 2, up, down)
    row = graph_errors.contrast(half, np.stack([down, half]), labels, families, 200)["downward"]
    assert row["change_ci95"][0] < row["change"] < row["change_ci95"][1]
    assert row["change"] == pytest.approx((100 - row["first"]) / 2)
    same = graph_errors.contrast(half, half, labels, families, 50)
    assert {row["change"] for row in same.values()} == {0}
    assert graph_errors.contrast(labels, half, labels, families) is None


def test_predictions_that_ignore_the_pattern_are_not_significant():
    """Families share a guess; permuting patterns one by one would find too much in it."""
    p = {"mean_distance": [], "descendant": [], "one by one": []}
    for seed in range(40):
        labels, families = truth(seed=seed)
        guess = np.random.default_rng(seed).choice(labels, size=80)[families]
        shuffled = analyse(guess, labels, families, 199, seed=seed)["nulls"]["shuffled"]["p"]
        p["mean_distance"].append(shuffled["mean_distance"])
        p["descendant"].append(shuffled["descendant"])
        alone = analyse(guess, labels, np.arange(len(labels)), 199, seed=seed)
        p["one by one"].append(alone["nulls"]["shuffled"]["p"]["mean_distance"])
    share = {key: np.mean(np.array(values) < 0.05) for key, values in p.items()}
    assert share["mean_distance"] < 0.15 and share["descendant"] < 0.15 < share["one by one"]
    assert 0.35 < np.mean(p["mean_distance"]) < 0.7 and 0.35 < np.mean(p["descendant"]) < 0.7


def test_locality_of_the_crystal_system_alone_is_recognised():
    """Errors that stay in the system but ignore the group vanish once the system is fixed."""
    labels, families = truth(n=400)
    result = study(within_system(labels), labels, families)
    assert result["nulls"]["shuffled"]["p"]["mean_distance"] < 0.02
    assert result["nulls"]["shuffled within system"]["p"]["mean_distance"] > 0.05
    assert result["summary"]["local"] == "holds in part"


def test_a_constant_model_equals_the_constant_null():
    labels, families = truth()
    constant = np.full(len(labels), 3)
    result = analyse(constant, labels, families, 200, np.eye(99)[3] + 1e-3)
    for name, null in result["nulls"].items():
        assert set(null["p"].values()) == {1.0}, name
        assert null["value"] == pytest.approx(result["observed"]["value"])
    result = study(constant, labels, families)
    assert set(result["summary"].values()) == {"does not hold"}
    assert result["n_predicted"] == 1
    assert result["most_predicted"] == {"group": groups.symbols()[3], "share": 100}


def test_the_constant_is_compared_by_swapping():
    labels, families = truth()
    far = moved(labels, lambda k: np.flatnonzero(dag.distances()[k - 1] >= 3) + 1)
    hops = dag.distances()[labels].mean(axis=0)
    null = analyse(far, labels, families, 300, -hops)["nulls"]["constant"]
    assert null["value"]["mean_distance"] < dag.distances()[labels, far].mean()
    assert null["p"]["mean_distance"] < 0.05


def test_no_errors_and_bad_input():
    labels, families = truth(n=60)
    result = study(labels, labels, families)
    assert set(result["summary"].values()) == {"no errors"} and result["n_errors"] == 0
    assert result["nulls"] == {}
    for other in ((families[1:], PRIOR), (families, PRIOR[1:])):
        with pytest.raises(XrdlibError, match="as many families"):
            graph_errors.analyse(graph_errors.as_log_probs(labels), labels, *other)


def test_figure_shows_every_model_and_its_subset():
    labels, families = truth()
    one = study(moved(labels, near), labels, families)
    models = [one | {"model": f"model {k}"} for k in range(3)]
    assert gallery.STUDIES["dag_study"] == ("dag_study", plot_errors.dag_study)
    figure = plot_errors.dag_study({"models": models})
    shown = texts(figure)
    for k in range(3):
        assert f"model {k}\nset, {len(labels)} of {len(labels)}" in shown
    with pytest.raises(XrdlibError, match="nothing to draw"):
        plot_errors.dag_study({"models": []})
