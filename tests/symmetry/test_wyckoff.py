"""Wyckoff positions against International Tables A (known counts) and spglib."""

import json

import numpy as np
import pytest
import spglib
import torch
from scipy.stats import kstest

from xrdlib.base import paths
from xrdlib.base.errors import XrdlibError
from xrdlib.structures import minerals
from xrdlib.symmetry.derive_wyckoff import wyckoff_positions
from xrdlib.symmetry.groups import operations
from xrdlib.symmetry.wyckoff import PROJECTION_UNIT, orbit, positions

# Number of positions by space group, as printed in International Tables A.
COUNTS = {1: 1, 2: 9, 12: 10, 14: 5, 15: 6, 47: 27, 62: 4, 123: 21, 139: 15, 166: 9}
COUNTS |= {191: 18, 194: 12, 221: 14, 225: 12, 227: 9, 230: 8}


def structure_on_every_position(number, rng):
    """Lattice, atoms, species: a site of its own species on each position, a second general one."""
    sites = [*range(len(positions(number))), len(positions(number)) - 1]
    atoms = [orbit(number, site, 12 * rng.random(3)) for site in sites]
    species = np.repeat(np.arange(len(sites)), [len(a) for a in atoms])
    index, volume = torch.tensor([number]), torch.tensor([15.0 * len(species)])
    lattice = minerals.draw_lattices(index, volume, 2.0, 3, index, 0)[0].numpy()
    return lattice, np.concatenate(atoms), species


def test_there_are_1731_positions():
    assert sum(len(positions(number)) for number in range(1, 231)) == 1731
    assert {number: len(positions(number)) for number in COUNTS} == COUNTS


def test_orbits_are_complete_and_free_of_duplicates_in_every_group():
    rng = np.random.default_rng(1)
    for number in range(1, 231):
        rotations, translations = operations(number)
        for i, site in enumerate(positions(number)):
            atoms = orbit(number, i, 12 * rng.random(3))
            assert atoms.shape == (site.multiplicity, 3)
            images = np.einsum("kij,j->ki", rotations, atoms[0]) + translations
            apart = images[:, None] - atoms
            same = (np.abs(apart - np.rint(apart)) < 1e-7).all(2)
            # Each operation gives one listed atom, and each atom equally many operations.
            assert (same.sum(1) == 1).all()
            assert (same.sum(0) == len(rotations) / site.multiplicity).all()


def test_projections_are_exact():
    for number in range(1, 231):
        assert positions(number)[-1].freedom == 3
        for site in positions(number):
            p, units = site.projection, PROJECTION_UNIT * site.projection
            assert np.allclose(p @ p, p, atol=1e-12)
            assert np.allclose(p @ site.point, 0, atol=1e-12)  # a place stays where it is
            assert np.allclose(units, np.rint(units), atol=1e-9)
            assert np.isclose(np.trace(p), site.freedom)


def test_points_are_uniform_on_a_threefold_axis():
    site = 5  # 32f of Fm-3m: x, x, x
    x = np.random.default_rng(2).random((4000, 3)) * PROJECTION_UNIT
    points = orbit(225, site, x)[:, 0]
    assert np.allclose(points, points[:, :1], atol=1e-9)
    assert kstest(points[:, 0], "uniform").pvalue > 0.01


def test_spglib_finds_the_same_positions_in_every_group():
    for number in range(1, 231):
        cell = structure_on_every_position(number, np.random.default_rng(number))
        dataset = spglib.get_symmetry_dataset(cell, symprec=1e-4)
        assert dataset.number == number
        letters = [set(np.array(dataset.wyckoffs)[cell[2] == s]) for s in np.unique(cell[2])]
        assert all(len(letter) == 1 for letter in letters)
        # Every position has a letter to itself, except the general one, which was used twice.
        assert len(set.union(*letters)) == len(positions(number)) == len(letters) - 1
        assert letters[-1] == letters[-2]


def test_table_is_what_the_operations_give():
    table = json.loads((paths.TABLES / "wyckoff.json").read_text())
    for number in (2, 14, 62, 148, 180, 220):
        derived = wyckoff_positions(*operations(number))
        assert json.loads(json.dumps(derived)) == table[number - 1]


def test_bad_input():
    with pytest.raises(XrdlibError, match="1..230"):
        positions(231)
    with pytest.raises(XrdlibError, match="no Wyckoff position 9"):
        orbit(2, 9, [0, 0, 0])
