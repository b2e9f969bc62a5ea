"""Figures of trainings that are compared, and of the positional encoding."""

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..prediction.style import (
    COLOURS,
    COLUMN,
    CYCLE,
    MARKERS,
    PAGE,
    beside,
    legend,
    model_colour,
    need,
    note,
    spans,
    styled,
    tint,
    whiskers,
)
from .plot_scores import LABELS

_SUBSETS = dict(zip(("rruff-test", "amcsd-test", "random-crystals"), CYCLE, strict=False))

_SCORES = ("top1", "top5", "bits")


@styled
def scaling(content: dict) -> Figure:
    """Accuracy against patterns and time, NLL with its power law, learning curves: `scaling`."""
    need(content["rows"], "a row for each training")
    fig, axes = plt.subplots(2, 2, figsize=(PAGE, 4.8))
    (accuracy, time), (power, course) = axes
    panels = (accuracy, "patterns", "top1"), (time, "seconds", "top1"), (power, "patterns", "nll")
    models = list(dict.fromkeys(row["model"] for row in content["rows"]))
    for model, marker in zip(models, MARKERS, strict=False):
        colour = model_colour(model)
        rows = [row for row in content["rows"] if row["model"] == model]
        sizes = sorted({row["patterns"] for row in rows})
        look = {"color": colour, "marker": marker, "label": model}
        for ax, *keys in panels:
            ax.plot(*([r[key] for r in rows] for key in keys), ls="", alpha=0.5, **look)
            means = [
                [np.mean([r[key] for r in rows if r["patterns"] == size]) for size in sizes]
                for key in keys
            ]
            ax.plot(*means, color=colour)
        fit = content["fits"][model]
        ends = np.array([sizes[0], sizes[-1]])
        power.plot(ends, fit["a"] * ends ** -fit["b"], color=colour, ls=":")
        for curve in filter(None, (row["curve"] for row in rows)):
            points = ([r[key] for r in curve] for key in ("patterns", "nll"))
            course.plot(*points, color=colour, alpha=0.7)
    for ax, key in ((accuracy, "top1"), (time, "top1"), (power, "nll"), (course, "nll")):
        line = {"color": COLOURS["black"], "ls": "--", "lw": 1, "label": "prior only"}
        ax.axhline(content["null"][key], **line)
    for ax in (accuracy, time, power):
        ax.set_xscale("log")
    power.set_yscale("log")
    power.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    power.yaxis.set_minor_formatter(lambda value, _: f"{value:.1f}")
    accuracy.set(xlabel="training patterns", ylabel=LABELS["top1"], ylim=(0, None))
    time.set(xlabel="training time (s)", ylabel=LABELS["top1"], ylim=(0, None))
    power.set(xlabel="training patterns (dotted: power law)", ylabel=LABELS["nll"])
    course.set(xlabel="patterns seen", ylabel="NLL on the way")
    time.legend(loc="best")
    what = f"balanced patterns of reflections, n = {content['n']}"
    fig.suptitle(f"{what}; every dot is one training", fontsize=8)
    return fig


_FROM_BASE = (
    "change from the model as it is (all parts, stage 2 alone); 95 % over families and seeds"
)


def _tables(content):
    """Rows of each set by variant, for those sets that have a colour."""
    tables = {name: rows for name, rows in content["tables"].items() if name in _SUBSETS}
    need(tables, "a table of trainings")
    return {name: {row["variant"]: row for row in rows} for name, rows in tables.items()}


