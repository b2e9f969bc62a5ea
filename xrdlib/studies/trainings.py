"""Small trainings that are compared with each other, each a change of one thing.

A finished training is recognised by its checkpoint, so an interrupted study continues where it
was, and parts of it can be trained beforehand by several processes:

    xrdlib study ablations --part 1/2

What a long training reached is also recorded in results/PROFILE/trainings, small enough to be
committed; a finished record stands for its training where nobody needs the model.
"""

import copy
import json
import re
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from types import ModuleType, SimpleNamespace

import torch

from ..base import config, paths, results
from ..base.errors import XrdlibError
from ..learning import checkpoint, stages
from ..learning.experiment import folder
from ..learning.run import History
from ..learning.train import train


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
    options : dict
        Arguments of `train.train` that differ from the section `studies`.
    """

    name: str
    seed: int
    patterns: int
    stream: object
    section: str = "model"
    model: dict = field(default_factory=dict)
    changes: dict = field(default_factory=dict)
    start: str | None = None
    options: dict = field(default_factory=dict)


def settings(base: SimpleNamespace, training: Training) -> SimpleNamespace:
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


def run(
    base: SimpleNamespace,
    study: str,
    training: Training,
    validate: Callable | None = None,
    rows: int | Collection[int] = 1,
    look: bool = False,
) -> tuple[torch.nn.Module, History, object]:
    """Train a model, or load it if it is trained.

    Parameters
    ----------
    base : SimpleNamespace
        Of the profile, with a section `studies`.
    study : str
        Folder of the checkpoints.
    validate, rows, look
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
    options = {name: getattr(common, name) for name in ("lr", "warmup", "ema")} | training.options
    history = train(
        model,
        stream,
        steps=max(1, training.patterns // common.batch),
        precision=own.precision,
        seed=own.seed,
        class_probabilities=stages.training_prior(stream),
        validate=validate,
        rows=rows,
        folder=paths.checkpoints(base.profile) / "studies" / study,
        device=own.device,
        look=look,
        **options,
    )
    return model.cpu().eval(), history, stream


def record(base: SimpleNamespace, study: str, training: Training, history: History) -> None:
    """Keep what a training reached, with its settings and stamp, in the profile's results."""
    content = {"settings": _identity(base, training), **asdict(history)}
    results.write(settings(base, training), _record(study, training), content)


def recorded(base: SimpleNamespace, study: str, training: Training) -> History:
    """What a record says of a training with these settings; empty if there is none."""
    name = _record(study, training)
    if not results.exists(base, name):
        return History()
    content = results.read(base, name)
    same = content.pop("settings") == _identity(base, training)
    return History(**content) if same else History()


def _record(study, training):
    words = re.sub(r"[^a-z0-9.]+", "_", training.name.lower())
    return f"trainings/{study}/{words}_{training.patterns}_seed{training.seed}"


def _identity(base, training):
    """What decides a training, of JSON values, but for the code."""
    own, common = settings(base, training), base.studies
    options = {name: getattr(common, name) for name in ("lr", "warmup", "ema")} | training.options
    stream = training.stream(own, common.batch).config
    decided = {"model": vars(getattr(own, training.section)), "stream": stream, "options": options}
    return json.loads(json.dumps(decided))


def part(trainings: list[Training], which: str) -> list[Training]:
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


def status(study: ModuleType, settings: SimpleNamespace, trainings: list[Training]) -> str:
    """How far trainings are: a table as text, and the hours that are left.

    Parameters
    ----------
    study : module
        With a function ``train_one(settings, training, look=True)``.
    """
    lines, done, seconds, left = [], 0, 0.0, 0
    for training in trainings:
        _, history, *_ = study.train_one(settings, training, look=True)
        last = history.rows[-1] if history.rows else {}
        score = f"  NLL {last['nll']:.3f}" if "nll" in last else ""
        lines.append(
            f"{training.name:36s} seed {training.seed}  {history.patterns:9,} of "
            f"{training.patterns:9,} patterns  {history.seconds / 60:6.1f} min{score}"
        )
        done, seconds = done + history.patterns, seconds + history.seconds
        left += 0 if history.complete else training.patterns - history.patterns
    rate = f", {left * seconds / done / 3600:.1f} core hours to go" if done else ""
    share = 100 * done / max(1, done + left)
    return "\n".join([*lines, f"{done:,} patterns, {share:.1f} %, {seconds / 3600:.1f} h{rate}"])


def plan(settings: SimpleNamespace, trainings: list[Training], seconds: float = 6.0) -> str:
    """Hours that trainings will take, from a few seconds of each network on this machine.

    Parameters
    ----------
    seconds : float
        For which the rate of a network is measured.

    Returns
    -------
    str
        A line for each network, and their sum.
    """
    torch.set_num_threads(settings.threads)
    lines, total = [], 0.0
    for section in dict.fromkeys(training.section for training in trainings):
        own = [training for training in trainings if training.section == section]
        model, stream = stages.new_model(settings, section), own[0].stream(settings, 32)
        for minutes in (0.01, seconds / 60):  # the first time warms up
            history = train(
                model, stream, max_minutes=minutes, precision=settings.precision, progress=False
            )
        rate = history.patterns / history.seconds
        patterns = sum(training.patterns for training in own)
        total += patterns / rate / 3600
        lines.append(
            f"{section:12s} {len(own):3d} trainings, {patterns:11,} patterns at {rate:6.0f} a "
            f"second: {patterns / rate / 3600:6.1f} h"
        )
    return "\n".join([*lines, f"{total:.1f} hours of one process, {total / 2:.1f} of two"])
