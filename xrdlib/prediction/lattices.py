"""The indexing of a profile: basis reflections, a network that weighs lattices, and how they do."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from types import SimpleNamespace

import gemmi
import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1, GRID
from ..base.records import Reflections
from ..identification import basis_reflections, lattice_evidence
from ..identification.cell_evidence import cell_reflections
from ..identification.index_cells import Indexed, index
from ..identification.lattice_evidence import LatticeEvidence, Scores, features, make_network
from ..identification.peak_finder import PeakList, find_peaks
from ..learning import metrics, nulls, synthesis
from ..learning.experiment import folder, load_structures, realism, seed
from ..learning.synthesis import Cases
from ..simulation.realism import measured_like
from ..simulation.stream import mineral_weights
from ..symmetry import groups
from ..symmetry.cells import cell_of_parameters
from . import pattern_training

_BATCH, _RATE, _DECAY = 128, 4e-3, 1e-3

_LEAST_COUNT = 0.3  # patterns added to each group's count


@dataclass
class Learned:
    """Network, and mean NLL in nats over the training and the held-out patterns, epoch by epoch."""

    network: nn.Module
    train: list
    held_out: list


def train(
    scores: Scores,
    labels: np.ndarray,
    held_out: Scores,
    held_out_labels: np.ndarray,
    epochs: int = 30,
    seed: int = 0,
) -> Learned:
    """Learn how far scores can be trusted.

    Parameters
    ----------
    labels, held_out_labels : ndarray, (n,) int
        Classes 0..98. What is frequent in each set is known to the loss, not to the network.
    epochs : int
        All are done: nothing is chosen by the held-out patterns.

    Returns
    -------
    Learned

    Raises
    ------
    XrdlibError
        If there are fewer patterns than a batch holds.
    """
    if len(labels) < _BATCH:
        raise XrdlibError(f"{len(labels)} patterns are too few to learn from; give {_BATCH}.")
    x, y, prior = _tensors(scores, labels)
    other = _tensors(held_out, held_out_labels)
    learned = Learned(None, [], [])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make_network()
        steps = epochs * (len(y) // _BATCH)
        optimiser = torch.optim.AdamW(network.parameters(), weight_decay=_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
        for _ in range(epochs):
            network.train()
            for rows in torch.randperm(len(y))[: len(y) // _BATCH * _BATCH].split(_BATCH):
                optimiser.zero_grad()
                _loss(network, x[rows], y[rows], prior).backward()
                optimiser.step()
                schedule.step()
            network.eval()
            with torch.no_grad():
                learned.train.append(float(_loss(network, x, y, prior)))
                learned.held_out.append(float(_loss(network, *other)))
    learned.network = network
    return learned


def _tensors(scores, labels):
    counts = np.bincount(labels, minlength=groups.N_GROUPS) + _LEAST_COUNT
    prior = torch.from_numpy(np.log(counts / counts.sum()).astype(np.float32))
    return torch.from_numpy(features(scores)), torch.from_numpy(np.asarray(labels)), prior


def _loss(network, x, y, prior):
    return nn.functional.cross_entropy(network(x) + prior, y)


LATTICES_FOLDER, LATTICES_FILE = "indexing", "lattices.safetensors"

_LIBRARIES = ("train", "compounds")  # of which indices are learned

_SLICE = 200  # patterns simulated at a time

_MOVED, _LOST, _STRANGE = 0.02, 0.1, 0.3  # degrees; shares of the peaks: upper limits

_LENGTH, _ANGLE = 0.01, 1.0  # relative; degrees: two reduced cells within these are one


def build(config: SimpleNamespace) -> tuple[LatticeEvidence, Learned]:
    """Learn basis reflections and how far lattices can be trusted; write both to the runs.

    Parameters
    ----------
    config : SimpleNamespace
        Its section `indexing` says how many simulated patterns of training minerals there are, and
        how many of them are fitted.

    Returns
    -------
    evidence : lattice_evidence.LatticeEvidence
    learned : Learned
    """
    names = [name for name in _LIBRARIES if getattr(config.synthesis, name, True)]
    libraries = [load_structures(config, name) for name in names]
    sets = basis_reflections.learn(libraries)
    intensity, label = simulate(config, libraries[0], config.indexing.patterns)
    cases = synthesis.held_out(config, "amcsd-calibration", config.indexing.held_out)
    rough = np.random.default_rng(seed(config, "lattices"))
    scores, other = (
        lattice_evidence.gather(index_all(x, sets, config.threads, seeds))
        for x, seeds in (
            (intensity, rough.integers(1 << 31, size=len(intensity)).tolist()),
            (cases.intensity, None),
        )
    )
    learned = train(scores, label, other, cases.label, seed=config.seed)
    evidence = lattice_evidence.LatticeEvidence(sets, learned.network)
    few = slice(config.indexing.fits)
    evidence.patterns = pattern_training.learn(
        evidence, intensity[few], label[few], config.threads, config.seed
    )
    about = {"patterns": len(label), "sets": {name: len(rows) for name, rows in sets.items()}}
    lattice_evidence.save(folder(config, LATTICES_FOLDER) / LATTICES_FILE, evidence, about)
    return evidence, learned


def simulate(
    config: SimpleNamespace, structures: Reflections, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Patterns of n structures drawn from a structure library, as a laboratory would measure them.

    Returns
    -------
    intensity : ndarray, (n, GRID.size) float32
    label : ndarray, (n,) int
        Class 0..98.
    """
    rng = np.random.default_rng(seed(config, "lattices"))
    rows = rng.choice(len(structures), n, p=mineral_weights(structures.group, structures.name))
    parts = []
    for first in range(0, n, _SLICE):
        number = torch.arange(first, min(first + _SLICE, n))
        drawn = realism(config), seed(config, "lattices"), number
        parts.append(measured_like(structures.take(rows[number]), *drawn, GRID).numpy())
    return np.concatenate(parts), structures.group[rows].astype(int) - 1


