"""Training stages of a profile, as the notebooks and a launcher (`xrdlib train`) run them.

Both train to the same checkpoint, so that a notebook does not repeat a launched training.
"""

import copy
import json
from collections.abc import Callable
from dataclasses import asdict
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..base import config, files, paths, results, tensorfile
from ..base.errors import XrdlibError
from ..simulation.stream import PatternStream
from . import calibrate, checkpoint, decode, experiment, ranks
from .baselines import build
from .experiment import PatternSet, folder, grid
from .priors import smooth_prior
from .run import History
from .train import train

if TYPE_CHECKING:
    import pandas as pd

STAGES = ("stage1", "stage2", "resnet", "plain")
_PREDICT_BATCH = 64
_VALIDATION = 300  # patterns, enough to follow a run by
# Pseudo-share of a uniform class distribution in a training prior, so that none is impossible.
_FLOOR = 0.01
_ROUND = 1000  # between the seeds of rounds, which so share no pattern


def new_model(config: SimpleNamespace, section: str) -> torch.nn.Module:
    """An untrained model of a section of the configuration: model, resnet or plain."""
    shape = dict(vars(getattr(config, section)))
    name, points = shape.pop("name"), grid(config)
    return build(name, {**shape, "grid": (points.start, points.step, points.size)}, config.seed)


def run(
    config: SimpleNamespace,
    stage: str,
    name: str,
    model: torch.nn.Module,
    stream: PatternStream,
    validation: PatternSet,
    before: History | None = None,
    profile: SimpleNamespace | None = None,
) -> History:
    """Train a model in place on a stage's stream and write its weights and its history.

    Of several processes, see `ranks`, the first one writes. The history is that of this call alone.

    Parameters
    ----------
    stage : str
        Section with optimiser, lr, warmup, batch and the limits steps and max_minutes.
    name : str
        Under which weights and history are kept.
    validation : PatternSet
        Some of it is scored as training goes on.
    before : train.History, optional
        Of earlier rounds; it is kept together with this one's.
    profile : namespace, optional
        Configuration that the result names, where `config` is that of a round.
    """
    torch.set_num_threads(config.threads)
    prior, section = training_prior(stream), vars(getattr(config, stage))
    few = validation.take(np.linspace(0, len(validation) - 1, _VALIDATION).astype(int))
    own = ("steps", "max_minutes", "optimiser", "lr", "warmup", "ema", "rows")
    history = train(
        model,
        stream,
        **{key: section[key] for key in own},
        precision=config.precision,
        seed=config.seed,
        class_probabilities=prior,
        validate=lambda model: _scores(predict(model, few), few),
        folder=paths.checkpoints(config.profile) / name,
        config={"stage": stage},
        device=config.device,
    )
    model.cpu().eval()
    if not ranks.is_first():
        return history
    whole = joined(before or History(), history)
    metadata = {"name": name, "stream": stream.config, "training_prior": prior.tolist()}
    metadata["history"] = asdict(whole)
    checkpoint.save_weights(folder(config, "models") / f"{name}.safetensors", model, metadata)
    # Keys in the order of a checkpoint, so that a resumed run writes the same file.
    ordered = json.loads(tensorfile.canonical(asdict(whole)))
    made = _made(profile or config, name, ordered)
    results.write(config, name, {"model": name, **ordered}, made)
    return history


def _made(config, name, history):
    """Stamp of the process that trained, kept beside the checkpoint with the history."""
    path = paths.checkpoints(config.profile) / name / "made_with.json"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        kept = {}
    if kept.get("history") != history:
        kept = {"history": history, "stamp": results.stamp(config, history.get("precision"))}
        files.write_text(path, json.dumps(kept, default=vars))
    return kept["stamp"]


def run_rounds(
    config: SimpleNamespace,
    stage: str,
    name: str,
    model: torch.nn.Module,
    make_stream: Callable,
    validation: PatternSet,
) -> History:
    """Train a stage in one or more rounds; each is a training of its own on patterns of its own.

    A round starts from the weights of the one before, its learning rate rises and falls anew. The
    stage's section has `rounds`: changes of it, a dict for each. `make_stream` takes configuration
    and batch size of a round. The history is of all rounds, one after the other.
    """
    whole = History()
    for number, changes in enumerate(getattr(config, stage).rounds or [{}]):
        own = copy.deepcopy(config)
        vars(getattr(own, stage)).update(changes)
        own.seed += _ROUND * number
        stream = make_stream(own, getattr(own, stage).batch)
        latest = run(own, stage, name, model, stream, validation, whole, config)
        whole = joined(whole, latest)
    return whole


