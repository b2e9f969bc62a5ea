"""Positions of the K-alpha1 peaks of a pattern, finer than its points."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1, GRID
from ..simulation.diffraction import WAVELENGTHS
from .peaks import background

_NOISE, _WEAK = 4.0, 0.005  # standard deviations; share of the strongest response

_ROUNDING = 1e-9  # of the highest point of the pattern

_WIDTH_OF_FILTER = 0.5  # of the peaks' full width; less finds noise, more merges neighbours

_NARROWEST, _WIDEST = 0.045, 0.16  # degrees; of the filter

_STRONG, _MANY = 0.1, 6  # peaks that give the width: share of the highest, and how many

_REACH = 6  # widths of the filter

_BLOCK = 2.5  # degrees over which the distance of the doublet's two lines is taken as even

_CALM = 4.0  # degrees over which the noise is taken as even

_QUIET = 0.3  # quantile of the filter's response that is noise in any pattern

_HALF_NORMAL = 0.3853  # the same quantile of |z| for a standard normal variable

# A peak of height 1 gives a ghost of 0.4 where only one lobe of the filter's doublet meets it.
_GHOST, _GHOST_REACH = 0.55, 0.3  # share of the peak's height; of the doublet's separation


class PeakList(NamedTuple):
    """Peaks of one pattern, ascending.

    Attributes
    ----------
    two_theta : ndarray, (k,)
        Degrees, of Cu K-alpha1.
    height : ndarray, (k,)
        Response of the filter, 1 for the strongest; it falls with width and with angle.
    """

    two_theta: np.ndarray
    height: np.ndarray


def find_peaks(intensity: ArrayLike) -> PeakList:
    """Peaks of a pattern, by a filter that responds to sharp doublets.

    The filter is the second derivative of a Gaussian, with half of it again at the position of
    K-alpha2; a background does not move it. A parabola through the three highest points of its
    response gives the position. Responses within the noise are left out, and so are the ghosts
    at the doublet's separation on either side of a strong peak.

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
            f"A pattern of shape {y.shape} given; peaks are sought on {GRID.size} finite points, "
            "some above zero."
        )
    measured = np.flatnonzero(y)
    span = slice(measured[0], measured[-1] + 1)
    width = np.clip(_WIDTH_OF_FILTER * peak_width(y), _NARROWEST, _WIDEST)
    angle = GRID.two_theta[span]
    response = _filtered(y[span] / y.max(), angle, width)
    rises = (response[1:-1] > response[:-2]) & (response[1:-1] >= response[2:])
    top = 1 + np.flatnonzero(rises)
    least = max(_WEAK * response.max(), _ROUNDING)
    top = top[response[top] > np.maximum(_NOISE * _noise(response)[top], least)]
    if not len(top):
        return PeakList(np.zeros(0), np.zeros(0))
    left, middle, right = (response[top + i] for i in (-1, 0, 1))
    position = angle[top] + GRID.step * 0.5 * (left - right) / (left - 2 * middle + right)
    height = middle / middle.max()
    distance = np.abs(position[:, None] - position)
    separation = _doublet(position)
    ghost = np.abs(distance - separation) < _GHOST_REACH * separation
    kept = ~(ghost & (height[:, None] < _GHOST * height)).any(1)
    return PeakList(position[kept], height[kept])


def _doublet(two_theta):
    """Degrees from K-alpha1 to K-alpha2."""
    sine = np.sin(np.radians(two_theta) / 2) * WAVELENGTHS["CuKa2"] / CU_KA1
    return 2 * np.degrees(np.arcsin(np.minimum(sine, 1))) - two_theta


def peak_width(intensity: ArrayLike) -> float:
    """Median full width at half maximum of a pattern's strongest peaks, degrees; doublets as one.

    Parameters
    ----------
    intensity : array_like, (GRID.size,)
        As for `find_peaks`.

    Returns
    -------
    float
    """
    y = np.asarray(intensity, dtype=np.float64)
    measured = np.flatnonzero(y)
    span = slice(measured[0], measured[-1] + 1)
    net = np.clip(y - background(y, GRID.step), 0, None)[span]
    angle, widths = GRID.two_theta[span], []
    used = np.zeros(len(net), dtype=bool)
    for i in np.argsort(-net, kind="stable"):
        if len(widths) == _MANY or net[i] < _STRONG * net.max():
            break
        if used[i]:
            continue
        below = net < net[i] / 2
        right = i + np.argmax(below[i:]) if below[i:].any() else len(below)
        left = i - np.argmax(below[i::-1]) if below[i::-1].any() else -1
        if net[left + 1 : right].max() <= net[i]:
            second = min(_doublet(angle[i]), 0.1) / 2
            widths.append(max((right - left - 1) * GRID.step - second, _NARROWEST))
        used[max(0, left - 10) : right + 10] = True
    return np.median(widths) if widths else 2 * _NARROWEST


def _filtered(y, angle, width):
    """Response of the filter, in units of one that keeps the standard deviation of white noise."""
    response = np.zeros_like(y)
    for start in np.arange(angle[0], angle[-1] + GRID.step, _BLOCK):
        rows = np.flatnonzero((angle >= start - 1e-9) & (angle < start + _BLOCK - 1e-9))
        if not len(rows):
            continue
        kernel, centre = _kernel(start + _BLOCK / 2, width)
        first, last = rows[0] - centre, rows[-1] - centre + len(kernel)
        inside = y[np.clip(np.arange(first, last), 0, len(y) - 1)]
        response[rows] = np.correlate(inside, kernel, "valid")
    return response


def _kernel(two_theta, width):
    separation = _doublet(two_theta)
    centre = round(_REACH * width / GRID.step)
    x = np.arange(-centre, round((_REACH * width + separation) / GRID.step) + 1) * GRID.step
    kernel = sum(
        part * (1 - u * u) * np.exp(-u * u / 2)
        for part, u in ((1.0, x / width), (0.5, (x - separation) / width))
    )
    kernel -= kernel.mean()
    return kernel / np.linalg.norm(kernel), centre


def _noise(response):
    """Standard deviation of the response to noise alone, even over windows that overlap."""
    size = round(_CALM / GRID.step)
    levels = [
        np.quantile(np.abs(response[max(0, i - size // 2) : i + size + size // 2]), _QUIET)
        for i in range(0, len(response), size)
    ]
    return np.repeat(levels, size)[: len(response)] / _HALF_NORMAL
