"""The fit of a given cell: positions, intensities and scores against sums done by other means."""

from itertools import product

import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.stats import multivariate_normal

from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import CU_KA1, GRID
from xrdlib.identification.cell_evidence import cell_reflections
from xrdlib.identification.extinction_scores import (
    BIC,
    INTEGRATED,
    candidates,
    clusters,
    log_evidence,
    scores,
)
from xrdlib.identification.reflection_profiles import Profiles, Shape, observed
from xrdlib.identification.whole_pattern import fit, nonnegative
from xrdlib.symmetry import groups
from xrdlib.symmetry.cells import (
    conventional,
    metric_basis,
    metric_system,
    products,
    representative,
    settings,
)

CELLS = {
    "triclinic": (5.1, 6.3, 7.7, 81, 95, 103),
    "monoclinic": (5.1, 6.3, 7.7, 90, 104, 90),
    "orthorhombic": (5.1, 6.3, 7.7, 90, 90, 90),
    "tetragonal": (5.1, 5.1, 7.7, 90, 90, 90),
    "hexagonal": (5.1, 5.1, 7.7, 90, 90, 120),
    "cubic": (5.1, 5.1, 5.1, 90, 90, 90),
}
FREE = {
    "triclinic": 6,
    "monoclinic": 4,
    "orthorhombic": 3,
    "tetragonal": 2,
    "hexagonal": 2,
    "cubic": 1,
}


def vectors(cell):
    """Lattice vectors of six parameters, a along x."""
    a, b, c = cell[:3]
    alpha, beta, gamma = np.radians(cell[3:])
    third = (np.cos(alpha) - np.cos(beta) * np.cos(gamma)) / np.sin(gamma)
    up = np.sqrt(1 - np.cos(beta) ** 2 - third**2)
    return np.array(
        [
            [a, 0, 0],
            [b * np.cos(gamma), b * np.sin(gamma), 0],
            [c * np.cos(beta), c * third, c * up],
        ]
    )


@pytest.mark.parametrize("system", CELLS)
def test_the_metric_is_that_of_the_vectors_and_has_the_parameters_of_its_system(system):
    lattice = vectors(CELLS[system])
    assert np.allclose(conventional(lattice), CELLS[system])
    basis = metric_basis(CELLS[system])
    assert metric_system(CELLS[system]) == system and len(basis) == FREE[system]
    hkl = np.array(list(product(range(-3, 4), repeat=3)))
    square = (np.linalg.norm(hkl @ np.linalg.inv(lattice).T, axis=1)) ** 2
    assert np.allclose(products(hkl) @ basis.sum(0), square)


@pytest.mark.parametrize("system", CELLS)
def test_reflections_that_symmetry_makes_one_stay_one_when_parameters_change(system):
    basis = metric_basis(CELLS[system])
    hkl, number, *_ = cell_reflections(CELLS[system], CU_KA1, 5, 60)
    changed = np.random.default_rng(0).uniform(0.9, 1.1, len(basis)) @ basis
    square = products(hkl) @ changed
    first = np.unique(number, return_index=True)[1]
    assert np.allclose(square, square[first][number])


def test_rhombohedral_axes_become_hexagonal_ones():
    # Calcite: a = 6.375, alpha = 46.08 degrees is a = 4.99, c = 17.06 in hexagonal axes.
    rhombohedral = vectors((6.375, 6.375, 6.375, 46.08, 46.08, 46.08))
    assert conventional(rhombohedral) == pytest.approx((4.99, 4.99, 17.06, 90, 90, 120), abs=0.01)


def test_cells_of_one_metric_symmetry_have_the_same_settings():
    cell = (17.2, 9.13, 17.2, 90, 90, 90)
    alike = representative(cell)
    assert alike[0] == alike[2] != alike[1] and alike == representative((3.0, 8.0, 3.0, 90, 90, 90))
    for label in (10, 40, 57, 70, 99):
        ours, theirs = settings(label, alike), settings(label, cell)
        assert len(ours) == len(theirs)
        assert all((x == y).all() for x, y in zip(ours, theirs, strict=True))


def pattern(cell, allowed, rng, shape=None, level=0.05, counts=3000):
    """A cell's pattern: exponential intensities where allowed, K-alpha doublet and counts."""
    hkl, number, *_ = cell_reflections(cell, CU_KA1, 12, 60)
    shape = shape or Shape(metric_basis(cell).sum(0), zero=0.04, displacement=-0.03)
    area = rng.exponential(size=number[-1] + 1) * (np.bincount(number, allowed(hkl)) > 0)
    y = np.full(GRID.size, level)
    first = np.unique(number, return_index=True)[1]
    for second, share in ((CU_KA1, 1.0), (1.544427, 0.5)):
        at = observed(np.sqrt(products(hkl[first]) @ shape.metric) * second, shape)
        width = 0.1 + 0.03 * np.tan(np.radians(at) / 2)
        u = 2 * (GRID.two_theta - at[:, None]) / width[:, None]
        peak = 0.5 / (1 + u**2) + 0.5 * np.exp(-np.log(2) * u**2)
        y += share * (area @ peak)
    inside = (GRID.two_theta > 8) & (GRID.two_theta < 61)
    return np.where(inside, np.maximum(rng.poisson(counts * y), 1), 0).astype(float), area


