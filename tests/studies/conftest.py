"""Figures of a test are closed after it."""

import matplotlib
import pytest

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def no_figure_stays():
    yield
    from matplotlib import pyplot

    pyplot.close("all")
