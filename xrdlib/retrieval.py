"""Retrieval: how well the structures of a library resemble a pattern, class by class.

The similarity is the cosine of two smoothed patterns raised to a power below one, so that the
places of lines count for more than their heights, which texture changes. A background is taken
off first. Cells are allowed to be a little larger or smaller than the library has them, computed
ones more than measured ones.
"""

from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage

from .errors import XrdlibError
from .groups import N_GROUPS
from .patterns import CU_KA1, GRID, Grid
from .profiles import render

COARSE = Grid(5.0, 90.0, 0.1)
POWER = 0.3
SIGMA_SIMULATED = 0.15  # degrees; Gaussian width of calculated lines
SIGMA_MEASURED = 0.1  # degrees; smoothing of measured patterns, whose lines have a width of theirs
BACKGROUND = 2.0  # degrees; what varies more slowly than this is no line
_CALM = 0.2  # degrees; the average over which noise does not pull the background down
# Relative changes of all cell edges.
STRETCH_MEASURED = tuple(np.linspace(-0.004, 0.004, 5).tolist())
STRETCH_COMPUTED = tuple(np.linspace(-0.02, 0.02, 9).tolist())
NARROWEST = 5.0  # degrees; fewer of them hold too few lines to compare
_DOUBLET = ((1.0, 2 / 3), (1.544427 / CU_KA1, 1 / 3))
_FWHM = float(np.sqrt(8 * np.log(2)))
_CHUNK = 2048  # structures rendered at a time
_KERNEL_REACH = 4.0  # standard deviations


class Retrieval:
    """A library made ready for comparison; some 0.4 GB for 100,000 structures.

    Parameters
    ----------
    library : library.Library
    """

    def __init__(self, library):
        # Rows of one class lie together, measured cells before computed ones.
        order = np.lexsort((library.group, library.computed))
        self.name, self.group = library.name[order], library.group[order]
        self.patterns = _rendered(library)[order]
        n_measured = int((~library.computed).sum())
        self.parts = [
            (slice(first, last), stretches)
            for first, last, stretches in (
                (0, n_measured, STRETCH_MEASURED),
                (n_measured, len(library), STRETCH_COMPUTED),
            )
            if last > first
        ]
        # Norms belong to a range of angles, which most patterns share.
        self._norms = lru_cache(maxsize=64)(self._norms)

    def similarities(self, intensities):
        """Best similarity within each class, and the structure that is most alike.

        Parameters
        ----------
        intensities : array_like, (n, 4251)
            On `patterns.GRID`, any scale, with or without background; zero at both ends where
            nothing was measured.

        Returns
        -------
        scores : ndarray, (n, 99) float32
            Cosines; a class that the library lacks has the lowest of the row.
        nearest : ndarray, (n,) int64
            Row of `name` and `group`.

        Raises
        ------
        XrdlibError
            If the shape is wrong, a value is not finite, or a pattern covers too little.
        """
        intensities = np.asarray(intensities, dtype=np.float32)
        if intensities.ndim != 2 or intensities.shape[1] != GRID.size:
            raise XrdlibError(
                f"Intensities of shape {intensities.shape} given; retrieval needs (n, {GRID.size})."
            )
        if not np.isfinite(intensities).all():
            raise XrdlibError("Retrieval needs finite intensities; take out what is not a number.")
        found = [self._one(row) for row in intensities]
        scores, nearest = zip(*found, strict=True) if found else ((), ())
        return (
            np.array(scores, dtype=np.float32).reshape(-1, N_GROUPS),
            np.array(nearest, dtype=np.int64),
        )

    def _one(self, row):
        smooth, low, high = _comparable(row)
        scores = np.full(N_GROUPS, -np.inf, dtype=np.float32)
        best, nearest = -np.inf, -1
        for rows, stretches in self.parts:
            views, norms = [], []
            for stretch in stretches:
                view, span = _stretched(smooth, low, high, stretch)
                views.append(view)
                norms.append(self._norms(rows.start, rows.stop, *span))
            cosines = (np.stack(views) @ self.patterns[rows].T / np.stack(norms)).max(0)
            group = self.group[rows]
            first = np.flatnonzero(np.diff(group, prepend=0))
            at = group[first] - 1
            scores[at] = np.maximum(scores[at], np.maximum.reduceat(cosines, first))
            if (top := int(cosines.argmax())) >= 0 and cosines[top] > best:
                best, nearest = cosines[top], rows.start + top
        return np.where(np.isinf(scores), scores[np.isfinite(scores)].min(), scores), nearest

    def _norms(self, start, stop, first, last):
        """Norm of each pattern over columns first to last, its mean there taken off."""
        part = self.patterns[start:stop, first:last]
        spread = np.square(part).sum(1) - np.square(part.sum(1)) / part.shape[1]
        return np.sqrt(np.maximum(spread, 1e-12))


