"""Errors on the graph of symmetry lowering, beside shuffled errors.

Every statistic of the errors is set against four nulls that know the class frequencies but not
the pattern. Patterns of one mineral family are alike, so permutations move families as blocks.
"""

from functools import cache

import networkx as nx
import numpy as np

from ..base.errors import XrdlibError
from ..learning import priors
from ..learning.metrics import check, resamples
from ..learning.statistics import block_permutation, holm
from ..structures import published
from ..structures.datasets import MissingData
from ..symmetry import dag, groups

ALPHA = 0.05

STATISTICS = ("mean_distance", "within_two", "descendant", "ancestor", "branch")

SHUFFLES = ("shuffled", "shuffled errors", "shuffled within system")

NULLS = {
    "shuffled": "its predictions shuffled over all patterns",
    "shuffled errors": "its wrong predictions shuffled among themselves",
    "shuffled within system": "shuffling inside each true crystal system",
    "constant": "the prior's most probable group predicted every time",
}

# Permutations are scored in slices of this many predictions, which bounds memory.
_SLICE = 1_000_000


def analyse(logp, labels, families, prior, n_permutations=2000, seed=0):
    """Distance and direction of errors on the subgroup graph, against nulls.

    Statistics of the errors: mean distance (hops, edges either way), percent within two hops,
    percent descendant (predicted symmetry lower than the true one), ancestor (higher), branch.

    True labels stay fixed throughout. Against a shuffle, p is two-sided: twice the smaller tail
    of the permutation distribution, at most 1. Against the constant, model and constant are
    swapped at random family by family, and p is the share of swaps with a difference at least as
    large (a paired permutation test).

    Parameters
    ----------
    logp : array_like, (n, 99)
        Log-probabilities; the most probable group is the prediction.
    labels : array_like, (n,)
        True classes 0..98.
    families : array_like, (n,)
        Mineral family of each pattern.
    prior : array_like, (99,)
        Probabilities or log-probabilities; the constant null predicts its largest.
    n_permutations : int
    seed : int

    Returns
    -------
    dict, JSON-able
        "n", "n_errors", "accuracy" (percent); "observed" and "nulls"[name]: "value" of each
        statistic, "distance" and "direction" (percent of errors by hops and by relation), and for
        the nulls "p" and, for shuffles, "ci95" of each statistic; "verdict": what the
        numbers say about each claim, in plain words.

    Raises
    ------
    XrdlibError
        If the input is not a set of predictions (`metrics.check`), or lengths differ.
    """
    logp, labels = check(logp, labels)
    families, prior = np.asarray(families), np.asarray(prior)
    if families.shape != labels.shape or prior.shape != (groups.N_GROUPS,):
        raise XrdlibError(
            f"Error analysis of {len(labels)} patterns needs as many families and a prior over "
            f"{groups.N_GROUPS} groups; got shapes {families.shape} and {prior.shape}."
        )
    predicted, constant = logp.argmax(axis=1), np.full(len(labels), prior.argmax())
    wrong = predicted != labels
    observed = _describe(_histograms(predicted[None], labels))
    result = {
        "n": len(labels),
        "n_errors": int(wrong.sum()),
        "accuracy": 100 * float(1 - wrong.mean()),
        "observed": observed,
    }
    if not wrong.any():
        return {**result, "nulls": {}, "verdict": {"errors": "There are no errors to analyse."}}
    _, family = np.unique(families, return_inverse=True)
    system = np.array([groups.SYSTEMS.index(name) for name in groups.crystal_systems()])[labels]
    one = np.zeros_like(system)
    rng = np.random.default_rng(seed)
    cases = {
        "shuffled": (predicted, labels, family, one),
        "shuffled errors": (predicted[wrong], labels[wrong], family[wrong], one[wrong]),
        "shuffled within system": (predicted, labels, family, system),
    }
    nulls = {
        name: _shuffle_null(observed["value"], *case, n_permutations, rng)
        for name, case in cases.items()
    }
    nulls["constant"] = _constant_null(predicted, constant, labels, family, n_permutations, rng)
    return {**result, "nulls": nulls, "verdict": _verdict(observed["value"], nulls)}


