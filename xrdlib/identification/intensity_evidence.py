"""Which reflections a pattern shows and which are absent: likelihoods with intensities integrated.

For a fit of a cell's lines (`cell_fits`) and sets of lines that groups allow, the likelihood is
integrated over the intensities of allowed lines, as Markvardsen, David, Johnson & Shankland (Acta
Cryst. A57, 47, 2001) do; forbidden ones are zero. The prior of intensities is a mixture of
exponential (Wilson) distributions, since structures have whole classes of weak lines. Overlapping
lines are integrated together, by expectation propagation (Minka 2001). Wherever a group is
contradicted, what contradicts it may be strange to the crystal, at a price.
"""

import math

import numpy as np
from numba import njit

from .extinction_scores import clusters
from .line_profiles import lorentz_polarisation

SHARES = np.array([0.5, 0.3, 0.2])  # of lines that are so strong:
SCALES = np.array([1.5, 0.3, 0.03])  # over the mean of their neighbours
STRANGE = np.array([-4.0, -7.0])  # log-odds of a strange line that is weak, or strong
_STRONG = 0.1  # of the highest line
_BINS = 6
_LEVEL = 0.5
_SWEEPS, _SETTLED = 8, 1e-2
_TINY = 1e-12


def line_means(fit, weight):
    """Areas expected of lines were all allowed, (k,): the trend of the fitted ones.

    Proportional to the number of reflections and their Lorentz-polarisation factor.

    Parameters
    ----------
    fit : cell_fits.CellFit
    weight : ndarray, (m,)
        How many reflections of the whole sphere each listed one stands for.
    """
    own = fit.strange == 0
    count = np.bincount(fit.line, weight, len(own)) * lorentz_polarisation(fit.two_theta)
    at = np.flatnonzero(own)
    bins = np.array_split(at, min(_BINS, len(at)))
    overall = fit.intensity[own].sum() / count[own].sum() + _TINY
    ratio = [max(fit.intensity[r].sum() / count[r].sum(), 0.1 * overall) for r in bins]
    place = [r.mean() for r in bins]
    mean = count * np.exp(np.interp(np.arange(len(own)), place, np.log(ratio)))
    # A strange line is known by its height alone.
    return np.where(own, mean, fit.intensity) + _TINY


def log_evidence(fit, allowed, weight, scale=1.0, shares=SHARES, scales=SCALES, strange=STRANGE):
    """Log-likelihoods of sets of allowed lines.

    Parameters
    ----------
    fit : cell_fits.CellFit
    allowed : ndarray, (s, m) bool
        Of reflections, in the order of `fit.line`.
    weight : ndarray, (m,)
        As for `line_means`.
    scale : float
        What squared misfits are divided by, 1 where a fit is as good as its noise.

    Returns
    -------
    ndarray, (s,) float64
        The same constant for all fits of one pattern is left out.
    """
    own = fit.strange == 0
    k = len(own)
    order = np.argsort(fit.line, kind="stable")
    starts = np.flatnonzero(np.diff(fit.line[order], prepend=-1))
    lines = np.ones((len(allowed), k), dtype=np.bool_)
    lines[:, fit.line[order][starts]] = np.logical_or.reduceat(allowed[:, order], starts, axis=1)
    mean = line_means(fit, weight)
    present = (lines[:, own] * mean[own]).sum(1)
    # The fewer lines a group allows, the stronger they must be to make up the pattern.
    level = np.log(mean[own].sum() / np.maximum(present, _TINY))
    level = np.rint(np.clip(level, 0, 10) / _LEVEL).astype(np.int64)
    # Lines apart from each other by more than so many widths are weighed apart.
    parts = clusters(fit.two_theta, fit.width)
    first = np.array([rows[0] for rows in parts] + [k])
    weak = fit.strange < _STRONG
    price = np.where(own, strange[0], np.where(weak, strange[0], strange[1]))
    height = fit.intensity / fit.intensity.max()
    price = np.where(own & (height > _STRONG), strange[1], price)
    total = _total(
        fit.band / scale, fit.right / scale, fit.intensity, first, lines, mean,
        level, price, shares, scales,
    )  # fmt: skip
    return total - 0.5 * fit.misfit / scale + price[~own].sum()


@njit(cache=True)
def _total(band, right, x, first, lines, mean, level, price, shares, scales):
    """Sum over clusters of the evidence of each set over that of the fitted intensities."""
    s, k = lines.shape
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
        known = 0
        everything = np.ones(n, dtype=np.bool_)
        for row in range(s):
            bits = 0
            for i in range(n):
                if lines[row, a + i]:
                    bits |= 1 << i
            found = -1
            for j in range(known):
                if keys[j, 0] == bits and keys[j, 1] == level[row]:
                    found = j
                    break
            if found < 0:
                found = known
                keys[known, 0], keys[known, 1] = bits, level[row]
                factor = np.exp(0.5 * level[row])
                value = _integral(normal, rest, mean[a:b] * factor, lines[row, a:b], shares, scales)
                if bits != (1 << n) - 1:
                    # What is seen where nothing is allowed may be strange.
                    whole = _integral(normal, rest, mean[a:b] * factor, everything, shares, scales)
                    cost = 0.0
                    for i in range(n):
                        if not lines[row, a + i]:
                            cost = min(cost, price[a + i])
                    value = np.logaddexp(value, whole + cost)
                values[known] = value - base
                known += 1
            total[row] += values[found]
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
