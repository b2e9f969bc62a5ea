"""Unit cells: six numbers, metric and free parameters; crystal systems of lattices; settings.

A cell is six numbers: a, b, c in angstrom and alpha, beta, gamma in degrees, on conventional axes,
hexagonal ones for rhombohedral lattices and b unique for monoclinic ones.
"""

from collections.abc import Sequence
from itertools import permutations, product

import numpy as np
import spglib

from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1
from . import groups

# Lattices that indexing seeks with basis reflections, and all.
SYSTEMS = ("cubic", "tetragonal", "hexagonal", "orthorhombic", "monoclinic")
LATTICES = (*SYSTEMS, "triclinic")

# Their free parameters (rows) among the factors (columns) of
# 1/d^2 = A hh + B kk + C ll + 2 D hl + 2 E hk + 2 F kl.
EXPANSION = {
    "cubic": np.array([[1, 1, 1, 0, 0, 0.0]]),
    "tetragonal": np.array([[1, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0.0]]),
    "hexagonal": np.array([[1, 1, 0, 0, 0.5, 0], [0, 0, 1, 0, 0, 0]]),
    "orthorhombic": np.eye(3, 6),
    "monoclinic": np.eye(4, 6),
    "triclinic": np.eye(6),
}

_SAME_LENGTH, _SAME_ANGLE = 1e-3, 0.1  # relative; degrees
_SYMPREC = 1e-3  # of the mean edge; lattice points so near are one

# --- six numbers, metric, free parameters ----------------------------------------------------


def metric_tensor(cell: Sequence[float]) -> np.ndarray:
    """Metric tensor (3, 3) of a cell, in square angstrom.

    Raises
    ------
    XrdlibError
        If they are not six numbers, or no cell has them.

    Examples
    --------
    >>> metric_tensor((2, 2, 3, 90, 90, 120)).round(6).tolist()[0]
    [4.0, -2.0, 0.0]
    """
    values = np.asarray(cell, dtype=np.float64)
    if values.shape != (6,) or not np.isfinite(values).all():
        raise XrdlibError(
            f"The cell {tuple(cell)} is not six numbers; give a,b,c,alpha,beta,gamma."
        )
    lengths = values[:3]
    alpha, beta, gamma = np.cos(np.radians(values[3:]))
    shape = np.array([[1, gamma, beta], [gamma, 1, alpha], [beta, alpha, 1]])
    if not ((lengths > 0.5) & (lengths < 200)).all() or np.linalg.det(shape) < 1e-3:
        raise XrdlibError(
            f"The cell {tuple(values.tolist())} is impossible; give a, b, c in angstrom and alpha, "
            "beta, gamma in degrees."
        )
    return shape * np.outer(lengths, lengths)


def cell_of_metric(metric: np.ndarray) -> np.ndarray:
    """Cells (..., 6) of metric tensors (..., 3, 3) in square angstrom."""
    edge = np.sqrt(np.diagonal(metric, axis1=-2, axis2=-1))
    first, second = (1, 0, 0), (2, 2, 1)
    cosine = metric[..., first, second] / (edge[..., first] * edge[..., second])
    return np.concatenate([edge, np.degrees(np.arccos(np.clip(cosine, -1, 1)))], -1)


def cell_of_lattice(lattice: np.ndarray) -> np.ndarray:
    """Cells (..., 6) of lattices (..., 3, 3) with rows a, b, c in angstrom.

    Examples
    --------
    >>> cell_of_lattice(np.diag([3.0, 4.0, 5.0])).tolist()
    [3.0, 4.0, 5.0, 90.0, 90.0, 90.0]
    """
    lattice = np.asarray(lattice, dtype=np.float64)
    return cell_of_metric(lattice @ np.swapaxes(lattice, -1, -2))


def free(system: str) -> int:
    """Free parameters of a system's lattices, 1 to 6."""
    return len(EXPANSION[system])


def reciprocal_metric(system: str, parameters: Sequence[float]) -> np.ndarray:
    """Reciprocal metric tensor (3, 3), per square angstrom, of a system's free parameters."""
    a, b, c, d, e, f = np.asarray(parameters) @ EXPANSION[system]
    return np.array([[a, e, d], [e, b, f], [d, f, c]])