def allow(number, change=None):
    change = np.eye(3, dtype=int) if change is None else change
    return lambda hkl: ~groups.absent(number, hkl @ change)


def test_a_fit_finds_shifts_strain_and_intensities():
    true = np.array(CELLS["orthorhombic"])
    given = true * [1.002, 0.998, 1.001, 1, 1, 1]
    y, _ = pattern(true, allow(16), np.random.default_rng(1), counts=30000)
    fitted = fit(y, given)
    shape = Shape(metric_basis(true).sum(0), zero=0.04, displacement=-0.03)
    hkl = fitted.hkl[np.unique(fitted.profile, return_index=True)[1]]
    at = observed(np.sqrt(products(hkl) @ shape.metric) * CU_KA1, shape)
    strong = fitted.intensity > 0.05 * fitted.intensity.max()
    assert np.abs(fitted.two_theta - at)[strong].max() < 0.02
    assert abs(fitted.shape.second - 0.5) < 0.1 and fitted.residual < 0.1
    # What is calculated has the counts of what was measured.
    measured = y[fitted.calculated > 0] / y.max()
    assert fitted.calculated.sum() == pytest.approx(measured.sum(), rel=0.02)


def test_profiles_have_area_one_and_share_out_all_intensity():
    shape = Shape(metric_basis(CELLS["cubic"]).sum(0), second=0.0, eta=0.0)
    terms = products(np.array([[1, 1, 0], [2, 0, 0], [2, 1, 1]]))
    profiles = Profiles(shape, terms, GRID.start, GRID.size)
    assert np.allclose(profiles.value.sum(1) * GRID.step, 1, atol=1e-6)
    assert np.allclose(profiles.matrix() @ [3.0, 1.0, 2.0], profiles.sum(np.array([3.0, 1.0, 2.0])))
    y = profiles.sum(np.array([3.0, 1.0, 2.0]))
    assert profiles.shared(y) == pytest.approx([3, 1, 2], rel=1e-6)


def test_nonnegative_least_squares_meets_its_optimality_conditions():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 12))
    normal, right = rows.T @ rows, rows.T @ rng.normal(size=60)
    x = nonnegative(normal, right)
    slope = normal @ x - right
    assert (x >= 0).all() and (x == 0).any() and (x > 0).any()
    assert np.allclose(slope[x > 0], 0, atol=1e-6) and (slope[x == 0] >= -1e-6).all()


def test_evidence_of_one_reflection_is_the_integral_by_sums():
    x = np.linspace(0, 60, 400_001)
    for precision, right, mean in ((4.0, 6.0, 2.0), (4.0, -9.0, 0.5), (900.0, -3.0, 3.0)):
        value = np.exp(-precision * x**2 / 2 + right * x - x / mean) / mean
        expected = np.log(np.trapezoid(value, x))
        result = log_evidence(np.array([[precision]]), np.array([right]), np.array([[mean]]))
        assert result == pytest.approx([expected], abs=2e-4)


def test_evidence_of_two_overlapping_reflections_is_the_double_integral():
    normal, right = np.array([[5.0, 3.0], [3.0, 4.0]]), np.array([2.0, -1.0])
    mean = np.array([1.5, 0.7])

    def integrand(y, x):
        z = np.array([x, y])
        return np.exp(-z @ normal @ z / 2 + (right - 1 / mean) @ z) / mean.prod()

    expected = np.log(dblquad(integrand, 0, 8, 0, 8)[0])
    assert log_evidence(normal, right, mean[None]) == pytest.approx([expected], abs=0.01)


def test_evidence_of_five_reflections_is_a_gaussian_probability():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(30, 5))
    normal, centre = rows.T @ rows, np.full(5, 0.3)
    mean = np.full(5, 1e9)  # a prior so wide that it does not matter
    covariance = np.linalg.inv(normal)
    inside = multivariate_normal(-centre, covariance).cdf(np.zeros(5))
    expected = (
        np.log(inside)
        + centre @ normal @ centre / 2
        + 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
        - np.log(mean).sum()
    )
    assert log_evidence(normal, normal @ centre, mean[None]) == pytest.approx([expected], abs=0.02)


