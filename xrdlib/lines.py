"""Reflections to diffraction lines of one specimen on one instrument, many patterns at a time.

Rows are reflections of all patterns, joined; `owner` says whose they are.
"""

import math
from typing import NamedTuple

import numpy as np
import torch

from . import counter
from .diffraction import WAVELENGTHS, lorentz_polarisation, march_dollase

AXES = ((0, 0, 1), (1, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1), (1, 0, -1))
# Gauss-Laguerre points (shift, weight) of an exponential tail.
_TAIL = ((0.415775, 0.711093), (2.294280, 0.278518), (6.289945, 0.010389))
_TAIL_BELOW = 40.0  # degrees; axial divergence is a matter of low angles


class Phase(NamedTuple):
    """Reflections of B crystals as tensors."""

    lattice: torch.Tensor  # (B, 3, 3)
    rotations: torch.Tensor  # (B, 24, 3, 3)
    owner: torch.Tensor  # (m,)
    hkl: torch.Tensor  # (m, 3) float32
    strength: torch.Tensor  # (m,) multiplicity times |F|^2


def as_phase(reflections, device):
    """A records.Reflections on the device."""
    counts = torch.from_numpy(np.diff(reflections.start)).to(device)
    rows = torch.arange(len(counts), device=device)
    return Phase(
        torch.from_numpy(reflections.lattice).to(device, torch.float32),
        torch.from_numpy(reflections.rotations).to(device, torch.float32),
        torch.repeat_interleave(rows, counts, output_size=int(reflections.start[-1])),
        torch.from_numpy(reflections.hkl).to(device).to(torch.float32),
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
    """1/d and integrated intensity without Lorentz-polarisation, both (m,).

    Strain, overall Debye-Waller factor exp(-2 B s^2), March-Dollase texture, and an error that is
    partly smooth in angle (absorption, roughness) and partly the line's own (few grains).
    """
    metric = strained_metric(phase.lattice, phase.rotations, draws["strains"], draws["strain"])
    d_star2 = quadratic(metric, phase.hkl, phase.owner)
    strength = phase.strength
    s2 = d_star2 / 4
    exponent = -2 * draws["debye_waller"][phase.owner] * s2
    reach = s2 * 4.76 - 1  # from -1 at 0 to about 1 at 90 degrees of Cu K-alpha
    smooth = draws["smooth"][phase.owner]
    exponent += smooth[:, 0] * reach + smooth[:, 1] * (2 * reach.square() - 1)
    code = (phase.hkl @ phase.hkl.new_tensor([1024.0**2, 1024.0, 1.0])).to(torch.int32)
    noise = counter.normal_at(seed, index[phase.owner], slot, code)
    exponent += draws["line_error"][phase.owner] * noise
    strength = strength * exponent.exp_()
    textured = draws["ratio"] != 1
    rows = textured[phase.owner].nonzero()[:, 0]
    if len(rows):
        factor = march_dollase(
            metric,
            phase.rotations,
            draws["axis"],
            draws["ratio"],
            phase.hkl[rows],
            phase.owner[rows],
        )
        strength.index_put_((rows,), strength[rows] * factor)
    return d_star2.sqrt(), strength


def quadratic(metric, hkl, owner):
    """(m,) squared length h G h^T of each row in its owner's (B, 3, 3) metric."""
    six = metric[:, (0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)]
    six = (six * six.new_tensor([1, 1, 1, 2, 2, 2]))[owner]
    return (six[:, :3] * hkl * hkl).sum(1) + (
        six[:, 3:] * hkl[:, (1, 0, 0)] * hkl[:, (2, 2, 1)]
    ).sum(1)


def doublet(d_star, strength, owner, single_line, wavelengths=("CuKa1", "CuKa2")):
    """Bragg angles (degrees) and intensities with Lorentz-polarisation of both K-alpha lines."""
    angles, intensities = [], []
    for line, name in enumerate(wavelengths):
        sine = d_star * (WAVELENGTHS[name] / 2)
        angle = torch.rad2deg(2 * torch.asin(sine.clamp(max=0.9999)))
        share = torch.where(single_line, float(line == 0), (2 - line) / 3)[owner]
        angles.append(angle)
        intensities.append(strength * lorentz_polarisation(angle) * share * (sine < 0.99))
    return torch.cat(angles), torch.cat(intensities), torch.cat([owner, owner])


def displaced(angle, owner, draws):
    """Angles as the goniometer reads them: zero shift, and specimen displacement ~ cos(theta)."""
    cosine = torch.cos(torch.deg2rad(angle) / 2)
    return angle + draws["zero_shift"][owner] + draws["displacement"][owner] * cosine


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
