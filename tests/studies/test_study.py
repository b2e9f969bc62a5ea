"""Trainings of a study: what differs between them, how they are divided, found again."""

import os
import re
import signal
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from xrdlib import cli
from xrdlib.base import config, paths, results
from xrdlib.base.errors import XrdlibError
from xrdlib.base.files import FolderInUse
from xrdlib.learning import run as running
from xrdlib.learning.experiment import grid
from xrdlib.studies import ablations, scaling, scaling_table
from xrdlib.studies import trainings as study
from xrdlib.symmetry import groups


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    loaded = config.load("tiny")
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
    training = study.Training(
        "x",
        1,
        64,
        noise,
        model={"rule_head": False},
        changes={"stage2": {"realism": {"no_texture": 1.0}, "random_share": 0.5}},
    )
    changed = study.settings(cfg, training)
    assert changed.model.rule_head is False and not hasattr(cfg.model, "rule_head")
    assert vars(changed.stage2.realism) == {"no_texture": 1.0}
    assert changed.stage2.random_share == 0.5 and cfg.stage2.random_share == 0.2
    assert vars(cfg.stage2.realism) == {} and vars(changed.stage1) == vars(cfg.stage1)


def test_nested_changes_are_added_to_what_the_profile_has():
    released = config.load("released")
    changes = {"stage2": {"realism": {"no_texture": 1.0}}}
    changed = study.settings(released, study.Training("x", 0, 64, noise, changes=changes))
    assert vars(changed.stage2.realism) == {"strain": [0.0005, 0.02], "no_texture": 1.0}


def test_seeds_differ_from_each_other_and_from_the_profile(cfg):
    seeds = [study.settings(cfg, study.Training("x", k, 1, noise)).seed for k in range(3)]
    assert len({cfg.seed, *seeds}) == 4


def test_a_finished_training_is_found_again(cfg):
    training = study.Training("x", 0, 64, noise, "resnet")
    model, history, _ = study.run(cfg, "test", training)
    again, every, _ = study.run(cfg, "test", training)
    assert history.patterns == every.patterns == 64 and every.seconds == history.seconds
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, rtol=0, atol=0)
    other, _, _ = study.run(cfg, "test", study.Training("x", 1, 64, noise, "resnet"))
    assert not torch.equal(other.aux.weight, model.aux.weight)


def test_parts_hold_every_training_once():
    trainings = list(range(10))
    parts = [study.part(trainings, f"{k}/3") for k in (1, 2, 3)]
    assert sorted(sum(parts, [])) == trainings and max(map(len, parts)) == 4


@pytest.mark.parametrize("which", ["0/2", "3/2", "1", "one/2", "1/0", ""])
def test_an_impossible_part_is_refused(which):
    with pytest.raises(XrdlibError, match="give for instance 1/2"):
        study.part([1, 2], which)


def test_names_of_trainings_change_one_thing_each():
    laptop = config.load("laptop")
    every = ablations.trainings(laptop)
    assert {t.name for t in every} == set(ablations.VARIANTS)
    assert len({(t.name, t.seed) for t in every}) == len(every)
    for name in ablations.PHYSICS:
        assert sum(t.name == name for t in every) == laptop.studies.ablations.seeds
    more = laptop.stage1.steps * laptop.stage1.batch
    for training in every:
        longer = more if training.name == ablations.LONGER else 0
        assert training.patterns == laptop.studies.ablations.patterns + longer
        sections = bool(training.model) + bool(training.changes) + (training.start is not None)
        assert sections <= (2 if training.start else 1)


@pytest.mark.parametrize("name", ["laptop", "regime"])
def test_one_training_of_each_network_and_seed_serves_every_size(name):
    loaded = config.load(name)
    section, every = loaded.studies.scaling, scaling.trainings(loaded)
    networks = vars(section.networks)
    chosen = [t for t in every if "lr" in t.options]
    assert len(chosen) == (len(section.rates) * len(networks) if len(section.rates) > 1 else 0)
    own = {(t.name, t.seed): t.patterns for t in every if "lr" not in t.options}
    longest = section.longest or [max(section.sizes)] * section.seeds
    for network in networks:
        assert [own.pop((network, k)) for k in range(section.seeds)] == longest
    assert max(longest) == max(section.sizes)
    assert {key[0] for key in own} == {"resnet, 230 space groups"} and len(own) == section.seeds
    assert len(section.sizes) >= 4 and section.seeds >= 3
    assert {t.seed for t in chosen} <= {section.seeds}  # no training sees the trials' patterns


