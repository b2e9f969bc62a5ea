"""Standard settings: the lattice stays, absences are those of the reference setting."""

import gemmi
import numpy as np
import pytest

from xrdlib.identification.index_cells import changes
from xrdlib.identification.related_lattices import of_cell
from xrdlib.identification.standard_setting import standard
from xrdlib.symmetry import groups
from xrdlib.symmetry.cells import cell_of_parameters, parameters_of, reciprocal_metric

CELLS = {
    "monoclinic": (9.93, 18.05, 5.30, 90, 106.4, 90),
    "orthorhombic": (7.97, 4.96, 5.74, 90, 90, 90),
    "tetragonal": (4.6, 4.6, 2.96, 90, 90, 90),
    "hexagonal": (4.99, 4.99, 17.06, 90, 90, 120),
    "cubic": (5.64, 5.64, 5.64, 90, 90, 90),
}


def of(system):
    return next(x for x in of_cell(CELLS[system]) if x.system == system).parameters


@pytest.mark.parametrize("system", CELLS)
def test_visible_spacings_stay_what_they_are(system):
    parameters, star = of(system), reciprocal_metric(system, of(system))
    grid = np.stack(np.meshgrid(*[np.arange(-6, 7)] * 3, indexing="ij"), -1).reshape(-1, 3)
    for setting, (label, change) in enumerate(changes(system)):
        lattice = standard(system, parameters, setting)
        number = groups.first_member(label)
        visible = grid[~groups.absent(number, grid @ change)]
        wanted = np.unique(np.einsum("ni,ij,nj->n", visible, star, visible).round(7))
        own = grid[~groups.absent(number, grid)]
        cell = gemmi.UnitCell(*lattice.cell)
        seen = np.unique(np.round([cell.calculate_1_d2(list(map(int, h))) for h in own], 7))
        few = 0.25  # beyond, the grid does not hold all reflections
        assert np.allclose(wanted[wanted < few], seen[seen < few], atol=2e-6), (system, label)


def test_triclinic_cells_are_niggli_cells():
    cell = gemmi.UnitCell(8.16, 12.87, 7.11, 93.5, 116.4, 90.3)
    star = np.array(cell.reciprocal_metric_tensor().as_mat33().tolist())
    lattice = standard("triclinic", parameters_of("triclinic", star), 0)
    vector = gemmi.GruberVector(cell, "P")
    vector.niggli_reduce()
    assert np.allclose(lattice.cell, vector.cell_parameters())
    assert lattice[1:] == ("P", "triclinic") and np.allclose(lattice.reduced(), lattice.cell)


def test_monoclinic_cells_have_b_unique_and_an_obtuse_angle():
    for setting in range(len(changes("monoclinic"))):
        a, b, c, alpha, beta, gamma = standard("monoclinic", of("monoclinic"), setting).cell
        assert (alpha, gamma) == (90, 90) and beta >= 90 and np.isclose(b, 18.05)
        assert max(a, c) < 10


def test_a_body_centred_amphibole_becomes_c_centred():
    names = [groups.symbols()[label - 1] for label, _ in changes("monoclinic")]
    centred = [
        standard("monoclinic", of("monoclinic"), k).cell
        for k, name in enumerate(names)
        if name == "C - 1 1"
    ]
    assert any(np.allclose(c[:3], (9.86, 18.05, 5.30), atol=0.02) for c in centred)


def test_orthorhombic_axes_are_ordered_where_absences_leave_them_open():
    named = [groups.symbols()[label - 1] for label, _ in changes("orthorhombic")]
    for setting in (named.index("P - - -"), named.index("P 21 21 21")):
        assert np.allclose(standard("orthorhombic", of("orthorhombic"), setting).cell[:3],
                           (4.96, 5.74, 7.97))  # fmt: skip


def test_a_rhombohedral_lattice_is_trigonal_on_hexagonal_axes():
    named = [groups.symbols()[label - 1] for label, _ in changes("hexagonal")]
    setting = next(k for k, name in enumerate(named) if name.startswith("R"))
    lattice = standard("hexagonal", of("hexagonal"), setting)
    assert (lattice.crystal_system, lattice.centring) == ("trigonal", "R")
    assert np.allclose(lattice.cell, cell_of_parameters("hexagonal", of("hexagonal")))
    a, b, c, *angles = lattice.reduced()
    assert np.isclose(np.prod([a, b, c]) * 3, np.prod(lattice.cell[:3]), rtol=0.5)
    assert len({round(x, 4) for x in (a, b)}) == 1
