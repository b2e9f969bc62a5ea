"""One look for all figures, and the one way to save them."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure, SubFigure

from ..base.errors import XrdlibError
from ..symmetry.groups import SYSTEMS

# Okabe and Ito's palette, told apart with any colour vision, and a wine red of Tol's.
COLOURS = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "yellow": "#F0E442",
    "wine": "#882255",
    "grey": "#7F7F7F",
    "black": "#000000",
}

CYCLE = [COLOURS[name] for name in ("blue", "vermillion", "green", "purple", "orange", "sky")]

# A model has one colour in all figures; the longest beginning of its name counts.
_MODELS = {
    "released": "blue",
    "released network": "sky",
    "released, network alone": "sky",
    "physics transformer": "vermillion",
    "this run": "vermillion",
    "stage 2": "vermillion",
    "stage 1": "wine",
    "resnet": "green",
    "plain transformer": "purple",
    "search-match": "orange",
    "published": "black",
}

_OF_SYSTEMS = "grey purple orange blue green sky vermillion".split()
SYSTEM_COLOURS = {k: COLOURS[name] for k, name in zip(SYSTEMS, _OF_SYSTEMS, strict=True)}

MARKERS = "osD^vP"

# Widths in inches: one journal column, and the page.
COLUMN, PAGE = 3.4, 7.0

RC = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 200,
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "axes.prop_cycle": plt.cycler(color=CYCLE),
    # Text as outlines and a fixed salt: the same data give the same SVG on every machine.
    "svg.fonttype": "path",
    "svg.hashsalt": "xrdlib",
}


@contextmanager
def in_style() -> Iterator[None]:
    """Context in which figures are drawn in the project's style.

    It puts back the settings of the style and no others: matplotlib's own `rc_context` puts back
    "interactive" too, which a notebook's backend switches on when the first figure is made, and
    then no later figure is shown.

    Examples
    --------
    >>> with in_style():
    ...     plt.rcParams["font.size"]
    8.0
    """
    before = {key: plt.rcParams[key] for key in RC}
    plt.rcParams.update(RC)
    try:
        yield
    finally:
        plt.rcParams.update(before)


def styled(function: Callable) -> Callable:
    """Run a plot function under the project's style."""

    @wraps(function)
    def wrapper(*args, **kwargs):
        with in_style():
            return function(*args, **kwargs)

    return wrapper


def save(fig: Figure, folder: str | Path, name: str) -> tuple[Path, Path]:
    """Write a figure as PNG (200 dpi) and SVG, byte for byte the same for the same data.

    Parameters
    ----------
    folder : path-like
        Made if missing.
    name : str
        File name without suffix.

    Returns
    -------
    tuple of pathlib.Path
        The PNG and the SVG.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    with in_style():
        # The layout of axes with a fixed aspect settles only at the second pass.
        fig.draw_without_rendering()
        fig.savefig(png, metadata={"Software": None})
        fig.savefig(svg, metadata={"Date": None, "Creator": None})
    return png, svg


def tint(colour: str, strength: float = 0.25) -> tuple[float, ...]:
    """A colour mixed with white."""
    return tuple(1 - strength * (1 - channel) for channel in to_rgb(colour))


def need(things: Sequence, what: str) -> None:
    """Refuse to draw nothing.

    Raises
    ------
    XrdlibError
        If `things` is empty.
    """
    if len(things) == 0:
        raise XrdlibError(f"There is nothing to draw: pass {what}.")


def spans(values: Sequence[float], ends: Sequence) -> np.ndarray:
    """Lengths of error bars, (2, n), from n values down and up to the ends of their intervals.

    Examples
    --------
    >>> spans([3.0, 5.0], [(2.0, 7.0), None])  # None: no interval
    array([[1., 0.],
           [4., 0.]])
    """
    known = [(v, v) if end is None else end for v, end in zip(values, ends, strict=True)]
    low, high = np.transpose(known)
    return np.clip([values - low, high - values], 0, None)


def whiskers(rows: Sequence[dict], key: str) -> np.ndarray:
    """Lengths of error bars, (2, n), of a score of n rows as `metrics.evaluate` gives them."""
    ends = "bits_ci95" if key == "bits_over_prior" else f"{key}_ci95"
    return spans([row[key] for row in rows], [row.get(ends) for row in rows])


def model_colour(name: str) -> str:
    """Colour of a model, the same in every figure.

    Examples
    --------
    >>> model_colour("resnet") == COLOURS["green"]
    True
    """
    # "laptop network", "laptop fusion": what the profile has trained.
    of_run = re.fullmatch(r"(?!released)\w+ (network|fusion)(,.*)?", name)
    known = [start for start in _MODELS if name.startswith(start)]
    return COLOURS["vermillion" if of_run else _MODELS[max(known, key=len)] if known else "blue"]


def beside(k: int, n: int, width: float = 0.8) -> float:
    """Shift of the k-th of n marks that share a place and lie `width` apart in all."""
    return (k - (n - 1) / 2) * width / n


def legend(fig: Figure | SubFigure, axes: Iterable[Axes], where: str, **options: object) -> None:
    """One legend for several axes, outside of them: `where` as "lower center"."""
    entries = [ax.get_legend_handles_labels() for ax in axes]
    fig.legend(*(sum(parts, []) for parts in zip(*entries, strict=True)),
               loc=f"outside {where}", **options)  # fmt: skip


@styled
def note(text: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    fig, ax = plt.subplots(figsize=(COLUMN, 1.0))
    ax.axis("off")
    ax.text(0.5, 0.5, text, ha="center", va="center", wrap=True)
    return fig


def typeset(symbol: str) -> str:
    """An extinction symbol with screw axes as subscripts and thin spaces."""
    text = re.sub(r"\b([2346])([1-5])\b", r"\1$_\2$", symbol)
    return text.replace("-", "\u2013").replace(" ", "\u2009")
