"""Figures are true to their data, and refuse what cannot be drawn."""

import itertools

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pytest
from matplotlib.colors import to_hex

from xrdlib.base.errors import XrdlibError
from xrdlib.learning import calibrate
from xrdlib.prediction import style
from xrdlib.reporting import plot_errors, plot_scores, plot_symmetry
from xrdlib.symmetry import dag, groups


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_style_does_not_leak():
    before = dict(matplotlib.rcParams)
    plot_scores.decoders({"a": [0, 1], "top1": [3, 4], "top5": [5, 7], "nll": [3, 2]}, 0.4)
    assert dict(matplotlib.rcParams) == before


def test_graph_shows_every_group_and_reduced_edge_downwards():
    fig = plot_symmetry.dag(dag.subgroup_dag())
    (ax,) = fig.axes
    boxed = [t for t in ax.texts if t.get_bbox_patch() is not None]
    assert len(boxed) == 99
    segments = ax.collections[0].get_segments()
    assert len(segments) == nx.transitive_reduction(dag.subgroup_dag()).number_of_edges()
    assert all(start[1] > end[1] for start, end in segments)
    fig.canvas.draw()
    boxes = [t.get_bbox_patch().get_window_extent() for t in boxed]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    colours = {to_hex(t.get_bbox_patch().get_edgecolor()) for t in boxed}
    assert len(colours) == len(set(groups.crystal_systems()))


def test_bars_are_shares_and_cells_are_counts():
    counts = np.arange(99)
    fig = plot_symmetry.class_histogram({"all": counts})
    heights = [bar.get_height() for bar in fig.axes[0].patches]
    assert np.allclose(heights, 100 * counts / counts.sum())
    table = {"systems": list(groups.SYSTEMS), "counts": (np.arange(49).reshape(7, 7)).tolist()}
    fig = plot_errors.confusion(table)
    assert [int(t.get_text()) for t in fig.axes[0].texts] == list(range(49))
    assert np.allclose(fig.axes[0].images[0].get_array().sum(axis=1), 100)


def test_temperature_curve_ends_at_its_limit():
    logp = np.log(np.random.default_rng(0).dirichlet(np.ones(99), 60))
    data = calibrate.temperature_curve(logp, np.arange(60), 1, np.linspace(-1, 1, 99))
    fig = plot_scores.temperature(data)
    for ax, key in zip(fig.axes, ("nll", "top1", "ece"), strict=True):
        line, point, *_ = ax.lines
        assert list(line.get_ydata()) == data[key]
        assert point.get_ydata() == [data["limit"][key]]
        assert point.get_xdata()[0] > data["temperature"][-1]
    assert fig.axes[-1].get_xticklabels()[-1].get_text() == "∞"


def test_bars_are_the_scores_with_their_intervals_and_missing_rows_are_left_out():
    rows = [
        {"model": name, "subset": "s", "n": 9, "top1": x, "top5": 2 * x, "bits_over_prior": x / 9,
         "top1_ci95": [x - 1, x + 2], "top5_ci95": None, "bits_ci95": [0, x]}
        for name, x in (("physics transformer", 30.0), ("prior only", 9.0))
    ]  # fmt: skip
    empty = dict.fromkeys(rows[0]) | {"model": "resnet", "subset": "s"}
    fig = plot_scores.scores([*rows, empty])
    for ax, key in zip(fig.axes, plot_scores.KEYS, strict=True):
        assert [bar.get_width() for bar in ax.patches] == pytest.approx([r[key] for r in rows])
    (left, _), (right, _) = fig.axes[0].collections[0].get_segments()[0]
    assert (left, right) == (29, 32)
    assert len({to_hex(bar.get_facecolor()) for bar in fig.axes[0].patches}) == 2


def test_marks_that_share_a_place_lie_evenly_around_it():
    shifts = [style.beside(k, 4) for k in range(4)]
    assert np.allclose(shifts, [-0.3, -0.1, 0.1, 0.3])


def test_nothing_to_draw_is_refused():
    empty = [{"model": "m", "subset": "s", "top1": None}]
    zeros = {"systems": groups.SYSTEMS, "counts": np.zeros((7, 7))}
    for draw, content in (
        (plot_symmetry.class_histogram, {}),
        (plot_symmetry.example_patterns, []),
        (plot_scores.curriculum, empty),
        (plot_scores.scores, empty),
        (plot_scores.learning_curves, []),
        (plot_scores.reliability, {}),
        (plot_errors.confusion, zeros),
        (plot_errors.dag_errors, {"nulls": {}, "observed": {}}),
    ):
        with pytest.raises(XrdlibError, match="nothing to draw"):
            draw(content)


def test_impossible_data_are_refused():
    with pytest.raises(XrdlibError, match="99 numbers"):
        plot_symmetry.class_histogram({"all": np.zeros(99)})
    pair = {"measured": (np.arange(3), np.ones(3)), "simulated": (np.arange(3), np.arange(4))}
    with pytest.raises(XrdlibError, match="quartz: the simulated pattern"):
        plot_symmetry.example_patterns([{"title": "quartz", **pair}])


def test_a_model_has_one_colour_and_no_two_share_it():
    names = ["released", "released network", "physics transformer", "resnet", "plain transformer"]
    names += ["search-match", "stage 1 alone", "published champion"]
    assert len({style.model_colour(name) for name in names}) == len(names)
    assert style.model_colour("laptop network") == style.model_colour("physics transformer")
    assert style.model_colour("released, network alone") == style.model_colour("released network")
