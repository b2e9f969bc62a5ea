"""Reflections to diffraction lines of one specimen on one instrument, many patterns at a time.

Rows are reflections of all patterns, joined; `owner` says whose they are.
"""

import math
from typing import NamedTuple

import numpy as np
import torch

from . import counter
from .diffraction import WAVELENGTHS, lorentz_polarisation, march_dollase, squared_lengths

# Texture axes to draw from: the faces that minerals cleave or grow along, the commonest twice.
AXES = ((0, 0, 1), (1, 0, 0), (0, 1, 0), (1, 1, 0)) * 2 + (
    (1, 0, 1),
    (0, 1, 1),
    (1, 1, 1),
    (1, 0, -1),
    (1, 0, 4),
)
# Gauss-Laguerre points (shift, weight) of an exponential tail.
_TAIL = ((0.415775, 0.711093), (2.294280, 0.278518), (6.289945, 0.010389))
_REACH = 1.1867  # square angstrom: 1 / (d*)^2 at 90 degrees of Cu K-alpha1
_TAIL_BELOW = 40.0  # degrees; axial divergence is a matter of low angles


class Phase(NamedTuple):
    """Reflections of B crystals as tensors."""

    lattice: torch.Tensor  # (B, 3, 3)
    rotations: torch.Tensor  # (B, 24, 3, 3)
    owner: torch.Tensor  # (m,)
    hkl: torch.Tensor  # (3, m) float32
    strength: torch.Tensor  # (m,) multiplicity times |F|^2


def as_phase(reflections, device):
    """A records.Reflections on the device."""
    counts = torch.from_numpy(np.diff(reflections.start)).to(device)
    rows = torch.arange(len(counts), device=device)
    return Phase(
        torch.from_numpy(reflections.lattice).to(device, torch.float32),
        torch.from_numpy(reflections.rotations).to(device, torch.float32),
        torch.repeat_interleave(rows, counts, output_size=int(reflections.start[-1])),
        torch.from_numpy(np.ascontiguousarray(reflections.hkl.T)).to(device).to(torch.float32),
        torch.from_numpy(reflections.multiplicity * reflections.f2).to(device),
    )


def strained_metric(lattice, rotations, strains, size):
    """Reciprocal metric of the lattice after a strain that keeps its symmetry.

    Parameters
    ----------
    lattice : (B, 3, 3) tensor
        Rows a, b, c.
    rotations : (B, 24, 3, 3) tensor
    strains : (B, 6) tensor
        Standard normal numbers: three diagonal and three shear components.
    size : (B,) tensor
        Standard deviation of the strain.

    Returns
    -------
    (B, 3, 3) tensor
        Inverse of the metric averaged over W^T M W, so every W still leaves it as it is.
    """
    first, second = (0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)
    tensor = torch.zeros_like(lattice)
    tensor[:, first, second] = strains * size[:, None]
    tensor = tensor + tensor.transpose(1, 2)  # twice a diagonal strain, as the metric wants
    change = (lattice @ tensor @ lattice.transpose(1, 2))[:, None]
    change = (rotations.transpose(2, 3) @ change @ rotations).mean(1)
    return torch.linalg.inv(lattice @ lattice.transpose(1, 2) + change)


