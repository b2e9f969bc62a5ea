"""Unit cells: parameters, metric, crystal systems of lattices, settings of a group.

1/d^2 = A hh + B kk + C ll + 2 D hl + 2 E hk, on conventional axes, hexagonal ones for
rhombohedral lattices and b unique for monoclinic ones. Triclinic lattices are not sought.
"""

import itertools
from itertools import permutations, product

import numpy as np

from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1
from . import groups

_SAME_LENGTH, _SAME_ANGLE = 1e-3, 0.1  # relative; degrees; as in `evidence`


def conventional(lattice):
    """Six cell parameters of a lattice, hexagonal axes in place of rhombohedral ones.

    Parameters
    ----------
    lattice : array_like, (3, 3)
        Rows a, b, c in angstrom.

    Returns
    -------
    tuple of 6 floats
        Angstrom and degrees.
    """
    cell = _six(np.asarray(lattice, dtype=np.float64))
    if np.ptp(cell[:3]) < 1e-3 * cell[0] and np.ptp(cell[3:]) < 0.05 and abs(cell[3] - 90) > 0.2:
        turn = np.array([[1, -1, 0], [0, 1, -1], [1, 1, 1]])
        cell = _six(turn @ lattice)
    return tuple(cell.tolist())


def representative(cell):
    """A cell of the same metric symmetry in the same axes; all such cells share one, (6,) tuple."""
    lengths, angles = np.asarray(cell[:3]), np.asarray(cell[3:])
    near = np.abs(lengths[:, None] / lengths - 1) < _SAME_LENGTH
    edges = np.array([5.1, 6.3, 7.7])[near.argmax(1)]
    special = [90.0 if abs(x - 90) < _SAME_ANGLE else 120.0 for x in angles]
    oblique = (np.abs(angles - 90) >= _SAME_ANGLE) & (np.abs(angles - 120) >= _SAME_ANGLE)
    return (*edges.tolist(), *np.where(oblique, [81.0, 95.0, 103.0], special).tolist())


def metric_system(cell):
    """Crystal system of a cell's metric: the highest one; "hexagonal" for trigonal cells too."""
    free = len(metric_basis(cell))
    if free == 2 and any(abs(angle - 90) >= _SAME_ANGLE for angle in cell[3:]):
        return "hexagonal"
    return {1: "cubic", 2: "tetragonal", 3: "orthorhombic", 4: "monoclinic"}.get(free, "triclinic")


def metric_basis(cell):
    """Independent parts of 1/d^2 under the metric symmetry of a cell.

    Parameters
    ----------
    cell : sequence of 6 floats

    Returns
    -------
    ndarray, (p, 6)
        Their sum gives the factors of hh, kk, ll, 2kl, 2hl, 2hk. Each may be scaled alone without
        a change of the metric symmetry.
    """
    a, b, c, alpha, beta, gamma = cell
    star = np.linalg.inv(_metric(cell))
    six = star[(0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)]
    right = [abs(angle - 90) < _SAME_ANGLE for angle in (alpha, beta, gamma)]
    hexagonal = right[0] and right[1] and abs(gamma - 120) < _SAME_ANGLE
    same = [abs(x / y - 1) < _SAME_LENGTH for x, y in ((a, b), (b, c), (a, c))]
    part = [0, 1, 2, 3, 4, 5]
    if (hexagonal or all(right)) and same[0]:
        part[1] = 0
    if all(right) and same[1]:
        part[2] = part[1]
    if all(right) and same[2]:
        part[2] = 0
    if hexagonal and same[0]:
        part[5] = 0
        six[:2], six[5] = six[:2].mean(), six[:2].mean() / 2
    for i, straight in enumerate(right):
        if straight:
            six[3 + i], part[3 + i] = 0, -1
    basis = [np.where(np.array(part) == k, six, 0) for k in range(6)]
    return np.array([row for row in basis if row.any()])


