"""Recipes of crystals: a space group, the Wyckoff positions of its sites, which sites are alike.

The symmetry of a crystal depends on its recipe alone as long as its free coordinates and its
lattice are generic, so that a recipe needs to be verified once and not every crystal made from it.
"""

import json
from dataclasses import dataclass

import numpy as np

from . import records
from .errors import XrdlibError
from .paths import TABLES
from .wyckoff import positions


@dataclass(frozen=True)
class CrystalRanges:
    """What random crystals look like. The defaults follow AMCSD mineral structures.

    Attributes
    ----------
    max_sites : int
        Atoms of the asymmetric unit.
    atoms, atoms_spread : float
        Median and spread (standard deviation of the logarithm) of the atoms per cell aimed at;
        the median grows as the square root of the group's order above 48.
    max_atoms : int
        Per cell; at least 192, so that every position of every group can be used.
    elements : tuple of float
        Probability of 1, 2, 3, ... elements.
    volume_spread : float
        Standard deviation of the logarithm of the cell volume about the sum over its atoms of
        `elements.table`'s volumes.
    max_volume : float
        Of the cell, cubic angstrom.
    min_distance, radius_fraction : float
        No two atoms come closer than the larger of `min_distance` (angstrom) and
        `radius_fraction` of the sum of their covalent radii, but never is more asked than half
        the cell's smallest width, up to which nearest images are exact.
    min_width : float
        Smallest distance between opposite faces of a cell, angstrom.
    partial, min_occupancy : float
        Probability that a site is partly occupied, and the least occupancy it then has.
    """

    max_sites: int = 12
    atoms: float = 24.0
    atoms_spread: float = 0.8
    max_atoms: int = 250
    elements: tuple = (0.10, 0.25, 0.34, 0.24, 0.07)
    volume_spread: float = 0.12
    max_volume: float = 4000.0
    min_distance: float = 1.5
    radius_fraction: float = 0.6
    min_width: float = 2.4
    partial: float = 0.12
    min_occupancy: float = 0.3

    def __post_init__(self):
        positive = (self.max_sites, self.atoms, self.min_distance, self.min_width, self.max_volume)
        if min(positive) <= 0 or self.max_atoms < 192 or not 0 < self.min_occupancy <= 1:
            raise XrdlibError(
                "CrystalRanges needs positive sizes, max_atoms of 192 or more, and a min_occupancy "
                "above 0 and at most 1."
            )


@dataclass
class Recipes:
    """Ragged record of r recipes; `records.concatenate` joins several.

    Attributes
    ----------
    space_group : ndarray, (r,) int16
    start : ndarray, (r + 1,) int64
        Offsets of each recipe's sites.
    position : ndarray, (m,) int16
        Index of `wyckoff.positions` of each site; those without free coordinates come first.
    label : ndarray, (m,) int8
        Sites of one label hold one element; label 0 has the most atoms.
    """

    space_group: np.ndarray
    start: np.ndarray
    position: np.ndarray
    label: np.ndarray

    def __len__(self):
        return len(self.start) - 1

    def take(self, index):
        """The recipes at `index` (integer or boolean array), in that order."""
        index = np.arange(len(self))[index]
        sites = [np.arange(self.start[i], self.start[i + 1]) for i in index]
        rows = np.concatenate([np.zeros(0, dtype=np.int64), *sites])
        start = np.concatenate([[0], np.cumsum([len(s) for s in sites])]).astype(np.int64)
        return Recipes(self.space_group[index], start, self.position[rows], self.label[rows])

    def save(self, path):
        """Write an .npz that loads without pickle."""
        records.save(self, path)

    @classmethod
    def load(cls, path):
        """Read a file written by `save`.

        Raises
        ------
        XrdlibError
            If the file is missing or lacks one of the arrays.
        """
        return records.load(cls, path)


def shipped():
    """The verified recipes of tables/recipes.json, written by `derive_recipes`.

    Returns
    -------
    Recipes
        Of all 230 space groups.
    """
    rows = json.loads((TABLES / "recipes.json").read_text(encoding="utf-8"))
    recipes = [(int(number), sites) for number, row in rows.items() for sites in row]
    sites = np.concatenate([np.reshape(sites, (-1, 2)) for _, sites in recipes])
    return Recipes(
        np.array([number for number, _ in recipes], dtype=np.int16),
        np.cumsum([0, *(len(sites) // 2 for _, sites in recipes)]).astype(np.int64),
        sites[:, 0].astype(np.int16),
        sites[:, 1].astype(np.int8),
    )


def propose(space_group, n, rng, ranges):
    """Recipes that may or may not have the symmetry of their space group.

    Parameters
    ----------
    space_group : int
        1..230.
    n : int
        Draws; equal ones are merged, so that fewer may come back.
    rng : numpy.random.Generator
    ranges : CrystalRanges

    Returns
    -------
    list of tuple
        Distinct recipes, each a sorted tuple of (freedom, position, label) of its sites.
    """
    sites = positions(space_group)
    return list(dict.fromkeys(_proposal(sites, rng, ranges) for _ in range(n)))


def collect(space_group, proposals):
    """Recipes of one space group from the tuples that `propose` gives."""
    sites = np.array([site for proposal in proposals for site in proposal]).reshape(-1, 3)
    return Recipes(
        np.full(len(proposals), space_group, dtype=np.int16),
        np.cumsum([0, *map(len, proposals)]).astype(np.int64),
        sites[:, 1].astype(np.int16),
        sites[:, 2].astype(np.int8),
    )


def _proposal(sites, rng, ranges):
    multiplicity = np.array([site.multiplicity for site in sites])
    freedom = np.array([site.freedom for site in sites])
    median = ranges.atoms * max(1.0, multiplicity[-1] / 48) ** 0.5
    target = min(median * np.exp(ranges.atoms_spread * rng.standard_normal()), ranges.max_atoms)
    chosen, total = [], 0
    while total < 0.75 * target and len(chosen) < ranges.max_sites:
        free = (freedom > 0) | ~np.isin(np.arange(len(sites)), chosen)
        fits = free & (multiplicity <= max(target - total, multiplicity[free].min()))
        fits &= multiplicity <= ranges.max_atoms - total
        if not fits.any():
            break
        # Most sites of low-symmetry minerals are general, so freedom counts.
        weight = fits * (1.0 + 2.0 * freedom)
        chosen.append(rng.choice(len(sites), p=weight / weight.sum()))
        total += multiplicity[chosen[-1]]
    probability = np.array(ranges.elements[: len(chosen)])
    kinds = 1 + rng.choice(len(probability), p=probability / probability.sum())
    rest = rng.choice(kinds, len(chosen) - kinds, p=1 / np.arange(1, kinds + 1) / _harmonic(kinds))
    label = rng.permutation(np.concatenate([np.arange(kinds), rest]))
    atoms = np.bincount(label, multiplicity[chosen])
    rank = np.argsort(np.argsort(-atoms, kind="stable"))
    rows = zip(freedom[chosen].tolist(), map(int, chosen), rank[label].tolist(), strict=True)
    return tuple(sorted(rows))


def _harmonic(n):
    return (1 / np.arange(1, n + 1)).sum()
