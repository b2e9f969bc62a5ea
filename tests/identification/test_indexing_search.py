"""Lattices from peaks: known cells are found again; gemmi and the definition are the judges."""

import gemmi
import numpy as np
import pytest
import samples

from xrdlib.identification import basis_reflections, index_cells
from xrdlib.identification.index_search import MOST_PEAKS, search
from xrdlib.identification.peak_finder import PeakList
from xrdlib.identification.triclinic_search import _indexed, search_triclinic
from xrdlib.prediction import lattices
from xrdlib.symmetry import groups
from xrdlib.symmetry.cells import (
    EXPANSION,
    angle,
    cell_of_parameters,
    free,
    inverse_square,
    parameters_of,
    products,
)

KA1 = 1.540593
TRICLINIC = (5.4, 6.9, 8.1, 83.0, 77.0, 71.0), (8.16, 12.87, 7.11, 93.5, 116.4, 90.3)
CELLS = {
    "cubic": (8.43, 8.43, 8.43, 90, 90, 90),
    "tetragonal": (6.61, 6.61, 5.98, 90, 90, 90),
    "hexagonal": (4.99, 4.99, 17.06, 90, 90, 120),
    "orthorhombic": (5.35, 8.36, 6.87, 90, 90, 90),
    "monoclinic": (9.75, 8.99, 5.25, 90, 105.9, 90),
}


def spacings(cell, symbol, d_min=1.3):
    """1/d of all reflections that a space group allows, by gemmi; each value once."""
    box = gemmi.UnitCell(*cell)
    hkl = gemmi.make_miller_array(box, gemmi.SpaceGroup(symbol), d_min)
    return np.unique(np.round(1 / box.calculate_d_array(hkl), 6))


def two_theta(inverse):
    return 2 * np.degrees(np.arcsin(KA1 * inverse / 2))


@pytest.fixture(scope="module")
def sets():
    """Basis reflections of random crystals of all groups."""
    return basis_reflections.learn([samples.random_reflections(1980, 1)])


@pytest.mark.parametrize("system", [*CELLS, "triclinic"])
def test_products_and_cells_are_those_of_gemmi(system):
    cell = CELLS.get(system, TRICLINIC[0])
    star = np.linalg.inv(np.array(gemmi.UnitCell(*cell).metric_tensor().as_mat33().tolist()))
    full = star[(0, 1, 2, 0, 0, 1), (0, 1, 2, 2, 1, 2)]
    rows = EXPANSION[system]
    parameters = np.linalg.lstsq(rows.T, full)[0]
    assert np.allclose(parameters @ rows, full) and free(system) == len(rows)
    assert np.allclose(parameters_of(system, star), parameters)
    assert np.allclose(cell_of_parameters(system, parameters), cell)
    hkl = np.random.default_rng(0).integers(-4, 5, size=(40, 3))
    hkl = hkl[np.abs(hkl).sum(1) > 0]
    wanted = [gemmi.UnitCell(*cell).calculate_1_d2(row) for row in hkl.tolist()]
    found = products(hkl, system) @ parameters
    assert np.allclose(found, wanted)
    reached = found[found < 1.6]  # 4 / wavelength^2 is the limit
    assert np.allclose(inverse_square(angle(reached)), reached)


@pytest.mark.parametrize("system", CELLS)
def test_first_reflections_have_the_positions_of_the_structures_own(system):
    """Some lattice of the system, fitted by least squares, gives them 1/d^2 of real reflections."""
    structures = samples.random_reflections(198, 5)
    systems = np.array(groups.crystal_systems())[structures.group - 1]
    for i in np.flatnonzero(systems == system)[:12]:
        first = basis_reflections.first_reflections(structures, i, system).astype(float)
        star = np.linalg.inv(structures.lattice[i] @ structures.lattice[i].T)
        hkl = structures.hkl[structures.start[i] : structures.start[i + 1]]
        own = np.unique(np.round(np.einsum("ni,ij,nj->n", hkl, star, hkl), 6))
        if system == "monoclinic":  # a* and c* are the shortest vectors that a pair can be
            axes = [0, 2] if abs(star[0, 2]) > 1e-6 else [[0, 1], [1, 2]][abs(star[1, 2]) > 1e-6]
            pairs = np.array([(x, z) for x in range(-9, 10) for z in range(-9, 10) if x or z])
            flat = star[np.ix_(axes, axes)]
            lengths = np.einsum("ni,ij,nj->n", pairs, flat, pairs)
            shortest = pairs[lengths.argmin()]
            apart = np.abs(pairs @ [shortest[1], -shortest[0]]) > 0
            second = pairs[np.where(apart, lengths, np.inf).argmin()]
            (unique,) = {0, 1, 2} - set(axes)
            d = abs(shortest @ flat @ second)
            parameters = [lengths.min(), star[unique, unique], second @ flat @ second, d]
        else:
            order = np.argsort(np.diag(star)) if system == "orthorhombic" else [0, 1, 2]
            parameters = parameters_of(system, star[np.ix_(order, order)])
        found = first @ parameters
        assert np.abs(own[:, None] - found).min(0).max() < 1e-4
        assert (np.diff(found) > 0).all() and found[0] < own[:8].max()


