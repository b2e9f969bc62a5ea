"""From logits to probabilities of the 99 groups, and the loss that trains the logits.

The rule head says which crystal system, centring and symmetry elements it sees; a group is as
probable as its template. The auxiliary head scores the groups directly. Both are fused.
"""

import math
from functools import cache

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch.nn import functional as F

from ..base.errors import XrdlibError
from ..symmetry.groups import CENTRING, N_GROUPS, OPERATORS, SYSTEM, templates

MAX_POSITIVE_WEIGHT = 100.0


def rule_log_probs(rule: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of the groups by their templates.

    Of logits (B, 37), ordered as `groups.TEMPLATE_BITS`: log p(g) = log p_system[s(g)] +
    log p_centring[c(g)] + sum over the 25 operators of the log-likelihood of the template's bit,
    normalised over the 99 groups.
    """
    with torch.autocast(rule.device.type, enabled=False):
        rule = rule.float()
        template = _templates(rule.device)
        operators = template[:, OPERATORS]
        score = (
            F.log_softmax(rule[:, SYSTEM], -1) @ template[:, SYSTEM].T
            + F.log_softmax(rule[:, CENTRING], -1) @ template[:, CENTRING].T
            + F.logsigmoid(rule[:, OPERATORS]) @ operators.T
            + F.logsigmoid(-rule[:, OPERATORS]) @ (1 - operators).T
        )
        return F.log_softmax(score, -1)


def fuse(rule_logp: torch.Tensor, aux_logp: torch.Tensor, a: float) -> torch.Tensor:
    """Log of the mixture a p_rule + (1 - a) p_aux of log-probabilities, (..., 99)."""
    if not 0 <= a <= 1:
        raise XrdlibError(f"The fusion weight is {a}; choose one between 0 (aux) and 1 (rule).")
    if a in (0, 1):
        return rule_logp if a == 1 else aux_logp
    return torch.logaddexp(math.log(a) + rule_logp, math.log1p(-a) + aux_logp)


def log_probs(outputs: dict, fusion: float) -> torch.Tensor:
    """Fused log-probabilities of the groups, (B, 99), of a model's outputs.

    The weight of the rule head, `fusion`, has no effect on a model that has none.
    """
    aux = F.log_softmax(outputs["aux"].float(), -1)
    if "rule" not in outputs:
        return aux
    return fuse(rule_log_probs(outputs["rule"]), aux, fusion)


def positive_weights(frequencies: ArrayLike | None = None) -> torch.Tensor:
    """Weight (25,) of an operator's presence in the loss: N_negative / N_positive, 100 at most.

    `frequencies` (99,) are those of the classes in the training stream, uniform by default.
    XrdlibError if they are not 99 non-negative numbers with a positive sum.
    """
    p = np.ones(N_GROUPS) if frequencies is None else np.asarray(frequencies, dtype=np.float64)
    if p.shape != (N_GROUPS,) or not (p >= 0).all() or not 0 < p.sum() < np.inf:
        raise XrdlibError("Class frequencies must be 99 non-negative numbers, not all zero.")
    positive = p / p.sum() @ templates()[:, OPERATORS]
    weight = (1 - positive) / np.maximum(positive, 1e-12)
    return torch.tensor(np.minimum(weight, MAX_POSITIVE_WEIGHT), dtype=torch.float32)


def loss(outputs: dict, labels: torch.Tensor, positive_weights: torch.Tensor) -> tuple:
    """Multi-task loss: CE(system) + CE(centring) + BCE(operators) + CE(99 groups).

    Parameters
    ----------
    outputs : dict
        A model's; without "rule" the loss is the last term alone.
    labels : Tensor, (B,) int64
        Class indices 0..98.
    positive_weights : Tensor, (25,)
        As `positive_weights` gives them; the BCE is a mean over patterns and operators.

    Returns
    -------
    total : Tensor, scalar
    parts : dict of scalar Tensors, detached
        "system", "centring", "operators" (with a rule head) and "aux".
    """
    terms = {}
    with torch.autocast(labels.device.type, enabled=False):
        if "rule" in outputs:
            rule = outputs["rule"].float()
            target = _templates(rule.device)[labels]
            for name, bits in (("system", SYSTEM), ("centring", CENTRING)):
                terms[name] = F.cross_entropy(rule[:, bits], target[:, bits].argmax(-1))
            terms["operators"] = F.binary_cross_entropy_with_logits(
                rule[:, OPERATORS], target[:, OPERATORS], pos_weight=positive_weights
            )
        terms["aux"] = F.cross_entropy(outputs["aux"].float(), labels)
        total = torch.stack(list(terms.values())).sum()
    return total, {name: term.detach() for name, term in terms.items()}


def scores(logp: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Accuracies "top1" and "top5" in percent and "nll" in nats of logp (n, 99), labels (n,)."""
    hit = logp.topk(5, -1).indices == labels[:, None]
    return {
        "top1": 100 * hit[:, 0].float().mean().item(),
        "top5": 100 * hit.any(-1).float().mean().item(),
        "nll": F.nll_loss(logp, labels).item(),
    }


@cache
def _templates(device):
    # An inference tensor, kept in the cache, could never be used for training afterwards.
    with torch.inference_mode(False):
        return torch.tensor(templates().astype(np.float32), device=device)
