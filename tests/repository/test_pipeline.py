"""The whole pipeline, tiny, through DVC and papermill, in a copy of the files that git tracks."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from contextlib import suppress
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import psutil
import pytest

from xrdlib.base import paths
from xrdlib.base.errors import XrdlibError
from xrdlib.reporting import gallery, report
from xrdlib.structures import datasets

# A slow and busy machine may take its time; what is killed takes its kernels with it.
pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(3600)]
ROOT = paths.ROOT
# What `make repro` runs; the studies after it are walked through by .ci/run.
NOTEBOOKS = sorted(
    path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb") if path.stem <= "13_figures"
)
KEYS = ("n", "top1", "top5", "top1_ci95", "balanced_top1", "nll", "ece", "bits_over_prior")
# A process with a child in a session of its own, as a notebook has its kernel.
FAMILY = """
import pathlib, subprocess
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
pathlib.Path("pid.part").write_text(str(child.pid))
pathlib.Path("pid.part").rename("pid")
child.wait()
"""
NEEDS_MODELS = ("physics transformer", "search-match", "resnet", "plain transformer")


@pytest.fixture(scope="module")
def amcsd():
    """The mineral structures, fetched if need be; without them there is no pipeline."""
    try:
        return datasets.fetch("amcsd")
    except XrdlibError as error:
        pytest.skip(f"no mineral structures: {error}")


def measured_at_hand():
    """Whether there are measured patterns on this machine, in either form."""
    present = {row["name"] for row in datasets.inventory() if row["present"]}
    return "rruff" in present or {"rruff-processed", "rruff-dif"} <= present


def copy(folder, amcsd):
    """Put into a folder what a fresh clone has, this environment, and the mineral structures."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("the project is not a git checkout, so its files cannot be told from others")
    # Results of earlier runs must not pass for those of this one.
    earlier = ("results/", "figures/", "dvc.lock")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(earlier):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    params = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(re.sub("^profile: .*", "profile: tiny", params, flags=re.M))
    (folder / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "data").mkdir()
    (folder / "data" / amcsd.name).symlink_to(amcsd)
    return folder


def run(folder, *arguments, data=None):
    """Output of ``python -m`` in a folder, with measured data from there or where they are."""
    bin_folder = Path(sys.executable).parent
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "JUPYTER_PATH")}
    env |= {
        "PATH": f"{bin_folder}{os.pathsep}{env['PATH']}",
        "XRDLIB_DATA": str(data or paths.data_dir()),
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(folder / ".dvc/tmp/site"),
    }
    command = [sys.executable, "-m", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=folder, env=env, **pipes) as process:
        try:
            out, err = process.communicate()
        except BaseException:
            end_family(process.pid)
            raise
    assert process.returncode == 0, out[-3000:] + err[-3000:]
    return out


def end_family(pid):
    """Kill a process and all that came of it; a kernel has a session of its own."""
    parent = psutil.Process(pid)
    family = [parent, *parent.children(recursive=True)]
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(family[1:], timeout=10)


@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError])
def test_what_is_interrupted_leaves_no_kernel_behind(tmp_path, monkeypatch, error):
    (tmp_path / "family.py").write_text(FAMILY)

    def interrupted(process):
        while not (tmp_path / "pid").is_file():
            time.sleep(0.05)
        raise error

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(error):
        run(tmp_path, "family")
    # Nobody may be there to bury what lost its parent.
    with suppress(psutil.NoSuchProcess):
        assert psutil.Process(int((tmp_path / "pid").read_text())).status() == "zombie"


def repro(folder, *arguments, data=None):
    """Names of the stages that ``dvc repro`` ran; without the inventory, which runs every time."""
    shown = run(folder, "dvc", "repro", *arguments, data=data)
    lines = [line for line in shown.splitlines() if line.startswith("Running stage")]
    return [name for line in lines if (name := line.split("'")[1]) != "inventory"]


@pytest.fixture(scope="module")
def project(tmp_path_factory, amcsd):
    """A copy in which the tiny profile has run from beginning to end."""
    folder = copy(tmp_path_factory.mktemp("pipeline"), amcsd)
    ran = repro(folder)
    assert sorted(ran) == sorted(["code", *(f"{name}@tiny" for name in NOTEBOOKS)])
    return folder


@pytest.fixture(scope="module")
def summary(project):
    return json.loads((project / "results/tiny/summary.json").read_text())


