"""Paired contrasts, rank correlations within classes, and shares of variance, with tests.

Ranks are compared within classes, so that a class that is both hard and badly measured does not
pass for an effect of quality; permutations and resamples move mineral families as blocks.
"""

from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from ..base.errors import XrdlibError
from .metrics import family_bootstrap


def family_means(values: np.ndarray, families: ArrayLike) -> np.ndarray:
    """Means within each family of values (n, k), so that every family counts once."""
    _, member, size = np.unique(families, return_inverse=True, return_counts=True)
    total = np.zeros((len(size), values.shape[1]))
    np.add.at(total, member, values)
    return total / size[:, None]


def compare(
    values: ArrayLike, families: ArrayLike, n_boot: int = 1000, n_flips: int = 2000, seed: int = 0
) -> dict:
    """Is a mean paired difference zero? For several questions together.

    If the two members of a pair could be exchanged, the sign of a family's difference would be
    random. The largest studentised mean of all questions under random signs gives p-values that
    hold for all of them at once (Westfall & Young 1993, single step).

    Parameters
    ----------
    values : array_like, (n, k)
        Differences between the two members of n pairs.
    families : array_like, (n,)

    Returns
    -------
    dict
        "n" pairs, "n_families", and lists of k: "mean" over families, "ci95" (bootstrap over
        families), "p" (two-sided, of each alone) and "p_all" (corrected for all).

    Raises
    ------
    XrdlibError
        If there are fewer than two families, or a value is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    means = family_means(values, families)
    n = len(means)
    if n < 2 or not np.isfinite(means).all():
        raise XrdlibError(
            f"A paired test needs finite differences of two families or more; got {n} families."
        )
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=n_boot) @ means / n
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    signs = rng.choice([-1.0, 1.0], size=(n_flips, n))
    signs[0] = 1  # the observed one belongs to its own distribution
    flipped = signs @ means / n
    spread = np.sqrt(np.maximum((means**2).mean(axis=0) - flipped**2, 1e-300) / (n - 1))
    size = np.abs(flipped) / spread
    return {
        "n": len(values),
        "n_families": n,
        "mean": means.mean(axis=0).tolist(),
        "ci95": np.column_stack([low, high]).tolist(),
        "p": (size >= size[0] - 1e-12).mean(axis=0).tolist(),
        "p_all": (size.max(axis=1)[:, None] >= size[0] - 1e-12).mean(axis=0).tolist(),
    }


def holm(rows: list[dict]) -> None:
    """Write "p_holm" into rows with "p": p-values that hold for all rows together (Holm 1979)."""
    worst = 0.0
    for k, row in enumerate(sorted(rows, key=lambda row: row["p"])):
        worst = max(worst, min(1.0, row["p"] * (len(rows) - k)))
        row["p_holm"] = worst


def association(
    x: ArrayLike,
    y: ArrayLike,
    families: ArrayLike,
    strata: ArrayLike | None = None,
    n_permutations: int = 1000,
    n_boot: int = 1000,
    seed: int = 0,
) -> dict:
    """Spearman's rank correlation of two quantities, within strata.

    Ranks are taken over all patterns, then each stratum's mean is taken off; the correlation of
    what is left is that within strata, pooled.

    Parameters
    ----------
    x, y : array_like, (n,)
        Numbers; a pattern where either is NaN is left out.
    families : array_like, (n,)
    strata : array_like, (n,), optional
        Patterns are compared within these only, such as classes.

    Returns
    -------
    dict
        "rho" (None where one does not vary), "rho_ci95" over families, "p" (two-sided, families
        permuted as blocks within strata), "n", and "n_informative" and "strata_informative": the
        patterns and strata in which both vary; the others say nothing.

    Raises
    ------
    XrdlibError
        If the lengths differ.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    families = np.asarray(families)
    strata = np.zeros(len(x)) if strata is None else np.asarray(strata)
    if not (x.ndim == 1 and x.shape == y.shape == families.shape == strata.shape):
        raise XrdlibError(
            "An association needs as many numbers of both kinds, families and strata."
        )
    finite = np.isfinite(x) & np.isfinite(y)
    family, stratum = (np.unique(c[finite], return_inverse=True)[1] for c in (families, strata))
    member = np.eye(stratum.max(initial=-1) + 1)[stratum]
    ranks = [rankdata(v[finite]) for v in (x, y)]
    one = np.ones((1, len(family)))
    varies = np.stack([_spread(r, member) > 1e-9 for r in ranks]).all(0)
    result = {
        **dict.fromkeys(("rho", "rho_ci95", "p")),
        "n": int(finite.sum()),
        "n_informative": int(member[:, varies].sum()),
        "strata_informative": int(varies.sum()),
    }
    if not varies.any():
        return result
    rho = float(_within(*ranks, member, one)[0])
    rng = np.random.default_rng(seed)
    left, right = (r - member @ ((r @ member) / member.sum(0)) for r in ranks)
    order = np.array([block_permutation(family, stratum, rng) for _ in range(n_permutations)])
    dealt = right[order] @ left / (np.linalg.norm(left) * np.linalg.norm(right))
    extreme = (np.abs(dealt) >= abs(rho) - 1e-12).sum()
    result |= {"rho": rho, "p": float((1 + extreme) / (1 + n_permutations))}
    if family.max() > 0:
        drawn = partial(_within, *ranks, member)
        result["rho_ci95"] = family_bootstrap(drawn, family, n_boot, seed)
    return result


