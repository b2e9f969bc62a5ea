"""Endless balanced batches of patterns of reflections, and sets of them for validation."""

from dataclasses import asdict, astuple
from functools import cache

import numpy as np
import torch

from ..base import counter
from ..base.errors import XrdlibError
from ..base.patterns import GRID, Grid, normalise
from ..base.records import offsets
from ..symmetry.groups import N_GROUPS, N_SPACE_GROUPS, group_of_space_group
from .batches import NumberedStream
from .reflection_patterns import Peaks, patterns

TARGETS = ("extinction groups", "space groups")
_CLASS, _MEMBER = 9105, 9106  # slots of random numbers, see `counter`


@cache
def _members():
    """Space groups in the order of their extinction groups, and where those begin, (100,)."""
    label = group_of_space_group()[1:]
    counts = np.bincount(label, minlength=N_GROUPS + 1)[1:]
    return 1 + np.argsort(label, kind="stable"), offsets(counts)


def _member(group, number, seed):
    """A space group, drawn uniformly, of each of the extinction groups with index 0..98."""
    ordered, start = _members()
    u = counter.uniform(seed, torch.from_numpy(number), _MEMBER).double().numpy()[:, 0]
    return ordered[start[group] + (u * np.diff(start)[group]).astype(np.int64)]


class ReflectionStream(NumberedStream):
    """Endless batches of `reflection_patterns.patterns`, balanced over their targets.

    Parameters
    ----------
    batch : int
        Patterns a batch.
    target : str
        "extinction groups": uniform over the 99, then over the space groups of each, which is the
        label; "space groups": uniform over the 230.

    Raises
    ------
    XrdlibError
        If the batch is empty or the target unknown.

    Examples
    --------
    >>> x, label = ReflectionStream(Peaks(), seed=1, batch=4).batch(0)
    >>> tuple(x.shape), float(x.max())
    ((4, 4251), 1.0)
    """

    def __init__(
        self, peaks: Peaks, seed: int, batch: int, grid: Grid = GRID, target: str = TARGETS[0]
    ) -> None:
        if batch < 1 or target not in TARGETS:
            raise XrdlibError(
                f"A stream with batches of {batch} and the target {target!r} is impossible; give "
                "one pattern or more, and 'extinction groups' or 'space groups'."
            )
        super().__init__(batch)
        self.peaks, self.seed, self.grid, self.target = peaks, seed, grid, target
        groups = np.full(N_GROUPS, 1 / N_GROUPS)
        if target == "space groups":
            groups = np.diff(_members()[1]) / N_SPACE_GROUPS
        self.class_probabilities = groups

    @property
    def config(self) -> dict:
        """What decides the patterns, as JSON values."""
        return {
            "seed": self.seed,
            "batch": self.batch_size,
            "grid": list(astuple(self.grid)),
            "peaks": asdict(self.peaks),
            "target": self.target,
        }

    def space_groups(self, step: int) -> np.ndarray:
        """Space groups 1..230 of the patterns of one batch, (batch,) int64."""
        number, seed = self.numbers(step), self.seed
        u = counter.uniform(seed, torch.from_numpy(number), _CLASS).double().numpy()[:, 0]
        if self.target == "space groups":
            return 1 + (u * N_SPACE_GROUPS).astype(np.int64)
        return _member((u * N_GROUPS).astype(np.int64), number, seed)

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Network input (batch, grid.size) float32 and labels (batch,) int64 of the target."""
        chosen = self.space_groups(step)
        x = normalise(patterns(self.peaks, chosen, self.numbers(step), self.seed, self.grid))
        label = chosen if self.target == "space groups" else group_of_space_group()[chosen]
        return x, torch.from_numpy(label.astype(np.int64) - 1)


def balanced(
    peaks: Peaks, each: int, seed: int, grid: Grid = GRID
) -> tuple[torch.Tensor, np.ndarray]:
    """Network input (99 each, grid.size) float16, and classes 0 to 98 over and over."""
    number = np.arange(N_GROUPS * each, dtype=np.int64)
    label = number % N_GROUPS
    chosen = _member(label, number, seed)
    parts = [
        normalise(patterns(peaks, chosen[rows], number[rows], seed, grid)).half()
        for rows in np.array_split(number, each)
    ]
    return torch.cat(parts), label
