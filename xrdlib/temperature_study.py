"""Is temperature scaling what was missing, or a slide to the prior?

A temperature is chosen on calibration families and reported on test families, from 0.5 to the limit
where the pattern is ignored, for each way of putting in a prior. What is won between temperature 1
and the chosen one is set beside what is left between the chosen one and that limit.
"""

import numpy as np

from .breakdown import reliability
from .calibrate import rescale
from .errors import XrdlibError
from .groups import N_GROUPS
from .metrics import check, ece, log_likelihood, measure, nll, resamples, top_k

# Evenly spaced in logarithm; infinity comes after the last.
FINE = tuple(np.geomspace(0.5, 500, 151).tolist())
SHOWN = tuple(np.geomspace(0.5, 50, 21).tolist())
RATIO, TWICE, NONE = "prior as a ratio", "training prior twice", "no prior"
WAYS = (RATIO, TWICE, NONE)


def ways(evidence, train, target):
    """What is divided by the temperature, and what is added after it, for each of `WAYS`.

    Parameters
    ----------
    evidence : ndarray, (n, 99)
        Log-probabilities with the training prior divided out (`priors.divide_out`).
    train, target : array_like, (99,)
        Prior of the training stream, and of the patterns to come.

    Returns
    -------
    dict of str to (ndarray (n, 99), ndarray (99,))
        As a ratio, the training prior is taken out before and the target put in after. Twice,
        the training prior that the network has absorbed is tempered and added once more. With no
        prior, predictions are tempered as they come, and the limit is uniform.
    """
    absorbed = evidence + np.log(train)
    return {
        RATIO: (evidence, np.log(target)),
        TWICE: (absorbed, np.log(train)),
        NONE: (absorbed, np.zeros(N_GROUPS)),
    }


def choose(costs, families, temperatures=FINE, n_boot=1000, seed=0):
    """Temperature of least mean cost, with its interval over families.

    Parameters
    ----------
    costs : ndarray, (n, len(temperatures) + 1)
        Of each pattern at each temperature, the last column at infinity.
    families : array_like, (n,)
    temperatures : sequence of float

    Returns
    -------
    dict
        "T", "T_ci95" (None stands for infinity; no interval for fewer than two families) and
        "at_limit": share of resamples whose best temperature is infinite.
    """
    costs = np.asarray(costs)
    if costs.ndim != 2 or costs.shape[1] != len(temperatures) + 1:
        raise XrdlibError(
            f"Costs of shape {costs.shape} given; {len(temperatures)} temperatures and infinity "
            f"need (n, {len(temperatures) + 1})."
        )
    tried = np.array([*temperatures, np.inf])
    found = {"T": _finite(tried[costs.mean(0).argmin()]), "T_ci95": None, "at_limit": None}
    if len(np.unique(families)) < 2:
        return found
    drawn = [tried[(w @ costs).argmin(1)] for w in resamples(families, n_boot, seed)]
    drawn = np.sort(np.concatenate(drawn))
    # Order statistics: a mean with infinity would say nothing.
    ends = drawn[[int(0.025 * len(drawn)), int(np.ceil(0.975 * len(drawn))) - 1]]
    found["T_ci95"] = [_finite(end) for end in ends]
    found["at_limit"] = float(np.isinf(drawn).mean())
    return found


def model(calibration, test, null, n_boot=1000, seed=0):
    """Temperature of one predictor under one way of putting in a prior.

    Parameters
    ----------
    calibration, test : (base, added, labels, families)
        Arrays (n, 99), (99,), (n,), (n,); base and added are of `ways`.
    null : ndarray, (99,)
        The prior-only prediction that bits are counted over.

    Returns
    -------
    dict
        "chosen" (`choose`, on calibration), "best_on_test" (the same on the test patterns, which
        is not to be had in earnest), "curve" on the test patterns, "rows" at temperature 1, chosen
        and infinite, "won" (NLL at 1 less NLL at the chosen one) and "left" (NLL at infinity less
        that), both with "_ci95" paired over families, and "reliability" before and after.
    """
    chosen = choose(_costs(*calibration[:3]), calibration[3], n_boot=n_boot, seed=seed)
    hindsight = choose(_costs(*test[:3]), test[3], n_boot=n_boot, seed=seed)
    base, added, labels, families = test
    T = chosen["T"] or np.inf
    logp = {
        "T = 1": rescale(base, 1, 1, added),
        "chosen": rescale(base, T, 1, added),
        "limit": rescale(base, np.inf, 1, added),
    }
    told = {key: log_likelihood(p, labels) for key, p in logp.items()}
    rows = {key: _row(p, labels, null) for key, p in logp.items()}
    return {
        "chosen": chosen,
        "best_on_test": hindsight,
        "curve": curve(base, added, labels),
        "rows": rows,
        **with_interval("won", told["chosen"] - told["T = 1"], families, n_boot, seed),
        **with_interval("left", told["chosen"] - told["limit"], families, n_boot, seed),
        "reliability": {key: reliability(logp[key], labels) for key in ("T = 1", "chosen")},
    }


