"""Computed compounds from a small database of known structures, written to the published layout."""

import json
import sqlite3

import numpy as np
import pytest
import samples
import spglib
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from xrdlib.base.errors import XrdlibError
from xrdlib.structures.oqmd import build_oqmd
from xrdlib.symmetry.groups import group_of_space_group, half_rotations, operations

# Of what a row has, in the order of the file.
COLUMNS = "unique_id, numbers, positions, cell, pbc, key_value_pairs, natoms"
SCHEMA = (
    "CREATE TABLE systems (id INTEGER PRIMARY KEY AUTOINCREMENT, unique_id TEXT UNIQUE, "
    "numbers BLOB, positions BLOB, cell BLOB, pbc INTEGER, key_value_pairs TEXT, natoms INTEGER)"
)
# Name -> reduced formula with elements by number, space group, sites.
KEPT = {
    "halite": ("NaCl 225", 225, 2),
    "quartz": ("O2Si 154", 154, 2),
    "pyrite": ("S2Fe 205", 205, 2),
    "calcite": ("CO3Ca 167", 167, 3),
    "forsterite": ("O3Mg2Si 62", 62, 5),
    "scheelite": ("O2CaW 88", 88, 3),
    "tremolite-like": (None, 12, 4),
}


def row(structure, **changes):
    """A row of the file from a pymatgen structure."""
    metadata = {"name": "made", "stability": 0.02, "bandgap": float("nan"), **changes}
    return (
        np.array(structure.atomic_numbers, "<i4").tobytes(),
        structure.cart_coords.astype("<f8").tobytes(),
        structure.lattice.matrix.astype("<f8").tobytes(),
        json.dumps(metadata),
    )


