"""Errors on the subgroup graph, model by model, and system by system."""

from functools import cache

import networkx as nx
import numpy as np

from . import dag, groups, priors, published
from .contrast import holm
from .dag_errors import ALPHA, STATISTICS, analyse, block_permutation
from .datasets import MissingData
from .errors import XrdlibError
from .metrics import resamples

PUBLISHED = "published champion"
LEAST = 5  # errors of a crystal system, below which it is not tested


def as_log_probs(classes, p=0.9):
    """Log-probabilities whose most probable class is the given one, (n, 99).

    For predictions of which only the first class is known; nothing but that class can be read.
    """
    classes = np.asarray(classes)
    rows = np.full((len(classes), groups.N_GROUPS), (1 - p) / (groups.N_GROUPS - 1))
    rows[np.arange(len(classes)), classes] = p
    return np.log(rows)


def study(name, subset, logp, labels, families, prior, n_permutations=1000, n_boot=1000, seed=0):
    """Everything about one model's errors.

    Parameters
    ----------
    name, subset : str
    logp, labels, families, prior
        As for `dag_errors.analyse`.
    n_permutations, n_boot, seed : int

    Returns
    -------
    dict
        "model", "subset", what `dag_errors.analyse` gives, "n_families", "n_predicted" (groups
        predicted at all), "most_predicted" ("group" and "share" in percent), "ci95" of each
        statistic (bootstrap over families), "reduced" (see `reduced`), "system" (see
        `by_system`), and "summary" (see `summary`).
    """
    labels, families = np.asarray(labels), np.asarray(families)
    found = analyse(logp, labels, families, prior, n_permutations, seed)
    predicted = np.asarray(logp).argmax(axis=1)
    counts = np.bincount(predicted, minlength=groups.N_GROUPS)
    result = {
        "model": name,
        "subset": subset,
        **found,
        "n_families": len(np.unique(families)),
        "n_predicted": int((counts > 0).sum()),
        "most_predicted": {
            "group": groups.symbols()[counts.argmax()],
            "share": 100 * float(counts.max() / counts.sum()),
        },
        "ci95": intervals(predicted, labels, families, n_boot, seed),
        "reduced": reduced(predicted, labels, families, n_permutations, seed),
        "system": by_system(predicted, labels, families, n_permutations, seed),
    }
    return {**result, "summary": summary(result)}


def of_published(**options):
    """The study of the published predictions; the constant null is their commonest true group.

    Parameters
    ----------
    options
        `n_permutations`, `n_boot` and `seed` of `study`.

    Returns
    -------
    dict or None
        None where the table of published predictions is not at hand.
    """
    try:
        cases = published.load()
    except MissingData:
        return None
    logp, constant = as_log_probs(cases.top[:, 0]), priors.fit_prior(cases.label)
    told = (logp, cases.label, cases.family, constant)
    return study(PUBLISHED, published.NAME, *told, **options)


def intervals(predicted, labels, families, n_boot=1000, seed=0):
    """95 % bootstrap interval over families of each statistic of the errors.

    Returns
    -------
    dict of str to [low, high]
        By `dag_errors.STATISTICS`; null with fewer than two families.
    """
    if len(np.unique(families)) < 2:
        return dict.fromkeys(STATISTICS)
    wrong, values = predicted != labels, _per_pattern(predicted, labels)
    drawn = {key: [] for key in STATISTICS}
    for weights in resamples(families, n_boot, seed):
        weights = weights * wrong
        total = weights.sum(axis=1)
        for key, value in values.items():
            drawn[key].append((weights @ value)[total > 0] / total[total > 0])
    joined = {key: np.concatenate(parts) for key, parts in drawn.items()}
    return {
        key: np.percentile(value, [2.5, 97.5]).tolist() if len(value) else None
        for key, value in joined.items()
    }


@cache
def reduced_distances():
    """Hops as `dag.distances` counts them, on the transitive reduction of the graph.

    There an edge is left out if a longer way down joins the same groups.
    """
    graph = nx.transitive_reduction(dag.subgroup_dag()).to_undirected()
    hops = np.zeros((groups.N_GROUPS, groups.N_GROUPS))
    for source, reached in nx.all_pairs_shortest_path_length(graph):
        for target, length in reached.items():
            hops[source - 1, target - 1] = length
    hops.flags.writeable = False
    return hops


def reduced(predicted, labels, families, n_permutations=1000, seed=0):
    """Distance of errors on the reduced graph, against shuffling over all patterns.

    Returns
    -------
    dict
        "mean_distance" and "within_two" (percent), each a dict of "value", "shuffled" (mean),
        "ci95" (of shuffled ones) and "p" (two-sided); null where there is no error.
    """
    _, family = np.unique(families, return_inverse=True)
    rng, one, hops = np.random.default_rng(seed), np.zeros_like(family), reduced_distances()
    dealt = [predicted[block_permutation(family, one, rng)] for _ in range(n_permutations)]
    both = np.array([_hops(hops, labels, guess) for guess in (predicted, *dealt)])
    if np.isnan(both[0]).any():
        return {"mean_distance": None, "within_two": None}
    found = {}
    for name, column in zip(("mean_distance", "within_two"), both.T, strict=True):
        null = column[1:][np.isfinite(column[1:])]
        tails = (null <= column[0] + 1e-9).sum(), (null >= column[0] - 1e-9).sum()
        found[name] = {
            "value": float(column[0]),
            "shuffled": float(null.mean()),
            "ci95": np.percentile(null, [2.5, 97.5]).tolist(),
            "p": min(1.0, float(2 * (1 + min(tails)) / (1 + len(null)))),
        }
    return found


