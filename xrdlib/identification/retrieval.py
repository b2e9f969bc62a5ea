"""Retrieval: how well the structures of a library resemble a pattern, class by class.

The similarity is the cosine of two smoothed patterns raised to a power below one, so that the
positions of peaks count for more than their heights, which texture changes. A background is taken
off first. Cells may be scaled isotropically from those of the library, computed ones more than
measured ones.
"""

from functools import cached_property, lru_cache, partial

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import ndimage, sparse

from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1, GRID, Grid
from ..symmetry.groups import N_GROUPS
from .library import POSITIONS, Library, position_angles

_DRAWN = Grid(5.0, 90.0, 0.1)
_EVERY = 2  # of those points are kept: a peak to the power is nearly twice as wide

COARSE = Grid(5.0, 90.0, _EVERY * _DRAWN.step)

POWER = 0.3
SIGMA_SIMULATED = 0.15  # degrees; Gaussian width of calculated reflections

SIGMA_MEASURED = 0.1  # degrees; smoothing of measured patterns, whose peaks have a width

BACKGROUND = 2.0  # degrees; what varies more slowly than this is no peak

_CALM = 0.2  # degrees; the average over which noise does not pull the background down

# Isotropic scalings: relative changes of all cell edges.
SCALINGS_MEASURED = tuple(np.linspace(-0.004, 0.004, 5).tolist())

SCALINGS_COMPUTED = tuple(np.linspace(-0.02, 0.02, 9).tolist())

# Taken off a cosine with a computed structure: of many structures in a wide range of cells one is
# alike by chance. Chosen on the calibration patterns.
COMPUTED_LESS = 0.06

_FINER = 10  # times finer steps of the scaling, for the one structure that is shown

NARROWEST = 5.0  # degrees; a narrower range holds too few peaks to compare

_DOUBLET = ((1.0, 2 / 3), (1.544427 / CU_KA1, 1 / 3))

_CHUNK = 512  # structures at a time, so that memory stays small and in the cache
_KERNEL_REACH = 4.0  # standard deviations

_MARGIN = 10  # points beside the grid: what is left of a reflection there, to the power, is 1e-3


