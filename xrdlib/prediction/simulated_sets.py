"""Simulated patterns that the parts of a predictor are weighed on, beside measured ones.

Nearly all measured patterns are of minerals that the library knows. A user's compound may be new,
so half of the simulated patterns are of compounds whose structure types the library lacks.
"""

from pathlib import Path

import numpy as np
import torch

from ..base.patterns import GRID
from ..simulation.diffraction import reflections
from ..simulation.realism import Realism, measured_like
from ..structures import materials_project
from ..structures.measured import Measured
from .benchmark_sets import clean, compound_rows
from .pattern_training import GOOD

KNOWN, NEW = 240, 300  # patterns

_SITES = 30  # of a structure that is simulated, at most

_BALANCE = 0.5  # structures are drawn with this power of the rarity of their type

_LOT = 50  # patterns simulated at a time


def known_compounds(path: str | Path, n: int = KNOWN, seed: int = 12) -> Measured:
    """Patterns of structures of the Materials Project that the library holds.

    A third of them is clean, a third of good and a third of usual quality.

    Parameters
    ----------
    path : path-like
        As for `materials_project.table`.
    n, seed : int

    Returns
    -------
    measured.Measured
        Families are structure types.

    Raises
    ------
    XrdlibError
        If the file is missing or holds no such table.
    """
    rows = materials_project.table(path)
    return _simulated(rows[~rows["holdout"]], n, seed)


def new_compounds(path: str | Path, n: int = NEW, seed: int = 11) -> Measured:
    """As `known_compounds`, of held-out types, but for those of `benchmark_sets.compounds`."""
    rows = materials_project.table(path)
    reported = set(compound_rows(path)["type"])
    return _simulated(rows[rows["holdout"] & ~rows["type"].isin(reported)], n, seed)


def _simulated(rows, n, seed):
    rows = rows[rows["element"].map(len) <= _SITES]
    n = min(n, len(rows))
    rng = np.random.default_rng(seed)
    chance = rows.groupby("type")["id"].transform("count").to_numpy() ** -_BALANCE
    rows = rows.iloc[rng.choice(len(rows), n, replace=False, p=chance / chance.sum())]
    crystals = materials_project.crystals(rows)
    bank = reflections(crystals)
    intensity = np.zeros((n, GRID.size), dtype=np.float32)
    first, *others = (np.arange(k, n, 3) for k in range(3))
    intensity[first] = clean(bank.take(first))
    for number, ranges in zip(others, (GOOD, Realism.measured()), strict=True):
        for at in range(0, len(number), _LOT):
            lot = number[at : at + _LOT]
            second = bank.take(rng.integers(0, n, len(lot)))
            about = ranges, seed, torch.from_numpy(lot), GRID, second
            intensity[lot] = measured_like(bank.take(lot), *about).numpy()
    return Measured(
        intensity=intensity,
        space_group=crystals.space_group,
        group=bank.group,
        family=rows["type"].to_numpy(str),
        source=crystals.name,
    )
