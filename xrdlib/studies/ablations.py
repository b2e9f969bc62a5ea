"""Ablations: trainings that differ in one part, and how they compare.

Every variant learns from scratch unless it says otherwise, on the stream of stage 2; its
temperature, prior weight and fusion are fitted on calibration patterns.

All trainings begin on a plateau on which they know the class frequencies and nothing of the
pattern. One that has not left it decides nothing: its seed is left out of every comparison.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
from numpy import ndarray

from ..learning import calibrate, outcomes, priors, stages
from ..learning.experiment import PatternSet, stage2_stream
from ..symmetry.groups import N_GROUPS, group_of_space_group
from . import graph_errors
from .comparison import SCORES, changes, corrected, interval, per_pattern, validity
from .trainings import Training, run

BASE = "as it is"
PLATEAU = 0.05  # bits over the prior on balanced patterns, below which nothing was learned

# Of the physics that the paper is about; these are trained with every seed, the others with two.
PHYSICS = {
    BASE: {},
    "no coordinate channel": {"model": {"coordinate_channel": False}},
    "no physics position": {"model": {"physics_position": False}},
    "neither": {"model": {"coordinate_channel": False, "physics_position": False}},
    "no rule head": {"model": {"rule_head": False}},
}
DATA = {
    "random crystals alone": {"changes": {"stage2": {"random_share": 1.0}}},
    "minerals alone": {"changes": {"stage2": {"random_share": 0.0}}},
    "no texture": {"changes": {"stage2": {"realism": {"no_texture": 1.0}}}},
}
# The paper's second stage starts from the balanced first one; the first of these sees as many
# patterns in all, without a first stage.
LONGER = "stage 2 alone, as many patterns"
CURRICULUM = {
    LONGER: {},
    "after stage 1: no texture": {"start": "stage1", **DATA["no texture"]},
    "after stage 1: all textured": {
        "start": "stage1",
        "changes": {"stage2": {"realism": {"no_texture": 0.0}}},
    },
    "after stage 1: mixed": {"start": "stage1"},
}
VARIANTS = PHYSICS | DATA | CURRICULUM
# Variants that are also compared with another than the base.
PAIRS = {
    "after stage 1: no texture": "after stage 1: mixed",
    "after stage 1: all textured": "after stage 1: mixed",
    "after stage 1: mixed": LONGER,
}
# The paper's table 5, so far as size allows: no texture, texture alone, two mixtures.
TEXTURE = ("after stage 1: no texture", "after stage 1: all textured", "after stage 1: mixed", BASE)

_FEWER = 2  # seeds of variants other than `PHYSICS`


def collapse(logp: ndarray) -> ndarray:
    """Log-probabilities of the extinction groups, (n, 99), from those of space groups, (n, 230).

    Each is that of the sum over the members of a group.
    """
    members = group_of_space_group()[1:] - 1
    collapsed = np.full((len(logp), N_GROUPS), -np.inf)
    for column, group in enumerate(members):
        collapsed[:, group] = np.logaddexp(collapsed[:, group], np.asarray(logp)[:, column])
    return collapsed


def trainings(config: SimpleNamespace) -> list[Training]:
    """All trainings of the study, seed by seed."""
    section, every = config.studies.ablations, []
    before = config.stage1.steps * config.stage1.batch
    for number in range(section.seeds):
        for name in VARIANTS if number < _FEWER else PHYSICS:
            change = VARIANTS[name]
            patterns = section.patterns + (before if name == LONGER else 0)
            every.append(Training(name, number, patterns, stage2_stream, **change))
    return every


def train_one(config: SimpleNamespace, training: Training, look: bool = False) -> tuple:
    """Model, history and stream of one training, see `trainings.run`."""
    return run(config, "ablations", training, look=look)


def predictions(config: SimpleNamespace, sets: dict[str, PatternSet], prior: dict) -> list[dict]:
    """Evidence of every training on sets, and the calibration chosen for it.

    `prior` is results/PROFILE/prior.json here and below.

    Rows have training; seconds; precision; evidence, by set (rule, aux) with the training prior
    divided out; calibration; learned, see `learned`; valid, of `TEXTURE` (`comparison.validity`).
    """
    chosen_on, rows = prior["chosen_on"], []
    for training in trainings(config):
        model, history, stream = train_one(config, training)
        own = stages.training_prior(stream)
        evidence, valid = {}, {}
        for name, patterns in sets.items():
            heads = stages.predict(model, patterns)
            evidence[name] = tuple(
                priors.divide_out(heads[head], own) if head in heads else None
                for head in outcomes.HEADS
            )
            if training.name in TEXTURE and name != outcomes.BALANCED:
                valid[name] = validity(model, patterns)
        fit = outcomes.fit(evidence[chosen_on], sets[chosen_on].label, prior["minerals"])
        row = {"training": training, "seconds": history.seconds, "calibration": fit}
        row |= {"learned": learned(evidence, sets), "valid": valid}
        rows.append({**row, "precision": history.precision, "evidence": evidence})
    return rows


def learned(evidence: dict[str, tuple], sets: dict[str, PatternSet]) -> float | None:
    """Bits over equal odds on balanced patterns, at the temperature that suits these best.

    On the plateau they are nought at any temperature. None without balanced patterns.
    """
    if outcomes.BALANCED not in sets:
        return None
    heads, labels = evidence[outcomes.BALANCED], sets[outcomes.BALANCED].label
    flat = np.full(N_GROUPS, 1 / N_GROUPS)
    logp = outcomes.fit(heads, labels, flat).apply(*heads, np.zeros(N_GROUPS))
    return float(per_pattern(logp, labels, flat)["bits"].mean())


def scored(
    predictions: list[dict], sets: dict[str, PatternSet], prior: dict, subset: str
) -> pd.DataFrame:
    """Scores of every training on every pattern of a set, calibrated.

    Indexed by variant and seed: "learned" (bits), and of each of `SCORES` an ndarray (n,).
    """
    null, rows = outcomes.priors_of(subset, prior)[1], {}
    for one, logp in _calibrated(predictions, prior, subset):
        index = one["training"].name, one["training"].seed
        values = per_pattern(logp, sets[subset].label, null)
        rows[index] = {"learned": one["learned"], **values}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(rows, names=["variant", "seed"])
    return table


def table(
    scores: pd.DataFrame,
    families: ndarray,
    base: str,
    pairs: dict[str, str] | None = None,
    n_boot: int = 1000,
    seed: int = 0,
) -> list[dict]:
    """A row a variant: mean over seeds, every seed, and the difference from the base.

    The variants of `scored`, of n families, are compared with `base` seed by seed, and those in
    `pairs` also with another one. Seeds of which either training has not left the plateau are left
    out of a comparison.

    Rows have variant, seeds, n, n_families; learned (bits of each seed) and stuck (seeds that are
    on the plateau); for each of `SCORES` NAME (mean), NAME_seeds (of each seed), NAME_ci95
    (families and seeds resampled), and `comparison.changes` from the base; pairs, the number of
    seeds that these rest on; against: such changes, with pairs, by the other variant of a pair.
    """
    options, rows = {"families": families, "n_boot": n_boot, "seed": seed}, []

    def change(variant, other):
        both = [scores.loc[name] for name in (variant, other)]
        free = [frame.index[~(frame["learned"].astype(float) < PLATEAU)] for frame in both]
        seeds = free[0].intersection(free[1])
        values = [{k: _stacked(frame.loc[seeds], k) for k in SCORES} for frame in both]
        return {"pairs": len(seeds), **changes(*values, **options)}

    for variant, own in scores.groupby("variant", sort=False):
        row = {"variant": variant, "seeds": len(own), "n": len(families)}
        row |= {"n_families": len(np.unique(families)), "learned": own["learned"].tolist()}
        row["stuck"] = int((own["learned"].astype(float) < PLATEAU).sum())
        for score in SCORES:
            values = _stacked(own, score)
            row[score] = values.mean()
            row[f"{score}_seeds"] = values.mean(axis=1).tolist()
            row[f"{score}_ci95"] = interval(values, **options)
        nothing = dict.fromkeys(f"{k}_change{end}" for k in SCORES for end in ("", "_ci95", "_p"))
        row |= {"pairs": 0, **nothing} if variant == base else change(variant, base)
        other = (pairs or {}).get(variant)
        row["against"] = {other: change(variant, other)} if other else {}
        rows.append(row)
    return rows


def correct(tables: dict[str, list[dict]]) -> None:
    """Correct the differences in bits for the number of all comparisons on all sets (Holm)."""
    every = [row for rows in tables.values() for row in rows]
    corrected([*every, *(pair for row in every for pair in row["against"].values())])


def _stacked(frame, score):
    return np.array(frame[score].tolist())


def errors(
    predictions: list[dict],
    sets: dict[str, PatternSet],
    prior: dict,
    subset: str,
    n_permutations: int = 1000,
    n_boot: int = 1000,
    seed: int = 0,
) -> dict:
    """What texture in training does to errors on the graph: the paper's table 5, of `TEXTURE`.

    Gives "models", of the first seed, each as from `graph_errors.study` with "valid" (percent,
    `comparison.validity`), and "texture": `graph_errors.contrast` from no texture to each other
    variant, over all seeds.
    """
    null, own = outcomes.priors_of(subset, prior)[1], sets[subset]
    models, first = [], {}
    for one, logp in _calibrated(predictions, prior, subset):
        name = one["training"].name
        if name not in TEXTURE:
            continue
        if name not in first:
            arrays = (logp, own.label, own.family, null, n_permutations, n_boot, seed)
            model = graph_errors.study(name, subset, *arrays)
            models.append(model | {"valid": one["valid"].get(subset), "learned": one["learned"]})
        first.setdefault(name, []).append(logp.argmax(axis=1))
    guesses = {name: np.array(rows) for name, rows in first.items()}
    bare = guesses.pop(TEXTURE[0])
    return {
        "models": models,
        "texture": {
            name: graph_errors.contrast(bare, guess, own.label, own.family, n_boot, seed)
            for name, guess in guesses.items()
        },
    }


def decoded(
    predictions: list[dict], sets: dict[str, PatternSet], prior: dict, subset: str, names: list[str]
) -> list[dict]:
    """Scores of some variants with and without prior and temperature.

    Rows have variant, decoding, n, and of each score the mean over seeds and, as "top1_seeds" and
    so on, those of each.
    """
    target, null = outcomes.priors_of(subset, prior)
    chosen_on, labels = prior["chosen_on"], sets[subset].label
    with_prior = outcomes.prior_ratio(target)
    without = np.zeros_like(with_prior)
    rows = []
    for one in predictions:
        if one["training"].name not in names:
            continue
        heads, fitted = one["evidence"], one["calibration"]
        cold = calibrate.fit(*heads[chosen_on], sets[chosen_on].label, without)
        plain = calibrate.Calibration(a=fitted.a)
        ways = {
            "as it comes": (plain, without),
            "with prior": (plain, with_prior),
            "with temperature": (cold, without),
            "with both": (fitted, with_prior),
        }
        for way, (calibration, ratio) in ways.items():
            values = per_pattern(calibration.apply(*heads[subset], ratio), labels, null)
            row = {"variant": one["training"].name, "decoding": way, "n": len(labels)}
            rows.append(row | {score: value.mean() for score, value in values.items()})
    grouped = pd.DataFrame(rows).groupby(["variant", "decoding", "n"], sort=False)
    each = grouped.agg(list).add_suffix("_seeds")
    return grouped.mean().join(each).reset_index().to_dict("records")


def nulls(sets: dict[str, PatternSet], prior: dict, subsets: list[str]) -> dict[str, dict]:
    """The prior-only scores of sets: by set n, top1, top5 (percent), bits (0)."""
    rows = {}
    for name in subsets:
        labels, null = sets[name].label, outcomes.priors_of(name, prior)[1]
        values = per_pattern(np.tile(np.log(null), (len(labels), 1)), labels, null)
        rows[name] = {"n": len(labels)} | {key: v.mean() for key, v in values.items()}
    return rows


def _calibrated(predictions, prior, subset):
    """Each training with its calibrated log-probabilities on a set, (n, 99)."""
    ratio = outcomes.prior_ratio(outcomes.priors_of(subset, prior)[0])
    for one in predictions:
        yield one, one["calibration"].apply(*one["evidence"][subset], ratio)
