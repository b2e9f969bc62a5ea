"""Symmetry-equivalent reflections: unique hkl and Laue classes.

A group is given as the bytes of its distinct int8 rotations modulo inversion; a reflection's
equivalents are h W and their Friedel opposites.

A rotation W is kept where it leaves the metric as it is and |F(h)| = |F(h W)| for a set of general
reflections. That is the symmetry that diffraction sees, at a fraction of the cost of searching
for space-group operations; what it misses costs time downstream, and nothing else.
"""

from functools import lru_cache
from itertools import permutations, product

import numpy as np
import torch
from torch import Tensor

from ..base.records import N_ROTATIONS, Crystals
from .boxes import Bucket

_BASE = 1024  # |h|, |k|, |l| stay below half of it, so that three indices fit one int32 code
MAX_INDEX = _BASE // 2 - 1


def distinct_groups(rotations: np.ndarray) -> tuple[list[bytes], np.ndarray]:
    """List of distinct groups (bytes) of (n, 24, 3, 3) rotations, and which each row has (n,)."""
    number = {}
    rows = rotations.reshape(len(rotations), -1)
    which = [number.setdefault(row.tobytes(), len(number)) for row in rows]
    matrices = [np.frombuffer(key, np.int8).reshape(24, 9) for key in number]
    return [np.unique(m, axis=0).tobytes() for m in matrices], np.array(which)


@lru_cache(maxsize=1024)
def halved_axes(group: bytes) -> tuple[bool, bool, bool]:
    """Which Miller indices may be taken non-negative without losing a set of equivalents."""
    rotations = np.frombuffer(group, dtype=np.int8).reshape(-1, 3, 3).astype(np.int64)
    hkl = np.array(list(product(range(-5, 6), repeat=3)))
    equivalents = np.einsum("ni,rij->rnj", hkl, rotations)
    inside = np.concatenate([equivalents, -equivalents]) >= 0
    wanted = sorted(product((True, False), repeat=3), key=lambda flags: -sum(flags))
    return next(f for f in wanted if inside[:, :, np.array(f)].all(2).any(0).all())


def unique_reflections(group: bytes, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """One reflection, (n, 3) int64, of every set of equivalents but 000, and the sizes of the sets.

    Up to a largest absolute index; Friedel opposites are counted.
    """
    table, _ = _multiplicity(group, (largest,) * 3)
    hkl = np.argwhere(table)
    return hkl + np.where(halved_axes(group), 0, -largest), table[tuple(hkl.T)]


def multiplicity_tables(
    groups: list[bytes],
    group: np.ndarray,
    axes: np.ndarray,
    buckets: list[Bucket],
    device: str | torch.device,
) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Multiplicity of every representative hkl, and where each crystal finds its own.

    Returns a flat int8 tensor and, for each crystal, the address of hkl 000 (n,) and the strides
    (n, 3) along its box axes. Entries are 0 where another equivalent stands for the set.
    """
    reach = np.zeros_like(axes)
    for bucket in buckets:
        last = np.maximum(np.array(bucket.dims) - 1 - bucket.origin, bucket.origin)
        np.maximum.at(reach, bucket.crystal, last)
    extent = np.empty_like(axes)
    np.put_along_axis(extent, axes, reach, 1)
    power = np.ceil(np.log2(np.maximum(extent, 16))).astype(np.int64)
    code = ((group * 16 + power[:, 0]) * 16 + power[:, 1]) * 16 + power[:, 2]
    code, own = np.unique(code, return_inverse=True)
    tables = [
        _multiplicity(groups[c // 4096], (1 << (c // 256 % 16), 1 << (c // 16 % 16), 1 << (c % 16)))
        for c in code.tolist()
    ]
    start = np.cumsum([0] + [t[0].size for t in tables])[:-1]
    base = start + np.array([t[1] for t in tables])
    stride = np.array([np.array(t[0].strides) for t in tables])
    flat = torch.from_numpy(np.concatenate([t[0].ravel() for t in tables])).to(device)
    return flat, base[own], np.take_along_axis(stride[own], axes, 1)


@lru_cache(maxsize=512)
def _multiplicity(group, largest):
    """(table int8, offset of 000) over the box of one group; a representative has the top code."""
    halved = np.array(halved_axes(group))
    low = np.where(halved, 0, -np.array(largest))
    shape = np.array(largest) - low + 1
    hkl = np.indices(shape, dtype=np.int32).reshape(3, -1) + low[:, None].astype(np.int32)
    weights = np.array([_BASE**2, _BASE, 1], dtype=np.int32)
    own = weights @ hkl
    rotations = np.frombuffer(group, dtype=np.int8).reshape(-1, 3, 3).astype(np.int32)
    top, fixed = own.copy(), np.zeros_like(own)
    for rotation in rotations:
        equivalent = rotation.T @ hkl
        code = weights @ equivalent
        fixed += (code == own).astype(np.int32) + (code == -own)
        for sign in (1, -1):
            inside = (sign * equivalent[halved] >= 0).all(0)
            np.maximum(top, np.where(inside, sign * code, top), out=top)
    multiplicity = np.where((top == own) & (own != 0), 2 * len(rotations) // fixed, 0)
    table = multiplicity.astype(np.int8).reshape(shape)
    return table, int(-(low * table.strides).sum())


# General reflections (three distinct absolute indices), two or more for each kind of centring.
_PROBES = np.array(
    [(1, 3, 5), (3, -1, 7), (2, -6, 4), (4, 2, -8), (1, 2, 3)]
    + [(2, 1, 5), (4, -2, 3), (1, 3, 2), (2, 5, 4), (3, 4, -2)]
)

_METRIC_TOLERANCE = 1e-6  # relative, in d^2: less than 1e-4 degrees for any reflection
_TOLERANCE = 1e-4  # of |F|^2, relative to the sum of the squared weights
_BLOCK = 1 << 20  # phases held at once


def _candidates():
    """Proper rotations of the cubic and the hexagonal lattice in their conventional axes."""
    signs = [np.diag(s) for s in product((1, -1), repeat=3)]
    cubic = [np.eye(3, dtype=int)[list(p)] @ s for p in permutations(range(3)) for s in signs]
    turn, swap = [[1, -1, 0], [1, 0, 0], [0, 0, 1]], [[0, 1, 0], [1, 0, 0], [0, 0, -1]]
    turns = [np.linalg.matrix_power(turn, k) for k in range(6)]
    every = np.array(cubic + turns + [swap @ w for w in turns])
    return np.unique(every[np.linalg.det(every) > 0].astype(np.int8), axis=0)


_ROTATIONS = _candidates()


def laue_rotations(crystals: Crystals) -> np.ndarray:
    """Rotations (n, 24, 3, 3) int8 of every crystal's Laue group modulo inversion.

    In the layout of `records.Crystals.rotations`, which are not looked at. Lattices in
    unconventional axes may get a subgroup.
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
        for row, kept_rotations in zip(rows, same, strict=True):
            result[row] = _repeated(tuple(lattice_group[kept_rotations].tolist()))
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
def _repeated(numbers):
    """Rotations with these numbers repeated to 24, or the identity if they are not a group."""
    rotations = _ROTATIONS[list(numbers)]
    keys = {w.tobytes() for w in rotations}
    closed = all((v @ w).tobytes() in keys for v in rotations for w in rotations)
    if not closed:
        rotations = np.eye(3, dtype=np.int8)[None]
    return np.resize(rotations, (N_ROTATIONS, 3, 3))
