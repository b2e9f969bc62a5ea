"""`dvc repro` with one line a stage: which of how many, minutes so far, about how many to go.

Everything else that DVC, its stages and their notebooks write to stderr is left as it is, and so
are DVC's exit codes. The times come from a file, which every stage that runs brings up to date.

xrdlib repro [TARGET] [--times FILE]
"""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from ..base import files

_DVC = (sys.executable, "-m", "dvc")
_EDGE = re.compile(r'"(.+)" -> "(.+)";')
_NODE = re.compile(r'"([^"]+)";')
_STAGE = re.compile(r"(Running s|S)tage '(.+?)'(:$| didn't change| is cached)")

# Hints of DVC that are of use only to those who type its commands themselves.
_ASIDE = re.compile(
    r"(> |\s*git add |(Generating|Updating) lock file|To track the changes|To enable auto staging|"
    r"\s*dvc config core\.autostage|Use `dvc push`|$)"
)

_LEAST = 5  # seconds; a stage known to take less gets no line


class Course:
    """Progress of a run of the pipeline.

    Parameters
    ----------
    stages : iterable of str
        All that the target needs.
    expected : iterable of str
        Those of them that are likely to run.
    seconds : dict of str to float
        What stages took the last time.
    now : float
        Seconds on any clock, as for all methods.

    Examples
    --------
    >>> course = Course(["a", "b", "c"], ["b", "c"], {"b": 240, "c": 600}, now=0)
    >>> course.begin("a", 0, runs=False)
    >>> course.begin("b", 0)
    'stage 2 of 3 (b), 0 min so far, about 14 min to go'
    >>> course.begin("c", 480)
    'stage 3 of 3 (c), 8 min so far, about 20 min to go'
    """

    def __init__(
        self, stages: Iterable[str], expected: Iterable[str], seconds: dict[str, float], now: float
    ) -> None:
        self.total, self.begun, self.number = len(set(stages)), now, 0
        self.pending, self.before, self.took = set(expected), dict(seconds), {}
        self.stage = self.since = None

    def begin(self, stage: str, now: float, runs: bool = True) -> str | None:
        """A stage begins, and so the one before has ended; the line to show, if there is one."""
        self.end(now)
        self.number += 1
        left = self._left(stage)
        self.pending.discard(stage)
        if runs:
            self.stage, self.since = stage, now
        if not runs or self.before.get(stage, _LEAST) < _LEAST:
            return None
        of = f" of {self.total}" if self.total >= self.number else ""
        name = stage.rpartition(":")[2]
        return f"stage {self.number}{of} ({name}), {_minutes(now - self.begun)} so far{left}"

    def _left(self, stage):
        """About how long it takes from the beginning of a stage, in words."""
        pending = self.pending | {stage}
        estimates = [self.before[name] for name in pending & self.before.keys()]
        if not estimates:
            return ""
        # A machine that is slower than the last one is slower in all stages.
        both = self.took.keys() & self.before.keys()
        then, here = (sum(took[name] for name in both) for took in (self.before, self.took))
        prefix = "about" if len(estimates) == len(pending) else "at least"
        scale = here / then if then > 30 else 1
        return f", {prefix} {_minutes(scale * sum(estimates))} to go"

    def end(self, now: float) -> None:
        """The stage that was running has ended well."""
        if self.stage is not None:
            self.took[self.stage] = round(now - self.since, 1)
        self.stage = None


def repro(target: str = "dvc.yaml", times: Path | None = None) -> int:
    """Run ``dvc repro`` and show how far it is; the exit code is DVC's.

    `target` is a stage or a file of stages, as DVC names it; `times` a JSON file with the seconds
    that each stage took.
    """
    seconds = _read(times)
    course = Course(*plan(target), seconds, time.monotonic())
    command = [*_DVC, "repro", target]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as child:
        # Ctrl-C reaches DVC too, which ends its stage, says so, and sets the exit code.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        terminated = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        try:
            for line in child.stdout:
                _follow(course, line, times)
            code = child.wait()
        finally:
            signal.signal(signal.SIGINT, before)
            signal.signal(signal.SIGTERM, terminated)
    if code == 0:
        course.end(time.monotonic())
        _write(course, times)
    return code if code >= 0 else 128 - code


def plan(target: str) -> tuple[set[str], set[str]]:
    """Stages that a target needs, and those of them that have changed or follow such ones.

    Both are empty where DVC cannot tell; running the pipeline then says why.
    """
    graph = _asked("dag", "--dot", target)
    changed = _asked("status", "--json", "--with-deps", target)
    stages, edges = set(_NODE.findall(graph)), _EDGE.findall(graph)
    stages |= {name for edge in edges for name in edge}
    expected = set(json.loads(changed or "{}")) & stages
    while more := {after for before, after in edges if before in expected} - expected:
        expected |= more
    return stages, expected


def _follow(course, line, times):
    """Update the course from a line of DVC's output, and print it or the progress."""
    if not (match := _STAGE.match(line)):
        if not _ASIDE.match(line.rstrip("\n")):
            print(line, end="", flush=True)
        return
    shown = course.begin(match[2], time.monotonic(), runs=match[1] == "Running s")
    if course.took:
        _write(course, times)
    if shown:
        print(shown, file=sys.stderr, flush=True)


def _asked(*arguments):
    done = subprocess.run([*_DVC, *arguments], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ""


def _read(path):
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def _write(course, path):
    if path and course.took:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(
            path, json.dumps(course.before | course.took, indent=1, sort_keys=True) + "\n"
        )


def _minutes(seconds):
    return f"{seconds / 60:.0f} min"
