"""Figures of the released predictor: coverage of its sets, and its most confident mistakes."""

import matplotlib.pyplot as plt

from .plot_style import COLOURS, COLUMN, PAGE, need, styled


@styled
def coverage(rows, answered):
    """Promised against met coverage, size of the sets, and accuracy of what is answered.

    Parameters
    ----------
    rows : list of dict
        As from `appraisal.coverage`.
    answered : dict of list
        As from `appraisal.answered`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    need(rows, "at least one coverage")
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(PAGE, 2.5))
    promised = [100 * row["promised"] for row in rows]
    left.plot([45, 100], [45, 100], color=COLOURS["grey"], ls="--", lw=1, label="as promised")
    for key, colour, marker in (("families", "blue", "o"), ("patterns", "vermillion", "s")):
        met = [100 * row[key] for row in rows]
        left.plot(promised, met, marker=marker, color=COLOURS[colour], label=f"over {key}")
    left.set(xlabel="promised coverage (%)", ylabel="true group in the set (%)")
    left.legend(loc="lower right")
    middle.plot(promised, [row["size"] for row in rows], marker="D", color=COLOURS["green"])
    middle.set(xlabel="promised coverage (%)", ylabel="groups in a set (mean)", ylim=(0, None))
    share = [100 * s for s in answered["share"]]
    right.plot(share, [100 * a for a in answered["top1"]], color=COLOURS["blue"], label="top-1")
    right.plot(
        share,
        [100 * c for c in answered["confidence"]],
        color=COLOURS["orange"],
        ls=":",
        label="least confidence",
    )
    right.set(xlabel="patterns answered, surest first (%)", ylabel="%", ylim=(0, 103))
    right.legend(loc="lower left")
    return fig


@styled
def mistakes(rows):
    """Patterns of confident mistakes, a panel each, with what was said of them.

    Parameters
    ----------
    rows : list of dict
        As from `appraisal.mistakes`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    need(rows, "at least one mistake")
    columns = 2 if len(rows) > 1 else 1
    lines = -(-len(rows) // columns)
    width = PAGE if columns == 2 else COLUMN
    fig, axes = plt.subplots(
        lines, columns, figsize=(width, 0.95 * lines + 0.5), squeeze=False, sharex=True
    )
    for ax, row in zip(axes.flat, rows, strict=False):
        ax.plot(row["two_theta"], row["intensity"], color=COLOURS["black"], lw=0.5)
        ax.set_title(
            f"{row['true']}, said {row['predicted']} ({100 * row['probability']:.0f} %)\n"
            f"nearest: {row['nearest'][:34]} ({row['similarity']:.2f})",
            fontsize=7,
        )
        ax.set(xlim=(5, 90), yticks=[], ylim=(0, 1.05))
    for ax in axes.flat[len(rows) :]:
        ax.axis("off")
    for ax in axes[-1]:
        ax.set_xlabel("2θ (degrees, Cu Kα)")
    return fig
