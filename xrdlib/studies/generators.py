"""Networks that learned on one generator's patterns, tested on another's: tables S1 and S3.

The paper trains on reflections of random lattices or on random crystals, with labels balanced or
as frequent as among known structures, and tests on each of them. Here the labels of a test are made
as frequent as among minerals by votes of the patterns, and the evidence of a network is given the
prior of the test in place of that of its training, so that no network pays for its labels.
"""

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
from torch import nn

from ..learning import calibrate, priors, stages
from ..learning.experiment import PatternSet, load_set
from ..learning.metrics import credit, means
from ..learning.outcomes import BALANCED
from ..symmetry.groups import N_GROUPS
from . import scaling

REFLECTIONS, CRYSTALS, MINERALS = "reflections", "random crystals", "minerals"

# What the networks of the stages learned on; stage 2 continues from stage 1.
_STAGES = {
    "stage1": ("physics transformer", CRYSTALS),
    "stage2": ("physics transformer", MINERALS),
    "resnet": ("resnet", MINERALS),
    "plain": ("plain transformer", MINERALS),
}


def rows(config: SimpleNamespace, minerals: np.ndarray) -> list[dict]:
    """Accuracy of each trained network on both generators' patterns, for both kinds of labels.

    Parameters
    ----------
    minerals : ndarray, (99,)
        Frequency of the groups among minerals.

    Returns
    -------
    list of dict
        "model", "trained_on", "patterns", "tested_on", "labels" ("balanced" or "as minerals"),
        "n", "null" (percent of a constant answer), and percent "top1", "top5", each with
        "_ci95". The measured-looking patterns of random crystals are also noisy; those of
        reflections are not.
    """
    tests = {REFLECTIONS: scaling.test_set(config), CRYSTALS: load_set(config, BALANCED)}
    labels = {"balanced": np.full(N_GROUPS, 1 / N_GROUPS), "as minerals": np.asarray(minerals)}
    table = []
    for name, trained_on, patterns, model, own in _networks(config):
        about = {"model": name, "trained_on": trained_on, "patterns": patterns}
        for tested_on, test in tests.items():
            logp = stages.predict(model, test)["aux"]
            for kind, target in labels.items():
                ratio = priors.log_ratio(target, own)
                scores = _scores(calibrate.rescale(logp, 1.0, 1.0, ratio), test, target, config)
                table.append({**about, "tested_on": tested_on, "labels": kind, **scores})
    return table


def _networks(config) -> Iterator[tuple[str, str, int, nn.Module, np.ndarray]]:
    """Name, generator, patterns, model and training prior of each network."""
    networks, uniform = vars(config.studies.scaling.networks), np.full(N_GROUPS, 1 / N_GROUPS)
    for training in scaling.trainings(config):
        if training.name in networks and training.seed == 0:
            model, history = scaling.train_one(config, training)
            if model is not None:
                yield training.name, REFLECTIONS, history.patterns, model, uniform
    for stage, (name, trained_on) in _STAGES.items():
        model, metadata = stages.load_model(config, stage)
        prior = np.asarray(metadata["training_prior"])
        yield name, trained_on, metadata["history"]["patterns"], model, prior


def _scores(logp: np.ndarray, test: PatternSet, target: np.ndarray, config) -> dict:
    votes = target[test.label] * len(target)
    hits = {f"top{k}": 100 * credit(logp, test.label, k) for k in (1, 5)}
    chance = config.evaluate.bootstrap, config.seed
    shares = means(hits, test.family, *chance, votes=votes)
    return {"n": len(test), "null": 100 * float(target.max()), **shares}
