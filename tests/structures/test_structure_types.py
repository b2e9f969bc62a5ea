"""Isotypes stay together: metrics made by hand, and the AMCSD's own structures."""

import needed
import numpy as np

from xrdlib.structures import structure_library
from xrdlib.structures.structure_types import structure_types

CUBIC = np.eye(3)


def types(*rows):
    """Types of (symbol, space group, lattice, atoms, family)."""
    return structure_types(*zip(*rows, strict=True))


def test_isotypes_have_group_cell_and_number_of_atoms_in_common():
    spinel = ("F d -3 m", 227, 8.08 * CUBIC, 56, "Spinel")
    names = types(
        spinel,
        ("F d -3 m", 227, 8.20 * CUBIC, 56, "Hercynite"),
        ("F d -3 m", 227, 8.40 * CUBIC, 56, "Magnetite"),  # too far from the one before
        ("F d -3 m", 227, 8.08 * CUBIC, 64, "other atoms"),
        ("F -4 3 m", 216, 8.08 * CUBIC, 56, "other group"),
        ("F d -3 m", 227, 9.80 * CUBIC, 56, "Spinel"),  # a family stays whole
    )
    assert names[0] == names[1] == names[5] == "Hercynite type"
    assert names[2:5] == ["Magnetite", "other atoms", "other group"]


def test_types_are_chains_of_isotypes():
    edges = 5 * 1.015 ** np.arange(6)
    names = types(*(("P m -3 m", 221, a * CUBIC, 5, f"M{i}") for i, a in enumerate(edges)))
    assert set(names) == {"M0 type"}


def test_settings_of_one_structure_are_one_type():
    """P21/c and P21/n of the same lattice; rhombohedral and hexagonal axes."""
    a, b, c, beta = 6.0, 7.0, 9.0, np.radians(105)
    first = np.array([[a, 0, 0], [0, b, 0], [c * np.cos(beta), 0, c * np.sin(beta)]])
    other = np.array([first[0] + first[2], first[1], -first[0]])
    assert len(set(types(("P 21/c", 14, first, 20, "x"), ("P 21/n", 14, other, 20, "y")))) == 1
    hexagonal = np.array([[5, 0, 0], [-2.5, 2.5 * 3**0.5, 0], [0, 0, 17.0]])
    back = np.array([[2, 1, 1], [-1, 1, 1], [-1, -2, 1]]) / 3
    rows = ("R -3 c", 167, hexagonal, 30, "x"), ("R -3 c", 167, back @ hexagonal, 10, "y")
    assert len(set(types(*rows))) == 1


def test_structures_of_unknown_group_are_of_their_family():
    row = ("?", 0, 5 * CUBIC, 5)
    assert types((*row, "x"), (*row, "y"), (*row, "x")) == ["x", "y", "x"]


def test_no_isotype_of_a_held_out_mineral_is_trained_on():
    crystals, table = needed.amcsd_sample()
    kept = table.groupby("type")["holdout"].nunique()
    assert (kept == 1).all() and table["type"].nunique() < table["family"].nunique()
    assert structure_library.counts(table)["structures"] == len(table) == len(crystals)
