"""Figures of attention: maps over patterns; heads at absences, and what an added peak does."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..prediction.style import COLOURS, PAGE, beside, legend, note, spans, styled

_LOW, _HIGH = -1.5, 1.5  # of the decimal logarithm of a weight over an even share

_APART, _LABELLED = 2.5, 60.0  # degrees between indices that are written, and up to where

_KINDS = {
    "absence": ("vermillion", "at a diagnostic absence"),
    "empty": ("grey", "at an empty position"),
    "line": ("blue", "upon an allowed reflection"),
}


_NOTHING = "No pattern had a diagnostic absence to test."


@styled
def attention_maps(content: dict) -> Figure:
    """Attention over a few patterns with ticks of their reflections: result `attention`."""
    maps = content["examples"]
    if not maps:
        return note(_NOTHING)
    fig = plt.figure(figsize=(PAGE, 2.4 * len(maps)))
    for figure, example in zip(np.atleast_1d(fig.subfigures(len(maps), 1)), maps, strict=True):
        _map(figure, example)
    return fig


@styled
def attention(content: dict) -> Figure:
    """Heads at absences and what an added peak does, a row a network and set: `attention`."""
    tests = content["tests"]
    if not tests:
        return note(_NOTHING)
    size = PAGE, 1.95 * len(tests) + 0.8
    fig, rows = plt.subplots(len(tests), 2, figsize=size, squeeze=False, width_ratios=(1.7, 1))
    for (left, right), test in zip(rows, tests, strict=True):
        _heads(left, test)
        _added_peaks(right, test)
    for row in rows[:-1]:
        for ax in row:
            ax.set_xlabel("")
    legend(fig, rows[0], "upper center", ncols=3)
    return fig


def _map(figure, example):
    """A pattern over the attention that its tokens get."""
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1.5, 1))
    angles = example["start"] + example["step"] * (np.arange(len(example["intensity"])) + 0.5)
    upper.plot(angles, example["intensity"], color="black", lw=0.6)
    for key, colour, depth, label in (
        ("allowed", "blue", -0.05, "allowed"),
        ("absent", "vermillion", -0.16, "diagnostic absence"),
    ):
        marks = {"color": COLOURS[colour], "ms": 5, "mew": 0.8, "label": label}
        upper.plot(example[key], [depth] * len(example[key]), "|", **marks)
    last = -np.inf
    for angle, hkl in zip(example["absent"], example["hkl"], strict=True):
        if angle - last > _APART and angle < _LABELLED:
            name, last = _indices(hkl), angle
            style = {"fontsize": 7, "color": COLOURS["vermillion"], "rotation": 90}
            upper.text(angle, -0.3, name, ha="center", va="top", **style)
    upper.set(ylim=(-0.95, 1.25), ylabel="√intensity", yticks=(0, 0.5, 1))
    upper.set_title(f"{example['title']} ({example['subset']})", loc="left")
    upper.legend(loc="upper right", ncols=2)
    weight = np.array([example["rollout"], *example["blocks"]])
    edges = example["first_edge"] + example["width"] * np.arange(weight.shape[1] + 1)
    shown = np.log10(np.maximum(weight[::-1], 1e-3))
    look = {"cmap": "RdBu_r", "vmin": _LOW, "vmax": _HIGH, "rasterized": True}
    image = lower.pcolormesh(edges, np.arange(len(weight) + 1), shown, **look)
    names = ["rollout", *(f"block {k}" for k in range(1, len(weight)))]
    lower.set_yticks(np.arange(len(weight)) + 0.5, names[::-1], fontsize=7)
    lower.set(xlabel="2θ (°, Cu Kα1)", xlim=(5, 90))
    bar = figure.colorbar(image, ax=[upper, lower], fraction=0.03, pad=0.01)
    bar.set_label("weight / even share", fontsize=7)
    bar.set_ticks([-1, 0, 1], labels=["0.1", "1", "10"])


def _indices(hkl):
    """As crystallographers write them, with spaces only where an index has two digits."""
    return ("" if max(map(abs, hkl)) < 10 else " ").join(map(str, hkl)).replace("-", "−")


def _heads(ax, test):
    """Log-ratio of the class token's weight at absences to empty positions, a point a head."""
    own = test["heads"]
    x, values = np.arange(len(own)), [row["absences"] for row in own]
    style = {"color": COLOURS["vermillion"], "marker": "o", "ls": "none", "ms": 3}
    error = spans(values, [row["absences_ci95"] for row in own])
    ax.errorbar(x, values, error, elinewidth=0.8, label="diagnostic absences", **style)
    for at, row in zip(x, own, strict=True):
        if row["absences_p"] < 0.05:
            ax.text(at, row["absences_ci95"][1], "*", ha="center", va="bottom")
    widest = max(run["largest"] for run in test["untrained"])
    band = {"color": COLOURS["sky"], "alpha": 0.3, "lw": 0, "label": "untrained networks, largest"}
    ax.axhspan(-widest, widest, **band)
    ax.axhline(0, color="black", lw=0.6)
    ax.set_xticks(x, [f"{row['block']}.{row['head']}" for row in own], rotation=90, fontsize=7)
    ax.set(xlabel="block.head", ylabel="ln(weight / empty)")
    ax.margins(y=0.15)
    counts = f"{test['n_absences']} absences, {test['n']} patterns, {test['n_families']} families"
    ax.set_title(f"{test['network']}: {test['subset']}\n{counts}", loc="left", fontsize=7.5)


def _added_peaks(ax, test):
    """Change of the log-odds of the true group by a peak at three kinds of positions."""
    rows, null = test["intervention"], test["intervention_untrained"]
    x = np.arange(len(rows))
    for k, (kind, (colour, label)) in enumerate(_KINDS.items()):
        values = [row["change"][kind] for row in rows]
        error, at = (
            spans(values, [row["change_ci95"][kind] for row in rows]),
            x + beside(k, 3, 0.81),
        )
        ax.bar(at, values, 0.25, color=COLOURS[colour], label=label,
               yerr=error, error_kw={"lw": 0.8})  # fmt: skip
        still = [row["change"][kind] for row in null]
        name = "untrained network" if k == 2 else None
        ax.plot(at, still, "_", color="black", ms=7, label=name)
    ax.axhline(0, color="black", lw=0.6)
    ax.set_xticks(x, [f"{100 * row['height']:g} %" for row in rows])
    ax.set(xlabel="height of the added peak", ylabel="change of ln odds")
    counts = f"{rows[0]['n']} absences, {rows[0]['n_families']} families"
    ax.set_title(f"odds of the true group\n{counts}", loc="left", fontsize=7.5)
