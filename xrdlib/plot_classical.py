"""Figure of the classical baseline: a whole-pattern fit in a given cell, beside the others."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch

from .classical_study import CELL, SCORES
from .plot_scores import LABELS, NULLS
from .plot_style import COLOURS, PAGE, interval, note, styled

_KINDS = {
    "knows nothing of the intensities": "grey",
    "is told the cell and fits the pattern": "vermillion",
    "is told no cell": "blue",
    "is told no more of the cell than its metric symmetry": "sky",
    "a fit and a predictor together": "green",
}
_KEYS = ("top1", "top5", "bits_over_prior")


@styled
def classical(found):
    """Scores of every method on the patterns whose cell is given, a row of panels a set.

    Parameters
    ----------
    found : dict
        Content of results/PROFILE/classical.json.

    Returns
    -------
    matplotlib.figure.Figure
    """
    subsets = list(dict.fromkeys(row["subset"] for row in found["rows"]))
    if not subsets:
        return note("No pattern with a given cell was at hand.")
    parts = [[row for row in found["rows"] if row["subset"] == name] for name in subsets]
    height = sum(0.75 + 0.19 * len(part) for part in parts)
    fig, axes = plt.subplots(
        len(parts),
        len(_KEYS),
        figsize=(PAGE + 0.6, height + 0.6),
        sharey="row",
        squeeze=False,
        height_ratios=[len(part) + 3 for part in parts],
    )
    for line, part in zip(axes, parts, strict=True):
        y = np.arange(len(part))[::-1]
        colours = [COLOURS[_KINDS[_kind(row["model"])]] for row in part]
        for ax, key in zip(line, _KEYS, strict=True):
            values = [row[key] for row in part]
            error = np.transpose([interval(row, key) for row in part])
            ax.barh(y, values, height=0.7, color=colours)
            ax.errorbar(values, y, xerr=error, fmt="none", ecolor="black", elinewidth=0.8)
            ax.axvline(0, color="black", lw=0.7)
            ax.set_xlabel(LABELS[key])
        line[0].set_yticks(y, [row["model"] for row in part], fontsize=6.5)
        line[0].set_title(
            f"{part[0]['subset']}: n = {part[0]['n']} patterns of {part[0]['n_families']} families",
            loc="left",
        )
    shown = {_kind(row["model"]) for row in found["rows"]}
    patches = [Patch(color=COLOURS[c], label=name) for name, c in _KINDS.items() if name in shown]
    fig.legend(handles=patches, loc="outside lower center", ncol=2)
    fig.suptitle(
        "bars: 95 % interval over mineral families; measured patterns are those that a published "
        "structure of their own group resembles",
        fontsize=7.5,
    )
    return fig


def _kind(model):
    """Which of `_KINDS` a method is."""
    kinds = list(_KINDS)
    if model in (*NULLS, CELL):
        return kinds[0]
    if model.startswith(SCORES):
        return kinds[1]
    if model.endswith("cell told"):
        return kinds[3]
    return kinds[4] if "with integrated" in model else kinds[2]
