"""Evidence of the parts of a predictor in the measured sets: computed once, weighed often.

Indexing takes most of the time of a prediction, and depends on no weight and no prior.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..base import records
from ..base.patterns import GRID
from ..learning.experiment import MEASURED
from ..structures.measured import Measured
from .evidence import Seen
from .predictor import Predictor

CROPPED = f"{MEASURED[1]}, 10 to 80 degrees"  # the test set, its patterns cut to that

FILE = "readings.npz"

_CROP = (10.0, 80.0)

# What is made of arrays; lattices and fits themselves are not kept.
_KEPT = ("evidence", "similarity", "row", "lattice", "pattern")


def cropped(intensity: np.ndarray) -> np.ndarray:
    """Patterns on `patterns.GRID` as if measured from 10 to 80 degrees alone, (n, 4251)."""
    inside = (GRID.two_theta >= _CROP[0]) & (GRID.two_theta <= _CROP[1])
    return np.where(inside, intensity, 0)


def read(
    predictor: Predictor, measured_sets: Mapping[str, Measured], workers: int = 1, cut: bool = True
) -> dict[str, Seen]:
    """Evidence in each measured set and in the cut test set (`CROPPED`).

    Parameters
    ----------
    measured_sets : mapping of str to Measured
        As from `evaluate.measured`; where there are none, the result is empty.
    workers : int
        Processes.
    cut : bool
        Whether the cut test set is read, too.
    """
    patterns = {name: one.intensity for name, one in measured_sets.items()}
    if cut and MEASURED[1] in patterns:
        patterns[CROPPED] = cropped(patterns[MEASURED[1]])
    return {
        name: predictor.evidence(GRID.two_theta, intensity, workers=workers)
        for name, intensity in patterns.items()
    }


def save(path: str | Path, readings: Mapping[str, Seen]) -> None:
    """Write readings to a file, without the lattices and fits that they come from."""
    parts = {(name, key): getattr(seen, key) for name, seen in readings.items() for key in _KEPT}
    arrays = {"/".join(names): x for names, x in parts.items() if x is not None}
    records.save_arrays(path, arrays)


def load(path: str | Path) -> dict[str, Seen]:
    """Read what `save` wrote.

    Raises
    ------
    XrdlibError
        If the file is missing or damaged.
    """
    readings = {}
    for names, array in records.load_arrays(path).items():
        name, key = names.split("/")
        readings.setdefault(name, {})[key] = array
    return {name: Seen(**parts) for name, parts in readings.items()}
