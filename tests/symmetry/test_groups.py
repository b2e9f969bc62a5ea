"""Extinction groups against the published table, and against spglib, which did not derive them."""

import itertools
import re

import gemmi
import networkx as nx
import numpy as np
import pytest
import spglib

from xrdlib.base import paths
from xrdlib.base.errors import XrdlibError
from xrdlib.symmetry import groups

HKL = np.array(list(itertools.product(range(-6, 7), repeat=3)))
NUMBERS = range(1, 231)

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")


@pytest.fixture(scope="module")
def table():
    return groups.extinction_groups()


def extinct(rotations, translations, hkl=HKL):
    """Absences as zeros of the structure factor of general positions: no rule of symmetry."""
    atoms = np.array([[0.1234, 0.2718, 0.3141], [0.0577, 0.4142, 0.1618]])
    factors = [np.exp(2j * np.pi * (hkl @ (rotations @ x + translations).T)).sum(1) for x in atoms]
    return (np.abs(factors) < 1e-6).all(0)


@pytest.fixture(scope="module")
def settings():
    """Spglib's (type, rotations, translations, absences of HKL), rhombohedral cells left out."""
    rows = []
    for hall in range(1, 531):
        if (kind := spglib.get_spacegroup_type(hall)).choice != "R":
            w, t = spglib.get_symmetry_from_database(hall).values()
            rows.append((kind, w, t, extinct(w, t)))
    return rows


def test_members_equal_the_published_ones_in_both_directions(table, reference_table):
    published = {n: label for label, row in enumerate(reference_table, 1) for n in row[2]}
    assert sorted(published) == list(NUMBERS)
    assert [published[n] for n in NUMBERS] == groups.group_of_space_group()[1:].tolist()
    assert [row[2] for row in reference_table] == table.space_groups.tolist()


def test_symbols_order_and_settings_equal_the_published_ones(table, reference_table):
    for (symbol, others, _), (_, row) in zip(reference_table, table.iterrows(), strict=True):
        assert re.sub(" ", "", row.symbol) == symbol
        assert {re.sub(" ", "", s) for s in row.settings} == {symbol, *others}


def test_operations_and_absences_agree_with_spglib_in_the_reference_setting(settings):
    checked = set()
    for kind, rotations, translations, expected in settings:
        if kind.number in checked or kind.choice not in ("", "b", "b1", "H", "2"):
            continue
        checked.add(kind.number)
        ours = groups.operations(kind.number)
        as_set = [
            set(map(tuple, np.hstack([w.reshape(-1, 9), np.rint(24 * t) % 24]).tolist()))
            for w, t in (ours, (rotations, translations))
        ]
        assert as_set[0] == as_set[1], kind
        assert np.array_equal(groups.absent(kind.number, HKL), expected), kind
    assert checked == set(NUMBERS)


def test_97_classes_are_those_whose_absences_coincide_in_some_setting(table, settings):
    """Classes by another road: linked wherever any two of spglib's settings look alike."""
    families = np.searchsorted([2, 15, 74, 142, 194, 230], np.arange(231))
    graph = nx.Graph((k.number, (families[k.number], p.tobytes())) for k, _, _, p in settings)
    linked = {
        frozenset(node for node in component if isinstance(node, int))
        for component in nx.connected_components(graph)
    }
    by_class = table.groupby("diffraction_class").space_groups
    assert linked == {frozenset(itertools.chain(*members)) for _, members in by_class}
    assert len(linked) == groups.N_CLASSES


LATTICE = {"P": [], "A": ["bc"], "B": ["ac"], "C": ["ab"], "I": ["abc"], "F": ["ab", "ac"], "R": []}
DIRECTIONS = {
    "monoclinic": ("a", "b", "c"),
    "orthorhombic": ("a", "b", "c"),
    "cubic": ("c", None, "a-b"),
    "R": ("c", None, "a"),
}


