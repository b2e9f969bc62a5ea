"""Every figure of the pipeline from files in results/: legible, inside its frame, kept twice."""

from dataclasses import asdict

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from ruamel.yaml import YAML

from xrdlib.base import config, paths, results
from xrdlib.base.errors import XrdlibError
from xrdlib.base.results import write
from xrdlib.learning import breakdown, calibrate, metrics, nulls, outcomes
from xrdlib.prediction import style
from xrdlib.reporting import gallery
from xrdlib.reporting.plot_simulator import PANELS
from xrdlib.simulation import crystal_statistics
from xrdlib.structures.crystals import generate_balanced
from xrdlib.structures.recipes import shipped
from xrdlib.studies import graph_errors

ROOT = paths.ROOT
HISTORY = {"rows": [{"patterns": 10 * i, "loss": 5 - i, "top1": 9 * i} for i in range(4)]}
PRIOR = np.linspace(1, 3, 99) / np.linspace(1, 3, 99).sum()
MISTAKE = {
    "source": "108",
    "true": "P -",
    "predicted": "C - 1 1",
    "probability": 0.8,
    "nearest": "halite",
}
COUNTED = {"n": 9, "n_families": 4}


def simulator(rng):
    sizes = [
        {"by": by, "volume": 50.0 * k, "atoms": 4.0 * k, "reflections": 20.0 * k}
        for by in ("volume", "atoms", "reflections")
        for k in (1, 3, 9, 27)
    ]
    features = {
        name: {kind: np.sort(rng.random(41)) for kind in ("measured", "simulated")} | {"auc": 0.6}
        for name in PANELS
    }
    features["height 16"] |= {"measured": None, "simulated": np.zeros(41)}
    found = {"features": {"auc": 0.7}}
    counts = {"n": 9, "families": 5, "note": None}
    crystals = [generate_balanced(shipped(), 60, seed) for seed in (0, 1)]
    return {
        "comparison": counts | {"features": features, "two_sample": found},
        "costs": [row | {"structure_ms": row["atoms"] / 90, "pattern_ms": 0.3} for row in sizes],
        "crystals": crystal_statistics.compare(*crystals),
    }


def contents():
    """Results of a made-up model, by name of the file."""
    rng = np.random.default_rng(0)
    labels, families = rng.choice(99, p=PRIOR, size=60), rng.integers(0, 20, 60)
    scores = rng.normal(size=(60, 99))
    scores[np.arange(60), labels] += 3
    logp = scores - metrics.logsumexp(scores)[:, None]
    counts = (labels, families, np.log(PRIOR))
    main = metrics.evaluate(results.MAIN, "amcsd-test", logp, *counts, n_boot=20)
    null = nulls.prior_only("amcsd-test", PRIOR, *counts, n_boot=20)
    angle = np.arange(5, 90, 0.1)
    pattern = {"two_theta": angle, "intensity": np.cos(angle) ** 8}
    pair = (angle, 1 + np.cos(angle))
    ratio = outcomes.prior_ratio(PRIOR)
    found = [
        {"system": name, **COUNTED, "system_found": x + 5, "cell_found": x}
        for name, x in (("all", 50.0), ("triclinic", 0.0), ("monoclinic", 70.0))
    ]
    lines = {"found": [27.4, 31.7], "lattice": [15.7, 22.3, 27.4, 31.7]}
    return {
        "class_histogram": {"minerals": np.arange(99), "space groups": np.ones(99)},
        "examples": [{"title": "halite", "measured": pair, "simulated": pair}] * 2,
        **dict.fromkeys(("stage1", "stage2", "resnet", "plain"), HISTORY),
        "calibration": {
            "models": {results.MAIN: asdict(calibrate.Calibration())},
            "temperature_curve": calibrate.temperature_curve(logp, labels, 1.0, ratio),
            "fusion_curve": {"a": [0, 1], "nll": [3, 2], "top1": [20, 30], "top5": [50, 60]},
        },
        "measured": {
            "main_subset": "amcsd-test",
            "rows": [main, null, {**main, "subset": "random-crystals", "top1": 1.0}],
            "curriculum": [{**main, "model": f"stage {k}"} for k in (1, 2)],
            "reliability": dict.fromkeys(("one", "two"), breakdown.reliability(logp, labels)),
            "confusion": breakdown.confusion_by_system(logp, labels),
        },
        "dag_errors": graph_errors.analyse(logp, labels, families, PRIOR, 10, 0),
        "simulator": simulator(rng),
        "indexing": {
            "rows": found,
            "example": {"name": "halite 7", "cell": [5.64] * 3 + [90.0] * 3, **pattern, **lines},
        },
        "retrieval": {"rows": [main, null]},
        "released": {
            "rows": [main, null],
            "coverage": [
                {
                    "promised": p,
                    "patterns": p,
                    "families": p - 0.1,
                    "size": 9 * p,
                    "subset": "all",
                    "threshold": "one",
                    "n_families": 7,
                }
                for p in (0.5, 0.7, 0.9)
            ],
            "reliability": breakdown.reliability(logp, labels),
            "confusion": breakdown.confusion_by_system(logp, labels),
            "answered": {"share": [0.5, 1.0], "top1": [0.9, 0.6], "confidence": [0.9, 0.2]},
            "mistakes": [{**MISTAKE, "similarity": 0.7, **pattern}] * 5,
        },
    }


