"""Figures of the simulator: how its patterns compare with measured ones, and what they cost."""

import matplotlib.pyplot as plt
import numpy as np

from .plot_style import COLOURS, MARKERS, PAGE, need, styled

# Features shown, by name.
PANELS = {
    "fwhm 5-30": "FWHM 5-30° (°)",
    "fwhm 30-60": "FWHM 30-60° (°)",
    "fwhm 60-90": "FWHM 60-90° (°)",
    "tailing": "width at 4/5 depth / FWHM",
    "noise": "noise / strongest line",
    "noise lag 1": "noise: correlation",
    "floor": "level between peaks / noise",
    "background": "envelope / intensity",
    "peaks": "number of peaks",
    "height 4": "√ height of peak 4",
    "height 16": "√ height of peak 16",
    "level 75": "√ 75th percentile",
}
_SIZES = {"volume": "cell volume (Å³)", "atoms": "atoms in the cell", "reflections": "reflections"}
_WORK = {"structure_ms": "structure to reflections", "pattern_ms": "reflections to pattern"}


@styled
def simulator(comparison):
    """Distribution of each feature over measured and simulated patterns.

    Parameters
    ----------
    comparison : dict
        As from `simulator.compare`, with features.

    Returns
    -------
    matplotlib.figure.Figure
    """
    need(comparison["features"], "the features of a comparison")
    fig, axes = plt.subplots(3, 4, figsize=(PAGE, 4.8), sharey=True)
    for ax, (name, title) in zip(axes.flat, PANELS.items(), strict=True):
        feature = comparison["features"][name]
        for kind, colour in (("measured", COLOURS["black"]), ("simulated", COLOURS["blue"])):
            if feature[kind] is not None:
                levels = np.linspace(0, 1, len(feature[kind]))
                ax.plot(feature[kind], levels, color=colour, label=kind)
        # The last few percent of each would make the rest small.
        shown = [feature[kind] for kind in ("measured", "simulated") if feature[kind] is not None]
        ends = [np.quantile(values, (0.02, 0.97)) for values in shown]
        if ends and np.ptp(ends) > 0:
            ax.set_xlim(np.min(ends), np.max(ends))
        ax.locator_params(axis="x", nbins=4)
        ax.set_xlabel(title)
        ax.set_title(f"AUC {feature['auc']:.2f}", loc="right", color=COLOURS["grey"])
        ax.set(ylim=(0, 1), yticks=[0, 0.5, 1])
    axes[-1, -1].legend(loc="lower right")
    fig.supylabel("share of patterns below", fontsize=8)
    found = comparison["two_sample"]
    text = (
        f"{comparison['n']} pairs of {comparison['families']} mineral families, told apart with "
        f"AUC {found['features']['auc']:.2f} by all features"
    )
    if found["network"]:
        text += f", {found['network']['auc']:.2f} by a network"
    fig.suptitle(text + " (0.50: not at all)", fontsize=8)
    return fig


@styled
def simulator_cost(rows):
    """Milliseconds of one core by size of the structure.

    Parameters
    ----------
    rows : list of dict
        As from `simulator.costs`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    need(rows, "rows of costs")
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.5), sharey=True)
    for ax, (by, title) in zip(axes, _SIZES.items(), strict=True):
        for (work, label), colour, marker in zip(
            _WORK.items(), (COLOURS["blue"], COLOURS["orange"]), MARKERS, strict=False
        ):
            own = sorted((row[by], row[work]) for row in rows if row["by"] == by)
            ax.plot(*zip(*own, strict=True), marker, color=colour, label=label, linestyle="-")
            large = [(row[by], row[work]) for row in rows if row["by"] == "supercell"]
            ax.plot(*zip(*large, strict=True), marker, color=colour, mfc="white", linestyle=":")
        ax.set(xscale="log", yscale="log", xlabel=title)
    axes[0].set_ylabel("ms of one core, each")
    axes[0].legend()
    axes[1].set_title("filled: minerals, open: supercells of one")
    return fig
