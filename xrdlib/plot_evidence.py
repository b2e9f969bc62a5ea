"""Figures of one measured pattern, alone and above the lines that groups allow and forbid."""

import matplotlib.pyplot as plt
import numpy as np

from .groups import symbols
from .plot_style import COLOURS, PAGE, styled
from .plot_symmetry import typeset

_COLUMNS = 1500  # a pattern is drawn with two points for each
_LINES = 70  # more than this many lines of a cell cannot be told apart in one figure
_NAMED = 14  # decisive lines with their hkl


@styled
def pattern(two_theta, intensity, title=None):
    """A measured pattern.

    Parameters
    ----------
    two_theta, intensity : array_like, (m,)
        Degrees and any linear scale.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    fig, ax = plt.subplots(figsize=(PAGE, 2.1))
    ax.plot(*thinned(two_theta, intensity), color=COLOURS["black"], lw=0.7)
    ax.set(xlabel=r"2$\theta$ (degrees)", ylabel="intensity", title=title or "")
    ax.margins(x=0)
    return fig


@styled
def evidence(two_theta, intensity, found):
    """The pattern where its lines can be told apart, over a row of ticks for each candidate.

    Parameters
    ----------
    two_theta, intensity : array_like, (m,)
    found : evidence.Evidence

    Returns
    -------
    matplotlib.figure.Figure
        Ticks where a candidate allows a line, crosses where it forbids one that its centring
        allows, small crosses where the centring forbids one that decides. Lines that decide are
        marked through the figure and named, the triangle is filled where a peak is.
    """
    rows = len(found.candidates)
    fig, (ax, ticks) = plt.subplots(
        2,
        1,
        figsize=(PAGE, 2.6 + 0.24 * rows),
        sharex=True,
        height_ratios=[2.2, 0.24 * rows + 0.1],
    )
    x, y = np.asarray(two_theta, dtype=float), np.asarray(intensity, dtype=float)
    last = found.two_theta[min(_LINES, len(found.two_theta)) - 1] + 0.5
    first = max(x.min(), found.two_theta[0] - 3)
    shown = (x >= first) & (x <= last)
    ax.plot(*thinned(x[shown], y[shown]), color=COLOURS["black"], lw=0.7)
    top = y[shown].max() if shown.any() else 1.0
    decisive = [k for k in found.decisive if found.two_theta[k] <= last]
    for k in decisive:
        for axes in (ax, ticks):
            axes.axvline(found.two_theta[k], color=COLOURS["sky"], lw=0.6, zorder=0)
    for k in _spread(found, decisive, (last - first) / 60):
        ax.plot(
            found.two_theta[k],
            1.06 * top,
            marker="v",
            color=COLOURS["blue"],
            mfc=COLOURS["blue"] if found.seen[k] else "white",
        )
        ax.text(found.two_theta[k], 1.13 * top, hkl_name(found.hkl[k]), rotation=90, ha="center",
                va="bottom", fontsize=6.5)  # fmt: skip
    for row, candidate in enumerate(found.candidates):
        state = candidate.state
        left_out = np.zeros_like(state, dtype=bool)
        left_out[found.decisive] = state[found.decisive] == -1
        for lines, marker, colour, size in (
            (state == 1, "|", "black", 7),
            (state == 0, "x", "vermillion", 4.5),
            (left_out, "x", "grey", 3),
        ):
            at = found.two_theta[lines & (found.two_theta <= last)]
            ticks.plot(at, np.full(len(at), -row), marker, color=COLOURS[colour], ms=size, mew=0.9)
    names = [f"{typeset(symbols()[c.label - 1])}  ({c.label})" for c in found.candidates]
    ticks.set_yticks(-np.arange(rows), names)
    ticks.tick_params(axis="y", length=0)
    ticks.spines["left"].set_visible(False)
    ticks.set(xlim=(first, last), ylim=(-rows + 0.4, 0.6), xlabel=r"2$\theta$ (degrees)")
    ax.set(ylabel="intensity", ylim=(min(0.0, y[shown].min(initial=0)), 1.45 * top))
    ax.yaxis.set_major_locator(plt.MaxNLocator(4))
    return fig


def hkl_name(hkl):
    """Indices of a reflection, negative ones with a bar; apart where one has two digits."""
    indices = np.asarray(hkl).tolist()
    between = "\u2009" if max(map(abs, indices)) > 9 else ""
    return between.join(rf"$\bar{{{-i}}}$" if i < 0 else str(i) for i in indices)


def thinned(x, y, columns=_COLUMNS):
    """Lowest and highest point of each column of a figure: looks the same, and is small.

    Parameters
    ----------
    x, y : array_like, (m,)
    columns : int

    Returns
    -------
    x, y : ndarray, (at most about 2 columns,)
        Sorted by x.
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


def _spread(found, lines, apart):
    """The first decisive lines whose names have room beside each other."""
    named = []
    for k in lines:
        if len(named) < _NAMED and (
            not named or found.two_theta[k] - found.two_theta[named[-1]] > apart
        ):
            named.append(k)
    return named
