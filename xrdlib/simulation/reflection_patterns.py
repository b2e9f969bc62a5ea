"""Patterns of reflections alone: a random lattice, and a Gaussian at each that the group allows.

There are no atoms: a pattern shows the lattice and the systematic absences of its space group, and
in the plain case nothing else, since every position of a reflection gets the same height.
A pattern is a function of the seed and its number alone.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numba import njit

from ..base import counter
from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1, GRID, Grid
from ..structures.minerals import ANGLES, matrix
from ..symmetry.groups import N_SPACE_GROUPS, absent, half_rotations, operations, space_group
from .equivalents import MAX_INDEX, distinct_groups, unique_reflections

_EDGES, _ANGLE, _HEIGHT, _MISSING = range(9101, 9105)  # slots of random numbers, see `counter`
# Which of three drawn edges each edge takes, and a space group of the lattice's full symmetry.
_EQUAL = {"tetragonal": (0, 0, 2), "trigonal": (0, 0, 2), "hexagonal": (0, 0, 2), "cubic": (0,) * 3}
_HOLOHEDRY = {"triclinic": 2, "monoclinic": 10, "orthorhombic": 47, "tetragonal": 123}
_HOLOHEDRY |= {"trigonal": 191, "hexagonal": 191, "cubic": 221}
_RHOMBOHEDRAL = 166
_REACH = 5.0  # standard deviations to which a peak is drawn: 2e-3 after the square root
_LN256 = float(np.log(256))


@dataclass(frozen=True)
class Peaks:
    """Cells, peak widths and heights of the patterns.

    Attributes
    ----------
    edges : (float, float)
        Range of the cell edges in angstrom, drawn uniformly.
    caglioti : (float, float, float)
        U, V, W in square degrees: FWHM^2 = U tan^2(theta) + V tan(theta) + W (Caglioti et al.
        1958), the same for every pattern, as of one instrument.
    multiplicity : bool
        Heights by the number of equivalent reflections; else every position has a height of 1.
    wilson : bool
        Multiply each reflection's height by |F|^2 as atoms at random make it, exponentially
        distributed (Wilson 1949).
    missing : float
        Probability that a reflection is left out.
    """

    edges: tuple = (3.5, 14.0)
    caglioti: tuple = (0.0036, 0.0, 0.0064)
    multiplicity: bool = False
    wilson: bool = False
    missing: float = 0.0

    def __post_init__(self) -> None:
        for name in ("edges", "caglioti"):  # lists, as YAML gives them, become tuples
            object.__setattr__(self, name, tuple(getattr(self, name)))
        u, v, w = self.caglioti
        narrowest = w if v >= 0 else w - v * v / (4 * max(u, 1e-12))
        if not (0 < self.edges[0] <= self.edges[1] and narrowest > 0 and 0 <= self.missing < 1):
            raise XrdlibError(
                f"Peaks with edges {self.edges}, caglioti {self.caglioti} and missing "
                f"{self.missing} are impossible; give edges above 0 in rising order, widths above "
                "0 at every angle, and a probability below 1."
            )


class Table(NamedTuple):
    """Allowed reflections of every space group, one after the other.

    Attributes
    ----------
    start : (232,) int64
        Those of space group n are rows start[n] to start[n + 1].
    hkl : (N, 3) int16
        One of every set that the Laue group makes equivalent; reference setting.
    multiplicity : (N,) float32
        Reflections in the set.
    share : (N,) float32
        One over the number of allowed sets that every lattice of the system has at this position.
    """

    start: np.ndarray
    hkl: np.ndarray
    multiplicity: np.ndarray
    share: np.ndarray


@cache
def allowed(largest: int) -> Table:
    """Reflections that each of the 230 space groups allows.

    Parameters
    ----------
    largest : int
        Largest absolute index.

    Examples
    --------
    >>> table = allowed(2)
    >>> a, b = table.start[225:227]  # Fm-3m: all odd or all even
    >>> table.hkl[a:b].tolist()
    [[1, 1, 1], [2, 0, 0], [2, 2, 0], [2, 2, 2]]
    """
    numbers = range(1, N_SPACE_GROUPS + 1)
    rotations = np.array([half_rotations(operations(n)[0]) for n in numbers])
    laue, which = distinct_groups(rotations)
    unique = [unique_reflections(group, largest) for group in laue]
    parts = []
    for number, own in zip(numbers, which, strict=True):
        hkl, multiplicity = unique[own]
        kept = ~absent(number, hkl)
        hkl = hkl[kept]
        _, spacing, count = np.unique(
            _spacing_codes(number, hkl), return_inverse=True, return_counts=True
        )
        parts.append((hkl.astype(np.int16), multiplicity[kept], 1 / count[spacing]))
    hkl, multiplicity, share = map(np.concatenate, zip(*parts, strict=True))
    start = np.concatenate([[0, 0], np.cumsum([len(part[0]) for part in parts])])
    return Table(start, hkl, multiplicity.astype(np.float32), share.astype(np.float32))


def _spacing_codes(number, hkl):
    """Equal numbers for reflections that have the same d in every lattice of the space group."""
    row = space_group(number)
    full = _RHOMBOHEDRAL if row["centring"] == "R" else _HOLOHEDRY[row["crystal_system"]]
    base = np.array([(2 * MAX_INDEX + 1) ** k for k in (2, 1, 0)])
    return np.max([abs(hkl @ w @ base) for w in operations(full)[0].astype(np.int64)], axis=0)


def cells(peaks: Peaks, space_groups: np.ndarray, number: np.ndarray, seed: int) -> np.ndarray:
    """Random lattices within the constraints of the crystal systems.

    Parameters
    ----------
    peaks : Peaks
    space_groups : ndarray, (n,) int
        1..230.
    number : ndarray, (n,) int64
        Of each pattern.
    seed : int

    Returns
    -------
    ndarray, (n, 3, 3) float64
        Rows a, b, c in angstrom, reference setting.
    """
    equal, low, high = (values[space_groups] for values in _metrics())
    index, (least, most) = torch.from_numpy(number), peaks.edges
    edges = least + (most - least) * counter.uniform(seed, index, _EDGES, 3).double()
    angles = low + (high - low) * counter.uniform(seed, index, _ANGLE, 3).double()
    return matrix(edges.gather(1, equal), angles).numpy()


@cache
def _metrics():
    """By space group (row 0 unused): edges that are equal, lowest and highest angles."""
    systems = [space_group(max(n, 1))["crystal_system"] for n in range(N_SPACE_GROUPS + 1)]
    equal = torch.tensor([_EQUAL.get(name, (0, 1, 2)) for name in systems])
    angles = torch.tensor([ANGLES[name] for name in systems], dtype=torch.float64)
    return equal, angles[:, 0], angles[:, 1]


def patterns(
    peaks: Peaks, space_groups: np.ndarray, number: np.ndarray, seed: int, grid: Grid = GRID
) -> torch.Tensor:
    """Patterns of random lattices of given space groups.

    Parameters
    ----------
    peaks, space_groups, number, seed
        As for `cells`.
    grid : patterns.Grid
        Of Cu K-alpha1 angles.

    Returns
    -------
    Tensor, (n, grid.size) float32
        Sums of the peaks' heights, not normalised.
    """
    lattice = cells(peaks, space_groups, number, seed)
    reciprocal = np.linalg.inv(lattice)
    # sin^2(theta) = (lambda / 2)^2 h G* h, Bragg's law.
    metric = (CU_KA1 / 2) ** 2 * reciprocal.transpose(0, 2, 1) @ reciprocal
    # |h| <= a / d, whatever the angles; a degree more for peaks that reach into the grid.
    shortest = CU_KA1 / 2 / np.sin(np.radians(grid.stop + 1) / 2)
    table = allowed(int(peaks.edges[1] / shortest))
    first, height = table.start[space_groups], table.share
    if peaks.multiplicity:
        height = table.multiplicity
    if peaks.wilson or peaks.missing:
        first, height = _drawn(peaks, table, height, space_groups, number, seed)
    out = np.zeros((len(number), grid.size), dtype=np.float32)
    sizes = np.diff(table.start)[space_groups]
    _draw(
        *(table.hkl, table.start[space_groups], sizes, first, height),
        *(metric, np.array(peaks.caglioti), grid.start, grid.step, out),
    )
    return torch.from_numpy(out)


def _drawn(peaks, table, height, space_groups, number, seed):
    """Heights of each pattern's own reflections, and where those of each pattern begin."""
    sizes = np.diff(table.start)[space_groups]
    first = np.cumsum(sizes) - sizes
    position = np.arange(sizes.sum()) - np.repeat(first, sizes)
    height = height[position + np.repeat(table.start[space_groups], sizes)]
    index, position = torch.from_numpy(np.repeat(number, sizes)), torch.from_numpy(position)
    if peaks.wilson:
        height = height * -torch.log1p(-counter.uniform_at(seed, index, _HEIGHT, position)).numpy()
    if peaks.missing:
        kept = counter.uniform_at(seed, index, _MISSING, position) >= peaks.missing
        height = height * kept.numpy()
    return first, height


