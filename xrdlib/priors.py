"""Class priors: by name, from a mapping, from counts, and as the ratio that changes a prior."""

import numpy as np

from . import groups
from .errors import XrdlibError
from .metrics import logsumexp


def smooth_prior(counts, strength=1.0, base=None):
    """Class probabilities from counts, drawn towards a base distribution.

    (counts + strength base) / (sum of counts + strength): the posterior mean under a Dirichlet
    prior with `strength` pseudo-patterns.

    Parameters
    ----------
    counts : array_like, (99,)
        Non-negative numbers of patterns.
    strength : float
        Positive.
    base : array_like, (99,), optional
        Positive weights; uniform by default.

    Returns
    -------
    ndarray, (99,) float64
    """
    counts = np.asarray(counts, dtype=np.float64)
    base = np.ones_like(counts) if base is None else np.asarray(base, dtype=np.float64)
    bad = counts.shape != (groups.N_GROUPS,) or base.shape != counts.shape or not strength > 0
    if bad or not (np.isfinite(counts).all() and (counts >= 0).all() and (base > 0).all()):
        raise XrdlibError(
            f"A prior needs {groups.N_GROUPS} non-negative counts, a positive strength and a "
            f"positive base; got shapes {counts.shape}, {base.shape} and strength {strength}."
        )
    return (counts + strength * base / base.sum()) / (counts.sum() + strength)


def fit_prior(labels, strength=1.0, base=None):
    """Class probabilities counted on calibration labels and smoothed (`smooth_prior`).

    Parameters
    ----------
    labels : array_like, (n,)
        Classes 0..98 of patterns that share no family with the test patterns.
    strength : float
        Number of pseudo-patterns.
    base : array_like, (99,), optional
        What to smooth towards; uniform by default.

    Returns
    -------
    ndarray, (99,) float64
    """
    labels = np.asarray(labels)
    whole = labels.size == 0 or np.issubdtype(labels.dtype, np.integer)
    if not whole or not np.isin(labels, np.arange(groups.N_GROUPS)).all():
        raise XrdlibError(f"A prior is counted on integer labels 0..{groups.N_GROUPS - 1}.")
    counts = np.bincount(labels.astype(np.int64), minlength=groups.N_GROUPS)
    return smooth_prior(counts, strength, base)


def resolve_prior(spec, minerals=None, floor=1e-3):
    """Target prior by name or from a mapping.

    Parameters
    ----------
    spec : str or mapping
        "minerals", "uniform", or weights by extinction group or space group. An integer key is an
        extinction-group label 1..99; a string is a Hermann-Mauguin symbol ("P21/c"), "sg14" for
        space group 14, or an extinction symbol that only one group has ("P 1 21/c 1").
        Weights that name the same extinction group add up.
    minerals : array_like, (99,), optional
        The distribution that "minerals" stands for.
    floor : float
        Share spread evenly over all 99 groups when a mapping is given, so that groups it does
        not name stay possible.

    Returns
    -------
    ndarray, (99,) float64

    Raises
    ------
    XrdlibError
        On an unknown name, an unknown or ambiguous key, or weights that are negative, not finite
        or all zero.
    """
    uniform = np.full(groups.N_GROUPS, 1 / groups.N_GROUPS)
    if isinstance(spec, str):
        known = {"uniform": uniform, "minerals": minerals}
        if known.get(spec) is None:
            raise XrdlibError(
                f"Prior {spec!r} is not available; use 'uniform', 'minerals' (needs the minerals' "
                "distribution) or a mapping of groups to weights."
            )
        prior = np.asarray(known[spec], dtype=np.float64)
        return prior / prior.sum()
    weights = np.zeros(groups.N_GROUPS)
    for key, weight in spec.items():
        if not (np.isfinite(weight) and weight >= 0):
            raise XrdlibError(f"Prior weight of {key!r} is {weight}; give a non-negative number.")
        weights[_label(key) - 1] += weight
    if not weights.any():
        raise XrdlibError("The prior's weights are all zero; give one group or more a weight.")
    return (1 - floor) * weights / weights.sum() + floor * uniform


def log_ratio(target, train):
    """log pi_target - log pi_train of two distributions, (99,).

    Raises
    ------
    XrdlibError
        If either has a class of probability zero: smooth it first (`smooth_prior`).
    """
    both = [np.asarray(prior, dtype=np.float64) for prior in (target, train)]
    if both[0].shape != both[1].shape or any(not (prior > 0).all() for prior in both):
        raise XrdlibError("A prior ratio needs two priors, positive everywhere; use smooth_prior.")
    return np.log(both[0] / both[0].sum()) - np.log(both[1] / both[1].sum())


def divide_out(logp, train):
    """Predictions as if the model had been trained on uniform classes: p / pi_train, normalised.

    With it, a temperature acts on the evidence alone, and its infinite limit under a target prior
    is that prior. Left in, the training prior is tempered together with the evidence.

    Parameters
    ----------
    logp : array_like, (n, 99)
        Log-probabilities of one head or of the fusion.
    train : array_like, (99,)
        Positive weights of the classes in training.

    Returns
    -------
    ndarray, (n, 99) float64
    """
    scores = np.asarray(logp, dtype=np.float64) + log_ratio(np.ones(groups.N_GROUPS), train)
    return scores - logsumexp(scores)[:, None]


def _label(key):
    """Extinction-group label of a key of `resolve_prior`."""
    if not isinstance(key, str):
        matches = (
            [key] if not isinstance(key, bool) and key in range(1, groups.N_GROUPS + 1) else []
        )
    else:
        wanted = key.replace(" ", "")
        space_groups = [
            number
            for number in range(1, 231)
            if wanted in (f"sg{number}", groups.reference_symbol(number).replace(" ", ""))
        ]
        matches = {int(groups.group_of_space_group()[number]) for number in space_groups} or {
            row["label"]
            for row in groups.table()["extinction_groups"]
            if wanted in [symbol.replace(" ", "") for symbol in row["settings"]]
        }
    if len(matches) != 1:
        raise XrdlibError(
            f"{key!r} names {len(matches)} groups; use a label 1..{groups.N_GROUPS}, a symbol that "
            "only one group has, or 'sg' and a space-group number."
        )
    return int(next(iter(matches)))
