"""Where the lines of a pattern are: places of K-alpha1 peaks, finer than its points."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1, GRID
from ..simulation.diffraction import WAVELENGTHS
from .peaks import background

_NOISE, _WEAK = 4.0, 0.005  # standard deviations; share of the strongest answer

_ROUNDING = 1e-9  # of the highest point of the pattern

_WIDTH_OF_FILTER = 0.5  # of the lines' full width; less finds noise, more merges neighbours

_NARROWEST, _WIDEST = 0.045, 0.16  # degrees; of the filter

_STRONG, _MANY = 0.1, 6  # lines that tell the width: share of the highest, and how many

_REACH = 6  # widths of the filter

_BLOCK = 2.5  # degrees over which the distance of the doublet's lines is taken as even

_CALM = 4.0  # degrees over which the noise is

_QUIET = 0.3  # quantile of the filter's answer that is noise in any pattern

_HALF_NORMAL = 0.3853  # the same quantile of |z| for a standard normal variable

# A line of height 1 answers with 0.4 where only one of the filter's two lines meets it.
_GHOST, _GHOST_PLACE = 0.55, 0.3


class PeakList(NamedTuple):
    """Lines of one pattern, ascending.

    Attributes
    ----------
    two_theta : ndarray, (k,)
        Degrees, of Cu K-alpha1.
    height : ndarray, (k,)
        Answer of the filter, 1 for the strongest; it falls with width and with angle.
    """

    two_theta: np.ndarray
    height: np.ndarray


def find_peaks(intensity: ArrayLike) -> PeakList:
    """Lines of a pattern, by a filter that answers to sharp doublets.

    The filter is the second derivative of a Gaussian, with half of it again at the place of
    K-alpha2; a background does not move it. A parabola through the three highest points of its
    answer gives the place. What is no higher than noise is left out, and so is what the filter
    shows at the doublet's distance on either side of a strong line.

    Parameters
    ----------
    intensity : array_like, (GRID.size,)
        On `patterns.GRID`, any scale; zero at both ends where nothing was measured.

    Returns
    -------
    PeakList

    Raises
    ------
    XrdlibError
        If the shape is wrong or nothing was measured.
    """
    y = np.asarray(intensity, dtype=np.float64)
    if y.shape != (GRID.size,) or not np.isfinite(y).all() or not y.max() > 0:
        raise XrdlibError(
            f"A pattern of shape {y.shape} given; lines are sought on {GRID.size} finite points, "
            "some above zero."
        )
    seen = np.flatnonzero(y)
    span = slice(seen[0], seen[-1] + 1)
    width = np.clip(_WIDTH_OF_FILTER * peak_width(y), _NARROWEST, _WIDEST)
    angle = GRID.two_theta[span]
    answer = _filtered(y[span] / y.max(), angle, width)
    rises = (answer[1:-1] > answer[:-2]) & (answer[1:-1] >= answer[2:])
    top = 1 + np.flatnonzero(rises)
    least = max(_WEAK * answer.max(), _ROUNDING)
    clear = answer[top] > np.maximum(_NOISE * _noise(answer)[top], least)
    top = top[clear]
    if not len(top):
        return PeakList(np.zeros(0), np.zeros(0))
    left, middle, right = (answer[top + i] for i in (-1, 0, 1))
    place = angle[top] + GRID.step * 0.5 * (left - right) / (left - 2 * middle + right)
    height = middle / middle.max()
    away = place[:, None] - place
    apart = _doublet(place)
    ghost = np.abs(np.abs(away) - apart) < _GHOST_PLACE * apart
    kept = ~(ghost & (height[:, None] < _GHOST * height)).any(1)
    return PeakList(place[kept], height[kept])


def _doublet(two_theta):
    """Degrees from K-alpha1 to K-alpha2."""
    sine = np.sin(np.radians(two_theta) / 2) * WAVELENGTHS["CuKa2"] / CU_KA1
    return 2 * np.degrees(np.arcsin(np.minimum(sine, 1))) - two_theta


def peak_width(intensity: ArrayLike) -> float:
    """Median full width at half maximum of a pattern's strongest lines, degrees; doublets as one.

    Parameters
    ----------
    intensity : array_like, (GRID.size,)
        As for `find_peaks`.

    Returns
    -------
    float
    """
    y = np.asarray(intensity, dtype=np.float64)
    seen = np.flatnonzero(y)
    span = slice(seen[0], seen[-1] + 1)
    profile_ = np.clip(y - background(y, GRID.step), 0, None)[span]
    angle, widths = GRID.two_theta[span], []
    used = np.zeros(len(profile_), dtype=bool)
    for i in np.argsort(-profile_, kind="stable"):
        if len(widths) == _MANY or profile_[i] < _STRONG * profile_.max():
            break
        if used[i]:
            continue
        below = profile_ < profile_[i] / 2
        right = i + np.argmax(below[i:]) if below[i:].any() else len(below)
        left = i - np.argmax(below[i::-1]) if below[i::-1].any() else -1
        if profile_[left + 1 : right].max() <= profile_[i]:
            second = min(_doublet(angle[i]), 0.1) / 2
            widths.append(max((right - left - 1) * GRID.step - second, _NARROWEST))
        used[max(0, left - 10) : right + 10] = True
    return np.median(widths) if widths else 2 * _NARROWEST


def _filtered(y, angle, width):
    """Answer of the filter, in units of one that keeps the standard deviation of white noise."""
    answer = np.zeros_like(y)
    for start in np.arange(angle[0], angle[-1] + GRID.step, _BLOCK):
        rows = np.flatnonzero((angle >= start - 1e-9) & (angle < start + _BLOCK - 1e-9))
        if not len(rows):
            continue
        kernel, centre = _kernel(start + _BLOCK / 2, width)
        first, last = rows[0] - centre, rows[-1] - centre + len(kernel)
        inside = y[np.clip(np.arange(first, last), 0, len(y) - 1)]
        answer[rows] = np.correlate(inside, kernel, "valid")
    return answer


def _kernel(two_theta, width):
    apart = _doublet(two_theta)
    centre = round(_REACH * width / GRID.step)
    x = np.arange(-centre, round((_REACH * width + apart) / GRID.step) + 1) * GRID.step
    kernel = sum(
        part * (1 - u * u) * np.exp(-u * u / 2)
        for part, u in ((1.0, x / width), (0.5, (x - apart) / width))
    )
    kernel -= kernel.mean()
    return kernel / np.linalg.norm(kernel), centre


def _noise(answer):
    """Standard deviation of the answer to noise alone, even over stretches that overlap."""
    size = round(_CALM / GRID.step)
    levels = [
        np.quantile(np.abs(answer[max(0, i - size // 2) : i + size + size // 2]), _QUIET)
        for i in range(0, len(answer), size)
    ]
    return np.repeat(levels, size)[: len(answer)] / _HALF_NORMAL
