"""Figures of errors: on the subgroup graph, and between crystal systems."""

import matplotlib.pyplot as plt
import numpy as np

from .plot_style import COLOURS, COLUMN, PAGE, need, styled

_SHOWN = {
    "model": COLOURS["blue"],
    "shuffled": COLOURS["orange"],
    "shuffled within system": COLOURS["green"],
    "constant": COLOURS["grey"],
}


@styled
def dag_errors(analysis):
    """Distance and direction of errors on the subgroup graph, beside the nulls.

    Parameters
    ----------
    analysis : dict
        As `dag_errors.analyse` gives it, with at least one error.

    Returns
    -------
    matplotlib.figure.Figure
    """
    need(analysis["nulls"], "an analysis of at least one error")
    sets = {"model": analysis["observed"], **analysis["nulls"]}
    fig, axes = plt.subplots(1, 2, figsize=(PAGE, 2.9), width_ratios=(1.45, 1))
    for ax, key in zip(axes, ("distance", "direction"), strict=True):
        names = list(analysis["observed"][key])
        for i, (name, colour) in enumerate(_SHOWN.items()):
            place = np.arange(len(names)) + (i - 1.5) * 0.2
            values = np.array([sets[name][key][x] for x in names])
            ax.bar(place, values, width=0.19, color=colour, label=name)
            ends = [sets[name].get("ci95", {}).get(x) for x in names]
            if key == "direction" and all(ends):
                low, high = np.transpose(ends)
                error = np.clip([values - low, high - values], 0, None)
                ax.errorbar(place, values, error, fmt="none", ecolor="black", elinewidth=0.8)
        ax.set_xticks(range(len(names)), names)
        ax.set_ylabel("errors (%)")
    axes[0].set_xlabel("distance from the true group (hops)")
    axes[1].set_xlabel("predicted group, seen from the true one")
    axes[0].legend(loc="upper right")
    fig.suptitle(
        f"{analysis['n_errors']} errors on {analysis['n']} patterns; bars: 95 % of permutations",
        fontsize=8,
    )
    return fig


@styled
def confusion(table):
    """True against predicted crystal system: percent of each true system, with counts.

    Parameters
    ----------
    table : dict
        As `breakdown.confusion_by_system` gives it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    counts = np.array(table["counts"], dtype=float)
    need(counts[counts > 0], "at least one pattern")
    total = counts.sum(axis=1, keepdims=True)
    share = 100 * counts / np.where(total > 0, total, np.nan)
    fig, ax = plt.subplots(figsize=(COLUMN + 0.9, 3.4))
    image = ax.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for (i, j), count in np.ndenumerate(counts):
        if total[i, 0] > 0:
            colour = "white" if share[i, j] > 55 else "black"
            ax.text(j, i, f"{int(count)}", ha="center", va="center", color=colour, fontsize=7)
    names = table["systems"]
    ax.set_xticks(range(len(names)), names, rotation=40, ha="right")
    ax.set_yticks(
        range(len(names)), [f"{n} ({int(t)})" for n, t in zip(names, total[:, 0], strict=True)]
    )
    ax.set(xlabel="predicted crystal system", ylabel="true crystal system (patterns)")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    bar = fig.colorbar(image, ax=ax, shrink=0.7, label="share of the true system (%)")
    bar.outline.set_visible(False)
    return fig