@styled
def ablations(
    content: dict, variants: Iterable[str] | None = None, title: str = _FROM_BASE
) -> Figure:
    """What each change does to the bits over the prior, a row a variant, a colour a set.

    Parameters
    ----------
    content : dict
        Result `ablations`: "tables" by subset, "base".
    variants : iterable of str, optional
        All but the base by default.
    """
    tables = _tables(content)
    first = next(iter(tables.values()))
    names = list(variants or (name for name in first if name != content["base"]))
    fig, axes = plt.subplots(1, 2, figsize=(PAGE, 0.9 + 0.27 * len(names)), sharey=True)
    for k, (subset, table) in enumerate(tables.items()):
        rows = [table[name] for name in names]
        y = np.arange(len(names)) + 0.5 * (k / max(1, len(tables) - 1) - 0.5)
        look = {"fmt": MARKERS[k], "color": _SUBSETS[subset], "capsize": 2}
        for ax, key in zip(axes, ("bits_change", "top1_change"), strict=True):
            # Where no two trainings left the plateau there is no difference to draw.
            compared = [i for i, row in enumerate(rows) if row[key] is not None]
            own, label = [rows[i] for i in compared], f"{subset}, n = {rows[0]['n']}"
            values = [row[key] for row in own]
            error = whiskers(own, key) if own else None
            ax.errorbar(values, y[compared], xerr=error, label=label, **look)
    axes[0].set_yticks(np.arange(len(names)), names)
    axes[0].invert_yaxis()
    axes[0].set_xlabel("change of bits over prior")
    axes[1].set_xlabel("change of top-1 (percentage points)")
    for ax in axes:
        ax.axvline(0, color=COLOURS["black"], lw=0.8)
    legend(fig, axes[:1], "lower center", ncols=3)
    fig.suptitle(title, fontsize=8)
    return fig


def _grouped(names, rotation):
    """A figure with a panel a score, in which a few names stand on the horizontal axis."""
    fig, axes = plt.subplots(1, len(_SCORES), figsize=(PAGE, 2.7))
    for ax, score in zip(axes, _SCORES, strict=True):
        ax.set_xticks(np.arange(len(names)), names, rotation=rotation, ha="right")
        ax.axhline(0, color=COLOURS["black"], lw=0.8)
        ax.set_ylabel(LABELS[score])
    return fig, axes


@styled
def levels(content: dict, variants: list[str], labels: list[str] | None = None) -> Figure:
    """Scores of a few variants of result `ablations` on every set, each seed a dot."""
    tables = _tables(content)
    fig, axes = _grouped(labels or variants, 20)
    # As many seeds of each, or their means could not be compared.
    seeds = min(next(iter(tables.values()))[name]["seeds"] for name in variants)
    for k, (subset, table) in enumerate(tables.items()):
        x = np.arange(len(variants)) + beside(k, len(tables), 0.24 * len(tables))
        look = {"color": _SUBSETS[subset], "label": f"{subset}, n = {table[variants[0]]['n']}"}
        for ax, score in zip(axes, _SCORES, strict=True):
            each = np.array([table[name][f"{score}_seeds"][:seeds] for name in variants])
            ax.bar(x, each.mean(axis=1), width=0.22, **look)
            ax.plot(x, each, ".", color=COLOURS["black"], ms=3)
            null = np.full(len(x), content["nulls"][subset][score])
            ax.hlines(null, x - 0.12, x + 0.12, color=COLOURS["black"], lw=1)
    legend(fig, axes[:1], "lower center", ncols=3)
    fig.suptitle(f"bars: mean over {seeds} seeds; dots: each seed; lines: prior only", fontsize=8)
    return fig


def positional(content: dict) -> Figure:
    """The two ways of telling the model where a reflection lies, with and without, `levels`."""
    names = ["as it is", "no coordinate channel", "no physics position", "neither"]
    return levels(content, names, ["both", "position only", "channel only", "neither"])


@styled
def space_group_control(content: dict) -> Figure:
    """Trained on 230 space groups and collapsed, beside trained on 99 groups: result `scaling`."""
    rows = content.get("targets")
    if not rows:
        return note("No network was trained on space groups.")
    direct, control = dict.fromkeys(row["model"] for row in rows)
    fig, ax = plt.subplots(figsize=(COLUMN, 2.7))
    bars = (
        ("99 groups", direct, "top1"),
        ("230 space groups, collapsed", control, "top1"),
        ("the same, groups weighed equally", control, "uniform_top1"),
    )
    for (label, model, key), colour, marker in zip(bars, CYCLE, MARKERS, strict=False):
        own = [row for row in rows if row["model"] == model]
        sizes = sorted({row["patterns"] for row in own})
        means = [np.mean([r[key] for r in own if r["patterns"] == size]) for size in sizes]
        ax.plot(sizes, means, color=colour, label=label)
        every = ([row["patterns"] for row in own], [row[key] for row in own])
        ax.plot(*every, ls="", color=colour, marker=marker, alpha=0.5)
    ax.axhline(content["null"]["top1"], color=COLOURS["black"], ls="--", lw=1, label="prior only")
    ax.set(xscale="log", xlabel="training patterns", ylabel=LABELS["top1"], ylim=(0, None))
    ax.legend(fontsize=6.5)
    fig.suptitle(f"{direct}, n = {content['n']}; every mark is one training", fontsize=8)
    return fig