def rows(summary, subset):
    return {row["model"]: row for row in summary["rows"] if row["subset"] == subset}


def finite(value):
    return all(math.isfinite(v) for v in (value if isinstance(value, list) else [value]))


def test_the_table_has_every_model_and_null_on_measured_patterns(summary):
    found = rows(summary, "rruff-test")
    assert sorted(found) == sorted(report.MODELS)
    for row in found.values():
        assert set(KEYS) <= set(row)
        if measured_at_hand():
            assert all(finite(row[key]) for key in KEYS)
        else:
            assert all(row[key] is None for key in KEYS)
    about = [note for note in summary["notes"] if "rruff-test" in note and "XRDLIB_DATA" in note]
    assert len(about) == (not measured_at_hand())


@pytest.mark.parametrize("subset", ["rruff-test", "amcsd-test", "random-crystals"])
def test_numbers_are_possible_and_the_nulls_know_nothing(summary, subset):
    found = rows(summary, subset)
    if subset == "rruff-test" and not measured_at_hand():
        pytest.skip("there are no measured patterns on this machine")
    # The released predictor knows the structures behind the simulated patterns.
    known = set() if subset == "rruff-test" else {"released"}
    assert set(found) == set(report.MODELS) - known
    assert len({row["n"] for row in found.values()}) == 1
    for row in found.values():
        assert all(finite(row[key]) for key in KEYS)
        assert 0 <= row["top1"] <= row["top5"] <= 100 and 0 <= row["ece"] <= 100
        assert row["top1"] <= row["top1_97"] + 1e-9
        assert 0 <= row["top1_ci95"][0] <= row["top1"] <= row["top1_ci95"][1] <= 100
    prior, shuffled = found["prior only"], found["shuffled"]
    assert abs(prior["bits_over_prior"]) < 1e-9
    for model in NEEDS_MODELS:
        gain = (prior["nll"] - found[model]["nll"]) / math.log(2)
        assert math.isclose(found[model]["bits_over_prior"], gain, abs_tol=1e-9)
    low, high = shuffled["bits_ci95"]
    assert low <= shuffled["bits_over_prior"] <= high
    assert low <= 0


def test_predictions_are_kept_and_give_the_numbers_of_the_table(project, summary):
    table = pd.read_parquet(project / "results/tiny/predictions.parquet")
    main = "rruff-test" if measured_at_hand() else "amcsd-test"
    found = rows(summary, main)
    assert table["name"].is_unique
    for model in NEEDS_MODELS:
        assert found[model]["n"] == len(table)
        hit = [table[f"{model} {k}"] == table["label"] for k in range(1, 6)]
        assert math.isclose(found[model]["top1"], 100 * hit[0].mean(), abs_tol=1e-6)
        assert math.isclose(found[model]["top5"], 100 * np.any(hit, axis=0).mean(), abs_tol=1e-6)


def test_choices_were_made_apart_from_the_test(project):
    chosen = {
        json.loads((project / f"results/tiny/{name}.json").read_text())["chosen_on"]
        for name in ("prior", "calibration", "baselines")
    }
    assert chosen == {"rruff-calibration" if measured_at_hand() else "amcsd-calibration"}


@pytest.mark.parametrize("name", gallery.FIGURES)
def test_every_figure_is_there_and_not_blank(project, name):
    folder = project / "figures/tiny"
    image = plt.imread(folder / f"{name}.png")[..., :3]
    assert image.shape[0] > 100 and image.shape[1] > 400
    dark = (image.min(axis=2) < 0.6).mean()
    assert 0.001 < dark < 0.9
    svg = ET.parse(folder / f"{name}.svg").getroot()
    shapes = [e for e in svg.iter() if e.tag.rpartition("}")[2] in ("path", "use", "text")]
    assert len(shapes) > 5
    assert {p.stem for p in folder.glob("*.png")} == set(gallery.FIGURES)


def test_no_notebook_failed_or_says_where_it_ran(project):
    for name in NOTEBOOKS:
        cells = json.loads((project / f"runs/tiny/{name}.ipynb").read_text())["cells"]
        outputs = [out for cell in cells for out in cell.get("outputs", [])]
        assert not [out for out in outputs if out["output_type"] == "error"], name
        counts = [c["execution_count"] for c in cells if c["cell_type"] == "code"]
        assert None not in counts, name


