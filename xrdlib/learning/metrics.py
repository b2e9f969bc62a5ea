"""Scores of predictions, and their breakdown by confidence and crystal system.

Every score is a function of per-pattern weights: a bootstrap resample is a row of weights, so a
thousand resamples cost one matrix product. Functions of one score return fractions; `measure` and
`evaluate`, which make the rows of tables, return percent where the quantity is a rate.
"""

import numpy as np

from ..base.errors import XrdlibError
from ..symmetry.groups import (
    N_CLASSES,
    N_GROUPS,
    N_SPACE_GROUPS,
    SYSTEMS,
    crystal_systems,
    diffraction_classes,
    symbols,
)

N_BINS = 15

RATES = ("top1", "top3", "top5", "balanced_top1", "ece", "top1_97", "top5_97", "balanced_top1_97")

# Resamples are weighted in slices of this many elements, which bounds memory for large subsets.
_SLICE = 4_000_000


def check(logp, labels):
    """Validated predictions and labels.

    Parameters
    ----------
    logp : array_like, (n, 99), (n, 97) or (n, 230)
        Natural log-probabilities; each row sums to one within 1e-3.
    labels : array_like, (n,)
        True classes, counted from 0.

    Returns
    -------
    logp : ndarray, of the same shape, float64
        Normalised to rounding.
    labels : ndarray, (n,) int64

    Raises
    ------
    XrdlibError
        On a wrong shape or length, a value that is not finite, a row that is not a distribution,
        or a label out of range.
    """
    logp, labels = np.asarray(logp, dtype=np.float64), np.asarray(labels)
    if (
        logp.ndim != 2
        or logp.shape[1] not in (N_GROUPS, N_CLASSES, N_SPACE_GROUPS)
        or len(logp) == 0
    ):
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
    whole = np.issubdtype(labels.dtype, np.integer)
    if not whole or labels.min() < 0 or labels.max() >= logp.shape[1]:
        raise XrdlibError(f"Labels must be integers 0..{logp.shape[1] - 1}, one a pattern.")
    return logp - total[:, None], labels.astype(np.int64)


def logsumexp(x):
    """Logarithm of the sum of exponentials over the last axis, without overflow."""
    top = x.max(axis=-1)
    return top + np.log(np.exp(x - top[..., None]).sum(axis=-1))


def merge_97(logp, labels):
    """Predictions and labels over the 97 classes that diffraction can tell apart.

    Returns
    -------
    logp : ndarray, (n, 97) float64
    labels : ndarray, (n,) int64
        0..96, diffraction class less one.
    """
    logp, labels = check(logp, labels)
    if logp.shape[1] != N_GROUPS:
        raise XrdlibError(f"merge_97 needs {N_GROUPS} columns, not {logp.shape[1]}.")
    classes = np.asarray(diffraction_classes(), dtype=np.int64) - 1
    merged = np.full((len(logp), N_CLASSES), -np.inf)
    for column, target in enumerate(classes):
        merged[:, target] = np.logaddexp(merged[:, target], logp[:, column])
    return merged, classes[labels]


def top_k(logp, labels, k=1, weights=None):
    """Fraction of patterns whose true class is among the k most probable.

    Ties count as if broken at random (their expected credit), so a predictor that says nothing
    gains nothing from the order of the classes.

    Parameters
    ----------
    logp, labels
        As for `check`.
    k : int
    weights : ndarray, (B, n), optional
        Weight of each pattern in each of B resamples.

    Returns
    -------
    float or ndarray, (B,)
    """
    logp, labels = check(logp, labels)
    return _mean(credit(logp, labels, k), weights)


def nll(logp, labels, weights=None):
    """Mean negative log-likelihood in nats."""
    logp, labels = check(logp, labels)
    return _mean(-log_likelihood(logp, labels), weights)


def ece(logp, labels, weights=None):
    """Expected calibration error over 15 equal-width bins of confidence (Guo et al. 2017)."""
    logp, labels = check(logp, labels)
    return _ece(logp, credit(logp, labels, 1), weights)


def bits_over_prior(logp, labels, prior_logp, weights=None):
    """Information about the class beyond a prior: (NLL of the prior - NLL) / ln 2, in bits.

    Parameters
    ----------
    prior_logp : array_like, (99,)
        Natural log-probabilities of the prior.
    """
    logp, labels = check(logp, labels)
    prior, _ = check(np.asarray(prior_logp)[None], labels[:1])
    return _mean((log_likelihood(logp, labels) - prior[0, labels]) / np.log(2), weights)


def measure(logp, labels, prior_logp, weights=None):
    """Every score at once: a dict of float or (B,) arrays, in percent where a rate (`RATES`)."""
    logp, labels = check(logp, labels)
    logp_97, labels_97 = merge_97(logp, labels)
    first, first_97 = credit(logp, labels, 1), credit(logp_97, labels_97, 1)
    values = {
        "top1": _mean(first, weights),
        "top3": _mean(credit(logp, labels, 3), weights),
        "top5": _mean(credit(logp, labels, 5), weights),
        "balanced_top1": _balanced(first, labels, weights),
        "nll": _mean(-log_likelihood(logp, labels), weights),
        "ece": _ece(logp, first, weights),
        "bits_over_prior": bits_over_prior(logp, labels, prior_logp, weights),
        "top1_97": _mean(first_97, weights),
        "top5_97": _mean(credit(logp_97, labels_97, 5), weights),
        "balanced_top1_97": _balanced(first_97, labels_97, weights),
        "nll_97": _mean(-log_likelihood(logp_97, labels_97), weights),
    }
    return {key: 100 * value if key in RATES else value for key, value in values.items()}