@styled
def curriculum_study(content: dict) -> Figure:
    """Effects of texture in stage 2, prior and temperature, mean over seeds: result `ablations`."""
    need(content["decoded"], "a table of decodings")
    subset, rows = next(iter(content["decoded"].items()))
    variants, ways = (list(dict.fromkeys(r[k] for r in rows)) for k in ("variant", "decoding"))
    fig, axes = _grouped(variants, 25)
    # One model: shades of its colour, and not those of sets or of other models.
    shades = [tint(model_colour("stage 2"), s) for s in np.linspace(0.25, 1, len(ways))]
    for ax, score in zip(axes, _SCORES, strict=True):
        for k, way in enumerate(ways):
            values = {row["variant"]: row[score] for row in rows if row["decoding"] == way}
            x = np.arange(len(variants)) + beside(k, len(ways), 0.2 * len(ways))
            ax.bar(x, [values[v] for v in variants], width=0.18, color=shades[k], label=way)
            for row in (row for row in rows if row["decoding"] == way):
                dots, at = row.get(f"{score}_seeds", []), x[variants.index(row["variant"])]
                ax.plot([at] * len(dots), dots, ".", color=COLOURS["black"], ms=3)
    legend(fig, axes[:1], "lower center", ncols=4)
    each = "; dots: each seed" if "bits_seeds" in rows[0] else ""
    fig.suptitle(f"{subset}, n = {rows[0]['n']}; bars: mean over seeds{each}", fontsize=8)
    return fig


_TITLES = {
    "two_theta": "2θ",
    "sin2_theta": "sin²θ, proportional to 1/d²",
    "d": "d for Cu Kα1",
}

_NULLS = {
    "as built": ("grey", "s", "-"),
    "no physics embedding": ("orange", "^", ":"),
    "no coordinate channel": ("green", "v", ":"),
    "neither": ("vermillion", "D", "--"),
}


@styled
def positional_probe(content: dict) -> Figure:
    """R2 of each target after each layer, trained against untrained, a row a network."""
    networks = content["networks"]
    need(networks, "at least one network")
    size = PAGE, 0.6 + 2.3 * len(networks)
    fig, axes = plt.subplots(len(networks), len(_TITLES), figsize=size, squeeze=False)
    for line, network in zip(axes, networks, strict=True):
        layers = list(dict.fromkeys(row["place"] for row in network["trained"]))
        runs = [
            (network["untrained"][name], "r2_range", f"untrained, {name}", look)
            for name, look in _NULLS.items()
        ]
        runs.append((network["trained"], "r2_ci95", "trained", ("blue", "o", "-")))
        for ax, (target, title) in zip(line, _TITLES.items(), strict=True):
            for every, ends, label, (colour, marker, ls) in runs:
                rows = [r for r in every if r["target"] == target and r["place"] in layers]
                values = [row["r2"] for row in rows]
                error = spans(values, [row[ends] for row in rows])
                look = {"color": COLOURS[colour], "marker": marker, "ls": ls, "label": label}
                x = [layers.index(row["place"]) for row in rows]
                ax.errorbar(x, values, error, elinewidth=0.8, capsize=1.5, **look)
            ax.axhline(0, color="black", lw=0.6)
            ax.set_xticks(range(len(layers)), layers, rotation=40, ha="right")
            ax.set(ylim=(-0.45, 1.08), title=f"{network['network']}: {title}")
        line[0].set_ylabel("R² on tokens held back")
    legend(fig, axes[0, :1], "lower center", ncols=3)
    first = networks[0]
    seeds, few = (first["untrained"][name][0]["seeds"] for name in ("as built", "neither"))
    fig.suptitle(
        f"Linear probes on {content['subset']}, n = {first['patterns']} patterns\nbars: trained, "
        f"95 % over runs of tokens; untrained, range over {seeds} seeds ({few} of a variant)",
        fontsize=8,
    )
    return fig
