"""Data in, figure out. No function here reads a file, trains or evaluates; `save` writes."""

from .plot_calibration import reliability, temperature
from .plot_crystals import crystal_statistics
from .plot_errors import confusion, dag_errors
from .plot_indexing import indexing
from .plot_patterns import example_patterns
from .plot_released import coverage, mistakes
from .plot_scores import curriculum, decoders, learning_curves, nulls
from .plot_simulator import simulator, simulator_cost
from .plot_style import note, save
from .plot_symmetry import class_histogram, dag

__all__ = [
    "class_histogram",
    "confusion",
    "coverage",
    "crystal_statistics",
    "curriculum",
    "dag",
    "dag_errors",
    "decoders",
    "example_patterns",
    "indexing",
    "learning_curves",
    "mistakes",
    "note",
    "nulls",
    "reliability",
    "save",
    "simulator",
    "simulator_cost",
    "temperature",
]
