"""What became of trainings: calibrated predictions of the models, their tables and files.

A model's evidence is its prediction with the prior of its training stream divided out; a target
prior is then multiplied in. At temperature 1 that is the ratio of target to training prior; at
infinite temperature the target prior alone is left.
"""

import numpy as np
import pandas as pd

from ..base import files, paths, results
from ..base.results import MAIN
from ..identification import searchmatch
from . import calibrate, nulls, priors
from .experiment import HELD_OUT, MEASURED, grid, load_predictions
from .metrics import evaluate, top_k
from .stages import load_model

# Name in the tables -> name of weights and predictions.
MODELS = {MAIN: "stage2", "resnet": "resnet", "plain transformer": "plain"}

STAGES = {MAIN: ("stage1", "stage2"), "resnet": ("resnet",), "plain transformer": ("plain",)}

SEARCH = "search-match"

HEADS = ("rule", "aux")

BALANCED = "random-crystals"

RECOGNISED = 0.7  # cosine from which a simulated mineral resembles a measured pattern


def evidence(config, title, names):
    """Evidence of a model's two heads on sets; search-match has the auxiliary one alone.

    Parameters
    ----------
    title : str
        As in the tables: one of `MODELS`, or search-match.
    names : iterable of str
        Of the sets.

    Returns
    -------
    dict of str to (rule, aux)
        Each (n, 99) log-probabilities, or None for a head that the model lacks.
    """
    if title == SEARCH:
        scores = {name: load_predictions(config, SEARCH, name)["scores"] for name in names}
        return {name: (None, searchmatch.log_probs(s)) for name, s in scores.items()}
    train = load_model(config, MODELS[title])[1]["training_prior"]
    found = {name: load_predictions(config, MODELS[title], name) for name in names}
    return {
        name: tuple(priors.divide_out(f[head], train) if head in f else None for head in HEADS)
        for name, f in found.items()
    }


def fit(heads, labels, target):
    """Temperature, prior weight and fusion by the likelihood of one set's labels.

    Parameters
    ----------
    heads : (rule, aux)
        Of the calibration set, as in `evidence`.
    labels : array_like, (n,)
    target : array_like, (99,)
        Target prior.

    Returns
    -------
    Calibration
    """
    return calibrate.fit(*heads, labels, prior_ratio(target))


def prior_ratio(target):
    """Logarithm of a target prior over the uniform prior that evidence stands on, (99,)."""
    return priors.log_ratio(target, np.full(len(target), 1 / len(target)))


def null_prior(config, labels, minerals):
    """The best constant: class frequencies of the calibration set, smoothed by the minerals'."""
    return priors.fit_prior(labels, config.evaluate.prior_strength, minerals)


def rows(config, subset, patterns, logp_by_title, null):
    """Table rows of every model and null on one set.

    Parameters
    ----------
    subset : str
    patterns : PatternSet
    logp_by_title : dict of str to ndarray, (n, 99)
        Calibrated log-probabilities. The physics transformer's are also shuffled.
    null : array_like, (99,)
        The prior-only prediction, over which bits are counted.

    Returns
    -------
    list of dict
    """
    told = (patterns.label, patterns.family, np.log(null))
    options = {"n_boot": config.evaluate.bootstrap, "seed": config.seed}
    table = [
        evaluate(title, subset, logp, *told, **options) for title, logp in logp_by_title.items()
    ]
    shuffled = nulls.shuffled(
        subset, logp_by_title[MAIN], *told, n_shuffles=config.evaluate.shuffles, **options
    )
    return [*table, nulls.prior_only(subset, null, *told, **options), shuffled]


def prior_rows(config, subset, patterns, heads, train, minerals, null):
    """What each way of injecting a prior does to the physics transformer, at temperature 1.

    Parameters
    ----------
    heads : (rule, aux)
        Evidence on the set.
    train, minerals, null : array_like, (99,)
        Prior of the training stream, of minerals, and the one that bits are counted over.

    Returns
    -------
    list of dict
    """
    uniform = np.full(len(minerals), 1 / len(minerals))
    twice = np.asarray(train) * minerals
    ways = {
        "as trained": train,
        "ratio to uniform": uniform,
        "ratio to minerals": minerals,
        "prior counted twice": twice / twice.sum(),
    }
    plain = calibrate.Calibration()
    return [
        evaluate(
            way,
            subset,
            plain.apply(*heads, prior_ratio(prior)),
            patterns.label,
            patterns.family,
            np.log(null),
            n_boot=config.evaluate.bootstrap,
            seed=config.seed,
        )
        for way, prior in ways.items()
    ]


def search(config, sets, full, known):
    """Search-match of sets against simulated minerals, kept as predictions.

    Parameters
    ----------
    sets : dict of str to PatternSet
    full : Reflections
        All minerals, for measured patterns.
    known : Reflections
        Minerals without the held-out ones, for sets made from those.

    Returns
    -------
    dict of str to dict
        "scores" (n, 99), and "best" (n,) similarity to any mineral.
    """
    found = {}
    for bank, names in ((full, MEASURED), (known, None)):
        library = searchmatch.library(bank)
        for name in sets if names is None else names:
            if name in found or name not in sets:
                continue
            patterns = searchmatch.measured(sets[name].x.astype(np.float32) ** 2, grid(config))
            similarity = searchmatch.similarities(patterns, library)
            scores = searchmatch.class_scores(similarity, bank.group)
            found[name] = {"scores": scores, "best": similarity.max(axis=1)}
    return found


