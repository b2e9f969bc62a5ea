"""Ablations: trainings that differ in one part, and how they compare.

Every variant learns from scratch unless it says otherwise, on the stream of stage 2; its
temperature, prior weight and fusion are fitted on calibration patterns.

Two trainings that read the same patterns are compared pattern by pattern, so the interval of a
difference is narrower than the difference of two intervals. Intervals resample both mineral
families and seeds: trainings that differ in the seed alone can differ a lot.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from numpy import ndarray

from ..base import files, paths
from ..base.errors import XrdlibError
from ..learning import calibrate, outcomes, priors, stages
from ..learning.experiment import PatternSet, stage2_stream
from ..learning.metrics import check, credit, log_likelihood, resamples
from ..simulation.stream import PatternStream
from ..symmetry.groups import N_GROUPS, N_SPACE_GROUPS, group_of_space_group
from .trainings import Training, run

BASE = "as it is"
SCORES = ("top1", "top5", "bits")

# Of the physics that the paper is about; these are trained with every seed, the others with two.
PHYSICS = {
    BASE: {},
    "no coordinate channel": {"model": {"coordinate_channel": False}},
    "no physics position": {"model": {"physics_position": False}},
    "neither": {"model": {"coordinate_channel": False, "physics_position": False}},
    "no rule head": {"model": {"rule_head": False}},
}
SHAPE = {
    "patches of 1 degree": {"model": {"stem": "patch", "patch": 25}},
    "half the width": {"model": {"width": 48}},
    "230 space groups": {"model": {"rule_head": False, "classes": N_SPACE_GROUPS}},
}
DATA = {
    "random crystals alone": {"changes": {"stage2": {"random_share": 1.0}}},
    "minerals alone": {"changes": {"stage2": {"random_share": 0.0}}},
    "no texture": {"changes": {"stage2": {"realism": {"no_texture": 1.0}}}},
}
# The paper's second stage starts from the balanced first one.
CURRICULUM = {
    "after stage 1: no texture": {"start": "stage1", **DATA["no texture"]},
    "after stage 1: all textured": {
        "start": "stage1",
        "changes": {"stage2": {"realism": {"no_texture": 0.0}}},
    },
    "after stage 1: mixed": {"start": "stage1"},
}
VARIANTS = PHYSICS | SHAPE | DATA | CURRICULUM
# Variants that are also compared with another than the base.
PAIRS = {
    "230 space groups": "no rule head",
    "after stage 1: no texture": "after stage 1: mixed",
    "after stage 1: all textured": "after stage 1: mixed",
}

_FEWER = 2  # seeds of variants other than `PHYSICS`


class SpaceGroupStream:
    """A stream of the same patterns labelled with their space groups, 0..229."""

    def __init__(self, stream: PatternStream) -> None:
        self.stream = stream
        self.config = {**stream.config, "target": "space groups"}
        self.class_probabilities = stream.class_probabilities

    def part(self, rank: int, count: int) -> "SpaceGroupStream":
        """As `PatternStream.part`."""
        return SpaceGroupStream(self.stream.part(rank, count))

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Network input (batch, grid.size) float32 and space groups less one (batch,) int64.

        Raises
        ------
        XrdlibError
            If the space group of a crystal is not known.
        """
        x, label = self.stream.batch(step)
        space_group = self.stream.crystals(self.stream.numbers(step)).space_group.astype(np.int64)
        if space_group.min() < 1:
            raise XrdlibError("A crystal has no space group; train on extinction groups instead.")
        return x, torch.from_numpy(space_group - 1).to(label.device)


def space_group_stream(config: SimpleNamespace, batch: int) -> SpaceGroupStream:
    """The stream of stage 2 with space groups as labels."""
    return SpaceGroupStream(stage2_stream(config, batch))


def collapse(logp: ndarray) -> ndarray:
    """Log-probabilities of the extinction groups, (n, 99), from those of space groups, (n, 230).

    Each is that of the sum over the members of a group.
    """
    members = group_of_space_group()[1:] - 1
    found = np.full((len(logp), N_GROUPS), -np.inf)
    for column, group in enumerate(members):
        found[:, group] = np.logaddexp(found[:, group], np.asarray(logp)[:, column])
    return found


