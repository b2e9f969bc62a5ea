"""The metric of a unit cell: its symmetry, and the parameters that it leaves free."""

import numpy as np

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
