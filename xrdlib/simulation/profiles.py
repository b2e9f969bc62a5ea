"""Peak profiles: sums of profiles of many patterns on one uniform 2theta grid.

Peaks are spread on the grid with cubic B-spline weights, transformed, multiplied by the exact
Fourier transform of the profile (and divided by that of the spline), and transformed back, so
the cost hardly depends on the number of peaks. Widths that vary with angle are exact at a few
angles, the nodes, between which the profile is interpolated.
"""

import math
from itertools import permutations

import torch
from torch import Tensor

from ..base.errors import XrdlibError
from ..base.patterns import Grid
from .diffraction import full_precision

_MARGIN = 5.0  # degrees beside the grid, so that neither peaks nor tails wrap around


def nodes(grid: Grid, n: int) -> Tensor:
    """(n,) 2theta of the width nodes: Chebyshev points over the grid, so that a quadratic is safe.

    Examples
    --------
    >>> from xrdlib.base.patterns import GRID
    >>> [round(float(x), 1) for x in nodes(GRID, 3)]
    [10.7, 47.5, 84.3]
    """
    order = torch.arange(n, dtype=torch.float64)
    unit = (1 - torch.cos((2 * order + 1) * math.pi / (2 * n))) / 2
    return (grid.start + (grid.stop - grid.start) * unit).to(torch.float32)


@full_precision()
def render(
    two_theta: Tensor,
    intensity: Tensor,
    owner: Tensor,
    n: int,
    grid: Grid,
    gauss: Tensor,
    lorentz: Tensor,
    eta: Tensor | None = None,
) -> Tensor:
    """Sum of peak profiles on a uniform grid.

    Parameters
    ----------
    two_theta, intensity, owner : (m,) tensors
        Degrees, integrated intensity and pattern, 0 to n - 1, of every peak of the batch.
    n : int
        Number of patterns.
    grid : patterns.Grid
    gauss, lorentz : (n, k) tensors
        Full widths at half maximum in degrees of the Gaussian and the Lorentzian part at the k
        `nodes`; k = 1 means the same at all angles. Shape (1, k) where all patterns share them.
    eta : tensor of that shape, optional
        Lorentzian fraction. With it the profile is the pseudo-Voigt sum eta L + (1 - eta) G, as
        in the Rietveld method; without it the Voigt convolution of both parts.

    Returns
    -------
    (n, grid.size) float32 tensor
        Intensity per degree, so that a peak's area is its intensity; peaks outside the grid give
        their tails. Rounding can leave values a little below zero.

    Raises
    ------
    XrdlibError
        If the Gaussian and Lorentzian widths differ in shape.
    """
    if gauss.shape != lorentz.shape or gauss.ndim != 2 or len(gauss) not in (1, n):
        raise XrdlibError(
            f"Widths have shapes {tuple(gauss.shape)} and {tuple(lorentz.shape)}; give ({n}, k)."
        )
    k = gauss.shape[1]
    device = two_theta.device
    margin = math.ceil(_MARGIN / grid.step)
    length = _fast_length(grid.size + margin)
    margin = (length - grid.size) // 2

    x = (two_theta - grid.start) / grid.step + margin
    inside = (x >= 1) & (x < length - 2)  # room for the four points of a spline
    x, strength = torch.where(inside, x, 1.0), torch.where(inside, intensity, 0.0)
    left = x.floor()
    spline = _spline(x - left) * strength
    at = left.to(torch.int64) - 1 + owner * (k * length)
    spread = torch.zeros(n * k * length, dtype=torch.float32, device=device)
    share = _node_weights(two_theta, grid, k) if k > 1 else [None]
    for node, weight in enumerate(share):
        values = spline if weight is None else spline * weight
        for point in range(4):
            spread.index_add_(0, at + (node * length + point), values[point])

    spectrum = torch.view_as_real(torch.fft.rfft(spread.view(n, k, length))).flatten(2)
    spectrum.mul_(_transform(gauss, lorentz, eta, length, grid.step))
    spectrum = (spectrum.sum(1) if k > 1 else spectrum[:, 0]).unflatten(1, (-1, 2))
    pattern = torch.fft.irfft(torch.view_as_complex(spectrum), length)
    return pattern[:, margin : margin + grid.size]


def _transform(gauss, lorentz, eta, length, step):
    """Fourier transform of profiles of area 1 over that of the spline, (n, k, length + 2).

    Each value stands twice, for the real and the imaginary part of the spectrum beside it.
    """
    frequency = torch.arange(length // 2 + 1, device=gauss.device).repeat_interleave(2)
    frequency = frequency.to(torch.float64) / (length * step)
    # The spline's own transform is sinc^4; dividing by the step turns sums into densities.
    spline = -4 * torch.log(torch.sinc(frequency * step)) - math.log(step)
    powers = torch.stack([frequency.square(), frequency, spline, torch.ones_like(spline)])
    gaussian = (math.pi * gauss).square() * (-1 / (4 * math.log(2)))
    lorentzian = -math.pi * lorentz
    zero, one = torch.zeros_like(gauss), torch.ones_like(gauss)
    parts = [(gaussian, lorentzian, one, zero)]
    if eta is not None:
        parts = [(gaussian, zero, one, torch.log1p(-eta)), (zero, lorentzian, one, torch.log(eta))]
    powers = powers.to(gauss.dtype)
    parts = [(torch.stack(part, -1) @ powers).exp_() for part in parts]
    return parts[0] if eta is None else parts[0].add_(parts[1])


def _spline(t):
    """(4, m) cubic B-spline weights of the points at -1, 0, 1, 2 for offsets t in [0, 1)."""
    u = 1 - t
    inner = [(4 - 6 * v * v + 3 * v.pow(3)) / 6 for v in (t, u)]
    return torch.stack([u.pow(3) / 6, *inner, t.pow(3) / 6])


def _node_weights(two_theta, grid, k):
    """k tensors (m,): Lagrange weights of the nodes at the angle of each peak."""
    at = nodes(grid, k).tolist()
    x = two_theta.clamp(grid.start, grid.stop)
    weights = [torch.ones_like(x) for _ in at]
    for i, j in permutations(range(k), 2):
        weights[i] = weights[i] * ((x - at[j]) / (at[i] - at[j]))
    return weights


def _fast_length(n):
    """Smallest even number from n on without a prime factor above 5."""
    n += n % 2
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 2
