"""Which hkl stand for their symmetry equivalents, and how many those are.

A group is given as the bytes of its distinct int8 rotations modulo inversion; a reflection's
equivalents are h W and their Friedel opposites.
"""

from functools import lru_cache
from itertools import product

import numpy as np
import torch

_BASE = 1024  # |h|, |k|, |l| stay below half of it, so that three indices fit one int32 code
MAX_INDEX = _BASE // 2 - 1


def distinct_groups(rotations):
    """List of distinct groups (bytes) of (n, 24, 3, 3) rotations, and which each row has (n,)."""
    number = {}
    rows = rotations.reshape(len(rotations), -1)
    which = [number.setdefault(row.tobytes(), len(number)) for row in rows]
    matrices = [np.frombuffer(key, np.int8).reshape(24, 9) for key in number]
    return [np.unique(m, axis=0).tobytes() for m in matrices], np.array(which)


@lru_cache(maxsize=1024)
def halved_axes(group):
    """Which Miller indices may be taken non-negative without losing a set of equivalents."""
    rotations = np.frombuffer(group, dtype=np.int8).reshape(-1, 3, 3).astype(np.int64)
    hkl = np.array(list(product(range(-5, 6), repeat=3)))
    equivalents = np.einsum("ni,rij->rnj", hkl, rotations)
    equivalents = np.concatenate([equivalents, -equivalents])
    wanted = sorted(product((True, False), repeat=3), key=lambda flags: -sum(flags))
    for flags in wanted:
        inside = (equivalents[:, :, np.array(flags)] >= 0).all(2)
        if inside.any(0).all():
            return flags
    return (False, False, False)


def unique_reflections(group: bytes, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """One reflection of every set of equivalents, and how many each set holds.

    Parameters
    ----------
    group : bytes
        Distinct rotations, see above.
    largest : int
        Largest absolute index.

    Returns
    -------
    hkl : ndarray, (n, 3) int64
        Without 000.
    multiplicity : ndarray, (n,) int8
        Friedel opposites included.
    """
    table, _ = _multiplicity(group, (largest,) * 3)
    low = np.where(halved_axes(group), 0, -largest)
    hkl = np.argwhere(table)
    return hkl + low, table[tuple(hkl.T)]


def multiplicity_tables(groups, group, axes, buckets, device):
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
