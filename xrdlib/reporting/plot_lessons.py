"""Figures of the notebooks that explain: absences, a pattern step by step, what a setting does."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..base.patterns import GRID
from ..prediction.style import COLOURS, PAGE, need, styled, typeset
from ..symmetry import groups
from ..symmetry.conditions import conditions

_STEPS = {
    "peaks": "peaks: each reflection as wide as instrument and grains make it",
    "texture": "texture: platelets lie flat, 00l grow and hk0 shrink",
    "background": "background: air, sample holder, what is amorphous",
    "noise": "noise: photons are counted",
    "subtracted": "background subtracted, as in many collections",
}

_ABSENT, _ALLOWED = COLOURS["vermillion"], COLOURS["blue"]


@styled
def absences(cases: list[dict]) -> Figure:
    """Patterns above the places of all reflections of their lattices, absent ones named.

    Parameters
    ----------
    cases : list of dict
        As from `simulation.worked_example.absences`.
    """
    need(cases, "patterns with the places of their reflections")
    fig, axes = plt.subplots(
        len(cases), 1, figsize=(PAGE, 1.6 * len(cases)), sharex=True, squeeze=False
    )
    for ax, case in zip(axes[:, 0], cases, strict=True):
        ax.plot(GRID.two_theta, np.sqrt(case["pattern"]), color=COLOURS["black"], lw=0.8)
        for kind, colour, label in (
            (False, _ALLOWED, "allowed"),
            (True, _ABSENT, "absent by symmetry"),
        ):
            own = case["places"][case["places"]["absent"] == kind]
            # A line that no reflection of this kind stands in keeps its place in the legend.
            ax.vlines(own["two_theta"], -2.2, -0.8, color=colour, lw=1.2, label=label)
            if kind:
                for angle, hkl in own[["two_theta", "hkl"]].itertuples(index=False):
                    ax.text(angle, 0.9, hkl, color=colour, ha="center", va="bottom", rotation=90,
                            fontsize=7)  # fmt: skip
        number = case["space_group"]
        symbol = typeset(groups.symbols()[groups.group_of_space_group()[number] - 1])
        rules = "; ".join(map(str, conditions(number))) or "none"
        ax.set_title(f"{case['title']}: {symbol}", loc="left")
        ax.set_title(f"reflection conditions: {rules}", loc="right", fontsize=7)
        ax.set(yticks=[], ylim=(-2.6, 10.6), xlim=(GRID.start, GRID.stop))
    handles, labels = axes[-1, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper right", ncol=2)
    fig.supylabel("√intensity", fontsize=8)
    axes[-1, 0].set_xlabel("2θ (degrees, Cu Kα1)")
    return fig


@styled
def steps(found: dict) -> Figure:
    """One pattern after each step of its making.

    Parameters
    ----------
    found : dict
        As from `simulation.worked_example.steps`.
    """
    fig, axes = plt.subplots(1 + len(_STEPS), 1, figsize=(PAGE, 6.6), sharex=True)
    places = found["reflections"].groupby("two_theta", as_index=False)
    known = places.agg(hkl=("hkl", "last"), intensity=("intensity", "sum"))
    known["intensity"] *= 100 / known["intensity"].max()
    axes[0].vlines(known["two_theta"], 0, known["intensity"], color=COLOURS["black"], lw=1.0)
    axes[0].set_title("reflections: multiplicity · |F|² · Lorentz-polarisation factor", loc="left")
    named = known[known["intensity"] > 4]
    for angle, height, hkl in named[["two_theta", "intensity", "hkl"]].itertuples(index=False):
        axes[0].text(angle + 0.4, max(height, 22), hkl.replace(" ", ""), fontsize=7, va="top")
    for ax, (name, title) in zip(axes[1:], _STEPS.items(), strict=True):
        ax.plot(GRID.two_theta, found[name], color=COLOURS["black"], lw=0.7)
        ax.set_title(title, loc="left")
    for ax in axes:
        ax.set(ylim=(0, 108), yticks=[0, 50, 100], xlim=(GRID.start, GRID.stop))
    fig.supylabel("intensity, the strongest 100", fontsize=8)
    axes[-1].set_xlabel("2θ (degrees, Cu Kα1)")
    return fig


@styled
def texture(random: ArrayLike, textured: ArrayLike, title: str) -> Figure:
    """A pattern with preferred orientation before that of a random powder; both (GRID.size,)."""
    fig, ax = plt.subplots(figsize=(PAGE, 2.2))
    ax.fill_between(GRID.two_theta, random, color=COLOURS["grey"], alpha=0.5, lw=0,
                    label="random powder")  # fmt: skip
    ax.plot(GRID.two_theta, textured, color=COLOURS["vermillion"], lw=0.9, label="textured")
    ax.set(xlabel="2θ (degrees, Cu Kα1)", ylabel="intensity", yticks=[], ylim=(0, 108))
    ax.set_xlim(GRID.start, GRID.stop)
    ax.set_title(title, loc="left")
    ax.legend(loc="upper right", ncol=2)
    return fig


@styled
def weighed(ranking: pd.DataFrame, curve: dict, here: tuple[float, float], title: str) -> Figure:
    """One pattern's answer, and how likely all true groups are, at a setting of calibration.

    Parameters
    ----------
    ranking : pandas.DataFrame
        Rows of groups with "symbol", "probability" and "true" (bool), the most probable first.
    curve : dict
        "temperature" and "nll", lists, and "limit", the NLL of the prior ratio alone.
    here : tuple of 2 floats
        The temperature that was chosen and its NLL.
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(PAGE, 2.5), width_ratios=(1.25, 1))
    place = np.arange(len(ranking))[::-1]
    colours = [COLOURS["green"] if true else COLOURS["grey"] for true in ranking["true"]]
    left.barh(place, 100 * ranking["probability"], color=colours)
    left.set_yticks(place, [typeset(symbol) for symbol in ranking["symbol"]])
    left.set(xlim=(0, 100), xlabel="probability (%); green: the true group")
    left.set_title(title, loc="left")
    right.plot(curve["temperature"], curve["nll"], color=COLOURS["vermillion"])
    right.axhline(curve["limit"], color=COLOURS["black"], ls="--", lw=1, label="prior alone")
    right.plot(*here, "o", color=COLOURS["black"], label="this setting")
    right.set(xscale="log", xlabel="temperature T", ylabel="NLL of all patterns (nats)")
    right.set_ylim(top=min(max(curve["nll"]), 2 * curve["limit"]) * 1.02)
    right.legend()
    return fig
