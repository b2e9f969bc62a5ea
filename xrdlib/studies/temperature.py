"""Temperature: its gain, and what is left over the limit where the pattern is ignored.

A temperature is chosen on calibration families and reported on test families, from 0.5 to the limit
where the pattern is ignored, for each way of putting in a prior. What is won between temperature 1
and the chosen one is set beside what is left between the chosen one and that limit.
"""

from types import SimpleNamespace

import numpy as np
from numpy import ndarray

from ..base import results
from ..base.errors import XrdlibError
from ..base.patterns import GRID
from ..learning import calibrate, outcomes, priors, stages
from ..learning.breakdown import reliability
from ..learning.calibrate import rescale
from ..learning.experiment import (
    HELD_OUT,
    MEASURED,
    PatternSet,
    load_predictions,
    load_sets,
)
from ..learning.metrics import credit, log_likelihood, logsumexp, means, measure, resamples
from ..learning.priors import fit_prior
from ..prediction.predictor import Predictor
from ..structures.measured import Measured
from ..structures.published import N_TOP, Published
from ..symmetry.groups import N_GROUPS

# Evenly spaced in logarithm; infinity comes after the last.
FINE = tuple(np.geomspace(0.5, 500, 151).tolist())
SHOWN = tuple(np.geomspace(0.5, 50, 21).tolist())
RATIO, TWICE, NONE = WAYS = "prior as a ratio", "training prior twice", "no prior"
RELEASED, FIRST = "released network", "stage 1 alone"
UNCALIBRATED = "as it comes"

_SCORES = ("nll", "ece", "top1", "top5", "bits_over_prior")
_STRENGTH = 5.0  # pseudo-patterns of the label prior


def ways(evidence: ndarray, train: ndarray, target: ndarray) -> dict[str, tuple[ndarray, ndarray]]:
    """What is divided by the temperature, (n, 99), and what is added after it, (99,), by `WAYS`.

    As a ratio, the training prior is taken out before and the target put in after. Twice, the
    training prior that the network has absorbed is tempered and added once more, which is what the
    paper does. With no prior, predictions are tempered as they come, and the limit is uniform.

    `evidence` (n, 99) has the training prior divided out (`priors.divide_out`); `train` and
    `target` (99,) are the priors of the training stream, and of the patterns to come.
    """
    absorbed = evidence + np.log(train)
    return {
        RATIO: (evidence, np.log(target)),
        TWICE: (absorbed, np.log(train)),
        NONE: (absorbed, np.zeros(N_GROUPS)),
    }


def choose(
    costs: ndarray,
    families: ndarray,
    temperatures: tuple[float, ...] = FINE,
    n_boot: int = 1000,
    seed: int = 0,
) -> dict:
    """Temperature of least mean cost, with its interval over families.

    Costs (n, len(temperatures) + 1) are of each pattern at each temperature, the last column at
    infinity.

    Gives "T", "T_ci95" (None stands for infinity; no interval for fewer than two families) and
    "at_limit": share of resamples whose best temperature is infinite.
    """
    costs = np.asarray(costs)
    if costs.ndim != 2 or costs.shape[1] != len(temperatures) + 1:
        raise XrdlibError(
            f"Costs of shape {costs.shape} given; {len(temperatures)} temperatures and infinity "
            f"need (n, {len(temperatures) + 1})."
        )
    tried = np.array([*temperatures, np.inf])
    chosen = {"T": _finite(tried[costs.mean(0).argmin()]), "T_ci95": None, "at_limit": None}
    if len(np.unique(families)) < 2:
        return chosen
    drawn = [tried[(w @ costs).argmin(1)] for w in resamples(families, n_boot, seed)]
    drawn = np.sort(np.concatenate(drawn))
    # Order statistics: a mean with infinity would say nothing.
    ends = drawn[[int(0.025 * len(drawn)), int(np.ceil(0.975 * len(drawn))) - 1]]
    chosen["T_ci95"] = [_finite(end) for end in ends]
    chosen["at_limit"] = float(np.isinf(drawn).mean())
    return chosen


