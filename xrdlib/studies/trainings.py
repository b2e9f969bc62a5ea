"""Small trainings that are compared: run, resumed, and their scaling with size.

A finished training is found again by its checkpoint, so a study that was cut short goes on where
it was, and parts of it can be trained beforehand by several processes:

    xrdlib study ablations --part 1/2

Three architectures read the same clean patterns of random crystals, uniform over the 99 groups, no
crystal twice. Each size has trainings of its own, whose learning rate falls to zero at their end.
"""

import copy
from dataclasses import dataclass, field

import numpy as np
import torch

from ..base import config, paths
from ..base.errors import XrdlibError
from ..learning import checkpoint, stages
from ..learning.experiment import PatternSet, folder, grid, realism, seed
from ..learning.metrics import nll, top_k
from ..learning.train import train
from ..simulation.stream import PatternStream, RandomCrystalSource
from ..structures.recipes import shipped


@dataclass(frozen=True)
class Training:
    """One training of a study.

    Attributes
    ----------
    name : str
        Of what is compared; trainings that differ in the seed alone share it.
    seed : int
        0, 1, ...: of weights and patterns.
    patterns : int
        How many the model sees.
    section : str
        Section of params.yaml that gives the model's shape: model, resnet or plain.
    model : dict
        Changes of that shape.
    stream : callable
        Configuration and batch size to the stream of patterns.
    changes : dict of str to dict
        Changes of other sections of the configuration, by section.
    start : str, optional
        Weights of the profile's run to start from, such as stage1; else untrained.
    """

    name: str
    seed: int
    patterns: int
    stream: object
    section: str = "model"
    model: dict = field(default_factory=dict)
    changes: dict = field(default_factory=dict)
    start: str | None = None


def settings(base, training):
    """Configuration of a training: that of the profile with its changes and its own seed.

    No training shares the seed of the profile, with which the validation sets were drawn.
    """
    changed = copy.deepcopy(base)
    changed.seed = base.seed + 1000 * (training.seed + 1)
    for section, values in {**training.changes, training.section: training.model}.items():
        for key, value in values.items():
            old = getattr(getattr(changed, section), key, None)
            new = config.namespace({**vars(old), **value} if isinstance(value, dict) else value)
            setattr(getattr(changed, section), key, new)
    return changed