@pytest.fixture(scope="module", autouse=True)
def cfg(tmp_path_factory):
    """The results of a made-up model, in a temporary project."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "ROOT", tmp_path_factory.mktemp("project"))
        settings = config.load("tiny", ROOT / "params.yaml")
        for name, content in contents().items():
            write(settings, name, content)
        yield settings
    plt.close("all")


@pytest.fixture(scope="module")
def drawn(cfg):
    return gallery.draw(cfg)


def texts(figure):
    return [t for t in figure.findobj(plt.Text) if t.get_text().strip() and t.get_visible()]


@pytest.mark.parametrize("name", gallery.FIGURES)
def test_a_figure_is_written_and_legible(drawn, name):
    fig = drawn[name]
    png, svg = (paths.figures("tiny") / f"{name}.{kind}" for kind in ("png", "svg"))
    assert svg.stat().st_size > 1000
    marked = (plt.imread(png)[..., :3] < 0.9).any(axis=2)
    assert 0.005 < marked.mean() < 0.9
    # Ink on the very edge would mean that something is cut off.
    assert not np.concatenate([marked[[0, -1]].ravel(), marked[:, [0, -1]].ravel()]).any()
    # Ink in each quarter: nothing collapsed into a corner.
    for rows in np.array_split(marked, 2, axis=0):
        assert all(quarter.mean() > 0.002 for quarter in np.array_split(rows, 2, axis=1))
    assert 3.3 <= fig.get_figwidth() <= 7.1
    assert texts(fig) and all(t.get_fontsize() >= 7 for t in texts(fig))
    fig.canvas.draw()
    box, tolerance = fig.get_tightbbox(), 0.03
    assert box.x0 > -tolerance and box.x1 < fig.get_figwidth() + tolerance
    assert box.y0 > -tolerance and box.y1 < fig.get_figheight() + tolerance


def test_the_pipeline_declares_exactly_these_pictures():
    stage = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]["figures"]
    declared = {key.rsplit("/", 1)[1] for plot in stage["do"]["plots"] for key in plot}
    assert declared == {f"{name}.png" for name in gallery.FIGURES}


def test_files_repeat_byte_for_byte_and_carry_no_date(cfg, drawn, tmp_path):
    for name in ("nulls", "confusion"):
        again = style.save(gallery.draw_from(name)(cfg), tmp_path, name)
        first = [(paths.figures("tiny") / path.name).read_bytes() for path in again]
        assert first == [path.read_bytes() for path in again]
        assert b"<dc:date>" not in first[1]


def test_a_note_stands_where_there_is_nothing_to_draw():
    note = {"comparison": {"note": "No measured patterns were at hand."}}
    for name, content, text in (
        ("example_patterns", [], "No measured patterns were at hand."),
        ("dag_errors", {"n_errors": 0}, "There is no error."),
        ("simulator", note, "No measured patterns were at hand."),
        ("released_mistakes", {"rows": []}, "No measured patterns were at hand."),
        ("retrieval", {"rows": []}, "No measured patterns were at hand."),
    ):
        figure = gallery.FIGURES[name][-1](content)
        assert [t.get_text() for t in texts(figure)] == [text]
        plt.close(figure)


def test_only_the_main_subset_is_compared_with_the_nulls(drawn):
    widths = [bar.get_width() for bar in drawn["nulls"].axes[0].patches]
    rows = contents()["measured"]["rows"][:2]
    assert widths == pytest.approx([row["top1"] for row in rows])


def test_unknown_figures_and_missing_results_are_named(cfg):
    with pytest.raises(XrdlibError, match="No figure 'mona_lisa'; choose from dag"):
        gallery.draw(cfg, ["mona_lisa"])
    assert gallery.at_hand(cfg) == []
    with pytest.raises(XrdlibError, match=r"scaling\.json does not exist; run the stage"):
        gallery.draw(cfg, ["scaling"])
