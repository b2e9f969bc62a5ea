from types import SimpleNamespace

import pytest
import torch

from xrdlib import identity
from xrdlib.baselines import build
from xrdlib.checkpoint import config_hash
from xrdlib.errors import XrdlibError

SHAPE = {"widths": (4, 4, 4, 4)}


def of_run(model=None, labels=(1, 2), stream=None, settings=None, **more):
    source = SimpleNamespace(batch=lambda step: (None, torch.tensor(labels)), config=stream or {})
    return identity.of_run(model or build("resnet", SHAPE), source, settings or {"lr": 1}, **more)


def test_equal_runs_have_equal_identities():
    assert config_hash(of_run()) == config_hash(of_run())


@pytest.mark.parametrize(
    "change",
    [
        {"model": build("resnet", {"widths": (4, 4, 4, 8)})},
        {"model": build("resnet", SHAPE, seed=1)},
        {"labels": (1, 3)},
        {"stream": {"seed": 2}},
        {"settings": {"lr": 2}},
        {"class_probabilities": [0.5, 0.5]},
        {"config": {"bank": "sha"}},
    ],
)
def test_whatever_changes_the_numbers_changes_the_identity(change):
    assert config_hash(of_run()) != config_hash(of_run(**change))


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(XrdlibError, match="Only JSON values"):
        of_run(stream={"source": object()})


def test_the_code_of_training_counts_and_that_of_plots_does_not():
    names = {file.name for file in identity.training_files()}
    assert {"groups.py", "model.py", "ranks.py", "train.py", "stream.py", "symmetry.json"} <= names
    assert not names & {"plots.py", "metrics.py", "checkpoint.py", "lock.py"}


def test_digests_see_code_and_not_its_looks(tmp_path):
    def digest(text, name="a.py"):
        file = tmp_path / name
        file.write_text(text)
        return identity.code_digest([file])

    code = 'def f(x):\n    """Doc."""\n    return x + 1\n'
    looks = '"""Module."""\n\n# a comment\ndef f( x ):\n    return (x + 1)\n'
    assert digest(code) == digest(looks)
    assert digest(code) != digest(code.replace("+ 1", "+ 2"))
    assert digest(code) != digest(code, "b.py")
    assert digest('{"a": 1}', "t.json") != digest('{"a": 2}', "t.json")
