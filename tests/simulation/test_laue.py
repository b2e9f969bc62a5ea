"""Laue symmetry found from intensities, against spglib's point groups."""

from dataclasses import replace

import numpy as np
import samples

from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.equivalents import laue_rotations


def with_inversion(rotations):
    """Set of the rotations (24, 3, 3) and their opposites."""
    return {w.tobytes() for w in np.concatenate([rotations, -rotations]).astype(np.int8)}


def test_equals_the_point_group_with_inversion():
    found = laue_rotations(samples.crystals())
    assert found.shape == (len(samples.crystals()), 24, 3, 3) and found.dtype == np.int8
    for rotations, expected in zip(found, samples.point_groups(), strict=True):
        assert with_inversion(rotations) == {w.astype(np.int8).tobytes() for w in expected}


def moved(crystals, i, shift):
    """The crystals with one atom of crystal i moved."""
    frac = crystals.frac.copy()
    frac[crystals.start[i] + 1] += shift
    return replace(crystals, frac=frac)


def test_a_moved_atom_or_a_strained_cell_lowers_the_symmetry():
    crystals = samples.crystals()
    full = [len(with_inversion(r)) for r in laue_rotations(crystals)]
    for i in np.flatnonzero(np.array(full) > 2):
        broken = laue_rotations(moved(crystals, i, [0.013, 0.027, 0.019]))
        assert len(with_inversion(broken[i])) < full[i]
        assert [len(with_inversion(r)) for r in np.delete(broken, i, 0)] == full[:i] + full[i + 1 :]
    lattice = crystals.lattice.copy()
    lattice[:, 0] *= 1.001
    strained = laue_rotations(replace(crystals, lattice=lattice))
    names = list(samples.structures())
    assert len(with_inversion(strained[names.index("halite")])) == 16
    assert len(with_inversion(strained[names.index("forsterite")])) == 8


def test_merging_equivalents_keeps_the_sum_over_the_sphere():
    """The pattern's content is the same with all the symmetry and with none."""
    crystals = samples.crystals()
    none = np.broadcast_to(np.eye(3, dtype=np.int8), crystals.rotations.shape)
    sums = []
    for rotations in (crystals.rotations, none):
        known = reflections(replace(crystals, rotations=rotations))
        sums.append(np.add.reduceat(known.multiplicity * known.f2, known.start[:-1]))
    np.testing.assert_allclose(*sums, rtol=1e-5)
