"""Decorated prototypes: real structures with other elements, strained, their atoms moved a little.

Everything that changes keeps the symmetry: whole species are exchanged, one for one; strains are
averaged over the point group; displacements come with the prototype (`prototype_library`). A
crystal is named by (seed, number): it is the same in any batch, order or split of the work.
"""

from dataclasses import asdict, dataclass
from functools import cache

import numpy as np
import torch

from ..base.counter import uniform
from ..base.errors import XrdlibError
from ..base.records import Crystals
from ..structures import minerals
from ..symmetry.groups import N_GROUPS
from .diffraction import full_precision, reflections
from .stream import RandomCrystalSource, StructureSource, mineral_weights

N_MODES = 4  # symmetric displacements kept of each prototype
# Names of random numbers, far from other modules'.
_SLOT = 1 << 21
_CHANGE, _ELEMENT, _STRAIN, _SIZE, _SHIFT, _REACH, _PROTOTYPE = range(_SLOT, _SLOT + 7)
_Z = 128  # atomic numbers lie below
_KEPT = ("start", "occupancy", "rotations", "space_group", "group")


@dataclass
class Prototypes(Crystals):
    """Crystals of known space groups, and symmetric displacements of their atoms."""

    # (m, N_MODES, 3) float32: changes of the fractional coordinates that keep all symmetry; the
    # largest of each is 1 angstrom long, or all are 0 where no atom is free to move
    mode: np.ndarray

    ROWS = (*Crystals.ROWS, "mode")


@dataclass(frozen=True)
class Decoration:
    """How far crystals depart from their prototypes."""

    change: float = 0.6  # probability that a species is exchanged, if there is one to stand in
    # No distance in the cell changes by a larger fraction, beside the elements' change of volume.
    strain: float = 0.05
    displacement: float = 0.12  # no atom moves by more, angstrom

    def __post_init__(self) -> None:
        if not 0 <= self.change <= 1 or not 0 <= self.strain < 0.5 or not self.displacement >= 0:
            raise XrdlibError(
                "Decoration needs a change of 0 to 1, a strain of 0 to 0.5 and a displacement that "
                "is not negative."
            )


@full_precision()
def decorate(
    prototypes: Prototypes,
    chosen: np.ndarray,
    index: np.ndarray,
    seed: int,
    device: str | torch.device = "cpu",
    decoration: Decoration | None = None,
) -> Crystals:
    """New crystals, `index` (n,) int64, from the prototypes `chosen` (n,) int.

    Parameters
    ----------
    device : str or torch.device
        Where to compute; the result is always in NumPy arrays.
    decoration : Decoration, optional

    Returns
    -------
    records.Crystals
        With the prototypes' space groups and rotations, in order; named like
        "quartz prototype 17".

    Raises
    ------
    XrdlibError
        If no crystal is asked for, or there are not as many numbers as choices.
    """
    index = np.asarray(index, dtype=np.int64)
    if len(index) == 0 or np.shape(chosen) != index.shape:
        raise XrdlibError("decorate needs one or more crystals: as many numbers as prototypes.")
    decoration, old = decoration or Decoration(), prototypes.take(chosen)
    counts = np.diff(old.start)
    owner = torch.from_numpy(np.repeat(np.arange(len(old)), counts)).to(device)
    arrays = old.lattice, old.frac, old.mode, old.occupancy, old.rotations
    arrays = (torch.from_numpy(a).to(device) for a in (index, old.number.astype(np.int64), *arrays))
    names, number, lattice, frac, mode, occupancy, rotations = arrays
    new = _exchanged(owner, number, seed, names, decoration.change)[owner, number]
    volumes = _chemistry(owner.device)[1]
    sums = torch.zeros(2, len(old), dtype=torch.float64, device=owner.device)
    sums.index_add_(1, owner, occupancy.double() * volumes[torch.stack([number, new])])
    growth = (sums[1] / sums[0]).clamp(0.5, 2.0) ** (1 / 3)
    strained = _strained(lattice, rotations, seed, names, decoration.strain)
    moves = _moves(seed, names, decoration.displacement)
    frac = frac + (mode * moves[owner][..., None]).sum(1)
    kept = {name: getattr(old, name) for name in _KEPT}
    return Crystals(
        lattice=(strained * growth[:, None, None]).cpu().numpy(),
        number=new.to(torch.int16).cpu().numpy(),
        frac=(frac - torch.floor(frac)).cpu().numpy(),
        name=np.char.add(np.char.add(old.name, " prototype "), index.astype(str)),
        **kept,
    )


