"""Patterns whose cells are known to a hundredth of a degree, simulated and measured.

Questions about where a network looks need the places of lines, also of those that are not there.
"""

from dataclasses import dataclass

import numpy as np
import torch

from . import experiment, rruff, searchmatch
from .datasets import MissingData
from .library import from_reflections
from .outcomes import RECOGNISED
from .patterns import GRID, Grid, to_grid
from .realism import measured_like
from .records import Reflections
from .retrieval import Retrieval

SIMULATED = "held-out minerals, simulated"
RECOGNISED_MEASURED = "rruff, recognised"
# Lines stay where the cell puts them, and nothing but the mineral is in the pattern.
_UNMOVED = {
    "strain": (1e-6, 1e-6),
    "zero_shift": 0.0,
    "displacement": 0.0,
    "impurity": 0.0,
    "cropped": 0.0,
    "coarse": 0.0,
    "spikes": 0.0,
}


@dataclass
class Specimens:
    """n patterns of crystals with known cells.

    Attributes
    ----------
    subset : str
    grid : Grid
    intensity : ndarray, (n, grid.size) float32
        Any scale, not normalised.
    crystals : Reflections
        Of the n crystals; cells as in the pattern.
    family : ndarray, (n,) str
        Mineral family.
    """

    subset: str
    grid: Grid
    intensity: np.ndarray
    crystals: Reflections
    family: np.ndarray

    def __len__(self):
        return len(self.crystals)

    def take(self, index):
        """The specimens at `index`, in that order."""
        parts = self.intensity[index], self.crystals.take(index), self.family[index]
        return Specimens(self.subset, self.grid, *parts)


def grid_of(model):
    """The grid that a model reads."""
    start, step, size = model.config.grid
    return Grid(start, round(start + step * (size - 1), 6), step)


def simulated(config, grid, n):
    """Measured-looking patterns of minerals that no network was trained on, one a family.

    Parameters
    ----------
    config : namespace
        With a bank "holdout".
    grid : Grid
    n : int
        Patterns, or as many as there are families.

    Returns
    -------
    Specimens
    """
    bank = experiment.load_bank(config, "holdout")
    first = np.unique(bank.name, return_index=True)[1]
    rows = first[np.linspace(0, len(first) - 1, min(n, len(first))).astype(int)]
    crystals = bank.take(rows)
    seed, realism = experiment.seed(config, "holdout"), experiment.realism(config, **_UNMOVED)
    index = torch.arange(len(rows))
    parts = [
        measured_like(crystals.take(part.numpy()), realism, seed, part, grid).numpy()
        for part in index.split(64)
    ]
    return Specimens(SIMULATED, grid, np.concatenate(parts), crystals, crystals.name)


def recognised(config, n):
    """Measured patterns and the published structures that they resemble most.

    Kept are patterns with a similarity of `outcomes.RECOGNISED` or more to a structure of their
    own extinction group. The structure's cell is stretched evenly to fit the pattern best.

    Parameters
    ----------
    config : namespace
        With a bank "library".
    n : int
        Patterns, the most similar ones.

    Returns
    -------
    Specimens or None
        On `patterns.GRID`; None where no measured patterns are at hand, or none is recognised.
    """
    try:
        patterns = rruff.load()
    except MissingData:
        return None
    bank = experiment.load_bank(config, "library")
    similarity = searchmatch.similarities(
        searchmatch.measured(patterns.intensity), searchmatch.library(bank)
    )
    nearest, best = similarity.argmax(axis=1), similarity.max(axis=1)
    good = (best >= RECOGNISED) & (bank.group[nearest] == patterns.group)
    chosen = np.flatnonzero(good)
    chosen = np.sort(chosen[np.argsort(-best[chosen], kind="stable")][:n])
    if not len(chosen):
        return None
    crystals, measured = bank.take(nearest[chosen]), patterns.take(chosen)
    crystals.lattice = crystals.lattice * (1 + _stretches(crystals, measured))[:, None, None]
    return Specimens(RECOGNISED_MEASURED, GRID, measured.intensity, crystals, measured.family)


def regridded(specimens, grid):
    """The same specimens on another grid."""
    if grid == specimens.grid:
        return specimens
    on_grid = to_grid(specimens.grid.two_theta, specimens.intensity, grid=grid)
    return Specimens(specimens.subset, grid, on_grid, specimens.crystals, specimens.family)


def _stretches(crystals, measured):
    """Relative change of each cell's edges that makes its pattern most like the measured one."""
    found = []
    for i, intensity in enumerate(measured.intensity):
        known = Retrieval(from_reflections(crystals.take([i])))
        found.append(known.stretch(intensity, 0))
    return np.array(found)
