"""The whole pipeline, tiny, through DVC and papermill, in a copy of the files that git tracks."""

import json
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from checkout import copy, repro, run

from xrdlib.base import paths
from xrdlib.base.errors import XrdlibError
from xrdlib.learning import nulls
from xrdlib.reporting import gallery, report
from xrdlib.structures import datasets

# A slow and busy machine may take its time; what is killed takes its kernels with it.
pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(3600)]
# What `make repro` runs; the studies after it are walked through by .ci/run.
NOTEBOOKS = sorted(
    path.stem
    for path in (paths.ROOT / "notebooks").glob("[0-9]*.ipynb")
    if path.stem < "20" or path.stem == "28_graph_errors"
)
KEYS = ("n", "top1", "top5", "top1_ci95", "balanced_top1", "nll", "ece", "bits_over_prior")
NEEDS_MODELS = ("physics transformer", "search-match", "resnet", "plain transformer")


@pytest.fixture(scope="module")
def amcsd():
    """The mineral structures, fetched if need be; without them there is no pipeline."""
    try:
        return datasets.fetch("amcsd")
    except XrdlibError as error:
        pytest.skip(f"no mineral structures: {error}")


@pytest.fixture(scope="module")
def measured():
    """Whether there are measured patterns on this machine, in either form."""
    present = {row["name"] for row in datasets.inventory() if row["present"]}
    return "rruff" in present or {"rruff-processed", "rruff-dif"} <= present


@pytest.fixture(scope="module")
def project(tmp_path_factory, amcsd):
    """A copy in which the tiny profile has run from beginning to end."""
    folder = copy(tmp_path_factory.mktemp("pipeline"))
    (folder / "data").mkdir()
    (folder / "data" / amcsd.name).symlink_to(amcsd)
    ran = repro(folder)
    assert sorted(ran) == sorted(["code", *(f"{name}@tiny" for name in [*NOTEBOOKS, "figures"])])
    return folder


@pytest.fixture(scope="module")
def summary(project):
    return json.loads((project / "results/tiny/summary.json").read_text())


def rows(summary, subset):
    return {row["model"]: row for row in summary["rows"] if row["subset"] == subset}


def finite(value):
    return all(math.isfinite(v) for v in (value if isinstance(value, list) else [value]))


def test_the_table_has_every_model_and_null_with_possible_numbers(summary, measured):
    for subset in ("rruff-test", "amcsd-test", "random-crystals"):
        found = rows(summary, subset)
        # The released predictor knows the structures behind the simulated patterns.
        known = set() if subset == "rruff-test" else {"released"}
        if subset == "random-crystals":  # where the prior is uniform, whoever votes
            known.add(nulls.BY_PATTERNS)
        assert set(found) == set(report.MODELS) - known
        if subset == "rruff-test" and not measured:
            assert all(row[key] is None for row in found.values() for key in KEYS)
            continue
        assert len({row["n"] for row in found.values()}) == 1
        for row in found.values():
            assert all(finite(row[key]) for key in KEYS)
            assert 0 <= row["top1"] <= row["top5"] <= 100 and 0 <= row["ece"] <= 100
            assert row["top1"] <= row["top1_97"] + 1e-9
            low, high = row["top1_ci95"]
            assert 0 <= low <= row["top1"] + 1e-9 <= high + 2e-9 <= 100 + 2e-9
        prior, shuffled = found["prior only"], found["shuffled"]
        assert abs(prior["bits_over_prior"]) < 1e-9
        for model in NEEDS_MODELS:
            gain = (prior["nll"] - found[model]["nll"]) / math.log(2)
            assert math.isclose(found[model]["bits_over_prior"], gain, abs_tol=1e-9)
        # What is told of other patterns tells nothing.
        low, high = shuffled["bits_ci95"]
        assert low <= shuffled["bits_over_prior"] <= high and low <= 0
    about = [note for note in summary["notes"] if "rruff-test" in note and "XRDLIB_DATA" in note]
    assert len(about) == (not measured)


def test_predictions_are_kept_and_give_the_numbers_of_the_table(project, summary, measured):
    table = pd.read_parquet(project / "results/tiny/predictions.parquet")
    found = rows(summary, "rruff-test" if measured else "amcsd-test")
    assert table["name"].is_unique
    for model in NEEDS_MODELS:
        assert found[model]["n"] == len(table)
        hit = [table[f"{model} {k}"] == table["label"] for k in range(1, 6)]
        assert math.isclose(found[model]["top1"], 100 * hit[0].mean(), abs_tol=1e-6)
        assert math.isclose(found[model]["top5"], 100 * np.any(hit, axis=0).mean(), abs_tol=1e-6)


