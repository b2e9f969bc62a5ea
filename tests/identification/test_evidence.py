"""Reflections of a cell: their positions and absences against gemmi, and what decides."""

from itertools import permutations

import gemmi
import numpy as np
import pytest

from xrdlib.base.errors import XrdlibError
from xrdlib.identification.cell_evidence import cell_reflections, evidence
from xrdlib.prediction.plots import hkl_name
from xrdlib.prediction.widgets import quartz
from xrdlib.symmetry import groups
from xrdlib.symmetry.cells import settings

WAVELENGTH = 1.540593
CELLS = {
    "triclinic": (5.1, 6.3, 7.7, 81, 95, 103),
    "monoclinic": (5.1, 6.3, 7.7, 90, 104, 90),
    "orthorhombic": (5.1, 6.3, 7.7, 90, 90, 90),
    "tetragonal": (5.1, 5.1, 7.7, 90, 90, 90),
    "trigonal": (5.1, 5.1, 7.7, 90, 90, 120),
    "hexagonal": (5.1, 5.1, 7.7, 90, 90, 120),
    "cubic": (5.1, 5.1, 5.1, 90, 90, 90),
}
RNG = np.random.default_rng(0)
HKL = RNG.integers(-6, 7, size=(400, 3))
HKL = np.concatenate([HKL, HKL * [0, 1, 1], HKL * [1, 0, 1], HKL * [1, 1, 0], HKL * [0, 0, 1],
                      HKL * [1, 0, 0], HKL * [0, 1, 0], HKL[:, [0, 0, 2]]])  # fmt: skip


def absent(sg, hkl):
    operations = sg.operations()
    return np.array([operations.is_systematically_absent(h) for h in hkl.tolist()])


@pytest.mark.parametrize("label", range(1, 100))
def test_settings_are_those_that_gemmi_lists(label):
    row = groups.extinction_groups().loc[label]
    number = row.space_groups[0]
    system = groups.space_group(number)["crystal_system"]
    cell = CELLS[system]
    ours = {groups.absent(number, HKL @ change).tobytes() for change in settings(label, cell)}
    # Tables list supercells and rhombohedral axes too, which are other cells than the one given.
    translations = len(gemmi.find_spacegroup_by_number(number).operations().cen_ops)
    listed = [
        sg
        for sg in gemmi.spacegroup_table()
        if sg.number in row.space_groups
        and sg.crystal_system_str() == system
        and len(sg.operations().cen_ops) == translations
    ]
    if system == "monoclinic":
        listed = [sg for sg in listed if sg.monoclinic_unique_axis() == "b"]
    theirs = {absent(sg, HKL).tobytes() for sg in listed}
    assert theirs and theirs <= ours


@pytest.mark.parametrize("system", CELLS)
def test_reflections_lie_where_gemmi_says_and_none_is_missing(system):
    cell = gemmi.UnitCell(*CELLS[system])
    hkl, number, two_theta, d = cell_reflections(CELLS[system], WAVELENGTH, 10, 60)
    theirs = [cell.calculate_d(h) for h in hkl.tolist()]
    assert np.allclose(d[number], theirs, rtol=1e-6)
    assert np.allclose(np.sin(np.radians(two_theta) / 2) * 2 * d, WAVELENGTH)
    assert (np.diff(two_theta) > 0).all() and two_theta[0] >= 10 and two_theta[-1] <= 60
    listed = set(map(tuple, hkl.tolist()))
    for h in np.ndindex(17, 17, 21):
        h = tuple(np.subtract(h, (8, 8, 10)).tolist())
        sine = WAVELENGTH / 2 / cell.calculate_d(h) if any(h) else 0
        if np.sin(np.radians(5)) < sine < np.sin(np.radians(30)):
            assert h in listed or tuple(-i for i in h) in listed, h


def pattern(cell, number, seed=0):
    """Every reflection that gemmi allows in a space group, 5 to 60 degrees, with counting noise."""
    two_theta = np.arange(5, 60, 0.02)
    sg = next(s for s in gemmi.spacegroup_table() if s.number == number)
    hkl, number, at, _ = cell_reflections(cell, WAVELENGTH, 5, 60)
    allowed = {int(k) for k, out in zip(number, absent(sg, hkl), strict=True) if not out}
    shape = sum(np.exp(-4 * np.log(2) * ((two_theta - at[k]) / 0.1) ** 2) for k in allowed)
    return two_theta, np.random.default_rng(seed).poisson(20 + 2000 * shape), at, allowed


