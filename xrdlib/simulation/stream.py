"""Endless, seeded batches of simulated patterns, from structure libraries and random crystals.

A pattern depends on the seed and its global number alone, so a batch is a pure function of the
step: a resumed run, another batch size or another number of processes see the same sequence.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple

import numpy as np
import torch
from numpy.typing import ArrayLike

from ..base import counter
from ..base.errors import XrdlibError
from ..base.patterns import GRID, Grid, normalise
from ..base.records import Reflections, concatenate
from ..structures.crystals import generate_balanced
from ..symmetry.groups import N_GROUPS
from .batches import NumberedStream
from .diffraction import reflections
from .realism import Realism, measured_like

# Slots of the counter-based generator used here; realism draws from its own range.
_SOURCE, _ITEM, _IMPURITY = 9001, 9002, 9003


class StructureSource:
    """A fixed structure library of known extinction groups, drawn by weight, (n,), or equally.

    Raises
    ------
    XrdlibError
        If the library is empty, a group is unknown, or the weights do not fit or are negative.
    """

    def __init__(self, structures: Reflections, weights: ArrayLike | None = None) -> None:
        weights = np.ones(len(structures)) if weights is None else np.asarray(weights, float)
        if len(structures) == 0 or weights.shape != (len(structures),) or not _are_weights(weights):
            raise XrdlibError("A structure source needs crystals and one weight for each of them.")
        if structures.group.min() < 1:
            raise XrdlibError("A structure source needs the extinction group of every crystal.")
        self.structures = structures
        weights = weights / weights.sum()
        self.cumulative = np.cumsum(weights)
        self.config = {
            "crystals": len(structures),
            "lines": len(structures.hkl),
            "f2": float(structures.f2.sum()),
        }
        self.class_probabilities = np.bincount(structures.group - 1, weights, minlength=N_GROUPS)

    def draw(self, uniform: np.ndarray, number: np.ndarray) -> Reflections:
        """Reflections for uniform numbers in [0, 1); the patterns' numbers play no part."""
        item = np.searchsorted(self.cumulative, uniform, side="right")
        return self.structures.take(np.minimum(item, len(self.structures) - 1))


