"""The predictor that comes with the repository, loaded once for all tests that ask it."""

from functools import cache
from pathlib import Path

import pytest

import xrdlib
from xrdlib.base import paths
from xrdlib.prediction.predictor import DEFAULT


@cache
def predictor():
    """A bundled predictor; the test is skipped where none is."""
    files = [DEFAULT, *sorted(paths.MODELS.glob("*.safetensors"))]
    weights = next(filter(Path.is_file, files), None)
    if weights is None:
        pytest.skip(f"no predictor is bundled in {paths.MODELS}")
    return xrdlib.load_predictor(weights)
