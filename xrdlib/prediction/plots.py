"""Figures of one pattern: decisive reflections of a cell, and the most similar structure."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..identification.cell_evidence import Evidence
from ..symmetry.groups import symbols
from .attribution import Attribution, Match
from .style import COLOURS, PAGE, styled, typeset

_COLUMNS = 1000  # a pattern is drawn with two points for each
_REFLECTIONS = 70  # of a cell; more cannot be told apart in one figure
_NAMED = 14  # decisive reflections with their hkl


@styled
def pattern(two_theta: ArrayLike, intensity: ArrayLike, title: str | None = None) -> Figure:
    """A measured pattern."""
    fig, ax = plt.subplots(figsize=(PAGE, 2.1))
    ax.plot(*thinned(two_theta, intensity), color=COLOURS["black"], lw=0.7)
    ax.set(xlabel=r"2$\theta$ (degrees)", ylabel="intensity", title=title or "")
    ax.margins(x=0)
    return fig


@styled
def evidence(two_theta: ArrayLike, intensity: ArrayLike, cell: Evidence) -> Figure:
    """The pattern where its peaks can be told apart, over a row of ticks for each candidate.

    Ticks where a candidate allows a reflection, crosses where it forbids one that its centring
    allows, small crosses where the centring forbids a decisive one. Decisive reflections are marked
    through the figure and named; the triangle is filled where there is a peak.
    """
    rows = len(cell.candidates)
    fig, (ax, ticks) = plt.subplots(
        2, 1, figsize=(PAGE, 2.6 + 0.24 * rows), sharex=True, height_ratios=[2.2, 0.24 * rows + 0.1]
    )
    x, y = np.asarray(two_theta, dtype=float), np.asarray(intensity, dtype=float)
    last = cell.two_theta[min(_REFLECTIONS, len(cell.two_theta)) - 1] + 0.5
    first = max(x.min(), cell.two_theta[0] - 3)
    shown = (x >= first) & (x <= last)
    ax.plot(*thinned(x[shown], y[shown]), color=COLOURS["black"], lw=0.7)
    top = y[shown].max() if shown.any() else 1.0
    decisive = [k for k in cell.decisive if cell.two_theta[k] <= last]
    for k in decisive:
        for axes in (ax, ticks):
            axes.axvline(cell.two_theta[k], color=COLOURS["sky"], lw=0.6, zorder=0)
    for k in _spread(cell, decisive, (last - first) / 60):
        fill = COLOURS["blue"] if cell.seen[k] else "white"
        ax.plot(cell.two_theta[k], 1.06 * top, marker="v", color=COLOURS["blue"], mfc=fill)
        ax.text(cell.two_theta[k], 1.13 * top, hkl_name(cell.hkl[k]), rotation=90, ha="center",
                va="bottom", fontsize=6.5)  # fmt: skip
    for row, candidate in enumerate(cell.candidates):
        state = candidate.state
        left_out = np.zeros_like(state, dtype=bool)
        left_out[cell.decisive] = state[cell.decisive] == -1
        for mask, marker, colour, size in (
            (state == 1, "|", "black", 7),
            (state == 0, "x", "vermillion", 4.5),
            (left_out, "x", "grey", 3),
        ):
            at = cell.two_theta[mask & (cell.two_theta <= last)]
            ticks.plot(at, np.full(len(at), -row), marker, color=COLOURS[colour], ms=size, mew=0.9)
    names = [f"{typeset(symbols()[c.label - 1])}  ({c.label})" for c in cell.candidates]
    ticks.set_yticks(-np.arange(rows), names)
    ticks.tick_params(axis="y", length=0)
    ticks.spines["left"].set_visible(False)
    ticks.set(xlim=(first, last), ylim=(-rows + 0.4, 0.6), xlabel=r"2$\theta$ (degrees)")
    ax.set(ylabel="intensity", ylim=(min(0.0, y[shown].min(initial=0)), 1.45 * top))
    ax.yaxis.set_major_locator(plt.MaxNLocator(4))
    return fig


def hkl_name(hkl: ArrayLike) -> str:
    """Indices of a reflection, negative ones with a bar; apart where one has two digits."""
    indices = np.asarray(hkl).tolist()
    between = "\u2009" if max(map(abs, indices)) > 9 else ""
    return between.join(rf"$\bar{{{-i}}}$" if i < 0 else str(i) for i in indices)


def thinned(x: ArrayLike, y: ArrayLike, columns: int = _COLUMNS) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest point of each column of a figure: looks the same, and is small.

    At most about two points a column, sorted by x.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    width = len(x) // columns
    if width < 3:
        return x, y
    parts = [slice(i, i + width) for i in range(0, len(x), width)]
    kept = {i for p in parts for i in (p.start + y[p].argmin(), p.start + y[p].argmax())}
    kept = sorted(kept | {0, len(x) - 1})
    return x[kept], y[kept]


def _spread(cell, decisive, apart):
    """The first decisive reflections whose names have room beside each other."""
    named = []
    for k in decisive:
        if not named or cell.two_theta[k] - cell.two_theta[named[-1]] > apart:
            named.append(k)
    return named[:_NAMED]


_LEAST = 0.04  # height at which the weakest sticks can still be seen
_LONGEST = 60  # letters of a structure's name
_BIN = 0.3  # degrees; attributions are added up over about the width of a peak
_FINEST = 1200  # ticks closer than this part of the axis are drawn as one

# Bars with hkl at most; the part of the longest bar below which none has it.
_BARS_NAMED, _WORTH = 12, 0.1


@styled
def match(two_theta: ArrayLike, intensity: ArrayLike, near: Match) -> Figure:
    """A measured pattern over the calculated reflections of the most similar known structure.

    Peaks that the structure does not index are marked by triangles.
    """
    fig, (ax, sticks) = plt.subplots(
        2, 1, figsize=(PAGE, 2.9), sharex=True, height_ratios=[2.2, 0.8]
    )
    x, y = np.asarray(two_theta, dtype=float), np.asarray(intensity, dtype=float)
    ax.plot(*thinned(x, y), color=COLOURS["black"], lw=0.7)
    top = y.max()
    strange = near.peaks[~near.indexed]
    order = np.argsort(x)
    height = np.interp(strange, x[order], y[order])
    ax.plot(strange, height + 0.05 * top, "v", color=COLOURS["vermillion"], ms=4)
    ax.set(ylabel="intensity", xlim=(x.min(), x.max()), ylim=(min(0.0, y.min()), 1.1 * top))
    ax.yaxis.set_major_locator(plt.MaxNLocator(4))
    tall = np.maximum(near.intensity, _LEAST)
    sticks.vlines(near.two_theta, 0, tall, color=COLOURS["blue"], lw=0.8)
    name = near.name if len(near.name) <= _LONGEST else near.name[: _LONGEST - 3] + "..."
    details = f"{typeset(symbols()[near.group - 1])}, similarity {near.similarity:.2f}"
    # A dollar sign would begin a formula.
    name = name.replace("$", r"\$")
    sticks.set_title(f"calculated: {name}, {details}", loc="left", fontsize=7, pad=2)
    sticks.set(xlabel=r"2$\theta$ (degrees)", ylim=(0, 1.05), yticks=[])
    sticks.spines["left"].set_visible(False)
    return fig


@styled
def attribution(
    two_theta: ArrayLike, intensity: ArrayLike, parts: Attribution, cell: Evidence | None = None
) -> Figure:
    """What each part of a pattern adds to a network's log-odds of two groups.

    Parameters
    ----------
    two_theta, intensity : array_like, (m,)
        Degrees and any linear scale.
    parts : attribution.Attribution
        Its values are added up over steps of 0.3 degrees.
    cell : cell_evidence.Evidence, optional
        A row of ticks for those of the two groups that are among its candidates, where they allow
        a reflection; hkl at the longest bars that only one reflection lies below.
    """
    sides = ((parts.first, "blue"), (parts.second, "vermillion"))
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
    bars, _ = np.histogram(parts.two_theta, edges, weights=parts.values)
    centres = (edges[1:] + edges[:-1]) / 2
    for sign, (label, colour), side in ((1, sides[0], "left"), (-1, sides[1], "right")):
        height = np.where(sign * bars > 0, bars, 0)
        axes[1].stairs(height, edges, fill=True, color=COLOURS[colour], lw=0)
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
    """hkl at the longest bars, where it is clear which reflection they belong to."""
    span, named = centres[-1] - centres[0], []
    for k in np.argsort(-np.abs(bars), kind="stable"):
        below = np.flatnonzero(np.abs(at - centres[k]) < _BIN)
        if np.abs(bars[k]) <= _WORTH * np.abs(bars).max() or len(named) == _BARS_NAMED:
            break
        if len(below) == 1 and all(abs(centres[k] - other) > span / 50 for other in named):
            named.append(centres[k])
            ax.annotate(
                hkl_name(hkl[below[0]]), (centres[k], bars[k]), (0, 2 * np.sign(bars[k])),
                textcoords="offset points", rotation=90, fontsize=6, ha="center",
                va="bottom" if bars[k] > 0 else "top",
            )  # fmt: skip
