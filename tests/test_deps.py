import json
import subprocess
import sys

import pytest

from xrdlib import deps
from xrdlib.errors import XrdlibError
from xrdlib.paths import ROOT

GROUPS = {"xrdlib/groups.py", "xrdlib/tables/symmetry.json"}


def used(source):
    return set(deps.of_source(source))


@pytest.mark.parametrize(
    "source",
    [
        "from xrdlib import groups",
        "import xrdlib.groups as g",
        "from xrdlib.groups import symbols",
        "def later():\n    from xrdlib import groups",
        "import xrdlib\nxrdlib.extinction_groups()",
        "import xrdlib as x\nx.extinction_groups()",
        "from xrdlib import extinction_groups",
    ],
)
def test_each_way_to_import_a_module_counts_with_its_tables(source):
    assert used(source) >= GROUPS


def test_imports_of_imports_count():
    assert used("from xrdlib import dag") >= GROUPS | {"xrdlib/dag.py", "xrdlib/errors.py"}


@pytest.mark.parametrize(
    "source", ["", "import numpy", "import xrdlib", "xrdlib2.groups = 'groups'"]
)
def test_other_source_uses_nothing(source):
    assert used(source) == set()


def test_what_python_loads_is_among_what_is_found():
    code = "import sys, xrdlib.dag; print(*[m for m in sys.modules if m.startswith('xrdlib.')])"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    names = {f"xrdlib/{name.split('.')[1]}.py" for name in loaded.stdout.split()}
    assert "xrdlib/groups.py" in names
    assert names <= used("import xrdlib.dag")


def notebook(path, *sources):
    cells = [{"cell_type": "code", "source": source.splitlines(True)} for source in sources]
    cells.append({"cell_type": "markdown", "source": "from xrdlib import config"})
    path.write_text(json.dumps({"cells": cells}))
    return path


def test_a_notebook_counts_its_code_cells_only(tmp_path):
    path = notebook(
        tmp_path / "n.ipynb", "%matplotlib inline\nimport xrdlib as x", "x.subgroup_dag()"
    )
    assert set(deps.of_notebook(path)) == used("from xrdlib import dag")


def test_what_cannot_be_read_is_refused_by_name(tmp_path):
    with pytest.raises(XrdlibError, match=r"gone\.ipynb does not exist"):
        deps.of_notebook(tmp_path / "gone.ipynb")
    (tmp_path / "text.ipynb").write_text("text")
    with pytest.raises(XrdlibError, match=r"text\.ipynb is not a Jupyter notebook"):
        deps.of_notebook(tmp_path / "text.ipynb")
    with pytest.raises(XrdlibError, match=r"n\.ipynb is not valid Python, line 2"):
        deps.of_notebook(notebook(tmp_path / "n.ipynb", "a = 1\nb = ="))
