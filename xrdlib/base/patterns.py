"""Measured patterns brought to one grid and one intensity scale, for training and inference alike.

A network never sees anything that did not pass through `normalise`; a measured pattern passes
through `to_grid` first, a simulated one is rendered on the grid.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .errors import XrdlibError

CU_KA1 = 1.540593  # angstrom; the wavelength of the grid
MIN_POINTS = 100  # fewer measured points than this hold no diffraction pattern
MAX_STEP = 0.2  # degrees; coarser steps miss whole reflections

NEGLIGIBLE = 1e-9  # of the highest intensity: rounding, where nothing was measured


@dataclass(frozen=True)
class Grid:
    """Uniform 2theta grid in degrees, both ends included."""

    start: float
    stop: float
    step: float

    @property
    def size(self) -> int:
        """Number of points."""
        return round((self.stop - self.start) / self.step) + 1

    @property
    def two_theta(self) -> np.ndarray:
        """The points, (size,) float64, degrees."""
        return self.start + self.step * np.arange(self.size)


GRID = Grid(5.0, 90.0, 0.02)  # what models read
CALCULATION_GRID = Grid(5.0, 90.0, 0.01)  # what `simulate` returns


def normalise(x: Tensor) -> Tensor:
    """Scale raw intensities to network input: negatives to 0, maximum to 1, square root.

    Parameters
    ----------
    x : Tensor, (..., n)
        Intensities on a grid, any non-negative scale; each row is scaled alone.

    Returns
    -------
    Tensor, (..., n) float32
        In [0, 1]. A row without positive intensity stays zero.
    """
    x = x.float().clamp(min=0)
    # The square root evens out counting noise and lifts the weak peaks that decide absences.
    return (x / x.amax(-1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)).sqrt()


def to_grid(
    two_theta: np.ndarray, intensity: np.ndarray, wavelength: float = CU_KA1, grid: Grid = GRID
) -> np.ndarray:
    """Bring measured intensities to a grid of Cu K-alpha1 angles.

    Where the measurement is finer than the grid, it is averaged over each grid cell, so that noise
    falls as it would have in a coarser scan; where it is coarser, it is interpolated linearly.

    Parameters
    ----------
    two_theta : array_like, (m,)
        Angles in degrees, in any order, no two alike.
    intensity : array_like, (m,) or (k, m)
        Counts or any linear scale; one pattern, or k patterns on the same angles.
    wavelength : float
        Wavelength of the measurement in angstrom. Another one than that of the grid is mapped at
        equal d-spacing: sin(theta') / lambda' = sin(theta) / lambda.
    grid : Grid

    Returns
    -------
    ndarray, (grid.size,) or (k, grid.size) float32
        In the units of `intensity`; zero outside the measured range, and where it is less than
        `NEGLIGIBLE` of the highest. What reads the pattern takes zeros at its ends as not measured.

    Raises
    ------
    XrdlibError
        If the arrays disagree, are not finite, repeat an angle, hold too few points on the grid or
        no positive intensity, or if the wavelength is impossible.
    """
    angle, counts = _checked(two_theta, intensity, wavelength)
    sine = np.sin(np.radians(angle) / 2) * (CU_KA1 / wavelength)
    seen = sine < 1
    angle, counts = 2 * np.degrees(np.arcsin(sine[seen])), counts[..., seen]
    inside = (angle > grid.start - grid.step) & (angle < grid.stop + grid.step)
    if inside.sum() < MIN_POINTS:
        raise XrdlibError(
            f"Only {inside.sum()} points fall between {grid.start:g} and {grid.stop:g} degrees "
            f"2theta (as seen with {CU_KA1} angstrom) and {MIN_POINTS} are needed; check the "
            "angle column and the wavelength."
        )
    # Rounded angles, and another wavelength's, make steps a little uneven.
    if (step := np.median(np.diff(angle[inside]))) > 1.01 * MAX_STEP:
        raise XrdlibError(
            f"The 2theta step is {step:.3g} degrees (as with Cu radiation), and more than "
            f"{MAX_STEP:g} misses whole reflections; give the measured scan, not a peak list."
        )
    if not (counts[..., inside].max(-1) > 1e-30).all():
        raise XrdlibError("The pattern has no positive intensity on the grid; nothing to read.")
    rows = _resample(angle, counts, grid)
    least = NEGLIGIBLE * np.abs(rows).max(axis=-1, keepdims=True)
    return np.where(np.abs(rows) < least, 0, rows).astype(np.float32)


def _checked(two_theta, intensity, wavelength):
    """Finite float64 arrays sorted by angle, or an error that says what is wrong."""
    try:
        angle = np.asarray(two_theta, dtype=np.float64)
        counts = np.asarray(intensity, dtype=np.float64)
        wavelength = float(wavelength)
    except (TypeError, ValueError):
        raise XrdlibError("Angles, intensities and wavelength must be plain numbers.") from None
    if angle.ndim != 1 or counts.ndim not in (1, 2) or counts.shape[-1] != len(angle):
        raise XrdlibError(
            f"Angles of shape {angle.shape} and intensities of shape {counts.shape} do not belong "
            "together; give (m,) angles with (m,) or (k, m) intensities."
        )
    if len(angle) < MIN_POINTS or counts.size == 0:
        raise XrdlibError(
            f"The pattern has {len(angle)} points and {MIN_POINTS} are needed; give the whole scan."
        )
    # Beyond 1e30 a float32 sum of counts would overflow; no detector counts that far.
    if not (np.isfinite(angle).all() and (np.abs(counts) < 1e30).all()):
        raise XrdlibError("The pattern holds NaN or infinite values; remove or repair those rows.")
    if not 0.1 <= wavelength <= 10:
        raise XrdlibError(
            f"A wavelength of {wavelength:g} angstrom is not one of powder diffraction; give it "
            f"in angstrom, for instance {CU_KA1} for Cu K-alpha1."
        )
    if angle.min() < 0 or angle.max() > 180:
        raise XrdlibError(
            f"Angles run from {angle.min():g} to {angle.max():g}; give 2theta in degrees, "
            "between 0 and 180."
        )
    order = np.argsort(angle, kind="stable")
    angle, counts = angle[order], counts[..., order]
    if (repeated := angle[1:][np.diff(angle) == 0]).size:
        raise XrdlibError(
            f"2theta = {repeated[0]:g} degrees occurs more than once; merge repeated scans first."
        )
    return angle, counts


def _resample(angle, counts, grid):
    """Average or interpolate sorted samples onto the grid, row by row."""
    first, last = 1.5 * angle[0] - 0.5 * angle[1], 1.5 * angle[-1] - 0.5 * angle[-2]
    edge = np.concatenate([[first], (angle[1:] + angle[:-1]) / 2, [last]])
    target = grid.two_theta
    low = np.clip(target - grid.step / 2, edge[0], edge[-1])
    high = np.clip(target + grid.step / 2, edge[0], edge[-1])
    # Each sample stands for the cell around it; the integral up to an angle is then piecewise
    # linear, and a difference of two of its values is the counts between two angles.
    integral = np.zeros((*counts.shape[:-1], len(edge)))
    np.cumsum(counts * np.diff(edge), axis=-1, out=integral[..., 1:])
    covered = np.maximum(high - low, 1e-9)
    mean = (_linear(edge, integral, high) - _linear(edge, integral, low)) / covered
    point = _linear(angle, counts, np.clip(target, angle[0], angle[-1]))
    cell = np.clip(np.searchsorted(edge, target, side="right") - 1, 0, len(angle) - 1)
    finer = np.diff(edge)[cell] < 0.75 * grid.step
    inside = (target > edge[0] - 1e-9) & (target < edge[-1] + 1e-9)
    return np.where(inside, np.where(finer, mean, point), 0.0)


def _linear(x, y, at):
    """Linear interpolation along the last axis of `y`, at points inside the range of `x`."""
    right = np.clip(np.searchsorted(x, at), 1, len(x) - 1)
    weight = (at - x[right - 1]) / (x[right] - x[right - 1])
    return y[..., right - 1] * (1 - weight) + y[..., right] * weight
