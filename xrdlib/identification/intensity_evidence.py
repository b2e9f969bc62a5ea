"""Which reflections a pattern shows and which are absent: likelihoods with intensities integrated.

For the fit of a cell (`cell_fits`) and the reflections that each group allows, the likelihood is
integrated over the intensities of the allowed reflections, as Markvardsen, David, Johnson &
Shankland (Acta Cryst. A57, 47, 2001) do; forbidden ones are zero. The prior of intensities is a
mixture of exponential (Wilson) distributions, since structures have whole classes of weak
reflections. Overlapping reflections are integrated together, by expectation propagation (Minka
2001). A peak where a group allows none may be an impurity's, at a price.
"""

import math

import numpy as np
from numba import njit

from .extinction_scores import clusters
from .reflection_profiles import lorentz_polarisation

SHARES = np.array([0.5, 0.3, 0.2])  # of reflections that are so strong:
SCALES = np.array([1.5, 0.3, 0.03])  # over the mean of their neighbours
IMPURITY = np.array([-4.0, -7.0])  # log-odds of an impurity peak that is weak, or strong
_STRONG = 0.1  # of the highest peak
_BINS = 6
_LEVEL = 0.5
_SWEEPS, _SETTLED = 8, 1e-2
_TINY = 1e-12


def mean_intensities(fit, weight):
    """Areas expected of reflections were all allowed, (k,): the trend of the fitted ones.

    Proportional to the number of reflections and their Lorentz-polarisation factor.

    Parameters
    ----------
    fit : cell_fits.CellFit
    weight : ndarray, (m,)
        How many reflections of the whole sphere each listed one stands for.
    """
    indexed = fit.unindexed == 0
    count = np.bincount(fit.profile, weight, len(indexed)) * lorentz_polarisation(fit.two_theta)
    at = np.flatnonzero(indexed)
    bins = np.array_split(at, min(_BINS, len(at)))
    overall = fit.intensity[indexed].sum() / count[indexed].sum() + _TINY
    ratio = [max(fit.intensity[r].sum() / count[r].sum(), 0.1 * overall) for r in bins]
    centre = [r.mean() for r in bins]
    mean = count * np.exp(np.interp(np.arange(len(indexed)), centre, np.log(ratio)))
    # Of an unindexed peak nothing is known but its height.
    return np.where(indexed, mean, fit.intensity) + _TINY


def log_evidence(fit, allowed, weight, scale=1.0, shares=SHARES, scales=SCALES, impurity=IMPURITY):
    """Log-likelihoods of sets of allowed reflections.

    Parameters
    ----------
    fit : cell_fits.CellFit
    allowed : ndarray, (s, m) bool
        Of reflections, in the order of `fit.profile`.
    weight : ndarray, (m,)
        As for `mean_intensities`.
    scale : float
        What squared misfits are divided by, 1 where a fit is as good as its noise.

    Returns
    -------
    ndarray, (s,) float64
        The same constant for all fits of one pattern is left out.
    """
    indexed = fit.unindexed == 0
    k = len(indexed)
    order = np.argsort(fit.profile, kind="stable")
    starts = np.flatnonzero(np.diff(fit.profile[order], prepend=-1))
    shown = np.ones((len(allowed), k), dtype=np.bool_)
    shown[:, fit.profile[order][starts]] = np.logical_or.reduceat(allowed[:, order], starts, axis=1)
    mean = mean_intensities(fit, weight)
    present = (shown[:, indexed] * mean[indexed]).sum(1)
    # The fewer reflections a group allows, the stronger they must be to make up the pattern.
    level = np.log(mean[indexed].sum() / np.maximum(present, _TINY))
    level = np.rint(np.clip(level, 0, 10) / _LEVEL).astype(np.int64)
    # Profiles that do not overlap have independent integrals.
    parts = clusters(fit.two_theta, fit.width)
    first = np.array([rows[0] for rows in parts] + [k])
    price = np.where(fit.unindexed < _STRONG, impurity[0], impurity[1])
    height = fit.intensity / fit.intensity.max()
    price = np.where(indexed & (height > _STRONG), impurity[1], price)
    total = _total(
        fit.band / scale, fit.right / scale, fit.intensity, first, shown, mean,
        level, price, shares, scales,
    )  # fmt: skip
    return total - 0.5 * fit.misfit / scale + price[~indexed].sum()


@njit(cache=True)
def _total(band, right, x, first, shown, mean, level, price, shares, scales):
    """Sum over clusters of the evidence of each set over that of the fitted intensities."""
    s, k = shown.shape
    width = band.shape[1]
    total = np.zeros(s)
    keys = np.zeros((s, 2), dtype=np.int64)
    values = np.zeros(s)
    for c in range(len(first) - 1):
        a, b = first[c], first[c + 1]
        n = b - a
        normal, rest = np.zeros((n, n)), np.zeros(n)
        for i in range(a, b):
            rest[i - a] = right[i]
            for d in range(width):
                j = i + d
                if j < k:
                    if j < b:
                        normal[i - a, j - a] = band[i, d]
                        normal[j - a, i - a] = band[i, d]
                    else:
                        rest[i - a] -= band[i, d] * x[j]
                j = i - d
                if d > 0 and 0 <= j < a:
                    rest[i - a] -= band[j, d] * x[j]
        base = 0.0
        for i in range(n):
            base += rest[i] * x[a + i]
            for j in range(n):
                base -= 0.5 * normal[i, j] * x[a + i] * x[a + j]
        # Sets that agree on a cluster share its integral, which is computed once.
        cases = 0
        everything = np.ones(n, dtype=np.bool_)
        for row in range(s):
            bits = 0
            for i in range(n):
                if shown[row, a + i]:
                    bits |= 1 << i
            case = -1
            for j in range(cases):
                if keys[j, 0] == bits and keys[j, 1] == level[row]:
                    case = j
                    break
            if case < 0:
                case = cases
                keys[cases, 0], keys[cases, 1] = bits, level[row]
                factor = np.exp(0.5 * level[row])
                value = _integral(normal, rest, mean[a:b] * factor, shown[row, a:b], shares, scales)
                if bits != (1 << n) - 1:
                    # A peak where no reflection is allowed may be an impurity's.
                    whole = _integral(normal, rest, mean[a:b] * factor, everything, shares, scales)
                    cost = 0.0
                    for i in range(n):
                        if not shown[row, a + i]:
                            cost = min(cost, price[a + i])
                    value = np.logaddexp(value, whole + cost)
                values[cases] = value - base
                cases += 1
            total[row] += values[case]
    return total


