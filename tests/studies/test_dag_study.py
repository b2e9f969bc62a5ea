"""Errors on the graph, model by model: constructed predictors with known geometry."""

import json

import matplotlib
import numpy as np
import pytest

from xrdlib.base.errors import XrdlibError
from xrdlib.reporting import gallery, plot_errors
from xrdlib.studies import graph_errors
from xrdlib.symmetry import dag, groups

matplotlib.use("Agg")
GRAPH = dag.subgroup_dag()
PRIOR = np.full(99, 1 / 99)
SYSTEM = np.array(groups.crystal_systems())


def truth(n=200, seed=0):
    rng = np.random.default_rng(seed)
    families = rng.integers(0, 70, n)
    interior = [k for k in GRAPH if GRAPH.in_degree(k) and GRAPH.out_degree(k)]
    return rng.choice(interior, size=70)[families] - 1, families


def near(labels):
    """A neighbour of the same crystal system where there is one, else any neighbour."""
    found = []
    for k in labels:
        around = sorted({*GRAPH.successors(k + 1), *GRAPH.predecessors(k + 1)})
        same = [g for g in around if SYSTEM[g - 1] == SYSTEM[k]]
        found.append((same or around)[0] - 1)
    return np.array(found)


def study(predicted, labels, families, **options):
    told = {"n_permutations": 200, "n_boot": 100, **options}
    logp = graph_errors.as_log_probs(predicted)
    return graph_errors.study("model", "set", logp, labels, families, PRIOR, **told)


def test_log_probabilities_of_a_class():
    logp = graph_errors.as_log_probs([5, 0], p=0.7)
    assert logp.argmax(1).tolist() == [5, 0]
    assert np.exp(logp).sum(1) == pytest.approx(1) and np.exp(logp[0, 5]) == pytest.approx(0.7)


def test_local_errors_are_local_in_the_systems_too():
    labels, families = truth()
    result = study(near(labels), labels, families)
    assert result["summary"]["local"] == "holds"
    assert result["ci95"]["mean_distance"] == [1, 1]
    assert sum(row["n"] for row in result["system"]) == len(labels)
    tested = [row for row in result["system"] if row["p"] is not None and row["null"] > 1.3]
    assert tested and all(row["p"] < 0.05 and row["distance"] == 1 for row in tested)
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_predictions_of_the_wrong_patterns_are_not_local():
    labels, families = truth()
    guess = np.random.default_rng(3).choice(labels, size=70)[families]
    result = study(guess, labels, families)
    assert set(result["summary"].values()) == {"does not hold"}
    low, high = result["ci95"]["mean_distance"]
    assert low < result["observed"]["value"]["mean_distance"] < high


def test_a_model_that_keeps_only_the_system_does_not_hold_in_full():
    labels, families = truth(300)
    rng = np.random.default_rng(2)
    guess = np.array([rng.choice(labels[SYSTEM[labels] == SYSTEM[k]]) for k in labels])
    assert study(guess, labels, families)["summary"]["local"] == "holds in part"
    wrong = [row for row in study(guess, labels, families)["system"] if row["p"] is not None]
    assert all(row["p_holm"] > 0.05 for row in wrong)


def test_counts_of_a_constant():
    labels, families = truth()
    result = study(np.full(len(labels), 3), labels, families)
    assert result["n_predicted"] == 1 and result["most_predicted"]["share"] == 100
    assert result["most_predicted"]["group"] == groups.symbols()[3]
    hops = dag.distances()[labels, 3]
    assert result["observed"]["value"]["mean_distance"] == pytest.approx(hops[hops > 0].mean())


def test_few_errors_are_not_tested():
    labels, families = truth()
    guess = labels.copy()
    guess[0] = near(labels[:1])[0]
    rows = graph_errors.by_system(guess, labels, families, 20)
    assert [row["n_errors"] for row in rows if row["n_errors"]] == [1]
    assert all(row["p"] is None and row["p_holm"] is None for row in rows)
    with pytest.raises(XrdlibError, match="one length"):
        graph_errors.by_system(guess[1:], labels, families)


def test_the_reduced_graph_has_the_same_order_and_fewer_short_cuts():
    full, few = dag.distances(), graph_errors.reduced_distances()
    assert (few >= full).all() and (few > full).any() and np.isfinite(few).all()
    assert ((few == 0) == np.eye(99, dtype=bool)).all()
    # P-1 is a maximal t-subgroup of P21/c and of P2/m; the group of P21/c also leads to it by
    # those of Pc and P2/c and of P2 and Pm, so only the last step of that chain stays.
    to = {number: groups.group_of_space_group()[number] - 1 for number in (10, 14)}
    assert full[to[14], 98] == 1 < few[to[14], 98]
    assert few[to[10], 98] == 1
    labels, families = truth()
    found = graph_errors.reduced(near(labels), labels, families, 200)
    assert found["mean_distance"]["p"] < 0.05
    assert found["mean_distance"]["value"] < found["mean_distance"]["ci95"][0]


def test_no_error_at_all():
    labels, families = truth(60)
    result = study(labels, labels, families)
    assert set(result["summary"].values()) == {"no errors"} and result["n_errors"] == 0
    assert result["reduced"] == {"mean_distance": None, "within_two": None}


def test_figure_shows_every_model_and_its_subset():
    labels, families = truth()
    models = [study(near(labels), labels, families) | {"model": f"model {k}"} for k in range(3)]
    assert gallery.STUDIES["dag_study"] == ("dag_study", plot_errors.dag_study)
    figure = plot_errors.dag_study({"models": models})
    texts = " ".join(t.get_text() for t in figure.findobj(matplotlib.text.Text))
    for k in range(3):
        assert f"model {k}\nset, {len(labels)} of {len(labels)}" in texts
    with pytest.raises(XrdlibError, match="nothing to draw"):
        plot_errors.dag_study({"models": []})