def parts(config, sets):
    """Test sets, and the measured one also split by whether a simulated mineral resembles it.

    Returns
    -------
    dict of str to (str, ndarray of int)
        Name of the underlying set, and the rows of it that make the subset.
    """
    names = [name for name in (MEASURED[1], HELD_OUT[1], BALANCED) if name in sets]
    found = {name: (name, np.arange(len(sets[name]))) for name in names}
    if MEASURED[1] in sets:
        best = load_predictions(config, SEARCH, MEASURED[1])["best"]
        for label, mask in (("recognised", best >= RECOGNISED), ("unlike", best < RECOGNISED)):
            if mask.any():
                found[f"{MEASURED[1]}, {label}"] = (MEASURED[1], np.flatnonzero(mask))
    return found


def fusion_curve(heads, labels, target):
    """Scores against the weight of the rule head, each at its best temperature and prior weight.

    Returns
    -------
    dict of list
        "a", "nll" (nats), "top1", "top5" (percent).
    """
    ratio = prior_ratio(target)
    curve = {"a": [], "nll": [], "top1": [], "top5": []}
    for cost, chosen in calibrate.profile_fusion(*heads, labels, ratio):
        logp = chosen.apply(*heads, ratio)
        values = (chosen.a, cost, 100 * top_k(logp, labels, 1), 100 * top_k(logp, labels, 5))
        for column, value in zip(curve.values(), values, strict=True):
            column.append(float(value))
    return curve


def training_note(config):
    """One sentence on how many patterns each trained model has seen."""
    seen = {
        title: sum(results.read(config, stage)["patterns"] for stage in stages)
        for title, stages in STAGES.items()
    }
    counts = ", ".join(f"{title} {n:,}" for title, n in seen.items())
    return f"Patterns seen in training: {counts}. Search-match is not trained."


def cut_short(config):
    """A sentence on the trainings that a clock ended before their steps, None if there are none."""
    early = [
        f"{stage} after {found['step']:,} of {found['planned']:,} steps"
        for stage in dict.fromkeys(stage for stages in STAGES.values() for stage in stages)
        if (found := results.read(config, stage))["step"] < (found["planned"] or 0)
    ]
    return f"A clock cut trainings short: {', '.join(early)}." if early else None


def told_of(name, prior):
    """What a predictor is told of a set's classes: the target prior, and the null prior.

    Balanced random crystals are told to be balanced; all other sets are minerals. The null of
    held-out minerals is counted on their own calibration half, that of measured ones on theirs.
    """
    if name == BALANCED:
        uniform = np.full(len(prior["null"]), 1 / len(prior["null"]))
        return uniform, uniform
    null = prior["null_held_out" if name in HELD_OUT else "null"]
    return np.array(prior["minerals"]), np.array(null)


def calibrated(config, sets, titles, prior):
    """Calibrated log-probabilities of models on sets: dict by title of dict by set."""
    chosen = {
        **results.read(config, "calibration")["models"],
        **(results.read(config, "baselines")["models"] if set(titles) - {MAIN} else {}),
    }
    found = {}
    for title in titles:
        heads = evidence(config, title, sets)
        apply = calibrate.Calibration(**chosen[title]).apply
        found[title] = {
            name: apply(*h, prior_ratio(told_of(name, prior)[0])) for name, h in heads.items()
        }
    return found


def curriculum(config, name, patterns, prior):
    """Rows of the physics transformer after each stage, from pretraining to calibration.

    Parameters
    ----------
    name : str
        Of the set.
    patterns : PatternSet
    prior : dict
        results/PROFILE/prior.json.

    Returns
    -------
    list of dict
    """
    uniform = np.zeros(len(prior["null"]))
    ratio = prior_ratio(prior["minerals"])
    heads = evidence(config, MAIN, [name])[name]
    first, second = (load_predictions(config, stage, name) for stage in ("stage1", "stage2"))
    plain = calibrate.Calibration(a=0.5 if heads[0] is not None else 0.0)
    best = calibrate.Calibration(**results.read(config, "calibration")["models"][MAIN])
    steps = {
        "stage 1": plain.apply(first.get("rule"), first["aux"], uniform),
        "stage 2": plain.apply(second.get("rule"), second["aux"], uniform),
        "with prior": plain.apply(*heads, ratio),
        "with temperature": best.apply(*heads, ratio),
    }
    return [
        evaluate(
            step,
            name,
            logp,
            patterns.label,
            patterns.family,
            np.log(told_of(name, prior)[1]),
            n_boot=config.evaluate.bootstrap,
            seed=config.seed,
        )
        for step, logp in steps.items()
    ]


def write(config, patterns, logp_by_title):
    """Write results/PROFILE/predictions.parquet: truth and the first five groups of each model.

    Parameters
    ----------
    patterns : PatternSet
    logp_by_title : dict of str to ndarray, (n, 99)
        Log-probabilities by the model's title.

    Raises
    ------
    XrdlibError
        If the file cannot be written.
    """
    table = pd.DataFrame(
        {"name": patterns.name, "family": patterns.family, "label": patterns.label + 1}
    )
    for title, logp in logp_by_title.items():
        order = np.argsort(-logp, axis=1, kind="stable")[:, :5]
        for k in range(5):
            table[f"{title} {k + 1}"] = order[:, k] + 1
            table[f"{title} p{k + 1}"] = np.exp(np.take_along_axis(logp, order, 1)[:, k]).round(5)
    with files.replacing(paths.results(config.profile) / "predictions.parquet") as file:
        table.to_parquet(file, index=False)