class PrototypeSource(RandomCrystalSource):
    """Decorated prototypes, made afresh as the stream goes on.

    Parameters
    ----------
    temper : float
        Groups come with this power of their share of the prototypes, one vote a name; 0 makes all
        groups that there are equally likely.
    chunk, reuse : int
        As in `stream.RandomCrystalSource`.
    """

    def __init__(
        self,
        prototypes: Prototypes,
        seed: int,
        temper: float = 0.0,
        chunk: int = 1980,
        reuse: int = 4,
        device: str = "cpu",
    ) -> None:
        super().__init__((), seed, chunk, reuse, device)
        self.prototypes = prototypes
        weights = mineral_weights(prototypes.group, prototypes.name, temper)
        self.cumulative = np.cumsum(weights)
        self.class_probabilities = np.bincount(prototypes.group - 1, weights, minlength=N_GROUPS)
        self.config = {
            "prototypes": len(prototypes),
            "atoms": len(prototypes.number),
            "coordinates": float(np.sum(prototypes.frac, dtype=np.float64)),
            "seed": seed,
            "temper": temper,
            "chunk": chunk,
            "reuse": reuse,
            **asdict(Decoration()),
        }

    def crystals(self, number: np.ndarray) -> Crystals:
        """The crystals of the stream with these numbers, (n,) int64, as records.Crystals."""
        draws = uniform(self.seed, torch.from_numpy(number), _PROTOTYPE)[:, 0].double().numpy()
        chosen = np.searchsorted(self.cumulative, draws * self.cumulative[-1], side="right")
        chosen = np.minimum(chosen, len(self.prototypes) - 1)
        return decorate(self.prototypes, chosen, number, self.seed, self.device)

    def _made(self, chunk):
        crystals = self.crystals(chunk * self.chunk + np.arange(self.chunk, dtype=np.int64))
        return StructureSource(reflections(crystals, device=self.device))


def _exchanged(owner, number, seed, names, change):
    """New atomic number (n, _Z) of each old one in each crystal; each new one occurs once.

    No element of the prototype itself stands in for another, so that two species never become
    one, whatever the order in which they are exchanged.
    """
    weights = _chemistry(owner.device)[0]
    n = len(names)
    table = torch.arange(_Z, device=owner.device).repeat(n, 1)
    held = torch.zeros(n, _Z, dtype=torch.bool, device=owner.device)
    held[owner, number] = True
    kinds = held.sum(1)
    listed = held.to(torch.int8).argsort(dim=1, descending=True, stable=True)
    most = int(kinds.max())
    free = ~held
    draws, choices = (uniform(seed, names, slot, most).double() for slot in (_CHANGE, _ELEMENT))
    for k in range(most):
        old = listed[:, k]
        sums = (weights[old] * free).cumsum(1)
        pick = (sums <= choices[:, k : k + 1] * sums[:, -1:]).sum(1).clamp(max=_Z - 1)
        taken = (k < kinds) & (draws[:, k] < change) & (sums[:, -1] > 0)
        pick = torch.where(taken, pick, old)
        table.scatter_(1, old[:, None], torch.where(k < kinds, pick, old)[:, None])
        free.scatter_(1, pick[:, None], False)
    return table


def _strained(lattice, rotations, seed, names, strain):
    """Lattices (n, 3, 3) under random strains that keep the point group, a along x."""
    draws = 2 * uniform(seed, names, _STRAIN, 6).double() - 1
    tensor = draws[:, (0, 5, 4, 5, 1, 3, 4, 3, 2)].unflatten(1, (3, 3))
    # No principal strain is larger than the norm, and averages over rotations are no larger.
    size = strain * uniform(seed, names, _SIZE).double() / tensor.flatten(1).norm(dim=1)[:, None]
    eye = torch.eye(3, dtype=torch.float64, device=lattice.device)
    bent = lattice @ (eye + tensor * size[..., None])
    turn = rotations.double()
    metric = (turn.mT @ (bent @ bent.mT)[:, None] @ turn).mean(1)
    return torch.linalg.cholesky(metric)


def _moves(seed, names, displacement):
    """Amplitudes (n, N_MODES) in angstrom that move no atom by more than `displacement`."""
    draws = 2 * uniform(seed, names, _SHIFT, N_MODES) - 1
    size = displacement * uniform(seed, names, _REACH)
    return draws * size / draws.abs().sum(1, keepdim=True).clamp(min=1e-6)


@cache
def _chemistry(device):
    """By atomic number: weights of substitution (_Z, _Z), volume an atom adds (_Z,)."""
    table, weights = minerals.table(), torch.zeros(_Z, _Z, dtype=torch.float64)
    number = torch.from_numpy(table["number"])
    weights[number[:, None], number] = torch.from_numpy(minerals.substitutes())
    volumes = torch.full((_Z,), float(np.median(table["volume"])), dtype=torch.float64)
    volumes[number] = torch.from_numpy(table["volume"])
    volumes[1] = 0.0  # water and hydroxyl are as large as their oxygen
    return weights.to(device), volumes.to(device)
