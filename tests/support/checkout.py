"""A copy of the project as a fresh clone has it, and what DVC does in it."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from xrdlib.base import paths

ROOT = paths.ROOT


def copy(folder):
    """Put into a folder what git tracks, without results of earlier runs, and this environment."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("the project is not a git checkout, so its files are not listed")
    earlier = ("results/", "figures/", "dvc.lock")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(earlier):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    (folder / ".venv").symlink_to(sys.prefix)
    choose(folder, "tiny")
    return folder


def choose(folder, profile, studies=""):
    """Write into params.yaml what a bare `dvc repro` runs."""
    text = (ROOT / "params.yaml").read_text()
    text = re.sub("^profile: .*", f"profile: {profile}", text, flags=re.M)
    text = re.sub("^studies: .*", f"studies: [{studies}]", text, flags=re.M)
    (folder / "params.yaml").write_text(text)


def run(folder, *arguments, data=None):
    """Output of ``python -m`` in a folder, with measured data from there or where they are."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "JUPYTER_PATH")}
    env |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}",
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
            _end_family(process.pid)
            raise
    assert process.returncode == 0, out[-3000:] + err[-3000:]
    return out


def repro(folder, *arguments, data=None):
    """Names of the stages that ``dvc repro`` ran; without the inventory, which runs every time."""
    shown = run(folder, "dvc", "repro", *arguments, data=data)
    lines = [line for line in shown.splitlines() if line.startswith("Running stage")]
    return [name for line in lines if (name := line.split("'")[1]) != "inventory"]


def _end_family(pid):
    """Kill a process and all that came of it; a kernel has a session of its own."""
    parent = psutil.Process(pid)
    family = [parent, *parent.children(recursive=True)]
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(family[1:], timeout=10)
