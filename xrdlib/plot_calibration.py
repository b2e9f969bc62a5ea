"""Figures of calibration: temperature and reliability."""

import matplotlib.pyplot as plt
import numpy as np

from .plot_style import COLOURS, COLUMN, CYCLE, need, styled


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
        `breakdown.reliability` of one or more predictors, by name.

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
