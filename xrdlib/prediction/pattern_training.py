"""The weights of fitted lattices, learned on simulated patterns."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..base.patterns import GRID
from ..identification.index_cells import index
from ..identification.lattice_evidence import LatticeEvidence
from ..identification.pattern_evidence import Scored, score
from ..identification.pattern_weights import PatternWeights, gather
from ..identification.peak_finder import find_peaks
from ..simulation.diffraction import reflections
from ..simulation.realism import Realism, measured_like
from ..structures import materials_project
from ..symmetry import groups

_RATE, _DECAY = 1e-2, 0.05

_LEAST_COUNT = 0.3  # patterns added to each group's count

_SITES = 30  # of a structure that is simulated, at most

_BALANCE = 0.6  # groups are drawn with this power of their rarity

_SLICE = 50  # patterns simulated at a time; every third lot is of good quality

GOOD = Realism.mild(strain=(0.0005, 0.002))


def learn(
    evidence: LatticeEvidence,
    intensity: np.ndarray,
    label: np.ndarray,
    workers: int = 1,
    seed: int = 0,
) -> PatternWeights:
    """Learn how far fits of whole patterns can be trusted.

    Parameters
    ----------
    evidence : lattice_evidence.LatticeEvidence
        To index with.
    intensity : ndarray, (n, GRID.size)
        Simulated patterns.
    label : ndarray, (n,) int
        Their classes 0..98.
    workers : int
        Processes.

    Returns
    -------
    pattern_weights.PatternWeights
    """
    task = partial(_fitted, sets=evidence.sets)
    if workers == 1:
        found = [*map(task, intensity)]
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            found = list(pool.map(task, intensity, chunksize=20))
    indexed, fitted = zip(*found, strict=True)
    return train(fitted, evidence.weigh(indexed), label, seed=seed)


def train(
    fitted: Sequence[list[Scored]],
    lines: np.ndarray,
    labels: np.ndarray,
    epochs: int = 150,
    seed: int = 0,
) -> PatternWeights:
    """Learn from fits that were done.

    Parameters
    ----------
    fitted : list of list of pattern_evidence.Scored
        Of n simulated patterns.
    lines : ndarray, (n, 99)
        What the places of their lines say, see `lattice_evidence.LatticeEvidence.weigh`: the loss
        knows it, so that only what fits add to it is learned.
    labels : ndarray, (n,) int
        Classes 0..98. What is frequent among them is known to the loss, not to the weights.
    epochs : int
        Steps on all patterns.

    Returns
    -------
    pattern_weights.PatternWeights
    """
    told, lines = gather(fitted), torch.from_numpy(np.asarray(lines)).float()
    counts = np.bincount(labels, minlength=groups.N_GROUPS) + _LEAST_COUNT
    known = lines + torch.from_numpy(np.log(counts / counts.sum())).float()
    labels = torch.from_numpy(np.asarray(labels)).long()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weights = PatternWeights()
        optimiser = torch.optim.AdamW(weights.parameters(), lr=_RATE, weight_decay=_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=epochs)
        for _ in range(epochs):
            optimiser.zero_grad()
            nn.functional.cross_entropy(weights(*told) + known, labels).backward()
            optimiser.step()
            schedule.step()
    return weights.eval()


def compounds(path: str | Path, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Simulated patterns of compounds of the Materials Project, of good and of usual quality.

    Rare groups are drawn more often than they occur; types of structures that are held out
    (`structures.materials_project.table`) are not.

    Parameters
    ----------
    n : int
        Patterns, each of another structure.

    Returns
    -------
    intensity : ndarray, (n, GRID.size) float32
    label : ndarray, (n,) int
        Classes 0..98.

    Raises
    ------
    XrdlibError
        If the file holds no such table.
    """
    rows = materials_project.table(path)
    rows = rows[~rows["holdout"] & (rows["element"].map(len) <= _SITES)]
    chance = rows.groupby("group")["id"].transform("count").to_numpy() ** -_BALANCE
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(rows), n, replace=False, p=chance / chance.sum())
    bank = reflections(materials_project.crystals(rows.iloc[chosen]))
    parts = []
    for lot, first in enumerate(range(0, n, _SLICE)):
        number = torch.arange(first, min(first + _SLICE, n))
        ranges = Realism.measured() if lot % 3 else GOOD
        second = bank.take(rng.integers(0, n, len(number)))
        parts.append(measured_like(bank.take(number.numpy()), ranges, seed, number, GRID, second))
    return torch.cat(parts).numpy(), bank.group.astype(int) - 1


def _fitted(intensity, sets):
    lines = find_peaks(intensity)
    indexed = index(lines, sets)
    return indexed, score(intensity, lines, indexed.lattices)
