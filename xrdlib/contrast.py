"""Paired differences over mineral families: means, intervals, and tests of many at once."""

import numpy as np

from .errors import XrdlibError


def family_means(values, families):
    """Mean of pairs within each family, so that every family counts once.

    Parameters
    ----------
    values : ndarray, (n, k)
        A row a pair, a column a question.
    families : array_like, (n,)

    Returns
    -------
    ndarray, (number of families, k)
    """
    _, member, size = np.unique(families, return_inverse=True, return_counts=True)
    total = np.zeros((len(size), values.shape[1]))
    np.add.at(total, member, values)
    return total / size[:, None]


def compare(values, families, n_boot=1000, n_flips=2000, seed=0):
    """Is a mean paired difference zero? For several questions together.

    If the two places of a pair could be exchanged, the sign of a family's difference would be
    random. The largest studentised mean of all questions under random signs gives p-values that
    hold for all of them at once (Westfall & Young 1993, single step).

    Parameters
    ----------
    values : array_like, (n, k)
        Differences between the two places of n pairs.
    families : array_like, (n,)
    n_boot, n_flips, seed : int

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


def holm(rows):
    """Write "p_holm" into rows with "p": p-values that hold for all rows together (Holm 1979).

    Parameters
    ----------
    rows : list of dict
        Changed in place.
    """
    worst = 0.0
    for k, row in enumerate(sorted(rows, key=lambda row: row["p"])):
        worst = max(worst, min(1.0, row["p"] * (len(rows) - k)))
        row["p_holm"] = worst
