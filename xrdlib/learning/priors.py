"""Class priors: by name, as stated by the user, from counts, and as the ratio that changes one."""

from collections.abc import Iterable, Mapping
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..base.errors import XrdlibError
from ..symmetry import groups
from ..symmetry.groups import N_GROUPS
from ..symmetry.lookup import label_of
from .metrics import logsumexp

if TYPE_CHECKING:
    import pandas as pd

# Share of groups that the user rules out; zero would have no logarithm.
_KNOWN = 1e-100


def smooth_prior(
    counts: ArrayLike, strength: float = 1.0, base: ArrayLike | None = None
) -> np.ndarray:
    """Class probabilities from counts, drawn towards a base distribution.

    (counts + strength base) / (sum of counts + strength): the posterior mean under a Dirichlet
    prior with `strength` pseudo-patterns.

    Parameters
    ----------
    counts : array_like, (99,)
        Non-negative numbers of patterns.
    base : array_like, (99,), optional
        Positive weights; uniform by default.
    """
    counts = np.asarray(counts, dtype=np.float64)
    base = np.ones_like(counts) if base is None else np.asarray(base, dtype=np.float64)
    bad = counts.shape != (N_GROUPS,) or base.shape != counts.shape or not strength > 0
    if bad or not (np.isfinite(counts).all() and (counts >= 0).all() and (base > 0).all()):
        raise XrdlibError(
            f"A prior needs {N_GROUPS} non-negative counts, a positive strength and a "
            f"positive base; got shapes {counts.shape}, {base.shape} and strength {strength}."
        )
    return (counts + strength * base / base.sum()) / (counts.sum() + strength)


def fit_prior(
    labels: ArrayLike,
    strength: float = 1.0,
    base: ArrayLike | None = None,
    families: ArrayLike | None = None,
) -> np.ndarray:
    """Class probabilities counted on calibration labels, (n,) of 0..98, and smoothed.

    Each pattern counts one, or each family (n,) where they are given, shared by its patterns.
    `strength` and `base` are those of `smooth_prior`.
    """
    labels = np.asarray(labels)
    whole = labels.size == 0 or np.issubdtype(labels.dtype, np.integer)
    if not whole or not np.isin(labels, np.arange(N_GROUPS)).all():
        raise XrdlibError(f"A prior is counted on integer labels 0..{N_GROUPS - 1}.")
    vote = None
    if families is not None:
        _, member, size = np.unique(families, return_inverse=True, return_counts=True)
        vote = 1 / size[member]
    counts = np.bincount(labels.astype(np.int64), vote, minlength=N_GROUPS)
    return smooth_prior(counts, strength, base)


def resolve_prior(
    spec: str | Mapping | Iterable, minerals: ArrayLike | None = None, floor: float = 1e-3
) -> np.ndarray:
    """Target prior by name, from weights, or from a choice of groups.

    Parameters
    ----------
    spec : str, mapping or sequence
        "minerals", "uniform", or one of

        - weights by extinction group or space group, a mapping or text ("P21/c=3,C2/c=1"). A key
          is whatever `lookup.named` understands: a space group by number (14) or symbol of any
          setting ("P21/n"), an extinction group by label ("eg4"). Weights that name the same
          extinction group add up.
        - crystal systems known beforehand, "system=monoclinic" ("system=trigonal,hexagonal").
        - groups to consider, "sg=14,P21/n", or a sequence of such keys.

        The last two keep the minerals' distribution (uniform without one) among the extinction
        groups that hold a space group of the kind.
    minerals : array_like, (99,), optional
        The distribution that "minerals" stands for.
    floor : float
        Share spread evenly over all 99 groups where weights are given, so that groups left out
        stay possible. With a choice of groups or systems the share is 1e-100 of it.

    Raises
    ------
    XrdlibError
        On an unknown name, an unknown or ambiguous key, or weights that are negative, not finite
        or all zero.
    """
    uniform = np.full(N_GROUPS, 1 / N_GROUPS)
    named = {"uniform": uniform, "minerals": minerals}
    if isinstance(spec, str) and named.get(spec) is not None:
        prior = np.asarray(named[spec], dtype=np.float64)
        return prior / prior.sum()
    base = uniform if minerals is None else np.asarray(minerals, dtype=np.float64)
    spec = parsed(spec) if isinstance(spec, str) else spec
    weights = _weights(spec, base)
    floor = floor if isinstance(spec, Mapping) else _KNOWN * floor
    if not weights.any():
        raise XrdlibError("The prior's weights are all zero; give one group or more a weight.")
    return (1 - floor) * weights / weights.sum() + floor * uniform


