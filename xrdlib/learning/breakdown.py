"""Predictions by confidence, crystal system and class."""

import numpy as np
from numpy.typing import ArrayLike

from ..symmetry import groups
from .metrics import N_BINS, check, confidence_bins, credit, log_likelihood


def reliability(logp: ArrayLike, labels: ArrayLike) -> dict[str, list]:
    """Confidence against accuracy in 15 bins, as fractions; None in an empty bin."""
    logp, labels = check(logp, labels)
    confidence, bins = confidence_bins(logp)
    count = np.bincount(bins, minlength=N_BINS)
    values = (confidence, credit(logp, labels, 1))
    sums = [np.bincount(bins, v, minlength=N_BINS) for v in values]
    means = [[float(t / c) if c else None for t, c in zip(s, count, strict=True)] for s in sums]
    edges = (np.arange(N_BINS + 1) / N_BINS).tolist()
    return {
        "lower": edges[:-1],
        "upper": edges[1:],
        "count": count.tolist(),
        "confidence": means[0],
        "accuracy": means[1],
    }


def confusion_by_system(logp: ArrayLike, labels: ArrayLike) -> dict:
    """Counts of true (rows) against predicted (columns) crystal system of the top class.

    Groups that hold trigonal and hexagonal space groups are a system of their own.
    """
    logp, labels = check(logp, labels)
    names = groups.system_names()
    systems = list(dict.fromkeys(names))
    system = np.array([systems.index(name) for name in names])
    counts = np.zeros((len(systems), len(systems)), dtype=np.int64)
    np.add.at(counts, (system[labels], system[logp.argmax(axis=1)]), 1)
    return {"systems": systems, "counts": counts.tolist()}


def per_class(logp: ArrayLike, labels: ArrayLike) -> list[dict]:
    """Scores of each class that occurs, rates in percent; "predicted": patterns given the class."""
    logp, labels = check(logp, labels)
    guess, names = logp.argmax(axis=1), groups.symbols()
    first, fifth = (credit(logp, labels, k) for k in (1, 5))
    return [
        {
            "label": int(k) + 1,
            "symbol": names[k],
            "n": int(mine.sum()),
            "predicted": int((guess == k).sum()),
            "top1": 100 * float(first[mine].mean()),
            "top5": 100 * float(fifth[mine].mean()),
            "nll": float(-log_likelihood(logp, labels)[mine].mean()),
        }
        for k in np.unique(labels)
        for mine in [labels == k]
    ]
