"""Figures of scores: models beside the nulls, learning curves, calibration."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import EngFormatter

from ..learning.metrics import RATES
from ..prediction.style import COLOURS, COLUMN, CYCLE, MARKERS, PAGE, interval, need, styled

NULLS = ("prior only", "shuffled")

LABELS = {
    "top1": "top-1 (%)",
    "top5": "top-5 (%)",
    "balanced_top1": "balanced top-1 (%)",
    "bits_over_prior": "bits over prior",
    "nll": "NLL (nats)",
    "ece": "ECE (%)",
    "loss": "training loss",
}


@styled
def curriculum(stages, prior=None, keys=("top1", "top5", "bits_over_prior")):
    """Scores after each stage of training, with 95 % intervals.

    Parameters
    ----------
    stages : list of dict
        Rows of `metrics.evaluate` in order; "model" names the stage; rows without numbers
        (missing data) are left out.
    prior : dict, optional
        Row of the prior alone, drawn as a dashed line.
    keys : sequence of str
        Scores, a panel each.

    Returns
    -------
    matplotlib.figure.Figure
    """
    stages = [row for row in stages if row.get(keys[0]) is not None]
    need(stages, "a row with numbers for each stage")
    fig, axes = plt.subplots(1, len(keys), figsize=(PAGE, 2.5), squeeze=False)
    x = np.arange(len(stages))
    for ax, key, colour in zip(axes[0], keys, CYCLE, strict=False):
        error = np.transpose([interval(row, key) for row in stages])
        values = [row[key] for row in stages]
        ax.errorbar(x, values, error, fmt="o-", color=colour, capsize=3)
        if prior is not None:
            ax.axhline(prior[key], color=COLOURS["black"], ls="--", lw=1, label="prior only")
            ax.legend(loc="best")
        ax.set_xticks(x, [row["model"] for row in stages], rotation=25, ha="right")
        ax.set(ylabel=LABELS.get(key, key), xlim=(-0.4, len(stages) - 0.6))
        if key in RATES:
            ax.set_ylim(bottom=0)
    fig.suptitle(_subset(stages), fontsize=8)
    return fig


@styled
def decoders(curve, chosen=None):
    """Scores against the weight of the rule head in the fusion, from one head to the other.

    Parameters
    ----------
    curve : dict of lists
        "a" (0 the auxiliary head alone, 1 the rule head alone), "top1", "top5" (percent), "nll".
    chosen : float, optional
        Weight that was chosen, marked.

    Returns
    -------
    matplotlib.figure.Figure
    """
    need(curve["a"], "at least one weight")
    fig, axes = plt.subplots(2, 1, figsize=(COLUMN, 3.9), sharex=True)
    for key, colour, marker in zip(("top1", "top5"), CYCLE, MARKERS, strict=False):
        axes[0].plot(
            curve["a"], curve[key], marker=marker, color=colour, label=key[:3] + "-" + key[3]
        )
    axes[0].set_ylabel("accuracy (%)")
    axes[1].plot(curve["a"], curve["nll"], marker="D", color=COLOURS["green"])
    axes[1].set(ylabel=LABELS["nll"], xlabel="weight a of the rule head")
    axes[1].set_xticks([0, 0.5, 1], ["0\nauxiliary", "0.5\nfused", "1\nrule"])
    for ax in axes:
        if chosen is not None:
            ax.axvline(
                chosen, color=COLOURS["black"], ls=":", lw=1, label=f"chosen, a = {chosen:.2f}"
            )
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncol=3)
    return fig


@styled
def nulls(rows, keys=("top1", "top5", "bits_over_prior")):
    """Models beside predictors that know nothing of the pattern, with 95 % intervals.

    Parameters
    ----------
    rows : list of dict
        Rows of `metrics.evaluate` on one subset; rows without numbers (missing data) are
        left out.
    keys : sequence of str
        Scores, a panel each.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = [row for row in rows if row.get(keys[0]) is not None]
    need(rows, "rows with numbers")
    fig, axes = plt.subplots(
        1, len(keys), figsize=(PAGE, 0.9 + 0.28 * len(rows)), sharey=True, squeeze=False
    )
    y = np.arange(len(rows))[::-1]
    colours = [COLOURS["grey"] if row["model"] in NULLS else COLOURS["blue"] for row in rows]
    for ax, key in zip(axes[0], keys, strict=True):
        values = [row[key] for row in rows]
        error = np.transpose([interval(row, key) for row in rows])
        ax.barh(y, values, height=0.65, color=colours)
        ax.errorbar(values, y, xerr=error, fmt="none", ecolor="black", elinewidth=0.9, capsize=2)
        ax.axvline(0, color="black", lw=0.7)
        ax.set_xlabel(LABELS.get(key, key))
        ax.margins(x=0.05)
    axes[0, 0].set_yticks(y, [row["model"] for row in rows])
    fig.suptitle(_subset(rows), fontsize=8)
    return fig