def parameters_of(system: str, star: np.ndarray) -> np.ndarray:
    """Free parameters of the reciprocal metric tensor (3, 3) of one of a system's lattices."""
    return star[(0, 1, 2, 0, 0, 1), (0, 1, 2, 2, 1, 2)][EXPANSION[system].argmax(1)]


def cell_of_parameters(system: str, parameters: Sequence[float]) -> tuple[float, ...]:
    """Cell of a system's free parameters."""
    return tuple(cell_of_metric(np.linalg.inv(reciprocal_metric(system, parameters))).tolist())


def products(hkl: np.ndarray, system: str | None = None) -> np.ndarray:
    """Products of indices in which 1/d^2 of reflections hkl (m, 3) is linear.

    hh, kk, ll, 2kl, 2hl, 2hk, (m, 6); or, (m, p), what each of the p free parameters of one of
    `SYSTEMS` is multiplied by.
    """
    h, k, l = np.asarray(hkl, dtype=np.float64).T  # noqa: E741
    if system is None:
        return np.stack([h * h, k * k, l * l, 2 * k * l, 2 * h * l, 2 * h * k], 1)
    factors = [h * h, k * k, l * l, 2 * h * l, 2 * h * k, 2 * k * l]
    return np.stack(factors, -1) @ EXPANSION[system].T


def inverse_square(two_theta: np.ndarray, wavelength: float = CU_KA1) -> np.ndarray:
    """1/d^2 of reflections at degrees 2theta, per square angstrom."""
    return np.square(2 * np.sin(np.radians(two_theta) / 2) / wavelength)


def angle(inverse_square: np.ndarray, wavelength: float = CU_KA1) -> np.ndarray:
    """Degrees 2theta, at most 180; inverse of `inverse_square`."""
    return 2 * np.degrees(np.arcsin(np.minimum(np.sqrt(inverse_square) * wavelength / 2, 1)))


# --- crystal systems of lattices -------------------------------------------------------------


def conventional(lattice: np.ndarray) -> tuple[float, ...]:
    """Cell of a lattice (3, 3), rows in angstrom, on hexagonal axes if it is rhombohedral."""
    cell = cell_of_lattice(lattice)
    if np.ptp(cell[:3]) < 1e-3 * cell[0] and np.ptp(cell[3:]) < 0.05 and abs(cell[3] - 90) > 0.2:
        cell = cell_of_lattice(np.array([[1, -1, 0], [0, 1, -1], [1, 1, 1]]) @ lattice)
    return tuple(cell.tolist())


def on_conventional_axes(cell: Sequence[float]) -> tuple[float, ...]:
    """A cell on conventional axes where its own show no symmetry of the lattice, else itself.

    Rhombohedral axes and the primitive cells of centred lattices look triclinic. Errors as for
    `metric_tensor`.

    Examples
    --------
    >>> [round(x, 2) for x in on_conventional_axes((6.375, 6.375, 6.375, 46.08, 46.08, 46.08))]
    [4.99, 4.99, 17.06, 90.0, 90.0, 120.0]
    """
    basis = np.linalg.cholesky(metric_tensor(cell))
    systems = "monoclinic", "hexagonal"
    if any(permits(cell, order, s) for order in permutations(range(3)) for s in systems):
        return tuple(cell)
    edge = np.linalg.det(basis) ** (1 / 3)
    dataset = spglib.get_symmetry_dataset((basis, [[0, 0, 0]], [1]), symprec=_SYMPREC * edge)
    if dataset is None or dataset.number <= 2:
        return tuple(cell)
    return tuple(cell_of_lattice(dataset.std_lattice).tolist())


