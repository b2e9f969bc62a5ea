"""Figures of merit: by hand, from gemmi's reflections, and whatever the axes are called."""

from itertools import permutations

import gemmi
import numpy as np
import pytest

from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import CU_KA1
from xrdlib.identification.figures_of_merit import (
    count_indexed,
    figures_of_merit,
    nearest,
    positions_of,
    reflections,
)

CELLS = {
    "P": (5.15, 5.21, 5.32, 88.0, 99.2, 92.0),
    "A": (5.1, 6.3, 7.7, 90, 90, 90),
    "C": (9.85, 18.05, 5.30, 90, 104.7, 90),
    "I": (4.2, 4.2, 13.6, 90, 90, 90),
    "F": (5.64, 5.64, 5.64, 90, 90, 90),
    "R": (4.99, 4.99, 17.06, 90, 90, 120),
}
GROUPS = {"P": "P -1", "A": "A m m 2", "C": "C 2/m", "I": "I 4/m", "F": "F m -3 m", "R": "R -3:H"}


def by_gemmi(centring, stop):
    """Angles of the distinct reflections up to one, from gemmi."""
    cell, group = gemmi.UnitCell(*CELLS[centring]), gemmi.SpaceGroup(GROUPS[centring])
    least = CU_KA1 / (2 * np.sin(np.radians(stop) / 2))
    hkl = gemmi.make_miller_array(cell, group, least)
    allowed = [h for h in hkl if not group.operations().is_systematically_absent(h)]
    square = np.sort([cell.calculate_1_d2(h) for h in allowed])
    square = square[np.diff(square, prepend=0) > 1e-6 * square]
    return 2 * np.degrees(np.arcsin(np.sqrt(square) * CU_KA1 / 2))


@pytest.mark.parametrize("centring", CELLS)
def test_reflections_are_those_of_gemmi(centring):
    hkl, angle = positions_of(CELLS[centring], centring, 70.0, CU_KA1)
    assert np.allclose(angle, by_gemmi(centring, 70.0), atol=1e-6)
    cell = gemmi.UnitCell(*CELLS[centring])
    square = [cell.calculate_1_d2(list(map(int, h))) for h in hkl]
    assert np.allclose(2 * np.degrees(np.arcsin(np.sqrt(square) * CU_KA1 / 2)), angle, atol=1e-6)


@pytest.mark.parametrize("centring", CELLS)
def test_figures_are_those_recomputed_from_gemmis_reflections(centring):
    rng = np.random.default_rng(1)
    calculated = by_gemmi(centring, 110.0)
    own = np.sort(rng.choice(min(40, len(calculated)), min(25, len(calculated)), replace=False))
    observed = calculated[own] + rng.uniform(-2e-3, 2e-3, len(own))
    merit = figures_of_merit(observed, CELLS[centring], centring)
    n = min(20, len(own))
    q, exact = ((2 * np.sin(np.radians(x) / 2) / CU_KA1) ** 2 for x in (observed, calculated[own]))
    off = np.abs(observed - calculated[own])[:n].mean()
    assert (merit.n, merit.possible) == (n, own[n - 1] + 1)
    assert np.isclose(merit.m, q[n - 1] / (2 * np.abs(q - exact)[:n].mean() * merit.possible))
    assert np.isclose(merit.f, n / (off * merit.possible))


def test_figures_of_a_cubic_cell_by_hand():
    # a = 1 in units of the wavelength / 0.4: Q of 100, 110 and 111 is 1, 2 and 3.
    sine = np.sqrt([1.0, 2.0, 3.0]) * 0.2
    exact = 2 * np.degrees(np.arcsin(sine))
    observed = exact + [0.01, -0.02, 0.03]
    merit = figures_of_merit(observed, (1, 1, 1, 90, 90, 90), wavelength=0.4)
    assert (merit.n, merit.possible) == (3, 3) and np.isclose(merit.f, 3 / (0.02 * 3))
    # dQ = 2 sin 2theta / wavelength^2 d2theta, in radians
    slope = 2 * np.sin(np.radians(exact)) / 0.4**2 * np.radians(1)
    assert np.isclose(merit.m, 3 / (2 * (slope * [0.01, 0.02, 0.03]).mean() * 3), rtol=2e-3)
    # With one reflection missed the same number of peaks is worth less.
    fewer = figures_of_merit(observed[[0, 2]], (1, 1, 1, 90, 90, 90), wavelength=0.4)
    assert (fewer.n, fewer.possible) == (2, 3) and np.isclose(fewer.f, 2 / (0.02 * 3))


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_names_of_axes_do_not_matter(order):
    cell = np.array([5.1, 6.3, 7.7, 85.0, 95.0, 100.0])
    observed = positions_of(cell, "P", 45.0, CU_KA1)[1][::2] + 0.004
    renamed = np.concatenate([cell[:3][list(order)], cell[3:][list(order)]])
    assert np.allclose(figures_of_merit(observed, renamed), figures_of_merit(observed, cell))


def test_peaks_far_from_all_reflections_are_left_out():
    own = positions_of(CELLS["F"], "F", 60.0, CU_KA1)[1]
    impurities = np.array([own[1] + 1.0, own[2] + 1.0])
    merit = figures_of_merit(np.append(own + 0.01, impurities), CELLS["F"], "F", within=0.05)
    assert np.allclose(merit, figures_of_merit(own + 0.01, CELLS["F"], "F"))
    assert count_indexed(np.append(own, impurities), CELLS["F"], "F", CU_KA1, 0.05) == len(own)


def test_no_peaks_are_no_merit():
    assert figures_of_merit([], CELLS["F"], "F")[:3] == (0, 0, 0)
    assert figures_of_merit([5.0], CELLS["F"], "F", within=0.1)[:3] == (0, 0, 0)
    assert figures_of_merit([3.0], (1, 1, 1, 90, 90, 90)).n == 0  # below the first reflection
    assert count_indexed(np.zeros(0), CELLS["F"], "F", CU_KA1, 0.1) == 0


def test_nearest_position():
    values, positions = np.array([-1.0, 0.4, 0.6, 9.0]), np.array([0.0, 1.0, 2.0])
    assert nearest(values, positions).tolist() == [0, 0, 1, 2]
    assert nearest(values, positions[:1]).tolist() == [0, 0, 0, 0]


def test_an_unknown_centring_is_refused():
    with pytest.raises(XrdlibError, match="centring 'X' is unknown"):
        reflections(CELLS["F"], "X", 1.0)