def _histograms(predicted, labels):
    """Errors by hops, (B, hops), and by relation, (B, 3), of B sets of predictions (B, n)."""
    hops = dag.distances().astype(np.int8)
    every = np.arange(1, groups.N_GROUPS + 1)
    names = dag.relations(every[:, None], every[None, :])
    by_hops, by_relation = [], []
    step = max(1, _SLICE // len(labels))
    for first in range(0, len(predicted), step):
        part = predicted[first : first + step]
        distance, name = hops[labels, part], names[labels, part]
        by_hops.append([(distance == d).sum(axis=1) for d in range(1, hops.max() + 1)])
        by_relation.append([(name == r).sum(axis=1) for r in STATISTICS[2:]])
    return tuple(np.concatenate(parts, axis=1).T for parts in (by_hops, by_relation))


def _values(histograms):
    """Each statistic of B sets of errors, (B,); NaN where a set has no error."""
    by_hops, by_relation = histograms
    total = by_hops.sum(axis=1)
    total = np.where(total > 0, total, np.nan)
    mean = by_hops @ np.arange(1, by_hops.shape[1] + 1) / total
    rates = [by_hops[:, :2].sum(axis=1), *by_relation.T]
    return dict(zip(STATISTICS, [mean, *(100 * rate / total for rate in rates)], strict=True))


def _describe(histograms):
    """Statistics and histograms (percent of errors) averaged over B sets of errors."""
    by_hops, by_relation = (counts.sum(axis=0) for counts in histograms)
    total = max(int(by_hops.sum()), 1)
    return {
        "value": {key: _mean(value) for key, value in _values(histograms).items()},
        "distance": {str(i): 100 * float(c) / total for i, c in enumerate(by_hops, 1)},
        "direction": {
            name: 100 * float(c) / total
            for name, c in zip(STATISTICS[2:], by_relation, strict=True)
        },
    }


def _shuffle_null(observed, predicted, labels, family, stratum, n_permutations, rng):
    dealt = [predicted[block_permutation(family, stratum, rng)] for _ in range(n_permutations)]
    histograms = _histograms(np.array(dealt), labels)
    null = {**_describe(histograms), "ci95": {}, "p": {}}
    for key, value in _values(histograms).items():
        value = value[np.isfinite(value)]
        if len(value) == 0:
            null["ci95"][key], null["p"][key] = None, None
            continue
        null["ci95"][key] = [float(end) for end in np.percentile(value, [2.5, 97.5])]
        # Equal statistics may differ in the last bit; they count as ties.
        tails = ((value <= observed[key] + 1e-9).sum(), (value >= observed[key] - 1e-9).sum())
        null["p"][key] = min(1.0, float(2 * (1 + min(tails)) / (1 + len(value))))
    return null


def _constant_null(predicted, constant, labels, family, n_permutations, rng):
    swap = rng.random((n_permutations, family.max() + 1))[:, family] < 0.5
    swap[0] = False  # the first row is the observed pair
    one = _values(_histograms(np.where(swap, constant, predicted), labels))
    other = _values(_histograms(np.where(swap, predicted, constant), labels))
    null = {**_describe(_histograms(constant[None], labels)), "p": {}}
    for key in STATISTICS:
        gap = np.abs(one[key] - other[key])
        gap = gap[np.isfinite(gap)]
        known = null["value"][key] is not None
        null["p"][key] = float((gap >= gap[0] - 1e-9).mean()) if known else None
    return null


def _mean(value):
    value = value[np.isfinite(value)]
    return float(value.mean()) if len(value) else None


def _verdict(observed, nulls):
    claims = {
        "errors are local": ("mean_distance", -1, "The model's mean distance of an error", " hops"),
        "errors flow to lower symmetry": (
            "descendant",
            1,
            "The model's share of errors that go to descendants",
            " %",
        ),
    }
    verdict = {}
    for claim, (key, sign, what, unit) in claims.items():
        found = {name: sign * _significant(observed, null, key) for name, null in nulls.items()}
        # The claim stands or falls only if both ways of shuffling over all patterns agree.
        agreed = {found[name] for name in SHUFFLES[:2]}
        head = {1: "Supported", -1: "Contradicted"}.get(agreed.pop() if len(agreed) == 1 else 0)
        against = [
            f"{nulls[name]['value'][key]:.2f} with {text} (p = {nulls[name]['p'][key]:.2g})"
            for name, text in NULLS.items()
            if nulls[name]["p"][key] is not None
        ]
        sentences = [
            head or "Not supported",
            f"{what} is {observed[key]:.2f}{unit}, against {'; '.join(against)}",
        ]
        if head == "Supported" and found["shuffled within system"] != 1:
            sentences.append("Within a crystal system the effect is not seen")
        if head == "Supported" and found["constant"] == -1:
            sentences.append("A constant prediction shows more of it than the model")
        verdict[claim] = ". ".join(sentences) + "."
    return verdict


def _significant(observed, null, key):
    """-1, 0 or 1: significantly below the null, not significant, significantly above."""
    if null["p"][key] is None or null["p"][key] >= ALPHA:
        return 0
    return int(np.sign(observed[key] - null["value"][key]))


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
        As for `graph_errors.analyse`.
    n_permutations, n_boot, seed : int

    Returns
    -------
    dict
        "model", "subset", what `graph_errors.analyse` gives, "n_families", "n_predicted" (groups
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
        cases = published.load_published()
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
        By `graph_errors.STATISTICS`; null with fewer than two families.
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
        With "observed" and "nulls" as `graph_errors.analyse` gives them.

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
