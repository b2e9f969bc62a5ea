"""Positions and intensities of powder reflections, in full float32 precision."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from ..base.errors import XrdlibError
from ..base.records import Crystals, Reflections, offsets
from ..structures.overlap import CLOSE, overlapping
from .equivalents import MAX_INDEX
from .structure_factors import N_ELEMENTS, unique_structure_factors


@contextmanager
def full_precision() -> Iterator[None]:
    """Context or decorator in which float32 matrix products are not rounded to fewer bits.

    Training may allow TF32 or bfloat16 products; to Miller indices and phases they would be wrong.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


# K-alpha1 and K-alpha2 in angstrom: Hoelzer et al., Phys. Rev. A 56, 4554 (1997) for Cr to Cu,
# Bearden, Rev. Mod. Phys. 39, 78 (1967) for Mo and Ag,
# Deslattes et al., Rev. Mod. Phys. 75, 35 (2003) for Ga, In and W. "XKa" is their 2:1 mean.
_DOUBLETS = {
    "Cr": (2.289726, 2.293652),
    "Fe": (1.936041, 1.939973),
    "Co": (1.788996, 1.792835),
    "Cu": (1.540593, 1.544427),
    "Mo": (0.709300, 0.713590),
    "Ag": (0.559407, 0.563798),
    "Ga": (1.340127, 1.344026),
    "In": (0.512125, 0.516557),
    "W": (0.209013, 0.213833),
}
# Beams of synchrotrons have such wavelengths; the mean of the doublet is not meant.
_NO_MEAN = {"In", "W"}
WAVELENGTHS = {
    f"{anode}Ka{line}": value
    for anode, (first, second) in _DOUBLETS.items()
    for line, value in (("1", first), ("2", second), ("", (2 * first + second) / 3))
}

_MEAN_TOLERANCE = 3e-4  # angstrom; how far stated means of a doublet differ
_MAX_REFLECTIONS = 2e6  # of one crystal's half-sphere; memory for more is not worth it
_NEGLIGIBLE = 1e-9  # of the crystal's strongest |F|^2: rounding where the sum should vanish


def resolve_wavelength(wavelength: str | float) -> float:
    """Wavelength in angstrom from a number or a name such as "CuKa1", "MoKa".

    Raises
    ------
    XrdlibError
        If the name is unknown or the number is not between 0.1 and 5.
    """
    if isinstance(wavelength, str):
        if wavelength not in WAVELENGTHS:
            known = ", ".join(sorted(WAVELENGTHS))
            raise XrdlibError(f"Unknown radiation {wavelength!r}; give angstrom or one of {known}.")
        return WAVELENGTHS[wavelength]
    try:
        value = float(wavelength)
    except (TypeError, ValueError):
        value = float("nan")
    if not 0.1 <= value <= 5.0:
        raise XrdlibError(f"Wavelength {wavelength!r} is not a number of angstrom from 0.1 to 5.")
    return value


def strong_line(wavelength: str | float) -> float:
    """As `resolve_wavelength`, with K-alpha1 for the mean of a K-alpha doublet ("CuKa", 1.5418).

    That is where a measured peak has its top, and where the models' grid has it.
    """
    value = resolve_wavelength(wavelength)
    for anode in _DOUBLETS.keys() - _NO_MEAN:
        # The copper mean is given as 1.5418 to 1.5420.
        if abs(value - WAVELENGTHS[f"{anode}Ka"]) < _MEAN_TOLERANCE:
            return WAVELENGTHS[f"{anode}Ka1"]
    return value


def d_star(lattice: np.ndarray, hkl: np.ndarray) -> np.ndarray:
    """1/d in reciprocal angstrom of reflections `hkl` (m, 3) of one lattice (3, 3), rows a b c."""
    return np.linalg.norm(np.asarray(hkl) @ np.linalg.inv(lattice).T, axis=-1)


def two_theta(d_star: np.ndarray, wavelength: float) -> np.ndarray:
    """Scattering angle in degrees from 1/d by Bragg's law; NaN where it cannot be reached."""
    with np.errstate(invalid="ignore"):
        return np.degrees(2 * np.arcsin(np.asarray(d_star) * wavelength / 2))


