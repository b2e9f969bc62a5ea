"""The classical way: a whole-pattern fit in the true cell, scored for every group."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..base import files, results
from ..base.patterns import GRID
from ..identification import searchmatch
from ..identification.extinction_scores import BIC, INTEGRATED, scores
from ..identification.whole_pattern import ERROR, fit
from ..learning import experiment, metrics, nulls, outcomes, synthesis
from ..learning.calibrate import Calibration
from ..learning.experiment import HELD_OUT, MEASURED
from ..learning.metrics import credit, logsumexp, resamples, top_k
from ..learning.outcomes import RECOGNISED
from ..learning.synthesis import Cases
from ..prediction.evaluate import FUSED, NETWORK, log_probs
from ..prediction.evaluate import measured as measured_sets
from ..prediction.predictor import load_predictor
from ..symmetry import groups
from ..symmetry.cells import conventional, metric_system
from ..symmetry.groups import N_GROUPS, crystal_systems

ABOUT = ("seconds", "lines", "residual", "overlap")

_KEEP = 10  # patterns between two savings

_LEAST_COUNT = 0.5  # structures added to each count of metric and system

_TEMPERATURES = tuple(np.geomspace(1, 100, 13).tolist())

_LAPSES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)


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


SCORES = (INTEGRATED, BIC)

CELL = "cell alone"

WITH_PRIOR = "{}, minerals' prior"

WITH_CELL = "{}, cell told"

JOINT = "{}, with integrated likelihood"

MAIN = WITH_PRIOR.format(INTEGRATED)

LIMITS = {MEASURED[0]: None, MEASURED[1]: None, HELD_OUT[0]: 100, HELD_OUT[1]: 120}

_CHOSEN = ". These patterns were chosen by search-match, which favours retrieval."

_FEW = 6  # patterns of a set where there are few structures

_LEAST = 5  # patterns in a row of a breakdown


def cases(config, limits=None):
    """Patterns with cells of every set at hand.

    Parameters
    ----------
    config : namespace
    limits : dict, optional
        Most patterns of each set; by default `LIMITS`, or a few where the profile limits the
        number of structures.

    Returns
    -------
    found : dict of str to classical.Cases
    without : dict of str to dict of int
        Of measured sets: "n", and "with cell", patterns that a structure of their own group
        resembles.
    """
    if limits is None:
        whole = config.synthesis.amcsd_limit is None
        limits = LIMITS if whole else dict.fromkeys(LIMITS, _FEW)
    found, without = {}, {}
    patterns = measured_sets()
    if patterns:
        bank = experiment.load_bank(config, "library")
        library = searchmatch.library(bank)
        for name, own in patterns.items():
            everything = measured(own, bank, library)
            without[name] = {"n": len(own), "with cell": len(everything)}
            found[name] = measured(own, bank, library, limits[name])
    found |= {name: synthesis.held_out(config, name, limits[name]) for name in HELD_OUT}
    return {name: own for name, own in found.items() if len(own)}, without


def run_sets(config, found):
    """`classical.run` of each set, kept in the profile's predictions."""
    folder = experiment.folder(config, "predictions/classical")
    return {name: run(own, folder / f"{name}.npz") for name, own in found.items()}


