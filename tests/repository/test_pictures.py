"""Every plot of a notebook is seen: pictures in the outputs against calls of plot functions."""

import nbformat
import pytest
from nbclient import NotebookClient

from xrdlib.base.paths import ROOT

# Code of a cell, and the pictures that it must leave; one after the other in one session.
CELLS = (
    ("from xrdlib.prediction.style import note, save\nimport matplotlib.pyplot as plt", 0),
    ("note('first');", 1),
    ("plt.plot([0, 1]);", 1),
    ("note('second');", 1),
    ("note('third')\nnote('fourth')\nNone", 2),
    ("import tempfile\nfigure = note('saved')\nsave(figure, tempfile.mkdtemp(), 'x');", 1),
    ("plt.plot([0, 1]);", 1),
    ("from xrdlib.prediction.html_report import picture\npicture(note('closed again'));", 0),
    ("plt.plot([0, 1]);", 1),
    ("note('a figure that the reader styles', );\nplt.rcParams['font.size'] = 20", 1),
    ("note('and whose style stays');\nassert plt.rcParams['font.size'] == 20", 1),
)


def pictures(cell):
    return sum("image/png" in output.get("data", {}) for output in cell.outputs)


@pytest.fixture(scope="module")
def executed():
    """The cells above, run in a kernel of this environment as papermill and JupyterLab would."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(code) for code, _ in CELLS]
    )
    folder = {"metadata": {"path": str(ROOT)}}
    NotebookClient(notebook, kernel_name="python3", timeout=120, resources=folder).execute()
    return notebook.cells


@pytest.mark.parametrize("index", range(len(CELLS)))
def test_a_cell_shows_each_of_its_plots(executed, index):
    assert pictures(executed[index]) == CELLS[index][1], CELLS[index][0]
