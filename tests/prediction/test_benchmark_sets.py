"""Sets that predictors are judged on: what is drawn, its true cells, its halves."""

import gemmi
import numpy as np
import pandas as pd
import pytest

from xrdlib.base.patterns import GRID
from xrdlib.cli.runs import evaluate
from xrdlib.prediction import benchmark_sets, benchmarks
from xrdlib.structures import materials_project, measured
from xrdlib.structures.measured import Measured

EDGE = 5.64


@pytest.fixture
def compounds(tmp_path):
    """Halite under many formulas, which stand for as many structure types."""
    row = {
        "space_group": 225, "hall_number": 523, "cell": (EDGE, EDGE, EDGE, 90.0, 90.0, 90.0),
        "element": (11, 17), "position": (0.0, 0.0, 0.0, 0.5, 0.5, 0.5),
    }  # fmt: skip
    rows = [row | {"id": f"mp-{n}", "formula": f"NaCl{n}"} for n in range(1, 90)]
    path = tmp_path / "structures.parquet"
    pd.DataFrame(rows).to_parquet(path)
    return path


def test_compounds_are_held_out_drawn_by_the_seed_and_have_primitive_cells(compounds):
    held = materials_project.table(compounds).query("holdout")
    found = benchmark_sets.compounds(compounds, n=3, seed=1)
    assert set(found.patterns.source) <= set(held["id"]) and len(found.patterns) == 3
    again = benchmark_sets.compounds(compounds, n=3, seed=1)
    assert list(again.patterns.source) == list(found.patterns.source)
    everything = benchmark_sets.compounds(compounds, n=1000)
    assert sorted(everything.patterns.source) == sorted(held["id"])
    # A primitive cell of a face-centred cube: edges a / sqrt 2, all angles 60 degrees.
    assert np.allclose(found.cells, [(*3 * [EDGE / 2**0.5], 60, 60, 60)] * 3)
    angle = GRID.two_theta[found.patterns.intensity[0].argmax()]
    assert angle == pytest.approx(31.70, abs=0.02)  # reflection 200


def test_random_crystals_are_balanced_and_their_cells_have_the_strongest_peak():
    chosen = benchmark_sets.random_crystals(each=1)
    assert sorted(chosen.patterns.group) == list(range(1, 100)) and chosen.prior == "uniform"
    for intensity, cell in zip(chosen.patterns.intensity, chosen.cells, strict=True):
        cell = gemmi.UnitCell(*cell)
        hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup("P1"), 1.08)
        angle = 2 * np.degrees(np.arcsin(1.540593 / 2 / cell.calculate_d_array(hkl)))
        assert np.abs(angle - GRID.two_theta[intensity.argmax()]).min() < 0.05


def test_crystal_systems_are_those_of_the_specimens(monkeypatch):
    """Quartz, calcite and wurtzite: the last shares its group with trigonal space groups."""
    number = np.array([154, 167, 186], np.int16)
    nothing = np.zeros((3, GRID.size))
    patterns = Measured(nothing, number, number, number.astype(str), number.astype(str))
    found = benchmark_sets.crystal_systems(patterns).tolist()
    assert found == ["trigonal P", "rhombohedral", "hexagonal"]


def test_other_laboratories_have_parts_by_family(tmp_path):
    angle, families = np.arange(10, 60, 0.02), [f"xred-{i // 2}" for i in range(8)]
    known = {"start": np.arange(9) * len(angle), "two_theta": np.tile(angle, 8)}
    known |= {"intensity": np.ones(8 * len(angle)), "wavelength": np.full(8, 1.5406)}
    path = tmp_path / measured.OTHER
    np.savez(path, **known, space_group=np.full(8, 14), family=families, name=families)
    found = benchmark_sets.other_laboratories(path)
    test, calibration = (
        found.parts[f"{benchmark_sets.OTHER}, {half} half"] for half in ("test", "calibration")
    )
    assert sorted([*test, *calibration]) == list(range(8))
    family = found.patterns.family
    assert not set(family[test]) & set(family[calibration])


def test_the_command_knows_the_sets():
    (option,) = (p for p in evaluate.params if "--set" in p.opts)
    assert tuple(option.type.choices) == benchmarks.SETS
