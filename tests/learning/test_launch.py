"""Launching trains what the notebooks train, so that they find their runs finished."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from xrdlib import cli
from xrdlib.base import paths, records, tensorfile
from xrdlib.learning import checkpoint, experiment, stages
from xrdlib.learning.experiment import PatternSet
from xrdlib.simulation.diffraction import reflections
from xrdlib.structures.crystals import generate_balanced
from xrdlib.structures.recipes import shipped

NOTEBOOKS = {"stage1": "04_stage1", "stage2": "05_stage2", "resnet": "08_baselines"}
NOTEBOOKS["plain"] = NOTEBOOKS["resnet"]
SOURCES = paths.ROOT / "notebooks"


class Reached(Exception):
    """The call of `stages.run` that a test waits for."""


@pytest.fixture(scope="module")
def structures():
    return reflections(generate_balanced(shipped(), 20, seed=4))


@pytest.fixture
def project(cfg, structures):
    """A temporary project of the tiny profile, as it is when the stages before have run."""
    records.save(structures, experiment.folder(cfg, "bank") / "train.npz")
    for i, name in enumerate((*experiment.HELD_OUT, "random-crystals")):
        x = np.full((3, 4), i, np.float16)
        patterns = PatternSet(x, np.arange(3), np.array(["f"] * 3), np.array(["n"] * 3))
        experiment.save_set(cfg, name, patterns)
    model = stages.new_model(cfg, "model")
    for parameter in model.parameters():
        parameter.data += 1  # unlike those of an untrained model
    checkpoint.save_weights(experiment.folder(cfg, "models") / "stage1.safetensors", model)
    return cfg


@pytest.fixture
def reached(monkeypatch):
    """What the call of `stages.run` for a stage was given, by the name of the run."""
    calls = {}

    def wait_for(stage):
        def run(cfg, section, name, model, stream, validation, *rounds):
            weights = tensorfile.fingerprint(model.state_dict())
            given = [vars(cfg).keys(), section, model.name, weights, stream.config]
            calls[name] = [*given, validation.x.tolist()]
            if name == stage:
                raise Reached
            return SimpleNamespace(rows=[])

        monkeypatch.setattr(stages, "run", run)
        calls.clear()
        return calls

    monkeypatch.setattr(stages, "predict", lambda model, patterns: {})
    monkeypatch.setattr(experiment, "save_predictions", lambda *_: None)
    return wait_for


@pytest.mark.parametrize("stage", stages.STAGES)
def test_a_launched_stage_is_the_one_of_its_notebook(project, reached, stage):
    calls = reached(stage)
    cells = json.loads((SOURCES / f"{NOTEBOOKS[stage]}.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    code[0] = "profile = 'tiny'"
    with pytest.raises(Reached):
        exec("\n".join(code), {})
    expected = calls[stage]
    calls.clear()
    with pytest.raises(Reached):
        stages.start("tiny", stage)
    assert calls[stage] == expected


@pytest.mark.parametrize(
    ("stage", "missing", "message"),
    [
        ("stage1", "sets/synthetic/random-crystals.npz", "random-crystals .*NOTEBOOK=02_synth"),
        ("stage2", "models/stage1.safetensors", r"stage1\.safetensors does not exist"),
        ("plain", "bank/train.npz", "train"),
        ("stage3", "bank/train.npz", "choose one of stage1"),
    ],
)
def test_what_an_earlier_stage_did_not_make_is_one_sentence(
    project, reached, capsys, stage, missing, message
):
    reached(stage)
    (paths.runs("tiny") / missing).unlink()
    assert cli.main(["train", stage, "--profile", "tiny"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("xrdlib: ")
    assert re.search(message, line)


def test_the_first_process_says_what_came_of_it(project, monkeypatch, capsys):
    history = SimpleNamespace(seconds=7.3, patterns=1234, rows=[{"loss": 9}, {"loss": 4.5}])
    monkeypatch.setattr(stages, "start", lambda profile, stage: history)
    assert cli.main(["train", "plain", "--profile", "tiny"]) == 0
    assert capsys.readouterr().out == "plain: 1,234 patterns, 7 s, loss 4.5000\n"
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert cli.main(["train", "plain", "--profile", "tiny"]) == 0
    assert capsys.readouterr().out == ""