def representative(cell: Sequence[float]) -> tuple[float, ...]:
    """A cell of the same metric symmetry in the same axes; all such cells share one."""
    lengths, angles = np.asarray(cell[:3]), np.asarray(cell[3:])
    near = np.abs(lengths[:, None] / lengths - 1) < _SAME_LENGTH
    edges = np.array([5.1, 6.3, 7.7])[near.argmax(1)]
    special = [90.0 if abs(x - 90) < _SAME_ANGLE else 120.0 for x in angles]
    oblique = (np.abs(angles - 90) >= _SAME_ANGLE) & (np.abs(angles - 120) >= _SAME_ANGLE)
    return (*edges.tolist(), *np.where(oblique, [81.0, 95.0, 103.0], special).tolist())


def metric_system(cell: Sequence[float]) -> str:
    """Crystal system of a cell's metric: the highest one; "hexagonal" for trigonal cells too."""
    free = len(metric_basis(cell))
    if free == 2 and any(abs(angle - 90) >= _SAME_ANGLE for angle in cell[3:]):
        return "hexagonal"
    return {1: "cubic", 2: "tetragonal", 3: "orthorhombic", 4: "monoclinic"}.get(free, "triclinic")


def metric_basis(cell: Sequence[float]) -> np.ndarray:
    """Independent parts (p, 6) of 1/d^2 under the metric symmetry of a cell.

    Their sum gives the factors of hh, kk, ll, 2kl, 2hl, 2hk. Each may be scaled alone without a
    change of the metric symmetry. Errors as for `metric_tensor`.
    """
    a, b, c, _, _, gamma = cell
    star = np.linalg.inv(metric_tensor(cell))
    six = star[(0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)]
    right = [abs(angle - 90) < _SAME_ANGLE for angle in cell[3:]]
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


# --- settings --------------------------------------------------------------------------------


# Unimodular changes of a and c, which act on absences modulo 2 only; the first is none.
_CELL_CHOICES = [
    np.array([[a, 0, b], [0, 1, 0], [c, 0, d]])
    for a, b, c, d in (map(int, x) for x in ("1001", "1101", "1011", "1110", "0111", "0110"))
]


def relabellings(system: str) -> list[np.ndarray]:
    """Changes of axes (3, 3) under which two settings of a crystal system are equivalent.

    Monoclinic: the unimodular changes of a and c, which act on absences only modulo 2.
    """
    if system in ("orthorhombic", "cubic"):
        return [np.eye(3, dtype=int)[list(order)] for order in permutations(range(3))]
    return _CELL_CHOICES if system == "monoclinic" else _CELL_CHOICES[:1]


def settings(label: int, cell: Sequence[float]) -> list[np.ndarray]:
    """Axes of the settings of a group, 1..99, in which the cell is one of its crystal system.

    Returns
    -------
    list of ndarray, (3, 3) int
        Matrices that turn hkl of the cell into hkl of the reference setting of the group's first
        space group, each with other absences; empty where the cell permits none.
    """
    number = groups.first_member(label)
    system = groups.space_group(number)["crystal_system"]
    parity = np.array(list(product(range(-2, 5), repeat=3)))
    by_absences = {}
    for order in permutations(range(3)):
        if not permits(cell, order, system):
            continue
        axes = np.eye(3, dtype=np.int64)[:, list(order)]
        for choice in _CELL_CHOICES[: None if system == "monoclinic" else 1]:
            change = axes @ choice
            by_absences.setdefault(groups.absent(number, parity @ change).tobytes(), change)
    return list(by_absences.values())


def permits(cell: Sequence[float], order: Sequence[int], system: str) -> bool:
    """Whether a cell with reordered axes has the metric of a system, unique axis b or c."""
    a, b, c = (cell[i] for i in order)
    right = [abs(cell[3 + i] - 90) < _SAME_ANGLE for i in order]
    hexagonal = right[0] and right[1] and abs(cell[3 + order[2]] - 120) < _SAME_ANGLE
    square = abs(a / b - 1) < _SAME_LENGTH
    return {
        "triclinic": True,
        "monoclinic": right[0] and right[2],
        "orthorhombic": all(right),
        "tetragonal": all(right) and square,
        "trigonal": hexagonal and square,
        "hexagonal": hexagonal and square,
        "cubic": all(right) and square and abs(c / a - 1) < _SAME_LENGTH,
    }[system]
