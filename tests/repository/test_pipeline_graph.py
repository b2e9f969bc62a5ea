"""dvc.yaml as DVC reads it: its stages, what they need and make, and what a change reruns."""

import json
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import networkx as nx
import psutil
import pytest
from checkout import choose, copy, repro, run
from dvc.repo import Repo

from xrdlib.base.config import PROFILES
from xrdlib.base.paths import ROOT

NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
MAIN = [name for name in NOTEBOOKS if name < "20" or name == "28_graph_errors"]
STUDIES = [name for name in NOTEBOOKS if name not in MAIN]
# A process with a child in a session of its own, as a notebook has its kernel.
FAMILY = """
import pathlib, subprocess
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
pathlib.Path("pid.part").write_text(str(child.pid))
pathlib.Path("pid.part").rename("pid")
child.wait()
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project in which nothing has run."""
    return copy(tmp_path_factory.mktemp("project"))


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
        names = {f"{name}@{profile}" for name in [*MAIN, "figures"]} | {
            f"{n}@{profile}-study" for n in STUDIES
        }
        assert {stage.name for stage in repo.index.stages} == names | {"code", "inventory"}
        above = nx.descendants(repo.index.graph, stages["30_claims"])
    assert {stages[name] for name in STUDIES[:-1]} <= above and len(STUDIES) == 9
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
    assert sorted(ran) == sorted(["code", *(f"{name}@tiny" for name in [*MAIN, "figures"])])
    assert ran.index("02_synthesis@tiny") < ran.index("04_stage1@tiny")


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


def test_what_is_interrupted_leaves_no_kernel_behind(tmp_path, monkeypatch):
    (tmp_path / "family.py").write_text(FAMILY)

    def interrupted(process):
        while not (tmp_path / "pid").is_file():
            time.sleep(0.05)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "family")
    # Nobody may be there to bury what lost its parent.
    with suppress(psutil.NoSuchProcess):
        assert psutil.Process(int((tmp_path / "pid").read_text())).status() == "zombie"