@pytest.mark.parametrize("system", CELLS)
def test_bases_fix_a_lattice_and_none_is_there_twice(sets, system):
    rows = sets[system]
    p = free(system)
    assert rows.shape[1:] == (p, p) and len(rows) > 4
    assert np.abs(np.linalg.det(rows.astype(float))).min() > 0.5
    assert len(np.unique(rows.reshape(len(rows), -1), axis=0)) == len(rows)


@pytest.mark.parametrize(
    ("system", "symbol"),
    [
        ("cubic", "F d -3 m"),
        ("cubic", "I a -3 d"),
        ("tetragonal", "I 41/a m d"),
        ("tetragonal", "P 42/m n m"),
        ("hexagonal", "R -3 c"),
        ("hexagonal", "P 63/m"),
        ("orthorhombic", "P n m a"),
        ("orthorhombic", "C m c m"),
        ("monoclinic", "P 1 21/c 1"),
        ("monoclinic", "C 1 2/m 1"),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_known_lattice_is_found_from_its_peaks(sets, system, symbol, seed):
    """With errors of 0.01 degrees, a zero shift, an impurity, and a fifth of the peaks gone."""
    rng = np.random.default_rng(seed)
    positions = two_theta(spacings(CELLS[system], symbol))[:30]
    positions = positions[rng.random(len(positions)) > 0.2] + 0.03
    positions = np.sort([*positions + 0.01 * rng.normal(size=len(positions)), 33.517])[:MOST_PEAKS]
    starts = search(positions, sets[system], system)
    refined = [index_cells.refine(start, system, positions)[0] for start in starts]
    cells = [cell_of_parameters(system, parameters) for parameters in refined]
    assert any(lattices.same_lattice(cell, CELLS[system]) for cell in cells)
    found = index_cells.index(PeakList(positions, np.ones(len(positions))), sets)
    names = np.array(groups.crystal_systems())
    own = np.isin(names, [system, "trigonal" if system == "hexagonal" else system])
    score = np.where(np.isfinite(found.score), found.score, -np.inf)
    assert score[own].max() > score[~own].max() - 6
    label = groups.group_of_space_group()[gemmi.SpaceGroup(symbol).number]
    assert found.looked_at == len(positions) and found.indexed[label - 1] >= 0.8 * len(positions)
    assert lattices.same_lattice(found.cell[label], CELLS[system])


@pytest.mark.parametrize("cell", TRICLINIC)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_triclinic_lattice_is_found_from_its_peaks(sets, cell, seed):
    """With errors of 0.01 degrees, a zero shift, and a quarter of the peaks gone."""
    rng = np.random.default_rng(seed)
    symbol = "P -1" if cell is TRICLINIC[0] else "C -1"
    positions = two_theta(spacings(cell, symbol))[:36]
    positions = positions[rng.random(len(positions)) > 0.25][:MOST_PEAKS] + 0.02
    positions = np.sort(positions + 0.01 * rng.normal(size=len(positions)))
    found = index_cells.index(PeakList(positions, np.ones(len(positions))), sets).lattices
    best = max(found, key=lambda lattice: lattice.score)
    vector = gemmi.GruberVector(gemmi.UnitCell(*cell), symbol[0])
    vector.niggli_reduce()
    assert best.system == "triclinic"
    assert lattices.same_lattice(cell_of_parameters(*best[:2]), vector.cell_parameters())


def test_reflections_of_a_triclinic_lattice_are_those_of_gemmi():
    limit, rng = 0.25, np.random.default_rng(0)
    for _ in range(20):
        cell = *rng.uniform(4, 12, 3), *rng.uniform(70, 110, 3)
        star = np.array(gemmi.UnitCell(*cell).reciprocal_metric_tensor().as_mat33().tolist())
        near = np.zeros(int(limit / 2e-5) + 2, dtype=np.int64)
        six = parameters_of("triclinic", star)
        hkl = gemmi.make_miller_array(gemmi.UnitCell(*cell), gemmi.SpaceGroup("P 1"), 2.0)
        count = len({min(tuple(x), tuple(-x)) for x in hkl})
        wanted = int(rng.integers(count))
        square = gemmi.UnitCell(*cell).calculate_1_d2(hkl[wanted].tolist())
        near[int(square / 2e-5)] = 4
        assert _indexed(*six, np.linalg.det(star), limit, near, 10_000) == (4, count)


def test_few_peaks_and_those_of_higher_lattices_have_no_triclinic_one(sets):
    assert len(search_triclinic(np.linspace(10, 30, 8))) == 0
    positions = two_theta(spacings(CELLS["orthorhombic"], "P n m a"))[:MOST_PEAKS]
    found = index_cells.index(PeakList(positions, np.ones(len(positions))), sets).lattices
    assert {lattice.system for lattice in found} <= {*CELLS}


def test_refinement_ends_at_the_lattice_that_the_peaks_were_made_from():
    positions = two_theta(spacings(CELLS["orthorhombic"], "P n m a"))[:24] + 0.04
    true = 1 / np.square(CELLS["orthorhombic"][:3])
    found, zero = index_cells.refine(1.002 * true, "orthorhombic", positions)
    assert np.allclose(found, true, rtol=3e-4) and abs(zero - 0.04) < 0.01


def test_a_group_is_scored_by_the_reflections_that_it_allows():
    """Peaks of P n m a score the likelihood written out for one setting of it."""
    cell = CELLS["orthorhombic"]
    positions = two_theta(spacings(cell, "P n m a"))[:20]
    star = 1 / np.square(cell[:3])
    found = index_cells._scores(star, 0.0, "orthorhombic", positions, np.ones(20))
    limit = np.sqrt(inverse_square(positions[-1] + 0.1))
    label = groups.group_of_space_group()[62]
    # The axes of the best setting are those that the peaks were made with.
    allowed = spacings(cell, "P n m a", 1 / limit)
    assert found[label][1] == len(np.unique(np.round(two_theta(allowed) / 0.01)))
    off = positions[:, None] - two_theta(allowed)
    near = sum(
        share * np.exp(-0.5 * (off / s) ** 2) / (s * np.sqrt(2 * np.pi))
        for share, s in ((1.0, 0.018), (0.08, 0.05))
    )
    span = positions[-1] + 0.1 - min(8.0, positions[0] - 1)
    wanted = np.log(0.96 * near.sum(1) * span / len(allowed) + 0.04).sum()
    assert abs(found[label][0] - wanted) < 0.05 * abs(wanted)
    assert found[label][2] == 20
    # Groups that allow more reflections index as much, and score less for it.
    primitive = groups.group_of_space_group()[47]
    assert found[primitive][2] == 20 and found[primitive][0] < found[label][0] - 5


def test_too_few_peaks_have_no_lattice(sets):
    empty = index_cells.index(PeakList(np.zeros(0), np.zeros(0)), sets)
    assert np.isnan(empty.score).all() and not empty.cell and empty.n == empty.looked_at == 0
    assert len(search(np.array([20.0, 30.0]), sets["orthorhombic"], "orthorhombic")) == 0


def test_lattices_are_the_same_in_any_axes():
    cell = (5.0, 7.0, 9.0, 90.0, 100.0, 90.0)
    other = gemmi.UnitCell(*cell)
    a, b, c = np.array(other.orth.mat.tolist()).T
    edges = np.array([a + c, b, c])
    lengths = np.linalg.norm(edges, axis=1)
    cosine = edges @ edges.T / np.outer(lengths, lengths)
    angles = np.degrees(np.arccos(cosine[(1, 0, 0), (2, 2, 1)]))
    assert lattices.same_lattice(cell, (*lengths, *angles))
    assert not lattices.same_lattice(cell, (5.1, 7.0, 9.0, 90.0, 100.0, 90.0))
    assert not lattices.same_lattice(cell, (5.0, 7.0, 18.0, 90.0, 100.0, 90.0))
