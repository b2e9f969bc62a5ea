"""The gap between simulated and measured patterns, one nuisance at a time.

Measured patterns whose structure is known are simulated from that structure: without any nuisance,
with each alone, with one more at each step, with all but one, and with all that training draws. A
pattern's random numbers do not depend on the ranges (`counter`), so conditions differ by the
nuisance alone, and differences are paired.
"""

import numpy as np
import torch

from ..base.patterns import GRID, normalise
from ..learning import calibrate
from ..learning.experiment import MEASURED, PatternSet
from ..learning.metrics import credit, log_likelihood, resamples
from ..learning.priors import log_ratio
from ..simulation.realism import Realism, measured_like
from ..symmetry.groups import N_GROUPS
from .simulator import COLLECTION, matched

CLEAN, EVERYTHING, LIKE = "clean", "as in training", "as in the collection"

# Fields of `Realism` that each nuisance is made of, with the values that take it away. Without
# widths lines are as narrow as the best of the collection, without background it is flat, of the
# median level, and subtracted perfectly: it must be there for noise to be of the right size.
NUISANCES = {
    "widths": {
        "fwhm": (0.064, 0.0),
        "lorentzian": (0.5, 0.5),
        "caglioti": (0.0, 0.0),
        "strain_width": (0.0, 0.0),
        "anisotropic": 0.0,
    },
    "noise": {"noise": (0.0037, 0.0), "counts": (1e12, 1e12)},
    "background": {
        "background": (0.10, 0.0),
        "polynomial": 0.0,
        "air": (0.0, 0.0),
        "hump_probability": 0.0,
        "subtracted": 1.0,
        "residual": 0.0,
    },
    "texture": {"no_texture": 1.0},
    "impurity": {"impurity": 0.0},
    "shifts, tails": {
        "zero_shift": 0.0,
        "displacement": 0.0,
        "asymmetry": (0.0, 0.0),
        "transparency": (0.0, 0.0),
    },
    "line errors": {
        "line_error": (0.0, 0.0),
        "smooth_error": 0.0,
        "debye_waller": (1.0, 1.0),
        "single_line": 0.0,
    },
    "cell strain": {"strain": (0.0, 0.0)},
    "faults": {"cropped": 0.0, "coarse": 0.0, "spikes": 0.0},
}


def ranges(present, base=None, **overrides):
    """Nuisance ranges with some nuisances only.

    Parameters
    ----------
    present : iterable of str
        Of `NUISANCES`; the others are taken away.
    base : Realism, optional
        Ranges of those present; by default those of laboratory patterns.
    overrides
        Fields that are set at the end.

    Returns
    -------
    Realism
    """
    values = vars(base or Realism.measured()).copy()
    for name in NUISANCES.keys() - set(present):
        values.update(NUISANCES[name])
    return Realism.measured(**{**values, **overrides})


def conditions(base=None):
    """All conditions that patterns are simulated under.

    Returns
    -------
    ladder, alone, without : dict of str to Realism
        By nuisance: it and those before it; it alone; all others. The first rung is `CLEAN`.
    ends : dict of str to Realism
        `EVERYTHING`, and `LIKE`: that with the background subtracted and the full range.
    """
    names = list(NUISANCES)
    ladder = {CLEAN: ranges((), base)}
    ladder |= {name: ranges(names[: i + 1], base) for i, name in enumerate(names)}
    alone = {name: ranges([name], base) for name in names}
    without = {name: ranges([n for n in names if n != name], base) for name in names}
    ends = {EVERYTHING: ranges(names, base), LIKE: ranges(names, base, **COLLECTION)}
    return ladder, alone, without, ends


def pairs(patterns, library, most=2):
    """Measured patterns whose structure is known, at most a few of each family.

    Parameters
    ----------
    patterns : rruff.Measured
    library : records.Reflections
    most : int
        Patterns of a family, the first ones.

    Returns
    -------
    rows, nearest : ndarray, (n,) int64
        Of the patterns and of the library, see `simulator.matched`.
    """
    x = normalise(torch.from_numpy(patterns.intensity)).numpy()
    label = patterns.group.astype(np.int64) - 1
    rows, nearest = matched(PatternSet(x, label, patterns.family, patterns.source), library, GRID)
    seen, kept = {}, []
    for i, family in enumerate(patterns.family[rows]):
        seen[family] = seen.get(family, 0) + 1
        if seen[family] <= most:
            kept.append(i)
    return rows[kept], nearest[kept]


