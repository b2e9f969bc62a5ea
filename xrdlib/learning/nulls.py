"""Null predictors, which do not see the pattern; rows as from `metrics.evaluate`."""

import numpy as np
from numpy.typing import ArrayLike

from ..base.errors import XrdlibError
from ..symmetry.groups import N_GROUPS
from . import priors
from .metrics import N_BINS, check, confidence_bins, evaluate, measure, resamples, row

PRIOR, BY_PATTERNS = "prior only", "prior only, by patterns"

ORACLE = "oracle: frequencies of the test labels"

_NEVER = 1e-12  # probability of a class that the test labels lack


def constants(
    labels: ArrayLike, families: ArrayLike, strength: float, minerals: ArrayLike
) -> dict[str, np.ndarray]:
    """The best constant predictions, counted on calibration labels and smoothed by minerals.

    Parameters
    ----------
    labels, families : array_like, (n,)
        Classes 0..98 and families of the calibration patterns.
    strength : float
        Votes that `minerals` (99,) are worth, see `priors.smooth_prior`.

    Returns
    -------
    dict of str to ndarray, (99,)
        `PRIOR`, in which each family has one vote, as it has where models are calibrated: the one
        that bits are counted over; and `BY_PATTERNS`, in which each pattern has one.
    """
    return {
        PRIOR: priors.fit_prior(labels, strength, minerals, families),
        BY_PATTERNS: priors.fit_prior(labels, strength, minerals),
    }


def beside(
    subset: str,
    logp: ArrayLike,
    labels: ArrayLike,
    families: ArrayLike,
    constants_by_name: dict[str, np.ndarray],
    n_boot: int = 1000,
    n_shuffles: int = 200,
    seed: int = 0,
) -> list[dict]:
    """Rows of all nulls on one subset: constants, the oracle, and shuffled predictions.

    The oracle is the constant that has counted the test labels themselves; no other constant
    has a better likelihood there.

    Parameters
    ----------
    logp : array_like, (n, 99)
        The predictions that are shuffled.
    constants_by_name : dict of str to ndarray, (99,)
        As from `constants`; bits are counted over the first.
    """
    labels = np.asarray(labels)
    oracle = np.maximum(np.bincount(labels, minlength=N_GROUPS) / len(labels), _NEVER)
    prior_logp = np.log(next(iter(constants_by_name.values())))
    patterns, options = (labels, families, prior_logp), {"n_boot": n_boot, "seed": seed}
    rows = [
        prior_only(subset, constant, *patterns, name=name, **options)
        for name, constant in {**constants_by_name, ORACLE: oracle}.items()
    ]
    return [*rows, shuffled(subset, logp, *patterns, n_shuffles=n_shuffles, **options)]


def prior_only(
    subset: str,
    prior: ArrayLike,
    labels: ArrayLike,
    families: ArrayLike,
    prior_logp: ArrayLike,
    name: str = "prior only",
    **bootstrap: int,
) -> dict:
    """Row of a constant prediction that gives every pattern the same distribution.

    Parameters
    ----------
    prior : array_like, (99,)
        Positive probabilities, predicted for each pattern.
    labels, families, prior_logp, bootstrap
        As for `metrics.evaluate`; a `prior_logp` of log(prior) gives 0 bits.
    """
    prior = np.asarray(prior, dtype=np.float64)
    if prior.shape != (N_GROUPS,) or not (prior > 0).all():
        raise XrdlibError(f"A constant prediction needs {N_GROUPS} positive probabilities.")
    logp = np.tile(np.log(prior / prior.sum()), (len(labels), 1))
    return evaluate(name, subset, logp, labels, families, prior_logp, **bootstrap)


def shuffled(
    subset: str,
    logp: ArrayLike,
    labels: ArrayLike,
    families: ArrayLike,
    prior_logp: ArrayLike,
    name: str = "shuffled",
    n_shuffles: int = 200,
    n_boot: int = 1000,
    seed: int = 0,
) -> dict:
    """Row of a model's predictions handed to the wrong patterns.

    Shuffling keeps the model's class frequencies and confidences and breaks the link to the
    pattern, so what remains of a score owes nothing to diffraction.

    Parameters
    ----------
    logp : array_like, (n, 99)
        The model's log-probabilities.
    n_shuffles : int
        Scores are means over this many seeded permutations.

    Returns
    -------
    dict
        The interval covers both sources of chance, the permutation and the resampling of
        families: each permutation is scored on its own share of the resamples.
    """
    logp, labels = check(logp, labels)
    families = np.asarray(families)
    if len(families) != len(labels):
        raise XrdlibError(f"{name} on {subset}: families and labels differ in length.")
    rng = np.random.default_rng(seed)
    share = -(-n_boot // n_shuffles)
    points, parts = [], []
    for i in range(n_shuffles):
        dealt = logp[rng.permutation(len(logp))]
        points.append(measure(dealt, labels, prior_logp))
        if len(np.unique(families)) > 1:
            weights = np.concatenate(list(resamples(families, share, seed=[seed, i])))
            parts.append(measure(dealt, labels, prior_logp, weights))
    point = {key: np.mean([p[key] for p in points]) for key in points[0]}
    return {**row(name, subset, families, point, parts), "n_shuffles": n_shuffles}


def calibrated_ece(
    logp: ArrayLike, families: ArrayLike, n_draws: int = 1000, seed: int = 0
) -> list[float]:
    """ECE that a perfectly calibrated predictor of the same confidences would have by chance.

    Few patterns fall into each bin of confidence, so even it is not at zero. Whether each answer
    is right is drawn from its confidence; the patterns of a family, which are right and wrong
    together, share their draw.

    Returns
    -------
    list of float
        2.5th, 50th and 97.5th percentile, percent.
    """
    logp, _ = check(logp, np.zeros(len(logp), dtype=np.int64))
    confidence, bins = confidence_bins(logp)
    _, member = np.unique(families, return_inverse=True)
    draws = np.random.default_rng(seed).random((n_draws, member.max() + 1))[:, member]
    gap = confidence - (draws < confidence)
    in_bin = (bins[:, None] == np.arange(N_BINS)).astype(np.float64)
    ece = 100 * np.abs(gap @ in_bin).sum(axis=1) / len(confidence)
    return np.percentile(ece, [2.5, 50, 97.5]).tolist()
