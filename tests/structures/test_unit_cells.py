import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrdlib.structures.unit_cells import crowded, difference, formula_amounts
from xrdlib.symmetry.groups import operations


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("(Al_Si3)_(Na.75_K.25)_O8", {"Al": 1, "Si": 3, "Na": 0.75, "K": 0.25, "O": 8}),
        ("Ca2_(SO4)2_(H2O)", {"Ca": 2, "S": 2, "O": 9, "H": 2}),
        ("(Ca8.5[Al2O6]3)2", {"Ca": 17, "Al": 12, "O": 36}),
    ],
)
def test_formulas_are_added_up(text, amounts):
    assert formula_amounts(text) == pytest.approx(amounts)


@pytest.mark.parametrize("text", ["", "CH3COONa!3H2O", "Ca7,95_O", "Xy2_O", "(Ca2", "Ca)2", "na"])
def test_what_cannot_be_read_is_no_formula(text):
    assert formula_amounts(text) is None


amount = st.dictionaries(st.sampled_from(["Si", "O", "Ca", "Fe"]), st.floats(0.1, 9), min_size=1)


@given(first=amount, second=amount, scale=st.floats(0.1, 50))
def test_difference_of_compositions_is_a_distance_of_fractions(first, second, scale):
    apart = difference(first, second)
    assert 0 <= apart <= 1 + 1e-9
    assert apart == pytest.approx(difference(second, first))
    assert difference(first, {e: scale * n for e, n in first.items()} | {"H": 3.0}) < 1e-9
    assert (apart > 1 - 1e-9) == (not first.keys() & second.keys())


@pytest.mark.parametrize(
    ("sites", "expected"),
    [
        ([("O", (0.03, 0.2, 0.02), 1)], True),  # its image across the twofold axis
        ([("O", (0.03, 0.2, 0.02), 0.5)], False),  # split: one of the two is there
        ([("O", (0, 0.2, 0), 1)], False),  # on the axis: its own image
        ([("O", (0.1, 0.2, 0.3), 1), ("Ti", (0.1, 0.2, 0.3), 1)], False),
        ([("O", (0.1, 0.2, 0.3), 1), ("H", (0.15, 0.25, 0.3), 1)], False),
        ([("O", (0.1, 0.2, 0.3), 1), ("Ti", (0.9, 0.3, 0.7), 1)], True),
    ],
)
def test_atoms_too_close_are_seen_across_symmetry_and_cell_edges(sites, expected):
    elements, frac, occupancy = zip(*sites, strict=True)
    lattice = np.diag([6.0, 6.0, 6.0])
    given_sites = (list(elements), np.array(frac, dtype=float), np.array(occupancy, dtype=float))
    assert crowded(*given_sites, *operations(3), lattice) is expected
