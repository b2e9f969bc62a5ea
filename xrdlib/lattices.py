"""Random lattices with the metric of each crystal system, in batches.

Axis ratios are log-normal, fitted to published structures by crystal system and, where there are
enough, by centring or space group (`minerals.fitted`). Angles are uniform, as they nearly are.
"""

from functools import cache

import torch

from .counter import normal, uniform
from .errors import XrdlibError
from .groups import space_group
from .minerals import fitted

# Lowest and highest alpha, beta, gamma in degrees, drawn uniformly between.
ANGLES = {
    "triclinic": ((75.0, 75.0, 75.0), (115.0, 115.0, 115.0)),
    "monoclinic": ((90.0, 90.5, 90.0), (90.0, 125.0, 90.0)),
    "orthorhombic": ((90.0, 90.0, 90.0), (90.0, 90.0, 90.0)),
    "tetragonal": ((90.0, 90.0, 90.0), (90.0, 90.0, 90.0)),
    "trigonal": ((90.0, 90.0, 120.0), (90.0, 90.0, 120.0)),
    "hexagonal": ((90.0, 90.0, 120.0), (90.0, 90.0, 120.0)),
    "cubic": ((90.0, 90.0, 90.0), (90.0, 90.0, 90.0)),
}
_TRIES = 8


def matrix(lengths, angles):
    """Lattice vectors of cells: a along x, b in the xy plane.

    Parameters
    ----------
    lengths : tensor, (..., 3)
        a, b, c in angstrom.
    angles : tensor, (..., 3)
        alpha, beta, gamma in degrees.

    Returns
    -------
    tensor, (..., 3, 3)
        Rows a, b, c in angstrom.
    """
    cosine = torch.cos(torch.deg2rad(angles)).masked_fill(angles == 90, 0.0)
    cos_alpha, cos_beta, cos_gamma = cosine.unbind(-1)
    sin_gamma = torch.sqrt(1 - cos_gamma**2)
    cy = (cos_alpha - cos_beta * cos_gamma) / sin_gamma
    cz = torch.sqrt(1 - cos_beta**2 - cy**2)
    zero, one = torch.zeros_like(cy), torch.ones_like(cy)
    rows = (one, zero, zero, cos_gamma, sin_gamma, zero, cos_beta, cy, cz)
    return torch.stack(rows, -1).unflatten(-1, (3, 3)) * lengths[..., None]


def widths(lattice):
    """Distances between opposite faces of cells: 1 / a*, 1 / b*, 1 / c*.

    Parameters
    ----------
    lattice : tensor, (..., 3, 3)

    Returns
    -------
    tensor, (..., 3)
        In angstrom.
    """
    faces = torch.linalg.cross(lattice.roll(-1, -2), lattice.roll(-2, -2), dim=-1)  # b x c, ...
    volume = (lattice[..., 0, :] * faces[..., 0, :]).sum(-1, keepdim=True)
    return volume.abs() / faces.norm(dim=-1)


def draw(space_groups, volume, min_width, seed, index, slot):
    """One random lattice for each crystal.

    Of several draws, the first is taken whose cell is nowhere narrower than `min_width`. If none
    is wide enough, the widest is enlarged to `min_width`, the one case where the volume grows.

    Parameters
    ----------
    space_groups : int64 tensor, (n,)
        Space-group numbers 1..230.
    volume : tensor, (n,)
        Of the conventional cell, cubic angstrom.
    min_width : float
        Angstrom.
    seed, index, slot
        Names of the random numbers, see `counter`.

    Returns
    -------
    float64 tensor, (n, 3, 3)
        Rows a, b, c in angstrom; alpha = gamma = 90 deg in the monoclinic system (unique axis b),
        gamma = 120 deg in the trigonal and hexagonal ones.

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
        known = [key for key in (str(number), f"{system} {symbol[0]}", system) if key in cells]
        shapes.append((*cells[known[0]], *ANGLES[system]))
    return torch.tensor(shapes, dtype=torch.float64)
