"""dvc.yaml as DVC reads it: its stages, what they need and make, and what a change reruns."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest
from dvc.repo import Repo

from xrdlib.base.config import PROFILES
from xrdlib.base.paths import ROOT

NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
MAIN = [name for name in NOTEBOOKS if name <= "13_figures"]
STUDIES = [name for name in NOTEBOOKS if name > "13_figures"]
PARTS = ["xrdlib", "notebooks", "models", "dvc.yaml", "params.yaml", ".dvcignore"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project in which nothing has run."""
    folder = tmp_path_factory.mktemp("project")
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, folder / part)
    dvc(folder, "init", "--no-scm", "--quiet", "--force")
    shutil.copy(ROOT / ".dvcignore", folder)
    return folder


def choose(folder, profile, studies=""):
    """Write into params.yaml what is to run."""
    text = (ROOT / "params.yaml").read_text()
    text = re.sub("^profile: .*", f"profile: {profile}", text, flags=re.M)
    text = re.sub("^studies: .*", f"studies: [{studies}]", text, flags=re.M)
    (folder / "params.yaml").write_text(text)


def dvc(folder, *arguments):
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "JUPYTER_PATH")}
    env |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(folder / ".dvc/tmp/site"),
    }
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def repro(folder, *arguments):
    """Names of the stages that `dvc repro` runs."""
    shown = dvc(folder, "repro", *arguments)
    return [line.split("'")[1] for line in shown.splitlines() if line.startswith("Running stage")]


def paths(outputs):
    """Their paths from the project's root; parameters are left out."""
    files = [out for out in outputs if getattr(out, "params", None) is None]
    return [Path(out.fs_path).relative_to(out.repo.root_dir).as_posix() for out in files]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_stage_runs_its_own_notebook_under_its_profile_and_stays_in_its_folders(project, profile):
    choose(project, profile, "study")
    with Repo(str(project)) as repo:
        repo.index.check_graph()  # refuses cycles and overlapping outs
        stages = {stage.name.partition("@")[0]: stage for stage in repo.index.stages}
        names = {f"{name}@{profile}" for name in MAIN} | {f"{n}@{profile}-study" for n in STUDIES}
        assert {stage.name for stage in repo.index.stages} == names | {"code", "inventory"}
        above = nx.descendants(repo.index.graph, stages["24_companion"])
    assert {stages[name] for name in STUDIES[:-1]} <= above and len(STUDIES) == 11
    made = ("runs/", "results/", "figures/", "checkpoints/")
    own = tuple(f"{folder}{profile}/" for folder in made)
    for name in NOTEBOOKS:
        stage = stages[name]
        assert stage.cmd.endswith(f"' {name} {profile}")
        outs, deps = paths(stage.outs), paths(stage.deps)
        assert f"runs/{profile}/{name}.ipynb" in outs and all(p.startswith(own) for p in outs)
        read = [path for path in deps if path.startswith(("build/", "xrdlib"))]
        assert read[:2] == [f"build/code/{name}", f"build/notebooks/{name}.ipynb"]
        assert read[2:] in ([], ["build/inventory.json"])
        read = [path for path in deps if path.startswith(made)]
        # The bytes of an executed notebook differ from run to run.
        assert all(path.startswith(own) and not path.endswith(".ipynb") for path in read)
        # What git keeps is not in the cache.
        assert [out.use_cache for out in stage.outs] == [path.startswith("runs/") for path in outs]


def test_a_bare_repro_is_the_profile_of_the_parameters_without_the_studies(project):
    # Forced, as DVC's dry run otherwise looks for files that earlier stages would have made.
    choose(project, "tiny")
    ran = repro(project, "--dry", "--force")
    assert sorted(ran) == sorted(["code", "inventory", *(f"{name}@tiny" for name in MAIN)])
    assert ran.index("02_synthesis@tiny") < ran.index("03_stage1@tiny")


def test_a_changed_line_reruns_what_uses_it_and_comments_and_outputs_nothing(project):
    choose(project, "tiny")
    assert repro(project, "01_symmetry") == ["code", "01_symmetry@tiny"]
    for module, text in (
        ("symmetry/dag", "# A comment."),
        ("learning/metrics", "MORE = 1"),
        ("__init__", "MORE = 1"),
    ):
        path = project / f"xrdlib/{module}.py"
        path.write_text(f"{path.read_text()}\n{text}\n")
    save_with_outputs(project)
    assert repro(project, "01_symmetry") == ["code"]
    path = project / "xrdlib/symmetry/dag.py"
    path.write_text(f"{path.read_text()}\nMORE = 1\n")
    assert repro(project, "01_symmetry") == ["code", "01_symmetry@tiny"]
    assert repro(project, "01_symmetry") == []


def save_with_outputs(project):
    """Put the executed notebook in the place of its source, as JupyterLab would save it."""
    saved = json.loads((project / "runs/tiny/01_symmetry.ipynb").read_text())
    injected = [c for c in saved["cells"] if "injected-parameters" in c["metadata"].get("tags", [])]
    saved["cells"] = [cell for cell in saved["cells"] if cell not in injected]
    saved["metadata"].pop("papermill")
    for number, cell in enumerate(saved["cells"]):
        cell["metadata"] = {"tags": cell["metadata"]["tags"]} if cell["metadata"]["tags"] else {}
        cell["id"] = f"new-{number}"
    assert any(cell.get("outputs") for cell in saved["cells"])
    (project / "notebooks/01_symmetry.ipynb").write_text(json.dumps(saved))
