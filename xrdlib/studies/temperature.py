"""Temperature: what it wins, and what is left over the limit where the pattern is ignored.

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
from ..learning.experiment import HELD_OUT, MEASURED, load_predictions, load_sets
from ..learning.metrics import check, log_likelihood, means, measure, resamples
from ..prediction.predictor import Predictor
from ..structures.measured import Measured
from ..symmetry.groups import N_GROUPS

# Evenly spaced in logarithm; infinity comes after the last.
FINE = tuple(np.geomspace(0.5, 500, 151).tolist())
SHOWN = tuple(np.geomspace(0.5, 50, 21).tolist())
RATIO, TWICE, NONE = WAYS = "prior as a ratio", "training prior twice", "no prior"
HELPS, SLIDES = "mends sharpness", "slide to the prior"
RELEASED, FIRST = "released network", "stage 1 alone"

_SCORES = ("nll", "ece", "top1", "top5")


def ways(evidence: ndarray, train: ndarray, target: ndarray) -> dict[str, tuple[ndarray, ndarray]]:
    """What is divided by the temperature, (n, 99), and what is added after it, (99,), by `WAYS`.

    As a ratio, the training prior is taken out before and the target put in after. Twice, the
    training prior that the network has absorbed is tempered and added once more. With no prior,
    predictions are tempered as they come, and the limit is uniform.

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


def model(
    calibration: tuple, test: tuple, null: ndarray, n_boot: int = 1000, seed: int = 0
) -> dict:
    """Temperature of one predictor under one way of putting in a prior.

    Of both sets (base, added, labels, families), the first two as of `ways`; `null` (99,) is the
    prior-only prediction that bits are counted over.

    Gives "chosen" (`choose`, on calibration), "best_on_test" (the same on the test patterns, which
    is not to be had in earnest), "curve" on the test patterns, "rows" at temperature 1, chosen and
    infinite, "won" (NLL at 1 less NLL at the chosen one) and "left" (NLL at infinity less that),
    both with "_ci95" paired over families, and "reliability" before and after.
    """
    chosen, hindsight = (
        choose(_costs(*part[:3]), part[3], n_boot=n_boot, seed=seed) for part in (calibration, test)
    )
    base, added, labels, families = test
    temperatures = {"T = 1": 1, "chosen": chosen["T"] or np.inf, "limit": np.inf}
    logp = {key: rescale(base, T, 1, added) for key, T in temperatures.items()}
    told = {key: log_likelihood(p, labels) for key, p in logp.items()}
    gains = {"won": told["chosen"] - told["T = 1"], "left": told["chosen"] - told["limit"]}
    return {
        "chosen": chosen,
        "best_on_test": hindsight,
        "curve": curve(base, added, labels),
        "rows": {
            key: _scores(p, labels, null, (*_SCORES, "bits_over_prior")) for key, p in logp.items()
        },
        **means(gains, families, n_boot, seed),
        "reliability": {key: reliability(logp[key], labels) for key in ("T = 1", "chosen")},
    }


def curve(base: ndarray, added: ndarray, labels: ndarray) -> dict:
    """Scores against temperature: lists "T", "nll", "ece", "top1", "top5", and "limit"."""
    flat = np.full(N_GROUPS, 1 / N_GROUPS)
    rows = [_scores(rescale(base, T, 1, added), labels, flat) for T in (*SHOWN, np.inf)]
    lists = {key: [round(row[key], 4) for row in rows[:-1]] for key in _SCORES}
    return {"T": [round(T, 4) for T in SHOWN], **lists, "limit": rows[-1]}


def case(found: dict) -> str | None:
    """Which of four cases a temperature is, from a result of `model`.

    "harmful" or "needless" (the chosen temperature is surely worse, or not surely better, than
    1), `SLIDES` (it is, but nothing is surely left over the limit), or `HELPS` (both); None with
    too few families for an interval.
    """
    won, left = found["won_ci95"], found["left_ci95"]
    if won is None:
        return None
    if won[0] <= 0:
        return "harmful" if won[1] < 0 else "needless"
    return HELPS if left[0] > 0 else SLIDES


def overall(models: dict[str, dict[str, dict]]) -> dict:
    """One answer from all predictors: is the temperature what was missing?

    It is called the key where it surely helps, surely keeps something over the limit, and wins more
    than the prior does that is put in beside it (as a ratio, both at temperature 1).

    Gives "claim" and whether it "holds" ("holds", "holds in part", "does not hold"), "cases" by
    predictor and way, "won" by temperature and by "prior" (nats) of each predictor, "text".
    """
    cases = {
        title: {way: case(found) for way, found in own.items()} for title, own in models.items()
    }
    prior = {
        title: own[NONE]["rows"]["T = 1"]["nll"] - own[RATIO]["rows"]["T = 1"]["nll"]
        for title, own in models.items()
    }
    won = {title: own[RATIO]["won"] for title, own in models.items()}
    helps = [title for title, kinds in cases.items() if kinds[RATIO] == HELPS]
    key = [title for title in helps if won[title] > prior[title]]
    slides = sum(kinds[RATIO] == SLIDES for kinds in cases.values())
    return {
        "claim": "Temperature scaling is the key remaining ingredient.",
        "holds": {0: "does not hold", len(models): "holds"}.get(len(key), "holds in part"),
        "cases": cases,
        "won": won,
        "prior": prior,
        "text": (
            f"With the prior as a ratio, a temperature surely helps {len(helps)} of {len(models)} "
            f"predictors ({', '.join(helps) or 'none'}) and wins "
            f"{min(won.values()):.3f} to {max(won.values()):.3f} nats; the prior itself wins "
            f"{min(prior.values()):.3f} to {max(prior.values()):.3f}. It slides to the prior alone "
            f"for {slides}."
        ),
    }


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
    minerals, null = outcomes.told_of(names[1], results.read(config, "prior"))
    found = {}
    for title, (evidence, train) in _evidence(config, predictor, measured_sets, sets).items():
        parts = {name: ways(evidence[name], train, minerals) for name in names}
        found[title] = {}
        for way in WAYS:
            own = [(*parts[name][way], sets[name].label, sets[name].family) for name in names]
            found[title][way] = model(*own, null, config.evaluate.bootstrap, config.seed)
            if way != RATIO:
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
    weight = results.read(config, "calibration")["models"][results.MAIN]["a"]
    for title, name in outcomes.MODELS.items():
        heads = outcomes.evidence(config, title, sets)
        train = np.array(stages.load_model(config, name)[1]["training_prior"])
        found[title] = {key: calibrate.fuse(*h, weight) for key, h in heads.items()}, train
    # Trained on balanced random crystals of good quality: what realism is worth to the sharpness.
    train = np.array(stages.load_model(config, "stage1")[1]["training_prior"])
    own = {name: load_predictions(config, "stage1", name)["aux"] for name in sets}
    found[FIRST] = {name: priors.divide_out(p, train) for name, p in own.items()}, train
    return found


def _costs(base, added, labels):
    """NLL of each pattern at `FINE` temperatures and infinity, (n, len(FINE) + 1)."""
    tried = (*FINE, np.inf)
    return np.stack([-log_likelihood(rescale(base, T, 1, added), labels) for T in tried], 1)


def _scores(logp, labels, null, keys=_SCORES):
    found = measure(*check(logp, labels), np.log(null))
    return {key: float(found[key]) for key in keys}


def _finite(T):
    return float(T) if np.isfinite(T) else None
