"""Outcomes of trainings: calibrated predictions of the models, their tables and files.

A model's evidence is its prediction with the prior of its training stream divided out; a target
prior is then multiplied in. At temperature 1 that is the ratio of target to training prior; at
infinite temperature the target prior alone is left.
"""

from collections.abc import Iterable
from types import SimpleNamespace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..base import files, paths, results
from ..base.results import MAIN
from ..identification import searchmatch
from ..simulation.diffraction import Reflections
from . import calibrate, nulls, priors
from .calibrate import Calibration
from .experiment import HELD_OUT, MEASURED, PatternSet, grid, load_predictions
from .metrics import evaluate, top_k
from .stages import load_model

# Name in the tables -> name of weights and predictions.
MODELS = {MAIN: "stage2", "resnet": "resnet", "plain transformer": "plain"}
STAGES = {MAIN: ("stage1", "stage2"), "resnet": ("resnet",), "plain transformer": ("plain",)}
SEARCH = "search-match"
HEADS = ("rule", "aux")
BALANCED = "random-crystals"
RECOGNISED = 0.7  # cosine from which a simulated mineral resembles a measured pattern


def evidence(config: SimpleNamespace, title: str, names: Iterable[str]) -> dict[str, tuple]:
    """Evidence of one of `MODELS`, or of search-match, on sets.

    By set (rule, aux), each (n, 99) log-probabilities, or None for a head that the model lacks.
    """
    if title == SEARCH:
        scores = {name: load_predictions(config, SEARCH, name)["scores"] for name in names}
        return {name: (None, searchmatch.log_probs(s)) for name, s in scores.items()}
    train = load_model(config, MODELS[title])[1]["training_prior"]
    predictions = {name: load_predictions(config, MODELS[title], name) for name in names}
    return {
        name: tuple(priors.divide_out(f[head], train) if head in f else None for head in HEADS)
        for name, f in predictions.items()
    }


def fit(heads: tuple, labels: ArrayLike, target: ArrayLike) -> Calibration:
    """Temperature, prior weight and fusion by the likelihood of one set's labels, (n,).

    `heads` are the set's `evidence`, `target` is the target prior, (99,).
    """
    return calibrate.fit(*heads, labels, prior_ratio(target))


def prior_ratio(target: ArrayLike) -> np.ndarray:
    """Logarithm of a target prior over the uniform prior that evidence stands on, (99,)."""
    return priors.log_ratio(target, np.full(len(target), 1 / len(target)))


def null_priors(
    config: SimpleNamespace, patterns: PatternSet, minerals: ArrayLike
) -> dict[str, np.ndarray]:
    """The best constants: class frequencies of a calibration set, see `nulls.constants`."""
    strength = config.evaluate.prior_strength
    return nulls.constants(patterns.label, patterns.family, strength, minerals)


def _rows(config, subset, patterns, logp_by_name, null):
    truth = patterns.label, patterns.family, np.log(null)
    options = {"n_boot": config.evaluate.bootstrap, "seed": config.seed}
    return [evaluate(n, subset, logp, *truth, **options) for n, logp in logp_by_name.items()]


def rows(
    config: SimpleNamespace,
    subset: str,
    patterns: PatternSet,
    logp_by_title: dict[str, np.ndarray],
    constants_by_name: dict[str, np.ndarray],
) -> list[dict]:
    """Table rows of every model, by its calibrated log-probabilities (n, 99), and null on a set.

    The physics transformer is also shuffled. Bits are counted over the first of the constant
    predictions (99,).
    """
    table = _rows(config, subset, patterns, logp_by_title, next(iter(constants_by_name.values())))
    predictions = (logp_by_title[MAIN], patterns.label, patterns.family, constants_by_name)
    chance = config.evaluate.bootstrap, config.evaluate.shuffles, config.seed
    return [*table, *nulls.beside(subset, *predictions, *chance)]


def prior_rows(
    config: SimpleNamespace,
    subset: str,
    patterns: PatternSet,
    heads: tuple,
    train: ArrayLike,
    minerals: ArrayLike,
    null: ArrayLike,
) -> list[dict]:
    """What each way of injecting a prior does to the physics transformer, at temperature 1.

    `heads` are the evidence on the set; `train`, `minerals` and `null` are the priors, (99,), of
    the training stream, of minerals, and the one that bits are counted over.
    """
    twice = np.asarray(train) * minerals
    ways = {
        "as trained": train,
        "ratio to uniform": np.full(len(minerals), 1 / len(minerals)),
        "ratio to minerals": minerals,
        "prior counted twice": twice / twice.sum(),
    }
    logp = {way: Calibration().apply(*heads, prior_ratio(prior)) for way, prior in ways.items()}
    return _rows(config, subset, patterns, logp, null)


def search(
    config: SimpleNamespace, sets: dict[str, PatternSet], full: Reflections, reduced: Reflections
) -> dict[str, dict]:
    """Search-match of sets against simulated minerals: predictions by set.

    Parameters
    ----------
    full, reduced : Reflections
        All minerals, for measured patterns; and those without the held-out ones, for other sets.

    Returns
    -------
    dict of str to dict
        "scores" (n, 99), and "best" (n,) similarity to any mineral.
    """
    predictions = {}
    for structures, measured in ((full, True), (reduced, False)):
        library = searchmatch.library(structures)
        for name in (name for name in sets if (name in MEASURED) == measured):
            patterns = searchmatch.measured(sets[name].x.astype(np.float32) ** 2, grid(config))
            similarity = searchmatch.similarities(patterns, library)
            scores = searchmatch.class_scores(similarity, structures.group)
            predictions[name] = {"scores": scores, "best": similarity.max(axis=1)}
    return predictions


