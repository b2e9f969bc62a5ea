"""What is installed, and what make does: pins, one version, one kernel, set-up, profiles."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

import xrdlib
from xrdlib.base.config import PROFILES
from xrdlib.base.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TESTED_PYTHON = "3.11"
GPU = ("nvidia", "cuda", "triton")
# A second Python in place of the real one: `-m venv` makes a venv whose python logs its calls.
FAKE_PYTHON = """#!/bin/sh
mkdir -p .venv/bin
cat > .venv/bin/python <<'END'
#!/bin/sh
echo "$@" >> log
test ! -e no-network
END
chmod +x .venv/bin/python
"""


def direct(*more):
    """Direct dependencies, those for development included: name -> Requirement."""
    extras = PROJECT["optional-dependencies"]
    lines = PROJECT["dependencies"] + [line for name in ("dev", *more) for line in extras[name]]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def pins(lines):
    """Exact versions: name -> version; fails on any other line."""
    wanted = [line for line in lines if line and not line.startswith(("#", "--editable"))]
    exact = [re.fullmatch(r"([\w.-]+)==([\w.]+)", line) for line in wanted]
    assert all(exact), [line for line, match in zip(wanted, exact, strict=True) if not match]
    return {canonicalize_name(match[1]): match[2] for match in exact}


CONSTRAINTS = pins((ROOT / "constraints.txt").read_text().splitlines())


def test_each_direct_dependency_has_both_bounds_and_is_pinned_inside():
    for name, requirement in direct("book").items():
        assert {s.operator for s in requirement.specifier} == {">=", "<"}, name
        assert requirement.specifier.contains(CONSTRAINTS[name]), name
    assert not [name for name in CONSTRAINTS if name.startswith(GPU)]


def test_conda_pins_exactly_the_direct_dependencies_and_the_tested_python():
    items = YAML(typ="safe", pure=True).load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = (item["pip"] for item in items if isinstance(item, dict))
    assert pins(pip) == {name: CONSTRAINTS[name] for name in direct()}
    assert "--editable ." in pip and f"python={TESTED_PYTHON}" in items
    assert TESTED_PYTHON in Requirement("python" + PROJECT["requires-python"]).specifier


@pytest.mark.skipif(
    not sys.version.startswith(f"{TESTED_PYTHON}.") or not sys.platform.startswith("linux"),
    reason=f"constraints.txt describes Linux with Python {TESTED_PYTHON}",
)
def test_constraints_hold_every_package_that_an_install_brings():
    pending = [(requirement, "") for requirement in direct().values()]
    seen, missing = set(), set()
    while pending:
        requirement, extra = pending.pop()
        name = canonicalize_name(requirement.name)
        here = requirement.marker is None or requirement.marker.evaluate({"extra": extra})
        for wanted in ["", *requirement.extras] if here else []:
            if (name, wanted) in seen:
                continue
            seen.add((name, wanted))
            if name not in CONSTRAINTS and not name.startswith(GPU):
                missing.add(name)
            try:
                pending += [(Requirement(line), wanted) for line in requires(name) or []]
            except PackageNotFoundError:
                missing.add(name)
    # pip freeze leaves out the tools that a venv starts with.
    assert missing <= {"pip", "setuptools"}


def test_one_version_everywhere():
    citation = YAML(typ="safe", pure=True).load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["version"] == xrdlib.__version__ == citation["version"]


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="not run from a virtual environment")
def test_the_kernel_named_python3_is_this_environment(tmp_path):
    decoy = tmp_path / ".local/share/jupyter/kernels/python3/kernel.json"
    decoy.parent.mkdir(parents=True)
    decoy.write_text('{"argv": ["false"], "display_name": "decoy", "language": "python"}')
    code = (
        "from jupyter_client import KernelManager;"
        "m = KernelManager(kernel_name='python3');"
        "print(m.kernel_spec.resource_dir, m.format_kernel_cmd()[0], sep='\\n')"
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "XDG"))}
    env |= {"HOME": str(tmp_path)}
    shown = subprocess.check_output([sys.executable, "-c", code], env=env, text=True)
    folder, python = shown.split("\n")[:2]
    assert Path(folder).is_relative_to(sys.prefix)
    assert Path(python) == Path(sys.executable)


def make(*arguments, cwd=ROOT):
    return subprocess.run(["make", *arguments], cwd=cwd, capture_output=True, text=True)


def test_setup_starts_afresh_after_one_that_was_cut_short(tmp_path):
    """Otherwise it installs once, and again after a change."""
    for name in ("Makefile", "params.yaml", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "fake").write_text(FAKE_PYTHON)
    (tmp_path / "fake").chmod(0o755)

    def setup():
        """Whether `make setup` succeeded, and the calls of Python since the last time."""
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        done = make("setup", "PYTHON=./fake", cwd=tmp_path)
        return done.returncode == 0, log.read_text().splitlines() if log.exists() else []

    (tmp_path / "no-network").touch()
    assert not setup()[0]
    half = tmp_path / ".venv/half-installed"
    half.touch()
    (tmp_path / "no-network").unlink()
    ok, calls = setup()
    assert ok and len(calls) == 2 and "load_predictor" in calls[1]  # compiles
    assert "--constraint constraints.txt" in calls[0] and ".[dev]" in calls[0]
    assert not half.exists()
    assert setup() == (True, [])
    half.touch()
    later = (tmp_path / ".venv/.ready").stat().st_mtime + 5
    os.utime(tmp_path / "constraints.txt", (later, later))
    assert setup() == (True, calls)
    assert half.exists()


def test_make_repro_runs_the_chosen_profile_and_refuses_an_unknown_one():
    for profile in PROFILES:
        shown = make("--dry-run", "repro", f"PROFILE={profile}")
        assert shown.returncode == 0 and f"--profile {profile}" in shown.stdout
    shown = make("--dry-run", "repro", "PROFILE=huge")
    assert shown.returncode != 0
    assert all(profile in shown.stderr for profile in PROFILES)
