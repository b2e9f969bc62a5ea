"""The predictor that comes with the repository, loaded once for all tests that ask it."""

import pickle
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
    return _remembering(xrdlib.load_predictor(weights))


def _remembering(predictor):
    """The predictor, which says at once what it finds in a pattern that it was asked about before.

    Many tests ask about the same few patterns, and the answer depends on nothing but the question.
    """
    ask, known = predictor.evidence, {}

    def evidence(*arguments, **options):
        question = pickle.dumps((arguments, options))
        if question not in known:
            known[question] = ask(*arguments, **options)
        return known[question]

    predictor.evidence = evidence
    return predictor
