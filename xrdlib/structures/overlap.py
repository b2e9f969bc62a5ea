"""Atoms that are too close to each other; needs NumPy alone, as the training path does."""

from itertools import product

import numpy as np

from ..base.records import Crystals

CLOSE = 0.3  # angstrom; no two nuclei are nearer than that
FULL = 1.05  # largest sum of occupancies on one site, with rounding in published values


def overlapping(crystals: Crystals) -> np.ndarray:
    """Whether two atoms of a crystal are closer than `CLOSE` with a sum above `FULL`, (n,)."""
    suspect = np.zeros(len(crystals), dtype=bool)
    owner = np.repeat(np.arange(len(crystals)), np.diff(crystals.start))
    reciprocal = np.linalg.inv(crystals.lattice)
    width = 1 / np.linalg.norm(reciprocal, axis=1)  # between opposite faces of the cell
    # Candidates without all distances: with boxes twice as wide as `CLOSE`, two close atoms share a
    # box of one of the eight grids that are shifted by half a box along some axes. Occupancies that
    # add up in no box need no exact check.
    boxes = np.clip(np.floor(width / (2 * CLOSE)), 1, 1 << 15).astype(np.int64)
    base = np.cumsum(boxes.prod(1)) - boxes.prod(1)
    position = (crystals.frac - np.floor(crystals.frac)) * boxes[owner]
    own = boxes[owner]
    whole = [np.minimum(np.floor(position), own - 1).astype(np.int64)]
    whole.append(np.floor(position + 0.5).astype(np.int64) % own)
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


def overlap(lattice: np.ndarray, frac: np.ndarray, occupancy: np.ndarray) -> bool:
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
