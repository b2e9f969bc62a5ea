"""What a diffractometer adds to the lines: background, counting noise, faults, subtraction.

Every function takes a batch of patterns (B, n_points) and the drawn parameters of `realism.draw`.
"""

import torch

from . import counter


def background(draws, grid, device):
    """Smooth background, (B, n_points), in units of its own mean level of about 1.

    A cubic polynomial, air scatter that decays from low angles, and an amorphous hump.
    """
    x = torch.linspace(-1, 1, grid.size, device=device)
    angle = torch.from_numpy(grid.two_theta).to(device, torch.float32)
    basis = torch.stack([x, 2 * x * x - 1, 4 * x**3 - 3 * x])
    level = torch.addmm(torch.ones((), device=device), draws["polynomial"], basis)
    level += draws["air"] * torch.exp((grid.start - angle) / draws["air_decay"])
    width = draws["hump_width"]
    level += draws["hump"] * torch.exp(-(((angle - draws["hump_centre"]) / width) ** 2))
    return level.clamp_(min=0.05)


def measure(signal, draws, grid, seed, index, slot):
    """Counted pattern from lines of maximum 1: background, counting noise, then subtraction.

    Parameters
    ----------
    signal : (B, n_points) tensor
        Sum of the profiles, scaled to maximum 1.
    draws : dict
        `realism.draw`.
    grid : patterns.Grid
    seed, index, slot
        Coordinates of the noise in `counter`.

    Returns
    -------
    (B, n_points) tensor
        Counts, at least 0. Where the background is subtracted, its estimate lies a little below
        the truth, as that of automatic procedures does: the noise then stands on a pedestal of
        one or two standard deviations and what is left below zero is folded up or cut.
    """
    counts = draws["counts"] * (grid.step / 0.02)
    level = background(draws, grid, signal.device).mul_(draws["background"] * counts)
    measured = signal.clamp(min=0).mul_(counts).add_(level)
    noise = _binned(counter.normal(seed, index, slot, grid.size + 1), grid)
    # Cornish-Fisher: expected + z sqrt(expected) + (z^2 - 1) / 6 has a Poisson's third moment.
    spread = measured.sqrt().add_(noise, alpha=1 / 6)
    measured.addcmul_(noise, spread).sub_(1 / 6).clamp_(min=0)
    # What the subtraction leaves under the noise: the pedestal, with slow waves.
    half_turns = torch.linspace(0, torch.pi, grid.size, device=level.device)
    waves = torch.stack([torch.cos(k * half_turns) for k in (1, 2, 5)])
    left = torch.addmm(torch.ones((), device=level.device), draws["residual"], waves)
    left.mul_(draws["pedestal"] * (grid.step / 0.02) ** 0.5).mul_(level.sqrt())
    measured.sub_(level.sub_(left).mul_(draws["subtracted"]))
    return torch.maximum(measured, measured * -draws["folded"].to(measured.dtype))


def _binned(noise, grid):
    """(B, n) noise from (B, n + 1) independent numbers.

    Scans are mostly in steps of 0.01 degree; on a coarser grid a point is an average that shares
    half a step with each neighbour, which are then correlated by 1/6.
    """
    if grid.step < 0.015:
        return noise[:, :-1]
    share = 3 - 8**0.5  # of the next number; share / (1 + share^2) = 1/6
    return (noise[:, :-1] + share * noise[:, 1:]).mul_((1 + share * share) ** -0.5)


def faults(pattern, draws, grid):
    """Spikes, coarse steps and a cropped range, in the order in which they arise; in place."""
    spikes(pattern, draws)
    coarsen(pattern, draws["coarse"])
    rows = (draws["last"][:, 0] < grid.stop).nonzero()[:, 0]
    if len(rows):
        angle = torch.from_numpy(grid.two_theta).to(pattern.device, torch.float32)
        inside = (angle >= draws["first"][rows]) & (angle <= draws["last"][rows])
        pattern[rows] *= inside
    return pattern


def spikes(pattern, draws):
    """Single points raised by a cosmic ray or a discharge; in place."""
    at = (draws["spike_at"] * pattern.shape[1]).to(torch.int64)
    pattern.scatter_add_(1, at, draws["spike_height"] * pattern.amax(1, keepdim=True))


def coarsen(pattern, factor):
    """Keep every `factor`-th point (B,) and interpolate linearly between those kept; in place."""
    for k in (2, 3, 4, 5):
        rows = (factor == k).nonzero()[:, 0]
        if len(rows):
            kept = pattern[rows, ::k][:, None]
            size = (kept.shape[2] - 1) * k + 1
            wide = torch.nn.functional.interpolate(
                kept, size=size, mode="linear", align_corners=True
            )
            pattern[rows, :size] = wide[:, 0]
            pattern[rows, size:] = wide[:, 0, -1:]
