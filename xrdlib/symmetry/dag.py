"""The graph of symmetry lowering between extinction groups, and where an error lies on it."""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ..base.errors import XrdlibError
from . import groups

if TYPE_CHECKING:
    import networkx as nx

RELATIONS = ("same", "descendant", "ancestor", "branch")


def maximal_t_subgroups(number: int) -> tuple[int, ...]:
    """Types of the maximal translationengleiche subgroups of a space group, ascending.

    Those are the maximal subgroups that keep every translation and lose point symmetry
    (International Tables A1, section 1.2.6).
    """
    return tuple(groups.space_group(number)["maximal_t_subgroups"])


def subgroup_dag() -> "nx.DiGraph":
    """Directed acyclic graph of symmetry lowering on the 99 extinction groups.

    Nodes are the labels 1..99 with attributes `symbol` and `crystal_system`. An edge leads from a
    group to another if some member space group of the first has a maximal t-subgroup among the
    members of the second.

    Examples
    --------
    >>> sorted(subgroup_dag().successors(4))
    [2, 3, 99]
    """
    import networkx as nx  # here, since loading it takes longer than a prediction

    graph = nx.DiGraph()
    rows = zip(groups.symbols(), groups.crystal_systems(), strict=True)
    for label, (symbol, system) in enumerate(rows, 1):
        graph.add_node(label, symbol=symbol, crystal_system=system)
    graph.add_edges_from((np.argwhere(_lowered()) + 1).tolist())
    return graph


def _lowered():
    """Edges of the graph, (99, 99) bool; row and column are label - 1."""
    edges = np.zeros((groups.N_GROUPS, groups.N_GROUPS), dtype=bool)
    row_of = groups.group_of_space_group() - 1
    for number in range(1, 231):
        edges[row_of[number], row_of[list(maximal_t_subgroups(number))]] = True
    np.fill_diagonal(edges, False)
    return edges


@cache
def distances() -> np.ndarray:
    """Hops between two groups, edges taken in either direction: (99, 99), row is label - 1.

    Every group leads to P-1, so all distances are finite.
    """
    import networkx as nx

    nodes = range(1, groups.N_GROUPS + 1)
    return groups.frozen(nx.floyd_warshall_numpy(subgroup_dag().to_undirected(), nodes))


def relation(true: int, predicted: int) -> str:
    """Where a predicted label lies on the graph, seen from the true one.

    "same"; "descendant" if the predicted group is reached from the true one by lowering the
    symmetry; "ancestor" if the true group is reached from the predicted one; else "branch".
    XrdlibError if a label is not in 1..99.
    """
    return str(relations([true], [predicted])[0])


def relations(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """`relation` of many pairs: array_like labels that broadcast together, ndarray of str."""
    return np.array(RELATIONS)[_relation_codes()[_rows(true), _rows(predicted)]]


@cache
def _relation_codes():
    """Index into `RELATIONS` for each pair of rows, (99, 99)."""
    descends = step = _lowered()
    while (further := descends | (descends.astype(int) @ step > 0)).sum() > descends.sum():
        descends = further
    codes = np.select([descends, descends.T], [1, 2], 3)
    np.fill_diagonal(codes, 0)
    return codes


def _rows(labels):
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer) or (labels < 1).any() or (labels > 99).any():
        raise XrdlibError(
            f"Extinction groups are whole numbers 1..99, not {labels.ravel()[:3].tolist()}...; "
            "pass labels, not class indices."
        )
    return labels - 1
