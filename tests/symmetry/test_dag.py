"""The graph of t-subgroups against International Tables and general theorems."""

import json
from importlib.resources import files

import networkx as nx
import numpy as np
import pytest

from xrdlib.base.errors import XrdlibError
from xrdlib.symmetry import dag, groups

LABELS = range(1, 100)


@pytest.fixture(scope="module")
def graph():
    return dag.subgroup_dag()


def label(space_group):
    return int(groups.group_of_space_group()[space_group])


def point_group_order(number):
    return len(np.unique(groups.operations(number)[0], axis=0))


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


def test_size_of_the_graph(graph):
    assert sorted(graph) == list(LABELS)
    assert graph.number_of_edges() == 374
    assert nx.is_directed_acyclic_graph(graph)
    assert nx.transitive_reduction(graph).number_of_edges() == 228
    # Every group leads to the one of P-1.
    assert graph.nodes[99]["symbol"] == "P -"
    assert nx.ancestors(graph, 99) == set(LABELS) - {99}
    assert [n for n in graph if graph.out_degree(n) == 0] == [99]


def test_edges_are_the_subgroup_relations_of_the_members(graph):
    members = {k: groups.extinction_groups().space_groups[k] for k in LABELS}
    for a in LABELS:
        reached = {label(s) for n in members[a] for s in dag.maximal_t_subgroups(n)} - {a}
        assert set(graph.successors(a)) == reached


def test_distances_are_shortest_paths_in_either_direction(graph):
    hops = dag.distances()
    shortest = dict(nx.all_pairs_shortest_path_length(graph.to_undirected()))
    assert hops.tolist() == [[shortest[a][b] for b in LABELS] for a in LABELS]


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
    matrix = dag.relations(true, predicted)
    for a in LABELS:
        names = dict.fromkeys(nx.descendants(graph, a), "descendant") | {a: "same"}
        names |= dict.fromkeys(nx.ancestors(graph, a), "ancestor")
        assert matrix[a - 1].tolist() == [names.get(b, "branch") for b in LABELS]


@pytest.mark.parametrize("bad", [0, 100, 1.0, -1])
def test_a_label_that_is_no_extinction_group_is_refused(bad):
    with pytest.raises(XrdlibError, match="1..99"):
        dag.relation(bad, 1)
    with pytest.raises(XrdlibError, match="1..99"):
        dag.relations([1, 1], [1, bad])
