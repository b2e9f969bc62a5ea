"""Atoms upon each other: found wherever they lie, whatever the cell, and told from mixed sites."""

import numpy as np
import pytest

from xrdlib.base.records import Crystals
from xrdlib.structures import overlap


def crystals(lattices, cells):
    """Record of cells [(frac, occupancy)]."""
    n = len(cells)
    frac = np.concatenate([f for f, _ in cells])
    return Crystals(
        lattice=np.array(lattices, dtype=float),
        start=np.cumsum([0, *(len(f) for f, _ in cells)]),
        number=np.ones(len(frac), np.int16),
        frac=frac.astype(np.float32),
        occupancy=np.concatenate([q for _, q in cells]).astype(np.float32),
        rotations=np.tile(np.eye(3, dtype=np.int8), (n, 24, 1, 1)),
        space_group=np.zeros(n, np.int16),
        group=np.zeros(n, np.int16),
        name=np.arange(n).astype(str),
    )


def nearest(lattice, frac):
    """Shortest distance between two atoms over all neighbouring cells."""
    cells = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3), -1).reshape(-1, 3)
    difference = frac[:, None, None] - frac[None, :, None] + cells
    distance = np.linalg.norm(difference @ lattice, axis=-1).min(2)
    return distance[np.triu_indices(len(frac), 1)].min()


def test_pairs_are_those_of_all_distances():
    rng = np.random.default_rng(0)
    lattices, cells, expected = [], [], []
    for _ in range(400):
        lattice = np.diag(rng.uniform(2, 12, 3)) + rng.normal(0, 0.6, (3, 3))
        frac = rng.random((8, 3)) + rng.integers(-2, 3, (8, 3))
        # A partner at a distance on either side of the limit, in any direction, across faces too.
        step = rng.normal(size=3)
        step *= rng.choice([0.05, 0.25, 0.295, 0.31, 0.6]) / np.linalg.norm(step)
        frac = np.concatenate([frac, frac[:1] + step @ np.linalg.inv(lattice)])
        lattices.append(lattice)
        cells.append((frac, np.ones(9)))
        expected.append(nearest(lattice, frac % 1) < overlap.CLOSE)
    result = overlap.overlapping(crystals(lattices, cells))
    assert 0.3 < np.mean(expected) < 0.9
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    ("occupancy", "expected"),
    [
        ((1, 1), True),
        ((0.6, 0.4), False),
        ((0.7, 0.32), False),
        ((0.7, 0.4), True),
        ((1, 0), False),
    ],
)
def test_a_mixed_site_is_no_overlap(occupancy, expected):
    frac = np.array([[0.1, 0.999, 0.5], [0.1, -0.001, 0.5], [0.6, 0.2, 0.1]])
    record = crystals([np.eye(3) * 6], [(frac, np.array([*occupancy, 1.0]))])
    assert overlap.overlapping(record).tolist() == [expected]
