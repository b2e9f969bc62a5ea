"""Checkpoints of a training run, and released weights, in the format of `tensorfile`.

The last good checkpoint is kept as `.previous` and used if the newest one is damaged.
"""

import hashlib
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from ..base import tensorfile
from ..base.errors import XrdlibError
from .baselines import build


@dataclass
class Checkpoint:
    """A training run at one moment.

    Attributes
    ----------
    step : int
        Optimiser steps taken.
    config, extra : dict
        What the run was started with, and JSON values that the caller stored.
    tensors : dict of Tensor
        "model.*", "optimiser.*", "random.*" and the caller's "extra.*".
    groups : list of dict
        The optimiser's parameter groups.
    """

    step: int
    config: dict
    extra: dict
    tensors: dict
    groups: list

    def part(self, prefix: str) -> dict[str, torch.Tensor]:
        """Tensors whose names start with `prefix` and a dot, without it."""
        skip = len(prefix) + 1
        return {k[skip:]: v for k, v in self.tensors.items() if k.startswith(f"{prefix}.")}

    def restore(self, model: torch.nn.Module, optimiser: torch.optim.Optimizer) -> None:
        """Put weights, optimiser state and PyTorch's random state back.

        Raises
        ------
        XrdlibError
            If the weights do not fit the model.
        """
        _fill(model, self.part("model"), "The checkpoint")
        state = {}
        for name, tensor in self.part("optimiser").items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = tensor
        optimiser.load_state_dict({"state": state, "param_groups": self.groups})
        random = self.part("random")
        torch.set_rng_state(random["cpu"])
        if "cuda" in random and torch.cuda.is_available():
            torch.cuda.set_rng_state(random["cuda"])


def config_hash(config: dict) -> str:
    """Twelve hexadecimal digits that name a configuration, a dict of JSON values."""
    return hashlib.sha256(tensorfile.canonical(config).encode()).hexdigest()[:12]


def save(
    path: str | Path,
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    step: int,
    config: dict,
    extra: dict,
    tensors: dict[str, torch.Tensor],
) -> None:
    """Write a checkpoint; the one it replaces is kept as `.previous` if it is whole.

    `config` is what the run was started with, `extra` and `tensors` are more state of the caller's:
    JSON values and tensors. XrdlibError if the file cannot be written; others are untouched.
    """
    state = optimiser.state_dict()
    everything = {f"model.{k}": v for k, v in model.state_dict().items()}
    for index, values in state["state"].items():
        everything |= {f"optimiser.{index}.{k}": v for k, v in values.items()}
    everything["random.cpu"] = torch.get_rng_state()
    if any(p.is_cuda for p in model.parameters()):
        everything["random.cuda"] = torch.cuda.get_rng_state()
    everything |= {f"extra.{k}": v for k, v in tensors.items()}
    header = {"step": step, "config": config, "extra": extra, "groups": state["param_groups"]}
    tensorfile.write(path, everything, header, keep_as=previous(path))


def load(path: str | Path) -> Checkpoint | None:
    """Read the newest whole checkpoint, None if nothing was saved yet.

    If the newest file is damaged, a warning says so and the previous one is returned.

    Raises
    ------
    XrdlibError
        If there are files and none is whole.
    """
    candidates = [p for p in (Path(path), previous(path)) if p.exists()]
    for i, candidate in enumerate(candidates):
        try:
            tensors, header = tensorfile.read(candidate)
        except XrdlibError as error:
            if i == len(candidates) - 1:
                raise
            warnings.warn(f"{error} Going on from {candidates[i + 1].name}.", stacklevel=2)
            continue
        if "step" not in header:
            raise XrdlibError(f"{candidate} is no checkpoint; use another folder.")
        return Checkpoint(tensors=tensors, **header)
    return None


def previous(path: str | Path) -> Path:
    """Where the checkpoint before the one at `path` is kept."""
    return Path(path).with_name(Path(path).name + ".previous")


def save_weights(path: str | Path, model: torch.nn.Module, metadata: dict | None = None) -> None:
    """Write a model that `baselines.build` made for release: weights, and what rebuilds it.

    `metadata` are JSON values that describe it: temperature, fusion, prior, provenance.
    """
    header = {"model": model.name, "config": asdict(model.config), "metadata": metadata or {}}
    tensorfile.write(path, model.state_dict(), header)


def load_weights(path: str | Path) -> torch.nn.Module:
    """Rebuild a released model, on the CPU and in evaluation mode.

    Raises
    ------
    XrdlibError
        If the file is missing, damaged, or no released model.
    """
    tensors, header = tensorfile.read(path)
    if "model" not in header:
        raise XrdlibError(f"{path} holds no released weights; give a file of save_weights.")
    model = build(header["model"], header["config"])
    _fill(model, tensors, str(path))
    return model.eval()


def load_metadata(path: str | Path) -> dict:
    """The metadata that was given to `save_weights`, a dict; errors as for `load_weights`."""
    return tensorfile.read(path)[1].get("metadata", {})


def _fill(model, tensors, what):
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise XrdlibError(f"{what} does not fit the model: {error}") from None
