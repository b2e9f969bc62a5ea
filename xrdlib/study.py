"""Small trainings that are compared with each other, each a change of one thing.

A finished training is found again by its checkpoint, so a study that was cut short goes on where
it was, and parts of it can be trained beforehand by several processes:

    xrdlib study ablations --part 1/2
"""

import copy
from dataclasses import dataclass, field

import torch

from . import checkpoint, config, paths, stages
from .errors import XrdlibError
from .experiment import folder
from .train import train


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