def products(hkl):
    """hh, kk, ll, 2kl, 2hl, 2hk of reflections (m, 3), (m, 6): 1/d^2 is linear in these."""
    h, k, l = np.asarray(hkl, dtype=np.float64).T  # noqa: E741
    return np.stack([h * h, k * k, l * l, 2 * k * l, 2 * h * l, 2 * h * k], 1)


def _metric(cell):
    a = np.asarray(cell[:3], dtype=np.float64)
    alpha, beta, gamma = np.cos(np.radians(cell[3:]))
    return np.outer(a, a) * [[1, gamma, beta], [gamma, 1, alpha], [beta, alpha, 1]]


def _six(lattice):
    metric = lattice @ lattice.T
    a = np.sqrt(np.diag(metric))
    cosine = metric / np.outer(a, a)
    angles = np.degrees(np.arccos(cosine[(1, 0, 0), (2, 2, 1)]))
    return np.concatenate([a, angles])


SYSTEMS = ("cubic", "tetragonal", "hexagonal", "orthorhombic", "monoclinic")

# Rows: free parameters; columns: A, B, C, D, E.
EXPANSION = {
    "cubic": np.array([[1, 1, 1, 0, 0.0]]),
    "tetragonal": np.array([[1, 1, 0, 0, 0], [0, 0, 1, 0, 0.0]]),
    "hexagonal": np.array([[1, 1, 0, 0, 0.5], [0, 0, 1, 0, 0]]),
    "orthorhombic": np.eye(3, 5),
    "monoclinic": np.eye(4, 5),
}


def free(system):
    """Free parameters of a system's lattices, 1 to 4."""
    return len(EXPANSION[system])


def system_products(system, hkl):
    """What each free parameter is multiplied by in 1/d^2, (m, p); hkl (m, 3)."""
    h, k, l = np.asarray(hkl, dtype=np.float64).T  # noqa: E741
    five = np.stack([h * h, k * k, l * l, 2 * h * l, 2 * h * k], -1)
    return five @ EXPANSION[system].T


def reciprocal_metric(system, parameters):
    """Reciprocal metric tensor (3, 3), per square angstrom."""
    a, b, c, d, e = np.asarray(parameters) @ EXPANSION[system]
    return np.array([[a, e, d], [e, b, 0], [d, 0, c]])


def from_parameters(system, parameters):
    """Six cell parameters, angstrom and degrees, (6,) tuple."""
    metric = np.linalg.inv(reciprocal_metric(system, parameters))
    edge = np.sqrt(np.diag(metric))
    cosine = (metric / np.outer(edge, edge))[(1, 0, 0), (2, 2, 1)]
    return (*edge.tolist(), *np.degrees(np.arccos(cosine)).tolist())


def inverse_square(two_theta):
    """1/d^2 of lines at degrees 2theta of Cu K-alpha1, per square angstrom."""
    return np.square(2 * np.sin(np.radians(two_theta) / 2) / CU_KA1)


def angle(inverse_square):
    """Degrees 2theta of Cu K-alpha1; inverse of `inverse_square`."""
    return 2 * np.degrees(np.arcsin(np.minimum(np.sqrt(inverse_square) * CU_KA1 / 2, 1)))


def from_rows(lattice):
    """a, b, c in angstrom and alpha, beta, gamma in degrees of lattice rows (3, 3)."""
    lengths = np.linalg.norm(lattice, axis=1)
    unit = lattice / lengths[:, None]
    cosine = np.array([unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]])
    return (*lengths.tolist(), *np.degrees(np.arccos(cosine)).tolist())


def cell_parameters(lattice):
    """Lengths (n, 3) in angstrom and angles (n, 3) in degrees of lattices (n, 3, 3)."""
    lengths = np.linalg.norm(lattice, axis=2)
    unit = lattice / lengths[..., None]
    cosine = (unit.take([1, 2, 0], 1) * unit.take([2, 0, 1], 1)).sum(2)
    return lengths, np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def relabellings(system):
    """Changes of axes (n, 3, 3) under which two settings of a crystal system are equivalent.

    Monoclinic: the unimodular changes of a and c, which act on absences only modulo 2.
    """
    if system in ("orthorhombic", "cubic"):
        return [np.eye(3, dtype=int)[list(order)] for order in itertools.permutations(range(3))]
    if system == "monoclinic":
        cells = np.array(list(itertools.product((0, 1), repeat=4))).reshape(-1, 2, 2)
        matrices = np.tile(np.eye(3, dtype=int), (len(cells), 1, 1))
        matrices[:, ::2, ::2] = cells
        return [m for m in matrices if abs(round(np.linalg.det(m))) == 1]
    return [np.eye(3, dtype=int)]


