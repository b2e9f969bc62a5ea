"""The crystal systems whose lattices are sought: free parameters of 1/d^2, and products of indices.

1/d^2 = A hh + B kk + C ll + 2 D hl + 2 E hk, on conventional axes, hexagonal ones for
rhombohedral lattices and b unique for monoclinic ones. Triclinic lattices are not sought.
"""

import numpy as np

from .patterns import CU_KA1

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


def products(system, hkl):
    """What each free parameter is multiplied by in 1/d^2, (m, p); hkl (m, 3)."""
    h, k, l = np.asarray(hkl, dtype=np.float64).T  # noqa: E741
    five = np.stack([h * h, k * k, l * l, 2 * h * l, 2 * h * k], -1)
    return five @ EXPANSION[system].T


def reciprocal_metric(system, parameters):
    """Reciprocal metric tensor (3, 3), per square angstrom."""
    a, b, c, d, e = np.asarray(parameters) @ EXPANSION[system]
    return np.array([[a, e, d], [e, b, 0], [d, 0, c]])


def cell(system, parameters):
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
