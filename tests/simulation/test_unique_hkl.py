"""Representatives and multiplicities against orbits listed one by one."""

import numpy as np
import pytest
import samples

from xrdlib.simulation import equivalents
from xrdlib.simulation.boxes import Bucket

GROUPS = range(len(samples.TABLE))


def orbits(group, reach):
    """Set of orbits (frozensets of tuples) of all hkl with |h|, |k|, |l| <= reach."""
    hkl = np.indices((2 * reach + 1,) * 3).reshape(3, -1).T - reach
    return {frozenset(tuple(x) for x in h @ group) for h in hkl if h.any()}


@pytest.mark.parametrize("i", GROUPS)
def test_each_orbit_has_one_representative_in_the_box(i):
    rotations = samples.crystals().rotations[i : i + 1]
    keys, which = equivalents.distinct_groups(rotations)
    halved = equivalents.halved_axes(keys[0])
    reach = 8
    dims = np.where(halved, reach + 1, 2 * reach + 1)
    origin = np.where(halved, 0, reach)
    bucket = Bucket(tuple(dims.tolist()), np.array([0]), origin[None])
    table, base, stride = equivalents.multiplicity_tables(
        keys, which, np.array([[0, 1, 2]]), [bucket], "cpu"
    )
    found = {}
    for index in np.ndindex(*dims):
        h = np.array(index) - origin
        multiplicity = int(table[base[0] + h @ stride[0]])
        if multiplicity:
            found[tuple(h.tolist())] = multiplicity
    full = samples.point_groups()[i]
    for orbit in orbits(full, 4):
        inside = [h for h in orbit if h in found]
        assert len(inside) == 1
        assert found[inside[0]] == len(orbit)


def test_axes_are_halved_as_far_as_symmetry_allows():
    kept = {}
    for name, row in zip(samples.structures(), samples.crystals().rotations, strict=True):
        key = equivalents.distinct_groups(row[None])[0][0]
        kept[name] = sum(equivalents.halved_axes(key))
    assert kept["halite"] == kept["forsterite"] == kept["apatite"] == kept["scheelite"] == 3
    assert kept["realgar-like"] == 2 and kept["albite-like"] == 1