def test_notebooks_show_each_of_their_plots(project):
    """A picture for each call of a plot function that stands in no condition."""
    shown = {}
    for path in (project / "runs/tiny").glob("*.ipynb"):
        for cell in json.loads(path.read_text())["cells"]:
            calls = re.findall(r"^plot_\w+\.\w+\(", "".join(cell["source"]), re.MULTILINE)
            if cell["cell_type"] == "code" and calls and " if " not in "".join(cell["source"]):
                pictures = sum("image/png" in out.get("data", {}) for out in cell["outputs"])
                shown[path.stem, cell["execution_count"]] = (len(calls), pictures)
    assert len(shown) > 8
    assert not {cell: counts for cell, counts in shown.items() if counts[0] != counts[1]}


def test_a_second_run_does_nothing(project):
    for path in (project / "xrdlib").rglob("*.py"):
        path.touch()
    assert repro(project) == []


def test_a_plot_module_concerns_only_what_draws_with_it(project):
    path = project / "xrdlib/reporting/plot_simulator.py"
    before = path.read_text()
    sources = {n: (project / f"notebooks/{n}.ipynb").read_text() for n in NOTEBOOKS}
    drawing = {f"{n}@tiny" for n, text in sources.items() if "plot_simulator" in text}

    def concerned(text):
        path.write_text(text)
        assert repro(project, "code") == ["code"]
        return set(repro(project, "--dry"))

    assert 0 < len(drawing) < 4
    assert concerned(before + "\n# A remark.\n") == set()
    assert concerned(before + "\nMORE = 1\n") == drawing | {"13_figures@tiny"}
    assert concerned(before) == set()


def test_metrics_and_plots_are_shown_as_users_of_dvc_expect(project):
    shown = json.loads(run(project, "dvc", "metrics", "show", "--json"))
    found = {path.name for path in (project / "results/tiny").glob("*.json")}
    assert {Path(name).name for name in shown[""]["data"]} == found
    page = run(project, "dvc", "plots", "show", "--out", "plots")
    assert Path(page.strip().removeprefix("file://")).is_file()
    assert len(list((project / "plots/static").glob("*.png"))) == len(gallery.FIGURES)


def test_a_finished_training_is_not_repeated(project, tmp_path):
    """DVC is told to run the stage again, which finds its finished run and changes nothing."""
    folder = tmp_path / "again"
    shutil.copytree(project, folder, symlinks=True)
    path = folder / "xrdlib/learning/train.py"
    path.write_text(path.read_text() + "\n# A remark.\n")
    ran = repro(folder, "03_stage1@tiny", "--single-item", "--force")
    assert ran == ["03_stage1@tiny"]
    # Equal to the last digit, the seconds that training took included.
    for name in ("results/tiny/stage1.json", "runs/tiny/models/stage1.safetensors"):
        assert (folder / name).read_bytes() == (project / name).read_bytes()


def test_the_report_prints_the_table(project, summary):
    shown = run(project, "xrdlib", "report", "--profile", "tiny")
    assert "Results of profile tiny" in shown and "Figures: figures/tiny" in shown
    for subset in ("rruff-test", "amcsd-test", "random-crystals"):
        part = shown[shown.index(subset) :]
        for model, row in rows(summary, subset).items():
            line = next(line for line in part.splitlines() if line.startswith(model))
            assert ("n/a" if row["top1"] is None else f"{row['top1']:.1f}") in line


def test_without_measured_data_the_first_stage_says_so_and_notices_when_they_come(tmp_path, amcsd):
    folder, data = copy(tmp_path / "project", amcsd), tmp_path / "elsewhere"
    data.mkdir()
    (data / amcsd.name).symlink_to(amcsd)
    assert repro(folder, "00_data", data=data) == ["code", "00_data@tiny"]
    found = json.loads((folder / "results/tiny/data.json").read_text())
    assert found["measured"] == {} and found["amcsd"]["structures"] > 100
    assert list((folder / "runs/tiny/sets/rruff").iterdir()) == []
    assert "No measured patterns" in (folder / "runs/tiny/00_data.ipynb").read_text()

    def refreshed():
        repro(folder, "inventory", data=data)
        return "00_data@tiny" in repro(folder, "00_data", "--dry", data=data)

    assert not refreshed()
    (data / "rruff.npz").write_bytes(b"patterns")
    assert refreshed()
    (data / "rruff.npz").unlink()
    assert not refreshed()
