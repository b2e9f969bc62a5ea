"""Every figure: written twice over, legible, inside its frame, and true to its data.

The input is random; only its shape matters.
"""

import itertools

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pytest
from matplotlib.colors import to_hex

from xrdlib.base.errors import XrdlibError
from xrdlib.learning import calibrate, metrics, nulls
from xrdlib.prediction import style
from xrdlib.reporting import (
    gallery,
    plot_errors,
    plot_released,
    plot_scores,
    plot_simulator,
    plot_symmetry,
)
from xrdlib.simulation import crystal_statistics
from xrdlib.structures.crystals import generate_balanced
from xrdlib.structures.recipes import shipped
from xrdlib.studies import graph_errors
from xrdlib.symmetry import dag, groups

PRIOR = np.linspace(1, 3, 99) / np.linspace(1, 3, 99).sum()
RNG = np.random.default_rng(0)
LABELS, FAMILIES = RNG.choice(99, p=PRIOR, size=60), RNG.integers(0, 20, 60)


def model(skill):
    scores = np.random.default_rng(1).normal(size=(60, 99))
    scores[np.arange(60), LABELS] += skill
    return scores - metrics.logsumexp(scores)[:, None]


def row(name, skill):
    logp = model(skill)
    return metrics.evaluate(name, "rruff-test", logp, LABELS, FAMILIES, np.log(PRIOR), n_boot=50)


def prior_row():
    return nulls.prior_only("rruff-test", PRIOR, LABELS, FAMILIES, np.log(PRIOR), n_boot=50)


def pattern(phase=0.0):
    two_theta = np.arange(5, 90, 0.1)
    return two_theta, 1.0 + np.cos(two_theta + phase)


def curve():
    return calibrate.temperature_curve(model(2), LABELS, 1, np.log(PRIOR * 99))


def comparison():
    rng = np.random.default_rng(0)
    names = [
        *("fwhm 5-30", "fwhm 30-60", "fwhm 60-90", "tailing", "noise", "noise lag 1", "floor"),
        *("background", "peaks", "height 4", "height 16", "level 75"),
    ]
    features = {
        name: {kind: np.sort(rng.random(41)) for kind in ("measured", "simulated")} | {"auc": 0.6}
        for name in names
    }
    features["height 16"] |= {"measured": None, "simulated": np.zeros(41)}
    found = {"features": {"auc": 0.7}, "network": {"auc": 0.65}}
    return {"n": 120, "families": 50, "features": features, "two_sample": found}


def costs():
    sizes = [
        {"by": by, "volume": 50.0 * k, "atoms": 4.0 * k, "reflections": 20.0 * k}
        for by in ("volume", "atoms", "reflections", "supercell")
        for k in (1, 3, 9, 27)
    ]
    return [row | {"structure_ms": row["atoms"] / 90, "pattern_ms": 0.3} for row in sizes]


HISTORY = [{"patterns": 10 * i, "loss": 5 - i, "top1": 9 * i} for i in range(4)]


def mistake(seed):
    angle = np.arange(5, 90, 0.1)
    lines = np.random.default_rng(seed).uniform(10, 80, 12)
    told = {"true": "P -", "predicted": "C - 1 1", "nearest": "halite"}
    intensity = sum(np.exp(-(((angle - x) / 0.2) ** 2)) for x in lines)
    return {
        **told,
        "probability": 0.8,
        "similarity": 0.7,
        "two_theta": angle.tolist(),
        "intensity": (intensity / intensity.max()).tolist(),
    }


