"""Do heads look at absences? Tests of all heads, with their nulls, and what they say together."""

from dataclasses import asdict

import numpy as np

from ..learning.baselines import build
from ..learning.statistics import compare, holm
from .attention import SOURCES, attributed, exchanged, intervened, located, looks, reader

SURE = 0.05


def study(title, model, metadata, subjects, measured=False, sizes=(50, 40), seeds=2, seed=0):
    """All three questions, put to one network on one set of specimens.

    Parameters
    ----------
    title : str
    model : model.PhysicsTransformer
        Trained.
    metadata : dict
        Of a predictor: "calibration", "training_prior" and "minerals".
    subjects : specimens.Specimens
    measured : bool
        Then tokens with peaks that no line of the crystal explains are left out.
    sizes : (int, int)
        Patterns with added lines, and with attributions; spread evenly over the specimens.
    seeds : int
        Untrained networks.

    Returns
    -------
    dict or None
        "network", "subset", "n" patterns, "n_families" and "n_absences"; "heads" (`head_rows`);
        "exchanged" (those of the class token, for absences of other patterns); "untrained" (of
        each seed the largest mean and the number of significant heads); "intervention" and
        "intervention_untrained" (`attention.intervened`), "attribution"
        (`attention.attributed`) and "verdict".
        None where fewer than two families have diagnostic absences.
    """
    subjects, found = located(subjects, model, metadata["minerals"], measured)
    if len(np.unique(subjects.family)) < 2:
        return None
    told = metadata["calibration"]["a"], metadata["training_prior"]
    fresh = [build("physics", asdict(model.config), seed + k).eval() for k in range(seeds)]
    rows = _tested(model, subjects, found, seed)
    index, others = exchanged(found, seed)
    null = subjects.take(index)
    some, few = (np.unique(np.linspace(0, len(found) - 1, n).astype(int)) for n in sizes)
    part = subjects.take(some), [found[i] for i in some]
    result = {
        "network": title,
        "subset": subjects.subset,
        "n": len(subjects),
        "n_families": len(np.unique(subjects.family)),
        "n_absences": sum(map(len, found)),
        "heads": rows,
        "exchanged": _exchanged(model, null, others, seed),
        "untrained": [_extreme(_tested(network, subjects, found, seed)) for network in fresh],
        "intervention": intervened(reader(model, *told), *part, seed=seed),
        "intervention_untrained": intervened(reader(fresh[0], *told), *part, seed=seed),
        "attribution": attributed(
            model, *told, subjects.take(few), [found[i] for i in few], seed=seed
        ),
    }
    return {**result, "verdict": verdict(result)}


def verdict(result):
    """What one network's tests say together.

    Parameters
    ----------
    result : dict
        With "heads", "exchanged" and "intervention".

    Returns
    -------
    dict
        "more" and "less": heads whose class token gives absences significantly more or less weight
        than empty places; "heads" of them in all; "exchanged" with significant differences;
        "largest_ratio" and "line_ratio" (largest ratio of weights to empty places, of an absence
        and of a line); "answer_minds" (a line at an absence costs the true group significantly
        more than one at an empty place); "word" and "text".
    """
    own = [row for row in result["heads"] if row["source"] == SOURCES[0]]
    sure = [row for row in own if row["absences_p"] < SURE]
    largest = _largest(result)
    minds = largest["p"] < SURE and largest["difference"] < 0
    found = {
        "heads": len(own),
        "more": sum(row["absences"] > 0 for row in sure),
        "less": sum(row["absences"] < 0 for row in sure),
        "exchanged": sum(row["absences_p"] < SURE for row in result["exchanged"]),
        "largest_ratio": float(np.exp(max(row["absences"] for row in own))),
        "line_ratio": float(np.exp(max(row["lines"] for row in own))),
        "answer_minds": bool(minds),
    }
    found["word"] = {2: "holds", 1: "holds in part", 0: "does not hold"}[
        int(found["more"] > found["exchanged"]) + minds
    ]
    change, (low, high) = largest["change"], largest["difference_ci95"]
    text = (
        f"{found['more']} of {found['heads']} heads give diagnostic absences significantly more "
        f"weight than empty places, {found['less']} less; with absences of other minerals "
        f"{found['exchanged']} differ. The largest ratio is {found['largest_ratio']:.2f} for an "
        f"absence and {found['line_ratio']:.0f} for a line. A foreign line of "
        f"{100 * largest['height']:g} % changes the log-odds of the true group by "
        f"{change['absence']:+.2f} nats at an absence and {change['empty']:+.2f} at an empty place "
        f"(difference {largest['difference']:+.2f}, 95 % {low:+.2f} to {high:+.2f}, "
        f"p = {largest['p']:.2g})."
    )
    return {**found, "text": text}


