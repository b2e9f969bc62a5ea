"""The classical method: a whole-pattern fit in the true cell, scored for every group.

Measured patterns get the cell of a structure of their own group that resembles them; held-out
minerals that of the specimen. The fit's log-evidence is calibrated on other patterns and compared
with the cell's metric alone, networks and search-match on the same patterns.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numpy import ndarray
from scipy.special import log_softmax

from ..base import files, results
from ..base.patterns import GRID
from ..base.records import Reflections
from ..identification import searchmatch
from ..identification.extinction_scores import BIC, INTEGRATED, scores
from ..identification.whole_pattern import ERROR, fit
from ..learning import experiment, metrics, nulls, outcomes, synthesis
from ..learning.calibrate import Calibration
from ..learning.experiment import HELD_OUT, MEASURED
from ..learning.outcomes import RECOGNISED
from ..learning.synthesis import Cases
from ..prediction.evaluate import FUSED, NETWORK, log_probs
from ..prediction.evaluate import measured as measured_sets
from ..prediction.predictor import load_predictor
from ..symmetry import groups
from ..symmetry.cells import conventional, metric_system
from ..symmetry.groups import N_GROUPS
from .comparison import changes, corrected, direction, per_pattern
from .specimens import own_structure

SCORES = (INTEGRATED, BIC)
CELL = "cell alone"
WITH_PRIOR = "{}, minerals' prior"
WITH_CELL = "{}, cell known"
MAIN = WITH_PRIOR.format(INTEGRATED)
LIMITS = {MEASURED[0]: None, MEASURED[1]: None, HELD_OUT[0]: 100, HELD_OUT[1]: 120}

_KEEP = 10  # patterns between two savings
_LEAST_COUNT = 0.5  # structures added to each count of metric and system
_TEMPERATURES = tuple(np.geomspace(1, 100, 13).tolist())
_LAPSES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
_FEW = 6  # patterns of a set where there are few structures


def cases(
    config: SimpleNamespace, limits: dict | None = None
) -> tuple[dict[str, Cases], dict[str, dict]]:
    """Patterns with cells of every set at hand.

    `limits` are the most patterns of each set; by default `LIMITS`, or a few where the profile
    limits the number of structures.

    Also gives, of measured sets, how many patterns there are, "n", and how many of them, "with
    cell", a structure of their own group resembles.
    """
    if limits is None:
        whole = config.synthesis.amcsd_limit is None
        limits = LIMITS if whole else dict.fromkeys(LIMITS, _FEW)
    patterns, every, counts = measured_sets(), {}, {}
    structures = experiment.load_structures(config, "library") if patterns else None
    for name, own in patterns.items():
        row, nearest = own_structure(own.intensity, own.group, structures, least=RECOGNISED)
        counts[name] = {"n": len(own), "with cell": len(row)}
        most = len(row) if limits[name] is None else min(limits[name], len(row))
        some = np.linspace(0, len(row) - 1, most).astype(int)
        at, cells = own.take(row[some]), map(conventional, structures.lattice[nearest[some]])
        truth = at.group.astype(int) - 1, at.family, at.source, row[some]
        every[name] = Cases(at.intensity, list(cells), *truth)
    every |= {name: synthesis.held_out(config, name, limits[name]) for name in HELD_OUT}
    return {name: own for name, own in every.items() if len(own)}, counts


def fit_all(config: SimpleNamespace, every: dict[str, Cases]) -> dict[str, dict]:
    """`run` of each set, kept in the profile's predictions."""
    folder = experiment.folder(config, "predictions/classical")
    return {name: run(own, folder / f"{name}.npz") for name, own in every.items()}


