"""The symmetry that spglib finds in a listed crystal, mixed sites included."""

from typing import NamedTuple

import numpy as np

from ..base.errors import XrdlibError
from ..base.records import Crystals

SYMPREC = 0.01  # angstrom
_SAME = 1e-3  # fractional coordinates; atoms that are closer share a position


class Detected(NamedTuple):
    """Symmetry of one crystal of m atoms on p positions, in its own cell."""

    space_group: int
    rotations: np.ndarray  # (k, 3, 3) int: all operations x' = W x + w, centring included
    translations: np.ndarray  # (k, 3) float64
    position: np.ndarray  # (m,) int: that of each atom; the atoms of a mixture share one
    frac: np.ndarray  # (p, 3) float64, of each position
    orbit: np.ndarray  # (p,) int: equivalent positions have one value, the first of them
    standard_lattice: np.ndarray  # (3, 3): rows a, b, c of a cell in the reference setting


def detect(crystals: Crystals, i: int, symprec: float = SYMPREC) -> Detected:
    """Find the symmetry of crystal `i`; a mixture on a position is a kind of atom of its own.

    Raises
    ------
    XrdlibError
        If spglib finds none at the tolerance `symprec` in angstrom.
    """
    import spglib

    rows = slice(crystals.start[i], crystals.start[i + 1])
    frac = crystals.frac[rows].astype(np.float64) % 1
    apart = np.abs(frac[:, None] - frac)
    first = (np.minimum(apart, 1 - apart) < _SAME).all(2).argmax(1)
    first_atoms, position = np.unique(first, return_inverse=True)
    atoms = np.stack([crystals.number[rows], np.round(crystals.occupancy[rows], 3)], 1)
    content = [sorted(atoms[position == k].tolist()) for k in range(len(first_atoms))]
    kinds = {str(kind): k for k, kind in enumerate(sorted(content), 1)}
    cell = (crystals.lattice[i], frac[first_atoms], [kinds[str(kind)] for kind in content])
    dataset = spglib.get_symmetry_dataset(cell, symprec=symprec)
    if dataset is None:
        raise XrdlibError(f"spglib finds no symmetry in {str(crystals.name[i])!r}; leave it out.")
    return Detected(
        int(dataset.number),
        dataset.rotations,
        dataset.translations,
        position,
        frac[first_atoms],
        dataset.crystallographic_orbits,
        dataset.std_lattice,
    )


def asymmetric_unit(symmetry: Detected, lattice: np.ndarray) -> tuple[np.ndarray, ...]:
    """First position, multiplicity and number of free coordinates of s sites, (s,) int each.

    The free coordinates, 0..3, are the dimension of what all operations that keep the position
    leave; `lattice` has rows in angstrom, of the crystal's own cell, as has the multiplicity.
    """
    first, multiplicity = np.unique(symmetry.orbit, return_counts=True)
    images = (
        np.einsum("kij,sj->ski", symmetry.rotations, symmetry.frac[first]) + symmetry.translations
    )
    moved = images - symmetry.frac[first][:, None]
    kept = np.abs((moved - np.rint(moved)) @ lattice).max(2) < 5 * SYMPREC
    trace = np.trace(symmetry.rotations, axis1=1, axis2=2)
    return first, multiplicity, np.rint(kept @ trace / kept.sum(1)).astype(int)