def _rendered(library):
    """(n, COARSE.size) float32: calculated patterns with both K-alpha lines, to the power."""
    parts = []
    for first in range(0, len(library), _CHUNK):
        last = min(first + _CHUNK, len(library))
        rows = slice(library.start[first], library.start[last])
        sine = np.sin(np.radians(library.angles[rows] / 2))
        owner = np.repeat(np.arange(last - first), np.diff(library.start[first : last + 1]))
        lines = []
        for ratio, share in _DOUBLET:
            seen = sine * ratio < 1
            angle = 2 * np.degrees(np.arcsin(sine[seen] * ratio))
            lines.append((angle, share * library.intensities[rows][seen], owner[seen]))
        angle, height, owner = (np.concatenate(columns) for columns in zip(*lines, strict=True))
        width = torch.tensor([[_FWHM * SIGMA_SIMULATED]])
        pattern = render(
            torch.from_numpy(angle).float(),
            torch.from_numpy(height).float(),
            torch.from_numpy(owner),
            last - first,
            COARSE,
            width,
            torch.zeros_like(width),
        )
        parts.append(_power(pattern.numpy()))
    return np.concatenate(parts)


def _comparable(row):
    """Background off and smoothed, on COARSE; first and last measured angle."""
    measured = np.flatnonzero(row)
    if not len(measured) or GRID.step * (measured[-1] - measured[0]) < NARROWEST:
        raise XrdlibError(
            f"A pattern covers less than {NARROWEST:g} degrees between {GRID.start:g} and "
            f"{GRID.stop:g}; measure a wider range."
        )
    span = slice(measured[0], measured[-1] + 1)
    signal = np.zeros_like(row)
    signal[span] = np.clip(row[span] - _background(row[span]), 0, None)
    smooth = ndimage.gaussian_filter1d(
        signal, SIGMA_MEASURED / GRID.step, mode="constant", truncate=_KERNEL_REACH
    )
    smooth = smooth[:: round(COARSE.step / GRID.step)]
    return smooth, GRID.two_theta[span.start], GRID.two_theta[span.stop - 1]


def _background(row):
    """Morphological opening: the highest curve below the data that no line fits under."""
    size = round(BACKGROUND / GRID.step)
    calm = ndimage.uniform_filter1d(row, round(_CALM / GRID.step), mode="nearest")
    low = ndimage.minimum_filter1d(calm, size, mode="nearest")
    opened = ndimage.maximum_filter1d(low, size, mode="nearest")
    return ndimage.uniform_filter1d(opened, size, mode="nearest")


def _stretched(smooth, low, high, stretch):
    """Unit vector of a pattern as if its cell were smaller by `stretch`, and its columns' range."""
    sine = np.sin(np.radians(COARSE.two_theta / 2))
    source = 2 * np.degrees(np.arcsin(np.minimum(sine / (1 + stretch), 1)))
    view = np.interp(source, COARSE.two_theta, smooth, left=0, right=0)
    inside = np.flatnonzero((source >= low) & (source <= high))
    first, last = int(inside[0]), int(inside[-1]) + 1
    view = _power(view[None, first:last])[0]
    view -= view.mean()
    padded = np.zeros(COARSE.size, dtype=np.float32)
    padded[first:last] = view / max(np.linalg.norm(view), 1e-12)
    return padded, (first, last)


def _power(patterns):
    """Each row over its maximum, to the power; rounding below zero is taken for zero."""
    patterns = np.maximum(patterns, 0)
    return (patterns / np.maximum(patterns.max(1, keepdims=True), 1e-30)) ** np.float32(POWER)
