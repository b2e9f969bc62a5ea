"""Fill recipes with elements, lattices and coordinates, many crystals at once.

Crystals are padded tensors: b crystals, s sites, a atoms. Coordinates are drawn for all sites; a
site whose atoms come too close to each other or to those of an earlier site is drawn again until
none is left. Symmetry saves most of the work: one atom of each site stands for its orbit.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..base.counter import normal, uniform
from ..base.records import Crystals, offsets
from ..symmetry.groups import group_of_space_group, half_rotations, operations, reference_symbol
from ..symmetry.wyckoff import PROJECTION_UNIT, positions
from . import minerals
from .recipes import Recipes

_ROUNDS = 20  # draws of the coordinates before a crystal is given up
_PATIENCE, _GROWTH = 5, 1.06  # after so many rounds, the volume grows by this factor
# Volumes: the deviation of their logarithm about the sum over the atoms of `minerals.table`'s, and
# the largest in cubic angstrom, of which a crystal's own limit falls short by up to a fifth.
_VOLUME_SPREAD, _MAX_VOLUME, _LIMIT_SPREAD = 0.12, 4000.0, 0.2
# No two atoms come closer than the larger of the distance (angstrom) and the fraction of the sum of
# their covalent radii, but never more is asked than half the cell's smallest width, up to which
# nearest images are exact.
MIN_DISTANCE, RADIUS_FRACTION = 1.4, 0.55
_MIN_WIDTH = 2.4  # angstrom between opposite faces of a cell
# Probability that a site is partly occupied, and the least occupancy that it then has.
_PARTIAL, MIN_OCCUPANCY = 0.12, 0.3
_PAIRS_CPU, _PAIRS_GPU = 2**18, 2**25  # pairs of a site and an atom handled at once
_CPU = torch.device("cpu")
# Random numbers are named by slots; slots of one attempt lie within `BLOCK`.
BLOCK = 1 << 10
_ELEMENT, _OCCUPANCY, _VOLUME, _ABUNDANCE, _LIMIT, _LATTICE, _COORDINATE = 0, 1, 2, 3, 4, 256, 512


class Tables(NamedTuple):
    """All Wyckoff positions and operations of the 230 space groups, one after the other."""

    offset: Tensor  # (231,) first position of each space group
    multiplicity: Tensor  # (p,)
    freedom: Tensor  # (p,)
    projection: Tensor  # (p, 3, 3) whole numbers: in units of 1 / PROJECTION_UNIT
    point: Tensor  # (p, 3)
    first: Tensor  # (p,) where each position's operations start in `operation`
    operation: Tensor  # rows of `rotation` and `translation`
    rotation: Tensor  # (o, 3, 3)
    translation: Tensor  # (o, 3)


@cache
def tables(device: str | torch.device = _CPU) -> Tables:
    """The `Tables` on a device."""
    groups = [operations(number) for number in range(1, 231)]
    sites = [positions(number) for number in range(1, 231)]
    flat = [site for group in sites for site in group]
    base = np.repeat(offsets([len(w) for _, w in groups])[:-1], [len(group) for group in sites])
    multiplicity = np.array([site.multiplicity for site in flat])
    arrays = (
        np.concatenate([[0], offsets(map(len, sites))[:-1]]),
        multiplicity,
        np.array([site.freedom for site in flat]),
        np.rint(PROJECTION_UNIT * np.stack([site.projection for site in flat])),
        np.stack([site.point for site in flat]),
        offsets(multiplicity)[:-1],
        np.concatenate([site.operations for site in flat]) + np.repeat(base, multiplicity),
        np.concatenate([rotations for rotations, _ in groups]).astype(np.float64),
        np.concatenate([translations for _, translations in groups]),
    )
    tensors = (torch.from_numpy(np.ascontiguousarray(a)) for a in arrays)
    return Tables(
        *(t.to(device, torch.float32 if t.is_floating_point() else None) for t in tensors)
    )


def fill(
    recipes: Recipes,
    chosen: np.ndarray,
    index: np.ndarray,
    seed: int,
    slot: int,
    device: str | torch.device,
) -> tuple[Crystals, np.ndarray]:
    """Crystals of chosen recipes (n,) whose atoms had room, in order, and which, (n,) bool.

    `index` (n,) are the crystals' numbers, with `seed` the names of the random numbers; `slot` is
    the first of `BLOCK` ones.
    """
    device = torch.device(device)
    sites, labels = _padded(recipes, chosen)
    numbers = recipes.space_group[chosen].astype(np.int64)
    atoms = (tables().multiplicity.numpy()[sites] * (sites >= 0)).sum(1)
    order, parts, start = np.argsort(-atoms, kind="stable"), [], 0
    pairs = _PAIRS_CPU if device == _CPU else _PAIRS_GPU
    while start < len(order):
        # Crystals of like size share a chunk, which bounds both the padding and the memory.
        size = max(1, pairs // int(sites.shape[1] * atoms[order[start]]))
        rows = order[start : start + size]
        chunk = [torch.from_numpy(a[rows]).to(device) for a in (sites, labels, numbers, index)]
        settled, *made = (tensor.cpu().numpy() for tensor in _fill_chunk(*chunk, seed, slot))
        parts.append((rows[settled], *made))
        start += size
    rows, lattice, counts, number, frac, occupancy = map(np.concatenate, zip(*parts, strict=True))
    done = np.zeros(len(chosen), dtype=bool)
    done[rows] = True
    rotations, symbols = _symmetries()
    crystals = Crystals(
        lattice=lattice,
        start=offsets(counts),
        number=number.astype(np.int16),
        frac=frac,
        occupancy=occupancy,
        rotations=rotations[numbers[rows]],
        space_group=numbers[rows].astype(np.int16),
        group=group_of_space_group()[numbers[rows]],
        name=np.char.add(symbols[numbers[rows]], index[rows].astype(str)),
    )
    return crystals.take(np.argsort(rows)), done


def _fill_chunk(sites, labels, numbers, index, seed, slot):
    """One chunk: rows that worked, lattice, atoms per crystal; number, frac, occupancy of atoms."""
    t = tables(sites.device)
    present = sites >= 0
    sites = sites.clamp(min=0)
    multiplicity = t.multiplicity[sites] * present
    ends = multiplicity.cumsum(1)
    column = torch.arange(int(ends[:, -1].max()), device=sites.device)
    real = column < ends[:, -1:]
    site = torch.searchsorted(ends, column.expand(len(sites), -1).contiguous(), right=True)
    site = site.clamp(max=sites.shape[1] - 1)  # (b, a) the site of each atom
    rank = column - (ends - multiplicity).gather(1, site)  # which atom of its site
    operation = t.operation[(t.first[sites].gather(1, site) + rank) * real]

    kind = minerals.draw_elements(labels, seed, index, slot + _ELEMENT, slot + _ABUNDANCE)
    number, atom_volume, radius = (
        torch.from_numpy(minerals.table()[name]).to(sites.device)[kind]
        for name in ("number", "volume", "radius")
    )
    draws = uniform(seed, index, slot + _OCCUPANCY, 2 * sites.shape[1]).unflatten(1, (-1, 2))
    some = MIN_OCCUPANCY + (1 - MIN_OCCUPANCY) * draws[..., 1]
    occupancy = torch.where(draws[..., 0] < _PARTIAL, some, 1.0)
    spread = _VOLUME_SPREAD * normal(seed, index, slot + _VOLUME)[:, 0]
    volume = (multiplicity * occupancy * atom_volume).sum(1) * torch.exp(spread)
    # Each crystal has a limit of its own, lest all that reach it have one volume.
    short = _LIMIT_SPREAD * uniform(seed, index, slot + _LIMIT)[:, 0]
    most = _MAX_VOLUME * (1 - short.double())

    # A pair counts once, for the later of its two sites, and no atom is its own neighbour.
    row = torch.arange(sites.shape[1], device=sites.device)[:, None]
    counts = real[:, None] & present[:, :, None] & (site[:, None] <= row)
    counts &= (site[:, None] != row) | (rank[:, None] > 0)
    limit = RADIUS_FRACTION * (radius[:, :, None] + radius.gather(1, site)[:, None])
    crowd = {
        "row": torch.arange(len(sites), device=sites.device),
        "index": index,
        "number": numbers,
        "volume": torch.minimum(volume.double(), most),
        "most": most,
        "sites": sites,
        "site": site,
        "operation": operation,
        "limit": (limit.clamp(min=MIN_DISTANCE) * counts).float() ** 2,
    }
    rows, lattice, atoms = _settle(t, crowd, seed, slot)
    real = real[rows]
    listed = (number.gather(1, site)[rows], atoms, occupancy.gather(1, site)[rows])
    return rows, lattice, real.sum(1), *(atom[real] for atom in listed)


def _settle(t, crowd, seed, slot):
    """Draw coordinates and lattices until no atoms collide: rows, lattices, atoms (b, a, 3)."""
    b, s = crowd["sites"].shape
    crowd["redo"] = crowd["sites"].new_ones((b, s), dtype=torch.bool)
    crowd["stuck"] = crowd["redo"].any(1)
    crowd["frac"] = crowd["limit"].new_zeros((b, s, 3))
    crowd["lattice"] = crowd["volume"].new_zeros((b, 3, 3))
    settled = []
    for turn in range(_ROUNDS):
        # Sites without free coordinates that collide need another lattice.
        stuck = crowd["stuck"].nonzero()[:, 0]
        if len(stuck):
            number, volume, index = (crowd[name][stuck] for name in ("number", "volume", "index"))
            crowd["lattice"][stuck] = minerals.draw_lattices(
                number, volume, _MIN_WIDTH, seed, index, slot + _LATTICE + 2 * turn
            )
        if turn % _PATIENCE == _PATIENCE - 1:
            growth = (crowd["most"] / crowd["volume"]).clamp(max=_GROWTH)
            crowd["volume"] = crowd["volume"] * growth
            crowd["lattice"] = crowd["lattice"] * growth[:, None, None] ** (1 / 3)
        drawn = _coordinates(t, crowd["sites"], seed, crowd["index"], slot + _COORDINATE + turn)
        crowd["frac"] = torch.where(crowd["redo"][..., None], drawn, crowd["frac"])
        atoms = _orbits(t, crowd["frac"], crowd["site"], crowd["operation"])
        half = minerals.widths(crowd["lattice"]).amin(1) / 2
        limit = torch.minimum(crowd["limit"], (half**2).float()[:, None, None])
        crowd["redo"] = (_nearest(crowd["frac"], atoms, crowd["lattice"]) < limit).any(2)
        crowd["stuck"] = (crowd["redo"] & (t.freedom[crowd["sites"]] == 0)).any(1)
        done = ~crowd["redo"].any(1)
        settled.append((crowd["row"][done], crowd["lattice"][done], atoms[done]))
        crowd = {name: value[~done] for name, value in crowd.items()}
        if not len(crowd["row"]):
            break
    return tuple(torch.cat(parts) for parts in zip(*settled, strict=True))


def _coordinates(t, sites, seed, index, slot):
    """Uniform coordinates on representatives of Wyckoff positions `sites` (b, s): (b, s, 3)."""
    draws = uniform(seed, index, slot, 3 * sites.shape[1]).unflatten(1, (-1, 3))
    # Multiples of 2^-18 make the product exact, so that positions are special to the last bit.
    draws = torch.floor(draws * 2**18) / 2**18
    frac = _times(t.projection[sites], draws) + t.point[sites]
    return frac - torch.floor(frac)


def _orbits(t, frac, site, operation):
    """Atoms (b, a, 3) that operations (b, a) make of the coordinates (b, s, 3) of their sites."""
    moved = frac.gather(1, site[..., None].expand(-1, -1, 3))
    atoms = _times(t.rotation[operation], moved) + t.translation[operation]
    return atoms - torch.floor(atoms)


def _times(matrix, vector):
    """Matrices (..., 3, 3) times vectors (..., 3), written out: `@` may round to TF32 on a GPU."""
    return sum(matrix[..., i] * vector[..., i, None] for i in range(3))


def _nearest(frac, atoms, lattice):
    """Squared distances (b, s, a) of atoms (b, a, 3) to the nearest images of sites (b, s, 3).

    Exact up to half the cell's smallest width: a shorter vector has no component above 1/2.
    """
    x, y, z = (
        difference - torch.round(difference)
        for difference in (atoms[:, None, :, i] - frac[:, :, None, i] for i in range(3))
    )
    metric = (lattice @ lattice.mT).float()[:, :, :, None, None]
    xx, xy, xz = metric[:, 0].unbind(1)
    _, yy, yz = metric[:, 1].unbind(1)
    zz = metric[:, 2, 2]
    return x * (xx * x + 2 * (xy * y + xz * z)) + y * (yy * y + 2 * yz * z) + zz * z * z


def _padded(recipes, chosen):
    """Wyckoff positions (rows of `Tables`, -1 for none) and labels of chosen recipes, (n, s)."""
    counts = np.diff(recipes.start)[chosen, None]
    column = np.arange(counts.max())
    present = column < counts
    rows = np.where(present, recipes.start[chosen, None] + column, 0)
    offset = tables().offset.numpy()[recipes.space_group[chosen]]
    sites = np.where(present, offset[:, None] + recipes.position[rows], -1)
    return sites, np.where(present, recipes.label[rows], 0).astype(np.int64)


@cache
def _symmetries():
    """By space group (row 0 unused): rotations modulo inversion, and how crystals are called."""
    half = [half_rotations(operations(n)[0]) for n in range(1, 231)]
    names = [f"random {reference_symbol(n)} " for n in range(1, 231)]
    return np.stack([half[0], *half]), np.array(["", *names])
