"""Scores of extinction groups from the intensities of a whole-pattern fit.

The fit gives a likelihood of the intensities, Gaussian with the normal matrix of the fit. A group
sets its absent reflections to zero. Two scores weigh that against those it leaves free:

- the integrated likelihood of Markvardsen, David, Johnson & Shankland (Acta Cryst. A57, 47, 2001):
  an integral over the allowed intensities with Wilson's exponential distribution as prior;
- the Bayesian information criterion (Schwarz 1978) of the best fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import log_ndtr, logsumexp

from ..symmetry import groups
from ..symmetry.cells import representative, settings
from .reflection_profiles import lorentz_polarisation
from .whole_pattern import Fit, nonnegative

_APART = 1.5  # widths; reflections further apart are independent

_MOST = 12  # reflections integrated together

_BINS = 6  # of equal numbers of reflections, in which the mean intensity is taken

_LEVEL = 0.5  # steps of ln(mean intensity); groups in one step share their integrals

_SWEEPS, _SETTLED, _DAMPING = 40, 1e-3, 0.8

_TINY = 1e-12

INTEGRATED, BIC = "integrated likelihood", "BIC"


@dataclass(frozen=True)
class Candidates:
    """Reflections that the groups of a cell allow.

    Attributes
    ----------
    label : ndarray, (s,) int
        Group 1..99 of each setting; settings that allow the same reflections count once.
    allowed : ndarray, (s, k) bool
    """

    label: np.ndarray
    allowed: np.ndarray


def candidates(fit: Fit, cell: Sequence[float]) -> Candidates:
    """The groups that a cell permits, in all settings that fit its axes.

    Parameters
    ----------
    cell : sequence of 6 floats
        As given to `whole_pattern.fit`.

    Returns
    -------
    Candidates
    """
    labels, masks = [], []
    hkl, where = fit.hkl, slice(None)
    if all(angle == 90 for angle in representative(cell)[3:]):
        # On orthogonal axes no reflection condition depends on the signs of the indices.
        hkl, where = np.unique(np.abs(hkl), axis=0, return_inverse=True)
    for label, changes in permitted(representative(cell)).items():
        number = groups.first_member(label)
        distinct = set()
        for change in changes:
            present = ~groups.absent(number, hkl @ change)[where]
            mask = np.bincount(fit.profile, present, len(fit.two_theta)) > 0
            if mask.tobytes() not in distinct:
                distinct.add(mask.tobytes())
                labels.append(label)
                masks.append(mask)
    return Candidates(np.array(labels), np.array(masks))


@cache
def permitted(cell: tuple[float, ...]) -> dict[str, list]:
    """Settings of each group that a cell (tuple of 6 floats) permits, a dict by label."""
    every = {label: settings(label, cell) for label in range(1, groups.N_GROUPS + 1)}
    return {label: changes for label, changes in every.items() if changes}


def scores(fit: Fit, cell: Sequence[float]) -> dict[str, np.ndarray]:
    """Log-evidence of every group, up to a constant.

    Parameters
    ----------
    cell : sequence of 6 floats

    Returns
    -------
    dict of str to ndarray, (99,)
        `INTEGRATED` and `BIC` (minus half the criterion), each the mean over settings of the
        likelihood; -inf for a group that the cell does not permit.
    """
    settings_of = candidates(fit, cell)
    mean = wilson_mean(fit)
    # The fewer reflections a group allows, the stronger they must be to make up the pattern.
    level = mean.sum() / (settings_of.allowed * mean).sum(1)
    level = np.exp(_LEVEL * np.rint(np.log(level) / _LEVEL))
    means = np.where(settings_of.allowed, level[:, None] * mean, 0)
    total = {name: np.zeros(len(settings_of.label)) for name in (INTEGRATED, BIC)}
    rest = fit.right - fit.normal @ fit.intensity
    for rows in clusters(fit.two_theta, fit.width):
        normal = fit.normal[np.ix_(rows, rows)]
        # Other clusters stay at the intensities that the fit gave them.
        right = rest[rows] + normal @ fit.intensity[rows]
        # Most settings agree on most clusters: each different case is integrated once.
        cases, case = np.unique(means[:, rows], axis=0, return_inverse=True)
        least = np.array([_least(normal, right, means > 0) for means in cases])
        criterion = least + (cases > 0).sum(1) * np.log(fit.n_points)
        total[INTEGRATED] += log_evidence(normal, right, cases)[case]
        total[BIC] += -0.5 * criterion[case]
    return {name: _by_group(settings_of.label, value) for name, value in total.items()}


def wilson_mean(fit: Fit) -> np.ndarray:
    """Mean area expected of each reflection were all allowed, (k,): the trend of the fitted ones.

    Proportional to the number of reflections and their Lorentz-polarisation factor, and to the mean
    of the fitted ones nearby.
    """
    weight = np.bincount(fit.profile, minlength=len(fit.two_theta)).astype(float)
    weight *= lorentz_polarisation(fit.two_theta)
    bins = np.array_split(np.arange(len(weight)), min(_BINS, len(weight)))
    at = [rows.mean() for rows in bins]
    # At least a tenth of the overall mean: a range where all are absent gives no scale.
    overall = fit.intensity.sum() / weight.sum()
    ratio = [max(fit.intensity[r].sum() / weight[r].sum(), 0.1 * overall) for r in bins]
    return weight * np.exp(np.interp(np.arange(len(weight)), at, np.log(ratio))) + _TINY


def clusters(position: np.ndarray, width: np.ndarray, most: int = _MOST) -> list[np.ndarray]:
    """Clusters of overlapping reflections (ascending), cut at the widest gap where too large.

    Returns
    -------
    list of ndarray of int
    """
    gap = np.diff(position) / width[1:]
    parts = np.split(np.arange(len(position)), 1 + np.flatnonzero(gap > _APART))
    done = []
    while parts:
        rows = parts.pop()
        if len(rows) <= most:
            done.append(rows)
        else:
            # Near the middle, so that no cut leaves a single one behind.
            inner = gap[rows[0] : rows[-1]] * np.sin(np.pi * np.arange(1, len(rows)) / len(rows))
            cut = 1 + int(np.argmax(inner))
            parts += [rows[:cut], rows[cut:]]
    return sorted(done, key=lambda rows: rows[0])


def log_evidence(normal: np.ndarray, right: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Logarithm of likelihoods integrated over intensities with exponential priors.

    The integral of exp(-x^T N x / 2 + r^T x) prod exp(-x_k / m_k) / m_k over x >= 0, by expectation
    propagation (Minka 2001; for Gaussian probabilities Cunningham, Hennig & Lacoste-Julien,
    arXiv 1111.6832), which is exact for one reflection and for those that do not overlap.

    Parameters
    ----------
    normal : ndarray, (k, k)
    right : ndarray, (k,)
    mean : ndarray, (s, k)
        Prior means of s cases; 0 for an absent reflection, x_k = 0.

    Returns
    -------
    ndarray, (s,)
    """
    scale = 1 / np.sqrt(np.diag(normal) + _TINY)
    absent = mean == 0
    a = normal * np.outer(scale, scale) + 1e-6 * np.eye(len(right))
    # An absent reflection is decoupled from the others, with a known integral.
    a = np.where(absent[:, :, None] | absent[:, None, :], np.eye(len(right)), a)
    b = np.where(absent, 0, (right - 1 / np.where(absent, 1, mean)) * scale)
    tau, nu = np.zeros_like(b), np.zeros_like(b)
    for _ in range(_SWEEPS):
        _, _, cavity, shift = _cavities(a, b, tau, nu)
        at, variance = _truncated(shift, cavity)
        new = np.maximum(1 / variance - cavity, 0), at / variance - shift
        moved = max(np.abs(new[0] - tau).max(), (np.abs(new[1] - nu) / (1 + np.abs(nu))).max())
        tau, nu = tau + _DAMPING * (new[0] - tau), nu + _DAMPING * (new[1] - nu)
        if moved < _SETTLED:
            break
    covariance, at, cavity, shift = _cavities(a, b, tau, nu)
    site = log_ndtr(shift / np.sqrt(cavity)) + 0.5 * np.log((cavity + tau) / cavity)
    site -= 0.5 * (shift + nu) ** 2 / (cavity + tau) - 0.5 * shift**2 / cavity
    gauss = 0.5 * len(right) * np.log(2 * np.pi) + 0.5 * np.linalg.slogdet(covariance)[1]
    units = np.where(absent, -0.5 * np.log(np.pi / 2), np.log(scale / np.where(absent, 1, mean)))
    return gauss + (site + 0.5 * (b + nu) * at + units).sum(1)


