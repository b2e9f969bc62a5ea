import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch import nn

from xrdlib.base import config
from xrdlib.base.errors import XrdlibError
from xrdlib.learning import model, stages
from xrdlib.learning.baselines import build
from xrdlib.learning.model import Block, parameter_count

SMALL = {"width": 16, "depth": 1, "heads": 2, "grid": (5.0, 0.1, 851)}


def small(**changes):
    return build("physics", SMALL | changes)


@pytest.mark.parametrize(
    ("name", "config", "rules"),
    [("physics", {"stem": "conv"}, [37]), ("physics", {"stem": "patch"}, [37])]
    + [("resnet", {"widths": (8, 8, 8, 8)}, []), ("plain", {"width": 16, "depth": 1}, [])],
)
@pytest.mark.parametrize("classes", [99, 230])
def test_outputs_have_the_documented_shapes(name, config, rules, classes):
    for batch in (1, 3) if name != "resnet" else (3,):
        outputs = build(name, config | {"classes": classes})(torch.rand(batch, 4251))
        assert [outputs[k].shape for k in outputs] == [(batch, n) for n in [classes, *rules]]


@pytest.mark.parametrize(
    ("section", "count", "heads"),
    # The published transformer holds one more linear map to 37 logits.
    [("model", 882_861 - 37 * 129, 4), ("plain", 2.73e6, 4), ("vit", 9.52e6, 8)],
)
def test_the_papers_networks_have_as_many_parameters_as_published(section, count, heads):
    model = stages.new_model(config.load("paper"), section)
    assert parameter_count(model) == pytest.approx(count, abs=0 if section == "model" else 5e3)
    assert model.config.heads == heads and model.config.grid == (5.0, 0.01, 8501)
    assert section == "plain" or model.tokens == 341


def test_a_weak_line_beside_a_strong_one_is_seen():
    plain, x = build("plain", SMALL), torch.zeros(2, 851)
    x[:, 400], x[1, 403] = 1.0, 0.1
    one, both = plain(x)["aux"]
    assert (one - both).abs().max() > 1e-5


@pytest.mark.parametrize("stem", ["conv", "patch"])
def test_coordinate_channel_is_that_of_the_true_angle(stem):
    start, step, size = SMALL["grid"]
    x = torch.rand(2, size)
    intensity, coordinate = small(stem=stem).channels(x).unbind(1)
    torch.testing.assert_close(intensity[:, :size], x)
    assert (intensity[:, size:] == 0).all()
    assert coordinate[0, 0] == -1 and abs(coordinate[0, size - 1] - 1) < 1e-6
    # Beyond the end the same grid goes on; a stretched one would differ by then.
    sine = np.sin(np.radians(start + step * np.arange(coordinate.shape[1])) / 2) ** 2
    expected = 2 * (sine - sine[0]) / (sine[size - 1] - sine[0]) - 1
    assert coordinate.shape[1] > size
    np.testing.assert_allclose(coordinate[1].numpy(), expected, atol=1e-6)


def test_the_physics_position_is_taken_at_token_centres():
    model = small(stem="patch", patch=25)
    angle = np.radians(5.0 + 0.1 * (25 * np.arange(model.tokens) + 12))
    expected = 100 * np.sin(angle / 2) ** 2
    np.testing.assert_allclose(model.token_sine_squared[:, 0], expected, rtol=1e-6)


def test_receptive_fields_of_the_convolutional_stem_are_centred_on_their_tokens():
    convolutions = nn.Sequential(*(m for m in small().stem if isinstance(m, nn.Conv1d)))
    x = torch.zeros(1, 2, 32 * 9, requires_grad=True)
    convolutions(x)[0, :, 4].sum().backward()
    seen = x.grad[0].abs().sum(0).nonzero()[:, 0]
    assert (seen[0] + seen[-1]) / 2 == 4 * 32 + 15.5
    assert seen[0] <= 4 * 32 and seen[-1] >= 5 * 32 - 1