def test_a_rate_that_falls_needs_a_training_for_each_size():
    paper = config.load("paper")
    sizes = {t.patterns for t in scaling.trainings(paper) if t.name == "plain transformer"}
    assert sizes == set(paper.studies.scaling.sizes) and len(sizes) == 5
    (vit,) = {t.patterns for t in scaling.trainings(paper) if t.name == "ViT"}
    assert vit == 5_140_000


def test_test_patterns_are_balanced_and_no_trainings(cfg):
    tested, other = scaling.test_set(cfg), scaling.test_set(cfg, name="holdout")
    assert len(tested) == 198 and (np.bincount(tested.label) == 2).all()
    training = scaling.trainings(cfg)[0]
    x, _ = training.stream(study.settings(cfg, training), 198).batch(0)
    patterns = np.concatenate([tested.x, other.x, x.half().numpy()])
    assert len(np.unique(patterns, axis=0)) == 3 * 198


def test_the_study_is_trained_once_and_then_looked_at(cfg, capsys, monkeypatch):
    monkeypatch.setattr(config, "load", lambda profile: cfg)
    for more in (["--status"], ["--part", "1/2"], ["--part", "2/2"]):
        assert cli.main(["study", "scaling", *more]) == 0
    assert "0 patterns, 0.0 %" in capsys.readouterr().out
    cli.main(["study", "scaling", "--status"])
    assert "832 patterns, 100.0 %" in capsys.readouterr().out
    monkeypatch.setattr(running.Run, "step", None)  # nothing is trained any more
    table = scaling_table.rows(cfg)
    assert {(r["model"], r["patterns"]) for r in table} == {
        (model, n) for model in vars(cfg.studies.scaling.networks) for n in (64, 128)
    }
    for row in table:
        assert row["rate"] in cfg.studies.scaling.rates or row["patterns"] < 200 * 32  # warm-up
        assert 0 <= row["top1"] <= row["top3"] <= row["top5"] and row["nll"] > 0
        assert bool(row["curve"]) == (row["patterns"] == 128)
    direct, collapsed = scaling_table.targets(cfg)
    assert direct["patterns"] == collapsed["patterns"] == 64 and "own_top1" in collapsed
    assert "uniform_nll" in collapsed and "own_top1" not in direct
    cost = {
        t.options["lr"]: scaling.train_one(cfg, t, look=True)[1].rows[-1]["nll"]
        for t in scaling.trials(cfg, "resnet")
    }
    assert scaling.learning_rate(cfg, "resnet") == min(cost, key=cost.get)


def test_a_record_stands_for_its_training_and_no_other(cfg, monkeypatch):
    cfg.studies.scaling.here = False
    training = scaling.trials(cfg, "resnet")[0]
    model, history = scaling.train_one(cfg, training)
    assert model is not None and history.complete
    monkeypatch.setattr(running.Run, "step", None)  # nothing is trained any more
    paths.checkpoints(cfg.profile).rename(paths.checkpoints(cfg.profile).with_name("elsewhere"))
    assert scaling.train_one(cfg, training) == (None, history)
    made = results.made_with(cfg, "trainings/scaling/resnet_rate_0.001_64_seed1")
    assert made["precision"] == history.precision and made["configuration"]["seed"] != cfg.seed
    slower = replace(training, options=training.options | {"ema": 0.5})
    for other in (slower, scaling.trainings(cfg)[0]):
        assert not study.recorded(cfg, "scaling", other).rows


def test_a_training_that_is_stopped_records_what_it_reached(cfg, monkeypatch):
    cfg.studies.scaling.here, cfg.studies.scaling.rates = False, [1e-3]
    (training,) = [t for t in scaling.trainings(cfg) if t.name == "plain transformer"]
    step = running.Run.step

    def stop(self, *arguments):
        if self.history.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *arguments)

    monkeypatch.setattr(running.Run, "step", stop)
    with pytest.raises(SystemExit):
        scaling.train_one(cfg, training)
    paths.checkpoints(cfg.profile).rename(paths.checkpoints(cfg.profile).with_name("elsewhere"))
    assert [row["patterns"] for row in scaling_table.rows(cfg, [training.name])] == [64]


