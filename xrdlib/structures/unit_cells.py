"""Unit cells filled from an asymmetric unit: overlaps resolved, implausible ones refused."""

import re
from functools import cache
from itertools import product

import gemmi
import numpy as np
import spglib

from ..base.errors import XrdlibError
from ..symmetry.groups import half_rotations, operations
from .entries import Unreadable, element

CLOSE = 0.3  # angstrom; no two nuclei are nearer than that

FULL = 1.05  # what occupies one place may add up to this, for rounding in published values


def overlapping(crystals):
    """Whether two atoms of a crystal are closer than `CLOSE` and occupy more than one place.

    Parameters
    ----------
    crystals : records.Crystals
        Finite, with cells that have a volume.

    Returns
    -------
    ndarray, (n,) bool
    """
    suspect = np.zeros(len(crystals), dtype=bool)
    owner = np.repeat(np.arange(len(crystals)), np.diff(crystals.start))
    reciprocal = np.linalg.inv(crystals.lattice)
    width = 1 / np.linalg.norm(reciprocal, axis=1)  # between opposite faces of the cell
    # In boxes twice as wide as `CLOSE`, of one of two grids shifted by half a box along each axis,
    # two close atoms share a box.
    boxes = np.clip(np.floor(width / (2 * CLOSE)), 1, 1 << 15).astype(np.int64)
    base = np.cumsum(boxes.prod(1)) - boxes.prod(1)
    place = (crystals.frac - np.floor(crystals.frac)) * boxes[owner]
    own = boxes[owner]
    whole = [np.minimum(np.floor(place), own - 1).astype(np.int64)]
    whole.append(np.floor(place + 0.5).astype(np.int64) % own)
    for shift in product((0, 1), repeat=3):
        x, y, z = (whole[s][:, axis] for axis, s in enumerate(shift))
        key = ((x * own[:, 1] + y) * own[:, 2] + z) + base[owner]
        ordered = np.sort(key)
        shared = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        if len(shared):
            rows = np.flatnonzero(np.isin(key, shared))
            _, which = np.unique(key[rows], return_inverse=True)
            amount = np.bincount(which, crystals.occupancy[rows])
            suspect[owner[rows[amount[which] > FULL]]] = True
    for i in np.flatnonzero(suspect):
        atoms = slice(crystals.start[i], crystals.start[i + 1])
        suspect[i] = overlap(crystals.lattice[i], crystals.frac[atoms], crystals.occupancy[atoms])
    return suspect


def overlap(lattice, frac, occupancy):
    """The same for one cell: lattice (3, 3), coordinates (m, 3), occupancies (m,)."""
    order = np.argsort(frac[:, 0], kind="stable")
    frac, occupancy = np.asarray(frac, dtype=np.float64)[order], np.asarray(occupancy)[order]
    for i in range(len(frac) - 1):
        difference = frac[i + 1 :] - frac[i]
        difference -= np.rint(difference)
        near = np.linalg.norm(difference @ lattice, axis=1) < CLOSE
        if (near & (occupancy[i + 1 :] + occupancy[i] > FULL)).any():
            return True
    return False


SAME_POSITION = 0.01  # angstrom; images of a site that are closer are one atom

SYMPREC = 0.01  # angstrom; tolerance of the symmetry that spglib detects

METRIC = 1e-3  # relative tolerance of a metric that a rotation should leave as it is


@cache
def stated_space_group(symbol, operators):
    """Space-group number of a Hermann-Mauguin symbol, or else of the operators.

    Returns
    -------
    int
        0 where neither can be told.
    """
    found = gemmi.find_spacegroup_by_name(symbol)
    if found:
        return found.number
    rotations, translations = _parsed(operators)
    kind = spglib.get_spacegroup_type_from_symmetry(rotations, translations, symprec=1e-4)
    # A list of operators that is no group is matched to one of its subgroups.
    if kind and _order(rotations) == _order(operations(kind.number)[0]):
        return kind.number
    return 0


def _order(rotations):
    return len(np.unique(rotations, axis=0))