def index_all(
    intensities: np.ndarray,
    sets: dict[str, np.ndarray],
    workers: int = 1,
    seeds: Sequence[int] | None = None,
) -> list[Indexed]:
    """`index_cells.Indexed` of each pattern (n, GRID.size), shared among processes.

    Parameters
    ----------
    intensities : ndarray, (n, GRID.size)
    sets : dict of str to ndarray
        As from `basis_reflections.learn`.
    workers : int
        Processes.
    seeds : list of int, optional
        One a pattern: its peaks are made `rougher` with it.
    """
    task = partial(_one, sets=sets)
    seeds = [None] * len(intensities) if seeds is None else seeds
    if workers == 1:
        return [*map(task, intensities, seeds)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(task, intensities, seeds, chunksize=20))


def _one(intensity, seed, sets):
    peaks = find_peaks(intensity)
    return index(peaks if seed is None else rougher(peaks, np.random.default_rng(seed)), sets)


def rougher(peaks: PeakList, rng: np.random.Generator) -> PeakList:
    """Peaks of a simulated pattern with what simulation lacks.

    Peaks of measured patterns (those of rruff-calibration that are indexed rightly) lie half again
    as far from where their lattice has them, and twice as many belong to no lattice. What is
    learned from simulated peaks as they are trusts lattices too much.

    Returns
    -------
    peak_finder.PeakList
        Moved at random, some lost, and weak strange ones among them; how much of each is drawn
        anew for each pattern.
    """
    two_theta, height = peaks
    if not len(two_theta):
        return peaks
    two_theta = two_theta + rng.uniform(0, _MOVED) * rng.normal(size=len(two_theta))
    kept = (rng.random(len(two_theta)) >= rng.uniform(0, _LOST)) | (height == 1)
    two_theta, height = two_theta[kept], height[kept]
    number = rng.poisson(rng.uniform(0, _STRANGE) * len(two_theta))
    strange = rng.uniform(two_theta[0], two_theta[-1], number)
    weak = np.minimum(rng.choice(height, number), rng.uniform(0, 1, number) * np.median(height))
    two_theta, height = np.concatenate([two_theta, strange]), np.concatenate([height, weak])
    order = np.argsort(two_theta, kind="stable")
    return PeakList(two_theta[order], height[order])


