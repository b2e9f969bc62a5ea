"""Every plot of a notebook is seen: pictures in the outputs against calls of plot functions."""

import nbformat
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


def test_a_cell_shows_each_of_its_plots():
    """Run in a kernel of this environment, as papermill and JupyterLab would."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(code) for code, _ in CELLS]
    )
    folder = {"metadata": {"path": str(ROOT)}}
    NotebookClient(notebook, kernel_name="python3", timeout=120, resources=folder).execute()
    for cell, (code, count) in zip(notebook.cells, CELLS, strict=True):
        shown = sum("image/png" in output.get("data", {}) for output in cell.outputs)
        assert shown == count, code
