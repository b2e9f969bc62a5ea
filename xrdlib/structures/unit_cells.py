"""Unit cells filled from an asymmetric unit, and compositions that are too crowded to be true."""

from collections import Counter
from functools import cache

import gemmi
import numpy as np
import spglib

from ..base.errors import XrdlibError
from ..symmetry.groups import half_rotations, operations
from .entries import Entry, Unreadable, element
from .overlap import FULL, overlap

CONTACT = 1.0  # angstrom; no two atoms but hydrogen are nearer than that
SAME_POSITION = 0.01  # angstrom; images of a site that are closer are one atom
SYMPREC = 0.01  # angstrom; tolerance of the symmetry that spglib detects
METRIC = 1e-3  # relative tolerance of a metric that a rotation should leave as it is


@cache
def stated_space_group(symbol: str, operators: tuple[str, ...]) -> int:
    """Number of a Hermann-Mauguin symbol, or else of the operators; 0 where neither names one."""
    setting = gemmi.find_spacegroup_by_name(symbol)
    if setting:
        return setting.number
    rotations, translations = _parsed(operators)
    kind = spglib.get_spacegroup_type_from_symmetry(rotations, translations, symprec=1e-4)
    # A list of operators that is no group is matched to one of its subgroups.
    if kind and len({*map(bytes, rotations)}) == len({*map(bytes, operations(kind.number)[0])}):
        return kind.number
    return 0


def expand(
    frac: np.ndarray, rotations: np.ndarray, translations: np.ndarray, lattice: np.ndarray
) -> np.ndarray:
    """All distinct images (m, 3) in [0, 1) of one site under operations x' = W x + w.

    Images within `SAME_POSITION` of each other are one; `lattice` has rows in angstrom.
    """
    images = (rotations @ np.asarray(frac, dtype=np.float64) + translations) % 1
    near = _distances(images, images, lattice) < SAME_POSITION
    return images[near.argmax(1) == np.arange(len(images))]


def _distances(a, b, lattice):
    """Distances (len(a), len(b)) in angstrom, to the nearest translate along each axis."""
    difference = a[:, None] - b[None]
    return np.linalg.norm((difference - np.rint(difference)) @ lattice, axis=-1)


@cache
def _parsed(operators):
    """Rotations (k, 3, 3) int and translations (k, 3) of triplets."""
    try:
        parsed = [gemmi.Op(triplet) for triplet in operators]
    except RuntimeError:
        raise Unreadable("an operator that cannot be parsed") from None
    rotations, translations = (np.array([getattr(op, a) for op in parsed]) for a in ("rot", "tran"))
    return rotations // gemmi.Op.DEN, translations / gemmi.Op.DEN


def fill(entry: Entry) -> dict:
    """Atoms of the unit cell, lattice, rotations and detected symmetry of one structure.

    Returns
    -------
    dict
        "lattice" (3, 3), "number", "frac" and "occupancy" of every atom, "rotations" as in
        `records.Crystals`, and "detected", the space group that spglib finds (0 for none).

    Raises
    ------
    Unreadable
        With the reason, where the structure contradicts itself.
    """
    cell = gemmi.UnitCell(*entry.cell)
    if min(entry.cell) <= 0 or not cell.volume > 1:
        raise Unreadable("an impossible cell")
    if abs(entry.volume / cell.volume - 1) > 0.01:
        raise Unreadable("a cell that contradicts the stated volume")
    if not np.isfinite(entry.frac).all():
        raise Unreadable("a site without coordinates")
    lattice = np.array(cell.orth.mat.tolist()).T
    rotations, translations = _parsed(entry.operators)
    species = np.array([element(label, entry.formula) for label in entry.labels])
    images = []  # of each site; sites that share a position share its images
    for site in entry.frac:
        shared = (i for i in images if _distances(site[None] % 1, i, lattice).min() < SAME_POSITION)
        same = next(shared, None)
        images.append(expand(site, rotations, translations, lattice) if same is None else same)
    # An occupancy above 1 is a refined scale; an empty site scatters nothing.
    occupancy = np.clip(entry.occupancy, 0, 1)
    filled = [k for k in range(len(images)) if occupancy[k] > 0]
    if not filled:
        raise Unreadable("no atoms")
    counts = [len(images[k]) for k in filled]
    try:
        half = half_rotations(rotations)
    except XrdlibError:
        raise Unreadable("operators that form no group") from None
    lattice = _symmetric(lattice, half)
    frac = np.concatenate([images[k] for k in filled])
    shares = np.repeat(occupancy[filled], counts)
    if overlap(lattice, frac, shares):
        raise Unreadable("atoms that lie upon each other")
    return {
        "lattice": lattice,
        "number": np.repeat(species[filled], counts),
        "frac": frac,
        "occupancy": shares,
        "rotations": half,
        "detected": _detected(lattice, images, species, occupancy),
    }


