"""The graph of t-subgroups against International Tables and general theorems."""

import json
from importlib.resources import files

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrdlib.base.errors import XrdlibError
from xrdlib.symmetry import dag, groups

LABELS = range(1, 100)
labels = st.integers(1, 99)


@pytest.fixture(scope="module")
def graph():
    return dag.subgroup_dag()


def label(space_group):
    return int(groups.group_of_space_group()[space_group])


def point_group_order(number):
    return len(np.unique(groups.operations(number)[0], axis=0))


# --- t-subgroups of space groups ------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "subgroups"),
    [  # International Tables A, "Maximal non-isomorphic subgroups, I"
        (1, ()),
        (2, (1,)),
        (14, (2, 4, 7)),  # P21/c: P-1, P21, Pc
        (62, (11, 14, 19, 26, 31, 33)),  # Pnma: P21/m, P21/c, P212121, Pmc21, Pmn21, Pna21
        (141, (70, 74, 88, 98, 109, 119, 122)),  # I41/amd
        (167, (15, 148, 155, 161)),  # R-3c: C2/c, R-3, R32, R3c
        (194, (63, 163, 164, 176, 182, 186, 187, 190)),  # P63/mmc
        (225, (139, 166, 202, 209, 216)),  # Fm-3m: I4/mmm, R-3m, Fm-3, F432, F-43m
    ],
)
def test_maximal_t_subgroups_of_well_known_groups(number, subgroups):
    assert dag.maximal_t_subgroups(number) == subgroups


def test_all_maximal_t_subgroups_equal_those_of_the_bilbao_tables():
    """By Hermann's theorem a maximal subgroup is a t-subgroup exactly if its point group shrinks.

    pymatgen ships the maximal subgroups of all kinds, from the Bilbao Crystallographic Server.
    """
    text = (files("pymatgen.symmetry") / "symm_data.json").read_text(encoding="utf-8")
    tabulated = json.loads(text)["maximal_subgroups"]
    order = {number: point_group_order(number) for number in range(1, 231)}
    for number in order:
        expected = {s for s in tabulated[str(number)] if order[s] < order[number]}
        assert set(dag.maximal_t_subgroups(number)) == expected, number


# --- the graph ------------------------------------------------------------------------------


def test_size_of_the_graph(graph):
    assert sorted(graph) == list(LABELS)
    assert graph.number_of_edges() == 374
    assert nx.is_directed_acyclic_graph(graph)
    assert nx.transitive_reduction(graph).number_of_edges() == 228


def test_every_group_leads_to_the_one_of_p_minus_1(graph):
    assert graph.nodes[99]["symbol"] == "P -"
    assert nx.ancestors(graph, 99) == set(LABELS) - {99}
    assert [n for n in graph if graph.out_degree(n) == 0] == [99]


def test_edges_are_the_subgroup_relations_of_the_members(graph):
    members = {k: groups.extinction_groups().space_groups[k] for k in LABELS}
    for a in LABELS:
        reached = {label(s) for n in members[a] for s in dag.maximal_t_subgroups(n)} - {a}
        assert set(graph.successors(a)) == reached


# --- distances and relations ----------------------------------------------------------------


def test_distances_are_a_metric_that_edges_have_at_one(graph):
    hops = dag.distances()
    assert hops.shape == (99, 99) and np.isfinite(hops).all()
    assert np.array_equal(hops, hops.T)
    assert np.array_equal(hops == 0, np.eye(99, dtype=bool))
    neighbours = {(a - 1, b - 1) for a, b in graph.edges} | {(b - 1, a - 1) for a, b in graph.edges}
    assert set(zip(*map(np.ndarray.tolist, np.nonzero(hops == 1)), strict=True)) == neighbours
    assert (hops[:, None, :] <= hops[:, :, None] + hops[None, :, :]).all()
    # Whoever is further than one hop has a neighbour that is one hop nearer.
    for a, b in np.argwhere(hops > 1):
        assert hops[a, hops[b] == 1].min() == hops[a, b] - 1


@pytest.mark.parametrize(
    ("true", "predicted", "expected"),
    [
        (62, 14, "descendant"),  # Pnma, P21/c
        (14, 62, "ancestor"),
        (225, 2, "descendant"),
        (11, 4, "same"),  # P21/m and P21 are one extinction group
        (62, 61, "branch"),  # Pnma, Pbca
        (225, 62, "branch"),  # t-subgroups keep the centring of the F lattice
    ],
)
def test_relation_of_well_known_groups(true, predicted, expected):
    assert dag.relation(label(true), label(predicted)) == expected


def test_relations_agree_with_paths_in_the_graph(graph):
    true, predicted = np.meshgrid(LABELS, LABELS, indexing="ij")
    found = dag.relations(true, predicted)
    for a in LABELS:
        below, above = nx.descendants(graph, a), nx.ancestors(graph, a)
        names = {
            **dict.fromkeys(below, "descendant"),
            **dict.fromkeys(above, "ancestor"),
            a: "same",
        }
        expected = [names.get(b, "branch") for b in LABELS]
        assert found[a - 1].tolist() == expected


@given(labels, labels, labels)
def test_lowering_the_symmetry_twice_lowers_it(a, b, c):
    opposite = {"same": "same", "descendant": "ancestor", "ancestor": "descendant"}
    relation = dag.relation(a, b)
    assert dag.relation(b, a) == opposite.get(relation, "branch")
    if relation == dag.relation(b, c) == "descendant":
        assert dag.relation(a, c) == "descendant"


@pytest.mark.parametrize("bad", [0, 100, 1.0, -1])
def test_a_label_that_is_no_extinction_group_is_refused(bad):
    with pytest.raises(XrdlibError, match="1..99"):
        dag.relation(bad, 1)
    with pytest.raises(XrdlibError, match="1..99"):
        dag.relations([1, 1], [1, bad])