@njit(nogil=True, cache=True)
def _draw(hkl, start, sizes, first, height, metric, caglioti, angle, step, out):
    """Add a Gaussian for each reflection of each pattern to `out`."""
    u, v, w = caglioti
    size = out.shape[1]
    limit = np.sin(np.radians(angle + step * size + 1) / 2) ** 2
    for i in range(len(out)):
        g, row = metric[i], out[i]
        for k in range(sizes[i]):
            h0, h1, h2 = hkl[start[i] + k]
            sine2 = h0 * (h0 * g[0, 0] + 2 * (h1 * g[0, 1] + h2 * g[0, 2]))
            sine2 += h1 * (h1 * g[1, 1] + 2 * h2 * g[1, 2]) + h2 * h2 * g[2, 2]
            if sine2 > limit:
                continue
            tangent = np.sqrt(sine2 / (1 - sine2))
            # Twice the variance, and the centre, in steps of the grid.
            spread = (u * tangent * tangent + v * tangent + w) / (step * step) / (_LN256 / 2)
            centre = (2 * np.degrees(np.arctan(tangent)) - angle) / step
            reach = _REACH * np.sqrt(spread / 2)
            low, high = max(0, int(np.ceil(centre - reach))), min(size, int(centre + reach) + 1)
            if high <= low:
                continue
            away = low - centre
            # exp(-x^2 / spread) from point to point: the ratio of neighbours is geometric.
            value = height[first[i] + k] * np.exp(-away * away / spread)
            ratio, change = np.exp(-(2 * away + 1) / spread), np.exp(-2 / spread)
            for j in range(low, high):
                row[j] += value
                value *= ratio
                ratio *= change
