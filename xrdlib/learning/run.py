"""State of a training run: what an optimiser step changes, and how it is saved and resumed."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..base.errors import XrdlibError
from . import checkpoint, decode
from .ranks import Alone

OPTIMISERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}
WEIGHT_DECAY = 1e-4  # adam adds it to the gradient
CLIP = 1.0  # largest norm of the gradient


@dataclass
class History:
    """Course of a training run.

    Attributes
    ----------
    rows : list of dict
        "step", "patterns", "seconds", "lr", "loss" and its parts (means since the row before),
        and what the callable for validation gave.
    step, patterns : int
        Optimiser steps taken and patterns seen.
    seconds : float
        Training time, summed over resumptions.
    complete : bool
        Whether the limit was reached.
    planned : int or None
        Steps asked for; None if a clock alone was to end the run.
    precision : str or None
        Of the forward passes: float32 or bfloat16.
    """

    rows: list = field(default_factory=list)
    step: int = 0
    patterns: int = 0
    seconds: float = 0.0
    complete: bool = False
    planned: int | None = None
    precision: str | None = None


class Run:
    """What changes in training: model, optimiser, average of the weights, history."""

    def __init__(
        self,
        model: torch.nn.Module,
        settings: SimpleNamespace,
        ranks: Alone,
        operators: torch.Tensor,
    ) -> None:
        self.ranks, self.settings, self.device = ranks, settings, ranks.device
        self.model = model.to(self.device).train()
        self.operators = operators.to(self.device)
        self.network = ranks.wrap(self.model)  # what averages gradients over processes
        self.parameters = list(model.parameters())
        self.optimiser = OPTIMISERS[settings.optimiser](
            self.parameters, settings.lr, weight_decay=WEIGHT_DECAY, fused=True
        )
        buffers = [b for b in model.buffers() if b.is_floating_point()]
        self.present = [tensor.detach() for tensor in self.parameters + buffers]
        self.average = [tensor.clone() for tensor in self.present] if settings.ema else []
        self.history = History(planned=settings.steps, precision=settings.precision)
        self.sums = {}

    def step(self, x: torch.Tensor, labels: torch.Tensor, rate: float) -> torch.Tensor:
        """One optimiser step at a learning rate; the loss, a scalar on the device."""
        x, labels = (t.to(self.device, non_blocking=True) for t in (x, labels))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.ranks.reseed(self.settings.seed, self.history.step)
        enabled = self.settings.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=enabled):
            outputs = self.network(x)
        total, parts = decode.loss(outputs, labels, self.operators)
        self.optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, CLIP)
        self.optimiser.step()
        self.history.step += 1
        self.history.patterns += len(labels) * self.ranks.count
        if self.average:
            # A short memory at first, or the average would be made of the initial weights.
            decay = min(self.settings.ema, self.history.step / (10 + self.history.step))
            get_ema_multi_avg_fn(decay)(self.average, self.present, None)
        terms = {"loss": total.detach(), **parts, "steps": torch.ones_like(total)}
        self.sums = {k: self.sums[k] + v if self.sums else v for k, v in terms.items()}
        return terms["loss"]

    def finite(self, number: float | torch.Tensor) -> float:
        """A scalar as a float, or the end of training."""
        if not math.isfinite(value := float(number)):
            raise XrdlibError(
                f"The loss is {value} at step {self.history.step}: training has diverged; lower "
                "the learning rate. The last good checkpoint is kept."
            )
        return value

    def add_row(self, validate: Callable | None) -> None:
        """Mean losses since the row before, and validation, into the history."""
        steps = self.sums.pop("steps")
        means = {k: self.finite(self.ranks.mean(v / steps)) for k, v in self.sums.items()}
        row = {k: getattr(self.history, k) for k in ("step", "patterns", "seconds")}
        row |= {"lr": self.optimiser.param_groups[0]["lr"], **means}
        self.sums = {}
        if validate is not None and self.ranks.first:
            row |= self.validated(validate)
        self.history.rows.append(row)

    def validated(self, validate: Callable) -> dict[str, float]:
        """Scores of the averaged weights, or of the present ones if none are kept."""
        kept = [tensor.clone() for tensor in self.present] if self.average else []
        self.finish()
        with torch.no_grad():
            result = validate(self.model)
        self.model.train()
        _copy(kept, self.present)
        return result

    def save(self, path: str | Path, identity: dict) -> None:
        """Write a checkpoint, unless the weights have diverged."""
        for tensor in self.present:
            self.finite(tensor.abs().max())
        tensors = {f"average.{i}": tensor for i, tensor in enumerate(self.average)}
        tensors |= {f"sums.{name}": tensor for name, tensor in self.sums.items()}
        state = self.history.step, identity, asdict(self.history)
        checkpoint.save(path, self.model, self.optimiser, *state, tensors)

    def resume(self, path: str | Path) -> bool:
        """Go back to the last checkpoint; whether there is one."""
        saved = checkpoint.load(path)
        if saved is None:
            return False
        saved.restore(self.model, self.optimiser)
        self.history = History(**saved.extra)
        for i, tensor in saved.part("extra.average").items():
            self.average[int(i)].copy_(tensor)
        sums = saved.part("extra.sums")
        self.sums = {name: tensor.to(self.device) for name, tensor in sums.items()}
        return True

    def finish(self) -> None:
        """Leave the model ready for use: averaged weights if kept, evaluation mode."""
        _copy(self.average, self.present)
        self.model.eval()


@torch.no_grad()
def _copy(source, target):
    for a, b in zip(source, target, strict=False):  # of no average nothing is copied
        b.copy_(a)
