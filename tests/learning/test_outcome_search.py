"""Search-match of sets against simulated minerals."""

import numpy as np
import pytest
import torch
from made_up_models import train

from xrdlib.base import config
from xrdlib.base.patterns import normalise
from xrdlib.learning import experiment, outcomes
from xrdlib.learning.experiment import PatternSet
from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.realism import Realism, measured_like
from xrdlib.structures.crystals import generate
from xrdlib.structures.recipes import shipped


@pytest.fixture
def cfg(cfg):
    return train(cfg)


@pytest.fixture(scope="module")
def crystals():
    """Ten crystals of ten extinction groups, and a pattern of each."""
    numbers = [14, 62, 148, 167, 194, 225, 227, 136, 2, 19]
    bank = reflections(generate(shipped(), numbers, 10, seed=8))
    ranges = Realism.mild(strain=(1e-5, 2e-5), no_texture=1.0, subtracted=1.0)
    raw = measured_like(bank, ranges, 1, torch.arange(10), experiment.grid(config.load("tiny")))
    name = np.array([f"pattern {i}" for i in range(10)])
    return bank, PatternSet(normalise(raw).half().numpy(), bank.group - 1, name, name)


def test_search_finds_each_crystal_among_all(cfg, crystals):
    bank, patterns = crystals
    found = outcomes.search(cfg, {"rruff-test": patterns}, bank, bank.take([0]))["rruff-test"]
    assert (found["scores"].argmax(1) == patterns.label).all()
    assert found["best"].min() > 0.8
    assert np.allclose(found["best"], found["scores"].max(1))


def test_held_out_minerals_are_not_searched_for_among_themselves(cfg, crystals):
    bank, patterns = crystals
    known = bank.take(np.arange(5))
    sets = dict.fromkeys(["amcsd-test", "rruff-calibration", "random-crystals"], patterns)
    found = outcomes.search(cfg, sets, bank, known)
    assert set(found) == set(sets)
    assert found["rruff-calibration"]["best"].min() > 0.8
    for name in ("amcsd-test", "random-crystals"):
        best = found[name]["best"]
        assert best[:5].min() > 0.8 and best[5:].max() < best[:5].min()
        assert not (found[name]["scores"].argmax(1) == patterns.label)[5:].any()
