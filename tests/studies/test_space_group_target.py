"""Training on 230 space groups and collapsing them into 99."""

import numpy as np
import pytest
import torch

from xrdlib.base import config
from xrdlib.base.errors import XrdlibError
from xrdlib.learning.experiment import grid, random_crystals
from xrdlib.learning.model import PhysicsTransformer, TransformerConfig
from xrdlib.simulation.realism import Realism
from xrdlib.simulation.stream import PatternStream
from xrdlib.studies.ablations import SpaceGroupStream, collapse
from xrdlib.symmetry import groups


def crystal_stream(settings, batch):
    sources = [(random_crystals(settings, "stage1"), 1.0)]
    return PatternStream(sources, Realism.mild(), 1, batch, grid=grid(settings))


def test_collapsing_adds_the_members():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(230), size=5)
    found = np.exp(collapse(np.log(p)))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    table = groups.extinction_groups()
    for label in (4, 18, 99):
        members = [int(n) - 1 for n in table.loc[label, "space_groups"]]
        np.testing.assert_allclose(found[:, label - 1], p[:, members].sum(axis=1))


def test_labels_are_space_groups_of_the_same_patterns():
    plain = crystal_stream(config.load("tiny"), 20)
    stream = SpaceGroupStream(plain)
    x, space_group = stream.batch(1)
    same, group = plain.batch(1)
    torch.testing.assert_close(x, same, rtol=0, atol=0)
    expected = groups.group_of_space_group()[space_group.numpy() + 1] - 1
    np.testing.assert_array_equal(expected, group.numpy())
    halves = [stream.part(k, 2).batch(1)[1] for k in (0, 1)]
    torch.testing.assert_close(torch.cat(halves), space_group)


def test_a_crystal_without_space_group_is_refused():
    stream = crystal_stream(config.load("tiny"), 4)
    crystals = stream.crystals

    def unknown(number):
        found = crystals(number)
        found.space_group = np.zeros_like(found.space_group)
        return found

    stream.crystals = unknown
    with pytest.raises(XrdlibError, match="train on extinction groups instead"):
        SpaceGroupStream(stream).batch(0)


def test_a_model_of_230_classes():
    points = grid(config.load("tiny"))
    shape = TransformerConfig(
        grid=(points.start, points.step, points.size), width=16, depth=1, heads=2, classes=230
    )
    assert PhysicsTransformer(shape)(torch.rand(2, points.size))["aux"].shape == (2, 230)
