"""Figures of errors: confusions, and distances on the graph of symmetry lowering."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..prediction.style import (
    COLOURS,
    COLUMN,
    PAGE,
    beside,
    legend,
    model_colour,
    need,
    spans,
    styled,
    tint,
)

# What errors are compared with: shade of grey (1 is black), marker, what it is called in full.
_NULLS = {
    "shuffled": (0.75, "s", "shuffled over all patterns"),
    "shuffled within system": (0.5, "^", "shuffled within the crystal system"),
    "constant": (0.25, "D", "constant"),
}

_PANELS = {
    "mean_distance": "distance of an error (hops)",
    "descendant": "errors to lower symmetry (%)",
    "ancestor": "errors to higher symmetry (%)",
}


@styled
def dag_errors(analysis: dict) -> Figure:
    """Distance and direction of errors on the graph, beside nulls: `graph_errors.analyse`."""
    need(analysis["nulls"], "an analysis of at least one error")
    sets = {"model": analysis["observed"], **analysis["nulls"]}
    nulls = {name: tint(COLOURS["black"], shade) for name, (shade, *_) in _NULLS.items()}
    colours = {"model": model_colour("physics transformer"), **nulls}
    fig, axes = plt.subplots(1, 2, figsize=(PAGE, 2.9), width_ratios=(1.45, 1))
    for ax, key in zip(axes, ("distance", "direction"), strict=True):
        names = list(analysis["observed"][key])
        for i, (name, colour) in enumerate(colours.items()):
            values = [sets[name][key][x] for x in names]
            ends = [sets[name].get("ci95", {}).get(x) for x in names]
            shown = key == "direction" and all(ends)
            ax.bar(np.arange(len(names)) + beside(i, 4), values, width=0.19, label=name,
                   color=colour, yerr=spans(values, ends) if shown else None,
                   error_kw={"lw": 0.8})  # fmt: skip
        ax.set_xticks(range(len(names)), names)
        ax.set_ylabel("errors (%)")
    axes[0].set_xlabel("distance from the true group (hops)")
    axes[1].set_xlabel("predicted group, seen from the true one")
    axes[0].legend(loc="upper right")
    of = f"{analysis['n_errors']} errors on {analysis['n']} patterns"
    fig.suptitle(f"{of}; bars on the right: 95 % of permutations", fontsize=8)
    return fig


@styled
def confusion(table: dict) -> Figure:
    """True against predicted system, percent and counts: `breakdown.confusion_by_system`."""
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
    counted = [f"{name} ({int(n)})" for name, n in zip(names, total[:, 0], strict=True)]
    ax.set_yticks(range(len(names)), counted)
    ax.set(xlabel="predicted crystal system", ylabel="true crystal system (patterns)")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    bar = fig.colorbar(image, ax=ax, shrink=0.7, label="share of the true system (%)")
    bar.outline.set_visible(False)
    return fig


@styled
def dag_study(content: dict) -> Figure:
    """Distance and direction of the errors of several models, beside nulls: result `dag_study`."""
    rows = [row for row in content["models"] if row["n_errors"]]
    need(rows, "at least one model with errors")
    fig, axes = plt.subplots(1, len(_PANELS), figsize=(PAGE, 1.2 + 0.4 * len(rows)), sharey=True)
    at = np.arange(len(rows))[::-1]
    for ax, (key, label) in zip(axes, _PANELS.items(), strict=True):
        observed = [{**row["observed"], "ci95": row["ci95"]} for row in rows]
        for y, row, one in zip(at, rows, observed, strict=True):
            _points(ax, [one], key, [y + 0.22], model_colour(row["model"]), "o")
        for i, (null, (shade, marker, name)) in enumerate(_NULLS.items()):
            look = tint(COLOURS["black"], shade), marker, name
            _points(ax, [row["nulls"][null] for row in rows], key, at + 0.04 - 0.15 * i, *look)
        ax.set_xlabel(label)
        ax.grid(axis="x", lw=0.3)
        for y in at[1::2]:  # a row's marks belong together
            ax.axhspan(y - 0.5, y + 0.5, color=COLOURS["grey"], alpha=0.1, lw=0)
    axes[0].plot([], [], "o", color=COLOURS["black"], ms=3.5, label="model, in its own colour")
    names = [f"{row['model']}\n{row['subset']}, {row['n_errors']} of {row['n']}" for row in rows]
    axes[0].set_yticks(at, names)
    axes[0].set_ylim(-0.5, len(rows) - 0.5)
    legend(fig, axes[:1], "lower center", ncols=4)
    fig.suptitle(
        "Errors on the graph of maximal t-subgroups; under each name: subset, errors of patterns\n"
        "bars: 95 % bootstrap over mineral families (model), 95 % of permutations (nulls)",
        fontsize=7.5,
    )
    return fig


def _points(ax, rows, key, at, colour, marker, label=None):
    values = [np.nan if row["value"][key] is None else row["value"][key] for row in rows]
    error = spans(values, [row.get("ci95", {}).get(key) for row in rows])
    style = {"color": colour, "marker": marker, "ls": "none", "ms": 3.5, "label": label}
    ax.errorbar(values, at, xerr=error, elinewidth=0.9, **style)
