"""Figures of the simulator: patterns, crystals, cost."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..prediction.style import COLOURS, PAGE, need, styled, tint

# Features shown, by name.
PANELS = {
    "fwhm 5-30": "FWHM 5-30° (°)",
    "fwhm 30-60": "FWHM 30-60° (°)",
    "fwhm 60-90": "FWHM 60-90° (°)",
    "tailing": "width at 1/5 height / FWHM",
    "noise": "noise / strongest peak",
    "noise lag 1": "noise: correlation",
    "floor": "level between peaks / noise",
    "background": "envelope / intensity",
    "peaks": "number of peaks",
    "height 4": "√ height of peak 4",
    "height 16": "√ height of peak 16",
    "level 75": "√ 75th percentile",
}

_SIZES = {"volume": "cell volume (Å³)", "atoms": "atoms in the cell", "reflections": "reflections"}

_WORK = {
    "structure_ms": ("structure to reflections", "blue", "o"),
    "pattern_ms": ("reflections to pattern", "orange", "s"),
}


@styled
def simulator(comparison: dict) -> Figure:
    """Distribution of each feature over measured and simulated patterns: `simulator.compare`."""
    need(comparison["features"], "the features of a comparison")
    fig, axes = plt.subplots(3, 4, figsize=(PAGE, 4.8), sharey=True)
    for ax, (name, title) in zip(axes.flat, PANELS.items(), strict=True):
        feature, ends = comparison["features"][name], []
        for kind, colour in (("measured", COLOURS["black"]), ("simulated", COLOURS["blue"])):
            if (values := feature[kind]) is not None:
                ax.plot(values, np.linspace(0, 1, len(values)), color=colour, label=kind)
                # The last few percent of each would make the rest small.
                ends.append(np.quantile(values, (0.02, 0.97)))
        if ends and np.ptp(ends) > 0:
            ax.set_xlim(np.min(ends), np.max(ends))
        ax.locator_params(axis="x", nbins=4)
        ax.set_xlabel(title)
        ax.set_title(f"AUC {feature['auc']:.2f}", loc="right", color=COLOURS["grey"])
        ax.set(ylim=(0, 1), yticks=[0, 0.5, 1])
    axes[-1, -1].legend(loc="lower right")
    fig.supylabel("share of patterns below", fontsize=8)
    auc = comparison["two_sample"]["features"]["auc"]
    fig.suptitle(
        f"{comparison['n']} pairs of {comparison['families']} mineral families, separated with "
        f"AUC {auc:.2f} by all features (0.50: not at all)",
        fontsize=8,
    )
    return fig


@styled
def simulator_cost(rows: list[dict]) -> Figure:
    """Milliseconds of one core by size of the structure: `simulator.costs`."""
    need(rows, "rows of costs")
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.5), sharey=True)
    for ax, (by, title) in zip(axes, _SIZES.items(), strict=True):
        for work, (label, colour, marker) in _WORK.items():
            look = {"color": COLOURS[colour], "marker": marker}
            own = sorted((row[by], row[work]) for row in rows if row["by"] == by)
            ax.plot(*zip(*own, strict=True), label=label, linestyle="-", **look)
        ax.set(xscale="log", yscale="log", xlabel=title)
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(lambda x, _: f"{x:.1g}" if f"{x:e}"[0] in "235" else "")
    axes[0].set_ylabel("ms of one core, each")
    axes[0].legend()
    axes[1].set_title("minerals of the library")
    return fig


_UNITS = {"volume per atom": "(Å$^3$)", "oblique angle": "(°)"}

_ELEMENTS = 30  # the most frequent ones of the first set

_FILL, _LINE = tint(COLOURS["blue"], 0.45), COLOURS["vermillion"]

_FINE = (1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100)

_COARSE = (1, 3, 10, 30, 100, 300, 1000, 3000)


@styled
def crystal_statistics(comparison: dict) -> Figure:
    """Distributions of two sets of crystals, as from `crystal_statistics.compare`.

    A panel a quantity, with the distance D between the two distributions; the commonest pairs of
    elements; the most frequent elements. Filled: the first set; lines: the second.
    """
    quantities = {k: v for k, v in comparison["quantities"].items() if v is not None}
    need(quantities, "a comparison of sets of crystals")
    rows = -(-(len(quantities) + 1) // 3)
    fig = plt.figure(figsize=(PAGE, 1.45 * rows + 1.7))
    grid = fig.add_gridspec(rows + 1, 3, height_ratios=[*[1] * rows, 1.05])
    for k, (name, shares) in enumerate(quantities.items()):
        _histogram(fig.add_subplot(grid[k // 3, k % 3]), name, shares)
    _pairs(fig.add_subplot(grid[rows - 1, 2]), comparison["pairs"])
    _elements(fig.add_subplot(grid[rows, :]), comparison["elements"])
    counted = zip(comparison["labels"], comparison["n"], strict=True)
    labels = [f"{label} (n = {n:,})" for label, n in counted]
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
    height = np.arange(len(rows))
    axes.barh(height, [100 * row[2] for row in rows], color=_FILL)
    axes.plot([100 * row[3] for row in rows], height, "o", color=_LINE)
    axes.set_yticks(height, [f"{row[0]}–{row[1]}" for row in rows])
    axes.set(xlabel="crystals with both elements (%)")
    axes.tick_params(axis="y", length=0)


def _elements(axes, elements):
    share = 100 * np.array(elements["share"])
    first = np.argsort(-share[0], kind="stable")[:_ELEMENTS]
    column = np.arange(len(first))
    axes.bar(column, share[0, first], color=_FILL)
    axes.plot(column, share[1, first], "o", color=_LINE)
    axes.set_xticks(column, [elements["symbol"][k] for k in first])
    axes.set(ylabel="crystals with it (%)", xlim=(-0.7, len(first) - 0.3), yscale="log")
    axes.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes.minorticks_off()
    axes.tick_params(axis="x", length=0)
