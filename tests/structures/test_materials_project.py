"""Structures of the Materials Project and patterns of other laboratories, from small files."""

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure

from xrdlib import simulate
from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import CALCULATION_GRID
from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.powder import calculated
from xrdlib.structures import materials_project, measured
from xrdlib.structures.datasets import MissingData

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
    known = reflections(crystals.take([0]), 1.540593, 91)
    found = calculated(known, 1.540593, 0.1, 0.5, CALCULATION_GRID).numpy()
    assert np.abs(found - simulate(rutile)).max() < 0.05


def test_what_is_no_table_of_structures_is_refused(tmp_path):
    with pytest.raises(XrdlibError, match="no table of structures"):
        materials_project.table(tmp_path / "none.parquet")


def test_patterns_of_other_laboratories_are_brought_to_the_grid_and_split(tmp_path):
    angle = np.arange(10, 60, 0.02)
    start = np.arange(9) * len(angle)
    path = tmp_path / measured.OTHER
    known = {"start": start, "two_theta": np.tile(angle, 8), "wavelength": np.full(8, 1.5418)}
    known["intensity"] = np.tile(1 + 50 * np.exp(-(((angle - 30) / 0.1) ** 2)), 8)
    family = np.array([f"mineral {i // 2}" for i in range(8)])
    np.savez(path, **known, space_group=np.full(8, 14), family=family, name=family)
    found = measured.load_other(path)
    assert len(found) == 8 and (found.space_group == 14).all()
    peak = found.grid.two_theta[found.intensity.argmax(1)]
    assert np.allclose(peak, 30, atol=0.02)
    parts = measured.split(found, "other")
    assert sum(map(len, parts)) == 8 and not set(parts[0].family) & set(parts[1].family)
    with pytest.raises(MissingData, match="does not exist"):
        measured.load_other(tmp_path / "none.npz")