def parts(config: SimpleNamespace, sets: dict[str, PatternSet]) -> dict[str, tuple]:
    """Test sets, and the measured one also split by whether a simulated mineral resembles it.

    By name of the part: that of the set, and the rows of it that make the part, (k,) int.
    """
    names = [name for name in (MEASURED[1], HELD_OUT[1], BALANCED) if name in sets]
    rows_of_part = {name: (name, np.arange(len(sets[name]))) for name in names}
    if MEASURED[1] in sets:
        best = load_predictions(config, SEARCH, MEASURED[1])["best"]
        for label, mask in (("recognised", best >= RECOGNISED), ("unlike", best < RECOGNISED)):
            if mask.any():
                rows_of_part[f"{MEASURED[1]}, {label}"] = (MEASURED[1], np.flatnonzero(mask))
    return rows_of_part


def fusion_curve(heads: tuple, labels: ArrayLike, target: ArrayLike) -> dict[str, list]:
    """Scores against the weight a of the rule head, each at its best temperature and prior weight.

    NLL in nats, top-1 and top-5 in percent.
    """
    ratio, points = prior_ratio(target), []
    for cost, chosen in calibrate.profile_fusion(*heads, labels, ratio):
        logp = chosen.apply(*heads, ratio)
        hits = {f"top{k}": 100 * top_k(logp, labels, k) for k in (1, 5)}
        points.append({"a": chosen.a, "nll": float(cost), **hits})
    return {key: [point[key] for point in points] for key in points[0]}


def training_note(config: SimpleNamespace) -> str:
    """One sentence on how many patterns each trained model has seen."""
    seen = []
    for title, stages in STAGES.items():
        count = sum(results.read(config, stage)["patterns"] for stage in stages)
        seen.append(f"{title} {count:,}")
    return f"Patterns seen in training: {', '.join(seen)}. Search-match is not trained."


def cut_short(config: SimpleNamespace) -> str | None:
    """Sentence on trainings that their time limit ended before their steps; None if none."""
    early = [
        f"{stage} after {history['step']:,} of {history['planned']:,} steps"
        for stage in sum(STAGES.values(), ())
        if (history := results.read(config, stage))["step"] < (history["planned"] or 0)
    ]
    return f"A clock cut trainings short: {', '.join(early)}." if early else None


def priors_of(name: str, prior: dict) -> tuple[np.ndarray, np.ndarray]:
    """Target prior and null prior of a set: uniform for balanced crystals, else those of minerals.

    The null of held-out minerals is counted on their own calibration half, that of measured ones on
    theirs.
    """
    if name == BALANCED:
        uniform = np.full(len(prior["null"]), 1 / len(prior["null"]))
        return uniform, uniform
    return np.array(prior["minerals"]), np.array(prior[_counted(name)])


def _counted(name):
    """Key of prior.json where the constant of a set of minerals is."""
    return "null_held_out" if name in HELD_OUT else "null"


def constants_of(name: str, prior: dict) -> dict[str, np.ndarray]:
    """Constant predictions of a set, that of `priors_of` first, see `nulls.constants`."""
    constants = {nulls.PRIOR: priors_of(name, prior)[1]}
    if name != BALANCED:
        constants[nulls.BY_PATTERNS] = np.array(prior[f"{_counted(name)}_by_patterns"])
    return constants


def calibrated(
    config: SimpleNamespace, sets: dict[str, PatternSet], titles: Iterable[str], prior: dict
) -> dict[str, dict]:
    """Calibrated log-probabilities of models on sets: dict by title of dict by set."""
    chosen, ratio = {}, {name: prior_ratio(priors_of(name, prior)[0]) for name in sets}
    for stage in ("calibration", *["baselines"] * bool(set(titles) - {MAIN})):
        chosen |= results.read(config, stage)["models"]
    calibrated_logp = {}
    for title in titles:
        apply, heads = Calibration(**chosen[title]).apply, evidence(config, title, sets)
        calibrated_logp[title] = {name: apply(*h, ratio[name]) for name, h in heads.items()}
    return calibrated_logp


def curriculum(config: SimpleNamespace, name: str, patterns: PatternSet, prior: dict) -> list[dict]:
    """Rows of the physics transformer on a set, from pretraining to calibration.

    `prior` is the content of results/PROFILE/prior.json.
    """
    uniform, ratio = np.zeros(len(prior["null"])), prior_ratio(prior["minerals"])
    heads = evidence(config, MAIN, [name])[name]
    first, second = (load_predictions(config, stage, name) for stage in ("stage1", "stage2"))
    plain = Calibration(a=0.5 if heads[0] is not None else 0.0)
    best = Calibration(**results.read(config, "calibration")["models"][MAIN])
    steps = {
        "stage 1": plain.apply(first.get("rule"), first["aux"], uniform),
        "stage 2": plain.apply(second.get("rule"), second["aux"], uniform),
        "with prior": plain.apply(*heads, ratio),
        "with temperature": best.apply(*heads, ratio),
    }
    return _rows(config, name, patterns, steps, priors_of(name, prior)[1])


def write(
    config: SimpleNamespace, patterns: PatternSet, logp_by_title: dict[str, np.ndarray]
) -> None:
    """Write results/PROFILE/predictions.parquet: truth and the first five groups of each model."""
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