def write(path, rows):
    with sqlite3.connect(path) as connection:
        connection.execute(SCHEMA)
        for i, (numbers, positions, cell, metadata) in enumerate(rows):
            values = (f"made {i}", numbers, positions, cell, 7, metadata, len(numbers or b"") // 4)
            marks = ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO systems ({COLUMNS}) VALUES ({marks})", values)
    connection.close()
    return path


def reoriented(structure, seed):
    """The primitive cell, turned and with its origin elsewhere, as a calculation may leave it."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    primitive = structure.get_primitive_structure()
    shift = rng.random(3)
    return Structure(
        Lattice(primitive.lattice.matrix @ turn), primitive.species, primitive.frac_coords + shift
    )


@pytest.fixture(scope="module")
def known():
    return [
        row(reoriented(samples.structures()[name], i), spacegroup=number)
        for i, (name, (_, number, _)) in enumerate(KEPT.items())
    ]


@pytest.fixture(scope="module")
def made(known, tmp_path_factory):
    return build_oqmd(write(tmp_path_factory.mktemp("oqmd") / "made, 100 %.db", known))


def test_known_structures_are_read_as_what_they_are(made):
    crystals, table = made
    assert len(crystals) == len(table) == len(KEPT) and table.attrs["skipped"] == {}
    for i, (name, (formula, number, sites)) in enumerate(KEPT.items()):
        structure = samples.structures()[name]
        assert crystals.space_group[i] == table["space_group"][i] == number
        assert crystals.group[i] == table["group"][i] == group_of_space_group()[number]
        assert crystals.name[i] == table["name"][i] and formula in (None, table["name"][i])
        assert table["n_sites"][i] == sites
        assert table["elements"][i] == tuple(sorted(set(structure.atomic_numbers)))
        assert np.isclose(table["volume"][i], structure.volume, rtol=1e-4)
        assert np.isclose(np.linalg.det(crystals.lattice[i]), structure.volume, rtol=1e-4)
        atoms = slice(crystals.start[i], crystals.start[i + 1])
        assert sorted(crystals.number[atoms]) == sorted(structure.atomic_numbers)
    assert (crystals.occupancy == 1).all() and crystals.frac.dtype == np.float32


def test_cells_are_on_the_reference_axes(made):
    """The rotations that spglib finds are those of the tables, one by one."""
    crystals, _ = made
    for i in range(len(crystals)):
        rotations = operations(int(crystals.space_group[i]))[0]
        atoms = slice(crystals.start[i], crystals.start[i + 1])
        cell = crystals.lattice[i], crystals.frac[atoms], crystals.number[atoms]
        detected = spglib.get_symmetry(cell, symprec=1e-3)["rotations"].astype(np.int8)
        assert len(detected) == len(rotations)  # the cell is the conventional one
        assert {w.tobytes() for w in detected} == {w.tobytes() for w in rotations}
        assert (crystals.rotations[i] == half_rotations(rotations)).all()


def test_each_row_that_is_left_out_is_counted_by_reason(known, tmp_path):
    halite, carbonate = (samples.structures()[name] for name in ("halite", "calcite"))
    iron = Structure(Lattice.cubic(2.87), ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    close = Structure(Lattice.cubic(6.0), ["O", "O", "Na"], [[0, 0, 0], [0.03, 0, 0], [0.5] * 3])
    points = np.stack(np.meshgrid(*[np.arange(8) / 8] * 3), -1).reshape(-1, 3)
    chosen = np.random.default_rng(1).permutation(points)[:401]
    many = Structure(Lattice.orthorhombic(30, 31, 32), ["O"] * 401, chosen)
    good = row(halite, spacegroup=225)
    bad_cell = row(Structure(Lattice(np.diag([5, 5, 5.0])), ["O"], [[0, 0, 0]]), spacegroup=221)
    flat = np.diag([5.0, 5.0, 0.0]).tobytes()
    rows = {
        "a metal": [row(iron, spacegroup=229)] * 2,
        "far from stability": [
            row(halite, spacegroup=225, stability=0.3),
            row(halite, spacegroup=225, stability=float("nan")),
            (*good[:3], '{"spacegroup": 225}'),
        ],
        "a doubtful group": [row(shaken("quartz", 0.01), spacegroup=152)],
        "a large cell": [row(many, spacegroup=1)],
        "atoms that lie upon each other": [
            row(close, spacegroup=SpacegroupAnalyzer(close, 0.05).get_space_group_number())
        ],
        "not readable": [
            (None, *good[1:]),
            (good[0], good[1][:-24], *good[2:]),
            (*good[:2], good[2][:-8], good[3]),
            (*good[:3], "{not json"),
            (*good[:3], '{"stability": "low", "spacegroup": 225}'),
            (*bad_cell[:2], flat, bad_cell[3]),
            (good[0], np.full(24, np.nan).tobytes(), *good[2:]),
        ],
    }  # fmt: skip
    mixed = [r for part in rows.values() for r in part]
    crystals, table = build_oqmd(
        write(tmp_path / "mixed.db", [good, *mixed, row(carbonate, spacegroup=167)])
    )
    assert list(table["name"]) == ["NaCl 225", "CO3Ca 167"]
    assert table.attrs["skipped"] == {reason: len(part) for reason, part in rows.items()}
    assert len(crystals) == 2


def shaken(name, sigma):
    """A sample with noise in its coordinates, angstrom."""
    structure = samples.structures()[name]
    noise = sigma * np.random.default_rng(3).normal(size=structure.cart_coords.shape)
    moved = structure.cart_coords + noise
    return Structure(structure.lattice, structure.species, moved, coords_are_cartesian=True)


def test_where_the_stated_group_is_wrong_the_atoms_are_believed_if_they_are_exact(tmp_path):
    exact = samples.structures()["halite"]
    rows = [row(exact, spacegroup=221), row(exact), row(shaken("quartz", 0.01), spacegroup=152)]
    crystals, table = build_oqmd(write(tmp_path / "wrong.db", rows))
    assert list(crystals.space_group) == [225, 225]
    assert table.attrs["skipped"] == {"a doubtful group": 1}


def test_another_database_is_refused(known, tmp_path):
    (tmp_path / "text.db").write_text("hello " * 400)
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE minerals (name TEXT)")
    connection.close()
    content = write(tmp_path / "whole.db", known * 40).read_bytes()
    (tmp_path / "cut.db").write_bytes(content[: len(content) // 2])
    for name in ("none.db", "text.db", "other.db", "cut.db"):
        with pytest.raises(XrdlibError, match=rf"{name} is not the expected .*fetch it again"):
            build_oqmd(tmp_path / name)
    with pytest.raises(XrdlibError, match="holds no usable structure"):
        build_oqmd(write(tmp_path / "empty.db", []))
