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


def constraints():
    return pins((ROOT / "constraints.txt").read_text().splitlines())


def conda():
    """The conda packages and the pip pins of environment.yml."""
    items = YAML(typ="safe", pure=True).load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = (item["pip"] for item in items if isinstance(item, dict))
    return [item for item in items if isinstance(item, str)], pip


@pytest.mark.parametrize("name", direct("book"))
def test_each_direct_dependency_is_pinned_inside_its_bounds(name):
    assert direct("book")[name].specifier.contains(constraints()[name])


@pytest.mark.parametrize("name", direct("book"))
def test_each_direct_dependency_has_both_bounds(name):
    operators = {s.operator for s in direct("book")[name].specifier}
    assert operators == {">=", "<"}


def test_conda_pins_exactly_the_direct_dependencies_at_the_same_versions():
    _, pip = conda()
    assert pins(pip) == {name: constraints()[name] for name in direct()}
    assert "--editable ." in pip


def test_conda_brings_the_tested_python():
    packages, _ = conda()
    assert f"python={TESTED_PYTHON}" in packages
    assert TESTED_PYTHON in Requirement("python" + PROJECT["requires-python"]).specifier


def test_constraints_need_no_gpu_package():
    names = constraints()
    assert not [n for n in names if n.startswith(("nvidia", "cuda", "triton"))]


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
            if name not in constraints() and not name.startswith(("nvidia", "cuda", "triton")):
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
    shown = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}"],
        env=env | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    folder, python = shown.stdout.split("\n")[:2]
    assert Path(folder).is_relative_to(sys.prefix)
    assert Path(python) == Path(sys.executable)


def make(*arguments, cwd=ROOT):
    return subprocess.run(["make", *arguments], cwd=cwd, capture_output=True, text=True)


@pytest.fixture
def project(tmp_path):
    """What `make setup` reads, with a Python that installs nothing and logs what is asked."""
    for name in ("Makefile", "params.yaml", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "fake").write_text(FAKE_PYTHON)
    (tmp_path / "fake").chmod(0o755)
    return tmp_path


def setup(project):
    """Run `make setup`; whether it succeeded, and the calls of Python since the last time."""
    log = project / "log"
    log.unlink(missing_ok=True)
    done = make("setup", "PYTHON=./fake", cwd=project)
    return done.returncode == 0, log.read_text().splitlines() if log.exists() else []


def test_setup_installs_once_and_again_only_after_a_change(project):
    ok, calls = setup(project)
    assert ok and len(calls) == 2 and "load_predictor" in calls[1]  # compiles
    assert "--constraint constraints.txt" in calls[0] and ".[dev]" in calls[0]
    assert setup(project) == (True, [])
    kept = project / ".venv/kept"
    kept.touch()
    later = (project / ".venv/.ready").stat().st_mtime + 5
    os.utime(project / "constraints.txt", (later, later))
    assert setup(project)[1] == calls
    assert kept.exists()


def test_setup_starts_afresh_after_one_that_was_cut_short(project):
    (project / "no-network").touch()
    assert not setup(project)[0]
    half = project / ".venv/half-installed"
    half.touch()
    (project / "no-network").unlink()
    ok, calls = setup(project)
    assert ok and len(calls) == 2
    assert not half.exists()


@pytest.mark.parametrize("profile", PROFILES)
def test_make_repro_runs_the_chosen_profile_only(profile):
    shown = make("--dry-run", "repro", f"PROFILE={profile}")
    assert shown.returncode == 0
    assert f"--profile {profile}" in shown.stdout
    others = set(PROFILES) - {profile}
    assert not any(f"@{other}" in shown.stdout for other in others)


def test_make_refuses_an_unknown_profile_with_the_choice():
    shown = make("--dry-run", "repro", "PROFILE=huge")
    assert shown.returncode != 0
    assert all(profile in shown.stderr for profile in PROFILES)
