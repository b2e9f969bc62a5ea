from dataclasses import asdict

import pytest
import torch
from training import same

from xrdlib.base.errors import XrdlibError
from xrdlib.learning import checkpoint
from xrdlib.learning.baselines import build
from xrdlib.learning.checkpoint import previous

CONFIG = {"lr": 1e-3, "grid": [5.0, 0.1, 100], "name": "physics"}


def go_on(model, optimiser):
    optimiser.zero_grad()
    model(torch.randn(8, 4)).square().sum().backward()
    optimiser.step()
    return [*model.state_dict().values()]


def trained(seed=0, steps=2):
    """A small model and its optimiser after some steps."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    optimiser = torch.optim.AdamW(model.parameters(), 1e-2)
    for _ in range(steps):
        go_on(model, optimiser)
    return model, optimiser


def save(path, step):
    checkpoint.save(path, *trained(step), step, CONFIG, {}, {})


def damage(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 255
    path.write_bytes(content)


def test_a_restored_run_goes_on_bitwise_alike(tmp_path):
    model, optimiser = trained(5)
    extra, tensors = {"rows": [{"loss": 0.1}]}, {"sums.loss": torch.tensor(2.5)}
    checkpoint.save(tmp_path / "c", model, optimiser, 12, CONFIG, extra, tensors)
    expected = go_on(model, optimiser)
    other, other_optimiser = trained(6, steps=0)
    saved = checkpoint.load(tmp_path / "c")
    saved.restore(other, other_optimiser)
    assert same(go_on(other, other_optimiser), expected)
    assert (saved.step, saved.config, saved.extra) == (12, CONFIG, extra)
    assert saved.part("extra.sums") == {"loss": torch.tensor(2.5)}
    with pytest.raises(XrdlibError, match="does not fit the model"):
        saved.restore(torch.nn.Linear(2, 2), other_optimiser)


def test_a_damaged_checkpoint_gives_way_to_the_previous_one(tmp_path):
    path = tmp_path / "c"
    assert checkpoint.load(path) is None
    save(path, 1)
    save(path, 2)
    assert checkpoint.load(path).step == 2
    for later in (3, 4):
        damage(path)
        with pytest.warns(UserWarning, match="do not match.*Going on from c.previous"):
            assert checkpoint.load(path).step == 1
        # The run goes on and saves; the damaged file must not push the good one out.
        save(path, later)
    assert checkpoint.load(path).step == 4
    damage(path)
    previous(path).write_bytes(previous(path).read_bytes()[:50])
    with pytest.warns(UserWarning), pytest.raises(XrdlibError, match="previous is damaged"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("physics", {"grid": (5.0, 0.1, 851), "width": 16, "depth": 1, "stem": "patch"}),
        ("resnet", {"grid": (5.0, 0.1, 851), "widths": (8, 8, 8, 8)}),
        ("plain", {"grid": (5.0, 0.1, 851), "width": 16, "depth": 1}),
    ],
)
def test_released_weights_rebuild_their_model(tmp_path, name, config):
    path, x = tmp_path / "weights", torch.rand(2, 851)
    model = build(name, config, seed=9)
    model(torch.rand(8, 851))  # moves the statistics of batch normalisation
    checkpoint.save_weights(path, model, {"temperature": 1.5})
    loaded = checkpoint.load_weights(path)
    assert not loaded.training and asdict(loaded.config) == asdict(model.config)
    expected = model.eval()(x)
    assert all(torch.equal(v, expected[k]) for k, v in loaded(x).items())
    assert checkpoint.load_metadata(path) == {"temperature": 1.5}
    with pytest.raises(XrdlibError, match="no checkpoint"):
        checkpoint.load(path)
    damage(path)
    with pytest.raises(XrdlibError, match="checksum"):
        checkpoint.load_weights(path)


def test_a_checkpoint_is_not_taken_for_released_weights(tmp_path):
    save(tmp_path / "c", 1)
    with pytest.raises(XrdlibError, match="no released weights"):
        checkpoint.load_weights(tmp_path / "c")
