import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest
from dvc.repo import Repo

from xrdlib import deps
from xrdlib.config import PROFILES
from xrdlib.paths import ROOT

NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
PARTS = ["xrdlib", "notebooks", "dvc.yaml", "params.yaml", ".dvcignore"]

each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS)
each_profile = pytest.mark.parametrize("profile", PROFILES)


@pytest.fixture(scope="module")
def index():
    """DVC's own reading of every dvc.yaml; it refuses cycles and overlapping outs."""
    with Repo(str(ROOT)) as repo:
        index = repo.index
        index.check_graph()
        yield index


@pytest.fixture(scope="module")
def stages(index):
    """Name -> stage."""
    return {stage.name: stage for stage in index.stages}


def paths(outputs):
    """Their paths from the project's root; parameters are left out."""
    files = [out for out in outputs if getattr(out, "params", None) is None]
    return [Path(out.fs_path).relative_to(ROOT).as_posix() for out in files]


def test_there_is_a_stage_for_each_notebook_and_profile_and_no_other(stages):
    pipeline = {f"{name}@{profile}" for name in NOTEBOOKS for profile in PROFILES}
    assert set(stages) == pipeline | {f"strip@{name}" for name in NOTEBOOKS} | {
        *("laptop", "inventory")
    }


@each_notebook
@each_profile
def test_a_stage_lists_just_the_files_that_its_notebook_uses(stages, notebook, profile):
    listed = paths(stages[f"{notebook}@{profile}"].deps)
    assert f"build/{notebook}.ipynb" in listed
    package = sorted(path for path in listed if path.startswith("xrdlib"))
    assert package == deps.of_notebook(ROOT / f"notebooks/{notebook}.ipynb")


@each_notebook
@each_profile
def test_a_stage_runs_its_own_notebook_under_its_own_profile(stages, notebook, profile):
    stage = stages[f"{notebook}@{profile}"]
    run = f"build/{notebook}.ipynb runs/{profile}/{notebook}.ipynb -p profile {profile}"
    assert stage.cmd.endswith(run)
    assert f"runs/{profile}/{notebook}.ipynb" in paths(stage.outs)


@each_notebook
@each_profile
def test_a_stage_stays_in_the_folders_of_its_profile(stages, notebook, profile):
    stage = stages[f"{notebook}@{profile}"]
    own = (
        f"runs/{profile}/",
        f"results/{profile}/",
        *(["figures/"] if profile == "laptop" else []),
    )
    made = ("runs/", "results/", "figures/", "checkpoints/")
    assert all(path.startswith(own) for path in paths(stage.outs))
    assert all(path.startswith(own) for path in paths(stage.deps) if path.startswith(made))


def test_no_stage_reads_an_executed_notebook(stages):
    read = {path for stage in stages.values() for path in paths(stage.deps)}
    assert not [path for path in read if path.startswith("runs/") and path.endswith(".ipynb")]


def test_what_git_keeps_is_not_in_the_cache_and_the_rest_is(stages):
    for stage in stages.values():
        for out, path in zip(stage.outs, paths(stage.outs), strict=True):
            big = path.startswith("runs/") and "/figures/" not in path
            assert out.use_cache == big


def needed_by(index, stage):
    """Names of all stages that a stage depends on, near and far."""
    return {other.name for other in nx.descendants(index.graph, stage)}


def test_a_bare_repro_is_the_laptop_profile(index, stages):
    above = needed_by(index, stages["laptop"])
    # The studies, which take hours, are asked for by name.
    quick = [name for name in NOTEBOOKS if name <= "13_figures"]
    wanted = {f"{n}@laptop" for n in quick} | {f"strip@{n}" for n in quick}
    assert above == wanted | {"inventory"}


def test_the_companion_needs_every_study(index, stages):
    above = needed_by(index, stages["24_companion@laptop"])
    studies = {f"{name}@laptop" for name in NOTEBOOKS if "13_figures" < name < "24"}
    assert studies <= above and len(studies) == 10


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project in which 01_symmetry@tiny has run."""
    folder = tmp_path_factory.mktemp("project")
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, folder / part)
    (folder / "notebooks/dvc.lock").unlink(missing_ok=True)
    dvc(folder, "init", "--no-scm", "--quiet", "--force")
    shutil.copy(ROOT / ".dvcignore", folder)
    assert set(repro(folder)) == {"strip@01_symmetry", "01_symmetry@tiny"}
    return folder


def dvc(folder, *arguments):
    here = Path(sys.executable).parent
    env = os.environ | {"PATH": f"{here}{os.pathsep}{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
    env["DVC_SITE_CACHE_DIR"] = str(folder / ".dvc/tmp/site")
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def repro(folder, *options):
    """Names of the stages that `dvc repro` runs to bring 01_symmetry@tiny up to date."""
    shown = dvc(folder, "repro", *options, "notebooks/dvc.yaml:01_symmetry@tiny")
    ran = [line for line in shown.splitlines() if line.startswith("Running stage")]
    return [line.split("'")[1].partition("dvc.yaml:")[2] for line in ran]


def test_without_a_change_nothing_runs(project):
    assert repro(project) == []


@pytest.mark.parametrize(
    ("module", "ran"), [("dag", ["01_symmetry@tiny"]), ("metrics", []), ("__init__", [])]
)
def test_a_change_in_a_module_reruns_what_uses_it_and_no_more(project, module, ran):
    path = project / f"xrdlib/{module}.py"
    before = path.read_text()
    path.write_text(before + "\n# A comment.\n")
    assert repro(project, "--dry") == ran
    path.write_text(before)


def test_saving_a_notebook_with_outputs_reruns_nothing_but_its_stripping(project):
    path = project / "notebooks/01_symmetry.ipynb"
    before = path.read_text()
    shutil.copy(project / "runs/tiny/01_symmetry.ipynb", path)
    saved = json.loads(path.read_text())
    injected = [c for c in saved["cells"] if "injected-parameters" in c["metadata"].get("tags", [])]
    saved["cells"] = [cell for cell in saved["cells"] if cell not in injected]
    saved["metadata"].pop("papermill")
    for number, cell in enumerate(saved["cells"]):
        cell["metadata"] = {"tags": cell["metadata"]["tags"]} if cell["metadata"]["tags"] else {}
        cell["id"] = f"new-{number}"
    assert any(cell.get("outputs") for cell in saved["cells"])
    path.write_text(json.dumps(saved))
    assert repro(project) == ["strip@01_symmetry"]
    path.write_text(before)
