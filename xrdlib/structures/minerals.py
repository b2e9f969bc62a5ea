"""Statistics of minerals, and the lattices and elements that are drawn from them.

Read from `tables/minerals.json`, which `xrdlib derive minerals` fits to published structures;
covalent radii are those of B. Cordero et al., Dalton Trans. 2008, 2832. Axis ratios are log-normal,
by crystal system and, where structures are enough, by centring or space group; angles are uniform,
as they nearly are.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from ..base import paths
from ..base.counter import normal, uniform
from ..base.errors import XrdlibError
from ..symmetry.groups import space_group

# Lowest and highest alpha, beta, gamma in degrees, drawn uniformly between.
ANGLES = {
    "triclinic": ((75.0, 75.0, 75.0), (115.0, 115.0, 115.0)),
    "monoclinic": ((90.0, 90.5, 90.0), (90.0, 125.0, 90.0)),
    **dict.fromkeys(("orthorhombic", "tetragonal", "cubic"), ((90.0, 90.0, 90.0),) * 2),
    **dict.fromkeys(("trigonal", "hexagonal"), ((90.0, 90.0, 120.0),) * 2),
}

_TRIES = 8  # lattices drawn for a crystal, of which the first that is wide enough is taken


@cache
def fitted() -> dict:
    """The content of tables/minerals.json.

    Returns
    -------
    dict
        structures : int
            Published structures that the numbers were fitted to, one a phase.
        elements : dict of symbol to list
            Atomic number; fraction of structures that contain the element; volume in cubic
            angstrom that an atom adds to the cell; covalent radius in angstrom; abundance, the
            mean logarithm of the number of its atoms, up to what is common to all elements.
        abundance_spread : float
            Standard deviation of a logarithm of a number of atoms about the abundances.
        weights : list of list of float
            Logarithm of the weight of each element among sets of 1, 2, 3, and 4 or more elements.
        pairs : list of list of float
            Logarithm of the weight of each pair of elements: row i holds columns 0..i - 1.
        substitutes : dict of symbol to dict
            Elements that stand in for it, with the logarithm of the weight of each.
        kinds : list of float
            Weights of 1, 2, 3, ... elements, of which those up to the number of sites count.
        sites : dict of crystal system to list
            Mean and standard deviation of the logarithm of the number of sites.
        positions : dict of crystal system to list
            Log-weight of a Wyckoff position with 1, 2, 3 free coordinates over one with none, and
            that of a factor e in its multiplicity.
        cells : dict of space group, or of system and centring, or of system to list
            Mean and standard deviation of ln a, ln b, ln c, up to the scale; the most particular
            that there is counts, and the cubic system needs none.
    """
    return paths.table("minerals.json")


@cache
def table() -> dict[str, np.ndarray]:
    """The e elements that crystals are made of.

    Returns
    -------
    dict of ndarrays
        symbol, number, frequency, volume, radius, abundance : (e,)
            As the elements of `fitted`.
        weight : (4, e)
            As its weights.
        pairs : (e, e)
            Logarithm of the factor that one element drawn puts on another.
    """
    content = fitted()
    rows = list(content["elements"].values())
    columns = ("number", "frequency", "volume", "radius", "abundance")
    made = dict(zip(columns, np.array(rows).T, strict=True))
    pairs = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(content["pairs"]):
        pairs[i, :i] = pairs[:i, i] = row
    return made | {
        "symbol": np.array(list(content["elements"])),
        "number": made["number"].astype(np.int64),
        "weight": np.array(content["weights"]),
        "pairs": pairs,
    }


@cache
def substitutes() -> np.ndarray:
    """Weights (e, e) with which the elements of `table` stand in for each other.

    0 where one does not replace the other, and on the diagonal.
    """
    symbols = list(table()["symbol"])
    weights = np.zeros((len(symbols), len(symbols)))
    for symbol, others in fitted()["substitutes"].items():
        columns = [symbols.index(other) for other in others]
        weights[symbols.index(symbol), columns] = np.exp(list(others.values()))
    return weights


def draw_elements(
    labels: Tensor, seed: int, index: Tensor, element_slot: int, abundance_slot: int
) -> Tensor:
    """Elements of the sites of b crystals, (b, s) int64 rows of `table`.

    Elements are drawn one by one, each weighted by those before it, so that minerals' pairs come
    out as often as in minerals. Label 0, which has the most atoms, goes to the element that
    usually has the most, and so on, but for chance. `labels` (b, s) tell which sites of a crystal
    share an element: 0, 1, ...; the others name the random numbers, see `counter`.
    """
    weight, pairs, abundance, spread = _tensors(labels.device)
    most = int(labels.max()) + 1
    draws = uniform(seed, index, element_slot, most).double()
    last = labels.amax(1)
    score, drawn = weight[last.clamp(max=len(weight) - 1)], []
    for k in range(most):
        sums = torch.exp(score - score.amax(1, keepdim=True)).cumsum(1)
        drawn.append((sums <= draws[:, k : k + 1] * sums[:, -1:]).sum(1))
        score = (score + pairs[drawn[-1]]).scatter(1, drawn[-1][:, None], -torch.inf)
    drawn = torch.stack(drawn, 1)
    chance = spread * normal(seed, index, abundance_slot, most)
    used = torch.arange(most, device=labels.device) <= last[:, None]
    key = (abundance[drawn] + chance).masked_fill(~used, -torch.inf)
    return drawn.gather(1, key.argsort(1, descending=True)).gather(1, labels)


@cache
def _tensors(device):
    elements = table()
    columns = (torch.from_numpy(elements[name]) for name in ("weight", "pairs", "abundance"))
    return (*(column.to(device) for column in columns), fitted()["abundance_spread"])


def matrix(lengths: Tensor, angles: Tensor) -> Tensor:
    """Lattices (..., 3, 3) of lengths and angles (..., 3): a along x, b in the xy plane."""
    cosine = torch.cos(torch.deg2rad(angles)).masked_fill(angles == 90, 0.0)
    cos_alpha, cos_beta, cos_gamma = cosine.unbind(-1)
    sin_gamma = torch.sqrt(1 - cos_gamma**2)
    cy = (cos_alpha - cos_beta * cos_gamma) / sin_gamma
    cz = torch.sqrt(1 - cos_beta**2 - cy**2)
    zero, one = torch.zeros_like(cy), torch.ones_like(cy)
    rows = (one, zero, zero, cos_gamma, sin_gamma, zero, cos_beta, cy, cz)
    return torch.stack(rows, -1).unflatten(-1, (3, 3)) * lengths[..., None]


def widths(lattice: Tensor) -> Tensor:
    """Distances (..., 3) between opposite faces of lattices (..., 3, 3): 1 / a*, 1 / b*, 1 / c*."""
    faces = torch.linalg.cross(lattice.roll(-1, -2), lattice.roll(-2, -2), dim=-1)  # b x c, ...
    volume = (lattice[..., 0, :] * faces[..., 0, :]).sum(-1, keepdim=True)
    return volume.abs() / faces.norm(dim=-1)


def draw_lattices(
    space_groups: Tensor, volume: Tensor, min_width: float, seed: int, index: Tensor, slot: int
) -> Tensor:
    """One random lattice for each crystal, (n, 3, 3) float64, rows in angstrom; b is unique.

    Of several draws, the first is taken whose cell is nowhere narrower than `min_width` (angstrom).
    If none is wide enough, the widest is enlarged to it, the one case where the volume grows.
    `space_groups` and `volume` (n,) are numbers 1..230 and cubic angstrom of the conventional cell;
    the others name the random numbers, see `counter`.

    Raises
    ------
    XrdlibError
        If a space-group number lies outside 1..230.
    """
    if bool(((space_groups < 1) | (space_groups > 230)).any()):
        raise XrdlibError("A space-group number lies outside 1..230; pass numbers in that range.")
    shape = _shapes().to(space_groups.device)[space_groups][:, :, None]  # (n, 4, 1, 3)
    normals = normal(seed, index, 2 * slot, 3 * _TRIES).double().unflatten(1, (_TRIES, 3))
    uniforms = uniform(seed, index, 2 * slot + 1, 3 * _TRIES).double().unflatten(1, (_TRIES, 3))
    lengths = torch.exp(shape[:, 0] + shape[:, 1] * normals)
    unit = matrix(lengths, shape[:, 2] + (shape[:, 3] - shape[:, 2]) * uniforms)
    unit_volume = unit.diagonal(dim1=-2, dim2=-1).prod(-1)
    lattice = unit * ((volume.double()[:, None] / unit_volume) ** (1 / 3))[..., None, None]
    narrowest = widths(lattice).amin(-1)
    wide = narrowest >= min_width
    choice = torch.where(wide.any(1), wide.int().argmax(1), narrowest.argmax(1))
    rows = torch.arange(len(index), device=index.device)
    growth = (min_width / narrowest[rows, choice]).clamp(min=1)
    return lattice[rows, choice] * growth[:, None, None]


@cache
def _shapes():
    """Per space group (row 0 unused): mean, spread of ln axes, low, high of angles; (231, 4, 3)."""
    equal = ((0.0,) * 3, (0.0,) * 3)
    cells, shapes = {"cubic": equal, **fitted()["cells"]}, [(*equal, *ANGLES["cubic"])]
    for number in range(1, 231):
        system, symbol = (space_group(number)[name] for name in ("crystal_system", "symbol"))
        keys = [key for key in (str(number), f"{system} {symbol[0]}", system) if key in cells]
        shapes.append((*cells[keys[0]], *ANGLES[system]))
    return torch.tensor(shapes, dtype=torch.float64)