def simulate(main, impurities, realism, draws, seed=0):
    """Patterns of crystals under one condition, (draws * n, GRID.size) float32.

    Parameters
    ----------
    main, impurities : records.Reflections
        n crystals, and the bank that second phases come from.
    realism : Realism
    draws : int
        Patterns of each crystal; those of one draw lie together.
    seed : int
        The same for all conditions that are compared.
    """
    n = len(main)
    index = torch.arange(draws * n)
    second = np.random.default_rng(seed).integers(len(impurities), size=draws * n)
    main = main.take(np.tile(np.arange(n), draws))
    return measured_like(main, realism, seed, index, GRID, impurities.take(second)).numpy()


def read(predictors, intensity):
    """Calibrated log-probabilities of networks, without retrieval, dict by name of (m, 99).

    Parameters
    ----------
    predictors : dict of str to predict.Predictor
        Loaded with ``retrieval=False``.
    intensity : ndarray, (m, GRID.size)
    """
    found = {}
    for title, predictor in predictors.items():
        evidence = predictor.evidence(GRID.two_theta, intensity).evidence
        minerals = predictor.metadata["minerals"]
        ratio = log_ratio(minerals, np.full(N_GROUPS, 1 / N_GROUPS))
        a = predictor.calibration
        found[title] = calibrate.rescale(evidence, a.T, a.w, ratio)
    return found


def gains(logp, labels, null):
    """Per-pattern scores, averaged over the draws of each pattern.

    Parameters
    ----------
    logp : ndarray, (draws * n, 99)
        As from `simulate`; measured patterns are one draw.
    labels : ndarray, (n,)
    null : ndarray, (99,)
        The prior-only prediction.

    Returns
    -------
    dict of ndarray, (n,)
        "top1", "top5" (percent), "nll" (nats), "bits" over the null.
    """
    draws = len(logp) // len(labels)
    truth = np.tile(labels, draws)
    told = log_likelihood(logp, truth)
    values = {
        "top1": 100 * credit(logp, truth, 1),
        "top5": 100 * credit(logp, truth, 5),
        "nll": -told,
        "bits": (told - np.log(null)[truth]) / np.log(2),
    }
    return {key: value.reshape(draws, -1).mean(0) for key, value in values.items()}


def row(values, families, n_boot=1000, seed=0):
    """Means of per-pattern scores with 95 % intervals over families.

    Parameters
    ----------
    values : dict of ndarray, (n,)
    families : ndarray, (n,)

    Returns
    -------
    dict
        Each key, and key + "_ci95"; with fewer than two families the interval is None.
    """
    found = {key: float(value.mean()) for key, value in values.items()}
    if len(np.unique(families)) < 2:
        return found | {f"{key}_ci95": None for key in values}
    stack = np.stack(list(values.values()), 1)
    means = np.concatenate(
        [w @ stack / w.sum(1, keepdims=True) for w in resamples(families, n_boot, seed)]
    )
    ends = np.percentile(means, [2.5, 97.5], axis=0).T.tolist()
    return found | {f"{key}_ci95": end for key, end in zip(values, ends, strict=True)}


def difference(values, others):
    """Per-pattern differences of scores, values less others."""
    return {key: value - others[key] for key, value in values.items()}


def shuffled(logp, labels, null):
    """Expected scores of predictions that are handed to patterns at random, per pattern.

    The exact mean over all permutations: every prediction with every label.
    """
    n = len(labels)
    every = gains(np.tile(logp, (n, 1)), np.repeat(labels, n), null)
    return {key: value.reshape(n, n).mean(1) for key, value in every.items()}


FEWEST = 5  # families, below which there is no comparison

SEEN, UNSEEN = "minerals trained on", "minerals held out"

MEASURED_ROW, PRIOR_ROW, SHUFFLED_ROW = "measured", "prior only", "measured, shuffled"


