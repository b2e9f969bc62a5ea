"""Unit cells for a powder pattern, as a table: what indexing and whole-pattern fits found.

The lattices are those that the predictor weighs (`pattern_evidence`). The probability of one is
the sum over groups of what the predictor gives the group, shared among the lattices by their fits,
times sqrt(M20) and the fourth power of the share of indexed peaks: both by trial on simulated
patterns of the Materials Project. It takes for granted that one of them is right, which figures of
merit tell better.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1, GRID, to_grid
from ..identification.figures_of_merit import (
    Merit,
    explained,
    figures_of_merit,
)
from ..identification.index_cells import changes
from ..identification.line_finder import find_lines, line_width
from ..identification.peaks import background
from ..identification.standard_setting import Standard, standard
from ..learning import priors
from ..simulation.diffraction import strong_line
from ..symmetry import groups
from ..symmetry.cells import metric_tensor
from .lattices import same_lattice

if TYPE_CHECKING:
    import pandas as pd

    from ..identification.pattern_evidence import Scored
    from .predictor import Predictor

COLUMNS = (
    "a b c alpha beta gamma crystal_system centring volume zero M20 F20 indexed unindexed "
    "probability"
).split()

_NEAR, _LEAST = 0.5, 0.03  # of the lines' width; degrees: an indexed peak is no farther off

_MOST, _SHARED = 1000.0, 4  # M beyond which more says nothing; power of the share of peaks

_TINY = 1e-12

NOT_SOUGHT = "Triclinic cells are not sought: a triclinic crystal has none of its own here."


@dataclass(frozen=True)
class Peaks:
    """Peaks of a pattern, in its own wavelength.

    Attributes
    ----------
    two_theta, intensity : ndarray, (n,)
        Degrees, ascending; heights over the background, 100 for the highest.
    wavelength, near : float
        Angstrom; degrees within which a reflection explains a peak.
    """

    two_theta: np.ndarray
    intensity: np.ndarray
    wavelength: float
    near: float


@dataclass(frozen=True)
class FoundCell:
    """A cell that explains peaks.

    Attributes
    ----------
    standard : Standard
        On conventional axes.
    group : int
        The most probable group 1..99 that it permits.
    volume, zero : float
        Cubic angstrom; degrees, the mean of what is read minus what is true.
    merit : Merit
    two_theta : ndarray, (n,)
        True places of the pattern's peaks, were it the cell: without zero shift, displacement.
    indexed, unindexed : int
        Peaks in the fitted range that it explains, and the others.
    probability : float
    """

    standard: Standard
    group: int
    volume: float
    zero: float
    merit: Merit
    two_theta: np.ndarray
    indexed: int
    unindexed: int
    probability: float

    def row(self) -> tuple:
        """Values of `COLUMNS`."""
        about = self.standard.crystal_system, self.standard.centring, self.volume, self.zero
        told = self.merit.m, self.merit.f, self.indexed, self.unindexed, self.probability
        return (*self.standard.cell, *about, *told)


def index(
    two_theta: np.ndarray,
    intensity: np.ndarray,
    wavelength: str | float = "CuKa",
    top_k: int = 10,
) -> "pd.DataFrame":
    """Unit cells that explain a powder pattern, the most probable first.

    Parameters
    ----------
    two_theta, intensity : array_like, (n,)
        The pattern, with or without background: degrees, and counts or any linear scale.
    wavelength : str or float
        A named anode or line, or angstrom. A K-alpha doublet is read at its stronger line.
    top_k : int
        Cells to list, at most.

    Returns
    -------
    pandas.DataFrame
        a, b, c (angstrom), alpha, beta, gamma (degrees), crystal_system and centring, in the
        standard setting of the International Tables: hexagonal axes for rhombohedral lattices, b
        unique and beta >= 90 for monoclinic ones, the axes of the group that fits best or else
        a <= b <= c for orthorhombic ones. volume; zero, degrees that peaks are read too high;
        M20 and F20, of the first 20 peaks that the cell indexes or as many as there are
        (`figures_of_merit`); how many peaks of the fitted range are indexed and unindexed;
        probability, if one of the cells found is right: a cell with M20 below 10, or that leaves a
        tenth of the peaks over, seldom is. Empty where none is found. Triclinic cells are not
        sought.

    Raises
    ------
    XrdlibError
        If the pattern, the wavelength or `top_k` makes no sense.

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from xrdlib import index, simulate
    >>> sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    >>> halite = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], sites)
    >>> found = index(np.linspace(5, 90, 8501), simulate(halite)[0], wavelength="CuKa1").iloc[0]
    >>> print(f"{found.crystal_system} {found.centring}, a = {found.a:.2f}")
    cubic F, a = 5.64
    """
    if not isinstance(top_k, int) or top_k < 1:
        raise XrdlibError(f"top_k is {top_k}; give a whole number of cells, 1 or more.")
    _, found = find_cells(_released(), two_theta, intensity, wavelength)
    return table(found[:top_k])


@cache
def _released():
    from .predictor import load_predictor  # which itself tells of cells

    return load_predictor()


def table(cells: "list[FoundCell]") -> "pd.DataFrame":
    """Found cells, a row for each, see `index`."""
    import pandas as pd

    return pd.DataFrame([cell.row() for cell in cells], columns=COLUMNS)


def find_cells(
    predictor: "Predictor",
    two_theta: np.ndarray,
    intensity: np.ndarray,
    wavelength: str | float = "CuKa",
) -> tuple[Peaks, list[FoundCell]]:
    """Cells of a pattern, the most probable first, each lattice once.

    Parameters
    ----------
    predictor : Predictor
    two_theta, intensity, wavelength
        As for `index`.

    Returns
    -------
    peaks : Peaks
    cells : list of FoundCell

    Raises
    ------
    XrdlibError
        As for `index`, or if the predictor has no fits of whole patterns.
    """
    if not predictor.takes_cell:
        raise XrdlibError("The predictor was made without whole-pattern fits; load one with them.")
    wavelength = strong_line(wavelength)
    seen = predictor.evidence(two_theta, [intensity], wavelength)
    target = priors.resolve_prior("minerals", predictor.metadata["minerals"])
    ratio = priors.log_ratio(target, np.full(groups.N_GROUPS, 1 / groups.N_GROUPS))
    probability = np.exp(predictor.weigh(seen, ratio))[0]
    pattern = to_grid(two_theta, intensity, wavelength, GRID)
    return cells_of(predictor, pattern, seen.fitted[0], probability, wavelength)


def cells_of(
    predictor: "Predictor",
    pattern: np.ndarray,
    fitted: "list[Scored]",
    probability: np.ndarray,
    wavelength: float,
) -> tuple[Peaks, list[FoundCell]]:
    """Peaks and cells, as from `find_cells`, of lattices that were fitted.

    Parameters
    ----------
    predictor : Predictor
    pattern : ndarray, (GRID.size,)
    fitted : list of pattern_evidence.Scored
    probability : ndarray, (99,)
        Of the groups.
    wavelength : float
        Of the measurement, angstrom.

    Returns
    -------
    peaks : Peaks
    cells : list of FoundCell
    """
    lines = find_lines(pattern)
    near = max(_NEAR * line_width(pattern), _LEAST)
    height = np.interp(lines.two_theta, GRID.two_theta, pattern - background(pattern, GRID.step))
    height = 100 * np.clip(height, 0, None) / max(height.max(initial=0.0), _TINY)
    peaks = Peaks(_measured(lines.two_theta, wavelength), height, wavelength, near)
    joint = predictor.lattices.patterns.joint(fitted, probability)
    found = []
    for k in np.argsort(-joint.sum(1), kind="stable"):
        one, share = fitted[k], float(joint[k].sum())
        label = _group(one, joint[k])
        lattice = standard(*one.lattice[:2], _setting(one, label))
        reduced = lattice.reduced()
        for other in found:
            if same_lattice(reduced, other["reduced"]):
                other["probability"] += share
                break
        else:
            about = {"lattice": lattice, "reduced": reduced, "group": label, "one": one}
            found.append({**about, "probability": share})
    cells = [_found(peaks, lines.two_theta, **about) for about in found]
    weight = np.array([cell.probability * _merit(cell) for cell in cells])
    weight /= max(weight.sum(), _TINY)
    cells = [replace(x, probability=float(w)) for x, w in zip(cells, weight, strict=True)]
    return peaks, sorted(cells, key=lambda cell: -cell.probability)


def _merit(cell):
    """What figures of merit add to the weight of a cell."""
    share = cell.indexed / max(cell.indexed + cell.unindexed, 1)
    return np.sqrt(min(cell.merit.m, _MOST)) * share**_SHARED


def _group(one, joint):
    """The most probable group of a fitted lattice; by the fit alone where all is too little."""
    weight = np.where(np.isfinite(one.evidence), joint, -1.0)
    return int(weight.argmax() if weight.max() > 0 else one.evidence.argmax()) + 1


def _setting(one, label):
    """The setting of a group that fits best."""
    own = np.array([name for name, _ in changes(one.lattice.system)]) == label
    return int(np.where(own, one.settings, -np.inf).argmax())


def _found(peaks, two_theta, lattice, reduced, group, one, probability):
    zero, displacement = one.shift
    true = two_theta - zero - displacement * np.cos(np.radians(two_theta) / 2)
    true, last = _measured(true, peaks.wavelength), one.observed
    indexed = explained(true[:last], *lattice[:2], peaks.wavelength, peaks.near)
    return FoundCell(
        standard=lattice,
        group=group,
        volume=float(np.sqrt(np.linalg.det(metric_tensor(lattice.cell)))),
        zero=float((peaks.two_theta - true)[:last].mean()) if last else 0.0,
        merit=figures_of_merit(true[:last], *lattice[:2], peaks.wavelength, peaks.near),
        two_theta=true,
        indexed=indexed,
        unindexed=last - indexed,
        probability=probability,
    )


def _measured(two_theta, wavelength):
    """Degrees at a wavelength of what is at degrees (n,) with Cu K-alpha1."""
    sine = np.sin(np.radians(two_theta) / 2) * wavelength / CU_KA1
    return 2 * np.degrees(np.arcsin(np.minimum(sine, 1)))