def expand(frac, rotations, translations, lattice):
    """All distinct images of one site in the unit cell.

    Parameters
    ----------
    frac : array_like, (3,)
    rotations, translations : ndarray, (k, 3, 3) and (k, 3)
        Operations x' = W x + w.
    lattice : ndarray, (3, 3)
        Rows a, b, c in angstrom.

    Returns
    -------
    ndarray, (m, 3) float64
        In [0, 1); images within `SAME_POSITION` of each other are one.
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


def fill(entry):
    """Atoms of the unit cell, lattice, rotations and detected symmetry of one structure.

    Parameters
    ----------
    entry : entries.Entry

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
        found = next(shared, None)
        images.append(expand(site, rotations, translations, lattice) if found is None else found)
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
    """The lattice, its published digits rounded so that all rotations W keep its metric M.

    Raises
    ------
    Unreadable
        If some W^T M W differs from M by more than rounding.
    """
    metric = lattice @ lattice.T
    turned = rotations.transpose(0, 2, 1) @ metric @ rotations
    length = np.sqrt(np.diag(metric))
    if (np.abs(turned - metric) > METRIC * length[:, None] * length).any():
        raise Unreadable("operators that contradict the cell")
    return np.linalg.cholesky(turned.mean(0))


def _detected(lattice, images, species, occupancy):
    """Space-group number that spglib finds from the atoms, 0 where it finds none."""
    content = {}  # position -> what sits there; a mixed site is a kind of atom of its own
    for points, z, share in zip(images, species, occupancy, strict=True):
        content.setdefault(id(points), (points, []))[1].append((int(z), round(float(share), 3)))
    sites = [(points, tuple(sorted(kinds))) for points, kinds in content.values()]
    kinds = {kind: number for number, kind in enumerate(sorted({kind for _, kind in sites}), 1)}
    numbers = np.repeat([kinds[kind] for _, kind in sites], [len(points) for points, _ in sites])
    positions = np.concatenate([points for points, _ in sites])
    dataset = spglib.get_symmetry_dataset((lattice, positions, numbers), symprec=SYMPREC)
    return dataset.number if dataset else 0


CONTACT = 1.0  # angstrom; no two atoms but hydrogen are nearer than that

_TOKEN = re.compile(r"([A-Z][a-z]?)(\d*\.?\d*)|([(\[])|[)\]](\d*\.?\d*)")


def formula_amounts(text):
    """Amounts of the elements in a formula such as "(Al_Si3)_(Na.75_K.25)_O8".

    Returns
    -------
    dict of str to float, or None
        None where the formula cannot be read.
    """
    text, place = text.replace("_", ""), 0
    levels = [{}]
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None or (token[0][0] in ")]" and len(levels) == 1):
            return None
        place = token.end()
        element, amount, opening, times = token.groups()
        if opening:
            levels.append({})
            continue
        part = {element: _number(amount)} if element else levels.pop()
        factor = 1.0 if element else _number(times)
        for name, n in part.items():
            levels[-1][name] = levels[-1].get(name, 0.0) + n * factor
    amounts = levels[0]
    readable = len(levels) == 1 and all(gemmi.Element(name).atomic_number for name in amounts)
    return amounts if readable and sum(amounts.values()) > 0 else None


def difference(first, second):
    """Share of the atoms, hydrogen apart, by which two compositions differ: 0..1.

    Parameters
    ----------
    first, second : dict of str to float
        Amounts of the elements, on any scale.
    """
    fractions = []
    for amounts in (first, second):
        heavy = {e: n for e, n in amounts.items() if gemmi.Element(e).atomic_number > 1}
        total = sum(heavy.values()) or 1.0
        fractions.append({element: n / total for element, n in heavy.items()})
    one, other = fractions
    return sum(abs(one.get(e, 0.0) - other.get(e, 0.0)) for e in one.keys() | other.keys()) / 2


def crowded(elements, frac, occupancy, rotations, translations, lattice):
    """Whether atoms of two places, hydrogen apart, are closer than `CONTACT` and both are there.

    Parameters
    ----------
    elements : list of n str
    frac : ndarray, (n, 3)
        The asymmetric unit.
    occupancy : ndarray, (n,)
    rotations, translations : ndarray, (k, 3, 3) and (k, 3)
        All operations x' = W x + w.
    lattice : ndarray, (3, 3)
        Rows a, b, c in angstrom.
    """
    heavy = np.array([gemmi.Element(element).atomic_number > 1 for element in elements])
    frac, occupancy = frac[heavy], occupancy[heavy]
    both = occupancy[:, None] + occupancy > FULL
    for rotation, translation in zip(rotations, translations, strict=True):
        apart = (frac @ rotation.T + translation)[:, None] - frac
        distance = np.linalg.norm((apart - np.rint(apart)) @ lattice, axis=2)
        # What shares a place is no contact: an atom and its image, or a mixed site.
        if (both & (distance > 0.02) & (distance < CONTACT)).any():
            return True
    return False


def _number(text):
    return float(text) if text.strip(".") else 1.0
