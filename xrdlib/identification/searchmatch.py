"""Search-match: the class of the most similar simulated pattern, the baseline without learning.

Similarity is the cosine between smoothed square-root patterns with their means removed; smoothing
forgives small differences of cell, zero shift and width.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from ..base.errors import XrdlibError
from ..base.patterns import GRID, Grid
from ..base.records import Reflections
from ..simulation.diffraction import WAVELENGTHS, lorentz_polarisation, two_theta
from ..simulation.profiles import render
from ..symmetry.groups import N_GROUPS

SEARCH_GRID = Grid(5.0, 90.0, 0.05)

SIGMA_SIMULATED = 0.2  # degrees; Gaussian smoothing of calculated reflections

SIGMA_MEASURED = 0.135  # degrees; measured peaks already have a width

TEMPERATURE = 0.05  # of the softmax over similarities

_FWHM = float(np.sqrt(8 * np.log(2)))  # of a Gaussian of unit sigma

_LINES = ((WAVELENGTHS["CuKa1"], 2 / 3), (WAVELENGTHS["CuKa2"], 1 / 3))


def library(reflections: Reflections, chunk: int = 256) -> np.ndarray:
    """Comparable patterns of simulated crystals.

    Parameters
    ----------
    chunk : int
        Crystals rendered at once.

    Returns
    -------
    ndarray, (n, 1701) float32
        Unit vectors on `SEARCH_GRID`.
    """
    parts = []
    for start in range(0, len(reflections), chunk):
        part = reflections.take(np.arange(start, min(start + chunk, len(reflections))))
        parts.append(_unit(_rendered(part)).numpy())
    return np.concatenate(parts)


def measured(intensity: ArrayLike, grid: Grid = GRID) -> np.ndarray:
    """Comparable patterns of measured intensities.

    Parameters
    ----------
    intensity : array_like, (n, grid.size)
        On `grid`, any scale per pattern; the square of a network input will do.

    Returns
    -------
    ndarray, (n, 1701) float32
        Unit vectors on `SEARCH_GRID`.

    Raises
    ------
    XrdlibError
        If the intensities do not lie on the grid or are not finite.
    """
    intensity = torch.as_tensor(np.asarray(intensity, dtype=np.float32))
    if intensity.ndim != 2 or intensity.shape[1] != grid.size or not intensity.isfinite().all():
        raise XrdlibError(
            f"Intensities of shape {tuple(intensity.shape)} given; search-match needs finite "
            f"(n, {grid.size}) intensities on the grid."
        )
    distance = torch.from_numpy(SEARCH_GRID.two_theta)[:, None] - torch.from_numpy(grid.two_theta)
    kernel = torch.exp(-0.5 * (distance / SIGMA_MEASURED).square()).float()
    return _unit(intensity @ kernel.T).numpy()


def similarities(patterns: np.ndarray, library: np.ndarray) -> np.ndarray:
    """Cosine of every pattern with every library pattern, (n, m) float32."""
    return patterns @ library.T


def class_scores(similarity: np.ndarray, labels: ArrayLike) -> np.ndarray:
    """Best similarity within each class.

    Parameters
    ----------
    similarity : ndarray, (n, m)
    labels : array_like, (m,) int
        Extinction group 1..99 of each library pattern.

    Returns
    -------
    ndarray, (n, 99) float32
        A class that the library lacks has the lowest score of the pattern: nothing supports it.

    Raises
    ------
    XrdlibError
        If a label is missing or out of range.
    """
    labels = np.asarray(labels)
    if labels.shape != similarity.shape[1:] or not np.isin(labels, range(1, N_GROUPS + 1)).all():
        raise XrdlibError(
            f"The library needs a group 1..{N_GROUPS} for each of its {similarity.shape[1]} "
            "patterns; leave out crystals of unknown group."
        )
    scores = np.full((len(similarity), N_GROUPS), np.inf, dtype=np.float32)
    for label in np.unique(labels):
        scores[:, label - 1] = similarity[:, labels == label].max(1)
    return np.where(np.isinf(scores), scores.min(1, keepdims=True), scores)


def log_probs(
    scores: np.ndarray, temperature: float = TEMPERATURE, prior: ArrayLike | None = None
) -> np.ndarray:
    """Log-probabilities of the classes: softmax of score / temperature, times the prior.

    Parameters
    ----------
    scores : ndarray, (n, 99)
    temperature : float
        Positive, in units of similarity. The default is a round value of the right size;
        `calibrate.fit` finds the factor by which calibration patterns would change it.
    prior : array_like, (99,), optional
        Class probabilities; uniform by default.

    Returns
    -------
    ndarray, (n, 99) float64
    """
    if not temperature > 0:
        raise XrdlibError(f"The temperature is {temperature}; it must be above 0.")
    logits = np.asarray(scores, dtype=np.float64) / temperature
    if prior is not None:
        logits = logits + np.log(np.asarray(prior, dtype=np.float64))
    return logits - logsumexp(logits, axis=1, keepdims=True)


def _rendered(reflections):
    """(n, 1701) tensor of smoothed reflections, both wavelengths of the copper doublet."""
    counts = np.diff(reflections.start)
    owner = np.repeat(np.arange(len(counts)), counts)
    reciprocal = np.linalg.inv(reflections.lattice).transpose(0, 2, 1)
    d_star = np.linalg.norm(np.einsum("mi,mij->mj", reflections.hkl, reciprocal[owner]), axis=1)
    strength = torch.from_numpy(reflections.multiplicity * reflections.f2)
    positions, intensities = [], []
    for wavelength, share in _LINES:
        positions.append(torch.from_numpy(two_theta(d_star, wavelength)).float())
        sine = torch.from_numpy(wavelength * d_star / 2).float()
        intensities.append(share * strength * lorentz_polarisation(sine))
    position, intensity = torch.cat(positions), torch.cat(intensities)
    reached = ~position.isnan()  # K-alpha2 may lie beyond where K-alpha1 does not
    owners = torch.from_numpy(owner).repeat(len(_LINES))[reached]
    fwhm = torch.full((len(counts), 1), _FWHM * SIGMA_SIMULATED)
    return render(
        position[reached],
        intensity[reached],
        owners,
        len(counts),
        SEARCH_GRID,
        fwhm,
        torch.zeros_like(fwhm),
    )


def _unit(x):
    """Square root, mean removed, unit length; a flat row becomes zero."""
    x = x.clamp(min=0)
    x = (x / x.amax(1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)).sqrt()
    x = x - x.mean(1, keepdim=True)
    return x / x.norm(dim=1, keepdim=True).clamp_min(1e-12)
