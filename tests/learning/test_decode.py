import numpy as np
import pytest
import torch

from xrdlib.base.errors import XrdlibError
from xrdlib.learning import decode
from xrdlib.symmetry.groups import templates

TEMPLATES = templates().astype(float)


def random_outputs(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        "rule": torch.randn(n, 37, generator=generator),
        "aux": torch.randn(n, 99, generator=generator),
    }


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_every_template_decodes_to_its_own_group():
    perfect = torch.tensor(40 * TEMPLATES - 20, dtype=torch.float32)
    logp = decode.rule_log_probs(perfect)
    assert logp.argmax(1).tolist() == list(range(99))
    assert logp.diagonal().exp().min() > 0.99


def test_rule_probabilities_against_a_product_of_probabilities():
    rule = random_outputs(4)["rule"]
    z = rule.double().numpy()
    expected = np.empty((4, 99))
    for g in range(99):
        t = TEMPLATES[g]
        bits = sigmoid(z[:, 12:])
        expected[:, g] = (
            softmax(z[:, :7])[:, t[:7].argmax()]
            * softmax(z[:, 7:12])[:, t[7:12].argmax()]
            * np.where(t[12:] == 1, bits, 1 - bits).prod(1)
        )
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(decode.rule_log_probs(rule).exp().numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize("a", [0.0, 0.3, 0.5, 1.0])
def test_fusion_is_the_mixture_of_probabilities(a):
    outputs = random_outputs(5)
    rule = decode.rule_log_probs(outputs["rule"])
    aux = torch.log_softmax(outputs["aux"], 1)
    fused = decode.log_probs(outputs, a)
    np.testing.assert_allclose(fused.exp(), a * rule.exp() + (1 - a) * aux.exp(), rtol=1e-5)
    np.testing.assert_allclose(fused.exp().sum(1), 1, rtol=1e-5)
    if a in (0, 1):
        assert torch.equal(fused, rule if a else aux)
    assert torch.equal(decode.log_probs({"aux": outputs["aux"]}, a), aux)


@pytest.mark.parametrize("a", [-0.1, 1.1, float("nan")])
def test_fusion_weights_outside_the_unit_interval_are_refused(a):
    with pytest.raises(XrdlibError, match="fusion weight"):
        decode.log_probs(random_outputs(1), a)


def test_loss_against_a_calculation_by_hand():
    outputs, labels = random_outputs(6), torch.tensor([0, 17, 98, 50, 50, 3])
    weights = torch.linspace(0.5, 60, 25)
    rule, aux = outputs["rule"].double().numpy(), outputs["aux"].double().numpy()
    target = TEMPLATES[labels]

    def cross_entropy(z, onehot):
        return -(onehot * np.log(softmax(z))).sum(1).mean()

    p = sigmoid(rule[:, 12:])
    bce = -(weights.numpy() * target[:, 12:] * np.log(p) + (1 - target[:, 12:]) * np.log(1 - p))
    expected = {
        "system": cross_entropy(rule[:, :7], target[:, :7]),
        "centring": cross_entropy(rule[:, 7:12], target[:, 7:12]),
        "operators": bce.mean(),
        "aux": cross_entropy(aux, np.eye(99)[labels]),
    }
    total, parts = decode.loss(outputs, labels, weights)
    assert {k: pytest.approx(v.item(), rel=1e-5) for k, v in parts.items()} == expected
    assert total.item() == pytest.approx(sum(expected.values()), rel=1e-5)


def test_autocast_does_not_coarsen_loss_or_probabilities():
    outputs, labels = random_outputs(4), torch.tensor([1, 2, 3, 4])
    weights = decode.positive_weights()
    with torch.autocast("cpu", torch.bfloat16):
        inside = decode.loss(outputs, labels, weights)[0], decode.log_probs(outputs, 0.5)
    assert inside[0] == decode.loss(outputs, labels, weights)[0]
    assert torch.equal(inside[1], decode.log_probs(outputs, 0.5))


def test_training_works_after_decoding_in_inference_mode():
    decode._templates.cache_clear()
    with torch.inference_mode():
        decode.log_probs(random_outputs(2), 0.5)
    rule = random_outputs(2)["rule"].requires_grad_()
    decode.rule_log_probs(rule)[:, 5].sum().backward()
    assert rule.grad.abs().max() > 0


def test_positive_weights_balance_presence_and_absence():
    rng = np.random.default_rng(0)
    frequencies = rng.random(99)
    weight = decode.positive_weights(frequencies).double().numpy()
    drawn = frequencies @ TEMPLATES[:, 12:], frequencies @ (1 - TEMPLATES[:, 12:])
    free = weight < 100
    np.testing.assert_allclose(weight[free] * drawn[0][free], drawn[1][free], rtol=1e-5)
    assert (drawn[1] / drawn[0] >= 100 - 1e-3)[~free].all() and free.sum() > 10
    counts = TEMPLATES[:, 12:].sum(0)
    np.testing.assert_allclose(
        decode.positive_weights(), np.minimum((99 - counts) / counts, 100), rtol=1e-6
    )


@pytest.mark.parametrize("bad", [np.ones(98), np.zeros(99), -np.ones(99), np.full(99, np.nan)])
def test_impossible_class_frequencies_are_refused(bad):
    with pytest.raises(XrdlibError, match="Class frequencies"):
        decode.positive_weights(bad)


def test_scores_of_a_worked_example():
    p = torch.full((4, 99), 0.5 / 93)
    p[:, :6] = torch.tensor([0.3, 0.09, 0.05, 0.03, 0.02, 0.01])
    scores = decode.scores(p.log(), torch.tensor([0, 4, 5, 60]))
    assert scores["top1"] == 25 and scores["top5"] == 50
    expected = -np.log([0.3, 0.02, 0.01, 0.5 / 93]).mean()
    assert scores["nll"] == pytest.approx(expected, rel=1e-5)
