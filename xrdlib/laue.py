"""Laue symmetry of crystals that come without it, found from lattice and intensities.

A rotation W is kept where it leaves the metric as it is and |F(h)| = |F(h W)| for a set of general
reflections. That is the symmetry that diffraction sees, at a fraction of the cost of searching
for space-group operations; what it misses costs time downstream, and nothing else.
"""

from functools import lru_cache
from itertools import permutations, product

import numpy as np

from .records import N_ROTATIONS

# General reflections (three distinct absolute indices), two or more for each kind of centring.
_PROBES = np.array(
    [(1, 3, 5), (3, -1, 7), (2, -6, 4), (4, 2, -8), (1, 2, 3)]
    + [(2, 1, 5), (4, -2, 3), (1, 3, 2), (2, 5, 4), (3, 4, -2)]
)
_METRIC_TOLERANCE = 1e-6  # relative, in d^2: less than 1e-4 degrees in any line
_TOLERANCE = 1e-4  # of |F|^2, relative to the sum of the squared weights
_BLOCK = 1 << 20  # phases held at once


def _candidates():
    """Proper rotations of the cubic and the hexagonal lattice in their conventional axes."""
    signed = [
        np.eye(3, dtype=int)[list(order)] * np.array(signs)
        for order in permutations(range(3))
        for signs in product((1, -1), repeat=3)
    ]
    turn = np.array([[1, -1, 0], [1, 0, 0], [0, 0, 1]])
    swap = np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1]])
    hexagonal = [np.linalg.matrix_power(turn, k) for k in range(6)]
    hexagonal += [swap @ w for w in hexagonal]
    every = np.array([w for w in signed if np.linalg.det(w) > 0] + hexagonal)
    return np.unique(every.astype(np.int8), axis=0)


_ROTATIONS = _candidates()


def laue_rotations(crystals):
    """Rotations of every crystal's Laue group modulo inversion.

    Parameters
    ----------
    crystals : records.Crystals
        Whose `rotations` are not looked at.

    Returns
    -------
    ndarray, (n, 24, 3, 3) int8
        In the layout of `records.Crystals.rotations`. Lattices in unconventional axes may get a
        subgroup.
    """
    metric = crystals.lattice @ crystals.lattice.transpose(0, 2, 1)
    scale = np.sqrt(np.einsum("nii,njj->nij", metric, metric))
    w = _ROTATIONS.astype(np.float64)
    turned = np.einsum("rki,nkl,rlj->nrij", w, metric, w, optimize=True)
    kept = (np.abs(turned - metric[:, None]) < _METRIC_TOLERANCE * scale[:, None]).all((2, 3))
    result = np.empty((len(crystals), N_ROTATIONS, 3, 3), dtype=np.int8)
    weights = (crystals.number * crystals.occupancy).astype(np.float32)
    keys = np.packbits(kept, axis=1)
    for key in np.unique(keys, axis=0):
        rows = np.flatnonzero((keys == key).all(1))
        lattice_group = np.flatnonzero(kept[rows[0]])
        same = _equal_intensities(crystals, rows, weights, lattice_group)
        for row, found in zip(rows, same, strict=True):
            result[row] = _repeated(tuple(lattice_group[found].tolist()))
    return result


def _equal_intensities(crystals, rows, weights, group):
    """(len(rows), len(group)) whether each rotation keeps the intensities of each crystal."""
    turned = np.einsum("pi,rij->rpj", _PROBES, _ROTATIONS[group]).reshape(-1, 3)
    same = []
    counts = np.diff(crystals.start)[rows]
    block = np.cumsum(counts) * len(turned) // _BLOCK
    for part in np.split(rows, np.flatnonzero(np.diff(block)) + 1):
        counts = np.diff(crystals.start)[part]
        first = np.cumsum(counts) - counts
        atoms = np.arange(counts.sum()) + np.repeat(crystals.start[part] - first, counts)
        turn = crystals.frac[atoms] @ turned.T.astype(np.float32)
        turn = (turn - np.round(turn)) * np.float32(2 * np.pi)
        weight = weights[atoms, None]
        real = np.add.reduceat(np.cos(turn) * weight, first)
        imaginary = np.add.reduceat(np.sin(turn) * weight, first)
        f2 = (real**2 + imaginary**2).reshape(len(part), len(group), -1)
        identity = int(np.flatnonzero((_ROTATIONS[group] == np.eye(3)).all((1, 2)))[0])
        limit = _TOLERANCE * np.add.reduceat(weights[atoms] ** 2, first)
        same.append((np.abs(f2 - f2[:, identity, None]) < limit[:, None, None]).all(2))
    return np.concatenate(same)


@lru_cache(maxsize=1024)
def _repeated(found):
    """Rotations with these numbers repeated to 24, or the identity if they are not a group."""
    rotations = _ROTATIONS[list(found)]
    known = {w.tobytes() for w in rotations}
    closed = all((v @ w).tobytes() in known for v in rotations for w in rotations)
    if not closed:
        rotations = np.eye(3, dtype=np.int8)[None]
    return np.resize(rotations, (N_ROTATIONS, 3, 3))