def joined(first: History, second: History) -> History:
    """Two histories as one, the second counted on from the first."""
    counts = ("step", "patterns", "seconds")
    base = {key: getattr(first, key) for key in counts}
    later = [{**row, **{key: row[key] + base[key] for key in counts}} for row in second.rows]
    totals = {key: base[key] + getattr(second, key) for key in counts}
    ended = {"complete": second.complete, "precision": second.precision}
    if second.planned is not None and (first.planned is not None or not first.rows):
        ended["planned"] = second.planned + (first.planned or 0)
    return History(rows=[*first.rows, *later], **ended, **totals)


def training_prior(stream: PatternStream) -> np.ndarray:
    """Class probabilities of a stream, (99,), with a little of every class."""
    return smooth_prior(stream.class_probabilities, _FLOOR)


def load_model(config: SimpleNamespace, name: str) -> tuple[torch.nn.Module, dict]:
    """Model and metadata that `run` wrote under a name."""
    path = folder(config, "models") / f"{name}.safetensors"
    return checkpoint.load_weights(path), checkpoint.load_metadata(path)


@torch.inference_mode()
def predict(model: torch.nn.Module, patterns: PatternSet) -> dict[str, np.ndarray]:
    """Log-probabilities of a model's heads, "aux" and maybe "rule", (n, 99) float32, on a set.

    The model is left in evaluation mode.
    """
    model.eval()
    heads, device = {"aux": [], "rule": []}, next(model.parameters()).device
    for x in torch.from_numpy(patterns.x).split(_PREDICT_BATCH):
        output = model(x.to(device).float())
        heads["aux"].append(torch.log_softmax(output["aux"].float(), -1).cpu())
        if "rule" in output:
            heads["rule"].append(decode.rule_log_probs(output["rule"]).cpu())
    return {name: torch.cat(parts).numpy() for name, parts in heads.items() if parts}


def quick_table(
    predictions: dict[str, dict], sets: dict[str, PatternSet], fusion: float = 0.5
) -> "pd.DataFrame":
    """Accuracy of predictions as from `predict`, before any calibration.

    n, top1, top5 (percent) and nll (nats), a row a set.
    """
    import pandas as pd  # not needed, and not always there, where only training is done

    table = {
        name: {"n": len(sets[name]), **_scores(heads, sets[name], fusion)}
        for name, heads in predictions.items()
    }
    return pd.DataFrame(table).T.astype({"n": int}).round(2)


def _scores(heads, patterns, fusion=0.5):
    logp = torch.from_numpy(calibrate.fuse(heads.get("rule"), heads["aux"], fusion))
    return decode.scores(logp, torch.from_numpy(patterns.label))


def start(profile: str | None, stage: str) -> History:
    """Train a stage of a profile, by default the one of params.yaml, or finish its training.

    Raises
    ------
    XrdlibError
        If there is no such stage, a file of an earlier one is missing, or training fails.
    """
    if stage not in STAGES:
        raise XrdlibError(f"No stage {stage!r}; choose one of {', '.join(STAGES)}.")
    cfg = config.load(profile)
    if stage == "stage2":
        model, _ = load_model(cfg, "stage1")
    else:
        model = new_model(cfg, "model" if stage == "stage1" else stage)
    name = "random-crystals" if stage == "stage1" else "amcsd-calibration"
    validation = experiment.load_set(cfg, name)
    if validation is None:
        raise XrdlibError(
            f"The set {name} of the profile {cfg.profile} does not exist; make it with "
            f"`make repro PROFILE={cfg.profile} NOTEBOOK=02_synthesis`."
        )
    if stage == "stage2":
        return run_rounds(cfg, stage, stage, model, experiment.stage2_stream, validation)
    if stage == "stage1":
        return run(cfg, stage, stage, model, experiment.stage1_stream(cfg), validation)
    stream = experiment.stage2_stream(cfg, cfg.baselines.batch)
    return run(cfg, "baselines", stage, model, stream, validation)
