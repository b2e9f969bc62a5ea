"""What differs from pattern to pattern: parameters drawn from the ranges of a `Realism`."""

import math

import torch

from . import counter
from .lines import AXES

_SLOT = 101  # of the random numbers
_NUMBERS = 80  # uniform numbers a pattern; a quantity keeps its place, so new ones come last


def draw(realism, seed, index):
    """Parameters of each pattern.

    Parameters
    ----------
    realism : Realism
    seed : int
    index : (B,) int64 tensor
        Global numbers of the patterns.

    Returns
    -------
    dict of tensors
        Of shape (B, 1) or (B, k), ready to broadcast over points or lines.
    """
    r = realism
    columns = iter(counter.uniform(seed, index, _SLOT, _NUMBERS).T)

    def between(low, high):
        return low + (high - low) * next(columns)

    def chance(probability):
        return next(columns) < probability

    def gauss(sigma=1.0):
        # 4.5 standard deviations at most: a zero from the generator is not infinity.
        return sigma * torch.special.ndtri(next(columns).clamp(4e-6, 1 - 4e-6))

    def log_normal(median, sigma):
        return median * torch.exp(gauss(sigma))

    def log_between(low, high):
        return torch.exp(between(math.log(max(low, 1e-12)), math.log(max(high, 1e-12))))

    def axis():
        faces = torch.tensor(AXES, device=index.device)
        return faces[between(0, len(AXES)).to(torch.int64).clamp(max=len(AXES) - 1)]

    d = {"strain": log_between(*r.strain)}
    d["strains"] = torch.stack([gauss() for _ in range(6)], 1)
    d["debye_waller"] = between(*r.debye_waller)
    d["smooth"] = torch.stack([gauss(r.smooth_error) for _ in range(2)], 1)
    d["line_error"] = between(*r.line_error)
    random, strong = chance(r.no_texture), chance(r.strong_texture)
    spread = torch.where(strong, r.strong_march, r.march)
    ratio = torch.exp(gauss() * spread).clamp(0.3, 3.0)
    d["ratio"] = torch.where(random, torch.ones_like(ratio), ratio)
    d["axis"] = axis()
    d["single_line"] = chance(r.single_line)
    d["fwhm"] = log_normal(*r.fwhm).clamp(*r.fwhm_limits)
    d["lorentzian"] = between(*r.lorentzian)
    d["caglioti"] = between(*r.caglioti)
    d["strain_width"] = log_normal(*r.strain_width)
    d["zero_shift"] = gauss(r.zero_shift).clamp(-4 * r.zero_shift, 4 * r.zero_shift)
    d["displacement"] = gauss(r.displacement)
    d["asymmetry"] = between(*r.asymmetry)
    d["background"] = log_normal(*r.background).clamp(0.002, 2.0)
    noise = log_normal(*r.noise)
    d["counts"] = (d["background"] / noise.square()).clamp(*r.counts)
    d["polynomial"] = torch.stack([gauss(r.polynomial) for _ in range(3)], 1)
    d["air"], d["air_decay"] = between(*r.air), between(2.0, 8.0)
    d["hump"] = between(*r.hump) * chance(r.hump_probability)
    d["hump_centre"], d["hump_width"] = between(15.0, 40.0), between(4.0, 12.0)
    d["subtracted"], d["folded"] = chance(r.subtracted), chance(r.folded)
    d["pedestal"] = between(*r.pedestal)
    d["residual"] = torch.stack([gauss(r.residual) for _ in range(3)], 1)
    d["impurity"] = log_between(*r.impurity_level) * chance(r.impurity)
    cropped = chance(r.cropped)
    d["first"] = torch.where(cropped, between(*r.crop_first), 0.0)
    d["last"] = torch.where(cropped, between(*r.crop_last), 180.0)
    d["coarse"] = (2 + between(0, 4).floor()) * chance(r.coarse)
    spiky = chance(r.spikes)
    d["spike_at"] = torch.stack([next(columns) for _ in range(3)], 1)
    height = torch.stack([log_between(0.01, 1.0) * chance(0.6) for _ in range(3)], 1)
    d["spike_height"] = height * spiky[:, None]
    d["transparency"] = between(*r.transparency)
    d["line_strain"] = log_normal(*r.line_strain) * chance(r.anisotropic)
    d["strain_axis"] = axis()
    single = random | ~chance(r.two_axes)
    ratio = torch.exp(gauss() * spread).clamp(0.3, 3.0)
    d["second_ratio"] = torch.where(single, torch.ones_like(ratio), ratio)
    d["second_axis"], d["second_share"] = axis(), between(0.1, 0.6)
    column = (
        "background counts air air_decay hump hump_centre hump_width subtracted folded "
        "pedestal first last"
    ).split()
    return d | {name: d[name][:, None] for name in column}
