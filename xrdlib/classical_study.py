"""The classical baseline beside nulls, the released predictor and search-match, on one table."""

import numpy as np

from . import classical, experiment, nulls, outcomes, predict, released, results, searchmatch
from .calibrate import Calibration
from .classical import cell_evidence, normalised, weigh
from .experiment import HELD_OUT, MEASURED
from .extinction_scores import BIC, INTEGRATED
from .groups import N_GROUPS, crystal_systems
from .metrics import credit, evaluate, resamples, top_k
from .patterns import GRID

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
    patterns = released.measured()
    if patterns:
        bank = experiment.load_bank(config, "library")
        library = searchmatch.library(bank)
        for name, own in patterns.items():
            everything = classical.measured(own, bank, library)
            without[name] = {"n": len(own), "with cell": len(everything)}
            found[name] = classical.measured(own, bank, library, limits[name])
    found |= {name: classical.held_out(config, name, limits[name]) for name in HELD_OUT}
    return {name: own for name, own in found.items() if len(own)}, without


def run(config, found):
    """`classical.run` of each set, kept in the profile's predictions."""
    folder = experiment.folder(config, "predictions/classical")
    return {name: classical.run(own, folder / f"{name}.npz") for name, own in found.items()}


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
    about = classical.metric_given_system(experiment.load_bank(config, "train"))
    predictor = predict.load_predictor()
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
    told = released.log_probs(predictor, own.intensity)
    names = (released.FUSED, released.NETWORK) if test in MEASURED else (released.NETWORK,)
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
        table += [evaluate(name, subset, p, *told, **options) for name, p in methods.items()]
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
        best = released.FUSED if released.FUSED in methods else released.NETWORK
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
    network = WITH_CELL.format(released.NETWORK)
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