def test_an_absent_reflection_is_left_out_of_the_integral():
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(20, 4))
    normal, right = rows.T @ rows, rng.normal(size=4) * 3
    case = np.array([1.0, 0.0, 2.0, 0.0])
    part = case > 0
    alone = log_evidence(normal[np.ix_(part, part)], right[part], case[None, part])
    both = log_evidence(normal, right, np.stack([case, np.zeros(4)]))
    assert both[0] == pytest.approx(alone[0], abs=1e-4) and both[1] == pytest.approx(0, abs=1e-6)


def test_clusters_hold_every_reflection_once_and_only_neighbours_that_overlap():
    position = np.cumsum(np.random.default_rng(0).exponential(0.1, size=200))
    parts = clusters(position, np.full(200, 0.1))
    assert np.array_equal(np.concatenate(parts), np.arange(200))
    assert max(map(len, parts)) <= 12
    for before, after in zip(parts, parts[1:], strict=False):
        gap = position[after[0]] - position[before[-1]]
        assert gap > 0.15 or len(before) + len(after) > 12


@pytest.mark.parametrize("system", ["orthorhombic", "tetragonal", "cubic"])
def test_on_orthogonal_axes_signs_of_indices_do_not_matter(system):
    hkl = np.random.default_rng(0).integers(-9, 10, size=(300, 3))
    hkl = np.concatenate(
        [hkl, hkl[:, [0, 0, 2]], hkl * [1, 1, 0], hkl[:, [0, 0, 0]], hkl * [0, 1, 0]]
    )
    for label in range(1, 100):
        number = groups.table()["extinction_groups"][label - 1]["space_groups"][0]
        for change in settings(label, CELLS[system])[:2]:
            absent = groups.absent(number, hkl @ change)
            assert (absent == groups.absent(number, np.abs(hkl) @ change)).all(), label


def test_candidates_are_the_groups_that_the_cell_permits_with_their_reflections():
    cell = CELLS["orthorhombic"]
    y, _ = pattern(cell, allow(16), np.random.default_rng(0))
    fitted = fit(y, cell)
    settings_of = candidates(fitted, cell)
    assert set(settings_of.label) == {k for k in range(1, 100) if settings(k, cell)}
    label = int(groups.group_of_space_group()[61])  # Pbca: 0kl k = 2n, h0l l = 2n, hk0 h = 2n
    h, k, l = fitted.hkl.T  # noqa: E741
    absent = ((h == 0) & (k % 2 == 1)) | ((k == 0) & (l % 2 == 1)) | ((l == 0) & (h % 2 == 1))
    expected = np.bincount(fitted.profile, ~absent) > 0
    assert any((mask == expected).all() for mask in settings_of.allowed[settings_of.label == label])
    whole = settings_of.allowed[settings_of.label == int(groups.group_of_space_group()[16])]
    assert whole.all() and len(whole) == 1


@pytest.mark.parametrize("number", [14, 62, 167])
def test_the_true_group_ranks_first_by_every_score_on_good_data(number):
    label = int(groups.group_of_space_group()[number])
    system = groups.space_group(number)["crystal_system"].replace("trigonal", "hexagonal")
    cell = CELLS[system]
    y, _ = pattern(cell, allow(number), np.random.default_rng(number), counts=20000)
    evidence = scores(fit(y, cell), cell)
    for name in (INTEGRATED, BIC):
        # A group of another system with the very same absences cannot be told from it.
        better = np.flatnonzero(evidence[name] > evidence[name][label - 1] + 0.5) + 1
        assert set(better.tolist()) <= same_reflections(label, cell), name


def same_reflections(label, cell):
    """Groups that allow the same reflections of a cell in some setting."""
    hkl, number, *_ = cell_reflections(cell, CU_KA1, 12, 60)
    masks = {}
    for other in range(1, 100):
        member = groups.first_member(other)
        masks[other] = {
            (np.bincount(number, ~groups.absent(member, hkl @ change)) > 0).tobytes()
            for change in settings(other, cell)
        }
    return {other for other, own in masks.items() if own & masks[label]}


def test_groups_that_the_cell_rules_out_have_no_evidence():
    cell = CELLS["monoclinic"]
    y, _ = pattern(cell, allow(14), np.random.default_rng(0))
    evidence = scores(fit(y, cell), cell)[INTEGRATED]
    permitted = [bool(settings(label, cell)) for label in range(1, 100)]
    assert (np.isfinite(evidence) == permitted).all()


@pytest.mark.parametrize("bad", [np.ones(10), np.zeros(GRID.size), np.full(GRID.size, np.nan)])
def test_a_pattern_that_is_none_is_refused(bad):
    with pytest.raises(XrdlibError, match="finite points on the grid"):
        fit(bad, CELLS["cubic"])