def run(base, study, training, validate=None, rows=1):
    """Train a model, or find it trained.

    Parameters
    ----------
    base : namespace
        Of the profile, with a section `studies`.
    study : str
        Folder of the checkpoints.
    training : Training
    validate, rows
        As for `train.train`.

    Returns
    -------
    model : torch.nn.Module
        In evaluation mode.
    history : train.History
    stream : PatternStream
    """
    own, common = settings(base, training), base.studies
    torch.set_num_threads(own.threads)
    stream = training.stream(own, common.batch)
    if training.start is None:
        model = stages.new_model(own, training.section)
    else:
        model = checkpoint.load_weights(folder(base, "models") / f"{training.start}.safetensors")
    history = train(
        model,
        stream,
        steps=max(1, training.patterns // common.batch),
        lr=common.lr,
        warmup=common.warmup,
        ema=common.ema,
        precision=own.precision,
        seed=own.seed,
        class_probabilities=stages.training_prior(stream),
        validate=validate,
        rows=rows,
        folder=paths.checkpoints(base.profile) / "studies" / study,
        device=own.device,
    )
    return model.cpu().eval(), history, stream


def part(trainings, which):
    """Every n-th training, from the k-th on: which = "k/n".

    Raises
    ------
    XrdlibError
        If `which` is not of that form with 1 <= k <= n.
    """
    try:
        k, n = map(int, which.split("/"))
    except ValueError:
        k, n = 0, 0
    if not 1 <= k <= n:
        raise XrdlibError(f"{which!r} is no part; give for instance 1/2, the first of two.")
    return trainings[k - 1 :: n]


MODELS = {"physics transformer": "model", "resnet": "resnet", "plain transformer": "plain"}

CONVOLUTION = "resnet"

CURVE_ROWS = 12  # of the largest trainings

_TEST_PART = 330

# What is left when all that a diffractometer and a specimen do is taken away.
CLEAN = {
    "strain": (1e-6, 2e-6),
    "smooth_error": 0.0,
    "line_error": (0.0, 0.0),
    "no_texture": 1.0,
    "strong_texture": 0.0,
    "single_line": 1.0,
    "fwhm": (0.1, 0.0),
    "caglioti": (0.0, 0.0),
    "strain_width": (1e-3, 0.0),
    "anisotropic": 0.0,
    "zero_shift": 0.0,
    "displacement": 0.0,
    "asymmetry": (0.0, 0.0),
    "transparency": (0.0, 0.0),
    "background": (1e-3, 0.0),
    "noise": (1e-5, 0.0),
    "hump_probability": 0.0,
    "residual": 0.0,
    "impurity": 0.0,
    "cropped": 0.0,
    "coarse": 0.0,
    "spikes": 0.0,
}


def trainings(config):
    """All trainings of the study, small ones first.

    Returns
    -------
    list of study.Training
    """
    section = config.studies.scaling
    return [
        Training(name, number, size, clean_stream, MODELS[name])
        for size in section.sizes
        for number in range(section.seeds)
        for name in MODELS
    ]


def clean_stream(config, batch):
    """Clean patterns of random crystals, each crystal once."""
    source = RandomCrystalSource(shipped(), seed(config, "stage1"), config.synthesis.chunk, reuse=1)
    return PatternStream(
        [(source, 1.0)],
        realism(config, "mild", **CLEAN),
        seed(config, "stage1"),
        batch,
        grid=grid(config),
    )


def test_set(config, n=None):
    """Clean patterns of random crystals that no training contains.

    Parameters
    ----------
    n : int, optional
        How many; as many as the profile's balanced set by default.

    Returns
    -------
    PatternSet
    """
    n = n or config.synthesis.uniform_patterns
    stream = clean_stream(config, min(n, _TEST_PART))
    batches = [stream.batch(step) for step in range(-(-n // stream.batch_size))]
    x = np.concatenate([x.half().numpy() for x, _ in batches])[:n]
    label = np.concatenate([label.numpy() for _, label in batches])[:n]
    name = np.array([f"random {i}" for i in range(n)])
    return PatternSet(x, label, name, name)


def train_one(config, training):
    """Model and history of one training; of the largest size with a learning curve.

    Returns
    -------
    model : torch.nn.Module
    history : train.History
    """
    if training.patterns < max(config.studies.scaling.sizes):
        return run(config, "scaling", training)[:2]
    few = test_set(config, _TEST_PART)
    validate = (torch.from_numpy(few.x).float(), torch.from_numpy(few.label))
    return run(config, "scaling", training, validate, CURVE_ROWS)[:2]


def rows(config, patterns):
    """Scores of every training on a test set.

    Parameters
    ----------
    patterns : PatternSet
        As from `test_set`.

    Returns
    -------
    list of dict
        model, seed, patterns, seconds (of training), top1, top3, top5 (percent), nll (nats), and
        curve: rows of the training history, where one was kept.
    """
    table = []
    for training in trainings(config):
        model, history = train_one(config, training)
        logp = stages.predict(model, patterns)["aux"]
        scores = {f"top{k}": 100 * top_k(logp, patterns.label, k) for k in (1, 3, 5)}
        table.append(
            {
                "model": training.name,
                "seed": training.seed,
                "patterns": history.patterns,
                "seconds": history.seconds,
                "precision": history.precision,
                **scores,
                "nll": nll(logp, patterns.label),
                "curve": history.rows if len(history.rows) > 1 else [],
            }
        )
    return table


def power_law(table, model, score="nll"):
    """Fit of a score as a power of the number of patterns, score = a patterns^-b.

    Parameters
    ----------
    table : list of dict
        As from `rows`.
    model : str
    score : str
        "nll", which falls, or a rate in percent, whose share of errors then falls.

    Returns
    -------
    dict
        a and b by least squares of the logarithms; b_range, the lowest and highest b when seeds are
        fitted one at a time.
    """
    own = [row for row in table if row["model"] == model]
    seeds = sorted({row["seed"] for row in own})

    def fitted(chosen):
        x = np.log([row["patterns"] for row in chosen])
        y = np.array([row[score] for row in chosen], dtype=float)
        slope, constant = np.polyfit(x, np.log(y if score == "nll" else 100 - y), 1)
        return float(np.exp(constant)), float(-slope)

    a, b = fitted(own)
    alone = [fitted([row for row in own if row["seed"] == k])[1] for k in seeds]
    return {"a": a, "b": b, "b_range": [min(alone), max(alone)]}


def scaling_verdict(table):
    """Whether attention beats convolution at the largest size, seed against seed.

    Parameters
    ----------
    table : list of dict
        As from `rows`.

    Returns
    -------
    dict
        patterns; top1 and nll by model, each a list over seeds; holds: "yes" if every seed of one
        transformer is better in both than every seed of the ResNet, "no" if every seed of the
        ResNet is better than all of both, else "not decided"; text.
    """
    largest = max(row["patterns"] for row in table)
    own = [row for row in table if row["patterns"] == largest]
    top1, cost = (
        {name: [row[key] for row in own if row["model"] == name] for name in MODELS}
        for key in ("top1", "nll")
    )
    attention = [name for name in MODELS if name != CONVOLUTION]

    def better(one, other):
        return min(top1[one]) > max(top1[other]) and max(cost[one]) < min(cost[other])

    holds = "not decided"
    if any(better(name, CONVOLUTION) for name in attention):
        holds = "yes"
    elif all(better(CONVOLUTION, name) for name in attention):
        holds = "no"
    means = ", ".join(
        f"{name} {np.mean(top1[name]):.1f} % ({min(top1[name]):.1f} to {max(top1[name]):.1f})"
        for name in MODELS
    )
    text = f"Attention beats convolution at {largest:,} patterns: {holds}. Top-1: {means}."
    return {"patterns": largest, "top1": top1, "nll": cost, "holds": holds, "text": text}