class RandomCrystalSource:
    """Random crystals, uniform over the 99 groups, made afresh as the stream goes on.

    Parameters
    ----------
    chunk : int
        Crystals in memory at a time.
    reuse : int
        Patterns drawn from the stream before the next chunk is made, as a multiple of `chunk`.
        Each use of a crystal has its own strain, texture, widths and noise.
    """

    def __init__(
        self, recipes: Sequence, seed: int, chunk: int = 1980, reuse: int = 4, device: str = "cpu"
    ) -> None:
        self.recipes, self.seed, self.chunk = recipes, seed, chunk
        self.span = chunk * reuse
        self.device = device
        self.class_probabilities = np.full(N_GROUPS, 1 / N_GROUPS)
        self.config = {"recipes": len(recipes), "seed": seed, "chunk": chunk, "reuse": reuse}
        self._number, self._source = None, None

    def draw(self, uniform: np.ndarray, number: np.ndarray) -> Reflections:
        """Reflections for uniform numbers in [0, 1) at the stream's pattern numbers."""
        return drawn(number // self.span, lambda k: self._source_of(int(k)), uniform, number)

    def _source_of(self, chunk):
        if chunk != self._number:
            self._number, self._source = chunk, self._made(chunk)
        return self._source

    def _made(self, chunk):
        first = chunk * self.chunk
        crystals = generate_balanced(self.recipes, self.chunk, self.seed, self.device, first)
        made = reflections(crystals, device=self.device)
        # Uniform over groups whatever the number of crystals that came out for each.
        return StructureSource(
            made, 1 / np.bincount(made.group, minlength=N_GROUPS + 1)[made.group]
        )


class PatternStream(NumberedStream):
    """Batches of measured-looking patterns and their class indices.

    Parameters
    ----------
    sources : list of (source, share)
        Shares are normalised.
    batch : int
        Patterns a batch.
    impurities : Reflections, optional
        Structure library from which a second phase is drawn.

    Raises
    ------
    XrdlibError
        If there is no source, the shares are no weights, or the batch is empty.
    """

    def __init__(
        self,
        sources: Sequence[tuple],
        realism: Realism,
        seed: int,
        batch: int,
        impurities: Reflections | None = None,
        device: str = "cpu",
        grid: Grid = GRID,
    ) -> None:
        share = np.array([s for _, s in sources], float)
        if not _are_weights(share) or batch < 1:
            raise XrdlibError(
                "A stream needs one or more sources, whose shares are not negative and not all "
                "zero, and a batch of at least one."
            )
        super().__init__(batch)
        self.sources = [source for source, _ in sources]
        self.share = share / share.sum()
        self.realism, self.seed = realism, seed
        self.impurities, self.device, self.grid = impurities, device, grid

    @property
    def config(self) -> dict:
        """What decides the patterns, as JSON values."""
        return {
            "seed": self.seed,
            "batch": self.batch_size,
            "grid": list(astuple(self.grid)),
            "realism": asdict(self.realism),
            "share": self.share.tolist(),
            "sources": [source.config for source in self.sources],
            "impurities": len(self.impurities or ()),
        }

    @property
    def class_probabilities(self) -> np.ndarray:
        """Training prior: (99,) probability of each class in the stream."""
        return sum(w * s.class_probabilities for s, w in zip(self.sources, self.share, strict=True))

    def crystals(self, number: np.ndarray) -> Reflections:
        """Reflections behind the patterns with these global numbers, in order."""
        index = torch.from_numpy(number)
        u = counter.uniform(self.seed, index, _SOURCE).numpy()[:, 0]
        item = counter.uniform(self.seed, index, _ITEM).double().numpy()[:, 0]
        which = np.searchsorted(np.cumsum(self.share)[:-1], u, side="right")
        return drawn(which, self.sources.__getitem__, item, number)

    def raw(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Intensities on the grid before normalisation, and class indices, of one batch."""
        number, impurity = self.numbers(step), None
        main, index = self.crystals(number), torch.from_numpy(number)
        if self.impurities is not None:
            u = counter.uniform(self.seed, index, _IMPURITY).numpy()[:, 0]
            rows = np.minimum((u * len(self.impurities)).astype(int), len(self.impurities) - 1)
            impurity = self.impurities.take(rows)
        settings = self.realism, self.seed, index.to(self.device), self.grid
        pattern = measured_like(main, *settings, impurity)
        return pattern, torch.from_numpy(main.group.astype(np.int64) - 1).to(self.device)

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Network input (batch, grid.size) float32 and class indices (batch,) int64."""
        pattern, label = self.raw(step)
        return normalise(pattern), label


def _are_weights(values):
    return len(values) > 0 and (values >= 0).all() and 0 < values.sum() < np.inf


def drawn(
    which: np.ndarray, source: Callable, uniform: np.ndarray, number: np.ndarray
) -> Reflections:
    """Reflections of patterns `number` (n,) in order, each from the source of its `which`."""
    rows = [np.flatnonzero(which == k) for k in np.unique(which)]
    parts = [source(which[own[0]]).draw(uniform[own], number[own]) for own in rows]
    return (
        parts[0] if len(parts) == 1 else concatenate(parts).take(np.argsort(np.concatenate(rows)))
    )


def mineral_weights(group: ArrayLike, mineral: ArrayLike, temper: float = 0.5) -> np.ndarray:
    """Weights (n,) of sum one that give each mineral one vote and temper class frequencies.

    Parameters
    ----------
    group, mineral : array_like, (n,)
        Extinction group of each structure and name of its mineral.
    temper : float
        Class frequency is raised to this power: 1 keeps it, 0 makes the classes uniform.
    """
    group = np.asarray(group)
    _, inverse, count = np.unique(np.asarray(mineral), return_inverse=True, return_counts=True)
    vote = 1 / count[inverse]
    frequency = np.bincount(group, vote, minlength=N_GROUPS + 1)
    weight = vote * frequency[group] ** (temper - 1)
    return weight / weight.sum()
