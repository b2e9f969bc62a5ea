"""Figure of errors on the subgroup graph: every model beside its nulls."""

import matplotlib.pyplot as plt
import numpy as np

from .groups import SYSTEMS
from .plot_style import COLOURS, PAGE, need, styled

_NULLS = {
    "shuffled": ("orange", "s", "shuffled over all patterns"),
    "shuffled within system": ("green", "^", "shuffled within the crystal system"),
    "constant": ("grey", "D", "constant"),
}
_PANELS = {
    "mean_distance": "distance of an error (hops)",
    "descendant": "errors to lower symmetry (%)",
    "ancestor": "errors to higher symmetry (%)",
}


@styled
def dag_study(content):
    """Distance and direction of the errors of several models, and distance by crystal system.

    Parameters
    ----------
    content : dict
        Result `dag_study`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = [row for row in content["models"] if row["n_errors"]]
    need(rows, "at least one model with errors")
    fig = plt.figure(figsize=(PAGE, 2.9 + 0.32 * len(rows)))
    upper, lower = fig.subfigures(2, 1, height_ratios=(1.0 + 0.32 * len(rows), 2.2))
    axes = upper.subplots(1, len(_PANELS), sharey=True)
    place = np.arange(len(rows))[::-1]
    for ax, (key, label) in zip(axes, _PANELS.items(), strict=True):
        for i, (null, (colour, marker, name)) in enumerate(_NULLS.items()):
            shown = [row["nulls"][null] for row in rows]
            values = np.array(
                [np.nan if n["value"][key] is None else n["value"][key] for n in shown]
            )
            ends = [
                n.get("ci95", {}).get(key) or (v, v) for n, v in zip(shown, values, strict=True)
            ]
            _points(ax, values, ends, place - 0.15 - 0.15 * i, COLOURS[colour], marker, name)
        values = np.array([row["observed"]["value"][key] for row in rows])
        ends = [row["ci95"][key] or (v, v) for row, v in zip(rows, values, strict=True)]
        _points(ax, values, ends, place + 0.1, COLOURS["blue"], "o", "model")
        ax.set_xlabel(label)
        ax.grid(axis="x", lw=0.3)
    names = [f"{row['model']}\n{row['subset']}, {row['n_errors']} of {row['n']}" for row in rows]
    axes[0].set_yticks(place, names)
    axes[0].set_ylim(-0.7, len(rows) - 0.6)
    handles, labels = axes[0].get_legend_handles_labels()
    upper.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=4)
    upper.suptitle(
        "Errors on the graph of maximal t-subgroups; under each name: subset, errors of patterns\n"
        "bars: 95 % bootstrap over mineral families (model), 95 % of permutations (nulls)",
        fontsize=7.5,
    )
    _systems(lower, rows)
    return fig


def _points(ax, values, ends, at, colour, marker, label):
    low, high = np.transpose(ends)
    error = np.clip([values - low, high - values], 0, None)
    style = {"color": colour, "marker": marker, "ls": "none", "ms": 3.5, "label": label}
    ax.errorbar(values, at, xerr=error, elinewidth=0.9, **style)


def _systems(figure, rows):
    """Excess distance over shuffling inside each true system; stars hold for all systems."""
    ax = figure.subplots()
    width = 0.8 / len(rows)
    for i, row in enumerate(rows):
        found = {r["system"]: r for r in row["system"] if r["p"] is not None}
        x = np.array([SYSTEMS.index(name) for name in found]) + (i - (len(rows) - 1) / 2) * width
        gain = [r["distance"] - r["null"] for r in found.values()]
        colour = plt.get_cmap("viridis")(i / max(1, len(rows) - 1))
        ax.bar(x, gain, width * 0.9, color=colour, label=row["model"])
        for at, value, r in zip(x, gain, found.values(), strict=True):
            if r["p_holm"] < 0.05:
                ax.text(at, min(value, 0) - 0.02, "*", ha="center", va="top")
    ax.axhline(0, color="black", lw=0.6)
    ax.set_xticks(range(len(SYSTEMS)), SYSTEMS)
    ax.margins(y=0.15)
    ax.set(
        xlabel="true crystal system (* p < 0.05 after Holm)",
        ylabel="distance less that of\nshuffling inside it (hops)",
    )
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=6)