def settings(label, cell):
    """Axes of a group's settings in which the cell is one of its crystal system.

    Parameters
    ----------
    label : int
        1..99.
    cell : sequence of 6 floats

    Returns
    -------
    list of ndarray, (3, 3) int
        Matrices that turn hkl of the cell into hkl of the reference setting of the group's first
        space group, each with other absences; empty where the cell permits none.
    """
    row = groups.table()["extinction_groups"][label - 1]
    number = row["space_groups"][0]
    system = groups.space_group(number)["crystal_system"]
    parity = np.array(list(product(range(-2, 5), repeat=3)))
    found = {}
    for order in permutations(range(3)):
        if not permits(cell, order, system):
            continue
        axes = np.eye(3, dtype=np.int64)[:, list(order)]
        for choice in _CELL_CHOICES if system == "monoclinic" else _CELL_CHOICES[:1]:
            change = axes @ choice
            found.setdefault(groups.absent(number, parity @ change).tobytes(), change)
    return list(found.values())


def _cell_choices():
    """Unimodular changes of a and c, which act on absences modulo 2 only; the first is none."""
    choices = []
    for a, b, c, d in product((1, 0), repeat=4):
        if abs(a * d - b * c) == 1:
            choices.append(np.array([[a, 0, b], [0, 1, 0], [c, 0, d]]))
    return sorted(choices, key=lambda matrix: (matrix != np.eye(3)).sum())


_CELL_CHOICES = _cell_choices()


def permits(cell, order, system):
    """Whether a cell with reordered axes has the metric of a system, unique axis b or c."""
    a, b, c = (cell[i] for i in order)
    right = [abs(cell[3 + i] - 90) < _SAME_ANGLE for i in order]
    hexagonal = abs(cell[3 + order[2]] - 120) < _SAME_ANGLE
    square = abs(a / b - 1) < _SAME_LENGTH
    return {
        "triclinic": True,
        "monoclinic": right[0] and right[2],
        "orthorhombic": all(right),
        "tetragonal": all(right) and square,
        "trigonal": right[0] and right[1] and hexagonal and square,
        "hexagonal": right[0] and right[1] and hexagonal and square,
        "cubic": all(right) and square and abs(c / a - 1) < _SAME_LENGTH,
    }[system]


def metric_tensor(cell):
    """Metric tensor (3, 3) of six cell parameters."""
    values = np.asarray(cell, dtype=np.float64)
    if values.shape != (6,) or not np.isfinite(values).all():
        raise XrdlibError(
            f"The cell {tuple(cell)} is not six numbers; give a,b,c,alpha,beta,gamma."
        )
    lengths, angles = values[:3], values[3:]
    cosine = np.cos(np.radians(angles))
    shape = np.eye(3)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        shape[i, j] = shape[j, i] = cosine[k]
    if not ((lengths > 0.5) & (lengths < 200)).all() or np.linalg.det(shape) < 1e-3:
        raise XrdlibError(
            f"The cell {tuple(values.tolist())} is impossible; give a, b, c in angstrom and alpha, "
            "beta, gamma in degrees."
        )
    return shape * np.outer(lengths, lengths)


def from_rows_clipped(lattice):
    """a, b, c in angstrom and alpha, beta, gamma in degrees."""
    a, b, c = lattice
    pairs = ((b, c), (a, c), (a, b))
    cosine = [x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in pairs]
    angles = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return (*np.linalg.norm(lattice, axis=1), *angles)
