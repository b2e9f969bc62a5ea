"""The line of progress of a pipeline run, on a pipeline of three small stages."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from xrdlib.base import paths
from xrdlib.cli import progress

PIPELINE = """
stages:
  third:
    cmd: cat second.txt > third.txt
    deps: [second.txt]
    outs: [third.txt]
  first:
    cmd: echo 1 > first.txt && echo seen by a person && echo a warning >&2
    outs: [first.txt]
  second:
    cmd: cat first.txt > second.txt
    deps: [first.txt]
    outs: [second.txt]
  apart:
    cmd: echo 4 > apart.txt
    outs: [apart.txt]
"""
# Stands for DVC, which takes seconds to start: one stage that ends well and one that does not.
FAKE = """
import sys, time
if sys.argv[1] != "repro":
    sys.exit(1)
print("Running stage 'first':", "> true", "Running stage 'second':", sep="\\n", flush=True)
print("what went wrong", file=sys.stderr, flush=True)
try:
    time.sleep(float(sys.argv[2]))
except KeyboardInterrupt:
    sys.exit(252)
sys.exit(3)
"""
RUN_FAKE = """
import sys
from pathlib import Path
from xrdlib.cli import progress
progress._DVC = (sys.executable, "fake.py")
sys.exit(progress.repro(sys.argv[1], Path("times.json")))
"""


def environment():
    return {**os.environ, "PYTHONPATH": str(paths.ROOT), "DVC_NO_ANALYTICS": "1"}


def start(folder, *arguments, **options):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment(), **pipes, **options)


def run(folder):
    """Exit code, stdout and stderr of a run of the real DVC."""
    process = start(folder, "-m", "xrdlib", "repro", "third", "--times", "times.json")
    shown = process.communicate()
    return process.returncode, *shown


def test_the_stages_of_a_real_pipeline(tmp_path):
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=tmp_path, check=True, env=environment())
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    code, out, err = run(tmp_path)
    assert code == 0 and out == "seen by a person\n"
    # In the order that they need, a line each, and none for what the target does not need.
    names = ("first", "second", "third")
    lines = [line for line in err.splitlines() if line.startswith("stage ")]
    assert lines == [f"stage {k + 1} of 3 ({name}), 0 min so far" for k, name in enumerate(names)]
    assert "a warning" in err and "lock file" not in out + err
    assert set(json.loads((tmp_path / "times.json").read_text())) == set(names)
    assert (tmp_path / "third.txt").read_text() == "1\n" and not (tmp_path / "apart.txt").exists()
    # What follows a changed stage is expected to run, what stands before it is only counted.
    (tmp_path / "times.json").write_text(json.dumps({"first": 60, "second": 120, "third": 300}))
    (tmp_path / "dvc.yaml").write_text(PIPELINE.replace("> second", ">> second"))
    code, _, err = run(tmp_path)
    assert code == 0 and "(first)" not in err
    assert "stage 2 of 3 (second), 0 min so far, about 7 min to go" in err
    code, out, err = run(tmp_path)
    assert code == 0 and "up to date" in out and "stage " not in err


def test_a_failure_keeps_its_exit_code_and_its_message(tmp_path):
    (tmp_path / "fake.py").write_text(FAKE)
    process = start(tmp_path, "-c", RUN_FAKE, "0")
    out, err = process.communicate()
    assert process.returncode == 3 and out == ""
    assert "what went wrong" in err and "Traceback" not in err
    assert set(json.loads((tmp_path / "times.json").read_text())) == {"first"}


@pytest.mark.skipif(os.name == "nt", reason="signals of a terminal")
@pytest.mark.parametrize(("send", "code"), [("killpg", 252), ("kill", 128 + signal.SIGTERM)])
def test_who_stops_the_run_stops_dvc_and_hears_how_it_ended(tmp_path, send, code):
    (tmp_path / "fake.py").write_text(FAKE)
    process = start(tmp_path, "-c", RUN_FAKE, "60", start_new_session=True)
    while not (tmp_path / "times.json").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    # Ctrl-C in a terminal reaches all processes of the job, `kill` the one that is named.
    getattr(os, send)(process.pid, signal.SIGINT if send == "killpg" else signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code and "Traceback" not in err
    assert set(json.loads((tmp_path / "times.json").read_text())) == {"first"}


def course(seconds):
    return progress.Course("abcd", "abcd", seconds, now=0)


def test_times_are_those_of_this_machine_once_it_has_shown_them():
    here = course({"a": 60, "b": 600, "c": 60, "d": 60})
    assert here.begin("a", 0).endswith("0 min so far, about 13 min to go")
    assert here.begin("b", 180).endswith("3 min so far, about 36 min to go")
    assert here.begin("c", 780).endswith("13 min so far, about 2 min to go")


def test_a_stage_that_never_ran_makes_the_time_a_lower_bound():
    assert course({"a": 60}).begin("a", 0).endswith("at least 1 min to go")
    assert course({}).begin("a", 0) == "stage 1 of 4 (a), 0 min so far"


def test_short_stages_are_counted_without_a_line():
    here = course({"a": 1, "b": 60})
    assert here.begin("a", 0) is None
    assert here.begin("b", 1).startswith("stage 2 of 4")
