"""Scores of predictions.

Every score is a function of per-pattern weights: a bootstrap resample is a row of weights.
Functions of one score return fractions; `measure` and `evaluate` return percent of what is a rate.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from ..base.errors import XrdlibError
from ..symmetry import groups
from ..symmetry.groups import N_CLASSES, N_GROUPS, N_SPACE_GROUPS

N_BINS = 15

_COLUMNS = N_GROUPS, N_CLASSES, N_SPACE_GROUPS

RATES = ("top1", "top3", "top5", "balanced_top1", "ece", "top1_97", "top5_97", "balanced_top1_97")

# Resamples are weighted in slices of this many elements, which bounds memory for large subsets.
_SLICE = 4_000_000


def check(logp: ArrayLike, labels: ArrayLike) -> tuple:
    """Validated predictions and labels, float64 and int64; predictions normalised to rounding.

    Parameters
    ----------
    logp : array_like, (n, 99), (n, 97) or (n, 230)
        Natural log-probabilities; each row sums to one within 1e-3.
    labels : array_like, (n,)
        True classes, counted from 0.

    Raises
    ------
    XrdlibError
        On a wrong shape or length, a value that is not finite, a row that is not a distribution,
        or a label out of range.
    """
    logp, labels = np.asarray(logp, dtype=np.float64), np.asarray(labels)
    if logp.ndim != 2 or logp.shape[1] not in _COLUMNS or len(logp) == 0:
        raise XrdlibError(
            f"Log-probabilities have shape {logp.shape}; give (n, {N_GROUPS}) with n of at least 1."
        )
    if labels.shape != logp.shape[:1]:
        raise XrdlibError(
            f"{len(logp)} predictions but labels of shape {labels.shape}; give one label a pattern."
        )
    if not np.isfinite(logp).all():
        row = int(np.flatnonzero(~np.isfinite(logp).all(axis=1))[0])
        raise XrdlibError(f"Log-probabilities of row {row} are not finite; smooth any zeros.")
    total = logsumexp(logp)
    if np.abs(total).max() > 1e-3:
        row = int(np.abs(total).argmax())
        raise XrdlibError(f"Row {row} sums to {np.exp(total[row]):.4g}, not 1; use log-softmax.")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= logp.shape[1]:
        raise XrdlibError(f"Labels must be integers 0..{logp.shape[1] - 1}, one a pattern.")
    return logp - total[:, None], labels.astype(np.int64)


def logsumexp(x: np.ndarray) -> np.ndarray:
    """Logarithm of the sum of exponentials over the last axis, without overflow."""
    top = x.max(axis=-1)
    return top + np.log(np.exp(x - top[..., None]).sum(axis=-1))


def merge_97(logp: ArrayLike, labels: ArrayLike) -> tuple:
    """Predictions (n, 97) and labels (n,) over the diffraction classes."""
    logp, labels = check(logp, labels)
    if logp.shape[1] != N_GROUPS:
        raise XrdlibError(f"merge_97 needs {N_GROUPS} columns, not {logp.shape[1]}.")
    classes = np.asarray(groups.diffraction_classes(), dtype=np.int64) - 1
    merged = np.full((N_CLASSES, len(logp)), -np.inf)
    np.logaddexp.at(merged, classes, logp.T)
    return merged.T, classes[labels]


def top_k(logp: ArrayLike, labels: ArrayLike, k: int = 1) -> float:
    """Fraction of patterns whose true class is among the k most probable (ties: see `credit`)."""
    return float(credit(*check(logp, labels), k).mean())


def nll(logp: ArrayLike, labels: ArrayLike) -> float:
    """Mean negative log-likelihood in nats."""
    return float(-log_likelihood(*check(logp, labels)).mean())


def ece(logp: ArrayLike, labels: ArrayLike) -> float:
    """Expected calibration error over 15 equal-width bins of confidence (Guo et al. 2017)."""
    logp, labels = check(logp, labels)
    return float(_ece(logp, credit(logp, labels, 1), np.ones((1, len(labels))))[0])


def measure(
    logp: ArrayLike, labels: ArrayLike, prior_logp: ArrayLike, weights: np.ndarray | None = None
) -> dict:
    """Every score at once, in percent where a rate (`RATES`).

    Parameters
    ----------
    logp, labels
        As for `check`, 99 columns.
    prior_logp : array_like, (99,)
        The prior beyond which bits are counted: (NLL of the prior - NLL) / ln 2.
    weights : ndarray, (B, n), optional
        Weight of each pattern in each of B resamples.

    Returns
    -------
    dict
        Of floats, or of arrays (B,) where weights are given.
    """
    logp, labels = check(logp, labels)
    logp_97, labels_97 = merge_97(logp, labels)
    prior, _ = check(np.asarray(prior_logp)[None], labels[:1])
    w = np.ones((1, len(labels))) if weights is None else weights
    first, first_97 = credit(logp, labels, 1), credit(logp_97, labels_97, 1)
    likelihood = log_likelihood(logp, labels)
    means = {
        "top1": first,
        "top3": credit(logp, labels, 3),
        "top5": credit(logp, labels, 5),
        "nll": -likelihood,
        "bits_over_prior": (likelihood - prior[0, labels]) / np.log(2),
        "top1_97": first_97,
        "top5_97": credit(logp_97, labels_97, 5),
        "nll_97": -log_likelihood(logp_97, labels_97),
    }
    values = {key: w @ each / w.sum(axis=1) for key, each in means.items()}
    values |= {
        "balanced_top1": _balanced(first, labels, w),
        "ece": _ece(logp, first, w),
        "balanced_top1_97": _balanced(first_97, labels_97, w),
    }
    values = {key: 100 * value if key in RATES else value for key, value in values.items()}
    return {k: float(v[0]) for k, v in values.items()} if weights is None else values


def resamples(families: ArrayLike, n_boot: int = 1000, seed: int = 0) -> Iterator[np.ndarray]:
    """Bootstrap resamples of mineral families, as slices (b, n) of pattern weights.

    Parameters
    ----------
    families : array_like, (n,)
        Family of each pattern; a family is drawn whole or not at all.

    Yields
    ------
    ndarray, (b, n) float64
        How often each pattern occurs; the slices hold `n_boot` rows together.

    Raises
    ------
    XrdlibError
        If there are fewer than two families.
    """
    names, codes = np.unique(families, return_inverse=True)
    if codes.ndim != 1 or len(names) < 2:
        raise XrdlibError(
            f"A family bootstrap needs two families or more, one name a pattern; got {len(names)}."
        )
    equal, step = np.full(len(names), 1 / len(names)), max(1, _SLICE // len(codes))
    counts = np.random.default_rng(seed).multinomial(len(names), equal, size=n_boot)
    for first in range(0, n_boot, step):
        yield counts[first : first + step][:, codes].astype(np.float64)


def family_bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray],
    families: ArrayLike,
    n_boot: int = 1000,
    seed: int = 0,
) -> list[float]:
    """95 % percentile interval of a statistic when whole mineral families are resampled.

    Parameters
    ----------
    statistic : callable
        Pattern weights (b, n) to values (b,); those that are not finite are left out.
    families : array_like, (n,)

    Examples
    --------
    >>> hit = np.array([0.0, 0.0, 1.0, 1.0])
    >>> family_bootstrap(lambda weights: weights @ hit / weights.sum(axis=1), ["a", "a", "b", "b"])
    [0.0, 1.0]
    """
    drawn = np.concatenate([statistic(w) for w in resamples(families, n_boot, seed)])
    return np.percentile(drawn[np.isfinite(drawn)], [2.5, 97.5]).tolist()


def means(
    values: dict[str, np.ndarray],
    families: np.ndarray,
    n_boot: int = 1000,
    seed: int = 0,
    votes: np.ndarray | None = None,
) -> dict:
    """Means of per-pattern numbers (n,) with 95 % intervals, whole mineral families resampled.

    Patterns count equally, or by their `votes` (n,). Each key gives its mean (float), and key +
    "_ci95" = [low, high], None with fewer than two families or where no pattern has a vote.

    Examples
    --------
    >>> means({"top1": np.array([0, 0, 100, 100])}, np.array(["a", "a", "b", "b"]))
    {'top1': 50.0, 'top1_ci95': [0.0, 100.0]}
    """
    votes = np.ones(len(families)) if votes is None else np.asarray(votes, dtype=np.float64)
    several, result = len(np.unique(families)) > 1 and votes.any(), {}
    for key, value in values.items():
        mean = partial(_mean, votes * np.asarray(value, dtype=np.float64), votes)
        result[key] = float(mean(np.ones((1, len(votes))))[0])
        result[f"{key}_ci95"] = family_bootstrap(mean, families, n_boot, seed) if several else None
    return result


def _mean(column, votes, weights):
    with np.errstate(invalid="ignore"):
        return (weights @ column) / (weights @ votes)


def evaluate(
    name: str,
    subset: str,
    logp: ArrayLike,
    labels: ArrayLike,
    families: ArrayLike,
    prior_logp: ArrayLike,
    n_boot: int = 1000,
    seed: int = 0,
) -> dict:
    """One row of a results table: a model's scores on a subset.

    Parameters are those of `measure` and `resamples`.

    Returns
    -------
    dict
        JSON-able: scores of `measure` and `<score>_ci95` = [low, high] for each (`bits_ci95` for
        bits over the prior; null with fewer than two families), with "n" and "n_families".
    """
    if len(np.asarray(families)) != len(np.asarray(labels)):
        raise XrdlibError(f"{name} on {subset}: families and labels differ in length.")
    drawn = resamples(families, n_boot, seed) if len(np.unique(families)) > 1 else []
    parts = [measure(logp, labels, prior_logp, weights) for weights in drawn]
    return row(name, subset, families, measure(logp, labels, prior_logp), parts)


def row(
    name: str, subset: str, families: ArrayLike, point: dict[str, float], parts: list[dict]
) -> dict:
    """Assemble a row from scores (dict of float) and a list of their resamples (may be empty)."""
    n_families = len(np.unique(families))
    result = {"model": name, "subset": subset, "n": len(families), "n_families": n_families}
    for key, value in point.items():
        drawn = [part[key] for part in parts]
        ends = np.percentile(np.concatenate(drawn), [2.5, 97.5]).tolist() if drawn else None
        result |= {key: float(value), f"{key.removesuffix('_over_prior')}_ci95": ends}
    return result


def log_likelihood(logp: ArrayLike, labels: ArrayLike) -> np.ndarray:
    """Log-probability of each true class, (n,)."""
    return logp[np.arange(len(labels)), labels]


def credit(logp: ArrayLike, labels: ArrayLike, k: int) -> np.ndarray:
    """Expected hit of each pattern among its k most probable classes, (n,).

    Ties count as if broken at random, so a uniform prediction gains nothing from the order of the
    classes.
    """
    true = log_likelihood(logp, labels)[:, None]
    return np.clip((k - (logp > true).sum(axis=1)) / (logp == true).sum(axis=1), 0.0, 1.0)


def confidence_bins(logp: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Largest probability of each pattern and its bin 0..14, (n,) both."""
    confidence = np.exp(logp.max(axis=1))
    return confidence, np.minimum((confidence * N_BINS).astype(np.int64), N_BINS - 1)


def _one_hot(codes, size):
    return (codes[:, None] == np.arange(size)).astype(np.float64)


def _balanced(hit, labels, w):
    member = _one_hot(labels, labels.max() + 1)
    size, hits = w @ member, w @ (member * hit[:, None])
    return (hits / np.maximum(size, 1e-300)).sum(axis=1) / (size > 0).sum(axis=1)


def _ece(logp, hit, w):
    confidence, bins = confidence_bins(logp)
    gap = w @ (_one_hot(bins, N_BINS) * (confidence - hit)[:, None])
    return np.abs(gap).sum(axis=1) / w.sum(axis=1)