def test_a_size_on_the_way_is_what_a_shorter_training_ends_with(cfg):
    """With a constant rate the score after 64 patterns does not know of those that follow."""
    long = next(t for t in scaling.trainings(cfg) if t.name == "resnet")
    ends = []
    for n in (64, 128):
        training = replace(long, patterns=n, options=long.options | {"lr": 1e-3})
        ends.append(study.run(cfg, "test", training, _nll(cfg), [2])[1].rows[0])
    assert ends[0]["nll"] == ends[1]["nll"] and ends[0]["patterns"] == ends[1]["patterns"] == 64


def _nll(cfg):
    patterns = scaling.test_set(cfg, 1)
    return lambda model: scaling.scores(model, patterns)


def test_a_trial_in_other_hands_is_waited_for(cfg, monkeypatch):
    calls, done = [], SimpleNamespace(complete=True, rows=[{"nll": 1.0}])

    def train_one(config, training, look):
        calls.append(training.name)
        if len(calls) == 1:
            raise FolderInUse("in use")
        return None, done

    monkeypatch.setattr(scaling, "train_one", train_one)
    monkeypatch.setattr(scaling, "_WAIT", 0)
    assert scaling.learning_rate(cfg, "resnet") == 1e-3
    assert calls == ["resnet, rate 0.001"] * 2 + ["resnet, rate 0.002"]


def test_the_plan_adds_up(cfg):
    text = study.plan(cfg, scaling.trainings(cfg), seconds=0.3)
    patterns = [int(n.replace(",", "")) for n in re.findall(r"([0-9,]+) patterns at", text)]
    assert sum(patterns) == 832 and "hours of one process" in text


def test_space_groups_are_collapsed_before_they_are_scored(cfg):
    """A model that knows the space group knows the extinction group."""
    patterns = scaling.test_set(cfg)
    first = np.array([row[0] - 1 for row in groups.extinction_groups().space_groups])
    logits = torch.full((198, 230), -20.0)
    logits[torch.arange(198), torch.from_numpy(first[patterns.label])] = 0.0

    class Oracle(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.at, self.weight = 0, torch.nn.Parameter(torch.zeros(1))

        def forward(self, x):
            self.at += len(x)
            return {"aux": logits[torch.arange(self.at - len(x), self.at) % 198]}

    own = replace(patterns, label=first[patterns.label])
    every = scaling.scores(Oracle(), patterns, own)
    assert every["top1"] == every["uniform_top1"] == every["own_top1"] == 100


def rows(values):
    return [
        {"model": name, "seed": k, "patterns": 100, "top1": top1, "nll": 5 - top1 / 50, "curve": []}
        for name, tops in values.items()
        for k, top1 in enumerate(tops)
    ]


@pytest.mark.parametrize(
    "physics, plain, resnet, holds",
    [
        ([90, 80], [30, 20], [70, 60], "yes"),
        ([30, 40], [30, 20], [70, 60], "no"),
        ([90, 65], [30, 20], [70, 60], "not decided"),
        ([30, 40], [65, 20], [70, 60], "not decided"),
        ([9, 8], [3, 2], [7, 6], "not decided"),  # nobody has learned much
    ],
)
def test_the_verdict_needs_every_seed(physics, plain, resnet, holds):
    values = {"physics transformer": physics, "plain transformer": plain, "resnet": resnet}
    verdict = scaling_table.verdict(rows(values))
    assert verdict["holds"] == holds and f": {holds}." in verdict["text"]


def test_a_power_law_is_recovered():
    table = [
        {"model": "x", "seed": k, "patterns": n, "nll": (3 + 0.1 * k) * n**-0.2}
        for k in range(3)
        for n in (100, 1000, 10_000)
    ]
    fit = scaling_table.power_law(table, "x")
    assert fit["b"] == pytest.approx(0.2) and fit["b_range"] == pytest.approx([0.2, 0.2])
    assert 3.0 < fit["a"] < 3.2
    errors = [{**row, "top1": 100 - 90 * row["patterns"] ** -0.1} for row in table]
    assert scaling_table.power_law(errors, "x", "top1")["b"] == pytest.approx(0.1)
