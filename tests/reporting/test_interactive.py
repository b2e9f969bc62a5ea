"""Sliders of the notebooks, turned as a reader would turn them."""

import base64
import re

import numpy as np

from xrdlib.reporting import interactive, plot_lessons
from xrdlib.simulation import worked_example


def drawn(explorer):
    """The picture that an explorer shows, as SVG."""
    shown = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', explorer.shown.value)
    return base64.b64decode(shown[1]).decode()


def evidence(n=12, seed=0):
    z = np.random.default_rng(seed).normal(size=(n, 99))
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def test_turning_a_control_draws_another_figure_and_the_first_one_stands_in():
    explorer = interactive.texture()
    first = drawn(explorer)
    assert "<svg" in first and explorer.shown.value in explorer._static
    explorer.controls["r"].value = 1.5
    second = drawn(explorer)
    assert second != first
    explorer.controls["axis"].value = (1, 0, 0)
    assert drawn(explorer) not in (first, second)


def test_temperature_prior_and_pattern_are_chosen():
    logp = evidence()
    labels, ratio = logp.argmax(axis=1), np.linspace(-1, 1, 99)
    names = [f"pattern {k}" for k in range(len(logp))]
    explorer = interactive.calibration(logp, labels, names, ratio, T=1.3, w=0.7)
    assert explorer.controls["T"].value == 1.3 and explorer.controls["w"].value == 0.7
    seen = {drawn(explorer)}
    for name, value in (("T", 50.0), ("w", 0.0), ("pattern", 3)):
        explorer.controls[name].value = value
        seen.add(drawn(explorer))
    assert len(seen) == 4


def test_a_displayed_explorer_sends_its_box_and_the_standing_picture(monkeypatch):
    sent = []
    monkeypatch.setattr("IPython.display.display", lambda *things: sent.extend(things))
    explorer = interactive.texture()
    explorer._ipython_display_()
    assert sent[0] is explorer.box and "xrdlib-static" in sent[1].data


def test_lessons_name_what_is_absent():
    figure = plot_lessons.absences(worked_example.absences())
    names = [{text.get_text() for text in axes.texts} for axes in figure.axes]
    assert names[0] == set() and names[1] == {"100", "111", "210"} and "001" in names[2]
    assert len(plot_lessons.steps(worked_example.steps()).axes) == 6