def study(predictors, measured_sets, banks, null, draws=3, minerals=340, seed=0):
    """Scores of networks under every condition, on the patterns of known structure.

    Parameters
    ----------
    predictors : dict of str to predict.Predictor
        Without retrieval.
    measured_sets : dict of str to rruff.Measured
        As from `evaluate.measured`; may be empty.
    banks : dict of str to records.Reflections
        "library", "train" and "holdout".
    null : ndarray, (99,), or None
        The prior-only prediction; None without measured patterns.
    draws : int
        Patterns of each structure under each condition.
    minerals : int
        Structures, one a mineral, of each kind in the comparison of seen and unseen minerals.
    seed : int

    Returns
    -------
    dict, JSON-able
        "note" (None, or why there is no comparison with measured patterns), "order" (nuisances),
        "parts" (by measured set), "held_out" (by network), "verdict" (by network).
    """
    held_out = _held_out(predictors, banks, minerals, seed)
    found = {"note": None, "order": list(NUISANCES), "draws": draws, "held_out": held_out}
    parts = {}
    for name, patterns in measured_sets.items():
        rows, nearest = pairs(patterns, banks["library"])
        chosen = patterns.take(rows)
        if len(set(chosen.family)) >= FEWEST:
            main = banks["library"].take(nearest)
            # Which nuisance hurts is asked of the calibration half, the test half confirms.
            whole = name == MEASURED[0]
            parts[name] = _part(
                predictors, chosen, main, banks["library"], null, draws, seed, whole
            )
    if not parts:
        note = "Too few measured patterns of known structure were at hand."
        return {**found, "note": note, "parts": {}, "verdict": {}}
    verdicts = {title: verdict(parts, held_out, title) for title in predictors}
    return {**found, "parts": parts, "verdict": verdicts}


def _part(predictors, patterns, main, impurities, null, draws, seed, whole):
    """Rows of one measured set: measured, its nulls, both ends, and nuisance by nuisance."""
    labels, families = patterns.group.astype(int) - 1, patterns.family
    ladder, alone, without, ends = conditions()
    every = {("ends", CLEAN): ladder.pop(CLEAN)} | {("ends", k): v for k, v in ends.items()}
    if whole:
        kinds = {"ladder": ladder, "alone": alone, "without": without}
        every |= {(kind, k): v for kind, them in kinds.items() for k, v in them.items()}
    scores = {title: {} for title in predictors}
    for condition, realism in every.items():
        logp = read(predictors, simulate(main, impurities, realism, draws, seed))
        for title, p in logp.items():
            scores[title][condition] = gains(p, labels, null)
    constant = gains(np.tile(np.log(null), (len(labels), 1)), labels, null)
    measured = read(predictors, patterns.intensity)
    found = {"n": len(labels), "families": len(set(families)), "networks": {}}
    for title, own in scores.items():
        real = gains(measured[title], labels, null)
        own["ends", MEASURED_ROW] = real
        rows = {
            MEASURED_ROW: row(real, families),
            PRIOR_ROW: row(constant, families),
            SHUFFLED_ROW: row(shuffled(measured[title], labels, null), families),
        }
        for which in (CLEAN, EVERYTHING, LIKE):
            rows[which] = row(own["ends", which], families)
        found["networks"][title] = {"rows": rows, "steps": _steps(own, families)}
        if whole:
            found["networks"][title] |= _nuisances(own, families)
    return found


def _steps(own, families):
    """Paired differences between the ends, each less the one before."""
    chain = [CLEAN, LIKE, MEASURED_ROW]
    return {
        f"{first} to {second}": row(difference(own["ends", second], own["ends", first]), families)
        for first, second in zip(chain, chain[1:], strict=False)
    }


def _nuisances(own, families):
    """What each nuisance changes at its step, alone, and as the last, and which one costs most."""
    table, last, before = [], {}, own["ends", CLEAN]
    for name in NUISANCES:
        rung = own["ladder", name]
        changes = {
            "step": difference(rung, before),
            "alone": difference(own["alone", name], own["ends", CLEAN]),
            "last": difference(own["ends", EVERYTHING], own["without", name]),
        }
        kept = {kind: row(change, families) for kind, change in changes.items()}
        table.append({"nuisance": name, **row(rung, families), **kept})
        last[name], before = changes["last"], rung
    worst = min(last, key=lambda name: last[name]["bits"].mean())
    rest = {n: row(difference(last[n], last[worst]), families) for n in last if n != worst}
    return {
        "nuisances": table,
        "worst": worst,
        # Paired with the worst: whose interval holds zero could be the worst as well.
        "alike": [name for name, gain in rest.items() if gain["bits_ci95"][0] <= 0],
    }