def by_system(predicted, labels, families, n_permutations=1000, seed=0):
    """Distance of errors inside each true crystal system, against shuffling inside it.

    Parameters
    ----------
    predicted, labels : ndarray, (n,)
        Classes 0..98.
    families : array_like, (n,)
    n_permutations, seed : int

    Returns
    -------
    list of dict
        A row a system that occurs, in order of symmetry: "system", "n", "n_errors", "distance"
        (mean hops of an error), "null" and "null_ci95" (the same for predictions shuffled inside
        the system), "p" (one-sided, errors nearer than shuffled ones) and "p_holm" (corrected
        for the number of systems tested, Holm 1979), both null with fewer than `LEAST` errors.

    Raises
    ------
    XrdlibError
        If lengths differ.
    """
    predicted, labels, families = map(np.asarray, (predicted, labels, families))
    if not predicted.shape == labels.shape == families.shape:
        raise XrdlibError("Predictions, labels and families must be of one length.")
    system = np.array(groups.crystal_systems())[labels]
    rng, hops, rows = np.random.default_rng(seed), dag.distances(), []
    for name in groups.SYSTEMS:
        mine = np.flatnonzero(system == name)
        if not len(mine):
            continue
        true, guess = labels[mine], predicted[mine]
        _, family = np.unique(families[mine], return_inverse=True)
        one = np.zeros_like(family)
        dealt = [guess[block_permutation(family, one, rng)] for _ in range(n_permutations)]
        null = np.array([_hops(hops, true, other)[0] for other in dealt])
        null, seen = null[np.isfinite(null)], _hops(hops, true, guess)[0]
        n_errors = int((true != guess).sum())
        tested = n_errors >= LEAST and len(null) > 0
        rows.append(
            {
                "system": name,
                "n": len(mine),
                "n_errors": n_errors,
                "distance": seen if n_errors else None,
                "null": float(null.mean()) if len(null) else None,
                "null_ci95": np.percentile(null, [2.5, 97.5]).tolist() if len(null) else None,
                "p": float((1 + (null <= seen + 1e-9).sum()) / (1 + len(null))) if tested else None,
            }
        )
    holm([row for row in rows if row["p"] is not None])
    return [{"p_holm": None, **row} for row in rows]


def summary(result):
    """What the errors of one model say about the two claims, in one word each.

    Parameters
    ----------
    result : dict
        With "observed" and "nulls" as `dag_errors.analyse` gives them.

    Returns
    -------
    dict
        "local" (asked of the mean distance and of the share within two hops) and "flow to lower
        symmetry" (of the share of descendants): "holds" (all that is asked lies beyond both ways
        of shuffling, beyond shuffling inside the crystal system and beyond the constant), "holds
        in part" (some of it lies beyond both ways of shuffling, or beyond the one inside the
        system), else "does not hold".
    """
    asked = {
        "local": (("mean_distance", -1), ("within_two", 1)),
        "flow to lower symmetry": (("descendant", 1),),
    }
    if not result["nulls"]:
        return dict.fromkeys(asked, "no errors")
    words = {}
    for claim, questions in asked.items():
        full, part = zip(*(_beyond(result, key, sign) for key, sign in questions), strict=True)
        words[claim] = "holds" if all(full) else "holds in part" if any(part) else "does not hold"
    return words


def _beyond(result, key, sign):
    """Whether a statistic lies beyond all nulls, and beyond some way of shuffling."""
    seen, beyond = result["observed"]["value"][key], {}
    for name, null in result["nulls"].items():
        known = null["p"][key] is not None and null["p"][key] < ALPHA
        beyond[name] = known and sign * (seen - null["value"][key]) > 0
    shuffled = beyond["shuffled"] and beyond["shuffled errors"]
    return all(beyond.values()), shuffled or beyond["shuffled within system"]


def _per_pattern(predicted, labels):
    """Each statistic as a value a pattern, in hops or percent; of use for the wrong ones."""
    distance = dag.distances()[labels, predicted]
    relation = dag.relations(labels + 1, predicted + 1)
    rates = {name: 100.0 * (relation == name) for name in STATISTICS[2:]}
    return {"mean_distance": distance, "within_two": 100.0 * (distance <= 2), **rates}


def _hops(hops, true, guess):
    """Mean distance of the errors, and percent of them within two hops."""
    distance = hops[true, guess][true != guess]
    if not len(distance):
        return np.nan, np.nan
    return float(distance.mean()), 100 * float((distance <= 2).mean())
