"""Linear probes: exact where a position is, blind where there is none, honest about both."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from figures import texts
from xrdlib.base.errors import XrdlibError
from xrdlib.learning.baselines import build
from xrdlib.learning.model import PhysicsTransformer, TransformerConfig
from xrdlib.reporting import gallery, plot_trainings
from xrdlib.studies import positional_probe


def net(seed=0, **changes):
    torch.manual_seed(seed)
    return PhysicsTransformer(
        TransformerConfig(**{"grid": (5.0, 0.05, 1701), "width": 32, "depth": 2, **changes})
    ).eval()


@pytest.fixture(scope="module")
def x():
    return torch.rand(4, 1701, generator=torch.Generator().manual_seed(0))


def test_targets_follow_bragg():
    result = positional_probe.targets(net())
    assert result["two_theta"][0] == pytest.approx(5 + 0.05 * 15.5)
    assert np.diff(result["two_theta"]) == pytest.approx(32 * 0.05)
    theta = np.radians(result["two_theta"] / 2)
    assert result["sin2_theta"] == pytest.approx(np.sin(theta) ** 2)
    assert 2 * result["d"] * np.sin(theta) == pytest.approx(1.540593)


def test_representations_are_what_the_blocks_pass_on(x):
    model = net()
    result = positional_probe.representations(model, x)
    assert list(result) == [
        *("learned embedding", "physics embedding", "both embeddings"),
        *("input", "block 1", "block 2"),
    ]
    with torch.no_grad():
        stem = model.stem(model.channels(x)).transpose(1, 2).numpy()
        first = model.cls.expand(4, -1, -1) + model.position[:, :1]
        tokens = torch.cat([first, torch.from_numpy(result["input"]).float()], dim=1)
        made = model.blocks[1](model.blocks[0](tokens))[:, 1:].numpy()
    assert result["input"] == pytest.approx(stem + result["both embeddings"], abs=1e-5)
    assert result["block 2"] == pytest.approx(made, abs=1e-5)
    assert "physics embedding" not in positional_probe.representations(
        net(physics_position=False), x
    )


def test_a_linear_scale_is_read_exactly_and_noise_is_not():
    rng = np.random.default_rng(0)
    wanted = np.linspace(-1, 1, 80)[:, None]
    hidden = wanted @ rng.normal(size=(1, 20)) + 3
    made = positional_probe.probe(hidden[None], wanted)
    assert positional_probe.score(made[..., 0], wanted[:, 0], 50)["r2"] > 0.9999
    noise = positional_probe.probe(rng.normal(size=(1, 80, 20)), wanted)
    assert positional_probe.score(noise[..., 0], wanted[:, 0], 50)["r2"] < 0.2


def test_nothing_is_learned_by_heart():
    """One feature a token, so every token is known, and yet none that is held back is read."""
    wanted = np.linspace(-1, 1, 60)[:, None]
    made = positional_probe.probe(np.eye(60)[None], wanted)
    assert positional_probe.score(made[..., 0], wanted[:, 0], 50)["r2"] < 0.05


def test_score_by_hand():
    wanted = np.arange(8.0)
    perfect = positional_probe.score(wanted[None], wanted, 50)
    assert perfect["r2"] == 1 and perfect["rmse_ci95"] == [0, 0]
    mean = positional_probe.score(np.full((3, 8), 3.5), wanted, 50)
    assert mean["r2"] == pytest.approx(0) and mean["rmse"] == pytest.approx(wanted.std())


def test_too_few_tokens_are_refused():
    with pytest.raises(XrdlibError, match="needs 40 tokens or more"):
        positional_probe.probe(np.zeros((1, 20, 4)), np.zeros((20, 1)))


def test_untrained_networks_know_positions_from_the_construction(x):
    model = build("physics", asdict(net().config), 1)
    result = positional_probe.compare("made up", model, x, seeds=2, variant_seeds=2)
    at = {
        (name, row["place"], row["target"]): row
        for name, rows in result["untrained"].items()
        for row in rows
    }
    assert at["as built", "physics embedding", "sin2_theta"]["r2"] > 0.99
    assert at["neither", "learned embedding", "two_theta"]["r2"] < 0.3
    assert at["as built", "block 2", "two_theta"]["seeds"] == 2
    # The network is one of its own null.
    assert not any(v["better_than_untrained"] for v in result["verdict"].values())
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    content = {"subset": "random", "networks": [result]}
    figure = plot_trainings.positional_probe(content)
    shown = texts(figure)
    assert "n = 4 patterns" in shown and "untrained, neither" in shown
    assert gallery.STUDIES["positional_probe"] == (
        "positional_probe",
        plot_trainings.positional_probe,
    )


def test_better_positions_than_of_any_untrained_one_is_called_so():
    null = [
        {"target": t, "r2": 0.5, "rmse_range": [0.4, 0.6], "seeds": 3}
        for t in positional_probe.TARGETS
    ]
    for rmse, word in ((0.1, "better than"), (0.9, "worse than"), (0.5, "not shown to be better")):
        last = {"r2": 1 - rmse, "rmse_ci95": [rmse - 0.02, rmse + 0.02]}
        trained = [{"target": target, **last} for target in positional_probe.TARGETS]
        result = positional_probe.verdict(trained, null)["two_theta"]
        assert f": {word}" in result["text"]
        assert result["better_than_untrained"] == (rmse == 0.1)
        assert result["readable"] == (1 - rmse > 0.9)
