"""Integrated gradients: against closed forms, complete, and silent where there is nothing."""

import bundled
import matplotlib
import numpy as np
import pytest
import torch

from xrdlib.base.patterns import CU_KA1
from xrdlib.identification.cell_evidence import evidence
from xrdlib.learning.model import PhysicsTransformer, TransformerConfig
from xrdlib.prediction import plots, style
from xrdlib.prediction.attribution import attribute, integrated_gradients, log_odds
from xrdlib.prediction.widgets import quartz

matplotlib.use("Agg")

CELL = (4.916, 4.916, 5.4054, 90, 90, 120)
UNIFORM = np.full(99, 1 / 99)


def net(**changes):
    torch.manual_seed(3)
    config = TransformerConfig(grid=(5.0, 0.2, 426), width=32, depth=2, **changes)
    made = PhysicsTransformer(config).eval()
    for head in (made.aux, *([made.rule] if config.rule_head else ())):
        torch.nn.init.normal_(head.weight)  # so that it has opinions
    return made


def combs(n=6):
    """Inputs with some peaks each, zero between them."""
    rng = np.random.default_rng(5)
    x = rng.random((n, 426)) ** 2 * (rng.random((n, 426)) < 0.15)
    return torch.from_numpy(x / x.max(1, keepdims=True)).float()


def test_closed_forms():
    x, weight = torch.rand(7), torch.randn(7)
    values = integrated_gradients(lambda v: v @ weight, x)
    assert torch.allclose(values, weight * x)
    values = integrated_gradients(lambda v: (v**3).sum(1), x)
    assert torch.allclose(values, x**3, atol=1e-6)
    # Of a product each factor gets half; a point that the function does not read gets nothing.
    values = integrated_gradients(lambda v: v[:, 0] * v[:, 1], x)
    assert torch.allclose(values[:2], (x[0] * x[1] / 2).expand(2)) and not values[2:].any()
    # From a baseline: x^2 - b^2.
    base = torch.rand(7)
    values = integrated_gradients(lambda v: (v**2).sum(1), x, base)
    assert torch.allclose(values, x**2 - base**2, atol=1e-6)


@pytest.mark.parametrize(("rule_head", "fusion"), [(True, 0.4), (True, 0.0), (False, 0.7)])
def test_they_are_complete_and_zero_where_the_pattern_is(rule_head, fusion):
    model, x = net(rule_head=rule_head), combs()
    prior = np.linspace(1, 3, 99)
    function = log_odds(model, 4, 61, fusion, prior)
    for row in x:
        values = integrated_gradients(function, row)
        with torch.no_grad():
            ends = function(torch.stack([row, torch.zeros_like(row)]))
        difference = (ends[0] - ends[1]).item()
        assert abs(difference) > 0.1
        assert values.sum().item() == pytest.approx(difference, rel=0.01)
        assert not values[row == 0].any() and (values[row > 0] != 0).float().mean() > 0.9


def test_swapped_groups_change_the_sign():
    model, x = net(), combs(1)[0]
    there = integrated_gradients(log_odds(model, 4, 61, 0.5, UNIFORM), x)
    back = integrated_gradients(log_odds(model, 61, 4, 0.5, UNIFORM), x)
    assert torch.allclose(there, -back, atol=1e-5) and there.abs().max() > 1e-3


@pytest.fixture(scope="module")
def predictor():
    return bundled.predictor()


@pytest.fixture(scope="module")
def parts(predictor):
    sample = quartz()
    return attribute(predictor, sample.two_theta, sample.intensity, "CuKa1", 72, 71)


def test_the_log_odds_are_those_of_the_predictor(predictor, parts):
    sample = quartz()
    logp = predictor.evidence(sample.two_theta, [sample.intensity], "CuKa1").evidence[0]
    assert parts.log_odds == pytest.approx(logp[71] - logp[70], abs=1e-3)
    assert parts.values.sum() == pytest.approx(
        parts.log_odds - parts.without_peaks, rel=0.01, abs=1e-3
    )
    assert (parts.first, parts.second) == (72, 71)


def test_lines_speak_and_the_background_does_not(predictor, parts):
    # All reflections of quartz by its cell; what a network reads lies at them.
    sample = quartz()
    cell = evidence(sample.two_theta, sample.intensity, "CuKa1", CELL, [72])
    at = cell.two_theta[cell.seen]
    near = (np.abs(parts.two_theta[:, None] - at) < 0.4).any(1)
    assert near.mean() < 0.35
    assert np.abs(parts.values[near]).sum() > 2 * np.abs(parts.values[~near]).sum()


def test_nothing_is_attributed_to_what_was_not_measured(predictor):
    sample = quartz()
    cut = (sample.two_theta > 15) & (sample.two_theta < 70)
    other = attribute(predictor, sample.two_theta[cut], sample.intensity[cut], "CuKa1", 72, 71)
    outside = (other.two_theta < 14.9) | (other.two_theta > 70.1)
    assert not other.values[outside].any() and other.values[~outside].any()


def test_angles_are_those_of_the_measurement(predictor, parts):
    sample = quartz()
    sine = np.sin(np.radians(sample.two_theta) / 2) * 0.7093 / CU_KA1
    with_mo = 2 * np.degrees(np.arcsin(sine))
    other = attribute(predictor, with_mo, sample.intensity, "MoKa1", 72, 71)
    strongest = np.argmax(np.abs(parts.values))
    # Bragg's law: the same spacings.
    ours, theirs = (np.sin(np.radians(f.two_theta[strongest] / 2)) for f in (other, parts))
    assert ours / 0.7093 == pytest.approx(theirs / CU_KA1, rel=1e-6)
    assert other.log_odds == pytest.approx(parts.log_odds, abs=0.05)


def test_a_doublet_is_read_at_its_stronger_line(predictor, parts):
    sample = quartz()
    other = attribute(predictor, sample.two_theta, sample.intensity, "CuKa", 72, 71)
    assert np.array_equal(other.values, parts.values)


def test_bars_of_the_figure_add_up_and_ticks_are_the_lines_that_are_allowed(parts):
    sample = quartz()
    cell = evidence(sample.two_theta, sample.intensity, "CuKa1", CELL, [72, 71, 75])
    figure = plots.attribution(sample.two_theta, sample.intensity, parts, cell)
    _, bars, ticks = figure.axes
    up, down = (patch.get_data().values for patch in bars.patches)
    assert (up >= 0).all() and (down <= 0).all() and not (up * down).any()
    heights = up + down
    assert heights.sum() == pytest.approx(parts.log_odds - parts.without_peaks, abs=0.01)
    low, high = bars.get_ylim()
    assert low < heights.min() and heights.max() < high
    for line, candidate in zip(ticks.collections, cell.candidates[:2], strict=True):
        drawn = np.array(line.get_segments())[:, 0, 0]
        allowed = cell.two_theta[candidate.state == 1]
        assert np.isin(drawn, allowed).all()
        assert np.abs(allowed[:, None] - drawn).min(1).max() < 0.1  # two that touch are one tick
    names = [text.get_text() for text in bars.texts]
    # The strongest bars belong to known reflections of quartz; 001 and 002 are absent.
    assert 3 < len(names) <= 12 and not {"001", "002"} & set(names)
    plain = plots.attribution(sample.two_theta, sample.intensity, parts)
    assert len(plain.axes) == 2
    for made in (figure, plain):
        style.plt.close(made)
