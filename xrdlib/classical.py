"""The classical baseline on patterns whose cell is given: fits, scores and their calibration."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from . import atomic, experiment, groups, searchmatch
from .cell_metric import conventional, metric_system
from .draws import draw
from .extinction_scores import scores
from .lines import strained_metric
from .metrics import logsumexp
from .outcomes import RECOGNISED
from .patterns import GRID
from .realism import measured_like
from .whole_pattern import ERROR, fit

ABOUT = ("seconds", "lines", "residual", "overlap")
_KEEP = 10  # patterns between two savings
_LEAST_COUNT = 0.5  # structures added to each count of metric and system
_TEMPERATURES = tuple(np.geomspace(1, 100, 13).tolist())
_LAPSES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)


@dataclass
class Cases:
    """n patterns with their cells.

    Attributes
    ----------
    intensity : ndarray, (n, GRID.size)
    cell : list of tuple of 6 floats
        Conventional cells, angstrom and degrees.
    label : ndarray, (n,) int
        Class 0..98.
    family, name : ndarray, (n,) str
    row : ndarray, (n,) int
        Of the set that the patterns come from.
    """

    intensity: np.ndarray
    cell: list
    label: np.ndarray
    family: np.ndarray
    name: np.ndarray
    row: np.ndarray

    def __len__(self):
        return len(self.label)


def held_out(config, name, limit):
    """Simulated patterns of held-out minerals with the cell that each specimen was given.

    The draws are those of the profile's set, on the finer `patterns.GRID`. Every structure is taken
    once, spread evenly if there are more than the limit.

    Parameters
    ----------
    config : namespace
    name : str
        One of `experiment.HELD_OUT`.
    limit : int

    Returns
    -------
    Cases
    """
    patterns = experiment.load_set(config, name)
    number = np.array([int(label.rsplit(" ", 1)[1]) for label in patterns.name])
    _, once = np.unique(number // config.synthesis.holdout_patterns, return_index=True)
    row = once[np.unique(np.linspace(0, len(once) - 1, min(limit, len(once))).astype(int))]
    index = torch.from_numpy(number[row])
    bank = experiment.load_bank(config, "holdout")
    bank = bank.take(number[row] // config.synthesis.holdout_patterns)
    about = experiment.realism(config), experiment.seed(config, "holdout"), index
    counts = measured_like(bank, *about, GRID).numpy()
    return Cases(
        counts,
        specimen_cells(bank, *about),
        patterns.label[row],
        patterns.family[row],
        patterns.name[row],
        row,
    )


def specimen_cells(reflections, realism, seed, index):
    """Cells of the specimens that `realism.measured_like` strains for these patterns.

    Parameters
    ----------
    reflections : records.Reflections
    realism, seed, index
        As for `realism.measured_like`.

    Returns
    -------
    list of tuple of 6 floats
    """
    drawn = draw(realism, seed, index)
    lattice, rotations = (
        torch.from_numpy(x).double() for x in (reflections.lattice, reflections.rotations)
    )
    star = strained_metric(lattice, rotations, drawn["strains"].double(), drawn["strain"].double())
    # Any triangular factor of the metric is a lattice with it.
    return [conventional(np.linalg.cholesky(np.linalg.inv(metric))) for metric in star.numpy()]


def measured(patterns, bank, library, limit=None):
    """Measured patterns that a structure of their own group resembles, with that structure's cell.

    Parameters
    ----------
    patterns : rruff.Measured
    bank : records.Reflections
        Mineral structures.
    library : ndarray, (m, ...)
        Their patterns, `searchmatch.library`.
    limit : int, optional
        At most so many, spread evenly.

    Returns
    -------
    Cases
    """
    similarity = searchmatch.similarities(searchmatch.measured(patterns.intensity), library)
    own = np.where(bank.group == patterns.group[:, None], similarity, -1.0)
    row = np.flatnonzero(own.max(1) >= RECOGNISED)
    if limit is not None and len(row) > limit:
        row = row[np.linspace(0, len(row) - 1, limit).astype(int)]
    return Cases(
        patterns.intensity[row],
        [conventional(bank.lattice[k]) for k in own[row].argmax(1)],
        patterns.group[row].astype(int) - 1,
        patterns.family[row],
        patterns.source[row],
        row,
    )


def run(cases, path=None, error=ERROR):
    """Fit every pattern and score every group; a run that is interrupted goes on where it was.

    Parameters
    ----------
    cases : Cases
    path : path-like, optional
        File that keeps what is done; one of other patterns or settings is not taken up.
    error : float
        See `whole_pattern.fit`.

    Returns
    -------
    dict of ndarray
        `extinction_scores` by name, (n, 99), with "seconds" (of one core), "lines", "residual" and
        "overlap" (share of lines closer than a width to another one), (n,).
    """
    about = json.dumps([error, cases.name.tolist(), np.round(cases.cell, 5).tolist()])
    done = _taken_up(path, about)
    for i in range(len(next(iter(done.values()), ())), len(cases)):
        row = _one(cases.intensity[i], cases.cell[i], error)
        done = {key: np.append(done[key], [row[key]], 0) if done else row[key][None] for key in row}
        if path is not None and (i % _KEEP == 0 or i == len(cases) - 1):
            with atomic.replacing(path) as file:
                np.savez(file, about=about, **done)
    return done


def _one(intensity, cell, error):
    start = time.process_time()
    found = fit(intensity, cell, error)
    row = scores(found, cell)
    close = np.diff(found.two_theta) < found.width[1:]
    touching = np.append(close, False) | np.append(False, close)
    about = (time.process_time() - start, len(found.two_theta), found.residual, touching.mean())
    return row | dict(zip(ABOUT, map(np.float64, about), strict=True))


def _taken_up(path, about):
    """What an earlier run of the same patterns and settings left, or nothing."""
    if path is None or not Path(path).exists():
        return {}
    with np.load(path, allow_pickle=False) as file:
        found = dict(file)
    return found if str(found.pop("about")) == about else {}


def metric_given_system(bank):
    """How often crystals of each system have each metric, among structures.

    Parameters
    ----------
    bank : records.Reflections
        Structures with known groups, none of them of a test pattern.

    Returns
    -------
    dict of str to ndarray, (99,)
        By metric (`whole_pattern.metric_system`): log P(metric | crystal system of each group).
    """
    systems = np.array(groups.crystal_systems())
    metric = np.array([metric_system(conventional(lattice)) for lattice in bank.lattice])
    kinds = [system for system in groups.SYSTEMS if system != "trigonal"]
    own = systems[bank.group - 1]
    table = {}
    for kind in kinds:
        counts = [np.sum((metric == kind) & (own == s)) + _LEAST_COUNT for s in groups.SYSTEMS]
        totals = [np.sum(own == s) + _LEAST_COUNT * len(kinds) for s in groups.SYSTEMS]
        share = dict(zip(groups.SYSTEMS, np.log(counts) - np.log(totals), strict=True))
        table[kind] = np.array([share[s] for s in systems])
    return table


def cell_evidence(cases, table):
    """log P(metric of each cell | group), (n, 99); `table` as from `metric_given_system`."""
    return np.array([table[metric_system(cell)] for cell in cases.cell])


@dataclass(frozen=True)
class Weighing:
    """How log-evidence becomes probability: its temperature, and how often it is no evidence."""

    temperature: float
    lapse: float

    def apply(self, score, about_cell, log_prior):
        """Log-probabilities, (n, 99).

        Parameters
        ----------
        score : ndarray, (n, 99)
            Log-evidence of the fit; -inf where the cell rules a group out.
        about_cell : ndarray, (n, 99)
            Log-evidence of the cell's metric.
        log_prior : ndarray, (99,)
        """
        alone = normalised(about_cell + log_prior)
        told = normalised(score / self.temperature + about_cell + log_prior)
        return np.logaddexp(np.log1p(-self.lapse) + told, np.log(self.lapse) + alone)


def weigh(score, about_cell, log_prior, labels):
    """The temperature and the lapse of least NLL on calibration patterns.

    Parameters
    ----------
    score, about_cell, log_prior
        As for `Weighing.apply`.
    labels : ndarray, (n,) int

    Returns
    -------
    Weighing
    """
    rows = np.arange(len(labels))
    choices = [Weighing(t, lapse) for t in _TEMPERATURES for lapse in _LAPSES]
    cost = [-w.apply(score, about_cell, log_prior)[rows, labels].mean() for w in choices]
    return choices[int(np.argmin(cost))]


def normalised(logp):
    """Rows of log-weights as log-probabilities."""
    return logp - logsumexp(logp)[:, None]
