"""Sets and predictions of models that were trained in a manner of speaking."""

from dataclasses import asdict

import numpy as np

from xrdlib.base import results
from xrdlib.learning import checkpoint, experiment, outcomes
from xrdlib.learning.baselines import build
from xrdlib.learning.calibrate import Calibration
from xrdlib.learning.experiment import PatternSet

N = 60
TITLES = [results.MAIN, "resnet", "plain transformer", outcomes.SEARCH]


def softmax(scores):
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def distribution(seed):
    return np.random.default_rng(seed).dirichlet(np.full(99, 2.0)) * 0.99 + 0.01 / 99


def a_set(name, n=N):
    rng = np.random.default_rng(len(name))
    family = np.array([f"family {i // 3}" for i in range(n)])
    ids = np.array([f"{name} {i}" for i in range(n)])
    return PatternSet(np.zeros((n, 4), np.float16), rng.choice(99, n, p=MINERALS), family, ids)


def heads(patterns, skill, seed, rule=True):
    """Log-probabilities of a made-up model, which lean towards the truth."""
    rng, log_probabilities = np.random.default_rng(seed), {}
    for head in ["aux", "rule"][: 1 + rule]:
        scores = rng.normal(size=(len(patterns), 99))
        scores[np.arange(len(patterns)), patterns.label] += skill
        log_probabilities[head] = np.log(softmax(scores)).astype(np.float32)
    return log_probabilities


TRAIN, MINERALS = distribution(1), distribution(2)
NULL = 0.9 * MINERALS + 0.1 * distribution(3)
PRIOR = {"minerals": MINERALS.tolist(), "train": TRAIN.tolist(), "null": NULL.tolist()}
PRIOR["null_held_out"] = PRIOR["null"][::-1]
PRIOR |= {f"{key}_by_patterns": MINERALS.tolist() for key in ("null", "null_held_out")}
NAMES = ("rruff-test", "amcsd-test", "random-crystals")
CHOSEN = Calibration(T=2.0, w=0.8, a=0.3)


def train(cfg):
    """Write what training would have written for every model of a project; its configuration."""
    cfg.evaluate.bootstrap, cfg.evaluate.shuffles = 40, 4
    shape = {"grid": (5.0, 1.0, 86), "widths": (2, 2, 2, 2)}
    model = build("resnet", shape)
    for name in ("stage2", "resnet", "plain"):
        path = experiment.folder(cfg, "models") / f"{name}.safetensors"
        checkpoint.save_weights(path, model, {"training_prior": TRAIN.tolist()})
    sets = {name: a_set(name) for name in NAMES}
    for i, name in enumerate(("stage1", "stage2", "resnet", "plain")):
        predictions = {k: heads(s, 1 + i, i, rule=i < 2) for k, s in sets.items()}
        experiment.save_predictions(cfg, name, predictions)
    rng = np.random.default_rng(9)
    scores = {
        k: {"scores": rng.random((N, 99)).astype(np.float32), "best": np.linspace(0.4, 1.0, N)}
        for k in sets
    }
    experiment.save_predictions(cfg, outcomes.SEARCH, scores)
    results.write(cfg, "calibration", {"models": {results.MAIN: asdict(CHOSEN)}})
    results.write(cfg, "baselines", {"models": {title: asdict(CHOSEN) for title in TITLES[1:]}})
    return cfg
