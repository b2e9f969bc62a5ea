"""The simulator stage in a temporary project whose minerals are random crystals."""

import numpy as np
import pandas as pd
import pytest
import torch

from xrdlib.base import records
from xrdlib.base.patterns import normalise
from xrdlib.base.results import read, write
from xrdlib.learning import experiment
from xrdlib.learning.experiment import MEASURED, PatternSet
from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.realism import Realism, measured_like
from xrdlib.structures.crystals import generate_balanced
from xrdlib.structures.recipes import shipped
from xrdlib.structures.structure_library import CRYSTALS, TABLE
from xrdlib.studies import simulator, specimens

N = 60


@pytest.fixture
def cfg(cfg):
    cfg.grid_step = 0.05
    return cfg


@pytest.fixture
def library(cfg):
    crystals = generate_balanced(shipped(), N, seed=3)
    crystals.name = np.array([f"mineral {k}" for k in range(N)])
    structures = reflections(crystals)
    records.save(structures, experiment.folder(cfg, "bank") / "library.npz")
    records.save(crystals, experiment.folder(cfg, "amcsd") / CRYSTALS)
    table = pd.DataFrame({"agrees_space_group": np.arange(N) % 3 > 0})
    table.to_parquet(experiment.folder(cfg, "amcsd") / TABLE)
    return structures


def pose_as_measured(cfg, structures, rows):
    """Patterns of library structures, and as many that no structure of the library has."""
    strange = reflections(generate_balanced(shipped(), len(rows), seed=99))
    both = records.concatenate([structures.take(rows), strange])
    realism = Realism.measured(**simulator.COLLECTION, strain=(1e-4, 1e-3), impurity=0.0)
    index = torch.arange(len(both))
    pattern = measured_like(both, realism, 7, index, experiment.grid(cfg))
    patterns = PatternSet(
        normalise(pattern).half().numpy(),
        both.group.astype(np.int64) - 1,
        both.name.astype(str),
        both.name.astype(str),
    )
    experiment.save_set(cfg, MEASURED[0], patterns)
    return patterns


def test_patterns_are_paired_with_their_own_structure(cfg, library):
    rows = np.arange(0, N, 2)
    patterns = pose_as_measured(cfg, library, rows)
    x = patterns.x.astype(np.float32) ** 2
    result, nearest = specimens.own_structure(x, patterns.label + 1, library, experiment.grid(cfg))
    known = result < len(rows)
    assert known.sum() > 0.8 * len(rows) and (~known).sum() < 0.4 * len(rows)
    assert (nearest[known] == rows[result[known]]).mean() > 0.95
    np.testing.assert_array_equal(library.group[nearest] - 1, patterns.label[result])


def test_patterns_of_the_simulator_itself_are_hardly_distinguished(cfg, library):
    pose_as_measured(cfg, library, np.arange(N))
    result = simulator.compare(cfg)
    assert result["note"] is None and result["n"] >= result["families"] > 30
    assert result["two_sample"]["features"]["auc"] < 0.7
    for name, feature in result["features"].items():
        assert 0 <= feature["auc"] <= 1, name
        for kind in ("measured", "simulated"):
            values = feature[kind]
            assert values is None or (len(values) == 41 and (np.diff(values) >= 0).all())
    write(cfg, "simulator", result)  # JSON will do
    assert read(cfg, "simulator")["n"] == result["n"]


def test_without_measured_patterns_there_is_a_note_instead(cfg, library):
    assert simulator.compare(cfg) == {
        "n": 0,
        "families": 0,
        "note": "No measured patterns were at hand.",
    }
    pose_as_measured(cfg, library, np.arange(4))
    result = simulator.compare(cfg)
    assert result["families"] < 10 and "too few" in result["note"] and "features" not in result


def test_costs_grow_with_the_structure(cfg, library):
    threads = torch.get_num_threads()
    rows = simulator.costs(cfg)
    assert {row["by"] for row in rows} == {"volume", "atoms", "reflections"}
    assert all(row["structure_ms"] > 0 and row["pattern_ms"] > 0 for row in rows)
    for by in ("volume", "atoms", "reflections"):
        sizes = [row[by] for row in rows if row["by"] == by]
        assert (np.diff(sizes) >= 0).all() and len(sizes) == 10
    assert torch.get_num_threads() == threads
