"""The page of the notebook `predict_your_pattern`: controls, and the answer they lead to."""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import ipywidgets
import numpy as np

from ..base.errors import XrdlibError
from ..base.patterns import CALCULATION_GRID
from ..simulation import powder
from ..simulation.diffraction import WAVELENGTHS
from ..symmetry.groups import SYSTEMS
from . import html_report
from .answer import Request, answer
from .predictor import load_predictor
from .reading.pattern import read_pattern

_FROM_FILE = "as the file says, else CuKa"

# a and c in angstrom; Levien, Prewitt & Weidner, American Mineralogist 65, 920 (1980).
_QUARTZ = (4.9160, 4.9160, 5.4054, 90.0, 90.0, 120.0)


class Page:
    """Choose a file, a wavelength, a prior and a cell; see the answer.

    Parameters
    ----------
    path : path-like, optional
        Pattern to begin with; by default one of quartz, simulated.
    weights : path-like, optional
        As for `predictor.load_predictor`.

    Attributes
    ----------
    box : ipywidgets.VBox
        What to display.
    answer : dict or None
        As from `answer.answer`; None where there is none.
    upload, wavelength, prior, stated, cell : ipywidgets.Widget
        The controls.
    shown : ipywidgets.HTML
        The answer.

    Raises
    ------
    XrdlibError
        If the file that `path` names cannot be read.
    """

    def __init__(self, path=None, weights=None):
        self.predictor, self.answer = load_predictor(weights), None
        wide = {"style": {"description_width": "9em"}, "layout": {"width": "34em"}}
        self.upload = ipywidgets.FileUpload(description="Choose a file", layout={"width": "14em"})
        self.wavelength = ipywidgets.Dropdown(
            options=[_FROM_FILE, *WAVELENGTHS], description="Wavelength", **wide
        )
        priors = ["minerals", "uniform", *(f"system={name}" for name in SYSTEMS)]
        self.prior = ipywidgets.Dropdown(options=priors, description="Prior", **wide)
        self.stated = ipywidgets.Text(
            description="or your own", placeholder="sg=14,15 or P21/c=3,C2/c=1",
            continuous_update=False, **wide,
        )  # fmt: skip
        self.cell = ipywidgets.Text(
            description="Cell, if known", placeholder="a, b, c, alpha, beta, gamma",
            continuous_update=False, **wide,
        )  # fmt: skip
        self.shown = ipywidgets.HTML()
        controls = [self.upload, self.wavelength, self.prior, self.stated, self.cell]
        self.box = ipywidgets.VBox([*controls, self.shown])
        if path is None:
            self.file, self.pattern = "quartz (simulated)", quartz()
            self.cell.value = ", ".join(f"{value:g}" for value in _QUARTZ)
        else:
            self.file, self.pattern = Path(path).name, read_pattern(path)
        self.upload.observe(self._read, "value")
        for control in controls[1:]:
            control.observe(self._update, "value")
        self._update()

    def _read(self, change):
        """Read what was uploaded; it leaves the browser for this process only."""
        if not change["new"]:
            return
        given = change["new"][0]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"pattern{Path(given['name']).suffix}"
            file.write_bytes(given["content"])
            self.file = given["name"]
            try:
                self.pattern = read_pattern(file)
            except XrdlibError as problem:
                self.pattern = None
                self._refuse(str(problem).replace(str(file), self.file))
                return
        if self.cell.value:
            self.cell.value = ""  # that of another specimen; this updates
        else:
            self._update()

    def _update(self, change=None):
        if self.pattern is None:
            return
        try:
            request = self.request()
            self.answer = answer(self.predictor, self.file, self.pattern, request)
            section = html_report.section(self.predictor, self.answer, self.pattern, request)
        except XrdlibError as problem:
            self._refuse(problem)
        else:
            self.shown.value = html_report.fragment(self.file, section)

    def _refuse(self, problem):
        self.answer, self.shown.value = None, html_report.fragment(self.file, problem=problem)

    def request(self):
        """What the controls ask for.

        Returns
        -------
        answer.Request

        Raises
        ------
        XrdlibError
            If the cell is not six numbers.
        """
        named = self.wavelength.value
        cell = None
        if self.cell.value.strip():
            try:
                cell = tuple(float(part) for part in self.cell.value.replace(",", " ").split())
            except ValueError:
                raise XrdlibError(f"The cell {self.cell.value!r} is not six numbers.") from None
        return Request(
            wavelength=None if named == _FROM_FILE else named,
            prior=self.stated.value.strip() or self.prior.value,
            top_k=8,
            cell=cell,
        )


def quartz(seed=0):
    """A simulated pattern of quartz, with counting noise, in the form of `read_pattern`'s."""
    from pymatgen.core import Lattice, Structure

    structure = Structure.from_spacegroup(
        "P3_221",
        Lattice.from_parameters(*_QUARTZ),
        ["Si", "O"],
        [[0.4697, 0, 2 / 3], [0.4133, 0.2672, 0.7855]],
    )
    clean = powder.simulate(structure, "CuKa1")[0]
    counts = np.random.default_rng(seed).poisson(100 * clean + 30)
    return SimpleNamespace(
        two_theta=CALCULATION_GRID.two_theta,
        intensity=counts.astype(float),
        wavelength=WAVELENGTHS["CuKa1"],
        metadata={},
    )
