"""Background, noise and peaks of a pattern; the positions of its K-alpha1 peaks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_SMOOTH = 0.1  # degrees; running mean

_SHARP, _BROAD = 1.0, 2.0  # degrees; widths of the two openings

_CHUNK = 5.0  # degrees over which the noise is taken as even

_NOISE = 10.0  # smoothed standard deviations: white noise alone spans some six in a window

_WEAK = 0.01  # of the strongest peak


@dataclass(frozen=True)
class Profile:
    """A pattern above its background, its noise and its peaks.

    Attributes
    ----------
    height : ndarray, (n,)
        Intensity above the lower envelope, smoothed over 0.1 degree, units of the pattern.
    noise : ndarray, (n,)
        Its standard deviation, same units.
    peaks : ndarray, (k,) int
        Indices of the peaks, ascending.
    """

    height: np.ndarray
    noise: np.ndarray
    peaks: np.ndarray


def profile(intensity: ArrayLike, step: float) -> Profile:
    """Background, noise and peaks of one pattern.

    The background is a morphological opening, which takes away whatever is narrower than its
    window. The halo of an amorphous phase differs from a peak by how much more of it a window of
    two degrees takes away than one of one degree. Noise is read from second differences, which
    slopes do not change (of white noise they have six times its variance).

    Parameters
    ----------
    intensity : array_like, (n,)
        On even steps, finite; zero where nothing was measured.
    step : float
        Degrees.

    Returns
    -------
    Profile
        A peak rises ten times its noise and 1 % of the strongest above the background.
    """
    x = np.asarray(intensity, dtype=np.float64)
    smooth, width = _smoothed(x, step)
    sharp, height = (smooth - _opening(smooth, round(w / step) | 1) for w in (_SHARP, _BROAD))
    noise = _noise(x, round(_CHUNK / step)) / np.sqrt(width)
    rises = (height[1:-1] > height[:-2]) & (height[1:-1] >= height[2:])
    clear = (sharp > 0.5 * height) & (height > _NOISE * noise)
    candidates = 1 + np.flatnonzero(rises & clear[1:-1])
    strongest = height[candidates].max(initial=0.0)
    candidates = candidates[height[candidates] > _WEAK * strongest]
    return Profile(height, noise, _separate(candidates, height))


def background(intensity: ArrayLike, step: float) -> np.ndarray:
    """Background of a pattern: its lower envelope, never above the pattern.

    Parameters
    ----------
    intensity : array_like, (n,)
        On even steps, finite; zero where nothing was measured.
    step : float
        Degrees.

    Returns
    -------
    ndarray, (n,) float64
        In the units of `intensity`.
    """
    x = np.asarray(intensity, dtype=np.float64)
    envelope, measured = np.zeros_like(x), np.flatnonzero(x)
    if len(measured):
        span = slice(measured[0], measured[-1] + 1)
        smooth, _ = _smoothed(x[span], step)
        envelope[span] = np.minimum(_opening(smooth, round(_SHARP / step) | 1), x[span])
    return envelope


def _smoothed(x, step):
    """Running mean, and over how many points."""
    width = max(1, round(_SMOOTH / step) | 1)
    padded = np.pad(x, width // 2, mode="edge")
    return np.convolve(padded, np.full(width, 1 / width), "valid"), width


def _opening(x, width):
    """Largest curve under x of which nothing is narrower than an odd `width` of points."""
    low = np.lib.stride_tricks.sliding_window_view(
        np.pad(x, width // 2, constant_values=np.inf), width
    ).min(1)
    return np.lib.stride_tricks.sliding_window_view(
        np.pad(low, width // 2, constant_values=-np.inf), width
    ).max(1)


def _noise(x, chunk):
    """Standard deviation of the noise at each point, even within chunks; median of differences."""
    second = np.abs(np.diff(np.pad(x, 1, mode="edge"), 2))
    starts = range(0, len(x), chunk)
    # 0.6745 is the median of |z| of a standard normal variable.
    levels = [np.median(second[i : i + chunk]) / 0.6745 / np.sqrt(6) for i in starts]
    return np.repeat(levels, chunk)[: len(x)]


def _separate(candidates, height):
    """Of neighbours between which the curve does not fall to 3/4 of the lower, keep the higher."""
    kept = []
    for i in candidates:
        if kept:
            lower = min(height[kept[-1]], height[i])
            if height[kept[-1] : i].min() > 0.75 * lower:
                kept[-1] = i if height[i] > height[kept[-1]] else kept[-1]
                continue
        kept.append(i)
    return np.array(kept, dtype=np.int64)
