"""Positions of a cell's reflections in a pattern, and their profiles on its points."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..base.patterns import CU_KA1, GRID
from ..simulation.diffraction import WAVELENGTHS

_REACH = 60  # grid points on either side of a reflection where its profile is calculated

_TINY = 1e-12

_ALPHA_2 = WAVELENGTHS["CuKa2"]


@dataclass(frozen=True)
class Shape:
    """Positions and widths of the reflections of a pattern.

    Attributes
    ----------
    metric : ndarray, (6,)
        Factors of hh, kk, ll, 2kl, 2hl, 2hk in 1/d^2, per square angstrom.
    zero, displacement : float
        Degrees, the latter times cos(theta).
    width, slope : float
        Full width at half maximum in degrees: width + slope tan(theta).
    eta : float
        Lorentzian share of the pseudo-Voigt profile.
    second : float
        Intensity of the K-alpha2 line over that of K-alpha1.
    """

    metric: np.ndarray
    zero: float = 0.0
    displacement: float = 0.0
    width: float = 0.1
    slope: float = 0.03
    eta: float = 0.5
    second: float = 0.5


class Profiles:
    """Profiles of reflections on even points, each over a window around its position.

    Parameters
    ----------
    products : ndarray, (k, 6)
        Of each reflection, see `cells.products`.
    start : float
        First point, degrees.
    size : int
        Points, `patterns.GRID.step` apart.
    blur : float
        Width of a Gaussian that the pattern was smoothed with, degrees.

    Attributes
    ----------
    angle, width : ndarray, (k,)
        Degrees.
    index : ndarray, (k, w) int
        Points of each window.
    value : ndarray, (k, w)
        Profile there, of area 1 for K-alpha1; 0 off the pattern.
    """

    def __init__(
        self, shape: Shape, products: np.ndarray, start: float, size: int, blur: float = 0.0
    ) -> None:
        star = np.sqrt(np.maximum(products @ shape.metric, 1e-9))
        angle = [observed(star * wave, shape) for wave in (CU_KA1, _ALPHA_2)]
        self.angle = angle[0]
        tangent = np.tan(np.radians(self.angle) / 2)
        self.width = np.hypot(shape.width + shape.slope * tangent, blur)
        nearest = np.rint((self.angle - start) / GRID.step).astype(np.int64)
        self.index = nearest[:, None] + np.arange(-_REACH, _REACH + 1)
        self.size = size
        point = start + self.index * GRID.step
        eta = 0.0 if blur else shape.eta
        value = _pseudo_voigt(point - angle[0][:, None], self.width[:, None], eta)
        second = _pseudo_voigt(point - angle[1][:, None], self.width[:, None], eta)
        self.value = value + shape.second * second
        self.value[(self.index < 0) | (self.index >= self.size)] = 0
        self.index = np.clip(self.index, 0, self.size - 1)

    def sum(self, strength: np.ndarray) -> np.ndarray:
        """Pattern of reflections of given strengths, (size,)."""
        weights = (self.value * strength[:, None]).ravel()
        return np.bincount(self.index.ravel(), weights, self.size)

    def shared(
        self, y: np.ndarray, strength: np.ndarray | None = None, steps: int = 20
    ) -> np.ndarray:
        """Strengths after some Le Bail steps: each point's intensity in calculated proportions."""
        total = self.value.sum(1) + _TINY
        strength = np.full(len(total), y.sum() / total.sum()) if strength is None else strength
        for _ in range(steps):
            proportion = y / (self.sum(strength) + _TINY)
            strength = strength * (self.value * proportion[self.index]).sum(1) / total
        return strength

    def matrix(self) -> np.ndarray:
        """Dense profiles, (size, k)."""
        row, column = np.nonzero(self.value)
        dense = np.zeros((self.size, len(self.index)))
        dense[self.index[row, column], row] = self.value[row, column]
        return dense


def lorentz_polarisation(two_theta: ArrayLike) -> np.ndarray:
    """(1 + cos^2 2theta) / (sin^2 theta cos theta) of an unpolarised beam, at degrees 2theta."""
    theta = np.radians(two_theta) / 2
    return (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))


def observed(double_sine: np.ndarray, shape: Shape) -> np.ndarray:
    """2theta in degrees of reflections with 2 sin(theta), as the goniometer reads it."""
    theta = np.arcsin(np.clip(double_sine / 2, 0, 0.999))
    return np.degrees(2 * theta) + shape.zero + shape.displacement * np.cos(theta)


def _pseudo_voigt(x, width, eta):
    """Profile of area 1 and full width at half maximum `width`."""
    square = (2 * x / width) ** 2
    lorentz = 2 / (np.pi * width * (1 + square))
    gauss = 2 / width * np.sqrt(np.log(2) / np.pi) * np.exp(-np.log(2) * square)
    return eta * lorentz + (1 - eta) * gauss
