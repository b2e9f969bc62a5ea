"""Calibration: temperature, prior weight and fusion of the heads; conformal sets of groups.

The scores of class k are s_k = z_k / T + w (log pi_target,k - log pi_train,k), where z is the
logarithm of the fused probability a p_rule + (1 - a) p_aux. The prior enters as a ratio because
the model has already absorbed the prior that it was trained with (Saerens et al. 2002).

A pattern's score is the probability of all groups that are ranked above the true one (adaptive
prediction sets, Romano, Sesia & Candes 2020, without their random part). Sets that go on up to the
right quantile of the scores of calibration patterns hold the true group with that frequency, or
a higher one. Patterns of one mineral family are alike, so a family has one vote, shared by its
patterns, and the promise is about families not seen before.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..base.errors import XrdlibError
from .metrics import check, ece, logsumexp, nll, top_k

T_RANGE = (0.1, 100.0)
W_RANGE = (0.0, 2.0)

RARE = 0.01  # share of minerals below which a group is rare

FUSION_GRID = tuple(np.linspace(0, 1, 11).tolist())


@dataclass(frozen=True)
class Calibration:
    """Temperature T, weight w of the prior ratio, weight a of the rule head."""

    T: float = 1.0
    w: float = 1.0
    a: float = 0.5

    def apply(
        self, rule_logp: ArrayLike | None, aux_logp: ArrayLike | None, log_ratio: ArrayLike
    ) -> np.ndarray:
        """Calibrated log-probabilities, (n, 99) float64.

        Parameters
        ----------
        rule_logp, aux_logp : array_like, (n, 99), or None
            Log-probabilities of the two heads; None for a head that the model lacks.
        log_ratio : array_like, (99,)
            log pi_target - log pi_train, see `priors.log_ratio`.
        """
        return rescale(fuse(rule_logp, aux_logp, self.a), self.T, self.w, log_ratio)


def fuse(rule_logp: ArrayLike | None, aux_logp: ArrayLike | None, a: float) -> np.ndarray:
    """log(a p_rule + (1 - a) p_aux), or the one head that there is.

    Heads are (n, 99) or None; the weight a of the rule head, 0..1, has no effect on a single one.
    XrdlibError if both are missing or their shapes differ.
    """
    heads = [np.asarray(x, dtype=np.float64) for x in (rule_logp, aux_logp) if x is not None]
    if not heads or any(head.shape != heads[0].shape for head in heads):
        raise XrdlibError(
            f"Fusion needs one head, or two of equal shape; got {[h.shape for h in heads]}."
        )
    if len(heads) == 1 or a in (0, 1):
        return heads[0] if a == 1 else heads[-1]
    return np.logaddexp(np.log(a) + heads[0], np.log1p(-a) + heads[1])


def rescale(logp: ArrayLike, T: float, w: float, log_ratio: ArrayLike) -> np.ndarray:
    """Normalised s = logp / T + w log_ratio, (n, 99); at infinite T the prior ratio is left."""
    scores = np.asarray(logp, dtype=np.float64) / T + w * np.asarray(log_ratio)
    return scores - logsumexp(scores)[:, None]


def fit(
    rule_logp: ArrayLike | None, aux_logp: ArrayLike | None, labels: ArrayLike, log_ratio: ArrayLike
) -> Calibration:
    """Choose T, w and a by the NLL of calibration patterns.

    For given a the NLL is convex in (1 / T, w), so each point of a grid over a is solved to its
    global minimum; a bounded search around the best grid point then refines a.

    Parameters
    ----------
    rule_logp, aux_logp : array_like, (n, 99), or None
        As for `Calibration.apply`.
    labels : array_like, (n,)
        True classes 0..98.
    log_ratio : array_like, (99,)
        Where it is constant w has no effect and stays 1.

    Returns
    -------
    Calibration
        Within `T_RANGE` and `W_RANGE`; a is 1 or 0 where only one head is given.
    """
    from scipy.optimize import minimize_scalar  # slow to load, and a prediction needs none of it

    if rule_logp is None or aux_logp is None:
        return _fit_scale(rule_logp, aux_logp, labels, log_ratio, float(aux_logp is None))[1]
    grid = profile_fusion(rule_logp, aux_logp, labels, log_ratio)
    best, step = min(grid, key=lambda point: point[0]), FUSION_GRID[1]

    def at(a):
        return _fit_scale(rule_logp, aux_logp, labels, log_ratio, float(a))

    bounds = (max(0.0, best[1].a - step), min(1.0, best[1].a + step))
    refined = minimize_scalar(lambda a: at(a)[0], bounds=bounds, options={"xatol": 1e-3})
    return min(best, at(refined.x), key=lambda point: point[0])[1]


def profile_fusion(
    rule_logp: ArrayLike, aux_logp: ArrayLike, labels: ArrayLike, log_ratio: ArrayLike
) -> list[tuple[float, Calibration]]:
    """NLL on the given patterns at each fusion weight a with the T and w that are best there."""
    return [_fit_scale(rule_logp, aux_logp, labels, log_ratio, a) for a in FUSION_GRID]


def temperature_curve(
    logp: ArrayLike,
    labels: ArrayLike,
    w: float,
    log_ratio: ArrayLike,
    temperatures: Iterable[float] = tuple(np.geomspace(0.5, 50, 25).tolist()),
) -> dict:
    """Scores against temperature, up to the limit where only the prior ratio is left.

    Of fused log-probabilities (n, 99) before scaling; w is the weight of the prior ratio.

    Returns
    -------
    dict
        Lists "temperature", "nll" (nats), "top1", "top5", "ece" (percent), and "limit", the same
        four scores at infinite temperature.
    """
    rows = []
    for T in (*temperatures, np.inf):
        s = rescale(logp, T, w, log_ratio)
        hits = {f"top{k}": 100 * top_k(s, labels, k) for k in (1, 5)}
        rows.append({"nll": nll(s, labels), **hits, "ece": 100 * ece(s, labels)})
    curve = {key: [row[key] for row in rows[:-1]] for key in rows[0]}
    return {"temperature": list(temperatures), **curve, "limit": rows[-1]}


def _fit_scale(rule_logp, aux_logp, labels, ratio, a):
    """(NLL, Calibration) of the best T and w at fusion weight a."""
    from scipy.optimize import minimize

    z, labels = check(fuse(rule_logp, aux_logp, a), labels)
    ratio = np.asarray(ratio, dtype=np.float64)
    rows = np.arange(len(labels))

    def cost(x):
        scores = x[0] * z + x[1] * ratio
        log_total = logsumexp(scores)
        p = np.exp(scores - log_total[:, None])
        value = (log_total - scores[rows, labels]).mean()
        by_beta = ((p * z).sum(axis=1) - z[rows, labels]).mean()
        by_w = (p @ ratio - ratio[labels]).mean()
        return value, np.array([by_beta, by_w])

    bounds = [(1 / T_RANGE[1], 1 / T_RANGE[0]), W_RANGE]
    solution = minimize(cost, [1.0, 1.0], jac=True, bounds=bounds, method="L-BFGS-B")
    return float(solution.fun), Calibration(T=float(1 / solution.x[0]), w=float(solution.x[1]), a=a)


def scores(logp: ArrayLike, labels: ArrayLike) -> np.ndarray:
    """Probability of the groups above the true one, (n,) in [0, 1): 0 where it is ranked first.

    Of log-probabilities (n, 99) that were not fitted on these patterns, and true classes 0..98.
    """
    logp, labels = check(logp, labels)
    p = np.exp(logp)
    own = p[np.arange(len(p)), labels]
    return (p * (p > own[:, None])).sum(axis=1)


def quantile(values: ArrayLike, families: ArrayLike, coverage: float) -> float:
    """Score up to which a set must go; 1, so that all groups are in it, of too few families.

    Parameters
    ----------
    values, families : array_like, (n,)
        Scores as from `scores`, and the family of each pattern.
    coverage : float
        Frequency with which sets shall hold the true group, above 0 and below 1.

    Raises
    ------
    XrdlibError
        If the coverage is out of range, or values and families differ in length or are none.
    """
    values, families = np.asarray(values, dtype=np.float64), np.asarray(families)
    if not 0 < coverage < 1:
        raise XrdlibError(f"The coverage is {coverage}; give a number above 0 and below 1.")
    if len(values) == 0 or values.shape != families.shape:
        raise XrdlibError("A conformal quantile needs scores, and the family of each.")
    _, member, size = np.unique(families, return_inverse=True, return_counts=True)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum((1 / size[member])[order])
    # The pattern to come counts as one more family, whose score may be the highest.
    wanted = coverage * (len(size) + 1)
    at = np.searchsorted(reached, wanted * (1 - 1e-12))
    return float(values[order[at]]) if at < len(values) else 1.0


def thresholds(
    values: ArrayLike,
    families: ArrayLike,
    coverage: float,
    labels: ArrayLike | None = None,
    minerals: ArrayLike | None = None,
) -> float | np.ndarray:
    """Score up to which a set must go, for rare and for frequent groups of their own.

    One quantile for all holds on average, and rare groups pay for frequent ones. So each of the two
    kinds gets the quantile of its own calibration families (Mondrian prediction sets, Vovk 2013).

    Parameters
    ----------
    values, families, coverage
        As for `quantile`.
    labels : array_like, (n,), optional
        True classes 0..98 of the calibration patterns; without them there is one score for all.
    minerals : array_like, (99,), optional
        Share of each group; below `RARE` it is rare.

    Returns
    -------
    float, or ndarray, (99,)
        Of each group.
    """
    if labels is None:
        return quantile(values, families, coverage)
    values, families, rare = np.asarray(values), np.asarray(families), np.asarray(minerals) < RARE
    own, limits = rare[np.asarray(labels)], np.ones(len(rare))
    for kind in (False, True):
        if (own == kind).any():
            mine = own == kind
            limits[rare == kind] = quantile(values[mine], families[mine], coverage)
    return limits


def members(probability: ArrayLike, threshold: float | np.ndarray) -> np.ndarray:
    """Groups of the sets, (n, 99) bool: those above which no more probability (n, 99) lies than
    the threshold of each, as from `thresholds`.
    """
    probability = np.asarray(probability, dtype=np.float64)
    order = np.argsort(-probability, axis=1, kind="stable")
    ranked = np.take_along_axis(probability, order, axis=1)
    before = np.cumsum(ranked, axis=1) - ranked
    inside = np.zeros(probability.shape, dtype=bool)
    # Rounding must not leave out a group that a score of the same sum let in.
    limit = np.broadcast_to(threshold, probability.shape[1:])[order]
    np.put_along_axis(inside, order, before <= limit + 1e-9, axis=1)
    return inside
