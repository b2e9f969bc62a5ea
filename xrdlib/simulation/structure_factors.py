"""Structure factors from form factors, and the table of form factors.

exp 2 pi i (hx + ky + lz) is a product of three short tables, so the sum over atoms for a whole
box of hkl is a matrix product: (h k) x atoms times atoms x l. Symmetry shrinks the box: octants
whose reflections all have an equivalent inside are left out. Crystals with boxes of alike size
share one batched product; a box too large for memory is cut along its first axis, and the atoms
of an element into pieces, so that memory is bounded whatever the structure.

The nine numbers an element (a1..a4, b1..b4, c) are those of International Tables for
Crystallography vol. C (1992), table 6.1.1.4, as gemmi carries them:
f(s) = sum a_i exp(-b_i s^2) + c with s = sin(theta) / lambda.
"""

import json
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..base import paths
from ..base.records import Crystals
from .boxes import plan
from .equivalents import distinct_groups, halved_axes, multiplicity_tables

N_ELEMENTS = 98
_FACTOR_STEPS = 2048  # linear interpolation in s is then good to about 1e-5 electrons
_PIECES = np.array([2, 4, 8, 16, 32, 64])  # most atoms of an element in one product
_BUDGET = {"cpu": 1 << 20, "cuda": 1 << 26}  # complex numbers held at once
_WASTE = {"cpu": 30_000, "cuda": 1_000_000}  # padding in hkl that costs as much as a launch more


class Selection(NamedTuple):
    """Unique reflections of many crystals as torch rows, crystals in ascending order."""

    crystal: Tensor
    hkl: Tensor
    multiplicity: Tensor
    f2: Tensor


class _Atoms(NamedTuple):
    """Atoms on the device with the pieces (one element of one crystal, few atoms) they form."""

    frac: Tensor  # (m, 3), axes in the order of the crystal's box
    occupancy: Tensor
    first: np.ndarray  # (pieces,) first atom
    count: np.ndarray
    number: np.ndarray
    start: np.ndarray  # (n + 1,) pieces of each crystal


