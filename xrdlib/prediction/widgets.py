"""The page of the notebook `predict_your_pattern`: controls, and the answer they lead to."""

import html
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
from .answer import Request, examine
from .predictor import load_predictor
from .reading.pattern import read_pattern
from .reading.scans import AXES, typed_wavelength

# a and c in angstrom; Levien, Prewitt & Weidner, American Mineralogist 65, 920 (1980).
_QUARTZ = (4.9160, 4.9160, 5.4054, 90.0, 90.0, 120.0)
_SIMULATED = "quartz (simulated)"

# An exported page cannot run widgets; where they run, the picture that stands for them is hidden.
_STATIC = """<style>body:has(.xrdlib-live) .xrdlib-static {{ display: none; }}</style>
<div class="xrdlib-static">{}</div>"""


class Page:
    """Choose files, a wavelength, a prior and a cell; see the answer and a plot to zoom into.

    Displayed in a notebook, it shows its controls, and in an exported one the first answer.

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
    upload, shown_file, wavelength, axis, prior, stated, cell, elements : ipywidgets.Widget
        The controls.
    plot, shown : ipywidgets.HTML
        The pattern, and the answer.

    Raises
    ------
    XrdlibError
        If the file that `path` names cannot be read.
    """

    def __init__(self, path: str | Path | None = None, weights: str | Path | None = None):
        self.predictor, self.answer = load_predictor(weights), None

        def control(kind, description, **options):
            wide = {"style": {"description_width": "9em"}, "layout": {"width": "34em"}}
            return kind(description=description, **wide, **options)

        def field(description, placeholder, kind=ipywidgets.Text, **options):
            options |= {"continuous_update": False, "placeholder": placeholder}
            return control(kind, description, **options)

        self.upload = ipywidgets.FileUpload(
            description="Choose files", multiple=True, layout={"width": "14em"}
        )
        self.shown_file = control(ipywidgets.Dropdown, "File")
        default = "as the file says, else CuKa; a line or angstrom"
        self.wavelength = field("Wavelength", default, ipywidgets.Combobox, options=[*WAVELENGTHS])
        axes = [("as the file says, else two_theta", None), *((name, name) for name in AXES)]
        self.axis = control(ipywidgets.Dropdown, "Positions are", options=axes)
        priors = ["minerals", "uniform", *(f"system={name}" for name in SYSTEMS)]
        self.prior = control(ipywidgets.Dropdown, "Prior", options=priors)
        self.stated = field("or your own", "sg=14,15 or P21/c=3,C2/c=1")
        self.cell = field("Cell, if known", "a, b, c, alpha, beta, gamma")
        self.elements = field("Elements, if known", "Ca, Mg, Si, O; or: Si O ...")
        self.plot, self.shown = ipywidgets.HTML(), ipywidgets.HTML()
        controls = [self.shown_file, self.wavelength, self.axis, self.prior, self.stated]
        controls += [self.cell, self.elements]
        self.box = ipywidgets.VBox([self.upload, *controls, self.plot, self.shown])
        self.box.add_class("xrdlib-live")
        self._contents, self._drawn = {}, None
        if path is None:
            self._contents[_SIMULATED] = quartz()
            self.cell.value = ", ".join(f"{value:g}" for value in _QUARTZ)
        else:
            read_pattern(path)
            self._contents[Path(path).name] = Path(path).read_bytes()
        self.shown_file.options = tuple(self._contents)
        self.shown_file.value = next(iter(self._contents))
        self.upload.observe(self._take, "value")
        for control in controls:
            control.observe(self._update, "value")
        self._update()
        self._static = standing_in(self.shown.value)

    def _ipython_display_(self):
        from IPython.display import HTML, display

        display(self.box, HTML(self._static))

    def _take(self, change):
        """Keep what was uploaded; it leaves the browser for this process only."""
        if not change["new"]:
            return
        self._contents = {given["name"]: bytes(given["content"]) for given in change["new"]}
        changed = self.shown_file, self.cell, self.elements
        with self.box.hold_sync():
            for control in changed:
                control.unobserve(self._update, "value")
            self.cell.value = self.elements.value = ""  # those of another specimen
            self.shown_file.options = tuple(self._contents)
            self.shown_file.value = next(iter(self._contents))
            for control in changed:
                control.observe(self._update, "value")
        self._update()

    def _pattern(self, file, wavelength):
        """Pattern that a file holds."""
        content = self._contents[file]
        if not isinstance(content, bytes):
            return content
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"pattern{''.join(Path(file).suffixes[-2:])[-20:]}"
            path.write_bytes(content)
            try:
                return read_pattern(path, self.axis.value, wavelength)
            except XrdlibError as problem:
                raise XrdlibError(str(problem).replace(str(path), file)) from None

    def _update(self, change=None):
        file = self.shown_file.value
        try:
            request = self.request()
            pattern = self._pattern(file, request.wavelength)
            answer, probability = examine(self.predictor, file, pattern, request)
            section = html_report.section(self.predictor, answer, probability, pattern, request)
        except XrdlibError as problem:
            self.answer, self._drawn, self.plot.value = None, None, ""
            self.shown.value = html_report.fragment(file, problem=problem)
            return
        self.answer, self.shown.value = answer, html_report.fragment(file, section)
        drawn = file, self.axis.value, request.wavelength
        if drawn != self._drawn:
            self._drawn, self.plot.value = drawn, interactive(pattern.two_theta, pattern.intensity)

    def request(self) -> Request:
        """What the controls ask for.

        Raises
        ------
        XrdlibError
            If the cell is not six numbers.
        """
        typed = self.wavelength.value.strip()
        wavelength = typed_wavelength(typed) if typed else None
        cell = None
        if self.cell.value.strip():
            try:
                cell = tuple(float(part) for part in self.cell.value.replace(",", " ").split())
            except ValueError:
                raise XrdlibError(f"The cell {self.cell.value!r} is not six numbers.") from None
        prior = self.stated.value.strip() or self.prior.value
        elements = self.elements.value.strip() or None
        return Request(wavelength, prior, top_k=8, cell=cell, elements=elements)


def standing_in(content: str) -> str:
    """HTML that stands for a box of the class `xrdlib-live` where no widget can run."""
    return _STATIC.format(content)


def interactive(two_theta, intensity) -> str:
    """A plot to zoom into, with a square-root scale, as HTML that needs no network.

    Some hundred kilobytes: notebook servers drop updates of widgets above a megabyte a second,
    so that no plotting library can travel with it.

    Returns
    -------
    str
        A frame of its own, since scripts do not run in the HTML of a widget.
    """
    angle, counts = (np.asarray(v, dtype=np.float64) for v in (two_theta, intensity))
    order = np.argsort(angle, kind="stable")
    page = html_report.rendered(
        "plot.html",
        two_theta=[round(v, 4) for v in angle[order].tolist()],
        intensity=[float(f"{v:.5g}") for v in counts[order].tolist()],
    )
    return (
        '<iframe class="xrdlib-plot" style="width: 100%; max-width: 60rem; height: 330px; '
        f'border: 0" srcdoc="{html.escape(page)}"></iframe>'
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
