"""A temperature sweep of the published predictions, as far as it can be told.

Of 99 probabilities five were published, and of the rest their sum. Among those five a temperature
acts as it does among all: ratios are raised to the power 1/T. So the published ones, which had a
temperature already, can be sharpened or flattened further, and asked whether they tell which of the
five is true. What a temperature does to the 94 others is not known.
"""

import numpy as np
from numpy import ndarray

from ..learning.metrics import logsumexp, means
from ..learning.priors import fit_prior
from ..structures.published import N_TOP, Published
from .temperature import FINE, SHOWN, choose

_STRENGTH = 5.0  # pseudo-patterns of the label prior


def study(cases: Published, n_boot: int = 1000, seed: int = 0) -> dict:
    """Temperature sweep of the published predictions.

    Gives "n", "families"; "inside" (cases whose true class is among the five) with "n", "families";
    "ways": by name "chosen" (`temperature.choose` on these very cases, so it flatters), "nll" at
    each of "T" and at the "limit", "won" over T = 1 and "left" over the limit, with intervals;
    "nulls": NLL of the uniform distribution and of the label prior over the five; "told": nats told
    beyond the label prior, with its interval.
    """
    inside = cases.hits(N_TOP)
    family = cases.family[inside]
    at = (cases.top == cases.label[:, None]).argmax(1)[inside]
    logp = np.log(cases.probability)[inside]
    prior = np.take_along_axis(np.log(label_prior(cases.label, cases.family)), cases.top, 1)[inside]
    flat = np.zeros_like(logp)
    told = {"told": _cost(prior, flat, at, 1) - _cost(logp, flat, at, 1)}
    return {
        "n": len(cases),
        "families": len(np.unique(cases.family)),
        "inside": {"n": int(inside.sum()), "families": len(np.unique(family))},
        "T": list(SHOWN),
        "ways": {
            "as published": _way(logp, flat, at, family, n_boot, seed),
            "prior taken out and put back": _way(logp - prior, prior, at, family, n_boot, seed),
        },
        "nulls": {
            "uniform": float(np.log(N_TOP)),
            "label prior": float(_cost(prior, flat, at, 1).mean()),
        },
        **means(told, family, n_boot, seed),
    }


def label_prior(labels: ndarray, families: ndarray, strength: float = _STRENGTH) -> ndarray:
    """Class frequencies of the other families, smoothed, (n, 99): a prior that has not seen one."""
    labels, families = np.asarray(labels), np.asarray(families)
    own = {f: fit_prior(labels[families != f], strength) for f in np.unique(families)}
    return np.stack([own[f] for f in families])


def _way(base, added, at, family, n_boot, seed):
    costs = np.stack([_cost(base, added, at, T) for T in (*FINE, np.inf)], 1)
    chosen = choose(costs, family, FINE, n_boot, seed)
    best = _cost(base, added, at, chosen["T"] or np.inf)
    gains = {"won": _cost(base, added, at, 1) - best, "left": costs[:, -1] - best}
    return {
        "chosen": chosen,
        "nll": [float(_cost(base, added, at, T).mean()) for T in SHOWN],
        "limit": float(costs[:, -1].mean()),
        **means(gains, family, n_boot, seed),
    }


def _cost(base, added, at, T):
    """NLL of the true one among the five, (n,)."""
    scores = base / T + added
    return logsumexp(scores) - scores[np.arange(len(at)), at]