def line_intensities(phase, draws, seed, index, slot):
    """1/d^2 and integrated intensity without Lorentz-polarisation, both (m,).

    Strain, overall Debye-Waller factor exp(-2 B s^2), March-Dollase texture, and an error that is
    partly smooth in angle (absorption, roughness) and partly the line's own (few grains).
    """
    metric = strained_metric(phase.lattice, phase.rotations, draws["strains"], draws["strain"])
    d_star2 = squared_lengths(metric, phase.hkl, phase.owner)
    # ln I changes by the Chebyshev polynomials of 2x - 1, x = 0 to 1 up to 90 degrees of Cu, and
    # by -2 B s^2 = -B x / (2 _REACH); constants fall out with the scale.
    first, second = draws["smooth"].T
    linear = 2 * first - 8 * second - draws["debye_waller"] / (2 * _REACH)
    table = torch.stack([linear, 8 * second, draws["line_error"]]).index_select(1, phase.owner)
    x = d_star2 * _REACH
    # A line's error goes with its indices, not with its place in the list.
    h1, h2, h3 = phase.hkl.to(torch.int32)
    place = (h1 * 1024 + h2) * 1024 + h3
    noise = counter.normal_at(seed, index.index_select(0, phase.owner), slot, place)
    exponent = torch.addcmul(table[2] * noise, torch.addcmul(table[0], table[1], x), x)
    strength = exponent.exp_().mul_(phase.strength)
    rows = (draws["ratio"] != 1)[phase.owner].nonzero()[:, 0]
    if len(rows):
        texture = (metric, phase.rotations, draws["axis"], draws["ratio"])
        factor = march_dollase(
            *texture, phase.hkl.index_select(1, rows), phase.owner[rows], d_star2[rows]
        )
        strength[rows] *= factor
    return d_star2, strength


def doublet(d_star2, strength, owner, single_line, wavelengths=("CuKa1", "CuKa2")):
    """Both K-alpha lines: sin(theta), intensity with Lorentz-polarisation, and owner of each."""
    half = [WAVELENGTHS[name] / 2 for name in wavelengths]
    sine = d_star2.sqrt()
    sine = torch.cat([sine * half[0], sine * half[1]])
    # The second line has half the intensity of the first, unless a monochromator takes it out.
    second = torch.where(single_line, 0.0, 0.5)[owner]
    intensity = torch.cat([strength, strength * second])
    reached = sine < 0.99
    sine = sine.clamp_(max=0.99)
    return sine, intensity * lorentz_polarisation(sine) * reached, torch.cat([owner, owner])


def observed_angles(sine, owner, draws):
    """2theta in degrees as the goniometer reads it: zero shift, and displacement ~ cos(theta)."""
    shift = torch.stack([draws["zero_shift"], draws["displacement"]]).index_select(1, owner)
    cosine = (1 - sine.square()).sqrt()
    return torch.asin(sine).mul_(360 / math.pi).add_(shift[0]).addcmul_(shift[1], cosine)


def axial_tails(angle, strength, owner, asymmetry):
    """Low-angle tails by axial divergence: an exponential of length ~ cot(2theta).

    Each line below 40 degrees becomes the few lines of a Gauss-Laguerre quadrature of its tail.
    """
    low = (angle < _TAIL_BELOW) & (angle > 1)
    near, far = (~low).nonzero()[:, 0], low.nonzero()[:, 0]
    who = owner[far]
    fade = math.tan(math.radians(_TAIL_BELOW))
    length = asymmetry[who] * (1 / torch.tan(torch.deg2rad(angle[far])) - 1 / fade)
    angles = [angle[near]] + [angle[far] - length * shift for shift, _ in _TAIL]
    strengths = [strength[near]] + [strength[far] * weight for _, weight in _TAIL]
    return torch.cat(angles), torch.cat(strengths), torch.cat([owner[near], who, who, who])


def widths(draws, angles):
    """Gaussian and Lorentzian widths in degrees, (B, k) each, at 2theta (k,).

    Gaussian: Caglioti U tan^2 + V tan + W with V = -U / 4. Lorentzian: X / cos + Y tan. W and X
    share the width at low angle, by the Voigt approximation of Olivero & Longbothum (1977).
    """
    tangent = torch.tan(torch.deg2rad(angles) / 2)
    full, share = draws["fwhm"], draws["lorentzian"]
    lorentz = (full * share)[:, None]
    gauss2 = ((1 - 0.5346 * share).square() - 0.2166 * share.square()) * full.square()
    u = draws["caglioti"][:, None]
    gauss = (gauss2[:, None] + u * tangent * (tangent - 0.25)).clamp(min=1e-4).sqrt()
    lorentz = lorentz * (1 + tangent.square()).sqrt() + draws["strain_width"][:, None] * tangent
    return gauss, lorentz
