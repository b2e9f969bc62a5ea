"""Simulated crystals beside published ones."""

import matplotlib.pyplot as plt
import numpy as np

from .plot_style import COLOURS, PAGE, need, styled, tint

_UNITS = {"volume per atom": "(Å$^3$)", "oblique angle": "(°)"}
_ELEMENTS = 30  # the most frequent ones of the first set
_FILL, _LINE = tint(COLOURS["blue"], 0.45), COLOURS["vermillion"]
_FINE = (1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100)
_COARSE = (1, 3, 10, 30, 100, 300, 1000, 3000)


@styled
def crystal_statistics(comparison):
    """Distributions of two sets of crystals.

    Parameters
    ----------
    comparison : dict
        As from `crystal_statistics.compare`.

    Returns
    -------
    matplotlib.figure.Figure
        A panel a quantity, with the distance D between the two distributions; the commonest pairs
        of elements; the most frequent elements. Filled: the first set; lines: the second.
    """
    quantities = {k: v for k, v in comparison["quantities"].items() if v is not None}
    need(quantities, "a comparison of sets of crystals")
    rows = -(-(len(quantities) + 1) // 3)
    fig = plt.figure(figsize=(PAGE, 1.45 * rows + 1.7))
    grid = fig.add_gridspec(rows + 1, 3, height_ratios=[*[1] * rows, 1.05])
    for k, (name, shares) in enumerate(quantities.items()):
        _histogram(fig.add_subplot(grid[k // 3, k % 3]), name, shares)
    _pairs(fig.add_subplot(grid[rows - 1, 2]), comparison["pairs"])
    axes = fig.add_subplot(grid[rows, :])
    _elements(axes, comparison["elements"])
    labels = [
        f"{label} (n = {n:,})"
        for label, n in zip(comparison["labels"], comparison["n"], strict=True)
    ]
    handles = [
        plt.Rectangle((0, 0), 1, 1, fc=_FILL, ec="none"),
        plt.Line2D([], [], color=_LINE, marker="o"),
    ]
    fig.legend(handles, labels, loc="outside upper center", ncol=2)
    return fig


def _histogram(axes, name, shares):
    edges = np.array(shares["edges"])
    axes.stairs(100 * np.array(shares["share"][0]), edges, fill=True, color=_FILL)
    axes.stairs(100 * np.array(shares["share"][1]), edges, color=_LINE, linewidth=1.3)
    if shares["logarithmic"]:
        axes.set_xscale("log")
        steps = _COARSE if edges[-1] > 12 * edges[0] else _FINE
        ticks = [t for t in steps if edges[0] <= t <= edges[-1]]
        axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axes.minorticks_off()
    elif edges[1] - edges[0] == 1:
        axes.set_xticks(range(2, int(edges[-1]) + 1, 2))
    axes.set(xlabel=" ".join((name, _UNITS.get(name, ""))), ylim=(0, None))
    if axes.get_subplotspec().colspan.start == 0:
        axes.set_ylabel("crystals (%)")
    if shares["distance"] is not None:
        axes.set_title(f"$D$ = {shares['distance']:.2f}", loc="right", fontsize=7, pad=2)


def _pairs(axes, pairs):
    rows = pairs["commonest"][::-1]
    place = np.arange(len(rows))
    axes.barh(place, [100 * row[2] for row in rows], color=_FILL)
    axes.plot([100 * row[3] for row in rows], place, "o", color=_LINE)
    axes.set_yticks(place, [f"{row[0]}–{row[1]}" for row in rows])
    axes.set(xlabel="crystals with both elements (%)")
    axes.tick_params(axis="y", length=0)


def _elements(axes, elements):
    share = 100 * np.array(elements["share"])
    first = np.argsort(-share[0], kind="stable")[:_ELEMENTS]
    place = np.arange(len(first))
    axes.bar(place, share[0, first], color=_FILL)
    axes.plot(place, share[1, first], "o", color=_LINE)
    axes.set_xticks(place, [elements["symbol"][k] for k in first])
    axes.set(ylabel="crystals with it (%)", xlim=(-0.7, len(first) - 0.3), yscale="log")
    axes.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes.minorticks_off()
    axes.tick_params(axis="x", length=0)