def _symmetric(lattice, rotations):
    """The lattice, its published digits rounded so that all rotations W keep its metric M."""
    metric = lattice @ lattice.T
    turned = rotations.transpose(0, 2, 1) @ metric @ rotations
    length = np.sqrt(np.diag(metric))
    if (np.abs(turned - metric) > METRIC * length[:, None] * length).any():
        raise Unreadable("operators that contradict the cell")
    return np.linalg.cholesky(turned.mean(0))


def _detected(lattice, images, species, occupancy):
    """Space-group number that spglib finds from the atoms, 0 where it finds none."""
    content = {}  # position -> the atoms on it; a mixed site is a kind of atom of its own
    for points, z, share in zip(images, species, occupancy, strict=True):
        content.setdefault(id(points), (points, []))[1].append((int(z), round(float(share), 3)))
    sites = [(points, tuple(sorted(kinds))) for points, kinds in content.values()]
    kinds = {kind: number for number, kind in enumerate(sorted({kind for _, kind in sites}), 1)}
    numbers = np.repeat([kinds[kind] for _, kind in sites], [len(points) for points, _ in sites])
    positions = np.concatenate([points for points, _ in sites])
    dataset = spglib.get_symmetry_dataset((lattice, positions, numbers), symprec=SYMPREC)
    return dataset.number if dataset else 0


def formula_amounts(text: str) -> dict[str, float] | None:
    """Amounts of the elements in a formula as "(Al_Si3)_(Na.75_K.25)_O8"; None if unreadable."""
    from pymatgen.core import Composition

    try:
        amounts = {str(kind): float(n) for kind, n in Composition(text.replace("_", "")).items()}
    except ValueError:
        return None
    known = all(gemmi.Element(name).atomic_number for name in amounts)
    return amounts if known and sum(amounts.values()) > 0 else None


def difference(first: dict[str, float], second: dict[str, float]) -> float:
    """Share of the atoms, hydrogen apart, by which two compositions (any scale) differ: 0..1."""
    fractions = []
    for amounts in (first, second):
        heavy = {e: n for e, n in amounts.items() if gemmi.Element(e).atomic_number > 1}
        total = sum(heavy.values()) or 1.0
        fractions.append(Counter({element: n / total for element, n in heavy.items()}))
    one, other = fractions
    return sum(abs(one[e] - other[e]) for e in one.keys() | other.keys()) / 2


def crowded(
    elements: list[str],
    frac: np.ndarray,
    occupancy: np.ndarray,
    rotations: np.ndarray,
    translations: np.ndarray,
    lattice: np.ndarray,
) -> bool:
    """Whether two atoms, hydrogen apart, are closer than `CONTACT` and both present at once.

    Elements, coordinates (n, 3) and occupancies (n,) are those of the asymmetric unit, `rotations`
    (k, 3, 3) and `translations` (k, 3) all operations; the lattice has rows in angstrom.
    """
    heavy = np.array([gemmi.Element(element).atomic_number > 1 for element in elements])
    frac, occupancy = frac[heavy], occupancy[heavy]
    both = occupancy[:, None] + occupancy > FULL
    for rotation, translation in zip(rotations, translations, strict=True):
        distance = _distances(frac @ rotation.T + translation, frac, lattice)
        # What shares a position is no contact: an atom and its image, or a mixed site.
        if (both & (distance > 0.02) & (distance < CONTACT)).any():
            return True
    return False
