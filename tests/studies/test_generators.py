"""Tests across generators, with networks that know everything or nothing."""

import numpy as np
import pytest
import torch

from xrdlib.base import config
from xrdlib.learning.experiment import PatternSet
from xrdlib.studies import generators, scaling

MINERALS = np.random.default_rng(0).dirichlet(np.ones(99))
UNIFORM = np.full(99, 1 / 99)
ONE_SIDED = np.where(np.arange(99) == 7, 0.5, 0.5 / 98)


class Knowing(torch.nn.Module):
    """Reads the label from the first point; without knowledge it says the same of all."""

    def __init__(self, certainty, prior):
        super().__init__()
        self.certainty = torch.nn.Parameter(torch.tensor(certainty))
        self.prior = torch.from_numpy(np.log(prior)).float()

    def forward(self, x):
        true = torch.nn.functional.one_hot(x[:, 0].long(), 99)
        return {"aux": self.certainty * true + self.prior}


@pytest.fixture
def table(monkeypatch):
    label = np.repeat(np.arange(99), 3)
    names = np.array([f"pattern {i}" for i in range(len(label))])
    balanced = PatternSet(label[:, None].astype(np.float32), label, names, names)
    monkeypatch.setattr(scaling, "test_set", lambda config: balanced)
    monkeypatch.setattr(generators, "load_set", lambda config, name: balanced)
    networks = [
        ("knowing", generators.REFLECTIONS, 1, Knowing(50.0, UNIFORM), UNIFORM),
        ("constant", generators.CRYSTALS, 1, Knowing(0.0, ONE_SIDED), ONE_SIDED),
    ]
    monkeypatch.setattr(generators, "_networks", lambda config: networks)
    return generators.rows(config.load("tiny"), MINERALS)


def test_every_network_meets_both_generators_and_both_kinds_of_labels(table):
    keys = [tuple(row[k] for k in ("model", "tested_on", "labels")) for row in table]
    assert len(set(keys)) == len(keys) == 2 * 2 * 2


def test_who_knows_is_always_right_and_who_does_not_is_as_good_as_the_null(table):
    for row in table:
        low, high = row["top1_ci95"]
        assert low - 1e-9 <= row["top1"] <= high + 1e-9 and row["n"] == 297
        if row["model"] == "knowing":
            assert row["top1"] == pytest.approx(100)
        else:  # its training prior is divided out, and leaves the prior of the test alone
            assert row["top1"] == pytest.approx(row["null"])
    nulls = {row["labels"]: row["null"] for row in table}
    assert nulls == pytest.approx({"balanced": 100 / 99, "as minerals": 100 * MINERALS.max()})