def run(cases: Cases, path: Path | None = None, error: float = ERROR) -> dict[str, ndarray]:
    """Fit every pattern and score every group; a run that is interrupted goes on where it was.

    Scores so far are kept in `path`; a file of other patterns or settings is not used. For `error`
    see `whole_pattern.fit`.

    Gives `extinction_scores` by name, (n, 99), with "seconds" of one core, (n,).
    """
    identity = json.dumps([error, cases.name.tolist(), np.round(cases.cell, 5).tolist()])
    done = {}
    if path is not None and Path(path).exists():
        with np.load(path, allow_pickle=False) as file:
            kept = dict(file)
        done = kept if str(kept.pop("about")) == identity else {}
    for i in range(len(next(iter(done.values()), ())), len(cases)):
        row = _one(cases.intensity[i], cases.cell[i], error)
        done = {key: np.append(done[key], [row[key]], 0) if done else row[key][None] for key in row}
        if path is not None and (i % _KEEP == 0 or i == len(cases) - 1):
            with files.replacing(path) as file:
                np.savez(file, about=identity, **done)
    return done


def _one(intensity, cell, error):
    start = time.process_time()
    row = scores(fit(intensity, cell, error), cell)
    return row | {"seconds": np.float64(time.process_time() - start)}


def metric_given_system(structures: Reflections) -> dict[str, ndarray]:
    """How often crystals of each system have each metric, among structures of known groups.

    By metric (`cells.metric_system`): log P(metric | crystal system of each group), (99,). None of
    the structures belongs to a test pattern.
    """
    systems = np.array(groups.crystal_systems())
    metric = np.array([metric_system(conventional(lattice)) for lattice in structures.lattice])
    kinds = [system for system in groups.SYSTEMS if system != "trigonal"]
    own = systems[structures.group - 1]
    total = np.array([np.sum(own == s) for s in systems]) + _LEAST_COUNT * len(kinds)
    counts = {k: np.array([np.sum((metric == k) & (own == s)) for s in systems]) for k in kinds}
    return {kind: np.log(count + _LEAST_COUNT) - np.log(total) for kind, count in counts.items()}


def cell_evidence(cases: Cases, table: dict[str, ndarray]) -> ndarray:
    """log P(metric of each cell | group), (n, 99); `table` as from `metric_given_system`."""
    return np.array([table[metric_system(cell)] for cell in cases.cell])


@dataclass(frozen=True)
class Weighing:
    """How log-evidence becomes probability: its temperature, and how often it is no evidence."""

    temperature: float
    lapse: float

    def apply(self, score: ndarray, cell_score: ndarray, log_prior: ndarray) -> ndarray:
        """Log-probabilities, (n, 99).

        From the log-evidence of the fit (n, 99), -inf where the cell rules a group out, that of the
        cell's metric (n, 99), and the prior (99,).
        """
        alone = log_softmax(cell_score + log_prior, axis=1)
        fitted = log_softmax(score / self.temperature + cell_score + log_prior, axis=1)
        return np.logaddexp(np.log1p(-self.lapse) + fitted, np.log(self.lapse) + alone)


def weigh(score: ndarray, cell_score: ndarray, log_prior: ndarray, labels: ndarray) -> Weighing:
    """The temperature and the lapse of least NLL on calibration patterns; see `Weighing.apply`."""
    rows = np.arange(len(labels))
    choices = [Weighing(t, lapse) for t in _TEMPERATURES for lapse in _LAPSES]
    cost = [-w.apply(score, cell_score, log_prior)[rows, labels].mean() for w in choices]
    return choices[int(np.argmin(cost))]


def predictions(
    config: SimpleNamespace, every: dict[str, Cases], fitted: dict[str, dict]
) -> tuple[dict[str, dict[str, ndarray]], dict[str, dict[str, dict]]]:
    """Calibrated log-probabilities of every method on the test sets.

    Measured patterns are calibrated on measured ones of other families, held-out minerals on
    held-out ones; where a calibration set is missing, the set has no rows.

    By test set and method, (n, 99); and temperature and lapse by test set and score.
    """
    metric_given = metric_given_system(experiment.load_structures(config, "train"))
    predictor, logp, chosen = load_predictor(), {}, {}
    for own, test in (MEASURED, HELD_OUT):
        if own not in every or test not in every:
            continue
        metric = {name: cell_evidence(every[name], metric_given) for name in (own, test)}
        minerals = np.log(outcomes.priors_of(test, results.read(config, "prior"))[0])
        flat = np.full(N_GROUPS, -np.log(N_GROUPS))
        rows, chosen[test] = {CELL: log_softmax(metric[test] + minerals, axis=1)}, {}
        for score in SCORES:
            for title, prior in ((score, flat), (WITH_PRIOR.format(score), minerals)):
                weighing = weigh(fitted[own][score], metric[own], prior, every[own].label)
                chosen[test][title] = vars(weighing)
                rows[title] = weighing.apply(fitted[test][score], metric[test], prior)
        for name, p in _others(config, predictor, test, every[test]).items():
            rows[name] = p
            rows[WITH_CELL.format(name)] = log_softmax(p + metric[test], axis=1)
        logp[test] = rows
    return logp, chosen


