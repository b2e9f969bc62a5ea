"""Accuracy on balanced patterns of reflections against the number of training patterns.

Three architectures, and one of them trained on space groups, see the regime in which the paper
compares them (`reflection_patterns`): balanced over the 99 groups, and no pattern twice.

One long training serves every size. Its learning rate is constant, and what is scored after N
patterns is the average of the weights over about the last tenth of them (as long as a decay of
``step / (10 + step)`` lasts, see `run.Run.step`), as in a training that ends there. A learning rate
that falls with the run, as the profile `paper` has for one network, takes a training for each size.
"""

import time
from dataclasses import replace
from functools import cache, partial
from types import SimpleNamespace

import numpy as np
from torch import nn

from ..base.files import FolderInUse
from ..learning import stages
from ..learning.experiment import PatternSet, grid, seed
from ..learning.metrics import nll, top_k
from ..learning.run import History
from ..simulation.reflection_patterns import Peaks
from ..simulation.reflection_stream import ReflectionStream, balanced
from ..symmetry.groups import N_SPACE_GROUPS, group_of_space_group
from . import trainings as study
from .ablations import collapse

CONVOLUTION = "resnet"
TARGET_SUFFIX = ", 230 space groups"  # of what a network is called that is trained on those
_WAIT = 20.0  # seconds between looks at what another process trains


def trainings(config: SimpleNamespace) -> list[study.Training]:
    """All trainings of the study: those that choose the learning rates, then seed by seed."""
    section, every = config.studies.scaling, []
    for name in vars(section.networks):
        every += trials(config, name)
    for number in range(section.seeds):
        longest = section.longest[number] if section.longest else max(section.sizes)
        for name in vars(section.networks):
            one, options = _network(config, name)
            sizes = [size for size in section.sizes if size <= longest]
            if options["schedule"] == "constant":
                sizes = [max(sizes)]
            every += [
                study.Training(name, number, size, stream, one, options=options) for size in sizes
            ]
        if section.space_groups:
            name, (one, options) = CONVOLUTION + TARGET_SUFFIX, _network(config, CONVOLUTION)
            every.append(
                study.Training(
                    *(name, number, section.space_groups, space_group_stream, one),
                    model={"classes": N_SPACE_GROUPS},
                    options=options,
                )
            )
    return every


def trials(config: SimpleNamespace, name: str) -> list[study.Training]:
    """Short trainings of a network, one for each learning rate; none if there is no choice.

    Their seed is that of no other training.
    """
    section, (one, options) = config.studies.scaling, _network(config, name)
    if len(section.rates) == 1:
        return []
    return [
        study.Training(
            *(f"{name}, rate {rate:g}", section.seeds, section.trial, stream, one),
            options=options | {"lr": rate},
        )
        for rate in section.rates
    ]


def _network(config, name):
    """Section of the model's shape, and options of its trainings."""
    section = config.studies.scaling
    options = dict(vars(getattr(section.networks, name)))
    common = {"schedule": "constant", "ema": section.ema, "warmup": section.warmup}
    return options.pop("section"), common | options


def stream(
    config: SimpleNamespace, batch: int, target: str = "extinction groups"
) -> ReflectionStream:
    """Stream of patterns of reflections, as the profile sets them, each once."""
    peaks = Peaks(**vars(config.studies.scaling.peaks))
    return ReflectionStream(peaks, seed(config, "stage1"), batch, grid(config), target)


def space_group_stream(config: SimpleNamespace, batch: int) -> ReflectionStream:
    """The same with space groups as labels, uniform over the 230."""
    return stream(config, batch, "space groups")


def test_set(config: SimpleNamespace, each: int | None = None, name: str = "uniform") -> PatternSet:
    """Balanced patterns that no training contains.

    `each` is the number of patterns of a group, by default the profile's; `name` is that of the
    seed, see `experiment.SEEDS`.
    """
    peaks = Peaks(**vars(config.studies.scaling.peaks))
    x, label = balanced(
        peaks, each or config.studies.scaling.each, seed(config, name), grid(config)
    )
    numbered = np.array([f"reflections {i}" for i in range(len(label))])
    return PatternSet(x.numpy(), label, numbered, numbered)