def curve(base, added, labels, temperatures=SHOWN):
    """Scores against temperature: lists "T", "nll", "ece", "top1", "top5", and "limit"."""
    rows = [_scores(rescale(base, T, 1, added), labels) for T in (*temperatures, np.inf)]
    lists = {key: [round(row[key], 4) for row in rows[:-1]] for key in rows[0]}
    return {"T": [round(T, 4) for T in temperatures], **lists, "limit": rows[-1]}


def verdict(found):
    """What a temperature did for one predictor: words, and which of three cases it is.

    Parameters
    ----------
    found : dict
        As `model` makes it.

    Returns
    -------
    dict
        "case": "harmful" or "needless" (the chosen temperature is surely worse, or not surely
        better, than 1), "slide to the prior" (it is, but nothing is surely left over the limit),
        or "mends sharpness" (both); "text".
    """
    won, left = found["won_ci95"], found["left_ci95"]
    if won is None:
        return {"case": None, "text": "Too few families for an interval."}
    if won[0] <= 0:
        case = "harmful" if won[1] < 0 else "needless"
    else:
        case = "mends sharpness" if left[0] > 0 else "slide to the prior"
    T, ends = found["chosen"]["T"], found["chosen"]["T_ci95"]
    text = (
        f"{case}: T = {_words(T)} [{_words(ends[0])}, {_words(ends[1])}] wins {found['won']:.3f} "
        f"nats over T = 1 [{won[0]:.3f}, {won[1]:.3f}] and keeps {found['left']:.3f} over the "
        f"limit [{left[0]:.3f}, {left[1]:.3f}]; top-1 {found['rows']['T = 1']['top1']:.1f} % at "
        f"T = 1, {found['rows']['chosen']['top1']:.1f} % there, "
        f"{found['rows']['limit']['top1']:.1f} % at the limit"
    )
    return {"case": case, "text": text}


def overall(models):
    """One answer from all predictors: is the temperature what was missing?

    It is called the key where it surely helps, surely keeps something over the limit, and wins more
    than the prior does that is put in beside it (as a ratio, both at temperature 1).

    Parameters
    ----------
    models : dict of str to dict of str to dict
        By predictor and way, each as `model` makes it.

    Returns
    -------
    dict
        "claim" and whether it "holds" ("holds", "holds in part", "does not hold"), "cases" by
        predictor and way, "won" by temperature and by "prior" (nats) of each predictor, "text".
    """
    cases = {
        title: {way: verdict(found)["case"] for way, found in own.items()}
        for title, own in models.items()
    }
    prior = {
        title: own[NONE]["rows"]["T = 1"]["nll"] - own[RATIO]["rows"]["T = 1"]["nll"]
        for title, own in models.items()
    }
    won = {title: own[RATIO]["won"] for title, own in models.items()}
    helps = [title for title, case in cases.items() if case[RATIO] == "mends sharpness"]
    key = [title for title in helps if won[title] > prior[title]]
    slides = [title for title, case in cases.items() if case[RATIO] == "slide to the prior"]
    holds = {0: "does not hold", len(models): "holds"}.get(len(key), "holds in part")
    text = (
        f"With the prior as a ratio, a temperature surely helps {len(helps)} of {len(models)} "
        f"predictors ({', '.join(helps) or 'none'}) and wins "
        f"{min(won.values()):.3f} to {max(won.values()):.3f} nats; the prior itself wins "
        f"{min(prior.values()):.3f} to {max(prior.values()):.3f}. It slides to the prior alone for "
        f"{len(slides)}."
    )
    claim = "Temperature scaling is the key remaining ingredient."
    return {
        "claim": claim,
        "holds": holds,
        "cases": cases,
        "won": won,
        "prior": prior,
        "text": text,
    }


def _costs(base, added, labels):
    """NLL of each pattern at `FINE` temperatures and infinity, (n, len(FINE) + 1)."""
    return np.stack(
        [-log_likelihood(rescale(base, T, 1, added), labels) for T in (*FINE, np.inf)], 1
    )


def _scores(logp, labels):
    logp, labels = check(logp, labels)
    return {
        "nll": float(nll(logp, labels)),
        "ece": 100 * float(ece(logp, labels)),
        "top1": 100 * float(top_k(logp, labels, 1)),
        "top5": 100 * float(top_k(logp, labels, 5)),
    }


def _row(logp, labels, null):
    keys = ("top1", "top5", "nll", "ece", "bits_over_prior")
    found = measure(logp, labels, np.log(null))
    return {key: float(found[key]) for key in keys}


def with_interval(name, values, families, n_boot, seed):
    """Mean of per-pattern values with its interval over families."""
    if len(np.unique(families)) < 2:
        return {name: float(values.mean()), f"{name}_ci95": None}
    parts = [w @ values / w.sum(1) for w in resamples(families, n_boot, seed)]
    ends = np.percentile(np.concatenate(parts), [2.5, 97.5])
    return {name: float(values.mean()), f"{name}_ci95": [float(end) for end in ends]}


def _finite(T):
    return float(T) if np.isfinite(T) else None


def _words(T):
    return "infinity" if T is None else f"{T:.2f}"
