"""Specimens: their lines lie where their cells say, simulated or measured."""

import numpy as np
import pytest
import torch

from xrdlib.base.config import load
from xrdlib.base.patterns import CU_KA1, GRID
from xrdlib.learning import experiment
from xrdlib.simulation.diffraction import d_star, lorentz_polarisation, reflections, two_theta
from xrdlib.structures.crystals import generate_balanced
from xrdlib.structures.datasets import MissingData
from xrdlib.structures.measured import Measured
from xrdlib.structures.recipes import shipped
from xrdlib.studies import specimens
from xrdlib.studies.absences import peak_profile

SCALING = 0.002


@pytest.fixture(scope="module")
def library():
    crystals = generate_balanced(shipped(), 99, 7)
    result = reflections(crystals.take(np.arange(60, 72)))
    result.name = np.array([f"mineral {i // 2}" for i in range(12)])
    return result


@pytest.fixture
def cfg(library, monkeypatch):
    monkeypatch.setattr(experiment, "load_structures", lambda config, name: library)
    return load("tiny")


def lines(crystal, scaling=0.0):
    """2theta and intensity of one crystal's lines."""
    star = d_star(crystal.lattice[0] * (1 + scaling), crystal.hkl)
    angle = two_theta(star, CU_KA1)
    factor = lorentz_polarisation(torch.from_numpy(star * CU_KA1 / 2)).numpy()
    return angle[angle < 89], (crystal.multiplicity * crystal.f2 * factor)[angle < 89]


def drawn(crystal, scaling):
    angle, height = lines(crystal, scaling)
    strong = np.argsort(-height)[:60]
    shapes = [h * peak_profile(GRID, a) for a, h in zip(angle[strong], height[strong], strict=True)]
    return np.sum(shapes, axis=0)


def test_one_simulated_pattern_a_family_with_lines_in_place(cfg, library):
    result = specimens.simulated(cfg, GRID, 100)
    assert result.family.tolist() == [f"mineral {i}" for i in range(6)]
    assert len(specimens.simulated(cfg, GRID, 3)) == 3
    for i, intensity in enumerate(result.intensity):
        angle, _ = lines(result.crystals.take([i]))
        assert np.abs(angle - GRID.two_theta[intensity.argmax()]).min() < 0.08
    some = result.take([4, 1])
    assert some.family.tolist() == ["mineral 4", "mineral 1"] and len(some.crystals) == 2


def test_recognised_patterns_have_the_right_group_and_a_fitted_cell(cfg, library, monkeypatch):
    patterns = np.stack([drawn(library.take([i]), SCALING) for i in (0, 4, 8)]).astype(np.float32)
    group = library.group[[0, 4, 8]].copy()
    group[1] = library.group[4] % 99 + 1  # published as something else
    measured = Measured(
        patterns, np.ones(3, np.int16), group, np.array(["a", "b", "c"]), np.array(["1", "2", "3"])
    )
    monkeypatch.setattr(specimens, "load", lambda: measured)
    result = specimens.recognised(cfg, 10)
    assert result.family.tolist() == ["a", "c"]
    assert result.crystals.name.tolist() == ["mineral 0", "mineral 4"]
    ratio = result.crystals.lattice / np.where(
        library.lattice[[0, 8]] == 0, 1, library.lattice[[0, 8]]
    )
    assert ratio[:, 0, 0] - 1 == pytest.approx(SCALING, abs=5e-4)
    assert len(specimens.recognised(cfg, 1)) == 1


def test_without_measured_patterns_there_are_none(cfg, monkeypatch):
    def missing():
        raise MissingData("not here")

    monkeypatch.setattr(specimens, "load", missing)
    assert specimens.recognised(cfg, 10) is None
