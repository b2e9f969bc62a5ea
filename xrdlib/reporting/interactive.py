"""Controls of the notebooks: a slider, and the figure that follows it.

Without a kernel, as in an exported notebook, the figure of the first setting is shown.
"""

from collections.abc import Callable

import ipywidgets
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..learning import calibrate
from ..learning.metrics import nll
from ..prediction.html_report import picture
from ..prediction.widgets import standing_in
from ..simulation import worked_example
from ..simulation.diffraction import reflections
from ..symmetry.groups import symbols
from . import plot_lessons

_SHOWN = 8  # groups of a ranking
_TEMPERATURES = tuple(np.geomspace(0.1, 100, 31).tolist())


class Explorer:
    """A figure that is drawn anew when one of its controls is turned.

    Parameters
    ----------
    draw : callable
        From the values of the controls, by name, to a figure.
    controls : ipywidgets.Widget
        By name.

    Attributes
    ----------
    controls : dict of str to ipywidgets.Widget
    shown : ipywidgets.HTML
        The figure.
    box : ipywidgets.VBox
        All of them, to display.
    """

    def __init__(self, draw: Callable[..., Figure], **controls: ipywidgets.Widget) -> None:
        self._draw, self.controls, self.shown = draw, controls, ipywidgets.HTML()
        for control in controls.values():
            control.observe(self._update, "value")
        self.box = ipywidgets.VBox([*controls.values(), self.shown])
        self.box.add_class("xrdlib-live")
        self._update()
        self._static = standing_in(self.shown.value)

    def _update(self, change=None):
        values = {name: control.value for name, control in self.controls.items()}
        self.shown.value = f'<img style="max-width: 100%" src="{picture(self._draw(**values))}">'

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        display(self.box, HTML(self._static))


def texture(r: float = 0.8) -> Explorer:
    """What March-Dollase's parameter does to the pattern of brucite, from r at first.

    Examples
    --------
    >>> list(texture().controls)
    ['r', 'axis']
    """
    known = reflections(worked_example.brucite())
    random = worked_example.pattern(known)

    def draw(r: float, axis: tuple) -> Figure:
        oriented = worked_example.pattern(worked_example.textured(known, r, axis))
        name = "".join(map(str, axis))
        return plot_lessons.texture(random, oriented, f"brucite, r = {r:.2f} about {name}")

    axes = {"0 0 1 (plates)": (0, 0, 1), "1 0 0": (1, 0, 0), "1 1 0": (1, 1, 0)}
    return Explorer(
        draw,
        r=_slider("March-Dollase r", r, 0.3, 2.0, 0.05),
        axis=ipywidgets.Dropdown(description="about", options=axes),
    )


def calibration(
    logp: ArrayLike, labels: ArrayLike, names: ArrayLike, ratio: ArrayLike, T: float, w: float
) -> Explorer:
    """What temperature and prior do to the answer to one pattern, and to the likelihood of all.

    Parameters
    ----------
    logp : array_like, (n, 99)
        Evidence before calibration, logarithms.
    labels, names : array_like, (n,)
        True classes 0..98, and what the patterns are called.
    ratio : array_like, (99,)
        Logarithm of the target's over the training prior.
    T, w : float
        Temperature and weight of the prior at first.
    """
    logp, labels = np.asarray(logp), np.asarray(labels)
    symbol = symbols()

    def draw(T: float, w: float, pattern: int) -> Figure:
        scores = calibrate.rescale(logp, T, w, ratio)
        first = np.argsort(-scores[pattern], kind="stable")[:_SHOWN]
        ranking = pd.DataFrame(
            {
                "symbol": [symbol[k] for k in first],
                "probability": np.exp(scores[pattern, first]),
                "true": first == labels[pattern],
            }
        )
        curve = calibrate.temperature_curve(logp, labels, w, ratio, _TEMPERATURES)
        shown = {**curve, "limit": curve["limit"]["nll"]}
        here = (T, nll(scores, labels))
        return plot_lessons.weighed(ranking, shown, here, f"{names[pattern]}, T = {T:.2g}")

    return Explorer(
        draw,
        # Minimum and maximum are exponents of ten, the value is not.
        T=_slider("temperature T", T, -1, 2, 0.05, ipywidgets.FloatLogSlider),
        w=_slider("prior weight w", w, 0, 2, 0.05),
        pattern=_slider("pattern", 0, 0, len(labels) - 1, 1, ipywidgets.IntSlider),
    )


def _slider(description, value, low, high, step, kind=ipywidgets.FloatSlider, **options):
    options |= {"style": {"description_width": "9em"}, "layout": {"width": "34em"}}
    # Drawing takes a moment: only the last place of a slider counts.
    options |= {"continuous_update": False, "description": description}
    return kind(value=value, min=low, max=high, step=step, **options)
