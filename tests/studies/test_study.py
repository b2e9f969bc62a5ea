"""Trainings of a study: what differs between them, how they are divided, found again."""

import numpy as np
import pytest
import torch

from xrdlib.base import paths
from xrdlib.base.config import load
from xrdlib.base.errors import XrdlibError
from xrdlib.learning.experiment import grid
from xrdlib.studies import ablations
from xrdlib.studies.trainings import (
    MODELS,
    Training,
    clean_stream,
    part,
    power_law,
    run,
    scaling_verdict,
    settings,
    test_set,
    trainings,
)


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    loaded = load("tiny")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return loaded


def noise(settings, batch):
    """A stream of noise that depends on the seed alone."""

    class Noise:
        config = {"seed": settings.seed}
        class_probabilities = np.full(99, 1 / 99)

        def batch(self, step):
            generator = torch.Generator().manual_seed(settings.seed + step)
            x = torch.rand(batch, grid(settings).size, generator=generator)
            return x, torch.randint(99, (batch,), generator=generator)

        def part(self, rank, count):
            return self

    return Noise()


def test_a_change_reaches_its_section_and_nothing_else(cfg):
    training = Training(
        "x",
        1,
        64,
        noise,
        model={"rule_head": False},
        changes={"stage2": {"realism": {"no_texture": 1.0}, "random_share": 0.5}},
    )
    changed = settings(cfg, training)
    assert changed.model.rule_head is False and not hasattr(cfg.model, "rule_head")
    assert vars(changed.stage2.realism) == {"no_texture": 1.0}
    assert changed.stage2.random_share == 0.5 and cfg.stage2.random_share == 0.2
    assert vars(cfg.stage2.realism) == {} and vars(changed.stage1) == vars(cfg.stage1)


def test_nested_changes_are_added_to_what_the_profile_has():
    released = load("released")
    changes = {"stage2": {"realism": {"no_texture": 1.0}}}
    changed = settings(released, Training("x", 0, 64, noise, changes=changes))
    assert vars(changed.stage2.realism) == {"strain": [0.0005, 0.02], "no_texture": 1.0}


def test_seeds_differ_from_each_other_and_from_the_profile(cfg):
    seeds = [settings(cfg, Training("x", k, 1, noise)).seed for k in range(3)]
    assert len({cfg.seed, *seeds}) == 4


def test_a_finished_training_is_found_again(cfg):
    training = Training("x", 0, 64, noise, "resnet")
    model, history, _ = run(cfg, "test", training)
    again, found, _ = run(cfg, "test", training)
    assert history.patterns == found.patterns == 64 and found.seconds == history.seconds
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, rtol=0, atol=0)
    other, _, _ = run(cfg, "test", Training("x", 1, 64, noise, "resnet"))
    assert not torch.equal(other.aux.weight, model.aux.weight)


def test_parts_hold_every_training_once():
    trainings = list(range(10))
    parts = [part(trainings, f"{k}/3") for k in (1, 2, 3)]
    assert sorted(sum(parts, [])) == trainings and max(map(len, parts)) == 4


@pytest.mark.parametrize("which", ["0/2", "3/2", "1", "one/2", "1/0", ""])
def test_an_impossible_part_is_refused(which):
    with pytest.raises(XrdlibError, match="give for instance 1/2"):
        part([1, 2], which)


def test_names_of_trainings_change_one_thing_each():
    laptop = load("laptop")
    found = ablations.trainings(laptop)
    assert {t.name for t in found} == set(ablations.VARIANTS)
    assert len({(t.name, t.seed) for t in found}) == len(found)
    for name in ablations.PHYSICS:
        assert sum(t.name == name for t in found) == laptop.studies.ablations.seeds
    for training in found:
        sections = bool(training.model) + bool(training.changes) + (training.start is not None)
        assert sections <= (2 if training.start else 1)


def test_every_size_has_every_model_and_seed():
    laptop = load("laptop")
    found = {(t.name, t.seed, t.patterns) for t in trainings(laptop)}
    section = laptop.studies.scaling
    assert len(found) == len(section.sizes) * section.seeds * len(MODELS)
    assert len(section.sizes) >= 4 and max(section.sizes) / min(section.sizes) >= 30
    assert section.seeds >= 3


def test_clean_patterns_have_neither_noise_nor_background_and_no_crystal_twice(cfg):
    x, label = clean_stream(cfg, 99).batch(0)
    assert x.median() < 0.05 * x.max()
    assert len(torch.unique(label)) > 50
    quiet = x[:, -200:-1]
    assert (torch.diff(quiet, 2).abs() < 0.02).float().mean() > 0.5
    source = clean_stream(cfg, 99).sources[0]
    assert source.span == source.chunk


def test_the_test_set_is_no_trainings_set(cfg):
    tested = test_set(cfg, 99)
    assert len(tested) == 99 and len(np.unique(tested.name)) == 99
    training = trainings(cfg)[0]
    x, _ = training.stream(settings(cfg, training), 99).batch(0)
    assert not np.allclose(tested.x.astype(np.float32), x.numpy(), atol=0.05)


def rows(values):
    return [
        {"model": name, "seed": k, "patterns": 100, "top1": top1, "nll": 5 - top1 / 50, "curve": []}
        for name, tops in values.items()
        for k, top1 in enumerate(tops)
    ]


@pytest.mark.parametrize(
    "physics, plain, resnet, holds",
    [
        ([9, 8], [3, 2], [7, 6], "yes"),
        ([3, 4], [3, 2], [7, 6], "no"),
        ([9, 6.5], [3, 2], [7, 6], "not decided"),
        ([3, 4], [6.5, 2], [7, 6], "not decided"),
    ],
)
def test_the_verdict_needs_every_seed(physics, plain, resnet, holds):
    values = {"physics transformer": physics, "plain transformer": plain, "resnet": resnet}
    verdict = scaling_verdict(rows(values))
    assert verdict["holds"] == holds and f": {holds}." in verdict["text"]


def test_a_power_law_is_recovered():
    table = [
        {"model": "x", "seed": k, "patterns": n, "nll": (3 + 0.1 * k) * n**-0.2}
        for k in range(3)
        for n in (100, 1000, 10_000)
    ]
    fit = power_law(table, "x")
    assert fit["b"] == pytest.approx(0.2) and fit["b_range"] == pytest.approx([0.2, 0.2])
    assert 3.0 < fit["a"] < 3.2
    errors = [{**row, "top1": 100 - 90 * row["patterns"] ** -0.1} for row in table]
    assert power_law(errors, "x", "top1")["b"] == pytest.approx(0.1)