def _held_out(predictors, banks, minerals, seed):
    """Simulated minerals that were trained on beside those kept from training, by network."""
    ladder, _, _, ends = conditions()
    kinds = {SEEN: banks["train"], UNSEEN: banks["holdout"]}
    found = {title: {} for title in predictors}
    for kind, bank in kinds.items():
        chosen = bank.take(one_of_each(bank.name, minerals, seed))
        labels = chosen.group.astype(int) - 1
        # No class is told to be commoner: bits are over the uniform distribution here.
        null = np.full(N_GROUPS, 1 / N_GROUPS)
        for condition, realism in ((CLEAN, ladder[CLEAN]), (EVERYTHING, ends[EVERYTHING])):
            x = simulate(chosen, banks["train"], realism, 1, seed)
            for title, logp in read(predictors, x).items():
                rows = found[title].setdefault(kind, {"n": len(labels)})
                rows[condition] = row(gains(logp, labels, null), chosen.name)
    return found


def one_of_each(name, most, seed=0):
    """Rows of one structure of each mineral, at most `most` minerals, drawn by seed."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(name))
    _, first = np.unique(np.asarray(name)[order], return_index=True)
    rows = order[first]
    return np.sort(rng.permutation(rows)[:most])


def verdict(parts, held_out, title):
    """What the tables of one network say, in words and a few numbers.

    Parameters
    ----------
    parts, held_out : dict
        As `study` makes them.
    title : str
        The network.

    Returns
    -------
    dict
        "text", and the numbers that it states: of `top1` (percent) "missed_clean" (wrong without
        any nuisance), "nuisances" (lost to them) and "real" (lost between simulated and measured);
        "worst" nuisance when it comes last, "bits_lost" by it, and all "clear" ones, whose
        intervals leave out zero.
    """
    name = MEASURED[0] if MEASURED[0] in parts else next(iter(parts))
    own = parts[name]["networks"][title]
    rows, steps = own["rows"], own["steps"]
    real, nuisance = steps[f"{LIKE} to {MEASURED_ROW}"], steps[f"{CLEAN} to {LIKE}"]
    found = {
        "subset": name,
        "missed_clean": 100 - rows[CLEAN]["top1"],
        "nuisances": -nuisance["top1"],
        "real": -real["top1"],
    }
    largest = max(("missed_clean", "nuisances", "real"), key=found.get)
    where = {
        "missed_clean": "in the network itself, which is wrong on clean patterns too",
        "nuisances": "in the simulated nuisances",
        "real": "between simulated and measured patterns",
    }[largest]
    text = (
        f"Most of what is missed lies {where}: top-1 {rows[CLEAN]['top1']:.1f} % on clean "
        f"patterns, {rows[LIKE]['top1']:.1f} % with all nuisances of the collection, "
        f"{rows[MEASURED_ROW]['top1']:.1f} % measured."
    )
    text += f" The nuisances {_cost(nuisance)}; what simulation lacks would {_cost(real)}."
    if "nuisances" in own:
        cost = {entry["nuisance"]: entry["last"] for entry in own["nuisances"]}
        clear = [key for key, change in cost.items() if change["bits_ci95"][1] < 0]
        worst = own["worst"]
        low, high = cost[worst]["bits_ci95"]
        found |= {"worst": worst, "bits_lost": -cost[worst]["bits"], "clear": clear}
        text += (
            f" Of {len(cost)} nuisances, added last, {worst} costs most "
            f"({-cost[worst]['bits']:.2f} bits, interval {-high:.2f} to {-low:.2f}), not to be "
            f"told apart from {', '.join(own['alike']) or 'none'}; intervals leave out zero for "
            f"{', '.join(clear) or 'none'}."
        )
    if MEASURED[1] in parts and name != MEASURED[1]:
        told = parts[MEASURED[1]]["networks"][title]["steps"]
        text += (
            f" On {MEASURED[1]} the nuisances {_cost(told[f'{CLEAN} to {LIKE}'])}, and what "
            f"simulation lacks would {_cost(told[f'{LIKE} to {MEASURED_ROW}'])}."
        )
    if title in held_out:
        seen, unseen = (held_out[title][kind][EVERYTHING]["top1"] for kind in (SEEN, UNSEEN))
        text += (
            f" On simulated minerals that were trained on it is right in {seen:.1f} %, on "
            f"held-out ones in {unseen:.1f} %."
        )
    return {**found, "text": text}


def _cost(step):
    """Words for a paired change: how many bits, and whether zero is inside its interval."""
    low, high = step["bits_ci95"]
    verb = "cost" if step["bits"] < 0 else "give"
    sure = "" if low > 0 or high < 0 else ", which may be chance"
    return (
        f"{verb} {abs(step['bits']):.2f} bits a pattern "
        f"(interval of the change {low:.2f} to {high:.2f}{sure})"
    )
