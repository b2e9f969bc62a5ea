"""Lattices in the standard conventional setting of the International Tables."""

from functools import cache
from itertools import permutations, product
from typing import NamedTuple

import gemmi
import numpy as np

from ..symmetry import groups
from ..symmetry.cells import cell_of_lattice, reciprocal_metric, relabellings
from .index_cells import changes
from .triclinic_search import reduced

_REACH = 3  # highest factor of a and c in the axes that are tried

_TIE = 1e-6  # relative; such lengths are equal


class Standard(NamedTuple):
    """A lattice on standard axes.

    Attributes
    ----------
    cell : tuple of 6 floats
        Conventional; hexagonal axes if rhombohedral, b unique and beta >= 90 if monoclinic, the
        Niggli cell if triclinic.
    centring : str
        P, A, B, C, I, F or R.
    crystal_system : str
        "trigonal" if rhombohedral, else that of the metric.
    """

    cell: tuple
    centring: str
    crystal_system: str

    def reduced(self) -> tuple[float, ...]:
        """Niggli cell of the primitive lattice."""
        vector = gemmi.GruberVector(gemmi.UnitCell(*self.cell), self.centring)
        vector.niggli_reduce()
        return tuple(vector.cell_parameters())


def standard(system: str, parameters: np.ndarray, setting: int) -> Standard:
    """A lattice in the setting in which the International Tables have its group.

    Axes that the absences of the group leave open are ordered a <= b <= c (orthorhombic), or are
    the shortest a and c (monoclinic).

    Parameters
    ----------
    system : str
        One of `cells.LATTICES`.
    parameters : ndarray, (p,)
        See `cells`.
    setting : int
        Of the system's (`index_cells.allowed`): that of the group.

    Returns
    -------
    Standard
    """
    if system == "triclinic":
        return Standard(tuple(reduced(parameters)[1].tolist()), "P", system)
    label, change = changes(system)[setting]
    direct = np.linalg.inv(reciprocal_metric(system, parameters))
    basis = change.T @ np.linalg.cholesky(direct)
    kept = _kept(label, system)
    choices = [m.T @ basis for m in _axes(system) if (m % 2).tobytes() in kept]
    lattice = min(choices, key=lambda axes: _rank(axes, system))
    cell = cell_of_lattice(lattice)
    if system == "monoclinic":
        cell[4] = max(cell[4], 180 - cell[4])  # c reversed
        cell[[3, 5]] = 90.0
    centring = groups.symbols()[label - 1][0]
    named = "trigonal" if centring == "R" else system
    return Standard(tuple(cell.tolist()), centring, named)


def _rank(axes, system):
    a, b, c = np.linalg.norm(axes, axis=1)
    if system != "monoclinic":
        return a, b, c
    oblique = abs(axes[0] @ axes[2]) / (a * c)
    return round((a + c) / _TIE / 10), round(oblique / _TIE), a


@cache
def _axes(system):
    """Changes of axes to choose from."""
    if system == "orthorhombic":
        return [np.eye(3, dtype=int)[list(order)] for order in permutations(range(3))]
    if system != "monoclinic":
        return [np.eye(3, dtype=int)]
    span = range(-_REACH, _REACH + 1)
    return [
        np.array([[p, 0, q], [0, 1, 0], [r, 0, s]])
        for p, q, r, s in product(span, repeat=4)
        if abs(p * s - q * r) == 1
    ]


@cache
def _kept(label, system):
    """Changes of axes, modulo 2, that leave the absences of a group as they are."""
    number = groups.first_member(label)
    parity = np.array([*product(range(-2, 5), repeat=3)])
    wanted = groups.absent(number, parity)
    axes = relabellings(system)
    return {
        (m % 2).tobytes() for m in axes if np.array_equal(groups.absent(number, parity @ m), wanted)
    }
