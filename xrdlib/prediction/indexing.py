"""Unit cells for a powder pattern, as a table, from indexing and whole-pattern fits.

The lattices are those that the predictor weighs (`pattern_evidence`). The probability of one is
the sum over groups of what the predictor gives the group, shared among the lattices by their fits,
times sqrt(M20) and the fourth power of the share of indexed peaks: both by trial on simulated
patterns of the Materials Project. It takes for granted that one of them is right, which figures of
merit tell better.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..base.patterns import GRID
from ..identification.figures_of_merit import Merit, count_indexed, figures_of_merit
from ..identification.index_cells import changes
from ..identification.pattern_evidence import Scored
from ..identification.pattern_weights import PatternWeights
from ..identification.peak_finder import find_peaks, peak_width
from ..identification.peaks import background
from ..identification.standard_setting import Standard, standard
from ..symmetry.cells import angle, inverse_square, metric_tensor
from .lattices import same_lattice

COLUMNS = (
    "a b c alpha beta gamma crystal_system centring volume zero M20 F20 indexed unindexed "
    "probability"
).split()

_NEAR, _LEAST = 0.5, 0.03  # of the peaks' width; degrees: an indexed peak is no farther off

_MOST, _SHARED = 1000.0, 4  # M beyond which more says nothing; power of the share of peaks

_TINY = 1e-12


@dataclass(frozen=True)
class Peaks:
    """Peaks of a pattern, in its own wavelength.

    Attributes
    ----------
    two_theta, intensity : ndarray, (n,)
        Degrees, ascending; heights over the background, 100 for the highest.
    wavelength, near : float
        Angstrom; degrees within which a reflection indexes a peak.
    """

    two_theta: np.ndarray
    intensity: np.ndarray
    wavelength: float
    near: float


@dataclass(frozen=True)
class IndexedCell:
    """A cell that indexes peaks.

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
        Peak positions corrected for the cell's zero shift and displacement.
    indexed, unindexed : int
        Peaks in the fitted range that it indexes, and the others.
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
        kind = self.standard.crystal_system, self.standard.centring, self.volume, self.zero
        fit = self.merit.m, self.merit.f, self.indexed, self.unindexed, self.probability
        return (*self.standard.cell, *kind, *fit)


def cells_of(
    weights: PatternWeights,
    pattern: np.ndarray,
    fitted: list[Scored],
    probability: np.ndarray,
    wavelength: float,
) -> tuple[Peaks, list[IndexedCell]]:
    """Peaks and cells, as from `cell_table.find_cells`, of lattices that were fitted.

    Parameters
    ----------
    weights : PatternWeights
        Those of fitted lattices.
    pattern : ndarray, (GRID.size,)
    fitted : list of pattern_evidence.Scored
    probability : ndarray, (99,)
        Of the groups.
    wavelength : float
        Of the measurement, angstrom.

    Returns
    -------
    peaks : Peaks
    cells : list of IndexedCell
    """
    on_grid = find_peaks(pattern)
    near = max(_NEAR * peak_width(pattern), _LEAST)
    height = np.interp(on_grid.two_theta, GRID.two_theta, pattern - background(pattern, GRID.step))
    height = 100 * np.clip(height, 0, None) / max(height.max(initial=0.0), _TINY)
    peaks = Peaks(_measured(on_grid.two_theta, wavelength), height, wavelength, near)
    joint = weights.joint(fitted, probability)
    lattices = []
    for k in np.argsort(-joint.sum(1), kind="stable"):
        scored, share = fitted[k], float(joint[k].sum())
        label = _group(scored, joint[k])
        lattice = standard(*scored.lattice[:2], _setting(scored, label))
        reduced = lattice.reduced()
        for other in lattices:
            if same_lattice(reduced, other["reduced"]):
                other["probability"] += share
                break
        else:
            entry = {"lattice": lattice, "reduced": reduced, "group": label, "scored": scored}
            lattices.append({**entry, "probability": share})
    cells = [_cell(peaks, on_grid.two_theta, **entry) for entry in lattices]
    weight = np.array([cell.probability * _merit(cell) for cell in cells])
    weight /= max(weight.sum(), _TINY)
    cells = [replace(x, probability=float(w)) for x, w in zip(cells, weight, strict=True)]
    return peaks, sorted(cells, key=lambda cell: -cell.probability)


def _merit(cell):
    """What figures of merit add to the weight of a cell."""
    share = cell.indexed / max(cell.indexed + cell.unindexed, 1)
    return np.sqrt(min(cell.merit.m, _MOST)) * share**_SHARED


def _group(scored, joint):
    """The most probable group of a fitted lattice; by the fit alone where all is too little."""
    weight = np.where(np.isfinite(scored.evidence), joint, -1.0)
    return int(weight.argmax() if weight.max() > 0 else scored.evidence.argmax()) + 1


def _setting(scored, label):
    """The setting of a group that fits best."""
    of_group = np.array([name for name, _ in changes(scored.lattice.system)]) == label
    return int(np.where(of_group, scored.settings, -np.inf).argmax())


def _cell(peaks, two_theta, lattice, reduced, group, scored, probability):
    zero, displacement = scored.shift
    true = two_theta - zero - displacement * np.cos(np.radians(two_theta) / 2)
    true, last = _measured(true, peaks.wavelength), scored.observed
    indexed = count_indexed(true[:last], *lattice[:2], peaks.wavelength, peaks.near)
    return IndexedCell(
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
    """Angles (n,) at a wavelength, from those with Cu K-alpha1; degrees."""
    return angle(inverse_square(two_theta), wavelength)