class Retrieval:
    """A library prepared for comparison; 170 MB for 100,000 structures.

    Attributes
    ----------
    library : library.Library
        In the order of `patterns`: measured cells before computed ones, each by group.

    Raises
    ------
    XrdlibError
        If the library is empty.
    """

    def __init__(self, library: Library) -> None:
        if len(library) == 0:
            raise XrdlibError("A library without structures finds nothing; give one with some.")
        self.library = library.take(np.lexsort((library.group, library.computed)))
        self.name, self.group = self.library.name, self.library.group
        n_measured = int((~library.computed).sum())
        self.parts = [
            (slice(first, last), scalings)
            for first, last, scalings in (
                (0, n_measured, SCALINGS_MEASURED),
                (n_measured, len(library), SCALINGS_COMPUTED),
            )
            if last > first
        ]

    @cached_property
    def patterns(self) -> np.ndarray:
        """Calculated patterns, (n, COARSE.size) float32, drawn when they are first needed."""
        return _rendered(self.library)

    @cached_property
    def _norms(self):
        # Norms belong to a range of angles, which most patterns share. A cache around a method of
        # `self` would be a cycle, which keeps the patterns until the garbage collector comes by.
        return lru_cache(maxsize=32)(partial(_norms, self.patterns))

    def similarities(self, intensities: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Best similarity within each class, and the structure that is most alike.

        Parameters
        ----------
        intensities : array_like, (n, 4251)
            On `patterns.GRID`, any scale, with or without background; zero at both ends where
            nothing was measured.

        Returns
        -------
        scores : ndarray, (n, 99) float32
            Cosines, those of computed structures less `COMPUTED_LESS`; a class that the library
            lacks has the lowest of the row, or 0 if that is less.
        nearest : ndarray, (n,) int64
            Row of `name` and `group`.

        Raises
        ------
        XrdlibError
            If the shape is wrong, a value is not finite, or a pattern covers too little.
        """
        try:
            with np.errstate(over="ignore"):  # infinity is refused below
                intensities = np.asarray(intensities, dtype=np.float32)
        except (TypeError, ValueError):
            raise XrdlibError("Retrieval needs intensities that are plain numbers.") from None
        if intensities.ndim != 2 or intensities.shape[1] != GRID.size:
            raise XrdlibError(
                f"Intensities of shape {intensities.shape} given; retrieval needs (n, {GRID.size})."
            )
        if not np.isfinite(intensities).all():
            raise XrdlibError("Retrieval needs finite intensities; take out what is not a number.")
        rows = [self._one(i, row) for i, row in enumerate(intensities)]
        scores, nearest = zip(*rows, strict=True) if rows else ((), ())
        return (
            np.array(scores, dtype=np.float32).reshape(-1, N_GROUPS),
            np.array(nearest, dtype=np.int64),
        )

    def reflections(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Calculated reflections of one structure.

        Parameters
        ----------
        row : int
            As `similarities` gives it.

        Returns
        -------
        two_theta : ndarray, (k,) float64
            Degrees for Cu K-alpha1, ascending.
        intensity : ndarray, (k,) float32
            1 for the strongest.
        """
        structure = self.library.take([row])
        angle = position_angles()[structure.position]
        order = np.argsort(angle, kind="stable")
        return angle[order], structure.intensities[order]

    def computed(self, row: int) -> bool:
        """Whether the cell of a structure was computed, not measured."""
        return bool(self.library.computed[row])

    def cell_scaling(self, intensity: ArrayLike, row: int) -> float:
        """Isotropic scaling of a structure's cell that makes it most like a pattern.

        Parameters
        ----------
        intensity : array_like, (4251,)
            As for `similarities`.

        Returns
        -------
        float
            Relative change of the edges, positive where the specimen's cell is the larger one. Its
            steps are finer than those of `similarities`, its range is the same.
        """
        smooth, low, high = _comparable(0, np.asarray(intensity, dtype=np.float32))
        coarse = next(scalings for rows, scalings in self.parts if rows.start <= row < rows.stop)
        tried = np.linspace(coarse[0], coarse[-1], _FINER * (len(coarse) - 1) + 1)
        views, spans = zip(*(_scaled(smooth, low, high, s) for s in tried), strict=True)
        norms = _norms(self.patterns, row, row + 1, spans)[0]
        return float(tried[np.argmax(np.stack(views) @ self.patterns[row] / norms)])

    def _one(self, i, row):
        smooth, low, high = _comparable(i, row)
        scores = np.full(N_GROUPS, -np.inf, dtype=np.float32)
        best, nearest = -np.inf, -1
        for rows, scalings in self.parts:
            views, spans = zip(*(_scaled(smooth, low, high, x) for x in scalings), strict=True)
            norms = self._norms(rows.start, rows.stop, spans)
            # By PyTorch, which is twice as fast as NumPy at products of this shape.
            products = torch.from_numpy(self.patterns[rows]) @ torch.from_numpy(np.stack(views)).T
            cosines = (products / torch.from_numpy(norms)).amax(1).numpy()
            cosines -= COMPUTED_LESS * self.computed(rows.start)
            group = self.group[rows]
            first = np.flatnonzero(np.diff(group, prepend=0))
            at = group[first] - 1
            scores[at] = np.maximum(scores[at], np.maximum.reduceat(cosines, first))
            if cosines[top := int(cosines.argmax())] > best:
                best, nearest = cosines[top], rows.start + top
        nothing = min(scores[np.isfinite(scores)].min(), 0)
        return np.where(np.isinf(scores), nothing, scores), nearest


def _norms(patterns, start, stop, spans):
    """Norms (stop - start, len(spans)) of patterns over spans of columns, their means taken off."""
    inside = np.zeros((COARSE.size, len(spans)), dtype=np.float32)
    for column, (first, last) in enumerate(spans):
        inside[first:last, column] = 1
    norms = np.empty((stop - start, len(spans)), dtype=np.float32)
    for first in range(start, stop, _CHUNK):
        part = patterns[first : min(first + _CHUNK, stop)]
        spread = np.square(part) @ inside - np.square(part @ inside) / inside.sum(0)
        norms[first - start : first - start + len(part)] = np.sqrt(np.maximum(spread, 1e-12))
    return norms


def _rendered(library):
    """(n, COARSE.size) float32: calculated patterns with both K-alpha lines, to the power.

    An intensity goes to the nearest three points with the weights of a quadratic B-spline, whose
    variance is a quarter of a squared step at any position; a narrower Gaussian does the rest.
    """
    sticks = sparse.csr_array(
        (library.intensities, library.position.astype(np.int32), library.start),
        shape=(len(library), POSITIONS),
    )
    spread = _spread()
    sigma = np.sqrt((SIGMA_SIMULATED / _DRAWN.step) ** 2 - 0.25)
    patterns = np.empty((len(library), COARSE.size), dtype=np.float32)
    for first in range(0, len(library), _CHUNK):
        rows = slice(first, first + _CHUNK)
        wide = ndimage.gaussian_filter1d((sticks[rows] @ spread).toarray(), sigma, radius=_MARGIN)
        patterns[rows] = _power(wide[:, _MARGIN:-_MARGIN:_EVERY])
    return patterns


def _spread():
    """Weight of each point for a reflection at each position, sparse (POSITIONS, points)."""
    size = _DRAWN.size + 2 * _MARGIN
    sine = np.sin(np.radians(position_angles() / 2))
    parts = []
    for ratio, share in _DOUBLET:
        angle = 2 * np.degrees(np.arcsin(sine * ratio))
        x = (angle - _DRAWN.start) / _DRAWN.step + _MARGIN
        nearest = np.rint(x).astype(np.int32)
        t = x - nearest
        weights = ((0.5 - t) ** 2 / 2, 0.75 - t**2, (0.5 + t) ** 2 / 2)
        parts += [(share * w, nearest + k) for w, k in zip(weights, (-1, 0, 1), strict=True)]
    weight, point = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    row = np.tile(np.arange(POSITIONS, dtype=np.int32), len(parts))
    seen = (point >= 0) & (point < size)
    weight = weight[seen].astype(np.float32)
    return sparse.csr_array((weight, (row[seen], point[seen])), shape=(POSITIONS, size))


def _comparable(i, row):
    """Pattern without background, smoothed, on GRID; first and last measured angle."""
    measured = np.flatnonzero(row)
    if not len(measured) or GRID.step * (measured[-1] - measured[0]) < NARROWEST:
        raise XrdlibError(
            f"Pattern {i} is zero but for less than {NARROWEST:g} degrees between {GRID.start:g} "
            f"and {GRID.stop:g}; measure a wider range, or leave the background in."
        )
    span = slice(measured[0], measured[-1] + 1)
    signal = np.zeros_like(row)
    signal[span] = np.clip(row[span] - _background(row[span]), 0, None)
    smooth = ndimage.gaussian_filter1d(
        signal, SIGMA_MEASURED / GRID.step, mode="constant", truncate=_KERNEL_REACH
    )
    return smooth, GRID.two_theta[span.start], GRID.two_theta[span.stop - 1]


def _background(row):
    """Morphological opening: the highest curve below the data that no peak fits under."""
    size = round(BACKGROUND / GRID.step) | 1  # odd: both passes are centred on the same point
    calm = ndimage.uniform_filter1d(row, round(_CALM / GRID.step), mode="nearest")
    # Beyond the ends, too, or a slope would be missed there.
    low = ndimage.minimum_filter1d(np.pad(calm, size, mode="edge"), size)
    opened = ndimage.maximum_filter1d(low, size)[size:-size]
    return ndimage.uniform_filter1d(opened, size, mode="nearest")


def _scaled(smooth, low, high, scaling):
    """Unit vector of a pattern as if its cell were smaller by `scaling`; its range of columns."""
    sine = np.sin(np.radians(COARSE.two_theta / 2))
    source = 2 * np.degrees(np.arcsin(np.minimum(sine / (1 + scaling), 1)))
    view = np.interp(source, GRID.two_theta, smooth, left=0, right=0)
    inside = np.flatnonzero((source >= low) & (source <= high))
    first, last = int(inside[0]), int(inside[-1]) + 1
    view = _power(view[None, first:last])[0]
    view -= view.mean()
    padded = np.zeros(COARSE.size, dtype=np.float32)
    padded[first:last] = view / max(np.linalg.norm(view), 1e-12)
    return padded, (first, last)


def _power(patterns):
    """Each row over its maximum, to the power."""
    return (patterns / np.maximum(patterns.max(1, keepdims=True), 1e-30)) ** np.float32(POWER)
