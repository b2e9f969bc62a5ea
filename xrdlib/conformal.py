"""Conformal prediction sets: groups that hold the true one with a stated probability.

A pattern's score is the probability of all groups that are ranked above the true one (adaptive
prediction sets, Romano, Sesia & Candes 2020, without their random part). Sets that go on up to the
right quantile of the scores of calibration patterns hold the true group with that frequency, or
a higher one. Patterns of one mineral family are alike, so a family has one vote, shared by its
patterns, and the promise is about families not seen before.
"""

import numpy as np

from .errors import XrdlibError
from .metrics import check


def scores(logp, labels):
    """Probability of the groups above the true one, (n,) in [0, 1): 0 where it is ranked first.

    Parameters
    ----------
    logp : array_like, (n, 99)
        Log-probabilities that were not fitted on these patterns.
    labels : array_like, (n,)
        True classes 0..98.
    """
    logp, labels = check(logp, labels)
    p = np.exp(logp)
    own = p[np.arange(len(p)), labels]
    return (p * (p > own[:, None])).sum(axis=1)


def quantile(values, families, coverage):
    """Score up to which a set must go.

    Parameters
    ----------
    values : array_like, (n,)
        As from `scores`.
    families : array_like, (n,)
        Family of each pattern.
    coverage : float
        Frequency with which sets shall hold the true group, above 0 and below 1.

    Returns
    -------
    float
        1 where there are too few families for the coverage: all groups are then in the set.

    Raises
    ------
    XrdlibError
        If the coverage is out of range, or values and families differ in length or are none.
    """
    values, families = np.asarray(values, dtype=np.float64), np.asarray(families)
    if not 0 < coverage < 1:
        raise XrdlibError(f"The coverage is {coverage}; give a number above 0 and below 1.")
    if len(values) == 0 or values.shape != families.shape:
        raise XrdlibError("A conformal quantile needs scores, and the family of each.")
    _, member, size = np.unique(families, return_inverse=True, return_counts=True)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum((1 / size[member])[order])
    # The pattern to come counts as one more family, whose score may be the highest.
    wanted = coverage * (len(size) + 1)
    at = np.searchsorted(reached, wanted * (1 - 1e-12))
    return float(values[order[at]]) if at < len(values) else 1.0


def members(probability, threshold):
    """Groups of the sets.

    Parameters
    ----------
    probability : array_like, (n, 99)
    threshold : float
        As from `quantile`.

    Returns
    -------
    ndarray, (n, 99) bool
        The groups above which no more probability lies than the threshold.
    """
    probability = np.asarray(probability, dtype=np.float64)
    order = np.argsort(-probability, axis=1, kind="stable")
    ranked = np.take_along_axis(probability, order, axis=1)
    before = np.cumsum(ranked, axis=1) - ranked
    inside = np.zeros(probability.shape, dtype=bool)
    # Rounding must not leave out a group that a score of the same sum let in.
    np.put_along_axis(inside, order, before <= threshold + 1e-9, axis=1)
    return inside
