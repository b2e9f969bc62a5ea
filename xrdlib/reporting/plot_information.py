"""Figures: what patterns tell, and the classical way of reading them."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch

from ..prediction.style import COLOURS, PAGE, interval, need, note, styled
from ..studies.classical import CELL, SCORES
from ..studies.information import ABSENCES, BOTH, ELEMENTS, FAMILY, LATTICE
from ..studies.knockouts import KINDS, UNTOUCHED
from .plot_scores import LABELS, NULLS

_READERS = ("prior only", FAMILY, LATTICE, ELEMENTS, ABSENCES, BOTH)

_COLOURS = dict(zip((*KINDS, "rest"), ("blue", "vermillion", "orange", "grey"), strict=True))


@styled
def information(content):
    """Ideal readers, shares of the bits by reader, and the ceiling on measured patterns.

    Parameters
    ----------
    content : dict
        results/PROFILE/information.json.

    Returns
    -------
    matplotlib.figure.Figure
    """
    need(content["readers"], "the rows of ideal readers")
    fig, axes = plt.subplots(2, 2, figsize=(PAGE, 7.0))
    _ideal(axes[0, 0], content["readers"])
    _shares(axes[0, 1], content)
    _visible(axes[1, 0], content)
    if content["ceiling"]:
        _ceiling(axes[1, 1], content)
    else:
        axes[1, 1].axis("off")
        axes[1, 1].text(0.5, 0.5, "No measured patterns were at hand.", ha="center", va="center")
    return fig


def _ideal(ax, rows):
    """Top-1 of every ideal reader under every frequency."""
    titles = list(dict.fromkeys(row["frequencies"] for row in rows))
    at = np.arange(len(_READERS))
    height = 0.8 / len(titles)
    for k, (title, colour) in enumerate(zip(titles, ("blue", "orange", "grey"), strict=False)):
        own = {row["reader"]: row for row in rows if row["frequencies"] == title}
        values = [own[name]["top1"] for name in _READERS]
        n = own[BOTH]["left_out"]
        label = title if n is None else f"{title} ({n['n_families']} families)"
        place = at + (k - (len(titles) - 1) / 2) * height
        ax.barh(place, values, 0.92 * height, color=COLOURS[colour], label=label)
        for y, value in zip(place, values, strict=True):
            ax.text(value + 1, y, f"{value:.0f}", va="center", fontsize=5.5)
    ax.set_yticks(at, [_wrapped(name) for name in _READERS])
    ax.invert_yaxis()
    ax.set(
        xlim=(0, 112),
        xlabel="top-1 (%), exact frequencies",
        title="Ideal readers,\nwithout error or noise",
    )
    ax.legend(loc="upper center", bbox_to_anchor=(0.3, -0.17), fontsize=6.5)


def _shares(ax, content):
    """Bits of every reader by kind of information, with intervals."""
    rows = content["shares"]
    readers = list(dict.fromkeys(row["reader"] for row in rows))
    at, height = np.arange(len(readers)), 0.8 / len(_COLOURS)
    for k, (kind, colour) in enumerate(_COLOURS.items()):
        own = [row for row in rows if row["kind"] == kind]
        values = [row["bits"] for row in own]
        ends = np.array([row["bits_ci95"] for row in own])
        place = at + (k - (len(_COLOURS) - 1) / 2) * height
        label = "left without any" if kind == "rest" else kind
        ax.barh(
            place,
            values,
            0.92 * height,
            color=COLOURS[colour],
            label=label,
            xerr=np.abs(ends.T - np.array(values)),
            error_kw={"lw": 0.7, "capsize": 1.5},
        )
    ax.axvline(0, color=COLOURS["black"], lw=0.6)
    ax.set_yticks(at, [_wrapped(name) for name in readers])
    ax.invert_yaxis()
    ax.set(
        xlabel="bits over the prior",
        title=f"{rows[0]['n']} held-out minerals, simulated:\nwhat each reader owes to each kind",
    )
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.17), ncols=2, fontsize=6.5)


def _visible(ax, content):
    """Top-1 of a reader of cells and visible lines, and of the networks, on the same minerals."""
    rows = content["visible"]
    names = {None: "lattice alone", 0.0: "all absences"}
    labels = [names.get(row["limit"]) or f"lines above {100 * row['limit']:g} %" for row in rows]
    order = sorted(range(len(rows)), key=lambda i: -1 if rows[i]["limit"] is None else 1)
    wanted = {r["reader"]: r for r in content["rows"] if r["patterns"] == UNTOUCHED}
    every = [(labels[i], rows[i], "green") for i in order]
    every += [(name, row, "blue") for name, row in wanted.items() if name not in NULLS]
    every += [(name, wanted[name], "grey") for name in NULLS]
    for y, (_, row, colour) in enumerate(every):
        low, high = row["top1_ci95"]
        value = row["top1"]
        ax.errorbar(
            value,
            y,
            xerr=[[value - low], [high - value]],
            fmt="o",
            color=COLOURS[colour],
            lw=0.9,
            capsize=2,
        )
    ax.set_yticks(range(len(every)), [name for name, _, _ in every], fontsize=6.5)
    ax.invert_yaxis()
    ax.grid(axis="x", color="0.9", lw=0.5)
    first = rows[0]
    ax.set(
        xlim=(0, 103),
        xlabel="top-1 (%)",
        title=f"{first['n']} held-out minerals:\ntold the cell (green), from the pattern (blue)",
    )


def _ceiling(ax, content):
    """Top-1 and top-5 of ideal readers and predictors on measured patterns."""
    rows = content["ceiling"]
    at = np.arange(len(rows))
    for key, colour, marker, shift in (("top1", "blue", "o", -0.12), ("top5", "orange", "s", 0.12)):
        values = np.array([row[key] for row in rows])
        ends = np.array([row[f"{key}_ci95"] for row in rows])
        ax.errorbar(
            values,
            at + shift,
            xerr=np.abs(ends.T - values),
            fmt=marker,
            color=COLOURS[colour],
            lw=0.9,
            capsize=2,
            label={"top1": "top-1", "top5": "top-5"}[key],
        )
    ax.set_yticks(at, [_wrapped(row["reader"]) for row in rows])
    for label in ax.get_yticklabels():
        label.set_fontweight("bold" if label.get_text().startswith("released") else "normal")
    ax.invert_yaxis()
    first = rows[0]
    ax.set(
        xlim=(0, 103),
        xlabel="%",
        title=f"{content['ceiling_subset']}: {first['n']} measured patterns\n"
        f"of {first['n_families']} families; predictors bold",
    )
    ax.grid(axis="x", color="0.9", lw=0.5)
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.13), ncols=2)


def _wrapped(name):
    return name.replace(", ", ",\n").replace("network of", "network\nof")


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
