import base64
import json
import sqlite3

import numpy as np
import pytest

from xrdlib.base.errors import XrdlibError
from xrdlib.structures.entries import Unreadable, amcsd_entries, element, number


def column(*values):
    return base64.b64encode(np.array(np.multiply(values, 4e6), dtype="<i4").tobytes()).decode()


@pytest.fixture
def database(tmp_path):
    """A file of the AMCSD's layout: one good structure, one with a cell that is no number."""
    path = tmp_path / "amcsd.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        """create table minerals (id, name);
        create table spacegroups (id, hm_notation, symmetry_xyz);
        create table cif (id, mineral_id, spacegroup_id, formula, a, b, c, alpha, beta, gamma,
            cell_volume, crystal_density, atoms_sites, atoms_x, atoms_y, atoms_z,
            atoms_occupancy);
        insert into minerals values (1, '<missing>');"""
    )
    operators = json.dumps(["x,y,z", "-x,-y,-z"])
    connection.execute("insert into spacegroups values (1, 'P -1 %var1%', ?)", [operators])
    sites = json.dumps(["Si1", "Wat"]), column(0.25, -0.5), "0", column(0, 1.125), column(1, 0.5)
    for id_, a in ((9, "four"), (7, "5.93(2)")):
        row = [id_, 1, 1, "Si O2", a, "6", "7,5", "90", "91", "92", "266.4", "1.2", *sites]
        connection.execute(f"insert into cif values ({','.join('?' * len(row))})", row)
    connection.commit()
    connection.close()
    return path


def test_columns_of_the_sqlite_file_are_decoded(database):
    entry, bad = amcsd_entries(database)
    assert (entry.id, entry.mineral, entry.symbol) == ("7", "", "P -1")
    assert entry.cell == (5.93, 6, 7.5, 90, 91, 92)
    assert np.allclose(entry.frac, [[0.25, 0, 0], [-0.5, 0, 1.125]])
    assert np.allclose(entry.occupancy, [1, 0.5])
    assert isinstance(bad, Unreadable)


@pytest.mark.parametrize("content", [None, b"", b"not a database at all" * 100])
def test_what_is_no_database_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "x.db").write_bytes(content)
    with pytest.raises(XrdlibError, match="not the AMCSD database"):
        amcsd_entries(tmp_path / "x.db")


@pytest.mark.parametrize(
    ("text", "value"), [("5.93(2)", 5.93), (" 90", 90), ("6.4235,", 6.4235), ("3,25", 3.25)]
)
def test_numbers_as_printed(text, value):
    assert number(text) == value


@pytest.mark.parametrize(
    ("label", "formula", "z"),
    [
        ("Fe2+", "Fe S2", 26),
        ("FeM1", "Fe2 Si O4", 26),
        ("O-H3", "Al O (O H)", 8),
        ("W1", "Ca W O4", 74),
        ("Os", "Mg Si O3", 8),
        ("D1", "Ca S O6 D4", 1),
        ("Ob1", "Al Si2 O6 H", 8),
        ("Nb(B)", "Fe Ta2 O6", 41),
    ],
)
def test_labels_are_read_in_the_light_of_the_formula(label, formula, z):
    assert element(label, formula) == z


@pytest.mark.parametrize("label", ["", "M1", "?", "X", "12"])
def test_a_label_without_an_element_is_unreadable(label):
    with pytest.raises(Unreadable):
        element(label, "Na Cl")
