"""Effects of the measurement on peaks: background, counting noise, faults, subtraction.

Every function takes a batch of patterns (B, n_points) and the drawn parameters of `realism.draw`.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..base import counter
from ..base.patterns import Grid

_EVERY = 8  # grid points between those at which the background is computed
_LOW, _STEPS = -6.0, 200  # where the table of subtraction starts, its rows for a unit
_SIZE = int(-2 * _LOW * _STEPS) + 1


def background(draws: dict[str, Tensor], grid: Grid, device: str | torch.device) -> Tensor:
    """Smooth background, (B, n_points), in units of its own mean level of about 1.

    A cubic polynomial, air scatter that decays from low angles, and an amorphous hump.
    """
    # All are so smooth that every eighth point suffices, with straight lines between.
    count = -(-(grid.size - 1) // _EVERY) + 1
    last = grid.start + (count - 1) * _EVERY * grid.step
    angle = torch.linspace(grid.start, last, count, device=device)
    x = (angle - grid.start) * (2 / (grid.stop - grid.start)) - 1
    basis = torch.stack([x, 2 * x * x - 1, 4 * x**3 - 3 * x])
    level = torch.addmm(torch.ones((), device=device), draws["polynomial"], basis)
    level += draws["air"] * torch.exp((grid.start - angle) / draws["air_decay"])
    width = draws["hump_width"]
    level += draws["hump"] * torch.exp(-(((angle - draws["hump_centre"]) / width) ** 2))
    size = (count - 1) * _EVERY + 1
    level = level.clamp_(min=0.05)[:, None]
    level = interpolate(level, size=size, mode="linear", align_corners=True)
    return level[:, 0, : grid.size]


def measure(
    signal: Tensor, draws: dict[str, Tensor], grid: Grid, seed: int, index: Tensor, slot: int
) -> Tensor:
    """Counts (B, n_points) from peaks of maximum 1: background, noise, then subtraction.

    Where the background is subtracted, its estimate lies a little below the truth, as that of
    automatic procedures does: the noise then stands on a pedestal of about one standard deviation
    and what is left below zero is folded up or cut. That is done to a scan in steps of 0.01 degree;
    a point of a coarser grid is an average of its points. `draws` are those of `realism.draw`;
    `seed`, `index` (B,) and `slot` name the noise, see `counter`.
    """
    shares, shared, skewness = _binning(grid)
    counts = draws["counts"] * (grid.step / 0.02)
    level = background(draws, grid, signal.device).mul_(draws["background"] * counts)
    expected = signal.clamp(min=0).mul_(counts).add_(level)
    spread = expected.sqrt()
    noise = counter.normal(seed, index, slot, grid.size + 1)
    noise = torch.add(noise[:, :-1], noise[:, 1:], alpha=shared).mul_((1 + shared**2) ** -0.5)
    # Cornish-Fisher: z + (z^2 - 1) skewness / 6 has about the moments wanted.
    bend = torch.addcmul(noise.new_tensor(-1 / 6), noise, noise, value=1 / 6)
    rows = draws["subtracted"][:, 0].nonzero()[:, 0]
    if len(rows):
        own, under = expected.index_select(0, rows), level.index_select(0, rows)
        rest = own.sub_(under).add_(_left(under, draws, rows, shares))
        expected.index_copy_(0, rows, rest)
        if shares > 1:
            rest.div_(spread.index_select(0, rows)).mul_(shares**-0.5)
            mean, width, skew = _moments(rest, draws["folded"][rows], shares, skewness)
            bent = skew.mul_(bend.index_select(0, rows)).add_(noise.index_select(0, rows))
            noise.index_copy_(0, rows, mean.addcmul_(bent, width))
    measured = expected.add_(bend).addcmul_(spread, noise)
    if shares > 1:
        return measured.clamp_(min=0)
    return torch.maximum(measured, measured * -draws["folded"].to(measured.dtype))


def _left(level, draws, rows, shares):
    """What the subtraction leaves under the noise: the pedestal, with slow waves."""
    half_turns = torch.linspace(0, torch.pi, level.shape[1], device=level.device)
    waves = torch.stack([torch.cos(k * half_turns) for k in (1, 2, 5)])
    left = torch.addmm(torch.ones((), device=level.device), draws["residual"][rows], waves)
    return left.mul_(draws["pedestal"][rows] * shares**0.5).mul_(level.sqrt())


def _moments(mean, folded, shares, skewness):
    """Moments of points whose scan was cut or folded at zero: see `_tables`.

    `mean` (B, n_points) is in standard deviations of a point of the scan.
    """
    row = (mean * _STEPS).sub_(_LOW * _STEPS).clamp_(0, _SIZE - 1).to(torch.int32)
    row = row.add_(folded.to(torch.int32) * _SIZE).flatten()
    tables = _tables(shares**0.5, skewness, mean.device)
    return [table.index_select(0, row).view_as(mean) for table in tables]


def _binning(grid):
    """What scans in steps of 0.01 degree, averaged over the cells of a grid, amount to.

    An even number m of them puts half a point at either end of a cell, which its neighbour shares.
    The independent points that an average of as low a variance has, the weight x of the next number
    in noise z_i + x z_(i+1) of the right autocorrelation, and a factor on a point's skewness.
    """
    m = max(1, round(grid.step / 0.01))
    if m % 2:
        return float(m), 0.0, m**-0.5
    correlation = 1 / (4 * m - 2)
    shared = (1 - math.sqrt(1 - 4 * correlation**2)) / (2 * correlation)
    return m * m / (m - 0.5), shared, (m - 0.75) / (m - 0.5) ** 1.5


@lru_cache(maxsize=8)
def _tables(unit, skewness, device):
    """Moments of a normal variable of variance 1 that is cut at zero, and then of a folded one.

    Three tensors (2 * _SIZE,) by its mean u: how far cutting moves the mean, times `unit`; standard
    deviation; and skewness, times `skewness`.
    """
    u = torch.linspace(_LOW, -_LOW, _SIZE, dtype=torch.float64)
    density = torch.exp(-u * u / 2) / math.sqrt(2 * math.pi)
    above = torch.special.ndtr(u)
    cut = (density + u * above, (u * u + 1) * above + u * density)
    cut = (*cut, (u * u + 2) * density + (u**3 + 3 * u) * above)
    # |x| = 2 max(x, 0) - x, and odd powers accordingly.
    folded = (2 * cut[0] - u, u * u + 1, 2 * cut[2] - (u**3 + 3 * u))
    moments = []
    for first, second, third in (cut, folded):
        variance = (second - first**2).clamp(min=1e-9)
        skew = (third - 3 * first * second + 2 * first**3) / variance**1.5
        skew = skewness * skew.clamp(max=3)
        moments.append(torch.stack([unit * (first - u), variance.sqrt(), skew]))
    return torch.cat(moments, 1).to(device, torch.float32).unbind(0)


def faults(pattern: Tensor, draws: dict[str, Tensor], grid: Grid) -> Tensor:
    """Spikes, coarse steps and a cropped range, in the order in which they arise; in place."""
    # Single points raised by a cosmic ray or a discharge.
    at = (draws["spike_at"] * pattern.shape[1]).to(torch.int64)
    pattern.scatter_add_(1, at, draws["spike_height"] * pattern.amax(1, keepdim=True))
    coarsen(pattern, draws["coarse"])
    rows = (draws["last"][:, 0] < grid.stop).nonzero()[:, 0]
    if len(rows):
        angle = torch.from_numpy(grid.two_theta).to(pattern.device, torch.float32)
        inside = (angle >= draws["first"][rows]) & (angle <= draws["last"][rows])
        pattern[rows] *= inside
    return pattern


def coarsen(pattern: Tensor, factor: Tensor) -> None:
    """Keep every `factor`-th point (B,) and interpolate linearly between those kept; in place."""
    for k in (2, 3, 4, 5):
        rows = (factor == k).nonzero()[:, 0]
        if len(rows):
            kept = pattern[rows, ::k][:, None]
            size = (kept.shape[2] - 1) * k + 1
            wide = interpolate(kept, size=size, mode="linear", align_corners=True)
            pattern[rows, :size] = wide[:, 0]
            pattern[rows, size:] = wide[:, 0, -1:]
