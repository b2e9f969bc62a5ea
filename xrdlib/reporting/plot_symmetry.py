"""Figures of the groups: their classes, their graph, an example pattern of some."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from ..base.errors import XrdlibError
from ..prediction.style import COLOURS, PAGE, SYSTEM_COLOURS, need, styled, tint, typeset
from ..symmetry.groups import N_GROUPS, SYSTEMS, crystal_systems, symbols

# Blocks of the graph from top to bottom; trigonal and hexagonal stand beside tetragonal.
_MAIN = (("cubic",), ("tetragonal",), ("orthorhombic",), ("monoclinic",), ("triclinic",))

_SIDE = ("hexagonal", "trigonal")

_MAIN_SPAN, _SIDE_SPAN = (0.0, 9.2), (9.4, 13.0)


@styled
def class_histogram(counts: Mapping, names: int = 5) -> Figure:
    """Share of each extinction group in one or more sets, a panel each.

    Parameters
    ----------
    counts : mapping of str to array_like, (99,)
        Patterns or structures of each group, by name of the set.
    names : int
        Groups named in each panel, the most frequent first.
    """
    need(counts, "counts by set")
    fig, axes = plt.subplots(
        len(counts), 1, figsize=(PAGE, 0.6 + 1.35 * len(counts)), sharex=True, squeeze=False
    )
    label = [typeset(symbol) for symbol in symbols()]
    colours = [SYSTEM_COLOURS[name] for name in crystal_systems()]
    for ax, (title, values) in zip(axes[:, 0], counts.items(), strict=True):
        values = np.asarray(values, dtype=float)
        if values.shape != (N_GROUPS,) or not values.sum() > 0:
            raise XrdlibError(f"Counts of {title!r} must be {N_GROUPS} numbers, not all zero.")
        share = 100 * values / values.sum()
        ax.bar(np.arange(1, N_GROUPS + 1), share, width=0.85, color=colours)
        ax.set(ylabel="share (%)", xlim=(0, N_GROUPS + 1), ylim=(0, 1.05 * share.max()))
        ax.set_title(f"{title} (n = {int(values.sum()):,})", loc="left")
        if np.ptp(share) > 0:  # equal shares have no most frequent group to name
            first = np.argsort(-share, kind="stable")[:names]
            named = ",  ".join(f"{k + 1}: {label[k]}" for k in first)
            ax.set_title(f"most frequent  {named}", loc="right", fontsize=7)
    axes[-1, 0].set_xlabel("extinction group")
    axes[-1, 0].set_xticks([1, *range(10, N_GROUPS, 10), N_GROUPS])
    handles = [Patch(color=SYSTEM_COLOURS[name], label=name) for name in SYSTEMS]
    fig.legend(handles=handles, loc="outside upper center", ncol=len(SYSTEMS), handlelength=1)
    return fig


@styled
def dag(graph: nx.DiGraph) -> Figure:
    """The graph of symmetry lowering, transitively reduced; lines lead down to lower symmetry.

    Parameters
    ----------
    graph : networkx.DiGraph
        On labels 1..99, as `xrdlib.subgroup_dag` gives it.
    """
    reduced = nx.transitive_reduction(graph)
    rows, headings = _rows(reduced)
    position = _positions(reduced, rows)
    colours = {k: SYSTEM_COLOURS[name] for k, name in enumerate(crystal_systems(), 1)}
    fig, ax = plt.subplots(figsize=(PAGE, 8.4))
    # The boxes hide the ends of the lines, which run from centre to centre.
    lines = LineCollection(
        [(position[a], position[b]) for a, b in reduced.edges],
        colors=[colours[a] for a, _ in reduced.edges],
        linewidths=0.7,
        alpha=0.75,
        zorder=1,
    )
    ax.add_collection(lines)
    for k, symbol in enumerate(symbols(), 1):
        box = {"boxstyle": "round,pad=0.2", "fc": tint(colours[k]), "ec": colours[k], "lw": 0.7}
        text = typeset(symbol).replace("(obv)\u2009", "")
        ax.text(*position[k], text, ha="center", va="center", fontsize=7, bbox=box, zorder=2)
    for name, (x, y) in headings.items():
        clear = [withStroke(linewidth=2.5, foreground="white")]  # of the lines behind it
        look = {"fontsize": 8, "fontstyle": "italic", "path_effects": clear}
        ax.text(x, y, name, ha="left", va="bottom", **look)
    ends = np.array(list(position.values()))
    ax.set(xlim=(-0.1, ends[:, 0].max() + 0.5), ylim=(ends[:, 1].min() - 0.4, 0.95))
    ax.axis("off")
    return fig


def _rows(graph):
    """Nodes by row, as (y, first x, last x, nodes), and where the systems' names stand."""
    systems = crystal_systems()
    rows, headings, y, side = [], {}, 0.0, 0.0
    for block in (*_MAIN, _SIDE):
        members = graph.subgraph([k for k in graph if systems[k - 1] in block])
        # Layers are counted from the bottom, which makes them more even than from the top.
        layers = [sorted(nodes) for nodes in nx.topological_generations(members.reverse())][::-1]
        if block == ("tetragonal",):
            side = y
        left, right, top = (*_SIDE_SPAN, side) if block == _SIDE else (*_MAIN_SPAN, y)
        headings[" and ".join(block)] = (left, top + 0.38)
        rows += [(top - i, left, right, nodes) for i, nodes in enumerate(layers)]
        if block != _SIDE:
            y = top - len(layers) - 0.45
    return rows, headings