def _others(config, predictor, test, own):
    """Predictors that know no cell; retrieval only on patterns not made from its structures."""
    released = log_probs(predictor, own.intensity)
    names = (FUSED, NETWORK) if test in MEASURED else (NETWORK,)
    structures = experiment.load_structures(config, "library" if test in MEASURED else "train")
    similarity = searchmatch.similarities(
        searchmatch.measured(own.intensity, GRID), searchmatch.library(structures)
    )
    matched = searchmatch.log_probs(searchmatch.class_scores(similarity, structures.group))
    chosen = results.read(config, "baselines")["models"][outcomes.SEARCH]
    ratio = outcomes.prior_ratio(results.read(config, "prior")["minerals"])
    search = Calibration(**chosen).apply(None, matched, ratio)
    return {name: released[name] for name in names} | {outcomes.SEARCH: search}


def rows(
    config: SimpleNamespace, every: dict[str, Cases], logp: dict[str, dict[str, ndarray]]
) -> list[dict]:
    """Table rows (`metrics.evaluate`) of every method and null on every test set."""
    table = []
    options = {"n_boot": config.evaluate.bootstrap, "seed": config.seed}
    for test, methods in logp.items():
        null = outcomes.priors_of(test, results.read(config, "prior"))[1]
        truth, subset = (every[test].label, every[test].family, np.log(null)), _subset(test)
        shuffles = config.evaluate.shuffles
        table.append(nulls.prior_only(subset, null, *truth, **options))
        table.append(nulls.shuffled(subset, methods[MAIN], *truth, n_shuffles=shuffles, **options))
        table += [metrics.evaluate(k, subset, p, *truth, **options) for k, p in methods.items()]
    return table


def differences(
    config: SimpleNamespace, every: dict[str, Cases], logp: dict[str, dict[str, ndarray]]
) -> list[dict]:
    """Main score less other methods on the same patterns, with intervals over families.

    Rows have "subset", "model", "other" and `comparison.changes`, top-1 corrected for the number
    of rows.
    """
    table, flat = [], np.full(N_GROUPS, 1 / N_GROUPS)
    for test, methods in logp.items():
        own = every[test]
        values = {name: per_pattern(p, own.label, flat) for name, p in methods.items()}
        main = values.pop(MAIN)
        for other, theirs in values.items():
            row = {"subset": _subset(test), "model": MAIN, "other": other}
            row |= changes(main, theirs, own.family, config.evaluate.bootstrap, config.seed)
            table.append(row)
    corrected(table, "top1")
    return table


def claims(differences: list[dict]) -> list[dict]:
    """What may be claimed of the main score on each set, from paired `differences` of top-1.

    Rows have "subset", "claim" and "verdict": holds or does not hold where the interval leaves out
    zero and p after Holm's correction is below 0.05, else not decided.
    """
    network, search = map(WITH_CELL.format, (NETWORK, outcomes.SEARCH))
    asked = {
        CELL: "a fit of the pattern adds to what the cell's metric says",
        network: "a fit in the cell beats the network that knows the cell's metric",
        search: "a fit in the cell beats search-match that knows the metric",
    }
    table = []
    for row in differences:
        if row["other"] in asked:
            row_of_claim = {"subset": row["subset"], "claim": asked[row["other"]]}
            side = direction(row, "top1")
            verdict = {1: "holds", -1: "does not hold"}.get(side, "not decided")
            table.append(row_of_claim | {"verdict": verdict})
    return table


def _subset(test):
    return f"{test}, cell given"
