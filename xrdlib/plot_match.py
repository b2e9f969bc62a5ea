"""Figures of a pattern above the lines of a known structure, and above what a network reads."""

import matplotlib.pyplot as plt
import numpy as np

from .groups import symbols
from .plot_evidence import hkl_name, thinned
from .plot_style import COLOURS, PAGE, styled
from .plot_symmetry import typeset

_LEAST = 0.04  # height at which the weakest sticks can still be seen
_LONGEST = 60  # letters of a structure's name
_BIN = 0.3  # degrees; attributions are added up over about the width of a line
_FINEST = 1200  # ticks closer than this part of the axis are drawn as one
_NAMED, _WORTH = 12, 0.1  # bars with hkl; of the longest bar's length, below which none gets it


@styled
def match(two_theta, intensity, found):
    """A measured pattern over the calculated lines of the most similar known structure.

    Parameters
    ----------
    two_theta, intensity : array_like, (m,)
        Degrees and any linear scale.
    found : matched.Match

    Returns
    -------
    matplotlib.figure.Figure
        Peaks that the structure does not explain are marked by triangles.
    """
    fig, (ax, sticks) = plt.subplots(
        2, 1, figsize=(PAGE, 2.9), sharex=True, height_ratios=[2.2, 0.8]
    )
    x, y = np.asarray(two_theta, dtype=float), np.asarray(intensity, dtype=float)
    ax.plot(*thinned(x, y), color=COLOURS["black"], lw=0.7)
    top = y.max()
    strange = found.peaks[~found.explained]
    order = np.argsort(x)
    height = np.interp(strange, x[order], y[order])
    ax.plot(strange, height + 0.05 * top, "v", color=COLOURS["vermillion"], ms=4)
    ax.set(ylabel="intensity", xlim=(x.min(), x.max()), ylim=(min(0.0, y.min()), 1.1 * top))
    ax.yaxis.set_major_locator(plt.MaxNLocator(4))
    tall = np.maximum(found.intensity, _LEAST)
    sticks.vlines(found.two_theta, 0, tall, color=COLOURS["blue"], lw=0.8)
    name = found.name if len(found.name) <= _LONGEST else found.name[: _LONGEST - 3] + "..."
    about = f"{typeset(symbols()[found.group - 1])}, similarity {found.similarity:.2f}"
    # A dollar sign would begin a formula.
    name = name.replace("$", r"\$")
    sticks.set_title(f"calculated: {name}, {about}", loc="left", fontsize=7, pad=2)
    sticks.set(xlabel=r"2$\theta$ (degrees)", ylim=(0, 1.05), yticks=[])
    sticks.spines["left"].set_visible(False)
    return fig


@styled
def attribution(two_theta, intensity, found, cell=None):
    """What each part of a pattern adds to a network's log-odds of two groups.

    Parameters
    ----------
    two_theta, intensity : array_like, (m,)
        Degrees and any linear scale.
    found : attribution.Attribution
        Its values are added up over steps of 0.3 degrees.
    cell : evidence.Evidence, optional
        A row of ticks for those of the two groups that are among its candidates, where they allow
        a line; hkl at the longest bars that only one line lies below.

    Returns
    -------
    matplotlib.figure.Figure
    """
    sides = ((found.first, "blue"), (found.second, "vermillion"))
    allowed = {c.label: c.state == 1 for c in (cell.candidates if cell else ())}
    rows = [(label, colour) for label, colour in sides if label in allowed]
    heights = [1.5, 1.6] + ([0.2 * len(rows) + 0.05] if rows else [])
    fig, axes = plt.subplots(
        len(heights), 1, figsize=(PAGE, 1.25 * sum(heights)), sharex=True, height_ratios=heights
    )
    x, y = np.asarray(two_theta, dtype=float), np.asarray(intensity, dtype=float)
    first, last = x.min(), x.max()
    axes[0].plot(*thinned(x, y), color=COLOURS["black"], lw=0.7)
    axes[0].set(ylabel="intensity", xlim=(first, last), ylim=(min(0.0, y.min()), 1.08 * y.max()))
    axes[0].yaxis.set_major_locator(plt.MaxNLocator(4))
    edges = np.arange(first - _BIN, last + 2 * _BIN, _BIN)  # all of them, so that they add up
    bars, _ = np.histogram(found.two_theta, edges, weights=found.values)
    centres = (edges[1:] + edges[:-1]) / 2
    for sign, (label, colour), side in ((1, sides[0], "left"), (-1, sides[1], "right")):
        own = np.where(sign * bars > 0, bars, 0)
        axes[1].stairs(own, edges, fill=True, color=COLOURS[colour], lw=0)
        axes[1].set_title(
            f"{'up' if sign > 0 else 'down'}: for {typeset(symbols()[label - 1])} ({label})",
            loc=side, color=COLOURS[colour], fontsize=7, pad=2,
        )  # fmt: skip
    axes[1].axhline(0, color=COLOURS["grey"], lw=0.5)
    reach = 1.4 * max(np.abs(bars).max(), 1e-12)
    axes[1].set(ylabel="log-odds added", ylim=(-reach, reach))
    if rows:
        _ticks(axes[2], rows, allowed, cell.two_theta)
        either = np.any([allowed[label] for label, _ in rows], axis=0)
        _names(axes[1], cell.hkl[either], cell.two_theta[either], centres, bars)
    axes[-1].set_xlabel(r"2$\theta$ (degrees)")
    return fig


def _ticks(ax, rows, allowed, two_theta):
    """A row of ticks for each group."""
    for row, (label, colour) in enumerate(rows):
        at = two_theta[allowed[label]]
        _, kept = np.unique(np.rint(at * _FINEST / np.ptp(two_theta)), return_index=True)
        at = at[kept]
        ax.vlines(at, -row - 0.4, -row + 0.4, color=COLOURS[colour], lw=0.6)
    ax.set_yticks(-np.arange(len(rows)), [str(label) for label, _ in rows])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_ylim(-len(rows) + 0.5, 0.5)


def _names(ax, hkl, at, centres, bars):
    """hkl at the longest bars, where it is clear which line they belong to."""
    span, named = centres[-1] - centres[0], []
    for k in np.argsort(-np.abs(bars), kind="stable"):
        below = np.flatnonzero(np.abs(at - centres[k]) < _BIN)
        if np.abs(bars[k]) <= _WORTH * np.abs(bars).max() or len(named) == _NAMED:
            break
        if len(below) == 1 and all(abs(centres[k] - other) > span / 50 for other in named):
            named.append(centres[k])
            ax.annotate(
                hkl_name(hkl[below[0]]), (centres[k], bars[k]), (0, 2 * np.sign(bars[k])),
                textcoords="offset points", rotation=90, fontsize=6, ha="center",
                va="bottom" if bars[k] > 0 else "top",
            )  # fmt: skip