def model(
    calibration: tuple, test: tuple, null: ndarray, n_boot: int = 1000, seed: int = 0
) -> dict:
    """Temperature of one predictor under one way of putting in a prior.

    Of both sets (base, added, labels, families), the first two as of `ways`; `null` (99,) is the
    prior-only prediction that bits are counted over.

    Gives "chosen" (`choose`, on calibration), "best_on_test" (the same on the test patterns, as a
    sweep on the benchmark itself would have it), "curve" on the test patterns, "rows" at
    temperature 1, chosen and infinite, "won" (NLL at 1 less NLL at the chosen one), "left" (NLL at
    infinity less that) and "won_top1" (percentage points), with "_ci95" paired over families, and
    "reliability" before and after.
    """
    chosen, hindsight = (
        choose(_costs(*part[:3]), part[3], n_boot=n_boot, seed=seed) for part in (calibration, test)
    )
    base, added, labels, families = test
    temperatures = {"T = 1": 1, "chosen": chosen["T"] or np.inf, "limit": np.inf}
    logp = {key: rescale(base, T, 1, added) for key, T in temperatures.items()}
    likelihood = {key: log_likelihood(p, labels) for key, p in logp.items()}
    gains = {
        "won": likelihood["chosen"] - likelihood["T = 1"],
        "left": likelihood["chosen"] - likelihood["limit"],
        "won_top1": 100 * (credit(logp["chosen"], labels, 1) - credit(logp["T = 1"], labels, 1)),
    }
    return {
        "chosen": chosen,
        "best_on_test": hindsight,
        "curve": curve(base, added, labels),
        "rows": {
            key: {score: values[score] for score in _SCORES}
            for key, values in ((key, measure(p, labels, np.log(null))) for key, p in logp.items())
        },
        **means(gains, families, n_boot, seed),
        "reliability": {key: reliability(logp[key], labels) for key in ("T = 1", "chosen")},
    }


def curve(base: ndarray, added: ndarray, labels: ndarray) -> dict:
    """Scores against temperature: lists "T", "nll", "ece", "top1", "top5", and "limit"."""
    scores = calibrate.temperature_curve(base, labels, 1, added, SHOWN)
    return {"T": scores.pop("temperature"), **scores}


def decodings(
    config: SimpleNamespace, sets: dict[str, PatternSet], prior: dict, subset: str
) -> dict[str, ndarray]:
    """Predictions of the profile's stage 2 on a set, as they come, and calibrated in two ways.

    `prior` is results/PROFILE/prior.json; temperatures are chosen on its set of calibration
    patterns. By `UNCALIBRATED`, `TWICE` and `RATIO`, (n, 99) each.
    """
    names = (prior["chosen_on"], subset)
    some = {name: sets[name] for name in names}
    evidence, train = _of_model(config, results.MAIN, some)
    target = outcomes.priors_of(subset, prior)[0]
    calibration, own = (ways(evidence[name], train, target) for name in names)
    logp = {UNCALIBRATED: rescale(own[NONE][0], 1, 1, own[NONE][1])}
    for way in (TWICE, RATIO):
        costs = _costs(*calibration[way], some[names[0]].label)
        T = np.array([*FINE, np.inf])[costs.mean(0).argmin()]
        logp[way] = rescale(own[way][0], T, 1, own[way][1])
    return logp


def study(
    config: SimpleNamespace, predictor: Predictor, measured_sets: dict[str, Measured]
) -> dict:
    """Temperatures of the released network and of a profile's models, under each prior.

    The predictor is the released one, without retrieval; it is left out on simulated minerals,
    which it knows. Where there are no measured sets (`evaluate.measured`), held-out minerals serve.

    Gives "chosen_on", "subset", "n", "n_families" (of the test set) and "models": by predictor and
    way, each as from `model`.
    """
    sets = load_sets(config, (*MEASURED, *HELD_OUT))
    names = MEASURED if set(MEASURED) <= set(sets) else HELD_OUT
    sets = {name: sets[name] for name in names}
    measured_sets = measured_sets if names == MEASURED else {}
    minerals, null = outcomes.priors_of(names[1], results.read(config, "prior"))
    models = {}
    for title, (evidence, train) in _evidence(config, predictor, measured_sets, sets).items():
        parts = {name: ways(evidence[name], train, minerals) for name in names}
        models[title] = {}
        for way in WAYS:
            own = [(*parts[name][way], sets[name].label, sets[name].family) for name in names]
            models[title][way] = model(*own, null, config.evaluate.bootstrap, config.seed)
            if way != RATIO:
                del models[title][way]["reliability"]  # shown for the ratio alone
    test = sets[names[1]]
    return {
        "chosen_on": names[0],
        "subset": names[1],
        "n": len(test),
        "n_families": len(set(test.family)),
        "models": models,
    }


