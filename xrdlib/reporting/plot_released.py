"""Figures of the released predictor: coverage, mistakes, indexing."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..prediction.style import (
    COLOURS,
    COLUMN,
    CYCLE,
    MARKERS,
    PAGE,
    SYSTEM_COLOURS,
    legend,
    need,
    note,
    styled,
)


@styled
def coverage(rows: list[dict], answered: dict[str, list]) -> Figure:
    """Promised against met coverage, size of the sets, and accuracy of what is answered.

    From `appraisal.coverage_of_parts` and `appraisal.answered`.
    """
    need(rows, "at least one coverage")
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(PAGE, 3.0))
    left.plot([45, 100], [45, 100], color=COLOURS["grey"], ls="--", lw=1, label="as promised")
    parts = dict.fromkeys((row["subset"], row["n_families"]) for row in rows)
    ways = dict(zip(dict.fromkeys(row["threshold"] for row in rows), ("-", ":"), strict=False))
    for (part, n), colour, marker in zip(parts, CYCLE, MARKERS, strict=False):
        for way, style in ways.items():
            own = [row for row in rows if (row["subset"], row["threshold"]) == (part, way)]
            promised = [100 * row["promised"] for row in own]
            look = {"color": colour, "marker": marker, "ls": style}
            name = f"{part} ({n} families)" if style == "-" else None
            left.plot(promised, [100 * row["families"] for row in own], label=name, **look)
            middle.plot(promised, [row["size"] for row in own], **look)
    for way, style in ways.items():
        left.plot([], [], color=COLOURS["black"], ls=style, label=f"threshold: {way}")
    left.set(xlabel="promised coverage (%)", ylabel="families: true group in the set (%)")
    middle.set(xlabel="promised coverage (%)", ylabel="groups in a set (mean)", ylim=(0, None))
    share, top1, least = (100 * np.array(answered[k]) for k in ("share", "top1", "confidence"))
    right.plot(share, top1, color=COLOURS["black"], label="top-1")
    right.plot(share, least, color=COLOURS["grey"], label="least confidence")
    right.set(xlabel="patterns answered, surest first (%)", ylabel="%", ylim=(0, 103))
    right.legend(loc="lower left")
    legend(fig, [left], "lower center", ncols=2)
    return fig


@styled
def mistakes(rows: list[dict]) -> Figure:
    """Patterns of confident `mistakes.mistakes`, a panel each, with true and predicted group."""
    need(rows, "at least one mistake")
    columns = 2 if len(rows) > 1 else 1
    lines = -(-len(rows) // columns)
    size = PAGE if columns == 2 else COLUMN, 1.05 * lines + 0.5
    fig, axes = plt.subplots(lines, columns, figsize=size, squeeze=False, sharex=True)
    for ax, row in zip(axes.flat, rows, strict=False):
        ax.plot(row["two_theta"], row["intensity"], color=COLOURS["black"], lw=0.5)
        ax.set_title(
            f"{row['source']}: {row['true']}, taken for {row['predicted']} "
            f"({100 * row['probability']:.0f} %)\n"
            f"nearest: {row['nearest'][:34]} ({row['similarity']:.2f})",
            fontsize=7,
        )
        ax.set(xlim=(5, 90), yticks=[], ylim=(0, 1.05))
    for ax in axes.flat[len(rows) :]:
        ax.axis("off")
    for ax in axes[-1]:
        ax.set_xlabel("2θ (degrees, Cu Kα)")
    return fig


@styled
def indexing(content: dict) -> Figure:
    """Shares of right lattices by crystal system; peaks and reflections of one example.

    Parameters
    ----------
    content : dict
        "rows" (`lattices.table`) and "example" (`lattices.example`, or None).
    """
    need(content["rows"], "the rows of indexing.table")
    panels = 2 if content["example"] else 1
    fig, axes = plt.subplots(1, panels, figsize=(PAGE * panels / 2, 2.6), squeeze=False,
                             width_ratios=(1, 1.6)[:panels])  # fmt: skip
    _systems(axes[0, 0], content["rows"])
    if content["example"]:
        _example(axes[0, 1], content["example"])
    return fig


@styled
def learning(content: dict) -> Figure:
    """NLL of the network that weighs lattices, epoch by epoch: "train" and "held_out"."""
    if not content["train"]:
        return note("Nothing was learned.")
    fig, ax = plt.subplots(figsize=(0.5 * PAGE, 2.2))
    for key, label in (("train", "training minerals"), ("held_out", "held-out minerals")):
        ax.plot(
            np.arange(1, len(content[key]) + 1), np.array(content[key]) / np.log(2), label=label
        )
    ax.set(xlabel="epoch", ylabel="NLL (bits)", ylim=(0, None))
    ax.legend()
    return fig


def _systems(ax, rows):
    rows = [row for row in rows if "cell_found" in row]
    at = np.arange(len(rows))[::-1]
    colours = [SYSTEM_COLOURS.get(row["system"], COLOURS["black"]) for row in rows]
    for shift, key, label, alpha in (
        (0.2, "system_found", "system right", 0.35),
        (-0.2, "cell_found", "cell right", 1.0),
    ):
        ax.barh(at + shift, [row[key] for row in rows], 0.38, color=colours, alpha=alpha)
        ax.bar(0, 0, color=COLOURS["black"], alpha=alpha, label=label)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    ax.set_yticks(at, [f"{row['system']} ({row['n']})" for row in rows])
    ax.set(xlim=(0, 100), xlabel=f"best cell of {rows[0]['n_families']} held-out families (%)")


def _example(ax, example):
    ax.plot(example["two_theta"], example["intensity"], color=COLOURS["black"], lw=0.6)
    for y, key, colour, label in (
        (-0.08, "found", "vermillion", "peaks found"),
        (-0.17, "lattice", "blue", "reflections of the cell"),
    ):
        ax.vlines(example[key], y, y + 0.05, color=COLOURS[colour], lw=0.8, label=label)
    edges = ", ".join(f"{x:.3f}" for x in example["cell"][:3])
    ax.set_title(f"{example['name'].rstrip(' 0123456789')}: {edges} Å", loc="left")
    ax.set(xlabel="2θ (degrees), Cu Kα", yticks=[], ylabel="intensity")
    ax.set_xlim(example["two_theta"][0], example["two_theta"][-1])
    ax.set_ylim(-0.2, 1.25)
    ax.legend(loc="upper right", ncols=2)