def unique_structure_factors(
    crystals: Crystals, d_star_max: float, device: str | torch.device = "cpu"
) -> Selection:
    """|F|^2 of the symmetry-unique reflections of every crystal, up to 1/d = `d_star_max`.

    The crystals have been checked: finite, at least one atom each, indices within `MAX_INDEX`.
    """
    device = torch.device(device)
    groups, group = distinct_groups(crystals.rotations)
    halved = np.array([halved_axes(g) for g in groups])[group]
    length = np.linalg.norm(crystals.lattice, axis=2)
    largest = np.floor(length * d_star_max + 1e-6).astype(np.int64)
    count = np.where(halved, largest + 1, 2 * largest + 1)
    axes = np.argsort(count, axis=1, kind="stable")
    count, halved = (np.take_along_axis(x, axes, 1) for x in (count, halved))
    buckets = plan(count, halved, _BUDGET[device.type] // 4, _WASTE[device.type])

    table, base, stride = multiplicity_tables(groups, group, axes, buckets, device)
    atoms = _atoms(crystals, axes, device)
    metric = np.linalg.inv(crystals.lattice @ crystals.lattice.transpose(0, 2, 1))
    metric = np.take_along_axis(np.take_along_axis(metric, axes[:, :, None], 1), axes[:, None], 2)
    factors = _factor_table(d_star_max / 2, device)
    back = torch.from_numpy(np.argsort(axes, 1)).to(device)
    parts = []
    for bucket in buckets:
        box = _Box(bucket, device)
        c = bucket.crystal
        rows = box.select(metric[c], d_star_max, table, np.column_stack([base[c], stride[c]]))
        f2 = box.sum_atoms(rows, atoms, factors)
        crystal = torch.from_numpy(c).to(device)[rows.item]
        hkl = box.indices(rows).gather(1, back[crystal])
        parts.append((crystal, hkl, rows.multiplicity, f2))
    crystal, hkl, multiplicity, f2 = (torch.cat(p) for p in zip(*parts, strict=True))
    crystal, order = torch.sort(crystal, stable=True)
    return Selection(crystal, hkl[order], multiplicity[order], f2[order])


class _Rows(NamedTuple):
    item: Tensor  # which crystal of the bucket
    cell: Tensor  # which hkl of the box
    start: Tensor  # (B,)
    count: Tensor
    multiplicity: Tensor
    s_index: Tensor  # position of sin(theta)/lambda in the factor table
    s_weight: Tensor


class _Box:
    """One bucket: B crystals that share the size of their box of hkl."""

    def __init__(self, bucket, device):
        self.dims, self.crystal, self.device = bucket.dims, bucket.crystal, device
        self.origin = torch.from_numpy(bucket.origin).to(device)
        # The values of h, then of k, then of l, side by side.
        self.axis = torch.repeat_interleave(torch.tensor(self.dims)).to(device)
        ladder = torch.cat([torch.arange(n) for n in self.dims]).to(device)
        self.ladder = ladder - self.origin[:, self.axis]

    def select(self, metric, d_star_max, table, shape):
        """Unique reflections inside the sphere, as rows ordered by crystal, then hkl."""
        i, j, k = np.indices(self.dims).reshape(3, -1).astype(np.float64)
        terms = np.stack([i * i, j * j, k * k, 2 * i * j, 2 * i * k, 2 * j * k, i, j, k, i * 0 + 1])
        shape = torch.from_numpy(shape).to(self.device)
        o = self.origin.cpu().numpy().astype(np.float64)
        linear = np.einsum("bij,bj->bi", metric, o)
        coef = np.column_stack(
            [metric[:, [0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]], -2 * linear, (linear * o).sum(1)]
        )
        d2 = torch.from_numpy(coef).to(self.device) @ torch.from_numpy(terms).to(self.device)
        x, y, z = (self.ladder * shape[:, 1 + self.axis]).split(self.dims, 1)
        address = x[:, :, None, None] + y[:, None, :, None] + z[:, None, None]
        multiplicity = table[(address + shape[:, 0, None, None, None]).flatten(1)]
        mask = (d2 <= d_star_max**2) & (multiplicity > 0)
        item, cell = mask.nonzero(as_tuple=True)
        count = mask.sum(1)
        s = d2[item, cell].sqrt_().mul_(_FACTOR_STEPS / d_star_max).to(torch.float32)
        index = s.to(torch.int64).clamp_(max=_FACTOR_STEPS - 1)
        return _Rows(
            item, cell, count.cumsum(0) - count, count, multiplicity[item, cell], index, s - index
        )

    def indices(self, rows):
        """(R, 3) Miller indices in the order of the box axes."""
        index = torch.stack(torch.unravel_index(rows.cell, self.dims), 1)
        return index - self.origin[rows.item]

    def sum_atoms(self, rows, atoms, factors):
        """|F|^2 of the rows."""
        total = torch.zeros(len(rows.cell), dtype=torch.complex64, device=self.device)
        n = atoms.start[self.crystal + 1] - atoms.start[self.crystal]
        item = np.repeat(np.arange(len(n)), n)
        piece = np.arange(len(item)) + np.repeat(atoms.start[self.crystal] - np.cumsum(n) + n, n)
        for chunk, width in self._alike(atoms.count[piece]):
            cells = self.dims[0] * self.dims[1] * (self.dims[2] + width)
            step = max(1, _BUDGET[self.device.type] // cells)
            for part in (chunk[i : i + step] for i in range(0, len(chunk), step)):
                partial = self._box_sum(item[part], piece[part], width, atoms)
                self._add(total, partial, rows, item[part], atoms.number[piece[part]], factors)
        return total.real.square() + total.imag.square()

    def _alike(self, count):
        """Pieces in groups of alike numbers of atoms, and the number each is padded to."""
        cells = self.dims[0] * self.dims[1] * self.dims[2]
        level = np.searchsorted(_PIECES, count)
        waiting = np.empty(0, dtype=np.int64)
        for i, width in enumerate(_PIECES.tolist()):
            waiting = np.concatenate([waiting, np.flatnonzero(level == i)])
            padding = len(waiting) * width * cells  # of doubling the width once more
            if len(waiting) and (padding > 16 * _WASTE[self.device.type] or (level <= i).all()):
                yield waiting, int(count[waiting].max())
                waiting = waiting[:0]

    def _box_sum(self, item, piece, width, atoms):
        """(I, box) sums of phases over the atoms of each piece."""
        offset = np.arange(width)
        present = offset < atoms.count[piece][:, None]
        index = torch.from_numpy(atoms.first[piece][:, None] + np.where(present, offset, 0))
        index, present = index.to(self.device), torch.from_numpy(present).to(self.device)
        frac = atoms.frac[index]
        weight = atoms.occupancy[index] * present
        hkl = self.ladder[torch.from_numpy(item).to(self.device)].to(torch.float32)
        turn = frac.transpose(1, 2)[:, self.axis] * hkl[:, :, None]  # (I, p + q + r, width)
        turn = turn.sub_(turn.round()).mul_(2 * torch.pi)
        first, second, third = torch.complex(turn.cos(), turn.sin()).split(self.dims, 1)
        left = (first[:, :, None] * second[:, None]).flatten(1, 2)
        return torch.bmm(left, (third * weight[:, None]).transpose(1, 2)).flatten(1)

    def _add(self, total, partial, rows, item, number, factors):
        """Add the pieces' sums times their form factors to the rows of their crystals."""
        item = torch.from_numpy(item).to(self.device)
        number = torch.from_numpy(number.astype(np.int64)).to(self.device)
        count = rows.count[item]
        n = int(count.sum())
        ends = count.cumsum(0)
        which = torch.repeat_interleave(count, output_size=n)
        row = torch.arange(n, device=self.device) + (rows.start[item] - ends + count)[which]
        value = partial.view(-1)[which * partial.shape[1] + rows.cell[row]]
        at = rows.s_index[row] + (number * factors.shape[1])[which]
        low, high = factors.view(-1)[at], factors.view(-1)[at + 1]
        total.index_add_(0, row, value * torch.lerp(low, high, rows.s_weight[row]))


def _atoms(crystals, axes, device):
    """Atoms with non-zero occupancy, sorted by element inside each crystal, cut into pieces."""
    owner = np.repeat(np.arange(len(crystals)), np.diff(crystals.start))
    keep = np.flatnonzero(crystals.occupancy > 0)
    order = keep[np.lexsort((crystals.number[keep], owner[keep]))]
    owner, number = owner[order], crystals.number[order].astype(np.int64)
    run = np.flatnonzero(np.diff(owner * 1000 + number, prepend=-1))
    size = np.diff(run, append=len(order))
    cut = -(-size // _PIECES[-1])
    index = np.arange(cut.sum()) - np.repeat(np.cumsum(cut) - cut, cut)
    first = np.repeat(run, cut) + index * _PIECES[-1]
    count = np.minimum(_PIECES[-1], np.repeat(run + size, cut) - first)
    start = np.searchsorted(owner[first], np.arange(len(crystals) + 1))
    frac = np.take_along_axis(crystals.frac[order], axes[owner], 1)
    return _Atoms(
        torch.from_numpy(np.ascontiguousarray(frac, dtype=np.float32)).to(device),
        torch.from_numpy(crystals.occupancy[order].astype(np.float32)).to(device),
        first,
        count,
        number[first],
        start,
    )


@lru_cache(maxsize=8)
def _factor_table(s_max, device):
    """Form factors f(s), (99, steps + 1) float32, row = atomic number, s from 0 to `s_max`."""
    stored = paths.table("form_factors.json")
    a, b, c = (np.array(stored[key]) for key in "abc")
    s = np.linspace(0, s_max, _FACTOR_STEPS + 1)
    f = np.einsum("ei,eis->es", a, np.exp(-b[:, :, None] * s * s)) + c[:, None]
    return torch.from_numpy(np.pad(f, ((1, 0), (0, 0))).astype(np.float32)).to(device)


def derive() -> str:
    """The text of tables/form_factors.json: "a", "b" (98, 4) and "c" (98,), hydrogen first."""
    import gemmi

    factors = [gemmi.Element(z).it92 for z in range(1, N_ELEMENTS + 1)]
    table = {name: [list(getattr(f, name)) for f in factors] for name in "ab"}
    return json.dumps(table | {"c": [f.c for f in factors]}, separators=(",", ":")) + "\n"