@pytest.mark.parametrize("number", [4, 14, 15, 19, 61, 62, 92, 141, 146, 152, 205, 227])
def test_the_true_group_is_not_contradicted_and_its_reflections_are_seen(number):
    label = int(groups.group_of_space_group()[number])
    cell = CELLS[groups.space_group(number)["crystal_system"]]
    two_theta, counts, at, allowed = pattern(cell, number)
    found = evidence(two_theta, counts, WAVELENGTH, cell, [label])
    (candidate,) = found.candidates
    assert np.allclose(found.two_theta, at)
    assert set(np.flatnonzero(candidate.state == 1).tolist()) == allowed
    assert not candidate.contradicted.any() and len(found.decisive) == 0
    assert found.seen[sorted(allowed)].mean() > 0.9


def test_a_wrong_group_is_contradicted_by_what_it_forbids():
    cell = CELLS["monoclinic"]
    two_theta, counts, at, allowed = pattern(cell, 4)  # P21: 0k0 alone is absent
    labels = [int(groups.group_of_space_group()[n]) for n in (4, 14, 15)]
    found = evidence(two_theta, counts, WAVELENGTH, cell, labels)
    right, glide, centred = found.candidates
    assert not right.contradicted.any()
    for wrong in (glide, centred):
        assert wrong.contradicted.any()
        lost = set(np.flatnonzero(wrong.contradicted).tolist())
        assert lost <= allowed and not (wrong.state[sorted(lost)] == 1).any()
    assert (glide.state >= 0).all() and (centred.state == -1).any()
    # What decides is allowed by one and forbidden by another, and not hidden.
    states = np.array([c.state[found.decisive] == 1 for c in found.candidates])
    assert len(found.decisive) > 10 and (states.any(0) & ~states.all(0)).all()


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_the_names_of_the_axes_do_not_matter(order):
    cell = CELLS["orthorhombic"]
    two_theta, counts, _, allowed = pattern(cell, 62)
    renamed = (*(cell[i] for i in order), 90, 90, 90)
    label = int(groups.group_of_space_group()[62])
    (candidate,) = evidence(two_theta, counts, WAVELENGTH, renamed, [label]).candidates
    assert not candidate.contradicted.any()
    assert set(np.flatnonzero(candidate.state == 1).tolist()) == allowed


def test_groups_of_another_system_are_set_aside():
    cubic = int(groups.group_of_space_group()[227])
    two_theta, counts, _, _ = pattern(CELLS["orthorhombic"], 19)
    found = evidence(two_theta, counts, WAVELENGTH, CELLS["orthorhombic"], [cubic, 10])
    assert found.impossible == [cubic] and [c.label for c in found.candidates] == [10]
    assert settings(cubic, CELLS["tetragonal"]) == [] and settings(10, CELLS["cubic"])


def test_quartz_tells_its_screw_axis():
    sample = quartz()
    cell = (4.916, 4.916, 5.4054, 90, 90, 120)
    found = evidence(sample.two_theta, sample.intensity, sample.wavelength, cell, [72, 75])
    screw, rhombohedral = found.candidates
    assert screw.conditions == "00l: l = 3n" and not screw.contradicted.any()
    assert rhombohedral.contradicted.sum() > 3


def test_indices_of_two_digits_stand_apart():
    assert [hkl_name(h) for h in ([1, 1, 2], [1, 11, 2], [11, 1, 2])] == [
        "112", "1\u200911\u20092", "11\u20091\u20092",
    ]  # fmt: skip
    assert hkl_name(np.array([0, -3, 1])) == r"0$\bar{3}$1"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ((5, 6, 7), "not six numbers"),
        ((5, 6, np.nan, 90, 90, 90), "not six numbers"),
        ((5, 6, -7, 90, 90, 90), "impossible"),
        ((5, 6, 7, 60, 60, 150), "impossible"),
        ((150, 150, 150, 90, 90, 90), "more than"),
        ((0.6, 0.6, 0.6, 90, 90, 90), "no reflection"),
    ],
)
def test_a_cell_that_cannot_be_is_refused(cell, message):
    with pytest.raises(XrdlibError, match=message):
        cell_reflections(cell, WAVELENGTH, 5, 60)
