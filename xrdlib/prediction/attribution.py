"""What the network reads in a pattern, beside the structure that is most like it.

A point's attribution is what it has over a baseline times the mean gradient of the log-odds on the
straight way from the baseline to the pattern (Sundararajan, Taly & Yan, ICML 2017, eq. 1). All
attributions add up to the difference of the log-odds between the two (completeness). The baseline
is the pattern without its peaks: zero, or the background that they stand on.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1, GRID, normalise, to_grid
from ..identification.peaks import background, profile
from ..identification.retrieval import Retrieval
from ..learning import decode
from ..simulation.diffraction import WAVELENGTHS, strong_line
from .predictor import Predictor

STEPS = 64  # points on the way; Gauss-Legendre quadrature
_BATCH = 16


@dataclass(frozen=True)
class Attribution:
    """What a network makes of a pattern.

    Attributes
    ----------
    first, second : int
        Groups 1..99.
    two_theta : ndarray, (n,)
        Degrees at the wavelength of the measurement.
    values : ndarray, (n,)
        What each point adds to ln p(first) - ln p(second).
    log_odds : float
        Of the pattern.
    without_peaks : float
        Log-odds of the baseline.
    """

    first: int
    second: int
    two_theta: np.ndarray
    values: np.ndarray
    log_odds: float
    without_peaks: float


def attribute(
    predictor: Predictor,
    two_theta: ArrayLike,
    intensity: ArrayLike,
    wavelength: str | float,
    first: int,
    second: int,
) -> Attribution:
    """Attribution of a predictor's network, without retrieval and prior, for two groups.

    Parameters
    ----------
    two_theta, intensity : array_like, (m,)
        Degrees and any linear scale.
    wavelength : str or float
        A named anode or line, or angstrom.
    first, second : int
        Groups 1..99.

    Raises
    ------
    XrdlibError
        If the pattern or the wavelength is invalid.
    """
    wavelength, grid = strong_line(wavelength), predictor.grid
    on_grid = to_grid(two_theta, intensity, wavelength, grid)
    x = normalise(torch.from_numpy(on_grid))
    share = background(on_grid, grid.step).clip(min=0) / on_grid.max()
    baseline = torch.from_numpy(np.sqrt(share)).to(x)  # on the scale of the pattern's peaks
    prior = predictor.metadata["training_prior"]
    function = log_odds(predictor.model, first, second, predictor.calibration.a, prior)
    with torch.no_grad():
        ends = function(torch.stack([x, baseline])).tolist()
    values = integrated_gradients(function, x, baseline).numpy()
    angle = rescaled(grid.two_theta, wavelength / CU_KA1)
    reached = angle < 180
    return Attribution(first, second, angle[reached], values[reached], *ends)


def integrated_gradients(
    function: Callable, x: torch.Tensor, baseline: torch.Tensor | None = None, steps: int = STEPS
) -> torch.Tensor:
    """Attribution of the value of a function to the points of its input.

    Parameters
    ----------
    function : callable
        Tensor (B, n) to Tensor (B,), each row alone.
    x : Tensor, (n,)
    baseline : Tensor, (n,), optional
        Zero everywhere by default.
    steps : int
        Points on the way from the baseline to `x`.

    Returns
    -------
    Tensor, (n,)
        Zero where `x` is as the baseline; the sum is function(x) - function(baseline), but for the
        error of the quadrature.
    """
    baseline = torch.zeros_like(x) if baseline is None else baseline
    node, weight = np.polynomial.legendre.leggauss(steps)  # on [-1, 1]
    node, weight = (torch.from_numpy(v / 2).to(x) for v in (node + 1, weight))
    total = torch.zeros_like(x)
    for part, share in zip(node.split(_BATCH), weight.split(_BATCH), strict=True):
        way = (baseline + part[:, None] * (x - baseline)).requires_grad_()
        (gradient,) = torch.autograd.grad(function(way).sum(), way)
        total += share @ gradient
    return (x - baseline) * total


def log_odds(
    model: torch.nn.Module, first: int, second: int, fusion: float, training_prior: ArrayLike
) -> Callable:
    """A function that says by how much a network prefers one group to another.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    first, second : int
        Groups 1..99.
    fusion : float
        Weight of the rule head, 0..1; without effect on a model that has none.
    training_prior : array_like, (99,)
        Positive; divided out of each head, as for a prediction.

    Returns
    -------
    callable
        Network inputs, Tensor (B, size), to ln p(first) - ln p(second), Tensor (B,).
    """
    taken_off = torch.as_tensor(np.log(np.asarray(training_prior)), dtype=torch.float32)

    def function(x):
        outputs = model(x)
        heads = [outputs["aux"].float().log_softmax(-1)]
        if "rule" in outputs:
            heads.insert(0, decode.rule_log_probs(outputs["rule"]))
        heads = [(head - taken_off).log_softmax(-1) for head in heads]
        logp = decode.fuse(*heads, fusion) if len(heads) == 2 else heads[0]
        return logp[:, first - 1] - logp[:, second - 1]

    return function


# Similarities between which the angles of a pattern are theta: below as they are, above if doubled.
# Doubled, none of 536 measured patterns that are below the first exceeds 0.67.
NOT_DOUBLED, _DOUBLED = 0.6, 0.75
NEAR = 0.2  # degrees; a peak this close to a reflection is indexed by it
_STEP = 0.02  # degrees, of the pattern that peaks are sought in
_ALPHA_2 = WAVELENGTHS["CuKa2"] / CU_KA1


@dataclass(frozen=True)
class Match:
    """Reflections of a known structure at the angles of a measurement.

    Attributes
    ----------
    name : str
    group : int
        Extinction group 1..99.
    similarity : float
        -1 to 1.
    computed : bool
        Whether the structure's cell was computed, not measured.
    cell_scaling : float
        Relative change of all cell edges that fits the pattern best; positive where the
        specimen's cell is the larger one.
    two_theta, intensity : ndarray, (k,)
        Reflections within the range of the measurement, ascending, in degrees at its wavelength;
        1 for the structure's strongest one.
    peaks : ndarray, (p,)
        Degrees; peaks of the pattern where the structure's reflections are known.
    indexed : ndarray, (p,) bool
        Whether a peak lies at a reflection or at its K-alpha2 companion.
    """

    name: str
    group: int
    similarity: float
    computed: bool
    cell_scaling: float
    two_theta: np.ndarray
    intensity: np.ndarray
    peaks: np.ndarray
    indexed: np.ndarray


def match(
    retrieval: Retrieval, two_theta: ArrayLike, intensity: ArrayLike, wavelength: str | float
) -> Match:
    """The structure of a library that is most like a pattern, and its reflections.

    Parameters
    ----------
    two_theta, intensity, wavelength
        As for `attribute`.

    Raises
    ------
    XrdlibError
        If the pattern is invalid, or is too short to compare.
    """
    wavelength = strong_line(wavelength)
    on_grid = to_grid(two_theta, intensity, wavelength, GRID)
    scores, rows = retrieval.similarities(on_grid[None])
    row = int(rows[0])
    scaling = retrieval.cell_scaling(on_grid, row)
    angle, height = retrieval.reflections(row)
    # A larger cell has its reflections at lower angles.
    ratio = wavelength / CU_KA1 / (1 + scaling)
    reflections = rescaled(angle, ratio)
    peaks = _peaks(two_theta, intensity)
    # Calculated reflections go no further than the grid does.
    with_copper = rescaled(peaks, CU_KA1 / wavelength)
    peaks = peaks[(with_copper >= GRID.start) & (with_copper <= GRID.stop)]
    positions = np.concatenate([reflections, rescaled(angle, ratio * _ALPHA_2)])
    shown = (reflections >= np.min(two_theta)) & (reflections <= np.max(two_theta))
    return Match(
        name=str(retrieval.name[row]),
        group=int(retrieval.group[row]),
        similarity=float(scores[0].max()),
        computed=retrieval.computed(row),
        cell_scaling=scaling,
        two_theta=reflections[shown],
        intensity=height[shown],
        peaks=peaks,
        indexed=(np.abs(peaks[:, None] - positions) < NEAR).any(1),
    )


def halved(
    retrieval: Retrieval, two_theta: ArrayLike, intensity: ArrayLike, wavelength: float
) -> str | None:
    """Name of the structure that is like a pattern if all its angles are doubled, or None.

    Parameters are as for `match`.
    """
    angle, counts = np.asarray(two_theta), np.asarray(intensity)
    kept = angle <= 90
    try:
        doubled = to_grid(2 * angle[kept], counts[kept], wavelength, GRID)
    except XrdlibError:  # too few points, or none on the grid
        return None
    scores, rows = retrieval.similarities(doubled[None])
    return str(retrieval.name[rows[0]]) if scores.max() > _DOUBLED else None


def rescaled(two_theta: ArrayLike, ratio: float) -> np.ndarray:
    """Angles in degrees at `ratio` times the wavelength; 180 where nothing is reflected."""
    sine = np.sin(np.radians(two_theta) / 2) * ratio
    return 2 * np.degrees(np.arcsin(np.minimum(sine, 1)))


def _peaks(two_theta, intensity):
    """2theta of the peaks of a pattern, ascending."""
    order = np.argsort(two_theta, kind="stable")
    angle = np.asarray(two_theta, dtype=np.float64)[order]
    even = np.arange(angle[0], angle[-1], _STEP)
    counts = np.interp(even, angle, np.asarray(intensity, dtype=np.float64)[order])
    return even[profile(counts, _STEP).peaks]
