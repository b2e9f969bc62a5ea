import json
from types import SimpleNamespace

import pytest
import torch

from xrdlib.base import provenance
from xrdlib.base.errors import XrdlibError
from xrdlib.learning.baselines import build
from xrdlib.learning.checkpoint import config_hash

GROUPS = {"xrdlib/symmetry/groups.py", "xrdlib/base/tables/symmetry.json"}
SHAPE = {"widths": (4, 4, 4, 4)}


def used(source):
    return set(provenance.of_source(source))


@pytest.mark.parametrize(
    "source",
    [
        "from xrdlib.symmetry import groups",
        "import xrdlib.symmetry.groups as g",
        "from xrdlib.symmetry.groups import symbols",
        "def later():\n    from xrdlib.symmetry import groups",
        "import xrdlib\nxrdlib.extinction_groups()",
        "import xrdlib as x\nx.extinction_groups()",
        "from xrdlib import extinction_groups",
    ],
)
def test_each_way_to_import_a_module_counts_with_its_tables(source):
    assert used(source) >= GROUPS


@pytest.mark.parametrize("source", ["", "import numpy", "import xrdlib", "xrdlib2.groups"])
def test_other_source_uses_nothing(source):
    assert used(source) == set()


def notebook(path, *sources):
    cells = [{"cell_type": "code", "source": source.splitlines(True)} for source in sources]
    cells.append({"cell_type": "markdown", "source": "from xrdlib.base import config"})
    path.write_text(json.dumps({"cells": cells}))
    return path


def test_a_notebook_counts_its_code_cells_only(tmp_path):
    path = notebook(
        tmp_path / "n.ipynb", "%matplotlib inline\nimport xrdlib as x", "x.subgroup_dag()"
    )
    assert set(provenance.of_notebook(path)) == used("from xrdlib.symmetry import dag")


def test_what_cannot_be_read_is_refused_by_name(tmp_path):
    with pytest.raises(XrdlibError, match=r"gone\.ipynb does not exist"):
        provenance.of_notebook(tmp_path / "gone.ipynb")
    (tmp_path / "text.ipynb").write_text("text")
    with pytest.raises(XrdlibError, match=r"text\.ipynb is not a Jupyter notebook"):
        provenance.of_notebook(tmp_path / "text.ipynb")
    with pytest.raises(XrdlibError, match=r"n\.ipynb is not valid Python, line 2"):
        provenance.of_notebook(notebook(tmp_path / "n.ipynb", "a = 1\nb ="))


def of_run(model=None, labels=(1, 2), stream=None, settings=None, **more):
    source = SimpleNamespace(batch=lambda step: (None, torch.tensor(labels)), config=stream or {})
    model = model or build("resnet", SHAPE)
    return provenance.of_run(model, source, settings or {"lr": 1}, **more)


@pytest.mark.parametrize(
    "change",
    [
        {"model": build("resnet", {"widths": (4, 4, 4, 8)})},
        {"model": build("resnet", SHAPE, seed=1)},
        {"labels": (1, 3)},
        {"stream": {"seed": 2}},
        {"settings": {"lr": 2}},
        {"class_probabilities": [0.5, 0.5]},
        {"config": {"bank": "sha"}},
    ],
)
def test_whatever_changes_the_numbers_changes_the_identity(change):
    assert config_hash(of_run()) != config_hash(of_run(**change))


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(XrdlibError, match="Only JSON values"):
        of_run(stream={"source": object()})


def test_the_code_of_training_counts_and_that_of_plots_does_not():
    names = {file.name for file in provenance.training_files()}
    assert {"groups.py", "model.py", "ranks.py", "train.py", "stream.py", "symmetry.json"} <= names
    assert not names & {"plots.py", "metrics.py", "checkpoint.py", "files.py", "provenance.py"}


def test_patterns_of_reflections_know_nothing_of_crystals():
    names = {f.name for f in provenance.training_files("xrdlib.simulation.reflection_stream")}
    assert {"reflection_patterns.py", "train.py", "model.py", "symmetry.json"} <= names
    assert not names & {"stream.py", "crystals.py", "realism.py"}


def test_a_module_has_a_digest_of_all_code_behind_it(tmp_path):
    provenance.write(tmp_path, ["xrdlib/reporting/gallery.py"])
    names = {line.split()[1] for line in (tmp_path / "gallery").read_text().splitlines()}
    assert {"xrdlib/reporting/gallery.py", "xrdlib/reporting/plot_scores.py"} <= names
    assert not {name for name in names if name.startswith(("xrdlib/cli/", "notebooks/"))}
    with pytest.raises(XrdlibError, match="nothing.py does not exist"):
        provenance.write(tmp_path, ["xrdlib/nothing.py"])


def test_digests_see_code_and_not_its_looks(tmp_path):
    def digest(text, name="a.py"):
        file = tmp_path / name
        file.write_text(text)
        return provenance.code_digest([file])

    code = 'def f(x):\n    """Doc."""\n    return x + 1\n'
    looks = '"""Module."""\n\n# a comment\ndef f( x ):\n    return (x + 1)\n'
    assert digest(code) == digest(looks)
    assert digest(code) != digest(code.replace("+ 1", "+ 2"))
    assert digest(code) != digest(code, "b.py")
    assert digest('{"a": 1}', "t.json") != digest('{"a": 2}', "t.json")
