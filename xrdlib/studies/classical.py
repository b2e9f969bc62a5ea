"""The classical way: a whole-pattern fit in the true cell, scored for every group.

Measured patterns get the cell of a structure of their own group that resembles them; held-out
minerals that of the specimen. The fit's log-evidence is weighed on calibration patterns and stands
beside the cell's metric alone, networks and search-match on the same patterns.
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
from ..learning.metrics import credit, means
from ..learning.outcomes import RECOGNISED
from ..learning.synthesis import Cases
from ..prediction.evaluate import FUSED, NETWORK, log_probs
from ..prediction.evaluate import measured as measured_sets
from ..prediction.predictor import load_predictor
from ..symmetry import groups
from ..symmetry.cells import conventional, metric_system
from ..symmetry.groups import N_GROUPS
from .specimens import own_structure

ABOUT = ("seconds", "lines", "residual", "overlap")
SCORES = (INTEGRATED, BIC)
CELL = "cell alone"
WITH_PRIOR = "{}, minerals' prior"
WITH_CELL = "{}, cell told"
JOINT = "{}, with integrated likelihood"
MAIN = WITH_PRIOR.format(INTEGRATED)
LIMITS = {MEASURED[0]: None, MEASURED[1]: None, HELD_OUT[0]: 100, HELD_OUT[1]: 120}

_KEEP = 10  # patterns between two savings
_LEAST_COUNT = 0.5  # structures added to each count of metric and system
_TEMPERATURES = tuple(np.geomspace(1, 100, 13).tolist())
_LAPSES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
_FEW = 6  # patterns of a set where there are few structures
_LEAST = 5  # patterns in a row of a breakdown


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
    found, without = {}, {}
    patterns = measured_sets()
    if patterns:
        bank = experiment.load_bank(config, "library")
        for name, own in patterns.items():
            row, nearest = own_structure(own.intensity, own.group, bank, least=RECOGNISED)
            without[name] = {"n": len(own), "with cell": len(row)}
            most = len(row) if limits[name] is None else min(limits[name], len(row))
            some = np.linspace(0, len(row) - 1, most).astype(int)
            at, cells = own.take(row[some]), map(conventional, bank.lattice[nearest[some]])
            about = at.group.astype(int) - 1, at.family, at.source, row[some]
            found[name] = Cases(at.intensity, list(cells), *about)
    found |= {name: synthesis.held_out(config, name, limits[name]) for name in HELD_OUT}
    return {name: own for name, own in found.items() if len(own)}, without


def fit_all(config: SimpleNamespace, found: dict[str, Cases]) -> dict[str, dict]:
    """`run` of each set, kept in the profile's predictions."""
    folder = experiment.folder(config, "predictions/classical")
    return {name: run(own, folder / f"{name}.npz") for name, own in found.items()}


def run(cases: Cases, path: Path | None = None, error: float = ERROR) -> dict[str, ndarray]:
    """Fit every pattern and score every group; a run that is interrupted goes on where it was.

    `path` keeps what is done; a file of other patterns or settings is not taken up. For `error` see
    `whole_pattern.fit`.

    `extinction_scores` by name, (n, 99), with "seconds" (of one core), "lines", "residual" and
    "overlap" (share of lines closer than a width to another one), (n,).
    """
    about = json.dumps([error, cases.name.tolist(), np.round(cases.cell, 5).tolist()])
    done = {}
    if path is not None and Path(path).exists():
        with np.load(path, allow_pickle=False) as file:
            kept = dict(file)
        done = kept if str(kept.pop("about")) == about else {}
    for i in range(len(next(iter(done.values()), ())), len(cases)):
        row = _one(cases.intensity[i], cases.cell[i], error)
        done = {key: np.append(done[key], [row[key]], 0) if done else row[key][None] for key in row}
        if path is not None and (i % _KEEP == 0 or i == len(cases) - 1):
            with files.replacing(path) as file:
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