def lorentz_polarisation(sine: Tensor) -> Tensor:
    """(1 + cos^2 2theta) / (sin^2 theta cos theta) of an unpolarised beam; tensor of sin(theta)."""
    sine2 = sine.square()
    return (1 + (1 - 2 * sine2).square()) / (sine2 * (1 - sine2).sqrt())


def squared_lengths(metric: Tensor, hkl: Tensor, owner: Tensor) -> Tensor:
    """1/d^2 (m,) of reflections (3, m) of crystals `owner` (m,), reciprocal metrics (B, 3, 3)."""
    six = metric[:, (0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)]
    six = (six * six.new_tensor([1, 1, 1, 2, 2, 2])).T.index_select(1, owner)
    cross = hkl.index_select(0, owner.new_tensor([1, 0, 0]))
    cross *= hkl.index_select(0, owner.new_tensor([2, 2, 1]))
    return (six[:3] * hkl * hkl + six[3:] * cross).sum(0)


def march_dollase(
    metric: Tensor,
    rotations: Tensor,
    axis: Tensor,
    ratio: Tensor,
    hkl: Tensor,
    owner: Tensor,
    length2: Tensor,
) -> Tensor:
    """Texture factor of Dollase (J. Appl. Cryst. 19, 267, 1986), averaged over equivalents.

    (m,) means of (r^2 cos^2 a + sin^2 a / r)^(-3/2) of reflections `hkl` (3, m) of patterns `owner`
    (m,), with 1/d^2 `length2` (m,). Each pattern has a reciprocal metric and rotations modulo
    inversion, (B, 3, 3) and (B, 24, 3, 3), Miller indices (B, 3) of the plane whose normal is the
    texture axis, and a March parameter r (B,): 1 is a random powder, below 1 platelets.
    """
    hkl = hkl.to(metric.dtype)
    toward = toward_axis(metric, rotations, axis).flatten(0, 1).T  # (3, 24 B)
    n = _period(rotations)[owner]
    total = int(n.sum())
    row = torch.repeat_interleave(n, output_size=total)
    # Equivalent j of a row is in column 24 owner + j; subtracting the row's start counts j.
    at = torch.arange(total, device=n.device) + (24 * owner - n.cumsum(0) + n)[row]
    cosine = (hkl.index_select(1, row) * toward.index_select(1, at)).sum(0)
    inverse = 1 / ratio
    slope = (ratio.square() - inverse)[owner] / length2
    base = cosine.square_().mul_(slope[row]).add_(inverse[owner][row])
    weight = base.rsqrt() / base
    mean = torch.zeros(len(owner), dtype=weight.dtype, device=weight.device)
    return mean.index_add_(0, row, weight) / n


def toward_axis(metric: Tensor, rotations: Tensor, axis: Tensor) -> Tensor:
    """Equivalents (B, 24, 3) of the normal of a plane, scaled to give d* cos a with hkl.

    From reciprocal metrics (B, 3, 3), rotations (B, 24, 3, 3) and Miller indices of planes (B, 3).
    """
    axis = axis.to(metric.dtype)
    toward = metric @ axis[:, :, None]
    toward = toward / (axis[:, None] @ toward).sqrt()
    return (rotations.to(metric.dtype) @ toward[:, None])[..., 0]


def _period(rotations):
    """(B,) order of each rotation group before its repetition."""
    same = (rotations[:, 1:] == rotations[:, :1]).flatten(2).all(2)
    first = same.to(torch.int8).argmax(1) + 1
    return torch.where(same.any(1), first, rotations.shape[1])