@njit(cache=True)
def _integral(normal, right, mean, allowed, shares, scales):
    """Log of the integral of exp(-x N x / 2 + r x) times the prior over allowed intensities."""
    index = np.flatnonzero(allowed)
    n = len(index)
    if n == 0:
        return 0.0
    sigma = np.empty(n)
    for i in range(n):
        sigma[i] = 1 / np.sqrt(normal[index[i], index[i]] + 1e-12)
    a, b, mu = np.zeros((n, n)), np.zeros(n), np.zeros(n)
    for i in range(n):
        b[i] = right[index[i]] * sigma[i]
        mu[i] = mean[index[i]] / sigma[i]
        for j in range(n):
            a[i, j] = normal[index[i], index[j]] * sigma[i] * sigma[j]
        a[i, i] += 1e-6
    if n == 1:
        z, _, _ = _tilted(b[0] / a[0, 0], 1 / a[0, 0], mu[0], shares, scales)
        return z + 0.5 * np.log(2 * np.pi / a[0, 0]) + 0.5 * b[0] ** 2 / a[0, 0]
    tau, nu = 1 / (4 * mu * mu), np.zeros(n)
    for i in range(n):
        a[i, i] += tau[i]
    covariance = np.linalg.inv(a)
    at = covariance @ (b + nu)
    for _ in range(_SWEEPS):
        moved = 0.0
        for i in range(n):
            v = covariance[i, i]
            precision = max(1 / v - tau[i], 1e-9)
            cv = 1 / precision
            cm = cv * (at[i] / v - nu[i])
            z, m1, m2 = _tilted(cm, cv, mu[i], shares, scales)
            new_tau = 1 / m2 - precision
            new_nu = m1 / m2 - cm * precision
            if new_tau < -0.5 / v:
                new_tau = -0.5 / v
            change = new_tau - tau[i]
            moved = max(moved, abs(change) * v, abs(new_nu - nu[i]) * np.sqrt(v))
            tau[i], nu[i] = new_tau, new_nu
            factor = change / (1 + change * v)
            column = covariance[:, i].copy()
            for p in range(n):
                for q in range(n):
                    covariance[p, q] -= factor * column[p] * column[q]
            at = covariance @ (b + nu)
        if moved < _SETTLED:
            break
    total = 0.0
    for i in range(n):
        v = covariance[i, i]
        precision = max(1 / v - tau[i], 1e-9)
        cv = 1 / precision
        cm = cv * (at[i] / v - nu[i])
        z, m1, m2 = _tilted(cm, cv, mu[i], shares, scales)
        joint = max(precision + tau[i], 1e-12)
        total += z + 0.5 * np.log(joint * cv) + 0.5 * cm * cm * precision
        total -= 0.5 * (cm * precision + nu[i]) ** 2 / joint
    sign, log_det = np.linalg.slogdet(covariance)
    total += 0.5 * n * np.log(2 * np.pi) + 0.5 * log_det
    for i in range(n):
        total += 0.5 * (b[i] + nu[i]) * at[i]
    return total


@njit(cache=True)
def _tilted(mean, variance, mu, shares, scales):
    """Log of the integral of a Gaussian times the prior over x >= 0, and mean and variance."""
    sd = np.sqrt(variance)
    n = len(shares)
    logs, firsts, seconds = np.empty(n), np.empty(n), np.empty(n)
    top = -np.inf
    for j in range(n):
        rate = 1 / (mu * scales[j])
        alpha = (mean - variance * rate) / sd
        if alpha > -6:
            cdf = 0.5 * math.erfc(-alpha * 0.7071067811865476)
            ratio = 0.3989422804014327 * np.exp(-0.5 * alpha * alpha) / cdf
            first = alpha + ratio
            spread = max(1 - ratio * first, 1e-9)
            logs[j] = np.log(cdf) + 0.5 * alpha * alpha
        else:
            # Leading terms of series, where the differences above cancel.
            inverse = 1 / (alpha * alpha)
            first = (1 - 2 * inverse) / -alpha
            spread = (1 - 6 * inverse) * inverse
            logs[j] = np.log(1 - inverse * (1 - 3 * inverse)) - np.log(-alpha) - 0.9189385332046727
        logs[j] += np.log(shares[j] * rate) - 0.5 * mean * mean / variance
        firsts[j] = first * sd
        seconds[j] = spread * variance + (first * sd) ** 2
        top = max(top, logs[j])
    total = first = second = 0.0
    for j in range(n):
        weight = np.exp(logs[j] - top)
        total += weight
        first += weight * firsts[j]
        second += weight * seconds[j]
    first /= total
    return top + np.log(total), first, max(second / total - first * first, 1e-12)
