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
    here = Path(sys.executable).parent
    env = os.environ | {"PATH": f"{here}{os.pathsep}{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
    env["DVC_SITE_CACHE_DIR"] = str(folder / ".dvc/tmp/site")
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def repro(folder, *arguments):
    """Names of the stages that `dvc repro` runs."""
    shown = dvc(folder, "repro", *arguments)
    return [line.split("'")[1] for line in shown.splitlines() if line.startswith("Running stage")]


@pytest.fixture(scope="module", params=PROFILES)
def profile(request):
    return request.param


@pytest.fixture(scope="module")
def index(project, profile):
    """DVC's own reading of dvc.yaml with the studies; it refuses cycles and overlapping outs."""
    choose(project, profile, "study")
    with Repo(str(project)) as repo:
        index = repo.index
        index.check_graph()
        yield index


@pytest.fixture(scope="module")
def stages(index):
    """Notebook -> stage; and the two stages without one."""
    return {stage.name.partition("@")[0]: stage for stage in index.stages}


def paths(outputs):
    """Their paths from the project's root; parameters are left out."""
    files = [out for out in outputs if getattr(out, "params", None) is None]
    return [Path(out.fs_path).relative_to(out.repo.root_dir).as_posix() for out in files]


def test_there_is_a_stage_for_each_notebook_and_no_other(index, profile):
    names = {f"{name}@{profile}" for name in MAIN} | {f"{name}@{profile}-study" for name in STUDIES}
    assert {stage.name for stage in index.stages} == names | {"code", "inventory"}


def test_a_stage_runs_its_own_notebook_with_its_code_under_its_profile(stages, profile):
    for name in NOTEBOOKS:
        assert stages[name].cmd.endswith(f"' {name} {profile}")
        assert f"runs/{profile}/{name}.ipynb" in paths(stages[name].outs)
        read = [path for path in paths(stages[name].deps) if path.startswith(("build/", "xrdlib"))]
        assert read[:2] == [f"build/code/{name}", f"build/notebooks/{name}.ipynb"]
        assert read[2:] in ([], ["build/inventory.json"])


def test_a_stage_stays_in_the_folders_of_its_profile(stages, profile):
    made = ("runs/", "results/", "figures/", "checkpoints/")
    own = tuple(f"{folder}{profile}/" for folder in made)
    for name in NOTEBOOKS:
        assert all(path.startswith(own) for path in paths(stages[name].outs))
        read = [path for path in paths(stages[name].deps) if path.startswith(made)]
        assert all(path.startswith(own) for path in read)
        # The bytes of an executed notebook differ from run to run.
        assert not [path for path in read if path.endswith(".ipynb")]


def test_what_git_keeps_is_not_in_the_cache_and_the_rest_is(stages):
    for stage in stages.values():
        for out, path in zip(stage.outs, paths(stage.outs), strict=True):
            assert out.use_cache == path.startswith("runs/")


def test_the_companion_needs_every_study(index, stages):
    above = {
        stage.name.partition("@")[0]
        for stage in nx.descendants(index.graph, stages["24_companion"])
    }
    assert set(STUDIES) - {"24_companion"} <= above and len(STUDIES) == 11


def test_a_bare_repro_is_the_profile_of_the_parameters_without_the_studies(project):
    # Forced, as DVC's dry run otherwise looks for files that earlier stages would have made.
    choose(project, "tiny")
    ran = repro(project, "--dry", "--force")
    assert sorted(ran) == sorted(["code", "inventory", *(f"{name}@tiny" for name in MAIN)])
    assert ran.index("02_synthesis@tiny") < ran.index("03_stage1@tiny")


@pytest.fixture(scope="module")
def drawn(project):
    """The project in which 01_symmetry@tiny has run."""
    choose(project, "tiny")
    assert repro(project, "01_symmetry") == ["code", "01_symmetry@tiny"]
    assert repro(project, "01_symmetry") == []
    return project


@pytest.mark.parametrize(
    ("module", "text", "ran"),
    [
        ("symmetry/dag", "# A comment.", ["code"]),
        ("learning/metrics", "MORE = 1", ["code"]),
        ("__init__", "MORE = 1", ["code"]),
        ("symmetry/dag", "MORE = 1", ["code", "01_symmetry@tiny"]),
    ],
)
def test_a_changed_line_reruns_what_uses_it_and_a_comment_nothing(drawn, module, text, ran):
    path = drawn / f"xrdlib/{module}.py"
    path.write_text(f"{path.read_text()}\n{text}\n")
    assert repro(drawn, "01_symmetry") == ran


def test_saving_a_notebook_with_outputs_reruns_nothing_but_its_stripping(drawn):
    path = drawn / "notebooks/01_symmetry.ipynb"
    shutil.copy(drawn / "runs/tiny/01_symmetry.ipynb", path)
    saved = json.loads(path.read_text())
    injected = [c for c in saved["cells"] if "injected-parameters" in c["metadata"].get("tags", [])]
    saved["cells"] = [cell for cell in saved["cells"] if cell not in injected]
    saved["metadata"].pop("papermill")
    for number, cell in enumerate(saved["cells"]):
        cell["metadata"] = {"tags": cell["metadata"]["tags"]} if cell["metadata"]["tags"] else {}
        cell["id"] = f"new-{number}"
    assert any(cell.get("outputs") for cell in saved["cells"])
    path.write_text(json.dumps(saved))
    assert repro(drawn, "01_symmetry") == ["code"]