def resamples(families, n_boot=1000, seed=0):
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
        If there are fewer than two families, which give no interval.
    """
    families = np.asarray(families)
    names, codes = np.unique(families, return_inverse=True)
    if families.ndim != 1 or len(names) < 2:
        raise XrdlibError(
            f"A family bootstrap needs two families or more, one name a pattern; got {len(names)}."
        )
    equal = np.full(len(names), 1 / len(names))
    counts = np.random.default_rng(seed).multinomial(len(names), equal, size=n_boot)
    step = max(1, _SLICE // len(codes))
    for first in range(0, n_boot, step):
        yield counts[first : first + step][:, codes].astype(np.float64)


def family_bootstrap(metric_fn, families, n_boot=1000, seed=0):
    """95 % percentile interval of a score when whole mineral families are resampled.

    Parameters
    ----------
    metric_fn : callable
        Pattern weights (b, n) to scores (b,): for example ``partial(top_k, logp, labels, 5)``
        called with ``weights=``.
    families : array_like, (n,)

    Returns
    -------
    tuple of float
        Lower and upper end, in the unit of the score.

    Raises
    ------
    XrdlibError
        If there are fewer than two families.
    """
    parts = [metric_fn(weights=weights) for weights in resamples(families, n_boot, seed)]
    low, high = np.percentile(np.concatenate(parts), [2.5, 97.5])
    return float(low), float(high)


def evaluate(name, subset, logp, labels, families, prior_logp, n_boot=1000, seed=0):
    """One row of a results table.

    Parameters
    ----------
    name, subset : str
        Model and the set of patterns.
    logp, labels
        As for `check`, 99 columns.
    families : array_like, (n,)
    prior_logp : array_like, (99,)
        The prior that bits are counted over.

    Returns
    -------
    dict
        JSON-able: scores of `measure` and `<score>_ci95` = [low, high] for each (`bits_ci95` for
        bits over the prior; null with fewer than two families), with "n" and "n_families".
    """
    if len(np.asarray(families)) != len(np.asarray(labels)):
        raise XrdlibError(f"{name} on {subset}: families and labels differ in length.")
    point = measure(logp, labels, prior_logp)
    few = len(np.unique(families)) < 2
    drawn = [] if few else resamples(families, n_boot, seed)
    return row(name, subset, families, point, [measure(logp, labels, prior_logp, w) for w in drawn])


def row(name, subset, families, point, parts):
    """Assemble a row from scores (dict of float) and a list of their resamples (may be empty)."""
    n_families = len(np.unique(families))
    result = {"model": name, "subset": subset, "n": len(families), "n_families": n_families}
    for key, value in point.items():
        result[key] = float(value)
        name_ci = "bits_ci95" if key == "bits_over_prior" else f"{key}_ci95"
        result[name_ci] = None
        if parts:
            ends = np.percentile(np.concatenate([part[key] for part in parts]), [2.5, 97.5])
            result[name_ci] = [float(end) for end in ends]
    return result


def log_likelihood(logp, labels):
    """Log-probability of each true class, (n,)."""
    return logp[np.arange(len(labels)), labels]


def credit(logp, labels, k):
    """Expected hit of each pattern among its k most probable classes, (n,), ties at random."""
    true = log_likelihood(logp, labels)[:, None]
    above, level = (logp > true).sum(axis=1), (logp == true).sum(axis=1)
    return np.clip((k - above) / level, 0.0, 1.0)


def confidence_bins(logp):
    """Largest probability of each pattern, (n,), and its bin 0..14, (n,)."""
    confidence = np.exp(logp.max(axis=1))
    return confidence, np.minimum((confidence * N_BINS).astype(np.int64), N_BINS - 1)


def _one_hot(codes, size):
    return (codes[:, None] == np.arange(size)).astype(np.float64)


def _mean(values, weights):
    return float(values.mean()) if weights is None else weights @ values / weights.sum(axis=1)


def _balanced(hit, labels, weights):
    _, codes = np.unique(labels, return_inverse=True)
    member = _one_hot(codes, codes.max() + 1)
    w = np.ones((1, len(labels))) if weights is None else weights
    size = w @ member
    rate = (w @ (member * hit[:, None])) / np.maximum(size, 1e-300)
    value = rate.sum(axis=1) / (size > 0).sum(axis=1)
    return float(value[0]) if weights is None else value


def _ece(logp, hit, weights):
    confidence, bins = confidence_bins(logp)
    gap = _one_hot(bins, N_BINS) * (confidence - hit)[:, None]
    w = np.ones((1, len(hit))) if weights is None else weights
    value = np.abs(w @ gap).sum(axis=1) / w.sum(axis=1)
    return float(value[0]) if weights is None else value


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
