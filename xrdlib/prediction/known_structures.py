"""The library of known structures: what it is built of, source after source."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from ..base.records import Reflections, concatenate
from ..identification import library
from ..identification.library import Library
from ..learning import checkpoint
from ..learning.experiment import load_structures
from ..simulation.diffraction import reflections
from ..structures import datasets, materials_project
from . import predictor_file

FILE = "library.safetensors"

# Structure library of a profile -> what its structures are, and whether their cells were computed.
SOURCES = {
    "library": ("minerals of the AMCSD file, nine sites or fewer", False),
    "refinements": ("phases of the BGMN structure files", False),
    "compounds": ("compounds of the Open Quantum Materials Database", True),
}

_LOT = 1000  # crystals whose reflections are in memory at a time


def build_library(config: SimpleNamespace) -> tuple[Library, dict]:
    """All structures that a profile knows, and where they come from.

    Returns
    -------
    library : library.Library
    about : dict
        "sources": list of {"structures", "what", "computed"}.
    """
    used = [name for name in SOURCES if getattr(config.synthesis, name, True)]
    libraries = [load_structures(config, name) for name in used]
    kinds = [SOURCES[name] for name in used]
    parts = [library.from_reflections(b, a[1]) for b, a in zip(libraries, kinds, strict=True)]
    if config.synthesis.materials:
        parts.append(_materials(libraries))
        kinds.append(("structures of the Materials Project that are known from experiment", True))
    sources = [
        {"structures": len(part), "what": what, "computed": computed}
        for part, (what, computed) in zip(parts, kinds, strict=True)
    ]
    return concatenate(parts), {"sources": sources}


def _materials(known: list[Reflections]) -> Library:
    """Structures of the Materials Project that are neither known nor held out."""
    rows = materials_project.table(datasets.path(materials_project.NAME))
    rows = rows[~rows["holdout"]]
    crystals = materials_project.crystals(rows)
    crystals.name = materials_project.names(rows)
    new = np.flatnonzero(~materials_project.repeated(crystals, known))
    lots = (crystals.take(new[first : first + _LOT]) for first in range(0, len(new), _LOT))
    return concatenate(library.from_reflections(reflections(lot), True) for lot in lots)


def renew_library(path: str | Path, config: SimpleNamespace) -> Library:
    """Build the library beside a predictor's file anew from what a profile knows.

    The weights stay as they are; see `reweigh`.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    XrdlibError
        If the file or a library of the profile is missing.
    """
    model, metadata = predictor_file.read(path)
    known, about = build_library(config)
    library.save(Path(path).with_name(FILE), known, about)
    checkpoint.save_weights(path, model, metadata | {"library": {"file": FILE, "about": about}})
    return known
