"""Structures of the Materials Project and patterns of other laboratories, from small files."""

import gzip
import json
import zipfile

import needed
import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from xrdlib import simulate
from xrdlib.base import paths
from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import CALCULATION_GRID
from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.powder import calculated
from xrdlib.structures import materials_project, measured
from xrdlib.structures.datasets import MissingData

COLUMNS = ["formula", "space_group"]
CELL = (4.594, 4.594, 2.959, 90.0, 90.0, 90.0)


@pytest.fixture
def file(tmp_path):
    row = {
        "id": "mp-1", "formula": "Ti2O4", "space_group": 136, "hall_number": 419, "cell": CELL,
        "element": (22, 8), "position": (0.0, 0.0, 0.0, 0.305, 0.305, 0.0),
    }  # fmt: skip
    path = tmp_path / "mp_structures.parquet"
    pd.DataFrame([row, row | {"id": "mp-2", "formula": "Sn2O4"}]).to_parquet(path)
    return path


def test_cells_are_filled_as_pymatgen_fills_them(file):
    rows = materials_project.table(file)
    assert rows["type"].nunique() == 1 and rows["group"].tolist() == [52, 52]
    crystals = materials_project.crystals(rows)
    assert crystals.number.tolist() == [22, 22, 8, 8, 8, 8] * 2
    rutile = Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(*CELL[1:3]), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
    )
    computed = reflections(crystals.take([0]), 1.540593, 91)
    pattern = calculated(computed, 1.540593, 0.1, 0.5, CALCULATION_GRID).numpy()
    assert np.abs(pattern - simulate(rutile)).max() < 0.05


@pytest.fixture
def package(tmp_path):
    """Lists of formulas and space groups, as in the package."""
    content = {"O-Ti": [["TiO2", "1", 136, 0.0], ["Ti0.9O2", "2", 136, None]]}
    content["Ca-O-H"] = [["Ca(OH)2", "3", 164, None]]
    path = tmp_path / "lists.whl"
    with zipfile.ZipFile(path, "w") as archive:
        text = gzip.compress(json.dumps(content).encode())
        archive.writestr("dara/data/icsd_filtered_info_2024.json.gz", text)
        archive.writestr("dara/data/possible_species.txt", "no list")
    return path


def test_the_table_is_made_from_cif_files(tmp_path, package):
    """Rutile in a primitive cell of P1 comes back in its standard setting; others are left out."""
    rutile = Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(*CELL[1:3]), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
    )
    halite = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3]
    )
    folder = tmp_path / "cif"
    folder.mkdir()
    written = {"mp-20": rutile, "mp-3": rutile, "mp-4": halite, "mp-3000001": rutile}
    for name, structure in written.items():
        CifWriter(structure).write_file(folder / f"{name}.cif")
    (folder / "mp-5.cif").write_text("no CIF file")
    path = tmp_path / "made.parquet"
    assert materials_project.collect(tmp_path, package, path) == 2
    rows = materials_project.table(path)
    assert list(rows["id"]) == ["mp-3", "mp-20"] and set(rows["space_group"]) == {136}
    assert np.allclose(rows["cell"][0], CELL, atol=1e-3)
    filled = materials_project.crystals(rows)
    assert sorted(filled.number[:6]) == [8, 8, 8, 8, 22, 22]
    assert list(materials_project.names(rows)) == ["O2Ti 136 mp-3", "O2Ti 136 mp-20"]
    with pytest.raises(XrdlibError, match="no CIF file of a known structure"):
        materials_project.collect(folder / "none", package, path)
    with pytest.raises(XrdlibError, match="is not the package"):
        materials_project.collect(folder, path, path)


def test_the_table_at_hand_is_made_from_the_sample_at_hand(tmp_path):
    """The lists of formulas are taken from the table itself."""
    sample = paths.data_dir() / "mp_cif_sample"
    if not sample.is_dir():
        pytest.skip("no sample of CIF files is here")
    whole = pd.read_parquet(needed.data("materials-project"))
    listed = [[f.replace(" ", ""), "", int(n), None] for f, n in whole[COLUMNS].to_numpy()]
    package = tmp_path / "lists.whl"
    with zipfile.ZipFile(package, "w") as archive:
        text = gzip.compress(json.dumps({"all": listed}).encode())
        archive.writestr("dara/data/cod_filtered_info_2024.json.gz", text)
    path = tmp_path / "made.parquet"
    number = materials_project.collect(sample, package, path)
    made = pd.read_parquet(path)
    wanted = whole[whole["id"].isin(p.stem for p in sample.glob("*.cif"))].reset_index(drop=True)
    assert number == len(wanted) > 10
    for column in ("id", "formula", "space_group", "hall_number"):
        assert (made[column] == wanted[column]).all() and made[column].dtype == wanted[column].dtype
    for one, other in zip(made.itertuples(), wanted.itertuples(), strict=True):
        assert np.array_equal(one.element, other.element)
        assert np.allclose(one.cell, other.cell, rtol=0, atol=2e-5)
        apart = one.position - other.position
        assert np.abs(apart - np.rint(apart)).max() < 1e-5


def test_what_is_known_already_is_found_whatever_its_axes_are_called(file):
    crystals = materials_project.crystals(materials_project.table(file))
    computed = reflections(crystals.take([0]))
    again = crystals.take([0, 0, 0, 0, 0, 0])
    again.lattice[1] *= 1.02
    again.lattice[2] = again.lattice[2][[2, 0, 1]] * 1.005
    again.number[again.start[3]] = 50
    again.space_group[4] = 58
    again.lattice[5] *= 1.022
    repeated = materials_project.repeated(again, [computed])
    assert list(repeated) == [True, False, True, False, False, True]
    assert list(materials_project.repeated(crystals, [])) == [False, True]


def test_what_is_no_table_of_structures_is_refused(tmp_path):
    with pytest.raises(XrdlibError, match="no table of structures"):
        materials_project.table(tmp_path / "none.parquet")


def test_patterns_of_other_laboratories_are_brought_to_the_grid_and_split(tmp_path):
    angle = np.arange(10, 60, 0.02)
    start = np.arange(9) * len(angle)
    path = tmp_path / measured.OTHER
    arrays = {"start": start, "two_theta": np.tile(angle, 8), "wavelength": np.full(8, 1.5418)}
    arrays["intensity"] = np.tile(1 + 50 * np.exp(-(((angle - 30) / 0.1) ** 2)), 8)
    family = np.array([f"mineral {i // 2}" for i in range(8)])
    np.savez(path, **arrays, space_group=np.full(8, 14), family=family, name=family)
    patterns = measured.load_other(path)
    assert len(patterns) == 8 and (patterns.space_group == 14).all()
    peak = patterns.grid.two_theta[patterns.intensity.argmax(1)]
    assert np.allclose(peak, 30, atol=0.02)
    parts = measured.split(patterns, "other")
    assert sum(map(len, parts)) == 8 and not set(parts[0].family) & set(parts[1].family)
    with pytest.raises(MissingData, match="does not exist"):
        measured.load_other(tmp_path / "none.npz")
