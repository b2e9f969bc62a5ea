"""What `pip install .` gives: a wheel that answers about a pattern without a checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

from xrdlib.base.paths import ROOT
from xrdlib.prediction.widgets import quartz


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Path of a wheel, built from a copy of what git has, so that nothing stays behind here."""
    copy = tmp_path_factory.mktemp("source")
    listed = run(
        "git", "ls-files", "-z", "xrdlib", "models", "pyproject.toml", "README.md", cwd=ROOT
    )
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    run(*pip, "--wheel-dir", copy / "dist", copy)
    (path,) = (copy / "dist").iterdir()
    return path


def test_it_holds_every_module_table_and_weight(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    files = [
        f for f in (ROOT / "xrdlib").rglob("*.*") if f.suffix in (".py", ".json", ".html", ".css")
    ]
    missing = {f.relative_to(ROOT).as_posix() for f in files} - inside
    assert not missing
    weights = {
        f"xrdlib/{f.relative_to(ROOT).as_posix()}" for f in ROOT.glob("models/*.safetensors")
    }
    assert weights <= inside


def test_an_environment_with_nothing_but_it_predicts(wheel, tmp_path):
    builder = venv.EnvBuilder(symlinks=True)
    builder.create(tmp_path / "env")
    python = builder.ensure_directories(tmp_path / "env").env_exe
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    with zipfile.ZipFile(wheel) as file:
        file.extractall(site)
    # The libraries that it needs, found after it: installing them again would take minutes.
    with open(os.path.join(site, "libraries.pth"), "w") as file:
        file.write(sysconfig.get_path("purelib") + "\n")
    pattern = tmp_path / "pattern.xy"
    rows = zip(quartz().two_theta, quartz().intensity, strict=True)
    pattern.write_text("\n".join(f"{x:.2f} {y:g}" for x, y in rows))
    code = "import xrdlib; print(xrdlib.__file__)"
    assert run(python, "-I", "-c", code, cwd=tmp_path).startswith(site)
    arguments = ("predict", str(pattern), "--csv", "--wavelength", "CuKa")
    answer = run(python, "-I", "-m", "xrdlib", *arguments, cwd=tmp_path)
    assert "154" in answer.splitlines()[1].split(",")[5].split()
