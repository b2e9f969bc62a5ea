"""Where the scores come from: by confidence, by crystal system, by class."""

import numpy as np

from .groups import SYSTEMS, crystal_systems, symbols
from .metrics import N_BINS, check, confidence_bins, credit, log_likelihood


def reliability(logp, labels):
    """Confidence against accuracy in 15 bins.

    Returns
    -------
    dict of list
        "lower", "upper", "count", "confidence", "accuracy" (fractions; null in an empty bin).
    """
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


def confusion_by_system(logp, labels):
    """Counts of true (rows) against predicted (columns) crystal system, of the top class.

    Returns
    -------
    dict
        "systems": 7 names; "counts": 7 x 7 integers.
    """
    logp, labels = check(logp, labels)
    system = np.array([SYSTEMS.index(s) for s in crystal_systems()])
    counts = np.zeros((len(SYSTEMS), len(SYSTEMS)), dtype=np.int64)
    np.add.at(counts, (system[labels], system[logp.argmax(axis=1)]), 1)
    return {"systems": list(SYSTEMS), "counts": counts.tolist()}


def per_class(logp, labels):
    """Scores of each class that occurs: list of dicts, rates in percent.

    Returns
    -------
    list of dict
        "label" (1..99), "symbol", "n", "predicted" (patterns given this class), "top1", "top5",
        "nll".
    """
    logp, labels = check(logp, labels)
    guess, names = logp.argmax(axis=1), symbols()
    first, fifth = (credit(logp, labels, k) for k in (1, 5))
    table = []
    for k in np.unique(labels):
        mine = labels == k
        table.append(
            {
                "label": int(k) + 1,
                "symbol": names[k],
                "n": int(mine.sum()),
                "predicted": int((guess == k).sum()),
                "top1": 100 * float(first[mine].mean()),
                "top5": 100 * float(fifth[mine].mean()),
                "nll": float(-log_likelihood(logp, labels)[mine].mean()),
            }
        )
    return table
