"""Derive the Wyckoff positions of all 230 space groups from their operations.

A Wyckoff position is an orbit of *flats*: points, lines, planes or all of space, each the full set
fixed by some finite subgroup. A flat is held as the exact projection x -> P x + p that averages its
stabiliser. Starting from all of space, every flat is cut by the fixed set of every operation until
no new orbit appears. `xrdlib derive wyckoff` writes tables/wyckoff.json.
"""

import json
from functools import cache
from itertools import product
from math import gcd

import numpy as np

from .groups import operations

UNIT = 24  # translations of the operations are whole multiples of 1/24
SHIFTS = np.array(list(product(range(-4, 5), repeat=3)))  # lattice translations tried in a cut


def wyckoff_positions(rotations: np.ndarray, translations: np.ndarray) -> list[tuple]:
    """All Wyckoff positions of one space group, by rising multiplicity.

    Parameters
    ----------
    rotations, translations : array_like, (k, 3, 3) int and (k, 3) float
        Of every operation, centring included; translations are whole multiples of 1/24.

    Returns
    -------
    list of tuple
        (multiplicity, freedom, d, projection, point, operations): nine and three integers over
        the denominator d, and the indices of the operations that give each image once.
    """
    rotations = np.asarray(rotations, dtype=int)
    translations = np.rint(UNIT * np.asarray(translations)).astype(int)
    rng = np.random.default_rng(0)
    space = (1, (1, 0, 0, 0, 1, 0, 0, 0, 1), (0, 0, 0))
    orbits = [_images(space, rotations, translations)]
    seen = set(orbits[0])
    for orbit in orbits:  # grows while it is read
        for flat in map(_reduced, _cuts(orbit[0], rotations, translations, rng)):
            if flat not in seen:
                orbits.append(_images(flat, rotations, translations))
                seen.update(orbits[-1])
    return sorted(_described(min(o, key=_plainness), rotations, translations) for o in orbits)


def _cuts(flat, rotations, translations, rng):
    """The flats that one more operation, in any lattice translation, cuts out of `flat`."""
    order, sums, shift = flat
    projection = np.reshape(sums, (3, 3)) / order
    point = np.array(shift) / (order * UNIT)
    points = [np.zeros((0, 3))]
    for rotation in np.unique(rotations, axis=0):
        # P x + p is fixed by (W, w + t) where (W - I) P x = p - W p - w - t.
        matrix = (rotation - np.eye(3)) @ projection
        if not matrix.any():
            continue
        same = (rotations == rotation).all(axis=(1, 2))
        shifts = (translations[same, None] / UNIT + SHIFTS).reshape(-1, 3)
        right = point - rotation @ point - shifts
        inverse = np.linalg.pinv(matrix, rcond=1e-9)
        solution = right @ inverse.T
        solution = solution[np.abs(solution @ matrix.T - right).max(axis=1) < 1e-9]
        generic = (np.eye(3) - inverse @ matrix) @ rng.uniform(-1, 1, 3)  # stays in the cut
        points.append((solution + generic) @ projection.T + point)
    points = np.concatenate(points)
    points = np.unique((points - np.floor(points + 1e-9)).round(9), axis=0)
    parts = np.array_split(points, 1 + len(points) // 500)
    return set().union(*(_stabilised(part, rotations, translations) for part in parts))


def _stabilised(points, rotations, translations):
    """The flats on which `points` are generic: (order, sum of W, sum of w in 1/24) of each."""
    offset = points[:, None] - np.einsum("kij,nj->nki", rotations, points) - translations / UNIT
    lattice = np.rint(offset).astype(int)
    fixed = (np.abs(offset - lattice) < 1e-6).all(axis=2).astype(int)
    sums = np.einsum("nk,kij->nij", fixed, rotations).reshape(-1, 9)
    shifts = np.einsum("nk,nki->ni", fixed, translations + UNIT * lattice)
    rows = np.unique(np.column_stack([fixed.sum(axis=1), sums, shifts]), axis=0).tolist()
    return {(row[0], tuple(row[1:10]), tuple(row[10:])) for row in rows}


def _images(flat, rotations, translations):
    """The distinct images of a flat modulo lattice translations, itself first."""
    order, sums, shift = flat
    matrix = np.reshape(sums, (3, 3))
    images = {_reduced(flat): None}
    for rotation, translation in zip(rotations, translations, strict=True):
        inverse = np.rint(np.linalg.inv(rotation)).astype(int)
        turned = rotation @ matrix @ inverse
        # (W, w)(P, p)(W, w)^-1 has the fixed part W p + w - P' w.
        moved = rotation @ shift + order * translation - turned @ translation
        image = (order, tuple(turned.ravel().tolist()), tuple(moved.tolist()))
        images[_reduced(image)] = None
    return list(images)


def _reduced(flat):
    """The flat's one representative modulo lattice translations t, which move p by (I - P) t."""
    order, sums, shift = flat
    shift = list(shift)
    for column, row in _lattice_of_shifts(order, sums):
        times = shift[column] // row[column]
        shift = [s - times * r for s, r in zip(shift, row, strict=True)]
    return order, sums, tuple(shift)


@cache
def _lattice_of_shifts(order, sums):
    """Hermite normal form of the generators (I - P) e_j, in units of 1 / (24 order)."""
    rows = [[UNIT * (order * (i == j) - sums[3 * i + j]) for i in range(3)] for j in range(3)]
    form = []
    for column in range(3):
        while True:
            live = sorted((r for r in rows if r[column]), key=lambda r: abs(r[column]))
            if len(live) < 2:
                break
            for row in live[1:]:
                times = row[column] // live[0][column]
                row[:] = [a - times * b for a, b in zip(row, live[0], strict=True)]
        if live:
            rows = [r for r in rows if r is not live[0]]
            form.append((column, [r if live[0][column] > 0 else -r for r in live[0]]))
    return tuple(form)


def _plainness(flat):
    """Sort key: representatives along the axes and near the origin come first."""
    _, sums, shift = flat
    return sum(map(bool, sums)), sum(s < 0 for s in sums), sum(map(bool, shift)), shift, sums[::-1]


def _described(flat, rotations, translations):
    """Multiplicity, degrees of freedom, exact projection and the operations that give the orbit."""
    order, sums, shift = flat
    matrix = np.reshape(sums, (3, 3))
    scale = order * UNIT
    turned = UNIT * rotations @ matrix
    moved = (rotations @ shift + order * translations) % scale
    images = np.concatenate([turned.reshape(-1, 9), moved], axis=1)
    _, chosen = np.unique(images, axis=0, return_index=True)
    common = gcd(scale, *(UNIT * s for s in sums), *shift)
    projection = [UNIT * s // common for s in sums]
    point = [s // common for s in shift]
    freedom = int(np.trace(matrix)) // order
    return len(chosen), freedom, scale // common, projection, point, sorted(chosen.tolist())


def derive() -> str:
    """The text of tables/wyckoff.json: per space group the rows of `wyckoff_positions`."""
    groups = [wyckoff_positions(*operations(number)) for number in range(1, 231)]
    lines = [json.dumps(rows, separators=(",", ":")) for rows in groups]
    return "[\n" + ",\n".join(lines) + "\n]\n"
