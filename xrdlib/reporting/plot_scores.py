"""Figures of scores: models beside the nulls, learning curves, calibration."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from ..learning import nulls
from ..learning.metrics import RATES
from ..prediction.style import (
    COLOURS,
    COLUMN,
    MARKERS,
    PAGE,
    beside,
    legend,
    model_colour,
    need,
    styled,
    whiskers,
)

NULLS = (nulls.PRIOR, nulls.BY_PATTERNS, nulls.ORACLE, "shuffled")

LABELS = {
    "top1": "top-1 (%)",
    "top5": "top-5 (%)",
    "balanced_top1": "balanced top-1 (%)",
    "bits_over_prior": "bits over prior",
    "bits": "bits over prior",
    "nll": "NLL (nats)",
    "ece": "ECE (%)",
    "loss": "training loss, all heads",
}

_Z = 1.96  # standard deviations within which 95 % of a normal distribution lie

KEYS = ("top1", "top5", "bits_over_prior")


@styled
def curriculum(stages: list[dict], prior: dict | None = None) -> Figure:
    """Scores after each stage of training, with 95 % intervals.

    Parameters
    ----------
    stages : list of dict
        Rows of `metrics.evaluate` in order; "model" names the stage; rows without numbers
        (missing data) are left out.
    prior : dict, optional
        Row of the prior alone, drawn as a dashed line.
    """
    stages = [row for row in stages if row.get(KEYS[0]) is not None]
    need(stages, "a row with numbers for each stage")
    fig, axes = plt.subplots(1, len(KEYS), figsize=(PAGE, 2.5))
    x = np.arange(len(stages))
    colour = model_colour("stage 2")
    for ax, key in zip(axes, KEYS, strict=True):
        values = [row[key] for row in stages]
        ax.errorbar(x, values, whiskers(stages, key), fmt="o-", color=colour, capsize=3)
        if prior is not None:
            ax.axhline(prior[key], color=COLOURS["black"], ls="--", lw=1, label="prior only")
            ax.legend(loc="best")
        ax.set_xticks(x, [row["model"] for row in stages], rotation=25, ha="right")
        ax.set(ylabel=LABELS[key], xlim=(-0.4, len(stages) - 0.6))
        if key in RATES:
            ax.set_ylim(bottom=0)
    fig.suptitle(_subset(stages), fontsize=8)
    return fig


@styled
def decoders(curve: dict[str, list], chosen: float | None = None) -> Figure:
    """Scores against the weight of the rule head in the fusion, from one head to the other.

    Parameters
    ----------
    curve : dict of lists
        "a" (0 the auxiliary head alone, 1 the rule head alone), "top1", "top5" (percent), "nll".
    chosen : float, optional
        Weight that was chosen, marked.
    """
    need(curve["a"], "at least one weight")
    fig, axes = plt.subplots(2, 1, figsize=(COLUMN, 3.9), sharex=True)
    colour = model_colour("stage 2")
    for key, style, marker in zip(("top1", "top5"), ("-", "--"), MARKERS, strict=False):
        look = {"ls": style, "marker": marker, "color": colour}
        axes[0].plot(curve["a"], curve[key], label=LABELS[key].removesuffix(" (%)"), **look)
    axes[0].set_ylabel("accuracy (%)")
    axes[1].plot(curve["a"], curve["nll"], marker="D", color=colour)
    axes[1].set(ylabel=LABELS["nll"], xlabel="weight a of the rule head")
    axes[1].set_xticks([0, 0.5, 1], ["0\nauxiliary", "0.5\nfused", "1\nrule"])
    for ax in axes if chosen is not None else ():
        label = f"chosen, a = {chosen:.2f}"
        ax.axvline(chosen, color=COLOURS["black"], ls=":", lw=1, label=label)
    legend(fig, axes[:1], "upper center", ncol=3)
    return fig


@styled
def scores(rows: list[dict]) -> Figure:
    """Models beside predictors that know nothing of the pattern, with 95 % intervals.

    Parameters
    ----------
    rows : list of dict
        Rows of `metrics.evaluate` on one subset; rows without numbers (missing data) are
        left out.
    """
    rows = [row for row in rows if row.get(KEYS[0]) is not None]
    need(rows, "rows with numbers")
    fig, axes = plt.subplots(1, len(KEYS), figsize=(PAGE, 0.9 + 0.28 * len(rows)), sharey=True)
    names = [row["model"] for row in rows]
    bars(axes, rows, [COLOURS["grey"] if name in NULLS else model_colour(name) for name in names])
    fig.suptitle(_subset(rows), fontsize=8)
    return fig


def bars(axes: Sequence[Axes], rows: list[dict], colours: list[str], **labels: object) -> None:
    """Scores of rows of `metrics.evaluate` as bars with intervals, an axes a score of `KEYS`."""
    y = np.arange(len(rows))[::-1]
    for ax, key in zip(axes, KEYS, strict=True):
        ax.barh(y, [row[key] for row in rows], height=0.68, color=colours,
                xerr=whiskers(rows, key), error_kw={"lw": 0.9, "capsize": 2})  # fmt: skip
        ax.axvline(0, color="black", lw=0.7)
        ax.set_xlabel(LABELS[key])
        ax.margins(x=0.05)
    axes[0].set_yticks(y, [row["model"] for row in rows], **labels)


@styled
def learning_curves(runs: Sequence[tuple[str, str, list[dict]]]) -> Figure:
    """Course of training runs against the patterns that they have seen.

    Runs that are validated on other patterns share no panel, since neither their losses nor their
    scores can be compared.

    Parameters
    ----------
    runs : sequence of (str, str, list of dict)
        Name, set of the validation, and rows: "patterns" and "loss" or "top1".
    """
    need(runs, "one run or more")
    sets = list(dict.fromkeys(subset for _, subset, _ in runs))
    fig, axes = plt.subplots(2, len(sets), figsize=(PAGE, 3.8), squeeze=False, sharex="col")
    for name, subset, rows in runs:
        for ax, key in zip(axes[:, sets.index(subset)], ("loss", "top1"), strict=True):
            points = [(row["patterns"], row[key]) for row in rows if row.get(key) is not None]
            ax.plot(*np.array(points).reshape(-1, 2).T, color=model_colour(name), label=name)
            ax.set(ylabel=LABELS[key])
    for subset, (upper, lower) in zip(sets, axes.T, strict=True):
        upper.legend(loc="best")
        upper.set_title(f"validated on {subset}", loc="left")
        lower.set(xlabel="patterns seen", ylim=(0, None))
        lower.xaxis.set_major_formatter(EngFormatter(sep=""))
    return fig


def _subset(rows):
    return f"{rows[0]['subset']}, n = {rows[0]['n']}; bars: 95 % interval over mineral families"


@styled
def temperature(curve: dict, chosen: float | None = None) -> Figure:
    """Scores against temperature, to the limit where the prior alone is left.

    Parameters
    ----------
    curve : dict
        As `calibrate.temperature_curve` gives it.
    chosen : float, optional
        Temperature that was chosen, marked.
    """
    need(curve["temperature"], "at least one temperature")
    T, limit = np.array(curve["temperature"]), curve["limit"]
    end = T[-1] * (T[-1] / T[0]) ** 0.1
    fig, axes = plt.subplots(3, 1, figsize=(COLUMN, 4.6), sharex=True)
    for ax, key in zip(axes, ("nll", "top1", "ece"), strict=True):
        ax.plot(T, curve[key], color=model_colour("stage 2"))
        ax.plot(end, limit[key], "o", color=COLOURS["black"], clip_on=False)
        ax.axhline(limit[key], color=COLOURS["black"], ls="--", lw=0.8, label="prior alone")
        if chosen is not None:
            label = f"chosen, T = {chosen:.2f}"
            ax.axvline(chosen, color=COLOURS["grey"], ls=":", lw=1.2, label=label)
        ax.set(ylabel=LABELS[key], xscale="log")
    ticks = [t for t in (0.5, 1, 2, 5, 10, 20, 50, 100) if T[0] <= t <= T[-1]]
    axes[-1].set_xticks([*ticks, end], [*(f"{t:g}" for t in ticks), "∞"])
    axes[-1].minorticks_off()
    axes[-1].set_xlabel("temperature T")
    axes[0].legend(loc="best")
    return fig


@styled
def reliability(tables: Mapping[str, dict]) -> Figure:
    """Accuracy against confidence, with how many patterns have each confidence.

    Parameters
    ----------
    tables : mapping of str to dict
        `breakdown.reliability` of one or more predictors, by name.
    """
    need(tables, "one table or more")
    fig, (ax, low) = plt.subplots(2, 1, figsize=(COLUMN, 4.0), sharex=True, height_ratios=(3, 1))
    confidence(ax, tables, intervals=True, diagonal="perfect calibration")
    for i, (name, table) in enumerate(tables.items()):
        centre = (np.array(table["lower"]) + np.array(table["upper"])) / 2
        width = 0.8 / 15
        centres = centre + beside(i, len(tables), width)
        low.bar(centres, table["count"], width=width / len(tables), color=model_colour(name))
    ax.set(xlabel="", ylabel="accuracy")
    low.set(ylabel="patterns", xlabel="confidence")
    fig.legend(loc="outside upper center", ncol=2)
    return fig


def confidence(
    ax: Axes,
    tables: Mapping[str, dict],
    intervals: bool = False,
    diagonal: str | None = None,
    colours: Mapping[str, str] | None = None,
) -> None:
    """Accuracy against confidence by name, and where both are equal; `colours` if no models.

    Intervals are Wilson's, of 95 %, as if patterns were independent.
    """
    ax.plot([0, 1], [0, 1], color=COLOURS["black"], lw=0.8, ls="--", label=diagonal)
    for name, table in tables.items():
        colour = (colours or {}).get(name) or model_colour(name)
        kept = [k for k, count in enumerate(table["count"]) if count]
        points = [[table[key][k] for k in kept] for key in ("confidence", "accuracy")]
        # Area of a marker by its share of the patterns, so that sparse bins look sparse.
        size = 6 + 90 * np.array([table["count"][k] for k in kept]) / sum(table["count"])
        if intervals:
            x, p = np.array(points)
            n = np.array([table["count"][k] for k in kept])
            centre = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
            half = _Z * np.sqrt(p * (1 - p) / n + (_Z / (2 * n)) ** 2) / (1 + _Z**2 / n)
            ax.vlines(x, centre - half, centre + half, color=colour, lw=0.7, alpha=0.6)
        ax.scatter(*points, s=size, color=colour, label=name, clip_on=False, zorder=3)
    ax.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
