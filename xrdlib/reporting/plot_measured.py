"""Figures of measured patterns: gap to simulation, difficulty, temperature."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..prediction.style import (
    COLOURS,
    PAGE,
    beside,
    legend,
    model_colour,
    need,
    note,
    spans,
    styled,
    whiskers,
)
from ..structures.published import NAME
from ..studies.difficulty import QUALITY
from ..studies.gap import CLEAN, EVERYTHING, LIKE, MEASURED_ROW, PRIOR_ROW, SHUFFLED_ROW
from ..studies.temperature import RATIO
from .plot_scores import LABELS, confidence

_BLACK = COLOURS["black"]

_ENDS = (LIKE, MEASURED_ROW)


@styled
def gap(content: dict) -> Figure:
    """Top-1 as nuisances are added, and what each costs: result `gap`."""
    if content["note"]:
        return note(content["note"])
    parts = {
        name: part
        for name, part in content["parts"].items()
        if any("nuisances" in own for own in part["networks"].values())
    }
    need(parts, "a set with nuisances one at a time")
    name, part = next(iter(parts.items()))
    networks = part["networks"]
    fig, (left, right) = plt.subplots(1, 2, figsize=(PAGE, 4.0), width_ratios=(1.25, 1))
    for i, (title, own) in enumerate(networks.items()):
        shift = beside(i, len(networks), 0.22 * len(networks))
        _ladder(left, own, title, model_colour(title), shift)
        _costs(right, own["nuisances"], model_colour(title), 1.4 * shift)
    first = next(iter(networks.values()))
    for row, style in ((PRIOR_ROW, "--"), (SHUFFLED_ROW, ":")):
        left.axhline(first["rows"][row]["top1"], color=_BLACK, lw=0.8, ls=style, label=row)
    left.set(ylabel="top-1 (%)", ylim=(0, None))
    left.set_title("nuisances added one after the other", loc="left")
    right.axvline(0, color=_BLACK, lw=0.8)
    names = [entry["nuisance"] for entry in first["nuisances"]]
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    right.set_xlabel("change of information (bits a pattern)")
    right.set_title("what each changes", loc="left")
    for face, text in ((_BLACK, "as the last one"), ("white", "alone")):
        right.plot([], [], "ko", markerfacecolor=face, markersize=3.5, label=text)
    legend(fig, (left, right), "lower center", ncol=6)
    fig.suptitle(
        f"{name}, structure known: n = {part['n']} patterns of {part['families']} families, "
        f"{content['draws']} simulated for each; bars: 95 % over families",
        fontsize=8,
    )
    return fig


def _ladder(ax, own, title, colour, shift):
    """Top-1 of one network from clean to measured."""
    names = [CLEAN, *(f"+ {entry['nuisance']}" for entry in own["nuisances"]), *_ENDS]
    rungs = [own["rows"][CLEAN], *own["nuisances"], *(own["rows"][end] for end in _ENDS)]
    joined = len(rungs) - len(_ENDS)
    names[joined - 1] += f": {EVERYTHING}"
    x, value = np.arange(len(rungs)) + shift, [rung["top1"] for rung in rungs]
    ax.plot(x[:joined], value[:joined], color=colour)
    look = {"fmt": "o", "color": colour, "elinewidth": 0.8, "label": title}
    ax.errorbar(x, value, whiskers(rungs, "top1"), **look)
    ax.set_xticks(range(len(rungs)), names, rotation=50, ha="right", rotation_mode="anchor")
    ax.axvline(joined - 0.5, color=COLOURS["grey"], lw=0.5)


def _costs(ax, nuisances, colour, shift):
    """Change of bits by each nuisance, last of all and alone."""
    for kind, face, offset in (("last", colour, -0.07), ("alone", "white", 0.07)):
        rows, y = [entry[kind] for entry in nuisances], np.arange(len(nuisances)) + shift + offset
        look = {"fmt": "o", "color": colour, "mfc": face, "markersize": 3.5, "elinewidth": 0.8}
        ax.errorbar([row["bits"] for row in rows], y, xerr=whiskers(rows, "bits"), **look)


@styled
def fit_quality(content: dict) -> Figure:
    """Hits against the fit's Rwp; associations within groups; shares of difficulty explained.

    Parameters
    ----------
    content : dict
        "published" (`difficulty.published_study`, or None) and "measured"
        (`difficulty.measured_study`, or None).
    """
    published, measured = content["published"], content["measured"]
    if not (published or measured):
        return note("Neither the published cases nor measured patterns were at hand.")
    panels = 1 * bool(published) + 2 * bool(measured)
    fig, axes = plt.subplots(1, panels, figsize=(PAGE, 3.4), squeeze=False)
    axes, caption = list(axes[0]), []
    if published:
        _hits(axes.pop(0), published)
        n = published["rwp"]["top1"]["within classes"]["n_informative"]
        hits = f"{n} in groups with top-1 hits and misses"
        caption.append(f"{NAME}: n = {published['n']}, {hits}")
    if measured:
        _associations(axes[0], measured)
        _explained(axes[1], measured)
        legend(fig, axes, "upper right", ncol=3)
        of = f"{measured['n']} of {measured['families']} families"
        caption.append(f"{measured['subset']}: n = {of}")
    fig.supxlabel("; ".join([*caption, "bars: 95 % over families"]), fontsize=7)
    return fig


def _hits(ax, published):
    """Hits by severity of the fit, beside the constant, and in bins of Rwp."""
    rows = published["severity"]
    at = [100 * row["rwp"] for row in rows]
    for key, label, colour in (("top5", "top-5", COLOURS["grey"]), ("top1", "top-1", _BLACK)):
        bins = [(100 * row["rwp"], row[key]) for row in published["bins"]]
        ax.plot(*zip(*bins, strict=True), "o", color=colour, alpha=0.4, markersize=3)
        ax.errorbar(at, [row[key] for row in rows], whiskers(rows, key), fmt="s", color=colour)
        constant = [row[f"constant_{key}"] for row in rows]
        ax.plot(at, constant, "_", color=COLOURS["vermillion"], markersize=12)
        ax.plot([], [], "s", color=colour, label=label)
    ax.plot([], [], "_", color=COLOURS["vermillion"], markersize=10, label="constant")
    ax.plot([], [], "o", color=COLOURS["grey"], alpha=0.5, markersize=3, label="bins of Rwp")
    ax.set_title(f"hits of the published\nmodel, {NAME}", loc="left")
    ax.set(xlabel="Rwp of the fit (%)", ylabel="hits (%)", ylim=(0, 80))
    ax.legend(loc="upper right", ncol=2)


def _associations(ax, measured):
    """Rank correlations of difficulty within groups."""
    for i, (title, own) in enumerate(measured["predictors"].items()):
        every = {name: kinds["within classes"] for name, kinds in own["association"].items()}
        tests = {name: test for name, test in every.items() if test["rho"] is not None}
        y = np.arange(len(tests)) + 0.24 * (i - 0.5)
        error = whiskers(list(tests.values()), "rho")
        rho = [test["rho"] for test in tests.values()]
        ax.errorbar(rho, y, xerr=error, fmt="o", color=model_colour(title), label=title)
        ax.set_yticks(range(len(tests)), tests)
    ax.axvline(0, color=_BLACK, lw=0.8)
    ax.axhline(len(QUALITY) - 0.5, color=COLOURS["grey"], lw=0.5)
    ax.invert_yaxis()
    ax.set(xlabel="rank correlation", xlim=(-1, 1))
    ax.set_title("rank correlation with NLL,\nwithin extinction groups", loc="left")


def _explained(ax, measured):
    """Shares of the variance of difficulty explained, with their nulls."""
    for i, (title, own) in enumerate(measured["predictors"].items()):
        shares = own["explained"]
        y = np.arange(len(shares)) + 0.36 * (i - 0.5)
        value, null = ([100 * share[k] for share in shares.values()] for k in ("share", "null95"))
        ax.barh(y, value, height=0.34, color=model_colour(title))
        ax.plot(null, y, "|", color=_BLACK, markersize=7)
        ax.set_yticks(range(len(shares)), shares)
    ax.plot([], [], "|", color=_BLACK, label="95 % of permutations below")
    ax.axvline(0, color=_BLACK, lw=0.8)
    ax.invert_yaxis()
    ax.set_xlabel("variance explained (%)")
    ax.set_title("NLL predicted, families\nleft out of the fit", loc="left")


_LIMIT = 1.6  # where infinity is drawn, of the largest temperature


@styled
def calibration_study(content: dict, prior: dict | None = None) -> Figure:
    """Scores against temperature, to the limit of the prior alone, and reliability.

    Parameters
    ----------
    content : dict
        "subset", "chosen_on", "n", "models" (by predictor and way, `temperature.model`) and
        "published" (`temperature.published_study`, or None).
    prior : dict, optional
        Row of the prior alone in the headline, if it is of the same subset.
    """
    models = content["models"]
    need(models, "one predictor or more")
    fig, axes = plt.subplots(2, 3, figsize=(PAGE, 4.8))
    first, own = next(iter(models.items()))
    for ax, key in zip(axes[0], ("nll", "ece", "top1"), strict=True):
        for title, ways in models.items():
            _curve(ax, ways[RATIO], key, model_colour(title), title)
        if prior:
            ax.axhline(prior[key], color=_BLACK, lw=0.8, ls="--", label="prior only")
        ax.set_ylabel(LABELS[key])
    axes[0, 0].set_title("prior as a ratio", loc="left")
    ways, points, published = axes[1]
    for (way, one), style in zip(own.items(), ("-", "--", ":"), strict=True):
        _curve(ways, one, "nll", model_colour(first), way, style)
    ways.set_ylabel(LABELS["nll"])
    ways.set_title(first, loc="left")
    ways.set_ylim(top=1.2 * ways.get_ylim()[1])
    ways.legend(loc="upper left")
    tables = own[RATIO]["reliability"]
    shades = dict(zip(tables, (COLOURS["grey"], model_colour(first)), strict=True))
    confidence(points, tables, colours=shades)
    points.set_title(first, loc="left")
    points.legend(loc="upper left")
    _published(published, content["published"])
    for ax in (*axes[0], ways, published):
        ax.set(xscale="log", xlabel="temperature T")
        infinity = _LIMIT * own[RATIO]["curve"]["T"][-1]
        ax.set_xticks([0.5, 1, 2, 5, 10, 20, infinity], ["0.5", 1, 2, 5, 10, 20, "∞"])
        ax.minorticks_off()
    legend(fig, axes[0, :1], "upper center", ncol=6)
    fig.supxlabel(
        f"{content['subset']}: n = {content['n']} patterns of {content['n_families']} families. "
        f"Marks: T chosen on {content['chosen_on']}; bars: its 95 % interval over families.\n"
        "Squares: T = ∞, where the prior of minerals with its fitted weight is left",
        fontsize=7,
    )
    return fig


def _curve(ax, one, key, colour, label, style="-"):
    """One score against temperature, its limit, and the chosen temperature."""
    curve, chosen = one["curve"], one["chosen"]
    last = _LIMIT * curve["T"][-1]
    ax.plot(curve["T"], curve[key], style, color=colour, label=label)
    ax.plot(last, curve["limit"][key], "s", color=colour, markersize=3, clip_on=False)
    at = chosen["T"] or last
    error = spans([at], [[end or last for end in chosen["T_ci95"] or (at, at)]])
    value = one["rows"]["chosen"][key]
    ax.errorbar(at, value, xerr=error, fmt="o", color=colour, elinewidth=2)


def _published(ax, published):
    """NLL of the published predictions among their five, or a word that there are none."""
    ax.set_title(f"published, {NAME}", loc="left")
    if published is None:
        ax.text(0.5, 0.5, "not at hand", ha="center", transform=ax.transAxes)
        return
    last = _LIMIT * published["T"][-1]
    for (way, own), colour in zip(published["ways"].items(), (_BLACK, "#7F7F7F"), strict=False):
        ax.plot(published["T"], own["nll"], color=colour, label=way)
        ax.plot(last, own["limit"], "s", color=colour, markersize=3, clip_on=False)
    for (name, value), style in zip(published["nulls"].items(), ("--", ":"), strict=True):
        ax.axhline(value, color=_BLACK, lw=0.8, ls=style, label=name)
    ax.set_ylabel(f"NLL among the five, n = {published['inside']['n']}")
    ax.legend(loc="upper right", fontsize=6)