def metric_given_system(bank: Reflections) -> dict[str, ndarray]:
    """How often crystals of each system have each metric, among structures of known groups.

    By metric (`cells.metric_system`): log P(metric | crystal system of each group), (99,). None of
    the structures belongs to a test pattern.
    """
    systems = np.array(groups.crystal_systems())
    metric = np.array([metric_system(conventional(lattice)) for lattice in bank.lattice])
    kinds = [system for system in groups.SYSTEMS if system != "trigonal"]
    own = systems[bank.group - 1]
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

    def apply(self, score: ndarray, about_cell: ndarray, log_prior: ndarray) -> ndarray:
        """Log-probabilities, (n, 99).

        From the log-evidence of the fit (n, 99), -inf where the cell rules a group out, that of the
        cell's metric (n, 99), and the prior (99,).
        """
        alone = log_softmax(about_cell + log_prior, axis=1)
        told = log_softmax(score / self.temperature + about_cell + log_prior, axis=1)
        return np.logaddexp(np.log1p(-self.lapse) + told, np.log(self.lapse) + alone)


def weigh(score: ndarray, about_cell: ndarray, log_prior: ndarray, labels: ndarray) -> Weighing:
    """The temperature and the lapse of least NLL on calibration patterns; see `Weighing.apply`."""
    rows = np.arange(len(labels))
    choices = [Weighing(t, lapse) for t in _TEMPERATURES for lapse in _LAPSES]
    cost = [-w.apply(score, about_cell, log_prior)[rows, labels].mean() for w in choices]
    return choices[int(np.argmin(cost))]


def predictions(
    config: SimpleNamespace, found: dict[str, Cases], fitted: dict[str, dict]
) -> tuple[dict[str, dict[str, ndarray]], dict[str, dict[str, dict]]]:
    """Calibrated log-probabilities of every method on the test sets.

    Measured patterns are calibrated on measured ones of other families, held-out minerals on
    held-out ones; where a calibration set is missing, the set has no rows.

    By test set and method, (n, 99); and temperature and lapse by test set and score.
    """
    about = metric_given_system(experiment.load_bank(config, "train"))
    predictor = load_predictor()
    logp, chosen = {}, {}
    for own, test in (MEASURED, HELD_OUT):
        if own not in found or test not in found:
            continue
        metric = {name: cell_evidence(found[name], about) for name in (own, test)}
        minerals = np.log(outcomes.told_of(test, results.read(config, "prior"))[0])
        flat = np.full(N_GROUPS, -np.log(N_GROUPS))
        rows, chosen[test] = {CELL: log_softmax(metric[test] + minerals, axis=1)}, {}
        for score in SCORES:
            for title, prior in ((score, flat), (WITH_PRIOR.format(score), minerals)):
                weighing = weigh(fitted[own][score], metric[own], prior, found[own].label)
                chosen[test][title] = vars(weighing)
                rows[title] = weighing.apply(fitted[test][score], metric[test], prior)
        others = _others(config, predictor, test, found[test])
        rows |= others
        for name, p in others.items():
            rows[WITH_CELL.format(name)] = log_softmax(p + metric[test], axis=1)
        best = next(iter(others))
        rows[JOINT.format(best)] = log_softmax(others[best] + rows[INTEGRATED], axis=1)
        logp[test] = rows
    return logp, chosen


def _others(config, predictor, test, own):
    """Predictors that are told no cell; retrieval only on patterns not made from its structures."""
    told = log_probs(predictor, own.intensity)
    names = (FUSED, NETWORK) if test in MEASURED else (NETWORK,)
    rows = {name: told[name] for name in names}
    bank = experiment.load_bank(config, "library" if test in MEASURED else "train")
    similarity = searchmatch.similarities(
        searchmatch.measured(own.intensity, GRID), searchmatch.library(bank)
    )
    scores = searchmatch.log_probs(searchmatch.class_scores(similarity, bank.group))
    chosen = results.read(config, "baselines")["models"][outcomes.SEARCH]
    ratio = outcomes.prior_ratio(results.read(config, "prior")["minerals"])
    rows[outcomes.SEARCH] = Calibration(**chosen).apply(None, scores, ratio)
    return rows


def rows(
    config: SimpleNamespace, found: dict[str, Cases], logp: dict[str, dict[str, ndarray]]
) -> list[dict]:
    """Table rows (`metrics.evaluate`) of every method and null on every test set."""
    table = []
    options = {"n_boot": config.evaluate.bootstrap, "seed": config.seed}
    for test, methods in logp.items():
        null = outcomes.told_of(test, results.read(config, "prior"))[1]
        told = (found[test].label, found[test].family, np.log(null))
        subset = _subset(test)
        table.append(nulls.prior_only(subset, null, *told, **options))
        shuffles = config.evaluate.shuffles
        table.append(nulls.shuffled(subset, methods[MAIN], *told, n_shuffles=shuffles, **options))
        table += [metrics.evaluate(k, subset, p, *told, **options) for k, p in methods.items()]
    return table


