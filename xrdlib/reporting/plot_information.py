"""Figures of the information in patterns, and of the classical method."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..prediction.style import COLOURS, PAGE, beside, need, note, spans, styled, whiskers
from ..studies.classical import CELL, SCORES
from ..studies.information import ABSENCES, BOTH, ELEMENTS, FAMILY, LATTICE, NOTHING
from ..studies.knockouts import KINDS, UNTOUCHED
from .plot_scores import KEYS, NULLS, bars

_READERS = (NOTHING, FAMILY, LATTICE, ELEMENTS, ABSENCES, BOTH)

_COLOURS = dict(zip((*KINDS, "rest"), ("blue", "vermillion", "orange", "grey"), strict=True))


@styled
def information(content: dict) -> Figure:
    """Ideal readers, shares of the bits by reader, and the ceiling: result `information`."""
    need(content["readers"], "the rows of ideal readers")
    fig, axes = plt.subplots(2, 2, figsize=(PAGE, 7.0))
    _ideal(axes[0, 0], content["readers"])
    _shares(axes[0, 1], content["shares"])
    _visible(axes[1, 0], content)
    if content["ceiling"]:
        _ceiling(axes[1, 1], content)
    else:
        axes[1, 1].axis("off")
        axes[1, 1].text(0.5, 0.5, "No measured patterns were at hand.", ha="center", va="center")
    return fig


def _named(ax, names):
    """Name the ticks 0, 1, ... of the vertical axis, from the top down."""
    wrapped = [name.replace(", ", ",\n").replace("network of", "network\nof") for name in names]
    ax.set_yticks(range(len(names)), wrapped)
    ax.invert_yaxis()


def _ideal(ax, rows):
    """Top-1 of every ideal reader under every frequency."""
    titles = list(dict.fromkeys(row["frequencies"] for row in rows))
    for k, (title, colour) in enumerate(zip(titles, ("blue", "orange", "grey"), strict=False)):
        own = {row["reader"]: row for row in rows if row["frequencies"] == title}
        values = [own[name]["top1"] for name in _READERS]
        n = own[BOTH]["left_out"]
        label = title if n is None else f"{title} ({n['n_families']} families)"
        at = np.arange(len(_READERS)) + beside(k, len(titles))
        ax.barh(at, values, 0.736 / len(titles), color=COLOURS[colour], label=label)
        for y, value in zip(at, values, strict=True):
            ax.text(value + 1, y, f"{value:.0f}", va="center", fontsize=5.5)
    _named(ax, _READERS)
    ax.set(xlim=(0, 112), xlabel="top-1 (%), exact frequencies")
    ax.set_title("Ideal readers,\nwithout error or noise")
    ax.legend(loc="upper center", bbox_to_anchor=(0.3, -0.17), fontsize=6.5)


def _shares(ax, rows):
    """Bits of every reader by kind of information, with intervals."""
    readers = list(dict.fromkeys(row["reader"] for row in rows))
    for k, (kind, colour) in enumerate(_COLOURS.items()):
        own = [row for row in rows if row["kind"] == kind]
        values = [row["bits"] for row in own]
        error = spans(values, [row["bits_ci95"] for row in own])
        at, height = np.arange(len(readers)) + beside(k, len(_COLOURS)), 0.736 / len(_COLOURS)
        label = "left without any" if kind == "rest" else kind
        ax.barh(at, values, height, color=COLOURS[colour], label=label, xerr=error,
                error_kw={"lw": 0.7, "capsize": 1.5})  # fmt: skip
    ax.axvline(0, color=COLOURS["black"], lw=0.6)
    _named(ax, readers)
    ax.set_xlabel("bits over the prior")
    ax.set_title(
        f"{rows[0]['n']} held-out minerals, simulated:\nwhat each reader owes to each kind"
    )
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.17), ncols=2, fontsize=6.5)


def _visible(ax, content):
    """Top-1 of a reader of cells and visible reflections, and of networks, on the same minerals."""
    rows = sorted(content["visible"], key=lambda row: row["limit"] is not None)
    names = {None: "lattice alone", 0.0: "all absences"}
    every = []
    for row in rows:
        limit = row["limit"]
        every.append((names.get(limit) or f"reflections above {100 * limit:g} %", row, "green"))
    wanted = {row["reader"]: row for row in content["rows"] if row["patterns"] == UNTOUCHED}
    every += [(name, row, "blue") for name, row in wanted.items() if name not in NULLS]
    every += [(name, wanted[name], "grey") for name in NULLS if name in wanted]
    for y, (_, row, colour) in enumerate(every):
        look = {"fmt": "o", "color": COLOURS[colour], "lw": 0.9, "capsize": 2}
        ax.errorbar(row["top1"], y, xerr=whiskers([row], "top1"), **look)
    ax.set_yticks(range(len(every)), [name for name, _, _ in every], fontsize=6.5)
    ax.invert_yaxis()
    ax.grid(axis="x", color="0.9", lw=0.5)
    ax.set(xlim=(0, 103), xlabel="top-1 (%)")
    given = "cell known (green), from the pattern (blue)"
    ax.set_title(f"{content['visible'][0]['n']} held-out minerals:\n{given}")


def _ceiling(ax, content):
    """Top-1 and top-5 of ideal readers and predictors on measured patterns."""
    rows = content["ceiling"]
    for key, colour, marker, shift in (("top1", "blue", "o", -0.12), ("top5", "orange", "s", 0.12)):
        values, at = [row[key] for row in rows], np.arange(len(rows)) + shift
        look = {"fmt": marker, "color": COLOURS[colour], "lw": 0.9, "capsize": 2}
        ax.errorbar(values, at, xerr=whiskers(rows, key), label=f"top-{key[3]}", **look)
    _named(ax, [row["reader"] for row in rows])
    for label in ax.get_yticklabels():
        label.set_fontweight("bold" if label.get_text().startswith("released") else "normal")
    ax.set(xlim=(0, 103), xlabel="%")
    ax.set_title(
        f"{content['ceiling_subset']}: {rows[0]['n']} measured patterns\n"
        f"of {rows[0]['n_families']} families; predictors bold"
    )
    ax.grid(axis="x", color="0.9", lw=0.5)
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.13), ncols=2)


_KINDS = {
    "knows nothing of the intensities": "grey",
    "knows the cell and fits the pattern": "vermillion",
    "knows no cell": "blue",
    "knows of the cell its metric symmetry alone": "sky",
}


@styled
def classical(content: dict) -> Figure:
    """Scores of every method where the cell is given, a row of panels a set: result `classical`."""
    subsets = list(dict.fromkeys(row["subset"] for row in content["rows"]))
    if not subsets:
        return note("No pattern with a given cell was at hand.")
    parts = [[row for row in content["rows"] if row["subset"] == name] for name in subsets]
    height = 0.6 + sum(0.75 + 0.19 * len(part) for part in parts)
    fig, axes = plt.subplots(
        *(len(parts), len(KEYS)),
        **{"figsize": (PAGE, height), "sharey": "row", "squeeze": False},
        height_ratios=[len(part) + 3 for part in parts],
    )
    for line, part in zip(axes, parts, strict=True):
        bars(line, part, [COLOURS[_KINDS[_kind(row["model"])]] for row in part], fontsize=6.5)
        of = f"{part[0]['n']} patterns of {part[0]['n_families']} families"
        line[0].set_title(f"{part[0]['subset']}: n = {of}", loc="left")
    shown = {_kind(row["model"]) for row in content["rows"]}
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
    return kinds[3] if model.endswith("cell known") else kinds[2]