def together(tests):
    """What the tests of all networks and sets say, corrected for their number.

    Parameters
    ----------
    tests : list of dict
        As from `study`.

    Returns
    -------
    dict
        "tests", "heads" and "more" (sums over tests), "minded" (tests in which the answer minds a
        line at an absence more than one at an empty place, p-values after Holm), "p_holm" (the
        smallest), "word" and "text". "word" is "holds" if in every test heads attend or the answer
        minds, "holds in part" if in some, else "does not hold".
    """
    rows = []
    for test in tests:
        largest = _largest(test)
        rows.append({"p": largest["p"], "difference": largest["difference"]})
    holm(rows)
    minded = [row["p_holm"] < SURE and row["difference"] < 0 for row in rows]
    more = [test["verdict"]["more"] > test["verdict"]["exchanged"] for test in tests]
    yes = [a or b for a, b in zip(minded, more, strict=True)]
    found = {
        "tests": len(tests),
        "heads": sum(test["verdict"]["heads"] for test in tests),
        "more": sum(test["verdict"]["more"] for test in tests),
        "minded": sum(minded),
        "p_holm": min((row["p_holm"] for row in rows), default=None),
        "word": "holds" if yes and all(yes) else "holds in part" if any(yes) else "does not hold",
    }
    text = (
        f"{found['more']} of {found['heads']} heads (networks and sets together) give diagnostic "
        f"absences significantly more weight than empty places. In {found['minded']} of "
        f"{found['tests']} tests a line at an absence costs the true group significantly more than "
        "one at an empty place, after Holm's correction."
    )
    return {**found, "text": text}


def head_rows(model, absences, lines, family, n_boot=1000, seed=0):
    """A row a head: log-ratio of attention at absences and at lines to empty places.

    Returns
    -------
    list of dict
        "source" ("class token", "all tokens" or "rollout"), "block" and "head" (from 1; null for
        the rollout), and for "absences" and "lines" the mean, "_ci95" and "_p" that holds for all
        heads together.
    """
    tests = {
        name: compare(values, family, n_boot, seed=seed)
        for name, values in (("absences", absences), ("lines", lines))
    }
    names = [
        (source, block + 1, head + 1)
        for block in range(model.config.depth)
        for head in range(model.config.heads)
        for source in SOURCES
    ]
    rows = []
    for k, (source, block, head) in enumerate([*names, ("rollout", None, None)]):
        row = {"source": source, "block": block, "head": head}
        for name, test in tests.items():
            row |= {
                name: round(test["mean"][k], 4),
                f"{name}_ci95": np.round(test["ci95"][k], 4).tolist(),
                f"{name}_p": round(test["p_all"][k], 5),
            }
        rows.append(row)
    return rows


def _largest(result):
    """Effect of the highest line on all patterns."""
    return max(result["intervention"], key=lambda row: (row["patterns"] == "all", row["height"]))


def _tested(model, subjects, found, seed):
    absences, lines, owner = looks(model, subjects, found)
    return head_rows(model, absences, lines, subjects.family[owner], seed=seed)


def _exchanged(model, subjects, found, seed):
    if len(np.unique(subjects.family)) < 2:
        return []
    return [r for r in _tested(model, subjects, found, seed) if r["source"] == SOURCES[0]]


def _extreme(rows):
    own = [row for row in rows if row["source"] == SOURCES[0]]
    return {
        "largest": max(abs(row["absences"]) for row in own),
        "largest_line": max(abs(row["lines"]) for row in own),
        "significant": sum(row["absences_p"] < SURE for row in own),
    }
