"""Recipes of crystals: a space group, the Wyckoff positions of its sites, which sites are alike.

The symmetry of a crystal depends on its recipe alone as long as its free coordinates and its
lattice are generic, so that a recipe needs to be verified once and not every crystal made from it.
"""

from dataclasses import dataclass

import numpy as np

from ..base import records
from ..base.paths import table
from ..symmetry import groups
from ..symmetry.wyckoff import positions
from .minerals import fitted

# Limits of random crystals; what lies within follows published structures (`minerals`).
MAX_SITES = 12  # atoms of the asymmetric unit
MAX_ATOMS = 250  # of the cell; 192 would do for every position of every group


@dataclass
class Recipes(records.Ragged):
    """Ragged record of r recipes; `records.concatenate` joins several."""

    space_group: np.ndarray  # (r,) int16
    start: np.ndarray  # (r + 1,) int64: offsets of each recipe's sites
    # (m,) int16: index of `wyckoff.positions` of each site; those without freedom come first
    position: np.ndarray
    label: np.ndarray  # (m,) int8: sites of one label hold one element; label 0 has most atoms
    weight: np.ndarray  # (r,) int32: how often proposed, and so used beside others of its group

    ROWS = ("position", "label")


def shipped() -> Recipes:
    """The verified recipes of all 230 space groups, of tables/recipes.json."""
    rows = table("recipes.json")
    recipes = [(int(number), recipe) for number, row in rows.items() for recipe in row]
    sites = np.concatenate([np.reshape(recipe[1:], (-1, 2)) for _, recipe in recipes])
    return Recipes(
        np.array([number for number, _ in recipes], dtype=np.int16),
        records.offsets(len(recipe) // 2 for _, recipe in recipes),
        sites[:, 0].astype(np.int16),
        sites[:, 1].astype(np.int8),
        np.array([recipe[0] for _, recipe in recipes], dtype=np.int32),
    )


def propose(space_group: int, n: int, rng: np.random.Generator) -> list[tuple]:
    """n recipes that may or may not have the symmetry of their space group.

    Each is a sorted tuple of (freedom, position, label) of its sites.
    """
    shape = _shape(space_group)
    return [_proposal(shape, rng) for _ in range(n)]


def collect(space_group: int, proposals: list[tuple]) -> Recipes:
    """Recipes of one space group from tuples as `propose` gives them, each of weight 1."""
    sites = np.array([site for proposal in proposals for site in proposal]).reshape(-1, 3)
    return Recipes(
        np.full(len(proposals), space_group, dtype=np.int16),
        records.offsets(map(len, proposals)),
        sites[:, 1].astype(np.int16),
        sites[:, 2].astype(np.int8),
        np.ones(len(proposals), dtype=np.int32),
    )


def _shape(space_group):
    """Multiplicity, freedom and log-weight of positions; mean and spread of ln(sites)."""
    sites = positions(space_group)
    multiplicity = np.array([site.multiplicity for site in sites])
    freedom = np.array([site.freedom for site in sites])
    system = groups.space_group(space_group)["crystal_system"]
    *free, power = fitted()["positions"][system]
    weight = np.array([0.0, *free])[freedom] + power * np.log(multiplicity)
    return multiplicity, freedom, weight, *fitted()["sites"][system]


def _proposal(shape, rng):
    multiplicity, freedom, weight, mean, spread = shape
    wanted = np.clip(np.rint(np.exp(mean + spread * rng.standard_normal())), 1, MAX_SITES)
    chosen, total = [], 0
    while len(chosen) < wanted:
        fits = (freedom > 0) | ~np.isin(np.arange(len(freedom)), chosen)
        fits &= multiplicity <= MAX_ATOMS - total
        if not fits.any():
            break
        share = np.exp(weight - weight[fits].max()) * fits
        chosen.append(rng.choice(len(share), p=share / share.sum()))
        total += multiplicity[chosen[-1]]
    probability = np.array(fitted()["kinds"][: len(chosen)])
    kinds = 1 + rng.choice(len(probability), p=probability / probability.sum())
    zipf = 1 / np.arange(1, kinds + 1)
    rest = rng.choice(kinds, len(chosen) - kinds, p=zipf / zipf.sum())
    label = rng.permutation(np.concatenate([np.arange(kinds), rest]))
    atoms = np.bincount(label, multiplicity[chosen])
    rank = np.argsort(np.argsort(-atoms, kind="stable"))
    rows = zip(freedom[chosen].tolist(), map(int, chosen), rank[label].tolist(), strict=True)
    return tuple(sorted(rows))