def _positions(graph, rows, sweeps=24):
    """Place the nodes, ordering each row by the mean x of its neighbours to reduce crossings."""
    near = graph.to_undirected()
    position = {}
    for row in rows:
        position |= _spread(*row)
    for _ in range(sweeps):
        for y, left, right, nodes in rows:
            mean = {
                k: np.mean([position[j][0] for j in near[k]] or [position[k][0]]) for k in nodes
            }
            nodes.sort(key=lambda k, mean=mean: (mean[k], k))
            position |= _spread(y, left, right, nodes)
    return position


def _spread(y, left, right, nodes):
    """Even positions; every other row is shifted, so that edges seldom run behind a box."""
    pitch = (right - left) / len(nodes)
    shift = 0.5 + (0.14 if round(y) % 2 else -0.14)
    return {k: (left + (i + shift) * pitch, y) for i, k in enumerate(nodes)}


@styled
def example_patterns(examples: list[dict]) -> Figure:
    """Measured patterns, each with a simulated pattern of the same mineral under it.

    Parameters
    ----------
    examples : list of dict
        "title" (str), "measured" and "simulated": each (two_theta, intensity), arrays of equal
        length, degrees and any unit of intensity.
    """
    need(examples, "one example or more")
    fig, axes = plt.subplots(
        len(examples), 1, figsize=(PAGE, 0.5 + 1.35 * len(examples)), sharex=True, squeeze=False
    )
    for ax, example in zip(axes[:, 0], examples, strict=True):
        for key, colour, base in (
            ("measured", COLOURS["black"], 1.0),
            ("simulated", COLOURS["blue"], 0.0),
        ):
            two_theta, intensity = (np.asarray(values) for values in example[key])
            if two_theta.shape != intensity.shape or not intensity.max() > 0:
                raise XrdlibError(
                    f"{example['title']}: the {key} pattern has {two_theta.shape} angles, "
                    f"{intensity.shape} intensities; give as many, not all zero."
                )
            ax.plot(two_theta, base + 0.92 * intensity / intensity.max(), color=colour, lw=0.6)
            ax.text(0.995, base / 2 + 0.4, key, color=colour, ha="right", va="top",
                    transform=ax.transAxes)  # fmt: skip
        name, _, symbol = example["title"].rpartition(", ")
        ax.set_title(f"{name}, {typeset(symbol)}" if name else symbol, loc="left")
        ax.set(yticks=[], ylim=(-0.04, 2.0))
        ax.margins(x=0)
    fig.supylabel("scaled intensity", fontsize=8)
    axes[-1, 0].set_xlabel(r"2$\theta$ (degrees)")
    return fig
