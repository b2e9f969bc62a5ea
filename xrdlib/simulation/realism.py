"""Nuisances of laboratory patterns: their ranges, and patterns with drawn nuisances.

Every random number is a function of (seed, index of the pattern, quantity), see `counter`, so a
pattern does not depend on the batch it is made in. The ranges follow what is published about
laboratory patterns of minerals and what the measured RRUFF patterns show.
"""

import math
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from ..base import counter
from ..base.errors import XrdlibError
from ..base.patterns import Grid
from ..base.records import Reflections, concatenate
from .background import faults, measure
from .diffraction import full_precision
from .profiles import nodes, render
from .specimen_effects import (
    AXES,
    anisotropic_strain,
    as_phase,
    broadened,
    doublet,
    observed_angles,
    reflection_intensities,
    strained_metric,
    tails,
    widths,
)

_SLOT, _LINE, _NOISE = 101, 102, 103  # of the random numbers
_NUMBERS = 80  # uniform numbers a pattern; a quantity keeps its column, so new ones come last
N_NODES = 2  # the shape between them is a mixture, as real as either
_PROBABILITIES = (
    "no_texture strong_texture two_axes single_line anisotropic hump_probability subtracted "
    "folded impurity cropped coarse spikes"
).split()

# What is drawn for the specimen and repeated for an impurity.
_SPECIMEN = (
    "strain strains debye_waller smooth line_error ratio axis second_ratio second_axis "
    "second_share line_strain strain_axis single_line"
).split()


@dataclass(frozen=True)
class Realism:
    """Ranges of the nuisance parameters; (a, b) is a uniform range unless noted otherwise.

    "log-normal (m, s)" has median m and standard deviation s of the natural logarithm.
    """

    strain: tuple = (0.0005, 0.008)  # standard deviation of the metric strain, log-uniform
    debye_waller: tuple = (0.3, 2.5)  # overall B in square angstrom
    smooth_error: float = 0.12  # standard deviation of ln I at either end of the range
    line_error: tuple = (0.0, 0.16)  # standard deviation of ln I, reflection by reflection
    no_texture: float = 0.44  # probability of a random powder
    march: float = 0.25  # standard deviation of ln r otherwise: 5-95 % is 0.67-1.5
    strong_texture: float = 0.25  # share of textured patterns with the wider spread
    strong_march: float = 0.55  # their standard deviation of ln r, kept in 0.3-3
    two_axes: float = 0.15  # share of textured patterns with a second texture axis
    single_line: float = 0.05  # probability of K-alpha1 alone
    fwhm: tuple = (0.064, 0.42)  # degrees at low angle, log-normal
    fwhm_limits: tuple = (0.035, 0.4)
    lorentzian: tuple = (0.2, 1.0)  # Lorentzian share of that width
    caglioti: tuple = (0.0, 0.006)  # U in square degrees; V = -U / 4
    strain_width: tuple = (0.08, 0.8)  # Lorentzian Y tan(theta) in degrees, log-normal
    anisotropic: float = 0.3  # probability of strain along one axis, which widens peaks unequally
    line_strain: tuple = (0.0006, 0.5)  # its standard deviation, log-normal
    zero_shift: float = 0.025  # standard deviation, degrees, within four of them
    displacement: float = 0.035  # standard deviation of the cos(theta) shift, degrees
    asymmetry: tuple = (0.0, 0.015)  # tail length times tan(2theta), degrees
    transparency: tuple = (0.0, 0.02)  # tail length over sin(2theta), degrees
    background: tuple = (0.10, 0.9)  # of the strongest peak, log-normal
    noise: tuple = (0.0037, 1.05)  # standard deviation of the background at 0.02 degree steps, of
    # the strongest peak, log-normal; with the background it fixes the counts
    counts: tuple = (50.0, 1e6)  # limits of the strongest peak's counts
    polynomial: float = 0.15  # standard deviation of each coefficient
    air: tuple = (1.0, 5.0)  # air scatter at the first angle, of the mean background
    hump_probability: float = 0.3
    hump: tuple = (0.1, 1.2)  # amorphous hump, of the mean background
    subtracted: float = 0.7  # probability that the background was subtracted
    folded: float = 0.9  # probability that negative remains are folded, else cut
    pedestal: tuple = (0.5, 1.0)  # left under the noise, of its deviation at 0.01 degree steps
    residual: float = 0.05  # relative wave of the pedestal
    impurity: float = 0.25  # probability of a second phase
    impurity_level: tuple = (0.004, 0.12)  # its strongest peak, of the main one's, log-uniform
    cropped: float = 0.2  # probability of a shorter range
    crop_first: tuple = (5.0, 15.0)
    crop_last: tuple = (60.0, 90.0)
    coarse: float = 0.1  # probability of steps of 2 to 5 points
    spikes: float = 0.04  # probability of up to three spikes

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            pair = isinstance(field.default, tuple)
            numbers = tuple(value) if isinstance(value, (tuple, list)) else (value,)
            most = 1 if field.name in _PROBABILITIES else math.inf
            good = all(isinstance(x, (int, float)) and 0 <= x <= most for x in numbers)
            if len(numbers) != 1 + pair or not good or math.inf in numbers:
                raise XrdlibError(
                    f"Realism field {field.name} is {value!r}; give {1 + pair} of at least "
                    "0, at most 1 where it is a probability."
                )
            # Lists, as YAML gives them, become tuples.
            object.__setattr__(self, field.name, numbers if pair else value)

    @classmethod
    def measured(cls, **changes: object) -> Self:
        """Ranges of laboratory patterns, with fields changed by name, which must be known ones."""
        unknown = set(changes) - {f.name for f in fields(cls)}
        if unknown:
            raise XrdlibError(f"Realism has no field {sorted(unknown)[0]!r}; see its docstring.")
        return cls(**changes)

    @classmethod
    def mild(cls, **changes: object) -> Self:
        """Good patterns: weak texture and noise, full range, no impurity or fault."""
        mild = dict(
            strain=(0.0005, 0.003),
            line_error=(0.0, 0.05),
            smooth_error=0.05,
            no_texture=0.7,
            march=0.1,
            strong_texture=0.0,
            background=(0.03, 0.5),
            noise=(0.001, 0.5),
            residual=0.02,
            impurity=0.0,
            cropped=0.0,
            coarse=0.0,
            spikes=0.0,
        )
        return cls.measured(**{**mild, **changes})


