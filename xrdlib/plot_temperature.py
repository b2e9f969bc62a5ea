"""Figure of the temperature study: models, ways of putting in a prior, published predictions."""

import matplotlib.pyplot as plt

from .plot_style import COLOURS, CYCLE, PAGE, need, styled
from .published import NAME
from .temperature_study import RATIO

_LIMIT = 1.6  # where infinity is drawn, of the largest temperature


@styled
def calibration_study(found):
    """Scores against temperature, to the limit of the prior alone, and reliability.

    Parameters
    ----------
    found : dict
        "subset", "chosen_on", "n", "models" (by predictor and way, `temperature_study.model`) and
        "published" (`published_temperature.study`, or None).

    Returns
    -------
    matplotlib.figure.Figure
    """
    models = found["models"]
    need(models, "one predictor or more")
    fig, axes = plt.subplots(2, 3, figsize=(PAGE, 4.8))
    panels = (("nll", "NLL (nats)"), ("ece", "ECE (%)"), ("top1", "top-1 (%)"))
    for ax, (key, label) in zip(axes[0], panels, strict=True):
        for (title, own), colour in zip(models.items(), CYCLE, strict=False):
            _curve(ax, own[RATIO], key, colour, title)
        limit = next(iter(models.values()))[RATIO]["curve"]["limit"][key]
        ax.axhline(limit, color=COLOURS["black"], lw=0.8, ls="--", label="prior alone")
        ax.set_ylabel(label)
    axes[0, 0].set_title("prior as a ratio", loc="left")
    title, own = next(iter(models.items()))
    for (way, one), style in zip(own.items(), ("-", "--", ":"), strict=True):
        _curve(axes[1, 0], one, "nll", CYCLE[0], way, style)
    axes[1, 0].set(ylabel="NLL (nats)")
    axes[1, 0].set_title(title, loc="left")
    axes[1, 0].set_ylim(top=1.2 * axes[1, 0].get_ylim()[1])
    axes[1, 0].legend(loc="upper left")
    _reliability(axes[1, 1], own[RATIO]["reliability"])
    axes[1, 1].set_title(title, loc="left")
    _published(axes[1, 2], found["published"])
    for ax in (*axes[0], axes[1, 0], axes[1, 2]):
        last = next(iter(models.values()))[RATIO]["curve"]["T"][-1]
        ax.set(xscale="log", xlabel="temperature T")
        ax.set_xticks([0.5, 1, 2, 5, 10, 20, _LIMIT * last], ["0.5", 1, 2, 5, 10, 20, "∞"])
        ax.minorticks_off()
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncol=6)
    fig.supxlabel(
        f"{found['subset']}: n = {found['n']} patterns of {found['n_families']} families. Marks: "
        f"T chosen on {found['chosen_on']}; bars on them: its 95 % interval over families",
        fontsize=7,
    )
    return fig


def _curve(ax, one, key, colour, label, style="-"):
    """One score against temperature, its limit, and the chosen temperature."""
    curve, chosen = one["curve"], one["chosen"]
    last = _LIMIT * curve["T"][-1]
    ax.plot(curve["T"], curve[key], style, color=colour, label=label)
    ax.plot(last, curve["limit"][key], "s", color=colour, markersize=3, clip_on=False)
    at, value = chosen["T"] or last, one["rows"]["chosen"]
    value = value[key]
    ends = [end or last for end in chosen["T_ci95"] or (at, at)]
    ax.errorbar(
        at, value, xerr=[[at - ends[0]], [ends[1] - at]], fmt="o", color=colour, elinewidth=2
    )


def _reliability(ax, tables):
    """Accuracy against confidence before and after, area by number of patterns."""
    ax.plot([0, 1], [0, 1], color=COLOURS["black"], lw=0.8, ls="--")
    for (name, table), colour in zip(tables.items(), (CYCLE[1], CYCLE[0]), strict=True):
        kept = [k for k, count in enumerate(table["count"]) if count]
        points = [[table[key][k] for k in kept] for key in ("confidence", "accuracy")]
        size = [4 + 120 * table["count"][k] / sum(table["count"]) for k in kept]
        ax.scatter(*points, s=size, color=colour, label=name, alpha=0.7, clip_on=False)
    ax.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    ax.legend(loc="upper left")


def _published(ax, published):
    """NLL of the published predictions among their five, or a word that there are none."""
    ax.set_title(f"published, {NAME}", loc="left")
    if published is None:
        ax.text(0.5, 0.5, "not at hand", ha="center", transform=ax.transAxes)
        return
    last = _LIMIT * published["T"][-1]
    for (way, own), colour in zip(published["ways"].items(), CYCLE[1:], strict=False):
        ax.plot(published["T"], own["nll"], color=colour, label=way)
        ax.plot(last, own["limit"], "s", color=colour, markersize=3, clip_on=False)
    for (name, value), style in zip(published["nulls"].items(), ("--", ":"), strict=True):
        ax.axhline(value, color=COLOURS["black"], lw=0.8, ls=style, label=name)
    ax.set_ylabel(f"NLL among the five, n = {published['inside']['n']}")
    ax.legend(loc="upper right", fontsize=6)
