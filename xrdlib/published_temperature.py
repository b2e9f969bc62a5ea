"""What can be told about the temperature of the published predictions from five probabilities.

Of 99 probabilities five were published, and of the rest their sum. Among those five a temperature
acts as it does among all: ratios are raised to the power 1/T. So the published ones, which had a
temperature already, can be sharpened or flattened further, and asked whether they tell which of the
five is true. What a temperature does to the 94 others is known only within bounds, and the scores
that they enter are not.
"""

import numpy as np

from .groups import N_GROUPS
from .metrics import logsumexp
from .priors import fit_prior
from .published import N_TOP
from .temperature_study import FINE, SHOWN, choose, with_interval

_STRENGTH = 5.0  # pseudo-patterns of the label prior


def study(cases, n_boot=1000, seed=0):
    """Temperature sweep of the published predictions, as far as it can be told.

    Parameters
    ----------
    cases : published.Published

    Returns
    -------
    dict
        "n", "families"; "inside" (cases whose true class is among the five) with "n", "families";
        "ways": by name "chosen" (`temperature_study.choose` on these very cases, so it flatters),
        "nll" at each of "T" and at the "limit", "won" over T = 1 and "left" over the limit, with
        intervals; "nulls": NLL of the uniform distribution and of the label prior over the five;
        "confidence": least and largest possible mean at each T, with "accuracy" (percent);
        "verdict".
    """
    inside = cases.hits(N_TOP)
    family = cases.family[inside]
    at = (cases.top == cases.label[:, None]).argmax(1)[inside]
    logp = np.log(cases.probability)[inside]
    prior = np.take_along_axis(np.log(label_prior(cases.label, cases.family)), cases.top, 1)[inside]
    flat = np.zeros_like(logp)
    found = {
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
        "confidence": {
            "accuracy": 100 * float(cases.hits(1).mean()),
            **_confidence(cases.probability),
        },
    }
    told = with_interval(
        "told", _cost(prior, flat, at, 1) - _cost(logp, flat, at, 1), family, n_boot, seed
    )
    return {**found, **told, "verdict": _verdict(found, told)}


def label_prior(labels, families, strength=_STRENGTH):
    """Class frequencies of the other families, smoothed, (n, 99): a prior that has not seen one."""
    labels, families = np.asarray(labels), np.asarray(families)
    own = {f: fit_prior(labels[families != f], strength) for f in np.unique(families)}
    return np.stack([own[f] for f in families])


def bounds(probability, T):
    """Least and largest confidence in the first class at temperature T, two (n,) arrays.

    The other classes have a known sum, and none is above the fifth. The sum of their powers 1/T is
    extreme where they are all equal, and where as many as possible are as large as the fifth.

    Parameters
    ----------
    probability : array_like, (n, 5)
    T : float
    """
    p = np.asarray(probability, dtype=np.float64)
    power, rest, last = 1 / T, 1 - p.sum(1), p[:, -1]
    rest = np.clip(rest, 0, (N_GROUPS - N_TOP) * last)
    whole = np.floor(rest / last)
    even = (N_GROUPS - N_TOP) * (rest / (N_GROUPS - N_TOP)) ** power
    packed = whole * last**power + (rest - whole * last) ** power
    five = (p**power).sum(1)
    ends = [p[:, 0] ** power / (five + others) for others in (even, packed)]
    return np.minimum(*ends), np.maximum(*ends)


def _confidence(probability):
    least, largest = zip(*(bounds(probability, T) for T in SHOWN), strict=True)
    return {
        "least": [100 * float(x.mean()) for x in least],
        "largest": [100 * float(x.mean()) for x in largest],
    }


def _way(base, added, at, family, n_boot, seed):
    costs = np.stack([_cost(base, added, at, T) for T in (*FINE, np.inf)], 1)
    chosen = choose(costs, family, FINE, n_boot, seed)
    best = _cost(base, added, at, chosen["T"] or np.inf)
    return {
        "chosen": chosen,
        "nll": [float(_cost(base, added, at, T).mean()) for T in SHOWN],
        "limit": float(costs[:, -1].mean()),
        **with_interval("won", _cost(base, added, at, 1) - best, family, n_boot, seed),
        **with_interval("left", costs[:, -1] - best, family, n_boot, seed),
    }


def _cost(base, added, at, T):
    """NLL of the true one among the five, (n,)."""
    scores = base / T + added
    return logsumexp(scores) - scores[np.arange(len(at)), at]


def _verdict(found, told):
    tempered = found["ways"]["as published"]
    low, high = told["told_ci95"] or (None, None)
    where = tempered["chosen"]["T"]
    where = "infinity" if where is None else f"{where:.1f}"
    informative = low is not None and low > 0
    text = (
        f"Where the true group is among the five (n = {found['inside']['n']} of {found['n']}), the "
        f"published probabilities tell which it is with an NLL of "
        f"{found['nulls']['label prior'] - told['told']:.3f} nats, against "
        f"{found['nulls']['uniform']:.3f} for equal odds and {found['nulls']['label prior']:.3f} "
        f"for label frequencies of other families: {told['told']:.3f} nats told beyond those "
        f"[{low:.3f}, {high:.3f}]. Their best temperature is {where}, where "
        f"{tempered['left']:.3f} nats are left over equal odds. No temperature changes the first "
        "five or their order. NLL and ECE over all 99 groups cannot be computed from them."
        if low is not None
        else "Too few families for an interval."
    )
    return {"informative": bool(informative), "text": text}
