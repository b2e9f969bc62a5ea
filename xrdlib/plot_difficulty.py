"""Figure of what goes with difficulty: fit quality, and measures of the pattern."""

import matplotlib.pyplot as plt
import numpy as np

from .difficulty_study import QUALITY
from .plot_style import COLOURS, CYCLE, PAGE, note, styled
from .published import NAME


@styled
def fit_quality(found):
    """Hits against the fit's Rwp; associations within groups; shares of difficulty explained.

    Parameters
    ----------
    found : dict
        "published" (`difficulty_study.published_study`, or None) and "measured"
        (`difficulty_study.measured_study`, or None).

    Returns
    -------
    matplotlib.figure.Figure
    """
    published, measured = found["published"], found["measured"]
    if not (published or measured):
        return note("Neither the published cases nor measured patterns were at hand.")
    panels = 1 * bool(published) + 2 * bool(measured)
    fig, axes = plt.subplots(1, panels, figsize=(PAGE, 3.4), squeeze=False)
    axes = list(axes[0])
    if published:
        _hits(axes.pop(0), published)
    if measured:
        _associations(axes[0], measured)
        _explained(axes[1], measured)
        entries = [ax.get_legend_handles_labels() for ax in axes]
        handles, labels = (sum((entry[i] for entry in entries), []) for i in (0, 1))
        fig.legend(handles, labels, loc="outside upper right", ncol=3)
    fig.supxlabel(_caption(published, measured), fontsize=7)
    return fig


def _caption(published, measured):
    """Subsets and their numbers."""
    parts = []
    if published:
        test = published["rwp"]["top1"]["within classes"]
        parts.append(
            f"{NAME}: n = {published['n']}, {test['n_informative']} in groups with top-1 hits and "
            "misses"
        )
    if measured:
        parts.append(
            f"{measured['subset']}: n = {measured['n']} of {measured['families']} families"
        )
    return "; ".join([*parts, "bars: 95 % over families"])


def _hits(ax, published):
    """Hits by severity of the fit, beside the constant, and in bins of Rwp."""
    for key, label, colour in (("top5", "top-5", CYCLE[0]), ("top1", "top-1", CYCLE[1])):
        x = [100 * row["rwp"] for row in published["bins"]]
        y = [row[key] for row in published["bins"]]
        ax.plot(x, y, "o", color=colour, alpha=0.4, markersize=3)
        for row in published["severity"]:
            at, low, high = 100 * row["rwp"], *row[f"{key}_ci95"]
            error = [[row[key] - low], [high - row[key]]]
            ax.errorbar(at, row[key], error, fmt="s", color=colour)
            ax.plot(at, row[f"constant_{key}"], "_", color=COLOURS["black"], markersize=12)
        ax.plot([], [], "s", color=colour, label=label)
    ax.plot([], [], "_", color=COLOURS["black"], markersize=10, label="constant")
    ax.plot([], [], "o", color=COLOURS["grey"], alpha=0.5, markersize=3, label="bins of Rwp")
    ax.set_title(f"published, {NAME}", loc="left")
    ax.set(xlabel="Rwp of the fit (%)", ylabel="hits (%)", ylim=(0, 80))
    ax.legend(loc="upper right", ncol=2)


def _associations(ax, measured):
    """Rank correlations of difficulty within groups."""
    for i, (title, own) in enumerate(measured["predictors"].items()):
        tests = {
            name: kinds["within classes"]
            for name, kinds in own["association"].items()
            if kinds["within classes"]["rho"] is not None
        }
        rho = np.array([test["rho"] for test in tests.values()])
        ends = np.array([test["rho_ci95"] for test in tests.values()]).T
        y = np.arange(len(tests)) + 0.24 * (i - 0.5)
        error = np.maximum([rho - ends[0], ends[1] - rho], 0)
        ax.errorbar(rho, y, xerr=error, fmt="o", color=CYCLE[2 + i], label=title)
        ax.set_yticks(range(len(tests)), tests)
    ax.axvline(0, color=COLOURS["black"], lw=0.8)
    ax.axhline(len(QUALITY) - 0.5, color=COLOURS["grey"], lw=0.5)
    ax.invert_yaxis()
    ax.set(xlabel="rank correlation with difficulty", xlim=(-1, 1))
    ax.set_title("within groups", loc="left")


def _explained(ax, measured):
    """Shares of the variance of difficulty explained, with their nulls."""
    for i, own in enumerate(measured["predictors"].values()):
        shares = own["explained"]
        y = np.arange(len(shares)) + 0.36 * (i - 0.5)
        value = [100 * share["share"] for share in shares.values()]
        ax.barh(y, value, height=0.34, color=CYCLE[2 + i])
        null = [100 * share["null95"] for share in shares.values()]
        ax.plot(null, y, "|", color=COLOURS["black"], markersize=7)
        ax.set_yticks(range(len(shares)), shares)
    ax.plot([], [], "|", color=COLOURS["black"], label="95 % of permutations below")
    ax.axvline(0, color=COLOURS["black"], lw=0.8)
    ax.invert_yaxis()
    ax.set(xlabel="its variance explained (%)")
    ax.set_title("families not fitted to", loc="left")
