"""Clean powder patterns of pymatgen structures: the function that people import."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..base.errors import XrdlibError
from ..base.patterns import CALCULATION_GRID, Grid
from ..base.records import N_ROTATIONS, Crystals, Reflections
from .diffraction import (
    check,
    full_precision,
    lorentz_polarisation,
    reflections,
    resolve_wavelength,
    squared_lengths,
)
from .equivalents import laue_rotations
from .profiles import render
from .specimen_effects import as_phase
from .structure_factors import N_ELEMENTS

if TYPE_CHECKING:
    from pymatgen.core import Structure

_BATCH = 256  # patterns rendered at a time


def simulate(
    structures: "Structure | Iterable[Structure]",
    wavelength: str | float = "CuKa1",
    fwhm: float = 0.1,
    eta: float = 0.5,
) -> np.ndarray:
    """Calculated powder patterns from 5 to 90 degrees 2theta in steps of 0.01.

    Kinematic intensities (multiplicity, structure factors with occupancies, Lorentz-polarisation;
    no Debye-Waller factor, texture or noise) under pseudo-Voigt profiles.

    Parameters
    ----------
    structures : pymatgen Structure or sequence of them
        Disordered sites are fine.
    wavelength : str or float
        A name in `diffraction.WAVELENGTHS`, or angstrom.
    fwhm : float
        Full width at half maximum in degrees, 0.02 to 5.
    eta : float
        Lorentzian fraction, 0 to 1.

    Returns
    -------
    ndarray, (n, 8501) float32
        Each row scaled to a maximum of 100.

    Raises
    ------
    XrdlibError
        If a parameter is out of range or a structure cannot diffract; it names the structure.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    >>> halite = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], sites)
    >>> pattern = simulate(halite)[0]
    >>> print(f"{5 + 0.01 * pattern.argmax():.2f}")  # 200, in degrees 2theta
    31.70
    """
    wavelength = resolve_wavelength(wavelength)
    if not 0.02 <= fwhm <= 5:
        raise XrdlibError(f"fwhm is {fwhm}; give degrees from 0.02 to 5.")
    if not 0 <= eta <= 1:
        raise XrdlibError(f"eta is {eta}; give a Lorentzian fraction from 0 to 1.")
    if hasattr(structures, "lattice"):
        structures = [structures]
    crystals = from_structures(structures)
    grid = CALCULATION_GRID
    rows = reflections(crystals, wavelength, min(grid.stop + 5 * fwhm, 170))
    parts = (rows.take(slice(first, first + _BATCH)) for first in range(0, len(rows), _BATCH))
    return np.concatenate([calculated(p, wavelength, fwhm, eta, grid).numpy() for p in parts])


@full_precision()
def calculated(
    reflections: Reflections, wavelength: float, fwhm: float, eta: float, grid: Grid
) -> Tensor:
    """Clean patterns of known reflections, (n, grid.size) tensor with maxima of 100."""
    phase, n = as_phase(reflections, "cpu"), len(reflections)
    metric = torch.linalg.inv(phase.lattice @ phase.lattice.transpose(1, 2))
    sine = squared_lengths(metric, phase.hkl, phase.owner).sqrt() * (wavelength / 2)
    sine = sine.clamp(max=0.99999)
    angle = torch.rad2deg(2 * torch.asin(sine))
    strength = phase.strength * lorentz_polarisation(sine)
    width, share = (torch.full((1, 1), float(value)) for value in (fwhm, eta))
    pattern = render(angle, strength, phase.owner, n, grid, width, width, share).clamp_(min=0)
    return pattern * (100 / pattern.amax(1, keepdim=True))


def from_structures(structures: "Iterable[Structure]") -> Crystals:
    """Crystals from pymatgen structures.

    Raises
    ------
    XrdlibError
        If there are none, or one is not a structure of known elements, or cannot diffract, or
        has atoms upon each other.
    """
    structures = list(structures)
    if not structures:
        raise XrdlibError("No structures given; simulate needs at least one.")
    rows, start, name = [], [0], []
    for i, structure in enumerate(structures):
        formula = {}
        try:
            for site in structure:
                for species, amount in site.species.items():
                    # pymatgen gives a dummy species a huge number, which `check` is to refuse.
                    z = species.Z if 0 < species.Z <= N_ELEMENTS else 0
                    rows.append((z, amount, site.frac_coords))
                    formula[species.symbol] = formula.get(species.symbol, 0) + amount
        except AttributeError:
            raise XrdlibError(
                f"Structure number {i} ({type(structure).__name__}) is not a pymatgen Structure "
                "of chemical elements."
            ) from None
        name.append(" ".join(f"{symbol}{amount:.4g}" for symbol, amount in formula.items()))
        start.append(len(rows))
    number, occupancy, frac = zip(*rows, strict=True) if rows else ((), (), ())
    n = len(structures)
    crystals = Crystals(
        lattice=np.array([s.lattice.matrix for s in structures], dtype=np.float64),
        start=np.array(start, dtype=np.int64),
        number=np.array(number, dtype=np.int16),
        frac=np.array(frac, dtype=np.float32).reshape(-1, 3),
        occupancy=np.array(occupancy, dtype=np.float32),
        rotations=np.broadcast_to(np.eye(3, dtype=np.int8), (n, N_ROTATIONS, 3, 3)),
        space_group=np.zeros(n, np.int16),
        group=np.zeros(n, np.int16),
        name=np.array(name),
    )
    check(crystals, overlaps=True)
    return replace(crystals, rotations=laue_rotations(crystals))
