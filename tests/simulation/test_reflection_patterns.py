"""Patterns of reflections alone, against gemmi's absences, cells and spacings."""

from itertools import product

import gemmi
import numpy as np
import pytest
import torch

from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import CU_KA1, Grid
from xrdlib.simulation.reflection_patterns import Peaks, allowed, cells, patterns
from xrdlib.simulation.reflection_stream import ReflectionStream, balanced
from xrdlib.symmetry.groups import N_GROUPS, group_of_space_group, space_group

GRID = Grid(5.0, 90.0, 0.04)
ALL = np.arange(1, 231)
BOX = [hkl for hkl in product(range(-4, 5), repeat=3) if any(hkl)]


def equivalents(operations, hkl):
    """All reflections that gemmi's operations and Friedel's law make of one."""
    made = [tuple(w.apply_to_hkl(hkl)) for w in operations.sym_ops]
    return {*made, *(tuple(-i for i in h) for h in made)}


@pytest.mark.parametrize("first", range(1, 231, 46))
def test_each_space_group_has_the_reflections_that_gemmi_allows(first):
    table = allowed(4)
    for number in range(first, first + 46):
        group = gemmi.find_spacegroup_by_number(number)
        unique, operations = gemmi.ReciprocalAsu(group), group.operations()
        expected = {
            tuple(unique.to_asu(list(hkl), operations)[0])
            for hkl in BOX
            if not operations.is_systematically_absent(list(hkl))
        }
        rows = slice(*table.start[number : number + 2])
        own = [tuple(unique.to_asu(hkl, operations)[0]) for hkl in table.hkl[rows].tolist()]
        assert len(own) == len(set(own)) and set(own) == expected, number
        sets = [equivalents(operations, hkl) for hkl in table.hkl[rows].tolist()]
        np.testing.assert_array_equal(table.multiplicity[rows], [len(s) for s in sets], str(number))


HOLOHEDRY = {"triclinic": 2, "monoclinic": 10, "orthorhombic": 47, "tetragonal": 123}
HOLOHEDRY |= {"trigonal": 191, "hexagonal": 191, "cubic": 221}


def gemmi_pattern(number, lattice, peaks):
    """One height for every set, equivalent in the lattice, with a reflection that gemmi allows."""
    lengths = np.linalg.norm(lattice, axis=1)
    cosines = [
        lattice[i] @ lattice[j] / lengths[i] / lengths[j] for i, j in ((1, 2), (0, 2), (0, 1))
    ]
    cell = gemmi.UnitCell(*lengths, *np.degrees(np.arccos(cosines)))
    group = gemmi.find_spacegroup_by_number(number)
    operations, system = group.operations(), group.crystal_system_str()
    full = 166 if group.centring_type() == "R" else HOLOHEDRY[system]
    full = gemmi.find_spacegroup_by_number(full)
    unique = gemmi.ReciprocalAsu(full)
    shortest = CU_KA1 / 2 / np.sin(np.radians(91.0 / 2))
    reach = [int(length / shortest) for length in lengths]
    representatives = {
        tuple(unique.to_asu(list(hkl), full.operations())[0])
        for hkl in product(*(range(-r, r + 1) for r in reach))
        if any(hkl) and not operations.is_systematically_absent(list(hkl))
    }
    spacing = np.array([cell.calculate_d(list(hkl)) for hkl in representatives])
    spacing = spacing[spacing > shortest]
    theta = np.arcsin(CU_KA1 / 2 / spacing)
    u, v, w = peaks.caglioti
    sigma = np.sqrt((u * np.tan(theta) ** 2 + v * np.tan(theta) + w) / np.log(256))
    away = (GRID.two_theta[:, None] - 2 * np.degrees(theta)) / sigma
    return np.exp(-(away**2) / 2).sum(1)


@pytest.mark.parametrize("first", range(1, 231, 46))
def test_every_peak_is_where_gemmi_says_and_nowhere_else(first):
    peaks = Peaks(edges=(3.5, 8.0), caglioti=(0.004, -0.001, 0.006))
    chosen = ALL[first - 1 : first + 45 : 2]
    made = patterns(peaks, chosen, chosen, 5, GRID).numpy()
    for number, lattice, pattern in zip(chosen, cells(peaks, chosen, chosen, 5), made, strict=True):
        expected = gemmi_pattern(int(number), lattice, peaks)
        np.testing.assert_allclose(pattern, expected, atol=2e-4, err_msg=str(number))


def test_cells_keep_to_their_system_and_their_range():
    number = np.arange(2300)
    chosen = 1 + number % 230
    made = cells(Peaks(), chosen, number, 0)
    metric = made @ made.transpose(0, 2, 1)
    edges = np.sqrt(np.einsum("nii->ni", metric))
    assert edges.min() > 3.5 - 1e-9 and edges.max() < 14 + 1e-9
    assert 3.6 > edges[:, 0].min() and edges[:, 0].max() > 13.9
    for group, own in zip(chosen, metric, strict=True):
        row = gemmi.find_spacegroup_by_number(int(group))
        for w in row.operations().sym_ops:
            turn = np.array(w.rot) / 24
            np.testing.assert_allclose(turn.T @ own @ turn, own, atol=1e-6 * own.max())