def _evidence(config, predictor, measured_sets, sets):
    """Evidence by set, and training prior, of each predictor."""
    evidence = {}
    if measured_sets:
        own = {
            name: predictor.evidence(GRID.two_theta, patterns.intensity).evidence
            for name, patterns in measured_sets.items()
        }
        evidence[RELEASED] = own, np.array(predictor.metadata["training_prior"])
    evidence |= {title: _of_model(config, title, sets) for title in outcomes.MODELS}
    # Trained on balanced random crystals of good quality: what realism is worth to the sharpness.
    train = np.array(stages.load_model(config, "stage1")[1]["training_prior"])
    own = {name: load_predictions(config, "stage1", name)["aux"] for name in sets}
    evidence[FIRST] = {name: priors.divide_out(p, train) for name, p in own.items()}, train
    return evidence


def _of_model(config, title, sets):
    """Fused evidence by set, and training prior, of one of the profile's models."""
    weight = results.read(config, "calibration")["models"][results.MAIN]["a"]
    heads = outcomes.evidence(config, title, sets)
    train = stages.load_model(config, outcomes.MODELS[title])[1]["training_prior"]
    return {name: calibrate.fuse(*h, weight) for name, h in heads.items()}, np.array(train)


def published_study(cases: Published, n_boot: int = 1000, seed: int = 0) -> dict:
    """Temperature sweep of the published predictions, as far as five probabilities allow.

    Of 99 probabilities five were published. Among those five a temperature acts as it does among
    all: ratios are raised to the power 1/T. So the published ones, which had a temperature already,
    can be sharpened or flattened further, and asked whether they say which of the five is true.

    Gives "n", "families"; "inside" (cases whose true class is among the five) with "n", "families";
    "ways": by name "chosen" (`choose` on these very cases, so it flatters), "nll" at each of "T"
    and at the "limit", "won" over T = 1 and "left" over the limit, with intervals; "nulls": NLL of
    the uniform distribution and of the label prior over the five; "told": nats beyond the label
    prior, with its interval.
    """
    inside = cases.hits(N_TOP)
    family = cases.family[inside]
    at = (cases.top == cases.label[:, None]).argmax(1)[inside]
    logp = np.log(cases.probability)[inside]
    prior = np.take_along_axis(np.log(label_prior(cases.label, cases.family)), cases.top, 1)[inside]
    flat = np.zeros_like(logp)

    def swept(base, added):
        costs = np.stack([_among(base, added, at, T) for T in (*FINE, np.inf)], 1)
        chosen = choose(costs, family, FINE, n_boot, seed)
        best = _among(base, added, at, chosen["T"] or np.inf)
        gains = {"won": _among(base, added, at, 1) - best, "left": costs[:, -1] - best}
        return {
            "chosen": chosen,
            "nll": [float(_among(base, added, at, T).mean()) for T in SHOWN],
            "limit": float(costs[:, -1].mean()),
            **means(gains, family, n_boot, seed),
        }

    beyond = {"told": _among(prior, flat, at, 1) - _among(logp, flat, at, 1)}
    return {
        "n": len(cases),
        "families": len(np.unique(cases.family)),
        "inside": {"n": int(inside.sum()), "families": len(np.unique(family))},
        "T": list(SHOWN),
        "ways": {
            "as published": swept(logp, flat),
            "prior taken out and put back": swept(logp - prior, prior),
        },
        "nulls": {
            "uniform": float(np.log(N_TOP)),
            "label prior": float(_among(prior, flat, at, 1).mean()),
        },
        **means(beyond, family, n_boot, seed),
    }


def label_prior(labels: ndarray, families: ndarray, strength: float = _STRENGTH) -> ndarray:
    """Class frequencies of the other families, smoothed, (n, 99): a prior that has not seen one."""
    labels, families = np.asarray(labels), np.asarray(families)
    own = {f: fit_prior(labels[families != f], strength) for f in np.unique(families)}
    return np.stack([own[f] for f in families])


def _among(base, added, at, T):
    """NLL of the true one among the five, (n,)."""
    scores = base / T + added
    return logsumexp(scores) - scores[np.arange(len(at)), at]


def _costs(base, added, labels):
    """NLL of each pattern at `FINE` temperatures and infinity, (n, len(FINE) + 1)."""
    tried = (*FINE, np.inf)
    return np.stack([-log_likelihood(rescale(base, T, 1, added), labels) for T in tried], 1)


def _finite(T):
    return float(T) if np.isfinite(T) else None