def _cavities(a, b, tau, nu):
    """Covariance and mean of the approximation; precision and shift without each site."""
    covariance = np.linalg.inv(a + tau[:, None] * np.eye(b.shape[1]))
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    at = (covariance @ (b + nu)[:, :, None])[:, :, 0]
    return covariance, at, np.maximum(1 / variance - tau, _TINY), at / variance - nu


def _truncated(shift, precision):
    """Mean and variance of Gaussians exp(shift x - precision x^2 / 2) cut to x >= 0."""
    alpha = shift / np.sqrt(precision)
    ratio = np.exp(-0.5 * alpha**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(alpha))
    far = alpha < -30  # there the differences below cancel; leading terms of their series
    safe = np.where(far, -alpha, 1.0)
    mean = np.where(far, (1 - 2 / safe**2) / safe, alpha + ratio)
    variance = np.where(far, (1 - 6 / safe**2) / safe**2, 1 - ratio * (ratio + alpha))
    return mean / np.sqrt(precision), np.maximum(variance, _TINY) / precision


def _least(normal, right, free):
    """Least x^T N x - 2 r^T x over x >= 0 with all but the free ones at zero."""
    if not free.any():
        return 0.0
    normal, right = normal[np.ix_(free, free)], right[free]
    x = nonnegative(normal, right)
    return float(x @ normal @ x - 2 * right @ x)


def _by_group(labels, values):
    """Mean likelihood over the settings of each group, (99,), as logarithms."""
    result = np.full(groups.N_GROUPS, -np.inf)
    for label in np.unique(labels):
        each = values[labels == label]
        result[label - 1] = logsumexp(each) - np.log(len(each))
    return result
