"""The tables of the gap from simulated to measured patterns, and what they say."""

import numpy as np

from . import gap
from .experiment import MEASURED
from .gap import CLEAN, EVERYTHING, LIKE
from .groups import N_GROUPS

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
        As from `released.measured`; may be empty.
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
    found = {"note": None, "order": list(gap.NUISANCES), "draws": draws, "held_out": held_out}
    parts = {}
    for name, patterns in measured_sets.items():
        rows, nearest = gap.pairs(patterns, banks["library"])
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
    ladder, alone, without, ends = gap.conditions()
    every = {("ends", CLEAN): ladder.pop(CLEAN)} | {("ends", k): v for k, v in ends.items()}
    if whole:
        kinds = {"ladder": ladder, "alone": alone, "without": without}
        every |= {(kind, k): v for kind, them in kinds.items() for k, v in them.items()}
    scores = {title: {} for title in predictors}
    for condition, realism in every.items():
        logp = gap.read(predictors, gap.simulate(main, impurities, realism, draws, seed))
        for title, p in logp.items():
            scores[title][condition] = gap.gains(p, labels, null)
    constant = gap.gains(np.tile(np.log(null), (len(labels), 1)), labels, null)
    measured = gap.read(predictors, patterns.intensity)
    found = {"n": len(labels), "families": len(set(families)), "networks": {}}
    for title, own in scores.items():
        real = gap.gains(measured[title], labels, null)
        own["ends", MEASURED_ROW] = real
        rows = {
            MEASURED_ROW: gap.row(real, families),
            PRIOR_ROW: gap.row(constant, families),
            SHUFFLED_ROW: gap.row(gap.shuffled(measured[title], labels, null), families),
        }
        for which in (CLEAN, EVERYTHING, LIKE):
            rows[which] = gap.row(own["ends", which], families)
        found["networks"][title] = {"rows": rows, "steps": _steps(own, families)}
        if whole:
            found["networks"][title] |= _nuisances(own, families)
    return found


def _steps(own, families):
    """Paired differences between the ends, each less the one before."""
    chain = [CLEAN, LIKE, MEASURED_ROW]
    return {
        f"{first} to {second}": gap.row(
            gap.difference(own["ends", second], own["ends", first]), families
        )
        for first, second in zip(chain, chain[1:], strict=False)
    }


def _nuisances(own, families):
    """What each nuisance changes at its step, alone, and as the last, and which one costs most."""
    table, last, before = [], {}, own["ends", CLEAN]
    for name in gap.NUISANCES:
        rung = own["ladder", name]
        changes = {
            "step": gap.difference(rung, before),
            "alone": gap.difference(own["alone", name], own["ends", CLEAN]),
            "last": gap.difference(own["ends", EVERYTHING], own["without", name]),
        }
        kept = {kind: gap.row(change, families) for kind, change in changes.items()}
        table.append({"nuisance": name, **gap.row(rung, families), **kept})
        last[name], before = changes["last"], rung
    worst = min(last, key=lambda name: last[name]["bits"].mean())
    rest = {n: gap.row(gap.difference(last[n], last[worst]), families) for n in last if n != worst}
    return {
        "nuisances": table,
        "worst": worst,
        # Paired with the worst: whose interval holds zero could be the worst as well.
        "alike": [name for name, gain in rest.items() if gain["bits_ci95"][0] <= 0],
    }


def _held_out(predictors, banks, minerals, seed):
    """Simulated minerals that were trained on beside those kept from training, by network."""
    ladder, _, _, ends = gap.conditions()
    kinds = {SEEN: banks["train"], UNSEEN: banks["holdout"]}
    found = {title: {} for title in predictors}
    for kind, bank in kinds.items():
        chosen = bank.take(one_of_each(bank.name, minerals, seed))
        labels = chosen.group.astype(int) - 1
        # No class is told to be commoner: bits are over the uniform distribution here.
        null = np.full(N_GROUPS, 1 / N_GROUPS)
        for condition, realism in ((CLEAN, ladder[CLEAN]), (EVERYTHING, ends[EVERYTHING])):
            x = gap.simulate(chosen, banks["train"], realism, 1, seed)
            for title, logp in gap.read(predictors, x).items():
                rows = found[title].setdefault(kind, {"n": len(labels)})
                rows[condition] = gap.row(gap.gains(logp, labels, null), chosen.name)
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
