"""Integrated gradients: which lines of a pattern moved a network from one group to another.

A point's attribution is what it has over a baseline times the mean gradient of the log-odds on the
straight way from the baseline to the pattern (Sundararajan, Taly & Yan, ICML 2017, eq. 1). All
attributions add up to the difference of the log-odds between the two (completeness). The baseline
is the pattern without its lines: zero, or the background that they stand on.
"""

from dataclasses import dataclass

import numpy as np
import torch

from . import decode
from .diffraction import strong_line
from .patterns import CU_KA1, normalise, to_grid
from .peaks import background

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
    without_lines : float
        Log-odds of the baseline.
    """

    first: int
    second: int
    two_theta: np.ndarray
    values: np.ndarray
    log_odds: float
    without_lines: float


def attribute(predictor, two_theta, intensity, wavelength, first, second):
    """Attribution of a predictor's network, without retrieval and prior, for two groups.

    Parameters
    ----------
    predictor : predict.Predictor
    two_theta, intensity : array_like, (m,)
        Degrees and any linear scale.
    wavelength : str or float
        A named anode or line, or angstrom.
    first, second : int
        Groups 1..99.

    Returns
    -------
    Attribution

    Raises
    ------
    XrdlibError
        If the pattern or the wavelength makes no sense.
    """
    wavelength, grid = strong_line(wavelength), predictor.grid
    on_grid = to_grid(two_theta, intensity, wavelength, grid)
    x = normalise(torch.from_numpy(on_grid))
    share = background(on_grid, grid.step).clip(min=0) / on_grid.max()
    baseline = torch.from_numpy(np.sqrt(share)).to(x)  # on the scale of the pattern's own lines
    function = log_odds(
        predictor.model,
        first,
        second,
        predictor.calibration.a,
        predictor.metadata["training_prior"],
    )
    with torch.no_grad():
        ends = function(torch.stack([x, baseline])).tolist()
    values = integrated_gradients(function, x, baseline).numpy()
    sine = np.sin(np.radians(grid.two_theta) / 2) * wavelength / CU_KA1
    seen = sine < 1
    angle = 2 * np.degrees(np.arcsin(sine[seen]))
    return Attribution(first, second, angle, values[seen], *ends)


def integrated_gradients(function, x, baseline=None, steps=STEPS):
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


def log_odds(model, first, second, fusion, training_prior):
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