FIGURES = {
    "class_histogram": lambda: plot_symmetry.class_histogram(
        {"minerals": np.round(1000 * PRIOR), "stage 1": np.full(99, 20)}
    ),
    "dag": lambda: plot_symmetry.dag(dag.subgroup_dag()),
    "example_patterns": lambda: plot_symmetry.example_patterns(
        [{"title": f"mineral {i}", "measured": pattern(), "simulated": pattern(i)} for i in (1, 2)]
    ),
    "curriculum": lambda: plot_scores.curriculum(
        [row("stage 1", 1), row("stage 2", 3)], prior_row()
    ),
    "decoders": lambda: plot_scores.decoders(
        {"a": [0, 0.5, 1], "top1": [30, 40, 20], "top5": [50, 70, 60], "nll": [3, 2, 4]}, 0.4
    ),
    "temperature": lambda: plot_scores.temperature(curve(), 1.5),
    "dag_errors": lambda: plot_errors.dag_errors(
        graph_errors.analyse(model(2), LABELS, FAMILIES, PRIOR, 50)
    ),
    "confusion": lambda: plot_errors.confusion(metrics.confusion_by_system(model(2), LABELS)),
    "reliability": lambda: plot_scores.reliability(
        {name: metrics.reliability(model(s), LABELS) for name, s in (("one", 1), ("two", 2))}
    ),
    "nulls": lambda: plot_scores.nulls(
        [row("physics transformer", 3), row("resnet", 2), prior_row()]
    ),
    "simulator": lambda: plot_simulator.simulator(comparison()),
    "simulator_cost": lambda: plot_simulator.simulator_cost(costs()),
    "crystal_statistics": lambda: plot_simulator.crystal_statistics(
        crystal_statistics.compare(*[generate_balanced(shipped(), 60, seed) for seed in (0, 1)])
    ),
    "learning_curves": lambda: plot_scores.learning_curves(
        {"stage 1": HISTORY, "stage 2": HISTORY[1:]}
    ),
    "coverage": lambda: plot_released.coverage(
        [
            {"promised": p, "patterns": p, "families": p - 0.1, "size": 9 * p}
            for p in (0.5, 0.7, 0.9)
        ],
        {"share": [0.2, 0.6, 1.0], "top1": [1.0, 0.9, 0.6], "confidence": [1.0, 0.8, 0.1]},
    ),
    "indexing": lambda: plot_released.indexing(
        {
            "rows": [
                {"system": name, "n": 9, "n_families": 5, "system_found": x + 5, "cell_found": x}
                for name, x in (("all", 50.0), ("triclinic", 0.0), ("monoclinic", 70.0))
            ],
            "example": {
                "name": "halite 7",
                "cell": [5.64, 5.64, 5.64, 90.0, 90.0, 90.0],
                "two_theta": np.linspace(20, 60, 500),
                "intensity": np.sin(np.linspace(0, 9, 500)) ** 8,
                "found": [27.4, 31.7],
                "lattice": [15.7, 22.3, 27.4, 31.7],
            },
        }
    ),
    "mistakes": lambda: plot_released.mistakes([mistake(i) for i in range(5)]),
    "note": lambda: style.note("There is nothing to draw, and this says why."),
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_every_public_figure_is_tested():
    assert {*FIGURES, "save", "note"} == set(gallery.__all__)


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_written_and_legible(name, tmp_path):
    fig = FIGURES[name]()
    png, svg = style.save(fig, tmp_path / "new folder", name)
    assert (png.name, svg.name) == (f"{name}.png", f"{name}.svg")

    pixels = plt.imread(png)[..., :3]
    marked = (pixels < 0.9).any(axis=2)
    assert 0.005 < marked.mean() < 0.9
    # Ink on the very edge would mean that something is cut off.
    assert not np.concatenate([marked[[0, -1]].ravel(), marked[:, [0, -1]].ravel()]).any()
    # Ink in each quarter: nothing collapsed into a corner.
    for rows in np.array_split(marked, 2, axis=0):
        assert all(quarter.mean() > 0.002 for quarter in np.array_split(rows, 2, axis=1))

    assert 3.3 <= fig.get_figwidth() <= 7.1
    texts = [t for t in fig.findobj(plt.Text) if t.get_text().strip() and t.get_visible()]
    assert texts and all(t.get_fontsize() >= 7 for t in texts)
    fig.canvas.draw()
    drawn, tolerance = fig.get_tightbbox(), 0.03
    assert drawn.x0 > -tolerance and drawn.x1 < fig.get_figwidth() + tolerance
    assert drawn.y0 > -tolerance and drawn.y1 < fig.get_figheight() + tolerance


def test_files_repeat_byte_for_byte_and_carry_no_date(tmp_path):
    for name in ("nulls", "confusion"):
        first = [p.read_bytes() for p in style.save(FIGURES[name](), tmp_path / "1", name)]
        second = [p.read_bytes() for p in style.save(FIGURES[name](), tmp_path / "2", name)]
        assert first == second
        assert b"<dc:date>" not in first[1]


def test_style_does_not_leak():
    before = dict(matplotlib.rcParams)
    FIGURES["decoders"]()
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


def test_histogram_bars_are_shares():
    counts = np.arange(99)
    fig = plot_symmetry.class_histogram({"all": counts})
    heights = [bar.get_height() for bar in fig.axes[0].patches]
    assert np.allclose(heights, 100 * counts / counts.sum())


def test_confusion_shows_the_counts():
    table = {"systems": list(groups.SYSTEMS), "counts": (np.arange(49).reshape(7, 7)).tolist()}
    fig = plot_errors.confusion(table)
    assert [int(t.get_text()) for t in fig.axes[0].texts] == list(range(49))
    image = fig.axes[0].images[0].get_array()
    assert np.allclose(image.sum(axis=1), 100)


def test_temperature_curve_ends_at_its_limit():
    data = curve()
    fig = plot_scores.temperature(data)
    for ax, key in zip(fig.axes, ("nll", "top1", "ece"), strict=True):
        line, point, *_ = ax.lines
        assert list(line.get_ydata()) == data[key]
        assert point.get_ydata() == [data["limit"][key]]
        assert point.get_xdata()[0] > data["temperature"][-1]
    assert fig.axes[-1].get_xticklabels()[-1].get_text() == "∞"


def test_bars_of_nulls_are_the_scores_and_missing_rows_are_left_out():
    rows = [row("physics transformer", 3), prior_row()]
    empty = {key: None for key in rows[0]} | {"model": "resnet", "subset": "rruff-test"}
    fig = plot_scores.nulls([*rows, empty])
    for ax, key in zip(fig.axes, ("top1", "top5", "bits_over_prior"), strict=True):
        assert [bar.get_width() for bar in ax.patches] == pytest.approx([r[key] for r in rows])
    assert len({to_hex(bar.get_facecolor()) for bar in fig.axes[0].patches}) == 2


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot_symmetry.class_histogram({}),
        lambda: plot_symmetry.example_patterns([]),
        lambda: plot_scores.curriculum([{"model": "m", "subset": "s", "top1": None}]),
        lambda: plot_scores.nulls([{"model": "m", "subset": "s", "top1": None}]),
        lambda: plot_scores.learning_curves({}),
        lambda: plot_scores.reliability({}),
        lambda: plot_errors.confusion(
            {"systems": list(groups.SYSTEMS), "counts": np.zeros((7, 7))}
        ),
        lambda: plot_errors.dag_errors({"nulls": {}, "observed": {}}),
    ],
)
def test_nothing_to_draw_is_refused(draw):
    with pytest.raises(XrdlibError, match="nothing to draw"):
        draw()


def test_impossible_data_are_refused():
    with pytest.raises(XrdlibError, match="99 numbers"):
        plot_symmetry.class_histogram({"all": np.zeros(99)})
    bad = {"title": "quartz", "measured": pattern(), "simulated": (np.arange(3), np.arange(4))}
    with pytest.raises(XrdlibError, match="quartz: the simulated pattern"):
        plot_symmetry.example_patterns([bad])