def trainings(config: SimpleNamespace) -> list[Training]:
    """All trainings of the study, seed by seed."""
    section = config.studies.ablations
    found = []
    for number in range(section.seeds):
        for name in VARIANTS if number < _FEWER else PHYSICS:
            change = VARIANTS[name]
            whole = change.get("model", {}).get("classes") == N_SPACE_GROUPS
            stream = space_group_stream if whole else stage2_stream
            found.append(Training(name, number, section.patterns, stream, **change))
    return found


def train_one(config: SimpleNamespace, training: Training, look: bool = False) -> tuple:
    """Model, history and stream of one training, see `trainings.run`."""
    return run(config, "ablations", training, look=look)


def predictions(config: SimpleNamespace, sets: dict[str, PatternSet], prior: dict) -> list[dict]:
    """Evidence of every training on sets, and the calibration chosen for it.

    `prior` is results/PROFILE/prior.json here and below.

    Rows have training; seconds; precision; evidence, by set (rule, aux) with the training prior
    divided out; calibration.
    """
    chosen_on, found = prior["chosen_on"], []
    for training in trainings(config):
        model, history, stream = train_one(config, training)
        own = stages.training_prior(stream)
        evidence = {}
        for name, patterns in sets.items():
            heads = stages.predict(model, patterns)
            if heads["aux"].shape[1] == N_SPACE_GROUPS:
                heads["aux"] = collapse(heads["aux"])
            evidence[name] = tuple(
                priors.divide_out(heads[head], own) if head in heads else None
                for head in outcomes.HEADS
            )
        fit = outcomes.fit(evidence[chosen_on], sets[chosen_on].label, prior["minerals"])
        about = {"training": training, "seconds": history.seconds, "calibration": fit}
        found.append({**about, "precision": history.precision, "evidence": evidence})
    return found


def per_pattern(logp: ndarray, labels: ndarray, null: ndarray) -> dict[str, ndarray]:
    """What each pattern adds to `SCORES` (top1, top5 in percent; bits over the null), (n,) each."""
    logp, labels = check(logp, labels)
    gain = log_likelihood(logp, labels) - np.log(np.asarray(null))[labels]
    hits = {f"top{k}": 100 * credit(logp, labels, k) for k in (1, 5)}
    return hits | {"bits": gain / np.log(2)}


def scored(
    predictions: list[dict], sets: dict[str, PatternSet], prior: dict, subset: str
) -> dict[str, dict[str, ndarray]]:
    """Scores of every training on every pattern of a set, calibrated.

    By variant, then by score, an ndarray (seeds, n).
    """
    null, found = outcomes.told_of(subset, prior)[1], {}
    for one, logp in _calibrated(predictions, prior, subset):
        found.setdefault(one.name, []).append(per_pattern(logp, sets[subset].label, null))
    return {
        name: {score: np.array([v[score] for v in values]) for score in SCORES}
        for name, values in found.items()
    }


def table(
    scores: dict,
    families: ndarray,
    base: str,
    pairs: dict[str, str] | None = None,
    n_boot: int = 1000,
    seed: int = 0,
) -> list[dict]:
    """A row a variant: mean over seeds, every seed, and the difference from the base.

    The variants of `scored`, of n families, are compared with `base` seed by seed, and those in
    `pairs` also with another one.

    Rows have variant, seeds, n, n_families; for each of `SCORES` NAME (mean), NAME_seeds (of each
    seed), NAME_ci95 (families and seeds resampled), NAME_change and NAME_change_ci95 (null for the
    base); against: such changes by the other variant of a pair.
    """
    options = {"families": families, "n_boot": n_boot, "seed": seed}
    rows = []
    for variant, values in scores.items():
        row = {"variant": variant, "seeds": len(values["top1"]), "n": len(families)}
        row["n_families"] = len(np.unique(families))
        for score, by_seed in values.items():
            row[score] = by_seed.mean()
            row[f"{score}_seeds"] = by_seed.mean(axis=1).tolist()
            row[f"{score}_ci95"] = interval(by_seed, **options)
        row |= _change(values, None if variant == base else scores[base], options)
        other = (pairs or {}).get(variant)
        row["against"] = {other: _change(values, scores[other], options)} if other else {}
        rows.append(row)
    return rows