def gives_odds(spec: str | Mapping | Iterable) -> bool:
    """Whether a prior states weights of its own: those act in full, whatever the fitted weight.

    Examples
    --------
    >>> gives_odds("P21/c=3,C2/c=1"), gives_odds("minerals"), gives_odds("system=monoclinic")
    (True, False, False)
    """
    if isinstance(spec, str):
        return spec not in ("uniform", "minerals") and isinstance(parsed(spec), Mapping)
    return isinstance(spec, Mapping)


def parsed(text: str) -> dict[str, float] | list:
    """Mapping of weights, or list of groups to consider, that the text of a prior stands for.

    Raises
    ------
    XrdlibError
        If it is neither.

    Examples
    --------
    >>> parsed("P21/c=3, C2/c=1"), parsed("sg=14,P21/n")
    ({'P21/c': 3.0, 'C2/c': 1.0}, ['14', 'P21/n'])
    """
    kind, equals, names = text.partition("=")
    if kind.strip() == "system" and equals:
        return [number for name in names.split(",") for number in _members(name.strip())]
    if kind.strip() == "sg" and equals:
        return [name.strip() for name in names.split(",")]
    try:
        pairs = [item.rsplit("=", 1) for item in text.split(",")]
        return {key.strip(): float(weight) for key, weight in pairs}
    except ValueError:
        raise XrdlibError(
            f"Prior {text!r} is not available; use 'uniform', 'minerals' (needs the minerals' "
            "distribution), 'system=monoclinic', 'sg=14,15' or weights as in 'P21/c=3,C2/c=1'."
        ) from None


def _members(system):
    """Space-group numbers of a crystal system."""
    name = system.strip().lower()
    numbers = [n for n in range(1, 231) if groups.space_group(n)["crystal_system"] == name]
    if not numbers:
        systems = ", ".join(groups.SYSTEMS)
        raise XrdlibError(f"{system!r} is not a crystal system; choose from {systems}.")
    return numbers


def _weights(spec, base):
    """Weights (99,) from a mapping, or `base` among the groups of a sequence."""
    weights = np.zeros(N_GROUPS)
    if not isinstance(spec, Mapping):
        if not isinstance(spec, Iterable):
            raise XrdlibError(f"Prior {spec!r} is neither a name, nor weights, nor space groups.")
        rows = [label_of(key) - 1 for key in spec]
        weights[rows] = base[rows]
        return weights
    for key, weight in spec.items():
        if not (isinstance(weight, Real) and np.isfinite(weight) and weight >= 0):
            raise XrdlibError(f"Prior weight of {key!r} is {weight}; give a non-negative number.")
        weights[label_of(key) - 1] += weight
    return weights


def log_ratio(target: ArrayLike, train: ArrayLike) -> np.ndarray:
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


def divide_out(logp: ArrayLike, train: ArrayLike) -> np.ndarray:
    """Predictions as if the model had been trained on uniform classes: p / pi_train, normalised.

    With it, a temperature acts on the evidence alone, and its infinite limit under a target prior
    is that prior. Left in, the training prior is tempered together with the evidence.

    Parameters
    ----------
    logp : array_like, (n, 99)
        Log-probabilities of one head or of the fusion.
    train : array_like, (99,)
        Positive weights of the classes in training.
    """
    scores = np.asarray(logp, dtype=np.float64) + log_ratio(np.ones(N_GROUPS), train)
    return scores - logsumexp(scores)[:, None]


def named_minerals(table: "pd.DataFrame") -> tuple:
    """Rows of named minerals with a known group, and their shares.

    Of a table as from `structure_library.build`; the shares, a Series, sum to 1 over the structures
    of a mineral.
    """
    usable = table[(table["mineral"] != "") & (table["stated_group"] > 0)]
    if usable.empty:
        raise XrdlibError("No named mineral with a known space group; frequencies need some.")
    return usable, 1 / usable.groupby("mineral")["mineral"].transform("size")


def minerals_prior(table: "pd.DataFrame", strength: float = 50) -> np.ndarray:
    """How often minerals have each extinction group, (99,), summing to 1.

    Parameters
    ----------
    table : pandas.DataFrame
        As from `structure_library.build`. A named mineral has one vote, shared by its structures.
    strength : float
        Votes spread over all classes (`smooth_prior`), so that none is impossible.

    Raises
    ------
    XrdlibError
        If no named mineral has a known group.
    """
    usable, vote = named_minerals(table)
    votes = np.bincount(usable["stated_group"] - 1, vote, minlength=N_GROUPS)
    return smooth_prior(votes, strength)