@full_precision()
def reflections(
    crystals: Crystals,
    wavelength: str | float = 1.540593,
    two_theta_max: float = 90.0,
    device: str | torch.device = "cpu",
) -> Reflections:
    """Symmetry-unique reflections of every crystal up to a scattering angle.

    Parameters
    ----------
    crystals : records.Crystals
    wavelength : float or str
        Angstrom or a name in `WAVELENGTHS`.
    two_theta_max : float
        Degrees, at most 180.
    device : str or torch.device
        Where to compute; the result is in NumPy arrays all the same.

    Returns
    -------
    records.Reflections
        In the order of `crystals`; reflections below 1e-9 of the crystal's strongest |F|^2 are
        left out (absent but for rounding).

    Raises
    ------
    XrdlibError
        Naming the crystal that has no atoms, no volume, a value that is not finite, an element
        without a form factor, a cell too large, or no reflection in the range.
    """
    wavelength = resolve_wavelength(wavelength)
    if not 0 < two_theta_max <= 180:
        raise XrdlibError(f"two_theta_max is {two_theta_max}; give degrees above 0, up to 180.")
    d_star_max = 2 * np.sin(np.radians(two_theta_max / 2)) / wavelength
    if len(crystals) == 0:
        raise XrdlibError("No crystals given; reflections needs at least one.")
    check(crystals)
    _check_size(crystals, d_star_max)
    chosen = unique_structure_factors(crystals, d_star_max, device)
    n = len(crystals)
    strongest = torch.zeros(n, device=chosen.f2.device)
    strongest.scatter_reduce_(0, chosen.crystal, chosen.f2, "amax")
    keep = chosen.f2 > _NEGLIGIBLE * strongest[chosen.crystal]
    counts = torch.bincount(chosen.crystal[keep], minlength=n).cpu().numpy()
    _refuse(counts == 0, crystals, "has no reflection in the range; its cell is too small")
    return Reflections(
        lattice=np.asarray(crystals.lattice, dtype=np.float64),
        start=offsets(counts),
        hkl=chosen.hkl[keep].to(torch.int16).cpu().numpy(),
        multiplicity=chosen.multiplicity[keep].to(torch.float32).cpu().numpy(),
        f2=chosen.f2[keep].cpu().numpy(),
        rotations=crystals.rotations,
        space_group=crystals.space_group,
        group=crystals.group,
        elements=crystals.elements,
        name=crystals.name,
    )


def check(crystals: Crystals, overlaps: bool = False) -> None:
    """Refuse whatever would give a NaN or an error deep inside, and atoms upon each other if asked.

    Raises
    ------
    XrdlibError
        Naming the first such crystal.
    """
    _refuse(np.diff(crystals.start) == 0, crystals, "has no atoms")

    def refuse(atoms, problem):
        _refuse(np.logical_or.reduceat(atoms, crystals.start[:-1]), crystals, problem)

    finite = np.isfinite(crystals.frac).all(1) & np.isfinite(crystals.occupancy)
    finite &= np.repeat(np.isfinite(crystals.lattice).all((1, 2)), np.diff(crystals.start))
    refuse(~finite, "has a lattice, position or occupancy that is not finite")
    lengths = np.linalg.norm(crystals.lattice, axis=2)
    volume = np.abs(np.linalg.det(crystals.lattice))
    _refuse(volume < 1e-3 * lengths.prod(1), crystals, "has a cell with no volume")
    _refuse(volume < 1.0, crystals, "has a cell volume below 1 cubic angstrom")
    unknown = (crystals.number < 1) | (crystals.number > N_ELEMENTS)
    refuse(unknown, f"has an atomic number outside 1 to {N_ELEMENTS}")
    refuse(crystals.occupancy < 0, "has a negative occupancy")
    occupied = np.add.reduceat(crystals.occupancy, crystals.start[:-1])
    _refuse(occupied <= 0, crystals, "has no occupied site")
    if overlaps:
        problem = f"has atoms closer than {CLOSE} angstrom that together occupy more than one site"
        _refuse(overlapping(crystals), crystals, problem)


def _check_size(crystals, d_star_max):
    """Refuse crystals whose reflections would not fit into memory."""
    lengths = np.linalg.norm(crystals.lattice, axis=2)
    _refuse((lengths * d_star_max).max(1) > 0.8 * MAX_INDEX, crystals, "has too long an axis")
    half_sphere = np.abs(np.linalg.det(crystals.lattice)) * d_star_max**3 * (2 * np.pi / 3)
    problem = f"has more than {_MAX_REFLECTIONS:.0e} reflections; its cell is too large"
    _refuse(half_sphere > _MAX_REFLECTIONS, crystals, problem)


def _refuse(bad, crystals, problem):
    """Raise for the first bad crystal."""
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise XrdlibError(f"Structure {str(crystals.name[i])!r} (number {i}) {problem}.")
