"""Every figure of the pipeline from files in results/, and what is drawn where data are missing."""

from dataclasses import asdict

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from ruamel.yaml import YAML

from xrdlib import cli
from xrdlib.base import config, paths, results
from xrdlib.base.errors import XrdlibError
from xrdlib.base.results import write
from xrdlib.learning import calibrate, metrics, nulls, outcomes
from xrdlib.reporting import gallery
from xrdlib.reporting.plot_simulator import PANELS
from xrdlib.simulation import crystal_statistics
from xrdlib.structures.crystals import generate_balanced
from xrdlib.structures.recipes import shipped
from xrdlib.studies import graph_errors

ROOT = paths.ROOT
HISTORY = {"rows": [{"patterns": 10 * i, "loss": 5 - i, "top1": 9 * i} for i in range(4)]}
PRIOR = np.linspace(1, 3, 99) / np.linspace(1, 3, 99).sum()


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    """The results of a made-up model, in a temporary project."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    cfg = config.load("tiny")
    rng = np.random.default_rng(0)
    labels, families = rng.choice(99, p=PRIOR, size=40), rng.integers(0, 12, 40)
    scores = rng.normal(size=(40, 99))
    scores[np.arange(40), labels] += 3
    logp = scores - metrics.logsumexp(scores)[:, None]
    told = (labels, families, np.log(PRIOR))
    main = metrics.evaluate(results.MAIN, "amcsd-test", logp, *told, n_boot=20)
    null = nulls.prior_only("amcsd-test", PRIOR, *told, n_boot=20)
    write(cfg, "class_histogram", {"minerals": np.arange(99), "space groups": np.ones(99)})
    angle = np.arange(5, 90, 0.5)
    pair = (angle, 1 + np.cos(angle))
    write(cfg, "examples", [{"title": "halite", "measured": pair, "simulated": pair}])
    for name in ("stage1", "stage2", "resnet", "plain"):
        write(cfg, name, HISTORY)
    ratio = outcomes.prior_ratio(PRIOR)
    write(
        cfg,
        "calibration",
        {
            "models": {results.MAIN: asdict(calibrate.Calibration())},
            "temperature_curve": calibrate.temperature_curve(logp, labels, 1.0, ratio, [1, 2, 4]),
            "fusion_curve": {"a": [0, 1], "nll": [3, 2], "top1": [20, 30], "top5": [50, 60]},
        },
    )
    content = {
        "main_subset": "amcsd-test",
        "rows": [main, null, {**main, "subset": "random-crystals", "top1": 1.0}],
        "curriculum": [{**main, "model": f"stage {k}"} for k in (1, 2)],
        "reliability": {results.MAIN: metrics.reliability(logp, labels)},
        "confusion": metrics.confusion_by_system(logp, labels),
    }
    write(cfg, "measured", content)
    errors = graph_errors.analyse(logp, labels, families, PRIOR, 10, 0)
    assert errors["n_errors"] > 0
    write(cfg, "dag_errors", errors)
    features = {name: {"measured": [0, 1], "simulated": [0, 2], "auc": 0.6} for name in PANELS}
    comparison = {"n": 9, "families": 5, "note": None, "features": features}
    comparison["two_sample"] = {"features": {"auc": 0.7}, "network": None}
    sizes = {"volume": 1.0, "atoms": 2.0, "reflections": 3.0}
    costs = [
        {"by": by, **sizes, "structure_ms": 1.0, "pattern_ms": 2.0} for by in (*sizes, "supercell")
    ]
    crystals = [generate_balanced(shipped(), 30, seed) for seed in (0, 1)]
    content = {"comparison": comparison, "costs": costs}
    write(cfg, "simulator", content | {"crystals": crystal_statistics.compare(*crystals)})
    found = {"system": "cubic", "n": 9, "n_families": 4, "system_found": 80.0, "cell_found": 70.0}
    write(cfg, "indexing", {"rows": [found, null], "example": None})
    write(cfg, "retrieval", {"rows": [main, null]})
    appraised = {
        "rows": [main, null],
        "coverage": [
            {"promised": p, "patterns": p, "families": p, "size": 9 * p} for p in (0.5, 0.9)
        ],
        "answered": {"share": [0.5, 1.0], "top1": [0.9, 0.6], "confidence": [0.9, 0.2]},
        "mistakes": [
            {
                "true": "P - - -",
                "predicted": "P -",
                "probability": 0.9,
                "nearest": "halite",
                "similarity": 0.8,
                "two_theta": angle.tolist(),
                "intensity": (1 + np.cos(angle)).tolist(),
            }
        ]
        * 3,
    }
    write(cfg, "released", appraised)
    return cfg


def written(profile="tiny"):
    return sorted(path.name for path in paths.figures(profile).iterdir())


def texts(figure):
    return [t.get_text() for t in figure.findobj(matplotlib.text.Text) if t.get_text()]


def test_every_figure_is_drawn_and_kept_twice(cfg):
    figures = gallery.draw(cfg)
    assert list(figures) == list(gallery.FIGURES)
    assert written() == sorted(f"{name}.{kind}" for name in figures for kind in ("png", "svg"))
    for name in figures:
        image = plt.imread(paths.figures("tiny") / f"{name}.png")
        assert image[..., :3].std() > 0.01, name


def test_the_pipeline_declares_exactly_these_pictures():
    stage = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]["13_figures"]
    declared = {key.rsplit("/", 1)[1] for plot in stage["do"]["plots"] for key in plot}
    assert declared == {f"{name}.png" for name in gallery.FIGURES}


def test_figures_can_be_drawn_by_name(cfg):
    assert list(gallery.draw(cfg, ["nulls", "decoders"])) == ["nulls", "decoders"]
    assert written() == ["decoders.png", "decoders.svg", "nulls.png", "nulls.svg"]
    with pytest.raises(XrdlibError, match="No figure 'mona_lisa'; choose from dag"):
        gallery.draw(cfg, ["mona_lisa"])


def test_a_note_stands_where_there_is_nothing_to_draw(cfg):
    write(cfg, "examples", [])
    write(cfg, "dag_errors", {"n_errors": 0})
    write(cfg, "simulator", {"comparison": {"note": "No measured patterns were at hand."}})
    figures = gallery.draw(cfg, ["example_patterns", "dag_errors", "simulator"])
    assert texts(figures["simulator"]) == ["No measured patterns were at hand."]
    assert texts(figures["example_patterns"]) == ["No measured patterns were at hand."]
    assert texts(figures["dag_errors"]) == ["There is no error."]
    assert len(written()) == 6


def test_only_the_main_subset_is_compared_with_the_nulls(cfg, monkeypatch):
    seen = []
    monkeypatch.setattr(gallery, "nulls", lambda rows: seen.extend(rows) or plt.figure())
    gallery.draw(cfg, ["nulls"])
    assert [row["model"] for row in seen] == [results.MAIN, "prior only"]
    assert {row["subset"] for row in seen} == {"amcsd-test"}


def test_a_missing_result_is_named_and_no_figure_is_half_written(cfg):
    (paths.results("tiny") / "measured.json").unlink()
    with pytest.raises(XrdlibError, match=r"measured\.json does not exist; run the stage"):
        gallery.draw(cfg)
    assert written() == []


def test_command_line(cfg, capsys):
    assert cli.main(["gallery", "--profile", "tiny", "decoders"]) == 0
    assert capsys.readouterr().out.strip().endswith("decoders.png")
    assert written() == ["decoders.png", "decoders.svg"]
    assert cli.main(["gallery", "--profile", "tiny", "x"]) == 2
    assert "No figure 'x'" in capsys.readouterr().err
