"""Simulated patterns that parts are weighed on: which structures, of what quality."""

import numpy as np
import pandas as pd
import pytest

from xrdlib.base.patterns import GRID
from xrdlib.prediction import assemble, benchmark_sets, simulated_sets
from xrdlib.prediction.evidence import Seen
from xrdlib.prediction.fusion import Fusion
from xrdlib.structures import materials_project
from xrdlib.structures.measured import Measured


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Halite under many formulas, which stand for as many structure types."""
    row = {
        "space_group": 225, "hall_number": 523, "cell": (5.64, 5.64, 5.64, 90.0, 90.0, 90.0),
        "element": (11, 17), "position": (0.0, 0.0, 0.0, 0.5, 0.5, 0.5),
    }  # fmt: skip
    rows = [row | {"id": f"mp-{n}", "formula": f"NaCl{n}"} for n in range(1, 2000)]
    file = tmp_path_factory.mktemp("compounds") / "structures.parquet"
    pd.DataFrame(rows).to_parquet(file)
    return file


def test_new_compounds_are_neither_in_the_library_nor_reported_on(path):
    rows = materials_project.table(path)
    held, reported = set(rows[rows["holdout"]]["type"]), set()
    reported |= set(benchmark_sets.compound_rows(path)["type"])
    assert len(reported) == 100 < len(held)
    every = simulated_sets.new_compounds(path, n=1000)
    assert set(every.family) == held - reported
    known = simulated_sets.known_compounds(path, n=6)
    assert len(known) == 6 and not set(known.family) & held
    assert set(known.space_group.tolist()) == {225}


def test_a_third_of_the_patterns_is_clean_and_the_others_are_not(path):
    found = simulated_sets.known_compounds(path, n=6, seed=3)
    again = simulated_sets.known_compounds(path, n=6, seed=3)
    assert found.intensity.shape == (6, GRID.size) and np.isfinite(found.intensity).all()
    assert np.array_equal(found.intensity, again.intensity)
    scaled = found.intensity / found.intensity.max(1, keepdims=True)
    same = [np.allclose(row, scaled[0], atol=1e-4) for row in scaled]
    assert same == [True, False, False, True, False, False]


def test_simulated_sets_count_as_much_as_the_measured_one():
    """Labels follow the library in one set and the network in the other: weights lie between."""
    rng = np.random.default_rng(0)
    sets = []
    for n, follows in ((60, "similarity"), (600, "evidence")):
        evidence = 2.0 * rng.normal(size=(n, 99))
        similarity = rng.uniform(0, 0.9, (n, 99))
        label = (similarity if follows == "similarity" else evidence).argmax(1)
        families = np.array([f"{follows} {i}" for i in range(n)])
        patterns = Measured(np.zeros((n, 1)), label + 1, label + 1, families, families)
        sets.append((Seen(evidence, similarity), patterns))
    prior = np.full(99, 1 / 99)
    alone = assemble.weights(*sets[0], prior)
    both = assemble.weights(*sets[0], prior, sets[1:])
    assert alone["fusion"]["network"] < 0.3 < both["fusion"]["network"]
    # Sets of groups are about measured patterns.
    assert both["conformal"]["families"] == sets[0][1].family.tolist()
    assert len(both["conformal"]["scores"]) == 60
    told = Fusion(**both["fusion"]), Fusion(**alone["fusion"])
    assert told[0].known < told[1].known  # in half of the patterns the library errs
    # Ten times the same set has no more weight.
    ten = assemble.weights(*sets[0], prior, 10 * sets[1:])
    for key in ("network", "similarity", "known"):
        assert ten["fusion"][key] == pytest.approx(both["fusion"][key], rel=0.02, abs=0.02)