@styled
def learning_curves(histories, keys=("loss", "top1"), x="patterns"):
    """Course of training runs.

    Parameters
    ----------
    histories : mapping of str to list of dict
        Rows of each run: the `x` key and any of `keys`, which may be absent from some rows.
    keys : sequence of str
        Quantities, a panel each.
    x : str
        "patterns", "step" or "seconds".

    Returns
    -------
    matplotlib.figure.Figure
    """
    need(histories, "one run or more")
    fig, axes = plt.subplots(1, len(keys), figsize=(PAGE, 2.6), squeeze=False)
    for ax, key in zip(axes[0], keys, strict=True):
        for (name, rows), colour in zip(histories.items(), CYCLE * len(histories), strict=False):
            known = [row for row in rows if row.get(key) is not None]
            ax.plot(
                [row[x] for row in known], [row[key] for row in known], color=colour, label=name
            )
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.set(xlabel={"patterns": "patterns seen", "step": "steps"}.get(x, x))
        ax.set_ylabel(LABELS.get(key, key))
    axes[0, 0].legend(loc="best")
    return fig


def _subset(rows):
    return f"{rows[0]['subset']}, n = {rows[0]['n']}; bars: 95 % interval over mineral families"


@styled
def temperature(curve, chosen=None):
    """Scores against temperature, to the limit where the prior alone is left.

    Parameters
    ----------
    curve : dict
        As `calibrate.temperature_curve` gives it.
    chosen : float, optional
        Temperature that was chosen, marked.

    Returns
    -------
    matplotlib.figure.Figure
    """
    need(curve["temperature"], "at least one temperature")
    T, limit = np.array(curve["temperature"]), curve["limit"]
    end = T[-1] * (T[-1] / T[0]) ** 0.1
    fig, axes = plt.subplots(3, 1, figsize=(COLUMN, 4.6), sharex=True)
    panels = (("nll", "NLL (nats)"), ("top1", "top-1 (%)"), ("ece", "ECE (%)"))
    for ax, (key, label), colour in zip(axes, panels, CYCLE, strict=False):
        ax.plot(T, curve[key], color=colour)
        ax.plot(end, limit[key], "o", color=COLOURS["black"], clip_on=False)
        ax.axhline(limit[key], color=COLOURS["black"], ls="--", lw=0.8, label="prior alone")
        if chosen is not None:
            ax.axvline(
                chosen, color=COLOURS["grey"], ls=":", lw=1.2, label=f"chosen, T = {chosen:.2f}"
            )
        ax.set(ylabel=label, xscale="log")
    ticks = [t for t in (0.5, 1, 2, 5, 10, 20, 50, 100) if T[0] <= t <= T[-1]]
    axes[-1].set_xticks([*ticks, end], [*(f"{t:g}" for t in ticks), "∞"])
    axes[-1].minorticks_off()
    axes[-1].set_xlabel("temperature T")
    axes[0].legend(loc="best")
    return fig


@styled
def reliability(tables):
    """Accuracy against confidence, with how many patterns have each confidence.

    Parameters
    ----------
    tables : mapping of str to dict
        `metrics.reliability` of one or more predictors, by name.

    Returns
    -------
    matplotlib.figure.Figure
    """
    need(tables, "one table or more")
    fig, (ax, low) = plt.subplots(2, 1, figsize=(COLUMN, 4.0), sharex=True, height_ratios=(3, 1))
    ax.plot([0, 1], [0, 1], color=COLOURS["black"], lw=0.8, ls="--", label="perfect calibration")
    for i, ((name, table), colour) in enumerate(zip(tables.items(), CYCLE, strict=False)):
        kept = [k for k, count in enumerate(table["count"]) if count]
        count = np.array([table["count"][k] for k in kept])
        # Area of a marker by its share of the patterns, so that sparse bins look sparse.
        ax.plot(*([table[key][k] for k in kept] for key in ("confidence", "accuracy")),
                color=colour, label=name)  # fmt: skip
        ax.scatter(
            [table["confidence"][k] for k in kept],
            [table["accuracy"][k] for k in kept],
            s=6 + 80 * count / count.sum(),
            color=colour,
            clip_on=False,
            zorder=3,
        )
        width = 0.8 / 15 / len(tables)
        centre = (np.array(table["lower"]) + np.array(table["upper"])) / 2
        shift = (i - (len(tables) - 1) / 2) * width
        low.bar(centre + shift, table["count"], width=width, color=colour)
    ax.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    low.set(ylabel="patterns", xlabel="confidence")
    fig.legend(loc="outside upper center", ncol=2)
    return fig