def explained_variance(
    columns: ArrayLike,
    y: ArrayLike,
    families: ArrayLike,
    n_permutations: int = 200,
    folds: int = 5,
    seed: int = 0,
) -> dict:
    """Share of the variance of y that a linear fit to other families explains.

    Parameters
    ----------
    columns : array_like, (n, k)
        Predictors; NaN becomes the mean.
    y, families : array_like, (n,)
        Folds keep families whole.
    n_permutations : int
        Of y, families as blocks; their shares are the null.

    Returns
    -------
    dict
        "share" (1 less the ratio of the cross-validated error to the variance; below 0 the fit
        is worse than the mean), "null95" (95th percentile of the null) and "p".
    """
    columns, y = np.asarray(columns, dtype=np.float64), np.asarray(y, dtype=np.float64)
    _, family = np.unique(families, return_inverse=True)
    columns = np.where(np.isfinite(columns), columns, np.nanmean(columns, axis=0))
    z = (columns - columns.mean(0)) / np.maximum(columns.std(0), 1e-9)
    rng = np.random.default_rng(seed)
    fold = rng.permutation(family.max() + 1)[family] % folds
    one = np.zeros_like(family)
    dealt = [y[block_permutation(family, one, rng)] for _ in range(n_permutations)]
    every = np.array([y, *dealt]).T  # all at once: they share the predictors
    error = np.zeros(every.shape[1])
    for k in range(folds):
        fit, held = fold != k, fold == k
        design, mean = z[fit], every[fit].mean(0)
        # Ridge: one standard deviation of every predictor weighs as much as a few patterns.
        gram = design.T @ design + folds * np.eye(z.shape[1])
        weight = np.linalg.solve(gram, design.T @ (every[fit] - mean))
        error += ((every[held] - mean - z[held] @ weight) ** 2).sum(0)
    share = 1 - error / ((every - every.mean(0)) ** 2).sum(0)
    extreme = (share[1:] >= share[0]).sum()
    return {
        "share": float(share[0]),
        "null95": float(np.percentile(share[1:], 95)),
        "p": float((1 + extreme) / (1 + n_permutations)),
    }


def _spread(ranks, member):
    """Variance of ranks in each stratum."""
    size = member.sum(0)
    return (ranks**2 @ member) / size - ((ranks @ member) / size) ** 2


def _within(x, y, member, weights):
    """Weighted correlation within strata for each row of weights, (B,); NaN where undefined."""
    size = np.maximum(weights @ member, 1e-12)

    def sums(v):
        return weights @ (v[:, None] * member)

    def moment(u, v):
        return (sums(u * v) - sums(u) * sums(v) / size).sum(1)

    scale = moment(x, x) * moment(y, y)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(scale > 1e-9, moment(x, y) / np.sqrt(scale), np.nan)


def block_permutation(
    family: np.ndarray, stratum: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Random permutation that stays within strata and moves families as blocks.

    Parameters
    ----------
    family, stratum : ndarray, (n,) int

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
