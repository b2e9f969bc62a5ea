"""Are errors local on the subgroup graph, and do they flow to lower symmetry? Tested, not told.

Every statistic of the errors is set against four nulls that know the class frequencies but not
the pattern. Patterns of one mineral family are alike, so permutations move families as blocks.
"""

import numpy as np

from . import dag, groups
from .errors import XrdlibError
from .metrics import check

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


def block_permutation(family, stratum, rng):
    """Random permutation that stays within strata and moves families as blocks.

    Parameters
    ----------
    family, stratum : ndarray, (n,) int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, (n,) int64
        Blocks of unequal size cannot all stay whole; they are laid end to end in random order.
    """
    keys = rng.random((2, family.max() + 1))
    source, target = (np.lexsort((key[family], stratum)) for key in keys)
    order = np.empty_like(source)
    order[target] = source
    return order


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