def interval(values: ndarray, families: ndarray, n_boot: int = 1000, seed: int = 0) -> list[float]:
    """95 % interval of the mean of values (seeds, n), both families and seeds resampled."""
    weights = np.concatenate(list(resamples(families, n_boot, seed)))
    means = weights @ values.T / weights.sum(axis=1, keepdims=True)
    chosen = np.random.default_rng(seed).integers(len(values), size=means.shape)
    drawn = np.take_along_axis(means, chosen, axis=1).mean(axis=1)
    return np.percentile(drawn, [2.5, 97.5]).tolist()


def decoded(
    predictions: list[dict], sets: dict[str, PatternSet], prior: dict, subset: str, names: list[str]
) -> list[dict]:
    """Scores of some variants with and without prior and temperature.

    Rows have variant, decoding, n, and the mean over seeds of each of `SCORES`.
    """
    target, null = outcomes.told_of(subset, prior)
    chosen_on, labels = prior["chosen_on"], sets[subset].label
    with_prior = outcomes.prior_ratio(target)
    without = np.zeros_like(with_prior)
    found = []
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
            means = {score: value.mean() for score, value in values.items()}
            about = {"variant": one["training"].name, "decoding": way, "n": len(labels)}
            found.append(about | means)
    means = pd.DataFrame(found).groupby(["variant", "decoding", "n"], sort=False).mean()
    return means.reset_index().to_dict("records")


def nulls(sets: dict[str, PatternSet], prior: dict, subsets: list[str]) -> dict[str, dict]:
    """The prior-only scores of sets: by set n, top1, top5 (percent), bits (0)."""
    found = {}
    for name in subsets:
        labels, null = sets[name].label, outcomes.told_of(name, prior)[1]
        values = per_pattern(np.tile(np.log(null), (len(labels), 1)), labels, null)
        found[name] = {"n": len(labels)} | {key: v.mean() for key, v in values.items()}
    return found


def write_predictions(
    config: SimpleNamespace,
    predictions: list[dict],
    sets: dict[str, PatternSet],
    prior: dict,
    subsets: list[str],
) -> None:
    """Write results/PROFILE/ablations.parquet: first group and log-likelihood, calibrated.

    A row for each training and pattern.
    """
    parts = []
    for subset in subsets:
        labels = sets[subset].label
        for training, logp in _calibrated(predictions, prior, subset):
            found = {
                "pattern": np.arange(len(labels), dtype=np.int16),
                "label": (labels + 1).astype(np.int8),
                "first": (logp.argmax(axis=1) + 1).astype(np.int8),
                "log_likelihood": log_likelihood(logp, labels).astype(np.float32).round(4),
            }
            about = {"subset": subset, "variant": training.name, "seed": training.seed}
            parts.append(pd.DataFrame(about | found))
    whole = pd.concat(parts, ignore_index=True)
    whole = whole.astype({"subset": "category", "variant": "category"})
    with files.replacing(paths.results(config.profile) / "ablations.parquet") as file:
        whole.to_parquet(file, index=False)


def _calibrated(predictions, prior, subset):
    """Each training with its calibrated log-probabilities on a set, (n, 99)."""
    ratio = outcomes.prior_ratio(outcomes.told_of(subset, prior)[0])
    for one in predictions:
        yield one["training"], one["calibration"].apply(*one["evidence"][subset], ratio)


def _change(values, reference, options):
    """Differences of scores on the same patterns, over the seeds that both have."""
    found = {}
    for score, by_seed in values.items():
        found[f"{score}_change"] = found[f"{score}_change_ci95"] = None
        if reference is not None:
            n = min(len(by_seed), len(reference[score]))
            change = by_seed[:n] - reference[score][:n]
            found[f"{score}_change"] = change.mean()
            found[f"{score}_change_ci95"] = interval(change, **options)
    return found
