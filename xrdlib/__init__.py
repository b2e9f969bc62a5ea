"""Extinction groups from powder diffraction: symmetry, simulation, models, evidence."""

import os
from importlib import import_module

# Before PyTorch is loaded: threads that wait should sleep, spinning ones take the time of others.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Loaded on first use, so that `import xrdlib` is instant and needs no optional library.
_EXPORTS = {
    "extinction_groups": "symmetry.groups",
    "subgroup_dag": "symmetry.dag",
    "simulate": "simulation.powder",
    "index": "prediction.cell_table",
    "load_predictor": "prediction.predictor",
    "read_pattern": "prediction.reading.pattern",
    "XrdlibError": "base.errors",
}

__all__ = sorted(_EXPORTS)
__version__ = "0.3.0"


def __getattr__(name):
    if name in _EXPORTS:
        return getattr(import_module(f".{_EXPORTS[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_EXPORTS])