def table(
    evidence: LatticeEvidence,
    cases: Cases,
    null: ArrayLike,
    subset: str,
    n_boot: int = 1000,
    seed: int = 0,
) -> list[dict]:
    """How often lattices of minerals are found, and how well weighed lattices predict groups.

    Parameters
    ----------
    cases : synthesis.Cases
        Patterns with their cells.
    null : array_like, (99,)
        The prior, which predictions are joined with and bits are counted over.
    subset : str
        What the patterns are.
    n_boot, seed
        As for `metrics.evaluate`.

    Returns
    -------
    list of dict
        Rows of `metrics.evaluate`, all patterns first, then each crystal system, with "lines"
        (median of the patterns), "system_found" and "cell_found" (percent: the best-scored lattice
        is of the system, and it is the specimen's own); last the prior alone and shuffled
        predictions on all patterns.
    """
    indexed = evidence.index(cases.intensity)
    logp = evidence.weigh(indexed) + np.log(null)
    logp -= metrics.logsumexp(logp)[:, None]
    systems = np.array(groups.crystal_systems())[cases.label]
    best = [_best(x) for x in indexed]
    counted = {
        "system_found": np.array([system for system, _ in best]) == _metric(systems),
        "cell_found": np.array(
            [cell is not None and same_lattice(cell, true)
             for (_, cell), true in zip(best, cases.cell, strict=True)]
        ),
    }  # fmt: skip
    peaks = np.array([x.n for x in indexed])
    options = {"n_boot": n_boot, "seed": seed}
    rows = []
    for name in ("all", *groups.SYSTEMS):
        mask = (systems == name) | (name == "all")
        if not mask.any():
            continue
        truth = cases.label[mask], cases.family[mask], np.log(null)
        row = metrics.evaluate("indexing alone", subset, logp[mask], *truth, **options)
        shares = {key: 100 * float(values[mask].mean()) for key, values in counted.items()}
        rows.append({**row, "system": name, "lines": float(np.median(peaks[mask])), **shares})
    truth = cases.label, cases.family, np.log(null)
    for row in (
        nulls.prior_only(subset, null, *truth, **options),
        nulls.shuffled(subset, logp, *truth, **options),
    ):
        rows.append({**row, "system": "all", "lines": rows[0]["lines"]})
    return rows


def example(
    evidence: LatticeEvidence, cases: Cases, wanted: str = "orthorhombic", least: int = 15
) -> dict | None:
    """The first pattern of a crystal system whose lattice is found, to be drawn.

    Returns
    -------
    dict or None
        "name", "cell", "two_theta" and "intensity" (up to the last peak used, 1 for the
        highest), "found" and "lattice" (degrees: peaks, and reflections of a primitive cell).
    """
    systems = np.array(groups.crystal_systems())[cases.label]
    for i in np.flatnonzero(systems == wanted):
        peaks = find_peaks(cases.intensity[i])
        indexed = index(peaks, evidence.sets)
        cell = _best(indexed)[1]
        if indexed.looked_at < least or not same_lattice(cell, cases.cell[i]):
            continue
        two_theta = peaks.two_theta[: indexed.looked_at]
        shown = (GRID.two_theta > two_theta[0] - 3) & (GRID.two_theta < two_theta[-1] + 1)
        intensity = cases.intensity[i][shown] / cases.intensity[i][shown].max()
        edges = GRID.two_theta[shown][[0, -1]]
        return {
            "name": str(cases.name[i]),
            "cell": list(cell),
            "two_theta": GRID.two_theta[shown].round(2).tolist(),
            "intensity": intensity.astype(float).round(4).tolist(),
            "found": two_theta.round(3).tolist(),
            "lattice": cell_reflections(cell, CU_KA1, *edges)[2].round(3).tolist(),
        }
    return None


def same_lattice(
    cell: Sequence[float],
    other: Sequence[float],
    lengths: float = _LENGTH,
    angles: float = _ANGLE,
) -> bool:
    """Whether two cells are, reduced, the same within 1 % and 1 degree, or what is given."""
    a, b = (np.array(_reduced(x)) for x in (cell, other))
    near = np.abs(a[:3] / b[:3] - 1).max() < lengths
    return bool(near and np.abs(a[3:] - b[3:]).max() < angles)


def _reduced(cell):
    vector = gemmi.GruberVector(gemmi.UnitCell(*cell), "P")
    vector.niggli_reduce()
    return vector.cell_parameters()


def _best(indexed):
    """Crystal system of the metric and cell of the lattice with the best score."""
    if not indexed.lattices:
        return "none", None
    best = max(indexed.lattices, key=lambda lattice: lattice.score)
    return best.system, cell_of_parameters(*best[:2])


def _metric(system):
    return np.where(np.asarray(system) == "trigonal", "hexagonal", system)
