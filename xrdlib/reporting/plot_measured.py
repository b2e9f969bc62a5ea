"""Figures of measured patterns: gap to simulation, difficulty, temperature."""

import matplotlib.pyplot as plt
import numpy as np

from ..prediction.style import COLOURS, CYCLE, PAGE, interval, need, note, styled
from ..structures.published import NAME
from ..studies.difficulty import QUALITY
from ..studies.gap import CLEAN, EVERYTHING, LIKE, MEASURED_ROW, PRIOR_ROW, SHUFFLED_ROW
from ..studies.temperature import RATIO

_ENDS = (LIKE, MEASURED_ROW)


@styled
def gap(found):
    """Top-1 as nuisances are added, and what each costs.

    Parameters
    ----------
    found : dict
        As `gap.study` makes it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if found["note"]:
        return note(found["note"])
    name, part = next(
        (item for item in found["parts"].items() if _has_ladder(item[1])), (None, None)
    )
    need([name] if name else [], "a set with nuisances one at a time")
    networks = part["networks"]
    fig, (left, right) = plt.subplots(1, 2, figsize=(PAGE, 4.0), width_ratios=(1.25, 1))
    for i, (title, own) in enumerate(networks.items()):
        shift = 0.22 * (i - (len(networks) - 1) / 2)
        _ladder(left, own, title, CYCLE[i], shift)
        _costs(right, own["nuisances"], title, CYCLE[i], 1.4 * shift)
    first = next(iter(networks.values()))["rows"]
    for row, style in ((PRIOR_ROW, "--"), (SHUFFLED_ROW, ":")):
        left.axhline(first[row]["top1"], color=COLOURS["black"], lw=0.8, ls=style, label=row)
    left.set(ylabel="top-1 (%)", ylim=(0, None))
    left.set_title("nuisances added one after the other", loc="left")
    right.axvline(0, color=COLOURS["black"], lw=0.8)
    names = [entry["nuisance"] for entry in _nuisances(networks)]
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    right.set_xlabel("change of information (bits a pattern)")
    right.set_title("what each changes", loc="left")
    for face, text in ((COLOURS["black"], "as the last one"), ("white", "alone")):
        right.plot([], [], "ko", markerfacecolor=face, markersize=3.5, label=text)
    handles, labels = left.get_legend_handles_labels()
    more = right.get_legend_handles_labels()
    fig.legend(handles + more[0], labels + more[1], loc="outside lower center", ncol=6)
    fig.suptitle(
        f"{name}, structure known: n = {part['n']} patterns of {part['families']} families, "
        f"{found['draws']} simulated for each; bars: 95 % over families",
        fontsize=8,
    )
    return fig


def _nuisances(networks):
    """Rows of the nuisances, in the order in which they were added."""
    return next(iter(networks.values()))["nuisances"]


def _has_ladder(part):
    return any("nuisances" in own for own in part["networks"].values())


def _ladder(ax, own, title, colour, shift):
    """Top-1 of one network from clean to measured."""
    rungs = [(CLEAN, own["rows"][CLEAN])]
    rungs += [(f"+ {entry['nuisance']}", entry) for entry in own["nuisances"]]
    rungs[-1] = (f"{rungs[-1][0]}: {EVERYTHING}", rungs[-1][1])
    rungs += [(which, own["rows"][which]) for which in _ENDS]
    x = np.arange(len(rungs)) + shift
    value = [entry["top1"] for _, entry in rungs]
    error = np.array([interval(entry, "top1") for _, entry in rungs]).T
    joined = len(rungs) - len(_ENDS)
    ax.plot(x[:joined], value[:joined], color=colour)
    ax.errorbar(x, value, error, fmt="o", color=colour, elinewidth=0.8, label=title)
    ax.set_xticks(
        range(len(rungs)),
        [name for name, _ in rungs],
        rotation=50,
        ha="right",
        rotation_mode="anchor",
    )
    ax.axvline(joined - 0.5, color=COLOURS["grey"], lw=0.5)


def _costs(ax, nuisances, title, colour, shift):
    """Change of bits by each nuisance, last of all and alone."""
    for kind, face, offset in (("last", colour, -0.07), ("alone", "white", 0.07)):
        value = [entry[kind]["bits"] for entry in nuisances]
        error = np.array([interval(entry[kind], "bits") for entry in nuisances]).T
        y = np.arange(len(nuisances)) + shift + offset
        ax.errorbar(
            value,
            y,
            xerr=error,
            fmt="o",
            color=colour,
            markerfacecolor=face,
            markersize=3.5,
            elinewidth=0.8,
        )


@styled
def fit_quality(found):
    """Hits against the fit's Rwp; associations within groups; shares of difficulty explained.

    Parameters
    ----------
    found : dict
        "published" (`difficulty.published_study`, or None) and "measured"
        (`difficulty.measured_study`, or None).

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


_LIMIT = 1.6  # where infinity is drawn, of the largest temperature


@styled
def calibration_study(found):
    """Scores against temperature, to the limit of the prior alone, and reliability.

    Parameters
    ----------
    found : dict
        "subset", "chosen_on", "n", "models" (by predictor and way, `temperature.model`) and
        "published" (`temperature.study_published`, or None).

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
