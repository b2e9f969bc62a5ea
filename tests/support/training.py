"""A task small enough to be trained on in tests: noisy copies of fixed patterns, a tiny model."""

import copy
import multiprocessing
import time

import torch

from xrdlib.base import provenance
from xrdlib.learning.baselines import build
from xrdlib.learning.train import train

GRID = (5.0, 1.0, 80)
TINY = {"grid": GRID, "width": 16, "depth": 1, "heads": 2, "stem": "patch", "patch": 8}


class Stream:
    """Noisy copies of fixed patterns, `classes` of them; a pure function of the step."""

    def __init__(self, batch=8, classes=99, noise=0.1, pause=0.0, at=None):
        self.size, self.noise, self.pause, self.at = batch, noise, pause, at or {}
        generator = torch.Generator().manual_seed(0)
        self.patterns = torch.rand(classes, GRID[2], generator=generator) ** 4
        self.config = {"batch": batch, "classes": classes, "noise": noise}
        self.calls, self.rows = [], slice(None)

    def part(self, rank, count):
        part, size = copy.copy(self), self.size // count
        part.rows = slice(rank * size, (rank + 1) * size)
        return part

    def batch(self, step):
        self.calls.append(step)
        time.sleep(self.pause)
        if step in self.at:
            self.at[step]()
        generator = torch.Generator().manual_seed(step)
        labels = torch.randint(len(self.patterns), (self.size,), generator=generator)
        noise = torch.randn(self.size, GRID[2], generator=generator)
        x = (self.patterns[labels] + self.noise * noise).clamp(0, 1)
        return x[self.rows], labels[self.rows]


def tiny(**changes):
    return build("physics", TINY | changes)


def run(model, stream, **options):
    return train(model, stream, **{"progress": False, "lr": 3e-3} | options)


def weights(model):
    return [p.detach().clone() for p in model.parameters()]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def losses(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history.rows]


def processes():
    """What starts processes for training; they share one import of PyTorch and its compiler."""
    context = multiprocessing.get_context("forkserver")
    loaded = ["training", "torch._dynamo", "accelerate", "pytest", "xrdlib.simulation.stream"]
    context.set_forkserver_preload(loaded)
    return context


def settle():
    """In such a process: one thread, and code that stays the same under the tests' feet."""
    torch.set_num_threads(1)
    provenance.code_digest = lambda files: "settled"