def test_members_of_a_group_with_the_same_lattice_look_alike_at_equal_heights():
    number, chosen = np.full(4, 7), np.array([75, 83, 89, 123])  # P4 to P4/mmm
    plain = patterns(Peaks(), chosen, number, 1, GRID)
    for other in plain[1:]:
        torch.testing.assert_close(other, plain[0])
    many = patterns(Peaks(multiplicity=True), chosen, number, 1, GRID)
    torch.testing.assert_close(many[0], many[3])
    assert not torch.allclose(many[0], plain[0])


def test_every_space_group_shows_something_in_the_smallest_cell():
    made = patterns(Peaks(edges=(3.5, 3.5)), ALL, ALL, 0, GRID)
    assert (made.amax(1) > 0.5).all()


@pytest.mark.parametrize("peaks", [Peaks(), Peaks(multiplicity=True, wilson=True, missing=0.2)])
@pytest.mark.parametrize("target", ["extinction groups", "space groups"])
def test_a_pattern_does_not_depend_on_its_batch(peaks, target):
    few, many = (ReflectionStream(peaks, 3, n, GRID, target) for n in (4, 12))
    x, label = many.batch(1)
    for k in range(3):
        again, own = few.batch(3 + k)
        assert torch.equal(again, x[4 * k : 4 * k + 4]) and torch.equal(
            own, label[4 * k : 4 * k + 4]
        )
        part, own = many.part(k, 3).batch(1)
        assert torch.equal(part, x[4 * k : 4 * k + 4]) and torch.equal(
            own, label[4 * k : 4 * k + 4]
        )
    other, _ = ReflectionStream(peaks, 4, 12, GRID, target).batch(1)
    assert not torch.allclose(other, x)


def test_streams_are_uniform_over_their_targets():
    n = 46_000
    for target, classes in (("extinction groups", 99), ("space groups", 230)):
        stream = ReflectionStream(Peaks(), 0, n, GRID, target)
        chosen = stream.space_groups(0)
        labels = chosen if classes == 230 else group_of_space_group()[chosen]
        counts = np.bincount(labels, minlength=classes + 1)[1:]
        chi2 = ((counts - n / classes) ** 2 / (n / classes)).sum()
        assert chi2 < classes + 5 * np.sqrt(2 * classes)
        groups = np.bincount(group_of_space_group()[chosen], minlength=100)[1:] / n
        np.testing.assert_allclose(groups, stream.class_probabilities, atol=6e-3)
        assert len(np.unique(chosen)) == 230


def test_labels_are_those_of_the_space_groups():
    for target in ("extinction groups", "space groups"):
        stream = ReflectionStream(Peaks(), 0, 50, GRID, target)
        x, label = stream.batch(2)
        chosen = stream.space_groups(2)
        expected = chosen if target == "space groups" else group_of_space_group()[chosen]
        np.testing.assert_array_equal(label, expected - 1)
        assert x.shape == (50, GRID.size) and x.dtype == torch.float32
        assert (x.amax(1) == 1).all() and x.min() >= 0


def test_a_balanced_set_holds_each_group_equally_often():
    x, label = balanced(Peaks(), 2, 9, GRID)
    assert x.shape == (198, GRID.size) and x.dtype == torch.float16
    np.testing.assert_array_equal(np.bincount(label), np.full(N_GROUPS, 2))
    assert len(torch.unique(x, dim=0)) == 198


def test_intensities_are_those_of_wilson_times_multiplicity():
    """Peaks of small cubic cells stand apart, so that heights can be read off."""
    n, number = 4000, np.arange(4000)
    peaks = Peaks(edges=(4.0, 4.0), multiplicity=True)
    chosen = np.full(n, 221)
    assert space_group(221)["symbol"] == "Pm-3m"
    plain = patterns(peaks, chosen[:1], number[:1], 0, GRID)[0]
    drawn = patterns(Peaks(**vars(peaks) | {"wilson": True}), chosen, number, 0, GRID)
    for hkl, multiplicity in (((1, 0, 0), 6), ((1, 1, 0), 12), ((1, 1, 1), 8), ((2, 1, 0), 24)):
        sine = CU_KA1 / 2 / 4.0 * np.linalg.norm(hkl)
        at = round((2 * np.degrees(np.arcsin(sine)) - 5) / 0.04)
        assert plain[at - 1 : at + 2].max() == pytest.approx(multiplicity, rel=0.1)
        ratio = drawn[:, at] / plain[at]
        assert ratio.mean() == pytest.approx(1, abs=0.06)  # an exponential distribution
        assert ratio.std() == pytest.approx(1, abs=0.08)
        assert (ratio < np.log(2)).float().mean() == pytest.approx(0.5, abs=0.03)
    missing = patterns(Peaks(**vars(peaks) | {"missing": 0.25}), chosen, number, 0, GRID)
    assert (missing[:, at] < 1e-3).float().mean() == pytest.approx(0.25, abs=0.03)
    rest = missing[:, at] >= 1e-3
    torch.testing.assert_close(missing[rest, at], plain[at].expand(int(rest.sum())))


@pytest.mark.parametrize(
    "call",
    [
        lambda: Peaks(edges=(0.0, 5.0)),
        lambda: Peaks(edges=(6.0, 5.0)),
        lambda: Peaks(caglioti=(0.01, -0.02, 0.005)),
        lambda: Peaks(missing=1.0),
        lambda: ReflectionStream(Peaks(), 0, 0),
        lambda: ReflectionStream(Peaks(), 0, 8, target="laue groups"),
        lambda: ReflectionStream(Peaks(), 0, 8).part(0, 3),
    ],
)
def test_impossible_requests_are_refused_clearly(call):
    with pytest.raises(XrdlibError):
        call()