def spelled(symbol, system, rotations):
    """Absences that follow from the letters of a symbol and the symmetry of the lattice."""
    centring, positions = groups.read_symbol(symbol)
    unit = {"a": [12, 0, 0], "b": [0, 12, 0], "c": [0, 0, 12], "a-b": [12, -12, 0]}
    vector = {name: np.array(v) for name, v in unit.items()}
    everywhere = np.zeros((3, 3), dtype=int)
    # A condition: the reflections with no component along some vectors, and a translation in 24ths.
    conditions = [(everywhere, sum(vector[a] for a in axes)) for axes in LATTICE[centring]]
    conditions += [(everywhere, np.array([16, 8, 8]))] if centring == "R" else []
    directions = DIRECTIONS.get("R" if centring == "R" else system, ("c", "a", "a-b"))
    for elements, axis in zip(positions, directions, strict=False):
        for element in elements:
            if element[0].isdigit():
                others = [vector[name] for name in "abc" if name != axis]
                order, shift = map(int, element)
                conditions.append((np.array(others), 2 * vector[axis] * shift // order))
                continue
            normal = np.array([vector[axis]])
            diagonal = sum(vector[name] for name in "abc" if name != axis)
            for letter in element:
                shift = {"n": diagonal, "d": diagonal // 2}.get(letter)
                conditions.append((normal, vector[letter] if shift is None else shift))
    result = np.zeros(len(HKL), dtype=bool)
    for rotation in rotations:
        turned = HKL @ rotation
        for normals, shift in conditions:
            result |= (turned @ normals.T == 0).all(1) & (turned @ shift % 24 != 0)
    return result.tobytes()


def test_symbols_spell_exactly_the_absences_of_their_groups(table, settings):
    """Every symbol of every axis setting, read letter by letter."""
    for _, row in table[table.crystal_system != "triclinic"].iterrows():
        axial = row.crystal_system in ("monoclinic", "orthorhombic")
        rotations = groups.half_rotations(groups.operations(row.space_groups[0])[0])
        rotations = [np.eye(3, dtype=int)] if axial else np.unique(rotations, axis=0).astype(int)
        symbols = row.settings if axial else [row.symbol]
        spelled_out = {spelled(symbol, row.crystal_system, rotations) for symbol in symbols}
        for member in row.space_groups:
            absences = {p.tobytes() for k, _, _, p in settings if k.number == member}
            assert spelled_out == absences, (row.symbol, member)


def test_templates_are_distinct_and_well_formed(table):
    templates = groups.templates()
    assert templates.shape == (99, 37) and len(np.unique(templates, axis=0)) == 99
    assert (templates[:, groups.SYSTEM].sum(1) == 1).all()
    assert (templates[:, groups.CENTRING].sum(1) == 1).all()
    assert templates[:, groups.OPERATORS].any(0).sum() >= 20
    assert np.array_equal(np.array(table.template.tolist()), templates)


@pytest.mark.parametrize(
    ("space_group", "expected"),
    [
        (14, {"monoclinic", "P", "1:21", "1:b"}),  # P21/c, unique axis a in the table
        (2, {"triclinic", "P"}),
        (86, {"tetragonal", "P", "1:42", "1:n"}),
        (62, {"orthorhombic", "P", "2:c", "3:n"}),
        (64, {"orthorhombic", "C", "2:c", "3:ab"}),
        (167, {"trigonal", "R", "3:c"}),
        (227, {"cubic", "F", "1:d"}),
        (176, {"hexagonal", "P", "1:63"}),
        (194, {"trigonal", "P", "3:c"}),  # pooled with P31c
    ],
)
def test_templates_read_as_what_they_are(space_group, expected):
    row = groups.templates()[groups.group_of_space_group()[space_group] - 1]
    bits = {name for name, bit in zip(groups.TEMPLATE_BITS, row, strict=True) if bit}
    assert bits == expected


def test_hermann_mauguin_symbols_name_the_space_groups():
    for number in NUMBERS:
        assert gemmi.find_spacegroup_by_name(groups.reference_symbol(number)).number == number
    known = {14: "P21/c", 64: "Cmce", 156: "P3m1", 157: "P31m", 167: "R-3c", 225: "Fm-3m"}
    assert {number: groups.reference_symbol(number) for number in known} == known


def test_half_rotations_give_every_equivalent_reflection_the_same_weight():
    hkl = np.array([1, 2, 5])
    for number in NUMBERS:
        rotations = groups.operations(number)[0].astype(int)
        half = groups.half_rotations(rotations)
        assert half.shape == (24, 3, 3) and half.dtype == np.int8
        count = np.unique(half, axis=0, return_counts=True)[1]
        assert len(set(count)) == 1
        equivalents = np.concatenate([hkl @ rotations, -hkl @ rotations])
        ours = np.concatenate([hkl @ half, -hkl @ half])
        assert set(map(tuple, equivalents)) == set(map(tuple, ours))


@pytest.mark.parametrize("number", [0, 231, -1, 14.5, "14", None])
def test_a_number_that_is_no_space_group_is_refused(number):
    with pytest.raises(XrdlibError, match="1..230"):
        groups.operations(number)


@pytest.mark.parametrize(
    "rotations",
    [np.zeros((0, 3, 3)), [2 * np.eye(3)], [np.eye(3), np.diag([1, -1, -1]), np.diag([-1, 1, -1])]],
)
def test_rotations_that_are_no_point_group_are_refused(rotations):
    with pytest.raises(XrdlibError, match="point group"):
        groups.half_rotations(rotations)


def test_a_missing_table_says_how_to_make_it(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "TABLES", tmp_path)
    groups.table.cache_clear()
    try:
        with pytest.raises(XrdlibError, match="xrdlib derive"):
            groups.table()
    finally:
        groups.table.cache_clear()


def test_the_committed_table_is_what_the_operations_give():
    from xrdlib.symmetry import derive

    committed = (paths.TABLES / "symmetry.json").read_text(encoding="utf-8")
    assert derive.derive() == committed
