"""The symmetry that spglib finds in a listed crystal, mixed sites included."""

from typing import NamedTuple

import numpy as np

from ..base.errors import XrdlibError
from ..base.records import Crystals

SYMPREC = 0.01  # angstrom
_SAME = 1e-3  # fractional coordinates; atoms that are closer share a place


class Detected(NamedTuple):
    """Symmetry of one crystal of m atoms on p places, in its own cell."""

    space_group: int
    rotations: np.ndarray  # (k, 3, 3) int: all operations x' = W x + w, centring included
    translations: np.ndarray  # (k, 3) float64
    place: np.ndarray  # (m,) int: place of each atom; the atoms of a mixture share one
    frac: np.ndarray  # (p, 3) float64, of each place
    orbit: np.ndarray  # (p,) int: equivalent places have one value, the first of them
    standard_lattice: np.ndarray  # (3, 3): rows a, b, c of a cell in the reference setting


def detect(crystals: Crystals, i: int, symprec: float = SYMPREC) -> Detected:
    """Find the symmetry of crystal `i`; a mixture on a place is a kind of atom of its own.

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
    places, place = np.unique(first, return_inverse=True)
    atoms = np.stack([crystals.number[rows], np.round(crystals.occupancy[rows], 3)], 1)
    content = [sorted(atoms[place == k].tolist()) for k in range(len(places))]
    kinds = {str(kind): k for k, kind in enumerate(sorted(content), 1)}
    cell = (crystals.lattice[i], frac[places], [kinds[str(kind)] for kind in content])
    found = spglib.get_symmetry_dataset(cell, symprec=symprec)
    if found is None:
        raise XrdlibError(f"spglib finds no symmetry in {str(crystals.name[i])!r}; leave it out.")
    return Detected(
        int(found.number),
        found.rotations,
        found.translations,
        place,
        frac[places],
        found.crystallographic_orbits,
        found.std_lattice,
    )


def asymmetric_unit(found: Detected, lattice: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of s sites: a place of each, the places of its orbit and its free coordinates, (s,) int each.

    The free coordinates, 0..3, are the dimension of what all operations that keep the place leave;
    `lattice` has rows in angstrom, as has the crystal's own cell, in which places are counted.
    """
    places, multiplicity = np.unique(found.orbit, return_counts=True)
    images = np.einsum("kij,sj->ski", found.rotations, found.frac[places]) + found.translations
    moved = images - found.frac[places][:, None]
    kept = np.abs((moved - np.rint(moved)) @ lattice).max(2) < 5 * SYMPREC
    trace = np.trace(found.rotations, axis1=1, axis2=2)
    return places, multiplicity, np.rint(kept @ trace / kept.sum(1)).astype(int)
