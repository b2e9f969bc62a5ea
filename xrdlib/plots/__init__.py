"""Data in, figure out. No function here reads a file, trains or evaluates; `save` writes."""

from .calibration import reliability, temperature
from .errors import confusion, dag_errors
from .patterns import example_patterns
from .scores import curriculum, decoders, learning_curves, nulls
from .style import save
from .symmetry import class_histogram, dag

__all__ = [
    "class_histogram",
    "confusion",
    "curriculum",
    "dag",
    "dag_errors",
    "decoders",
    "example_patterns",
    "learning_curves",
    "nulls",
    "reliability",
    "save",
    "temperature",
]
