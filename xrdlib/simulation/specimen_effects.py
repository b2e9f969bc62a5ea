"""Effects of specimen and instrument on reflections, many patterns at a time.

Rows are reflections of all patterns, joined; `owner` is the pattern of each. From `doublet` on they
are components of peaks: K-alpha1 and K-alpha2, and the parts that broadening and tails split off.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..base import counter
from ..base.records import Reflections
from .diffraction import (
    WAVELENGTHS,
    lorentz_polarisation,
    march_dollase,
    squared_lengths,
    toward_axis,
)

# Axes of texture and strain to draw from: faces that minerals cleave or grow along, the commonest
# twice.
AXES = ((0, 0, 1), (1, 0, 0), (0, 1, 0), (1, 1, 0)) * 2
AXES += ((1, 0, 1), (0, 1, 1), (1, 1, 1), (1, 0, -1), (1, 0, 4))

# Points (shift, weight) of Gauss and Hermite for a normal distribution, and of Gauss and Laguerre
# for an exponential tail.
_SPREAD = ((0.0, 2 / 3), (3**0.5, 1 / 6), (-(3**0.5), 1 / 6))
_TAIL = ((0.415775, 0.711093), (2.294280, 0.278518), (6.289945, 0.010389))
_REACH = 1.1867  # square angstrom: 1 / (d*)^2 at 90 degrees of Cu K-alpha1
_TAIL_BELOW = 40.0  # degrees; axial divergence is a matter of low angles
_SHORT = 0.01  # degrees; a tail or a spread below this does not show beside the width
_FAINT = 0.003  # of the strongest component; the shape of a fainter one drowns in the noise
_WIDEST = 0.5  # of the width at low angle: a wider spread would show its three points
Draws = dict[str, Tensor]  # as from `realism.draw`
Components = tuple[Tensor, Tensor, Tensor]


class Phase(NamedTuple):
    """Reflections of B crystals as tensors."""

    lattice: Tensor  # (B, 3, 3)
    rotations: Tensor  # (B, 24, 3, 3)
    owner: Tensor  # (m,)
    hkl: Tensor  # (3, m) float32
    strength: Tensor  # (m,) multiplicity times |F|^2


def as_phase(reflections: Reflections, device: str | torch.device) -> Phase:
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


def strained_metric(lattice: Tensor, rotations: Tensor, strains: Tensor, size: Tensor) -> Tensor:
    """Reciprocal metric (B, 3, 3) of lattices after a strain that keeps their symmetry.

    `strains` (B, 6) are standard normal numbers, three diagonal and three shear components, `size`
    (B,) the standard deviation of the strain. The metric is averaged over W^T M W, so every
    rotation W (B, 24, 3, 3) leaves it as it is.
    """
    first, second = (0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)
    tensor = torch.zeros_like(lattice)
    tensor[:, first, second] = strains * size[:, None]
    tensor = tensor + tensor.transpose(1, 2)  # twice a diagonal strain, as the metric wants
    change = (lattice @ tensor @ lattice.transpose(1, 2))[:, None]
    change = (rotations.transpose(2, 3) @ change @ rotations).mean(1)
    return torch.linalg.inv(lattice @ lattice.transpose(1, 2) + change)


def reflection_intensities(
    phase: Phase, metric: Tensor, draws: Draws, seed: int, index: Tensor, slot: int
) -> tuple[Tensor, Tensor]:
    """1/d^2 and integrated intensity without Lorentz-polarisation, both (m,).

    Overall Debye-Waller factor exp(-2 B s^2), March-Dollase texture about one axis or two, and an
    error that is partly smooth in angle (absorption, roughness) and partly the reflection's own
    (few grains). `metric` (B, 3, 3) is the reciprocal one.
    """
    d_star2 = squared_lengths(metric, phase.hkl, phase.owner)
    # ln I changes by the Chebyshev polynomials of 2x - 1, x = 0 to 1 up to 90 degrees of Cu, and
    # by -2 B s^2 = -B x / (2 _REACH); constants fall out with the scale.
    first, second = draws["smooth"].T
    linear = 2 * first - 8 * second - draws["debye_waller"] / (2 * _REACH)
    table = torch.stack([linear, 8 * second, draws["line_error"]]).index_select(1, phase.owner)
    x = d_star2 * _REACH
    # A reflection's error goes with its indices, not with its row.
    h1, h2, h3 = phase.hkl.to(torch.int32)
    code = (h1 * 1024 + h2) * 1024 + h3
    noise = counter.normal_at(seed, index.index_select(0, phase.owner), slot, code)
    exponent = torch.addcmul(table[2] * noise, torch.addcmul(table[0], table[1], x), x)
    strength = exponent.exp_().mul_(phase.strength)
    rows = (draws["ratio"] != 1)[phase.owner].nonzero()[:, 0]
    if len(rows):
        factor = _texture(phase, metric, draws["axis"], draws["ratio"], rows, d_star2)
        second = (draws["second_ratio"] != 1)[phase.owner[rows]].nonzero()[:, 0]
        second_texture = draws["second_axis"], draws["second_ratio"]
        other = _texture(phase, metric, *second_texture, rows[second], d_star2)
        share = draws["second_share"][phase.owner[rows[second]]]
        factor[second] = torch.lerp(factor[second], other, share)
        strength[rows] *= factor
    return d_star2, strength


def _texture(phase, metric, axis, ratio, rows, d_star2):
    """March-Dollase factors of some reflections."""
    chosen = phase.hkl.index_select(1, rows), phase.owner[rows], d_star2[rows]
    return march_dollase(metric, phase.rotations, axis, ratio, *chosen)


def anisotropic_strain(phase: Phase, metric: Tensor, draws: Draws, d_star2: Tensor) -> Tensor:
    """Standard deviation of the strain along each reflection's normal, (m,).

    Grains strained by e (standard deviation `draws["line_strain"]`) along one axis have
    e cos^2(a) along a normal at an angle a to it. Averaged over equivalent axes, the variance is a
    quartic form in hkl that has the crystal's symmetry, as that of Stephens (J. Appl. Cryst. 32,
    281, 1999).
    """
    strain = torch.zeros_like(d_star2)
    rows = (draws["line_strain"] > 0)[phase.owner].nonzero()[:, 0]
    if len(rows):
        x, y, z = toward_axis(metric, phase.rotations, draws["strain_axis"]).unbind(-1)
        square = torch.stack([x * x, y * y, z * z, 2 * y * z, 2 * x * z, 2 * x * y], 1)
        form = (square @ square.transpose(1, 2) / square.shape[2]).flatten(1)  # (B, 36)
        h, k, l = phase.hkl.index_select(1, rows)  # noqa: E741
        products = torch.stack([h * h, k * k, l * l, k * l, h * l, h * k])
        owner = phase.owner[rows]
        quartic = form.T.index_select(1, owner).unflatten(0, (6, 6)) * products
        quartic = (quartic.sum(1) * products).sum(0).clamp(min=0)
        strain[rows] = draws["line_strain"][owner] * quartic.sqrt() / d_star2[rows]
    return strain


def doublet(d_star2: Tensor, strength: Tensor, owner: Tensor, single_line: Tensor) -> Components:
    """Both K-alpha lines of copper: sin(theta), intensity with Lorentz-polarisation, and owner."""
    half = [WAVELENGTHS[f"CuKa{line}"] / 2 for line in (1, 2)]
    sine = d_star2.sqrt()
    sine = torch.cat([sine * half[0], sine * half[1]])
    # The second line has half the intensity of the first, unless a monochromator takes it out.
    second = torch.where(single_line, 0.0, 0.5)[owner]
    intensity = torch.cat([strength, strength * second])
    reached = sine < 0.99
    sine = sine.clamp_(max=0.99)
    return sine, intensity * lorentz_polarisation(sine) * reached, torch.cat([owner, owner])


def observed_angles(sine: Tensor, owner: Tensor, draws: Draws) -> Tensor:
    """2theta in degrees as the goniometer reads it: zero shift, and displacement ~ cos(theta)."""
    shift = torch.stack([draws["zero_shift"], draws["displacement"]]).index_select(1, owner)
    cosine = (1 - sine.square()).sqrt()
    return torch.asin(sine).mul_(360 / math.pi).add_(shift[0]).addcmul_(shift[1], cosine)


def broadened(
    angle: Tensor, strength: Tensor, owner: Tensor, sine: Tensor, strain: Tensor, fwhm: Tensor
) -> Components:
    """Components widened by a strain of their own: angle, strength and owner of more components.

    One with a spread of 2 tan(theta) times its strain becomes the three of a Gauss-Hermite
    quadrature, which the pattern's own width `fwhm` (B,) joins again.
    """
    spread = (math.degrees(2.0) * strain * sine) / (1 - sine.square()).sqrt()
    spread = torch.minimum(spread, _WIDEST * fwhm[owner])
    wide = (spread > _SHORT) & (strength > _FAINT)
    return _split(angle, strength, owner, wide, spread, _SPREAD)


def tails(angle: Tensor, strength: Tensor, owner: Tensor, draws: Draws) -> Components:
    """Low-angle tails: exponentials whose length differs from peak to peak.

    Axial divergence gives a length ~ cot(2theta) below 40 degrees, the depth that the beam reaches
    in a transparent specimen one ~ sin(2theta). A long tail becomes the components of a
    Gauss-Laguerre quadrature, a short one shifts its component.
    """
    turn = torch.deg2rad(angle)
    fade = 1 / math.tan(math.radians(_TAIL_BELOW))
    axial = (1 / torch.tan(turn) - fade) * ((angle < _TAIL_BELOW) & (angle > 1))
    length = torch.stack([draws["asymmetry"], draws["transparency"]]).index_select(1, owner)
    length = length[0] * axial + length[1] * torch.sin(turn)
    long = (length > _SHORT) & (strength > _FAINT)
    angle = angle - length * ~long
    return _split(angle, strength, owner, long, -length, _TAIL)


def _split(angle, strength, owner, chosen, scale, points):
    """Replace the chosen components by one for each (shift in units of `scale`, weight)."""
    rest, rows = (~chosen).nonzero()[:, 0], chosen.nonzero()[:, 0]
    at, height, who, scale = angle[rows], strength[rows], owner[rows], scale[rows]
    angles = [angle[rest]] + [torch.add(at, scale, alpha=shift) for shift, _ in points]
    strengths = [strength[rest]] + [height * weight for _, weight in points]
    return torch.cat(angles), torch.cat(strengths), torch.cat([owner[rest]] + [who] * len(points))


def widths(draws: Draws, angles: Tensor) -> tuple[Tensor, Tensor]:
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
