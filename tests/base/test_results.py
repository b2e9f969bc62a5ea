"""The stamp of a result, and how results of different runs are distinguished."""

import json
import subprocess

import numpy as np
import pytest

import xrdlib
from xrdlib.base import paths, results
from xrdlib.base.errors import XrdlibError


def git(*arguments):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(cfg):
    """The temporary project as a git checkout of one commit, the tiny configuration."""
    (paths.ROOT / "xrdlib").mkdir()
    (paths.ROOT / "xrdlib/code.py").write_text("a = 1\n")
    git("init", "--quiet")
    git("add", "xrdlib")
    git("commit", "--quiet", "--message", "One")
    return cfg


def test_a_result_says_what_made_it(cfg):
    results.write(cfg, "made", {"a": 1})
    made = results.made_with(cfg, "made")
    assert made["version"] == xrdlib.__version__
    assert made["configuration"]["stage1"] == vars(cfg.stage1) | {"realism": {}}
    assert made["configuration"]["profile"] == "tiny"
    assert made["threads"] == cfg.threads and made["seconds"] >= 0 and made["processor"]
    assert made["commit"] == "unknown" and "dirty" not in made and "precision" not in made


def test_json_comes_back_with_arrays_as_lists(cfg):
    content = {"a": np.arange(3), "b": {"c": np.float32(0.5)}, "d": [np.int64(2), None, "x"]}
    results.write(cfg, "made", content)
    expected = {"a": [0, 1, 2], "b": {"c": 0.5}, "d": [2, None, "x"]}
    assert results.read(cfg, "made") == expected
    written = json.loads((paths.ROOT / "results/tiny/made.json").read_text())
    assert {key: written[key] for key in expected} == expected
    results.write(cfg, "listed", [1, 2])
    assert results.read(cfg, "listed") == [1, 2]


@pytest.mark.parametrize("bad", [float("nan"), np.array([1.0, np.inf]), {1, 2}, object()])
def test_what_json_cannot_hold_is_refused_and_the_old_file_stays(cfg, bad):
    results.write(cfg, "made", {"kept": 1})
    with pytest.raises(XrdlibError, match=r"made\.json cannot be written"):
        results.write(cfg, "made", {"good": 1, "bad": bad})
    assert results.read(cfg, "made") == {"kept": 1}


def test_a_result_that_is_missing_or_damaged_is_named(cfg):
    with pytest.raises(XrdlibError, match=r"absent\.json does not exist; run the stage"):
        results.read(cfg, "absent")
    (paths.results("tiny") / "half.json").write_text('{"rows": [')
    with pytest.raises(XrdlibError, match=r"half\.json is not JSON"):
        results.read(cfg, "half")
    (paths.results("tiny") / "old.json").write_text('{"a": 1}')
    assert results.made_with(cfg, "old") == {} and results.read(cfg, "old") == {"a": 1}


def test_the_commit_is_named_and_changed_code_but_not_changed_results(checkout):
    assert results.stamp(checkout)["commit"] == git("rev-parse", "HEAD")
    results.write(checkout, "made", {"a": 1})
    assert results.stamp(checkout)["dirty"] is False
    (paths.ROOT / "xrdlib/code.py").write_text("a = 2\n")
    assert results.stamp(checkout)["dirty"] is True


def test_a_package_inside_another_checkout_has_no_commit(checkout, monkeypatch):
    inside = paths.ROOT / "xrdlib"
    monkeypatch.setattr(paths, "ROOT", inside)
    assert results.stamp(checkout)["commit"] == "unknown"


def test_results_of_several_runs_are_named_in_one_line(checkout):
    results.write(checkout, "a", {})
    first = git("rev-parse", "--short=7", "HEAD")
    git("commit", "--quiet", "--allow-empty", "--message", "Two")
    results.write(checkout, "b", {})
    checkout.seed += 1
    results.write(checkout, "c", {})
    (paths.results("tiny") / "d.json").write_text(json.dumps({"x": 1}))
    second = git("rev-parse", "--short=7", "HEAD")
    assert results.mixed(checkout, ["a", "b", "c", "d", "a"]) == (
        f"Results of 4 different runs stand side by side: a (commit {first}); b (commit {second}); "
        f"c (commit {second} with another configuration); d (no stamp)."
    )