def scores(
    model: nn.Module, patterns: PatternSet, space_groups: PatternSet | None = None
) -> dict[str, float]:
    """Accuracy of a model's class head, of 99 outputs or 230.

    Gives top1, top3, top5 (percent), nll (nats); for a model of space groups these are collapsed,
    with names that begin "uniform_" after weighing the groups equally, and with "own_" on
    `space_groups`, patterns labelled with those.
    """
    logp = stages.predict(model, patterns)["aux"]
    if logp.shape[1] != N_SPACE_GROUPS:
        return _scores(logp, patterns.label)
    collapsed = collapse(logp)
    # It was trained on groups that are as frequent as they have members.
    uniform = collapsed - np.log(np.bincount(group_of_space_group()[1:])[1:])
    uniform -= np.logaddexp.reduce(uniform, axis=1, keepdims=True)
    result = _scores(collapsed, patterns.label)
    result |= {f"uniform_{k}": v for k, v in _scores(uniform, patterns.label).items()}
    own = stages.predict(model, space_groups)["aux"]
    return result | {f"own_{k}": v for k, v in _scores(own, space_groups.label).items()}


def _scores(logp, label):
    return {f"top{k}": 100 * top_k(logp, label, k) for k in (1, 3, 5)} | {"nll": nll(logp, label)}


def train_one(
    config: SimpleNamespace, training: study.Training, look: bool = False
) -> tuple[nn.Module | None, History]:
    """Model and history of one training, scored at every size on the way.

    Where its learning rate is not chosen yet, the trials are done first, or waited for.

    Returns
    -------
    model : torch.nn.Module or None
        None if a record of the finished training is at hand.
    history : train.History
        Empty if one only wants to `look` at a training that cannot begin yet.
    """
    section, steps = config.studies.scaling, 1
    if "lr" not in training.options:
        rate = learning_rate(config, training.name.removesuffix(TARGET_SUFFIX), look)
        if rate is None:
            return None, History()
        training = replace(training, options=training.options | {"lr": rate})
        if training.options["schedule"] == "constant":
            steps = [size // config.studies.batch for size in section.sizes]
    run = partial(study.run, config, "scaling", training, _scorer(config, training), steps)
    if section.here:  # each run of the pipeline is to be one run of one commit
        return run(look=look)[:2]
    recorded = study.recorded(config, "scaling", training)
    if recorded.complete:
        return None, recorded
    if look:
        model, history = run(look=True)[:2]
        return model, max(history, recorded, key=lambda one: one.patterns)
    try:
        model, history = run()[:2]
    except (KeyboardInterrupt, SystemExit):
        study.record(config, "scaling", training, run(look=True)[1])
        raise
    study.record(config, "scaling", training, history)
    return model, history


def _scorer(config, training):
    """What scores the model of a training; it makes its patterns when it is first asked."""

    @cache
    def sets():
        section, own = config.studies.scaling, None
        if training.seed == section.seeds:  # a trial, whose choice must not see the test patterns
            return test_set(config, -(-section.each // 5), "holdout"), own
        patterns = test_set(config)
        if training.name.endswith(TARGET_SUFFIX):
            x, label = space_group_stream(config, len(patterns)).batch(0)
            own = PatternSet(x.half().numpy(), label.numpy(), patterns.family, patterns.name)
        return patterns, own

    return lambda model: scores(model, *sets())


def learning_rate(config: SimpleNamespace, name: str, look: bool = False) -> float | None:
    """The rate whose trial of network `name` has the lowest NLL on patterns that are no test ones.

    With `look` nothing is trained, and it is None where a trial is not finished.
    """
    cost = {}
    for trial in trials(config, name):
        history = _when_free(lambda trial=trial: train_one(config, trial, look))[1]
        if not history.complete:
            return None
        cost[trial.options["lr"]] = history.rows[-1]["nll"]
    return min(cost, key=cost.get) if cost else config.studies.scaling.rates[0]


def _when_free(work):
    while True:
        try:
            return work()
        except FolderInUse:  # another process trains it
            time.sleep(_WAIT)
