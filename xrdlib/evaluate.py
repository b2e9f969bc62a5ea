"""The released predictor on every measured subset, beside its nulls."""

import json
from tempfile import TemporaryDirectory

import numpy as np

from . import atomic, banks, config, datasets, predict, released, report
from .diffraction import reflections
from .errors import XrdlibError
from .experiment import MEASURED, load_bank
from .outcomes import RECOGNISED, SEARCH, null_prior


def run(weights=None, path=None):
    """Evaluate a predictor on the measured patterns that are at hand.

    Parameters
    ----------
    weights : path-like, optional
        Of a predictor; by default the released one.
    path : path-like, optional
        A JSON file to write the rows to.

    Returns
    -------
    list of dict
        As from `table`.

    Raises
    ------
    XrdlibError
        If there are no measured patterns, the predictor has no library, or the file cannot be
        written.
    """
    settings, measured_sets = config.load(), released.measured()
    if not measured_sets:
        raise XrdlibError(f"No measured patterns: {report.HOW_TO_GET[MEASURED[1]]}.")
    predictor = predict.load_predictor(weights)
    if predictor.retrieval is None:
        raise XrdlibError("The predictor has no library; give one that was built with it.")
    rows = table(settings, predictor, measured_sets, mineral_bank(settings))
    if path:
        atomic.write_text(path, json.dumps({"rows": rows}, indent=1, allow_nan=False) + "\n")
    return rows


def table(settings, predictor, measured_sets, bank):
    """Rows of a predictor with retrieval, of its parts, of search-match and of the nulls.

    Parameters
    ----------
    settings : namespace
        A configuration with the section `evaluate` and a seed.
    predictor : predict.Predictor
        With retrieval.
    measured_sets : dict of str to rruff.Measured
        As from `released.measured`.
    bank : records.Reflections
        The mineral structures of the AMCSD, for search-match.

    Returns
    -------
    list of dict
        For the test set, its halves by search-match, and the test set cut to 10 to 80 degrees.
    """
    name = MEASURED[1]
    patterns = measured_sets[name]
    minerals = predictor.metadata["minerals"]
    search, best = released.search_match(bank, measured_sets, minerals)
    logp = {**released.log_probs(predictor, patterns.intensity), SEARCH: search[name]}
    options = {
        "null": null(settings, predictor, measured_sets),
        "n_boot": settings.evaluate.bootstrap,
        "n_shuffles": settings.evaluate.shuffles,
        "seed": settings.seed,
    }
    rows = []
    for subset, index in released.subsets(name, best[name], RECOGNISED).items():
        rows += released.rows(logp, subset, patterns, index, **options)
    short = released.log_probs(predictor, released.cropped(patterns.intensity))
    every = np.arange(len(patterns.group))
    rows += released.rows(short, f"{name}, {released.CROPPED}", patterns, every, **options)
    return rows


def null(settings, predictor, measured_sets):
    """The prior-only prediction, (99,): groups of the calibration patterns and of minerals."""
    labels = measured_sets[MEASURED[0]].group.astype(int) - 1
    return null_prior(settings, labels, predictor.metadata["minerals"])


def mineral_bank(settings):
    """Reflections of the AMCSD structures: those of a run of the profile, or made anew."""
    try:
        return load_bank(settings, "library")
    except XrdlibError:
        with TemporaryDirectory() as folder:
            crystals, about = banks.build_amcsd(datasets.fetch("amcsd"), folder)
        known = about["stated_group"].to_numpy() > 0
        return reflections(crystals.take(known))