def test_choices_were_made_apart_from_the_test(project, measured):
    chosen = {
        json.loads((project / f"results/tiny/{name}.json").read_text())["chosen_on"]
        for name in ("prior", "calibration", "baselines")
    }
    assert chosen == {"rruff-calibration" if measured else "amcsd-calibration"}


def test_every_figure_is_there_and_not_blank(project):
    folder = project / "figures/tiny"
    assert {p.stem for p in folder.glob("*.png")} == set(gallery.FIGURES)
    for name in gallery.FIGURES:
        image = plt.imread(folder / f"{name}.png")[..., :3]
        assert image.shape[0] > 100 and image.shape[1] > 400
        assert 0.001 < (image.min(axis=2) < 0.6).mean() < 0.9, name
        svg = ET.parse(folder / f"{name}.svg").getroot()
        shapes = [e for e in svg.iter() if e.tag.rpartition("}")[2] in ("path", "use", "text")]
        assert len(shapes) > 5, name


def test_notebooks_ran_to_their_ends_and_show_each_of_their_plots(project):
    """A picture for each call of a plot function that stands in no condition."""
    shown = {}
    for name in NOTEBOOKS:
        cells = json.loads((project / f"runs/tiny/{name}.ipynb").read_text())["cells"]
        for cell in (cell for cell in cells if cell["cell_type"] == "code"):
            assert cell["execution_count"] is not None, name
            assert not [out for out in cell["outputs"] if out["output_type"] == "error"], name
            source = "".join(cell["source"])
            calls = re.findall(r"^plot_\w+\.\w+\(", source, re.MULTILINE)
            if calls and " if " not in source:
                pictures = sum("image/png" in out.get("data", {}) for out in cell["outputs"])
                shown[name, cell["execution_count"]] = (len(calls), pictures)
    assert len(shown) > 8
    assert not {cell: counts for cell, counts in shown.items() if counts[0] != counts[1]}


def test_a_second_run_does_nothing(project):
    for path in (project / "xrdlib").rglob("*.py"):
        path.touch()
    assert repro(project) == []


def test_metrics_and_plots_are_shown_as_users_of_dvc_expect(project):
    shown = json.loads(run(project, "dvc", "metrics", "show", "--json"))
    found = {path.name for path in (project / "results/tiny").glob("*.json")}
    assert {Path(name).name for name in shown[""]["data"]} == found
    page = run(project, "dvc", "plots", "show", "--out", "plots")
    assert Path(page.strip().removeprefix("file://")).is_file()
    assert len(list((project / "plots/static").glob("*.png"))) == len(gallery.FIGURES)


def test_the_report_prints_the_table(project, summary):
    shown = run(project, "xrdlib", "report", "--profile", "tiny")
    assert "Results of profile tiny" in shown and "Figures: figures/tiny" in shown
    for subset in ("rruff-test", "amcsd-test", "random-crystals"):
        part = shown[shown.index(subset) :]
        for model, row in rows(summary, subset).items():
            line = next(line for line in part.splitlines() if line.startswith(model))
            assert ("n/a" if row["top1"] is None else f"{row['top1']:.1f}") in line


def test_a_finished_training_is_not_repeated(project):
    """DVC is told to run the stage again, which finds its finished run and changes nothing."""
    # Equal to the last digit, the seconds that training took included.
    made = [project / f"{n}/tiny/{m}" for n, m in
            (("results", "stage1.json"), ("runs", "models/stage1.safetensors"))]  # fmt: skip
    before = [path.read_bytes() for path in made]
    path = project / "xrdlib/learning/train.py"
    path.write_text(path.read_text() + "\n# A remark.\n")
    assert repro(project, "04_stage1@tiny", "--single-item", "--force") == ["04_stage1@tiny"]
    assert [path.read_bytes() for path in made] == before


def test_without_measured_data_the_first_stage_says_so_and_notices_when_they_come(
    project, amcsd, tmp_path
):
    data = tmp_path / "elsewhere"
    data.mkdir()
    (data / amcsd.name).symlink_to(amcsd)
    repro(project, "00_data", data=data)
    found = json.loads((project / "results/tiny/data.json").read_text())
    assert found["measured"] == {} and found["amcsd"]["structures"] > 100
    assert list((project / "runs/tiny/sets/rruff").iterdir()) == []
    assert "No measured patterns" in (project / "runs/tiny/00_data.ipynb").read_text()
    repro(project, "inventory", data=data)
    assert repro(project, "00_data", "--dry", data=data) == []
    (data / "rruff.npz").write_bytes(b"patterns")
    repro(project, "inventory", data=data)
    assert repro(project, "00_data", "--dry", data=data) == ["00_data@tiny"]