def kinds(
    found: dict[str, Cases], fitted: dict[str, dict], logp: dict[str, dict[str, ndarray]]
) -> list[dict]:
    """Top-1 of some methods by crystal system and by overlap of lines.

    Rows have "subset", "kind", "n", "n_families", and top-1 in percent by method.
    """
    table = []
    for test, methods in logp.items():
        own, overlap = found[test], fitted[test]["overlap"]
        systems = np.array(groups.crystal_systems())[own.label]
        calibration = MEASURED[0] if test in MEASURED else HELD_OUT[0]
        few = overlap <= np.median(fitted[calibration]["overlap"])
        parts = {str(system): systems == system for system in np.unique(systems)}
        parts |= {"few lines overlap": few, "many lines overlap": ~few}
        best = FUSED if FUSED in methods else NETWORK
        shown = (CELL, MAIN, WITH_PRIOR.format(BIC), best, WITH_CELL.format(best), outcomes.SEARCH)
        hit = {name: 100 * credit(methods[name], own.label, 1) for name in shown}
        for kind, mask in parts.items():
            if mask.sum() >= _LEAST:
                row = {"subset": _subset(test), "kind": kind, "n": int(mask.sum())}
                row["n_families"] = len(set(own.family[mask]))
                top1 = {name: float(values[mask].mean()) for name, values in hit.items()}
                table.append(row | {"top1": top1})
    return table


def costs(found: dict[str, Cases], fitted: dict[str, dict]) -> dict[str, dict]:
    """How long a pattern takes, and how it fits.

    By set: "n", "seconds" (median and 95th percentile, one core), "lines" and "residual"
    (medians), "not permitted" (patterns whose group the cell rules out in the given axes).
    """
    table = {}
    for name, own in found.items():
        told = fitted[name]
        true = told[INTEGRATED][np.arange(len(own)), own.label]
        table[name] = {
            "n": len(own),
            "seconds": np.percentile(told["seconds"], [50, 95]).round(3).tolist(),
            **{key: float(np.median(told[key])) for key in ("lines", "residual")},
            "not permitted": int(np.isinf(true).sum()),
        }
    return table


def differences(
    config: SimpleNamespace, found: dict[str, Cases], logp: dict[str, dict[str, ndarray]]
) -> list[dict]:
    """Main score less other methods on the same patterns: top-1, with intervals over families.

    Rows have "subset", "model", "other", "top1" (percentage points) and "top1_ci95"; none for a set
    of one family, which has no interval.
    """
    table = []
    for test, methods in logp.items():
        own = found[test]
        if len(set(own.family)) < 2:
            continue
        hit = {name: 100 * credit(p, own.label, 1) for name, p in methods.items()}
        main = hit.pop(MAIN)
        gains = {name: main - values for name, values in hit.items()}
        told = means(gains, own.family, config.evaluate.bootstrap, config.seed)
        for other in gains:
            row = {"subset": _subset(test), "model": MAIN, "other": other}
            table.append(row | {"top1": told[other], "top1_ci95": told[f"{other}_ci95"]})
    return table


def claims(differences: list[dict]) -> list[dict]:
    """What may be claimed of the main score on each set, from paired `differences`.

    Rows have "subset", "claim" and "verdict": holds or does not hold where the interval of the
    difference lies on one side of zero, else not decided.
    """
    network, search = map(WITH_CELL.format, (NETWORK, outcomes.SEARCH))
    asked = {
        CELL: "a fit of the pattern adds to what the cell's metric says",
        network: "a fit in the cell beats the network that is told the cell's metric",
        search: "a fit in the cell beats search-match told the metric",
    }
    found = []
    for row in differences:
        if row["other"] in asked:
            low, high = row["top1_ci95"]
            said = "holds" if low > 0 else "does not hold" if high < 0 else "not decided"
            found.append({"subset": row["subset"], "claim": asked[row["other"]], "verdict": said})
    return found


def _subset(test):
    return f"{test}, cell given"