@pytest.mark.parametrize(
    ("switch", "parameters"),
    [("coordinate_channel", 25 * 16), ("physics_position", 2 * 16 + 16 * 17)]
    + [("learned_position", 36 * 16), ("rule_head", 37 * 17)],
)
def test_each_switch_removes_its_parameters(switch, parameters):
    whole, without = small(stem="patch"), small(stem="patch", **{switch: False})
    assert parameter_count(whole) - parameter_count(without) == parameters
    assert ("rule" in without(torch.rand(1, 851))) == (switch != "rule_head")


@pytest.mark.parametrize("channel", [True, False])
@pytest.mark.parametrize("position", [True, False])
def test_angles_matter_only_through_the_two_physics_parts(channel, position):
    physics = {"coordinate_channel": channel, "physics_position": position}
    x = torch.rand(2, 851, generator=torch.Generator().manual_seed(0))
    here = small(**physics)(x)["aux"]
    elsewhere = small(**physics, grid=(20.0, 0.05, 851))(x)["aux"]
    assert torch.equal(here, elsewhere) == (not channel and not position)


def test_attention_written_out_equals_the_library_one(monkeypatch):
    torch.manual_seed(0)
    block, x = Block(32, 4, 2), torch.randn(2, 50, 32)
    results = []
    for length in (0, 1024):
        monkeypatch.setattr(model, "WRITTEN_OUT", length)
        with torch.autocast("cpu", torch.bfloat16):
            results.append(block(x).float())
    torch.testing.assert_close(*results, atol=0.03, rtol=0.02)
    torch.testing.assert_close(results[1], block(x), atol=0.05, rtol=0.05)
    assert (block(x) - x).abs().max() > 0.1  # the block does something to compare


def test_every_weight_receives_a_gradient():
    for name, shape in (("physics", SMALL), ("plain", SMALL), ("resnet", {})):
        model = build(name, shape)
        outputs = model(torch.rand(4, model.config.grid[2]))
        torch.cat(list(outputs.values()), 1).square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


def test_rotary_positions_make_products_depend_on_distance_alone():
    plain = build("plain", SMALL | {"patch": 8})
    query, key = torch.randn(1, 8).expand(60, -1), torch.randn(1, 8).expand(60, -1)
    plain.cosine, plain.sine = plain.cosine[:60], plain.sine[:60]
    product = plain.rotate(query) @ plain.rotate(key).T
    torch.testing.assert_close(product[1:, 1:], product[:-1, :-1], atol=1e-4, rtol=1e-4)
    assert (product[0, 1:] - product[0, 0]).abs().max() > 1e-2


def test_build_is_a_function_of_name_config_and_seed():
    state = torch.get_rng_state()
    first = build("physics", SMALL, seed=3)
    assert torch.equal(state, torch.get_rng_state())
    rebuilt = build(first.name, json.loads(json.dumps(asdict(first.config))), seed=3)
    assert rebuilt.config == first.config
    for a, b in zip(first.parameters(), rebuilt.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first.position, build("physics", SMALL, seed=4).position)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build("oracle"), "Model 'oracle' is unknown"),
        (lambda: build("physics", {"widht": 3}), "no field widht"),
        (lambda: small(stem="wide"), "Stem 'wide' is unknown"),
        (lambda: small(heads=3), "do not divide"),
        (lambda: build("plain", {"width": 12, "heads": 4}), "even"),
        (lambda: small()(torch.rand(2, 850)), r"shape \(B, 851\)"),
        (lambda: small()(torch.rand(851)), r"shape \(B, 851\)"),
        (lambda: build("resnet")(torch.rand(2, 8501)), r"shape \(B, 4251\)"),
    ],
)
def test_impossible_requests_are_refused_clearly(call, message):
    with pytest.raises(XrdlibError, match=message):
        call()


@pytest.mark.parametrize(("name", "config"), [("physics", SMALL), ("plain", SMALL | {"patch": 1})])
def test_the_place_of_a_line_matters(name, config):
    model, x = build(name, config), torch.zeros(2, 851)
    x[0, 100], x[1, 500] = 1, 1
    first, second = model(x)["aux"]
    assert (first - second).abs().max() > 1e-4