def draw(realism: Realism, seed: int, index: Tensor) -> dict[str, Tensor]:
    """Parameters of the patterns with these global numbers, (B,) int64.

    A dict of tensors (B, 1) or (B, k), ready to broadcast over points or reflections.
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


@full_precision()
def measured_like(
    reflections: Reflections,
    realism: Realism,
    seed: int,
    index: Tensor,
    grid: Grid,
    impurity: Reflections | None = None,
) -> Tensor:
    """Measured-looking patterns of known crystals.

    Parameters
    ----------
    reflections : records.Reflections
        One crystal for each pattern, up to 90 degrees of Cu K-alpha1.
    realism : Realism
    seed : int
    index : (B,) int64 tensor
        Global numbers of the patterns; its device is where the work is done.
    grid : patterns.Grid
    impurity : records.Reflections, optional
        A second phase for each pattern, which the drawn few receive.

    Returns
    -------
    (B, grid.size) float32 tensor
        Counts, at least 0; without background where that was drawn to be subtracted.

    Raises
    ------
    XrdlibError
        If the numbers of crystals, impurities and indices differ.
    """
    if len(reflections) != len(index) or (impurity is not None and len(impurity) != len(index)):
        raise XrdlibError(
            f"{len(reflections)} crystals and {len(index)} indices given; each pattern needs "
            "one of both, and one impurity if there are any."
        )
    draws = draw(realism, seed, index)
    n = len(index)
    phases, pattern = reflections, torch.arange(n, device=index.device)
    if impurity is not None:
        second = (draws["impurity"] > 0).nonzero()[:, 0]
        pattern = torch.cat([pattern, second])
        phases = concatenate([reflections, impurity.take(second.cpu().numpy())])
    sine, strength, strain, phase = _components(phases, draws, seed, index, pattern)
    # The strongest component of every phase is 1, or the level of an impurity.
    strongest = torch.zeros(len(pattern), device=index.device)
    strongest.scatter_reduce_(0, phase, strength, "amax")
    wanted = torch.cat([torch.ones(n, device=index.device), draws["impurity"][pattern[n:]]])
    strength = strength * (wanted / strongest.clamp(min=1e-30))[phase]
    owner = pattern[phase]
    angle = observed_angles(sine, owner, draws)
    components = broadened(angle, strength, owner, sine, strain, draws["fwhm"])
    at = nodes(grid, N_NODES).to(index.device)
    signal = render(*tails(*components, draws), n, grid, *widths(draws, at))
    signal = signal / signal.amax(1, keepdim=True).clamp(min=1e-12)
    return faults(measure(signal, draws, grid, seed, index, _NOISE), draws, grid)


def _components(phases, draws, seed, index, pattern):
    """sin(theta), intensity, strain and phase of every component; phases belong to `pattern`."""
    n = len(index)
    own = {name: draws[name][pattern] for name in _SPECIMEN}
    own["ratio"][n:] = own["second_ratio"][n:] = 1
    # An impurity of the same crystal has other grains: its errors come from other numbers.
    own_index = index[pattern]
    own_index[n:] ^= 1 << 62
    phase = as_phase(phases, index.device)
    metric = strained_metric(phase.lattice, phase.rotations, own["strains"], own["strain"])
    d_star2, strength = reflection_intensities(phase, metric, own, seed, own_index, _LINE)
    strain = anisotropic_strain(phase, metric, own, d_star2)
    sine, strength, owner = doublet(d_star2, strength, phase.owner, own["single_line"])
    return sine, strength, torch.cat([strain, strain]), owner
