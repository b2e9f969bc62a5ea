"""Temperature: the published sweep, ours, and what is left over the limit.

A temperature is chosen on calibration families and reported on test families, from 0.5 to the limit
where the pattern is ignored, for each way of putting in a prior. What is won between temperature 1
and the chosen one is set beside what is left between the chosen one and that limit.

Of 99 probabilities five were published, and of the rest their sum. Among those five a temperature
acts as it does among all: ratios are raised to the power 1/T. So the published ones, which had a
temperature already, can be sharpened or flattened further, and asked whether they tell which of the
five is true. What a temperature does to the 94 others is known only within bounds, and the scores
that they enter are not.
"""

import numpy as np

from ..base import results
from ..base.errors import XrdlibError
from ..base.patterns import GRID
from ..learning import calibrate, outcomes, priors, stages
from ..learning.calibrate import rescale
from ..learning.experiment import HELD_OUT, MEASURED, load_predictions, load_sets
from ..learning.metrics import (
    check,
    ece,
    log_likelihood,
    logsumexp,
    measure,
    nll,
    reliability,
    resamples,
    top_k,
)
from ..learning.priors import fit_prior
from ..structures.published import N_TOP
from ..symmetry.groups import N_GROUPS

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


RELEASED, FIRST = "released network", "stage 1 alone"


def study_models(config, predictor, measured_sets):
    """Temperatures of the released network and of a profile's models, under each prior.

    Parameters
    ----------
    config : namespace
    predictor : predict.Predictor
        The released one, without retrieval; it is left out on simulated minerals, which it knows.
    measured_sets : dict of str to rruff.Measured
        As from `evaluate.measured`; empty where there are none, and held-out minerals serve.

    Returns
    -------
    dict
        "chosen_on", "subset", "n", "n_families" (of the test set) and "models": by predictor and
        way, each as from `temperature.model`.
    """
    sets = load_sets(config, (*MEASURED, *HELD_OUT))
    names = MEASURED if set(MEASURED) <= set(sets) else HELD_OUT
    sets = {name: sets[name] for name in names}
    measured_sets = measured_sets if names == MEASURED else {}
    prior = results.read(config, "prior")
    minerals, null = outcomes.told_of(names[1], prior)
    found = {}
    for title, (evidence, train) in _evidence(config, predictor, measured_sets, sets).items():
        parts = {name: ways(evidence[name], train, minerals) for name in names}
        found[title] = {
            way: model(
                *((*parts[name][way], sets[name].label, sets[name].family) for name in names),
                null,
                config.evaluate.bootstrap,
                config.seed,
            )
            for way in WAYS
        }
        for way in set(WAYS) - {RATIO}:
            del found[title][way]["reliability"]  # shown for the ratio alone
    test = sets[names[1]]
    return {
        "chosen_on": names[0],
        "subset": names[1],
        "n": len(test),
        "n_families": len(set(test.family)),
        "models": found,
    }


def _evidence(config, predictor, measured_sets, sets):
    """Evidence by set, and training prior, of each predictor."""
    found = {}
    if measured_sets:
        own = {
            name: predictor.evidence(GRID.two_theta, patterns.intensity).evidence
            for name, patterns in measured_sets.items()
        }
        found[RELEASED] = own, np.array(predictor.metadata["training_prior"])
    a = results.read(config, "calibration")["models"][results.MAIN]["a"]
    for title, name in outcomes.MODELS.items():
        heads = outcomes.evidence(config, title, sets)
        train = np.array(stages.load_model(config, name)[1]["training_prior"])
        found[title] = {key: calibrate.fuse(*h, a) for key, h in heads.items()}, train
    # Trained on balanced random crystals of good quality: what realism is worth to the sharpness.
    train = np.array(stages.load_model(config, "stage1")[1]["training_prior"])
    own = {name: load_predictions(config, "stage1", name)["aux"] for name in sets}
    found[FIRST] = {name: priors.divide_out(p, train) for name, p in own.items()}, train
    return found


_STRENGTH = 5.0  # pseudo-patterns of the label prior


def study_published(cases, n_boot=1000, seed=0):
    """Temperature sweep of the published predictions, as far as it can be told.

    Parameters
    ----------
    cases : published.Published

    Returns
    -------
    dict
        "n", "families"; "inside" (cases whose true class is among the five) with "n", "families";
        "ways": by name "chosen" (`temperature.choose` on these very cases, so it flatters),
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
