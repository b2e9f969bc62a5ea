"""Patterns of crystals with known cells, and positions of present and absent reflections."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
from numpy import ndarray

from ..base.patterns import CU_KA1, GRID, Grid, to_grid
from ..base.records import Reflections
from ..identification import searchmatch
from ..identification.library import from_reflections
from ..identification.reflection_profiles import lorentz_polarisation
from ..identification.retrieval import Retrieval
from ..learning import experiment
from ..learning.outcomes import RECOGNISED
from ..simulation.diffraction import d_star, two_theta
from ..simulation.realism import measured_like
from ..structures.datasets import MissingData
from ..structures.measured import load
from ..symmetry import groups

SIMULATED = "held-out minerals, simulated"
RECOGNISED_MEASURED = "rruff, recognised"
SIMILAR = 0.6  # cosine from which a structure counts as that of the specimen

# Reflections stay where the cell puts them, and nothing but the mineral is in the pattern.
_UNMOVED = {"strain": (1e-6, 1e-6)} | dict.fromkeys(
    ("zero_shift", "displacement", "impurity", "cropped", "coarse", "spikes"), 0.0
)
_SLICE = 64


@dataclass
class Specimens:
    """n patterns of crystals with known cells."""

    subset: str
    grid: Grid
    intensity: ndarray  # (n, grid.size) float32, any scale, not normalised
    crystals: Reflections  # n of them; cells as in the pattern
    family: ndarray  # (n,) str

    def __len__(self) -> int:
        return len(self.crystals)

    def take(self, index: ndarray) -> "Specimens":
        """The specimens at `index`, in that order."""
        parts = self.intensity[index], self.crystals.take(index), self.family[index]
        return Specimens(self.subset, self.grid, *parts)


def grid_of(model: torch.nn.Module) -> Grid:
    """The grid that a model reads."""
    start, step, size = model.config.grid
    return Grid(start, round(start + step * (size - 1), 6), step)


def simulated(config: SimpleNamespace, grid: Grid, n: int) -> Specimens:
    """Measured-looking patterns of minerals that no network was trained on, one a family.

    From the structure library "holdout"; n patterns, or as many as there are families.
    """
    structures = experiment.load_structures(config, "holdout")
    first = np.unique(structures.name, return_index=True)[1]
    rows = first[np.linspace(0, len(first) - 1, min(n, len(first))).astype(int)]
    crystals = structures.take(rows)
    seed, realism = experiment.seed(config, "holdout"), experiment.realism(config, **_UNMOVED)
    parts = [
        measured_like(crystals.take(part.numpy()), realism, seed, part, grid).numpy()
        for part in torch.arange(len(rows)).split(_SLICE)
    ]
    return Specimens(SIMULATED, grid, np.concatenate(parts), crystals, crystals.name)


def recognised(config: SimpleNamespace, n: int) -> Specimens | None:
    """The n measured patterns that are most like a published structure of their own group.

    Their similarity is `outcomes.RECOGNISED` or more. The structure's cell is scaled evenly to
    fit the pattern best. On `patterns.GRID`; None where no measured patterns are at hand, or none
    is recognised.
    """
    try:
        patterns = load()
    except MissingData:
        return None
    structures = experiment.load_structures(config, "library")
    similarity = searchmatch.similarities(
        searchmatch.measured(patterns.intensity), searchmatch.library(structures)
    )
    nearest, best = similarity.argmax(axis=1), similarity.max(axis=1)
    chosen = np.flatnonzero((best >= RECOGNISED) & (structures.group[nearest] == patterns.group))
    chosen = np.sort(chosen[np.argsort(-best[chosen], kind="stable")][:n])
    if not len(chosen):
        return None
    crystals, measured = structures.take(nearest[chosen]), patterns.take(chosen)
    scaling = np.array(
        [
            Retrieval(from_reflections(crystals.take([i]))).cell_scaling(intensity, 0)
            for i, intensity in enumerate(measured.intensity)
        ]
    )
    crystals.lattice = crystals.lattice * (1 + scaling)[:, None, None]
    return Specimens(RECOGNISED_MEASURED, GRID, measured.intensity, crystals, measured.family)


def own_structure(
    intensity: ndarray,
    group: ndarray,
    structures: Reflections,
    grid: Grid = GRID,
    least: float = SIMILAR,
) -> tuple[ndarray, ndarray]:
    """Rows of patterns that a structure of their own extinction group resembles, and its row, (m,).

    Of n patterns (n, grid.size) of groups 1..99; the most similar structure, with a cosine
    (`searchmatch`) of `least` or more.
    """
    similarity = searchmatch.similarities(
        searchmatch.measured(intensity, grid), searchmatch.library(structures)
    )
    similarity = np.where(group[:, None] == structures.group, similarity, -1.0)
    rows = np.flatnonzero(similarity.max(axis=1) >= least)
    return rows, similarity[rows].argmax(axis=1)


def regridded(specimens: Specimens, grid: Grid) -> Specimens:
    """The same specimens on another grid."""
    if grid == specimens.grid:
        return specimens
    on_grid = to_grid(specimens.grid.two_theta, specimens.intensity, grid=grid)
    return Specimens(specimens.subset, grid, on_grid, specimens.crystals, specimens.family)


def powder_reflections(crystal: Reflections) -> tuple[ndarray, ndarray]:
    """2theta (degrees, NaN out of reach) and intensity of one crystal's reflections, (m,) each."""
    angle = two_theta(d_star(crystal.lattice[0], crystal.hkl), CU_KA1)
    return angle, crystal.multiplicity * crystal.f2 * lorentz_polarisation(angle)


def absent(label: int, change: ndarray, hkl: ndarray) -> ndarray:
    """Which hkl (m, 3) of a cell a group 1..99 forbids in a setting of `cells.settings`, (m,)."""
    return groups.absent(groups.first_member(label), hkl.astype(np.int64) @ change)


def allowed(label: int, change: ndarray, hkl: ndarray, position: ndarray) -> ndarray:
    """Whether a group allows a reflection at each position, (k,) bool; `position` (m,) is hkl's."""
    return np.bincount(position, ~absent(label, change, hkl), minlength=position[-1] + 1) > 0