def predictions(config, found, fitted):
    """Calibrated log-probabilities of every method on the test sets.

    Measured patterns are calibrated on measured ones of other families, held-out minerals on
    held-out ones; where a calibration set is missing, the set has no rows.

    Parameters
    ----------
    config : namespace
    found : dict of str to classical.Cases
    fitted : dict of str to dict
        As from `run`.

    Returns
    -------
    logp : dict of str to dict of str to ndarray, (n, 99)
        By test set and method.
    chosen : dict of str to dict of str to dict
        Temperature and lapse, by test set and score.
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
        rows, chosen[test] = {CELL: normalised(metric[test] + minerals)}, {}
        for score in SCORES:
            for title, prior in ((score, flat), (WITH_PRIOR.format(score), minerals)):
                weighing = weigh(fitted[own][score], metric[own], prior, found[own].label)
                chosen[test][title] = vars(weighing)
                rows[title] = weighing.apply(fitted[test][score], metric[test], prior)
        others = _others(config, predictor, test, found[test])
        rows |= others
        rows |= {WITH_CELL.format(k): normalised(p + metric[test]) for k, p in others.items()}
        best = next(iter(others))
        rows[JOINT.format(best)] = normalised(others[best] + rows[INTEGRATED])
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


def rows(config, found, logp):
    """Table rows of every method and null on every test set."""
    table = []
    for test, methods in logp.items():
        null = outcomes.told_of(test, results.read(config, "prior"))[1]
        told = (found[test].label, found[test].family, np.log(null))
        options = {"n_boot": config.evaluate.bootstrap, "seed": config.seed}
        subset = f"{test}, cell given"
        table.append(nulls.prior_only(subset, null, *told, **options))
        table.append(
            nulls.shuffled(
                subset, methods[MAIN], *told, n_shuffles=config.evaluate.shuffles, **options
            )
        )
        table += [
            metrics.evaluate(name, subset, p, *told, **options) for name, p in methods.items()
        ]
    return table


def kinds(found, fitted, logp):
    """Top-1 of some methods by crystal system and by overlap of lines.

    Returns
    -------
    list of dict
        "subset", "kind", "n", "n_families", and top-1 in percent by method.
    """
    table = []
    for test, methods in logp.items():
        own = found[test]
        systems = np.array(crystal_systems())[own.label]
        overlap = fitted[test]["overlap"]
        middle = np.median(fitted[_calibration(test)]["overlap"])
        parts = {system: systems == system for system in np.unique(systems)}
        parts |= {
            "few lines overlap": overlap <= middle,
            "many lines overlap": overlap > middle,
        }
        best = FUSED if FUSED in methods else NETWORK
        shown = (CELL, MAIN, WITH_PRIOR.format(BIC), best, WITH_CELL.format(best), outcomes.SEARCH)
        for kind, mask in parts.items():
            if mask.sum() < _LEAST:
                continue
            row = {"subset": f"{test}, cell given", "kind": str(kind), "n": int(mask.sum())}
            row["n_families"] = len(set(own.family[mask]))
            hit = {k: 100 * float(top_k(methods[k][mask], own.label[mask])) for k in shown}
            table.append(row | {"top1": hit})
    return table


def costs(found, fitted):
    """How long a pattern takes, and how it fits.

    Returns
    -------
    dict of str to dict
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
            "lines": float(np.median(told["lines"])),
            "residual": float(np.median(told["residual"])),
            "not permitted": int(np.isinf(true).sum()),
        }
    return table


def differences(config, found, logp):
    """Main score less other methods on the same patterns: top-1, with intervals over families.

    Returns
    -------
    list of dict
        "subset", "model", "other", "top1" (percentage points) and "top1_ci95"; none for a set of
        one family, which has no interval.
    """
    table = []
    for test, methods in logp.items():
        own = found[test]
        if len(set(own.family)) < 2:
            continue
        hit = {name: credit(p, own.label, 1) for name, p in methods.items()}
        drawn = list(resamples(own.family, config.evaluate.bootstrap, config.seed))
        for other in methods:
            if other == MAIN:
                continue
            gain = 100 * (hit[MAIN] - hit[other])
            parts = np.concatenate([w @ gain / w.sum(1) for w in drawn])
            table.append(
                {
                    "subset": f"{test}, cell given",
                    "model": MAIN,
                    "other": other,
                    "top1": float(gain.mean()),
                    "top1_ci95": np.percentile(parts, [2.5, 97.5]).tolist(),
                }
            )
    return table


def claims(differences):
    """What may be claimed of the main score on each set, from paired differences.

    Parameters
    ----------
    differences : list of dict
        As from `differences`.

    Returns
    -------
    list of dict
        "subset", "claim" and "verdict": holds or does not hold where the interval of the difference
        lies on one side of zero, else not decided.
    """
    network = WITH_CELL.format(NETWORK)
    asked = {
        CELL: "a fit of the pattern adds to what the cell's metric says",
        network: "a fit in the cell beats the network that is told the cell's metric",
        WITH_CELL.format(outcomes.SEARCH): "a fit in the cell beats search-match told the metric",
    }
    found = []
    for row in differences:
        if row["other"] in asked:
            low, high = row["top1_ci95"]
            said = "holds" if low > 0 else "does not hold" if high < 0 else "not decided"
            found.append({"subset": row["subset"], "claim": asked[row["other"]], "verdict": said})
    return found


def verdict(differences):
    """One sentence a test set: against whom the main score wins, loses, or neither."""
    said = {}
    for row in differences:
        low, high = row["top1_ci95"]
        outcome = "beats" if low > 0 else "loses to" if high < 0 else "is not told apart from"
        said.setdefault(row["subset"], {}).setdefault(outcome, []).append(
            f"{row['other']} ({row['top1']:+.0f} points)"
        )
    texts = {}
    for subset, found in said.items():
        texts[subset] = f"{MAIN}: " + "; ".join(f"{k} {', '.join(v)}" for k, v in found.items())
        texts[subset] += _CHOSEN if subset.startswith(MEASURED) else "."
    return texts


def _calibration(test):
    return MEASURED[0] if test in MEASURED else HELD_OUT[0]
