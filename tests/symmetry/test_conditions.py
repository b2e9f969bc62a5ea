"""Reflection conditions against gemmi's absences, in all 230 space groups."""

from itertools import product

import gemmi
import numpy as np
import pytest

from xrdlib.symmetry import groups
from xrdlib.symmetry.conditions import ZONES, conditions, in_zone

HKL = np.array(list(product(range(-4, 5), range(-4, 5), range(-6, 7))))
SETTINGS = {sg.number: sg for sg in gemmi.spacegroup_table() if sg.is_reference_setting()}


def broken(chosen, rotations, hkl):
    """Reflections of which an equivalent breaks a condition."""
    equivalents = [hkl @ rotation for rotation in rotations]
    return np.any([c.violated(e) for c in chosen for e in equivalents] or [np.zeros(len(hkl))], 0)


@pytest.mark.parametrize("system", groups.SYSTEMS)
def test_conditions_say_what_is_absent_and_no_more(system):
    numbers = [n for n in range(1, 231) if groups.space_group(n)["crystal_system"] == system]
    # Of an extinction group one member is enough, unless their axes differ.
    sets = {}
    for number in numbers:
        operations = SETTINGS[number].operations()
        absent = np.array([operations.is_systematically_absent(h) for h in HKL.tolist()])
        sets.setdefault((absent.tobytes(), len(operations.sym_ops)), (number, absent))
    for number, absent in sets.values():
        rotations = np.unique(groups.operations(number)[0], axis=0).astype(int)
        chosen = conditions(number)
        assert (broken(chosen, rotations, HKL) == absent).all(), (number, list(map(str, chosen)))


# International Tables A, as printed.
@pytest.mark.parametrize(
    ("number", "stated"),
    [
        (1, set()),
        (14, {"h0l: l = 2n", "0k0: k = 2n"}),
        (19, {"h00: h = 2n", "0k0: k = 2n", "00l: l = 2n"}),
        (62, {"0kl: k+l = 2n", "hk0: h = 2n"}),
        (146, {"hkl: -h+k+l = 3n"}),
        (169, {"00l: l = 6n"}),
        (212, {"h00: h = 4n"}),
        (220, {"hkl: h+k+l = 2n", "hhl: 2h+l = 4n"}),
    ],
)
def test_conditions_read_as_in_the_tables(number, stated):
    assert set(map(str, conditions(number))) == stated


def test_other_axes_give_the_conditions_of_the_other_setting():
    # P21/n from P21/c: the glide runs along a + c.
    change = ((1, 0, 1), (0, 1, 0), (0, 0, 1))
    assert set(map(str, conditions(14, change))) == {"h0l: h+l = 2n", "0k0: k = 2n"}


@pytest.mark.parametrize("zone", ZONES)
def test_a_zone_is_a_lattice_plane_or_row_through_the_origin(zone):
    inside = HKL[in_zone(zone, HKL)]
    assert np.linalg.matrix_rank(inside) == len({c for c in zone if c.isalpha()})
    assert in_zone(zone, -inside).all() and in_zone(zone, 2 * inside).all()
