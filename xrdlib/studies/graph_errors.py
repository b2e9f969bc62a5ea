"""Errors on the graph of symmetry lowering, model by model, beside null predictions.

Every statistic of the errors is set against four nulls that know the class frequencies but not
the pattern. Patterns of one mineral family are alike, so permutations move families as blocks.
"""

from functools import cache

import numpy as np
from numpy import ndarray

from ..base.errors import XrdlibError
from ..learning import priors
from ..learning.metrics import check, means, resamples
from ..learning.statistics import block_permutation
from ..structures import published
from ..structures.datasets import MissingData
from ..symmetry import dag, groups

ALPHA = 0.05
PUBLISHED = "published champion"
STATISTICS = ("mean_distance", "within_two", "descendant", "ancestor", "branch")
SHUFFLES = ("shuffled", "shuffled errors", "shuffled within system")
NULLS = {
    "shuffled": "its predictions shuffled over all patterns",
    "shuffled errors": "its wrong predictions shuffled among themselves",
    "shuffled within system": "shuffling inside each true crystal system",
    "constant": "the prior's most probable group predicted every time",
}

_ROUNDING = 1e-9  # equal statistics may differ in the last bit; they count as ties


def analyse(
    logp: ndarray,
    labels: ndarray,
    families: ndarray,
    prior: ndarray,
    n_permutations: int = 2000,
    seed: int = 0,
) -> dict:
    """Distance and direction of errors on the subgroup graph, against nulls.

    Statistics of the errors: mean distance (hops, edges either way), percent within two hops,
    percent descendant (predicted symmetry lower than the true one), ancestor (higher), branch.

    True labels stay fixed throughout. Against a shuffle, p is two-sided: twice the smaller tail
    of the permutation distribution, at most 1. Against the constant, model and constant are
    swapped at random family by family, and p is the share of swaps with a difference at least as
    large (a paired permutation test).

    Predictions are the most probable groups of logp (n, 99), true classes 0..98, `prior` (99,)
    probabilities or log-probabilities, of which the constant null predicts the largest.

    Gives, for JSON, "n", "n_errors", "accuracy" (percent); "observed" and "nulls"[name]: "value" of
    each statistic, "distance" and "direction" (percent of errors by hops and by relation), and for
    the nulls "p" and, for shuffles, "ci95" of each statistic. Without errors there are no nulls.

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
    observed = _describe(predicted[None], labels)
    result = {
        "n": len(labels),
        "n_errors": int(wrong.sum()),
        "accuracy": 100 * float(1 - wrong.mean()),
        "observed": observed,
    }
    if not wrong.any():
        return {**result, "nulls": {}}
    _, family = np.unique(families, return_inverse=True)
    system = np.array([groups.SYSTEMS.index(name) for name in groups.crystal_systems()])[labels]
    one = np.zeros_like(system)
    rng = np.random.default_rng(seed)
    cases = (
        (predicted, labels, family, one),
        (predicted[wrong], labels[wrong], family[wrong], one[wrong]),
        (predicted, labels, family, system),
    )
    nulls = {}
    for name, (guess, true, block, stratum) in zip(SHUFFLES, cases, strict=True):
        dealt = _dealt(guess, block, stratum, n_permutations, rng)
        nulls[name] = {**_describe(dealt, true), "ci95": {}, "p": {}}
        for key, values in _values(dealt, true).items():
            test = _two_sided(values, observed["value"][key])
            nulls[name]["ci95"][key], nulls[name]["p"][key] = test["ci95"], test["p"]
    nulls["constant"] = _constant_null(predicted, constant, labels, family, n_permutations, rng)
    return {**result, "nulls": nulls}


def study(
    name: str,
    subset: str,
    logp: ndarray,
    labels: ndarray,
    families: ndarray,
    prior: ndarray,
    n_permutations: int = 1000,
    n_boot: int = 1000,
    seed: int = 0,
) -> dict:
    """Everything about one model's errors; arrays as for `analyse`.

    Gives "model", "subset", what `analyse` gives, "n_families", "n_predicted" (groups predicted at
    all), "most_predicted" ("group" and "share" in percent), "ci95" of each statistic (bootstrap
    over families), and "summary" (see `summary`).
    """
    labels, families = np.asarray(labels), np.asarray(families)
    analysis = analyse(logp, labels, families, prior, n_permutations, seed)
    predicted = np.asarray(logp).argmax(axis=1)
    counts = np.bincount(predicted, minlength=groups.N_GROUPS)
    each = {key: table[labels, predicted] for key, table in _tables().items()}
    spread = means(each, families, n_boot, seed, votes=predicted != labels)
    result = {
        "model": name,
        "subset": subset,
        **analysis,
        "n_families": len(np.unique(families)),
        "n_predicted": int((counts > 0).sum()),
        "most_predicted": {
            "group": groups.symbols()[counts.argmax()],
            "share": 100 * float(counts.max() / counts.sum()),
        },
        "ci95": {key: spread[f"{key}_ci95"] for key in STATISTICS},
    }
    return {**result, "summary": summary(result)}


def of_published(**options: int) -> dict | None:
    """The study of the published predictions, None where they are not at hand.

    The constant null is their commonest true group; `options` are `n_permutations`, `n_boot` and
    `seed` of `study`.
    """
    try:
        cases = published.load_published()
    except MissingData:
        return None
    logp, constant = as_log_probs(cases.top[:, 0]), priors.fit_prior(cases.label)
    arrays = (logp, cases.label, cases.family, constant)
    return study(PUBLISHED, published.NAME, *arrays, **options)


def contrast(
    first: ndarray,
    second: ndarray,
    labels: ndarray,
    families: ndarray,
    n_boot: int = 1000,
    seed: int = 0,
) -> dict | None:
    """What changes in the errors of the same patterns from one set of predictions to another.

    Predicted and true classes are (n,) of 0..98; predictions may be (seeds, n), whose errors are
    then pooled. Whole families are resampled, the same for both.

    Gives for "mean_distance" (hops), "descendant", "ancestor", "branch" and "downward" (descendants
    less ancestors, percent of errors) "first", "second", "change" (second less first) and
    "change_ci95"; None where either makes no error, or there are fewer than two families.
    """
    guesses = [np.atleast_2d(guess) for guess in (first, second)]
    labels, families = np.asarray(labels), np.asarray(families)
    if len(np.unique(families)) < 2 or any((guess == labels).all() for guess in guesses):
        return None
    tables = {key: _tables()[key] for key in ("mean_distance", *STATISTICS[2:])}
    tables["downward"] = tables["descendant"] - tables["ancestor"]
    drawn = np.concatenate([np.ones((1, len(labels))), *resamples(families, n_boot, seed)])
    rates = []
    for guess in guesses:
        count = np.maximum(drawn @ (guess != labels).sum(axis=0), 1e-12)
        rates.append({k: drawn @ t[labels, guess].sum(axis=0) / count for k, t in tables.items()})
    rows = {}
    for key in tables:
        change = rates[1][key] - rates[0][key]
        ends = np.percentile(change[1:], [2.5, 97.5]).tolist()
        values = {"first": rates[0][key][0], "second": rates[1][key][0], "change": change[0]}
        rows[key] = {name: float(value) for name, value in values.items()} | {"change_ci95": ends}
    return rows


def as_log_probs(classes: ndarray, p: float = 0.9) -> ndarray:
    """Log-probabilities whose most probable class is the given one, (n, 99).

    For predictions of which only the first class is known; nothing but that class can be read.
    """
    classes = np.asarray(classes)
    rows = np.full((len(classes), groups.N_GROUPS), (1 - p) / (groups.N_GROUPS - 1))
    rows[np.arange(len(classes)), classes] = p
    return np.log(rows)


def summary(result: dict) -> dict[str, str]:
    """Verdict of one model's errors on the two claims, in one word each.

    Gives "local" (asked of the mean distance and of the share within two hops) and "flow to lower
    symmetry" (of the share of descendants): "holds" (all that is asked lies beyond both ways of
    shuffling, beyond shuffling inside the crystal system and beyond the constant), "holds in part"
    (some of it lies beyond both ways of shuffling, or beyond the one inside the system), else "does
    not hold".
    """
    asked = {
        "local": (("mean_distance", -1), ("within_two", 1)),
        "flow to lower symmetry": (("descendant", 1),),
    }
    if not result["nulls"]:
        return dict.fromkeys(asked, "no errors")
    words = {}
    for claim, questions in asked.items():
        sides = [_beyond(result["observed"]["value"], result["nulls"], *q) for q in questions]
        full = all(beyond[name] for beyond in sides for name in NULLS)
        part = any(b[SHUFFLES[0]] and b[SHUFFLES[1]] or b[SHUFFLES[2]] for b in sides)
        words[claim] = "holds" if full else "holds in part" if part else "does not hold"
    return words


@cache
def _tables():
    """What each statistic gives an error, hops or percent, by true and predicted class (99, 99)."""
    hops, every = dag.distances(), np.arange(1, groups.N_GROUPS + 1)
    names = dag.relations(every[:, None], every[None, :])
    near = (hops > 0) & (hops <= 2)
    rates = {"within_two": near} | {name: names == name for name in STATISTICS[2:]}
    return {"mean_distance": hops} | {name: 100.0 * rate for name, rate in rates.items()}


def _values(predicted, labels):
    """Each statistic of B sets of predictions (B, n), (B,); NaN where a set has no error."""
    total = (predicted != labels).sum(axis=1)
    total = np.where(total > 0, total, np.nan)
    return {k: table[labels, predicted].sum(axis=1) / total for k, table in _tables().items()}


def _describe(predicted, labels):
    """Statistics and histograms (percent of errors) averaged over B sets of predictions."""
    hops = dag.distances().astype(np.int64)
    count = np.bincount(hops[labels, predicted].ravel(), minlength=hops.max() + 1)[1:]
    total = max(int(count.sum()), 1)
    tables = {name: _tables()[name] for name in STATISTICS[2:]}
    return {
        "value": {key: _mean(value) for key, value in _values(predicted, labels).items()},
        "distance": {str(i): 100 * float(c) / total for i, c in enumerate(count, 1)},
        "direction": {k: float(t[labels, predicted].sum()) / total for k, t in tables.items()},
    }


def _dealt(predicted, family, stratum, n_permutations, rng):
    """Predictions dealt to other patterns, families as blocks, (n_permutations, n)."""
    order = [block_permutation(family, stratum, rng) for _ in range(n_permutations)]
    return predicted[np.array(order)]


def _two_sided(null, seen):
    """Interval of a null distribution, and how far out a value lies in it."""
    null = null[np.isfinite(null)]
    if not len(null):
        return {"ci95": None, "p": None}
    tails = ((null <= seen + _ROUNDING).sum(), (null >= seen - _ROUNDING).sum())
    p = min(1.0, float(2 * (1 + min(tails)) / (1 + len(null))))
    return {"ci95": np.percentile(null, [2.5, 97.5]).tolist(), "p": p}


def _constant_null(predicted, constant, labels, family, n_permutations, rng):
    swap = rng.random((n_permutations, family.max() + 1))[:, family] < 0.5
    swap[0] = False  # the first row is the observed pair
    one = _values(np.where(swap, constant, predicted), labels)
    other = _values(np.where(swap, predicted, constant), labels)
    null = {**_describe(constant[None], labels), "p": {}}
    for key in STATISTICS:
        gap = np.abs(one[key] - other[key])
        gap = gap[np.isfinite(gap)]
        defined = null["value"][key] is not None
        null["p"][key] = float((gap >= gap[0] - _ROUNDING).mean()) if defined else None
    return null


def _mean(value):
    value = value[np.isfinite(value)]
    return float(value.mean()) if len(value) else None


def _beyond(observed, nulls, key, sign):
    """Whether a statistic lies significantly beyond each null on the side of the sign."""
    beyond = {}
    for name, null in nulls.items():
        significant = null["p"][key] is not None and null["p"][key] < ALPHA
        beyond[name] = bool(significant and sign * (observed[key] - null["value"][key]) > 0)
    return beyond
