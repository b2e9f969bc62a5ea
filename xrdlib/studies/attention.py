"""Attention of a trained network: how much each token receives, per head and through all blocks."""

import numpy as np
import torch
from numpy import ndarray

from ..base.patterns import normalise
from ..learning.model import Block, PhysicsTransformer
from ..symmetry import groups
from .absences import Places, located, tokens
from .specimens import Specimens

SOURCES = ("class token", "all tokens")

_BATCH = 16
_EXAMPLES = 3
_EVERY = 10  # points of a pattern that are one in a figure


def weights(block: Block, x: torch.Tensor) -> torch.Tensor:
    """Attention weights of one block for its input (B, length, width), computed again.

    (B, heads, length, length): row i says how much of each token token i takes; rows sum to one.
    """
    batch, length, width = x.shape
    parts = block.qkv(block.norm1(x)).view(batch, length, 3, block.heads, width // block.heads)
    query, key, _ = parts.permute(2, 0, 3, 1, 4)
    return ((query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)).softmax(-1)


@torch.inference_mode()
def maps(model: PhysicsTransformer, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention of every head, and what reaches the class token through all blocks.

    The network input x is (B, size).

    Returns
    -------
    heads : Tensor, (B, depth, heads, 2, tokens)
        Weight that each token of the pattern receives in each head: from the class token, and
        from all tokens on average (`SOURCES`).
    rolled : Tensor, (B, tokens)
        Attention rollout: the product over blocks of half the mean over heads and half the
        identity, seen from the class token (Abnar & Zuidema, ACL 2020, section 3).
    """
    inputs = []
    hooks = [
        block.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
        for block in model.blocks
    ]
    try:
        model.eval()(x)
    finally:
        for hook in hooks:
            hook.remove()
    heads, rolled = [], None
    for block, given in zip(model.blocks, inputs, strict=True):
        found = weights(block, given)
        heads.append(torch.stack([found[:, :, 0, 1:], found[:, :, 1:, 1:].mean(2)], dim=2))
        step = (found.mean(1) + torch.eye(found.shape[-1])) / 2
        rolled = step if rolled is None else step @ rolled
    return torch.stack(heads, dim=1), rolled[:, 0, 1:]


def looks(
    model: PhysicsTransformer, subjects: Specimens, found: list[Places]
) -> tuple[ndarray, ndarray, ndarray]:
    """Attention at absences and at lines against matched empty tokens.

    Subjects and places as from `absences.located`.

    Gives, a row an absence, the logarithm of the ratio of attention at absences and at lines, (k,
    depth * heads * 2 + 1) each, columns by block, head and source (`SOURCES`) and attention rollout
    last; and the specimen of each absence, (k,).
    """
    parts = []
    for part in normalise(torch.from_numpy(subjects.intensity)).split(_BATCH):
        heads, rolled = maps(model, part)
        parts.append(torch.cat([heads.flatten(1, 3), rolled[:, None]], dim=1).log())
    absences, lines = [], []
    for weight, here in zip(torch.cat(parts).double().numpy(), found, strict=True):
        for j, token in enumerate(here.diagnostic):
            empty = weight[:, here.controls[j]] @ here.weights[j]
            absences.append(weight[:, token] - empty)
            lines.append(weight[:, here.line[j]] - empty)
    owner = np.repeat(np.arange(len(found)), [len(here) for here in found])
    return np.array(absences), np.array(lines), owner


def examples(
    model: PhysicsTransformer, subjects: Specimens, prior: ndarray, measured: bool = True
) -> list[dict]:
    """Patterns of a few crystal systems, those with most diagnostic absences, with their attention.

    `prior` and `measured` as for `absences.located`.

    Rows have "title", "subset", "intensity" (network input, the highest of every few points),
    "start" and "step" of its angles (degrees), "first_edge" and "width" of the tokens (degrees),
    "rollout" (tokens,) and "blocks" (depth, tokens), of the class token and the mean over heads,
    both in multiples of an even share; "allowed" angles, and "absent" angles and "hkl" of the
    diagnostic ones.
    """
    subjects, found = located(subjects, model, prior, measured)
    systems = np.array(groups.crystal_systems())[subjects.crystals.group.astype(int) - 1]
    order = np.argsort([-len(here) for here in found], kind="stable")
    first = np.unique(systems[order], return_index=True)[1]
    rows = [int(order[i]) for i in np.sort(first)[:_EXAMPLES]]
    return [_example(model, subjects.take([i]), found[i]) for i in rows]


def _example(model, one, here):
    x = normalise(torch.from_numpy(one.intensity))
    heads, rolled = maps(model, x)
    edges, width = tokens(model)
    own = heads[0, :, :, 0].mean(dim=1)
    blocks = x.shape[1] // _EVERY
    highest = x[0, : blocks * _EVERY].view(blocks, _EVERY).amax(1)
    symbol = groups.symbols()[int(one.crystals.group[0]) - 1]
    return {
        "title": f"{one.crystals.name[0]}, {symbol}",
        "subset": one.subset,
        "start": one.grid.start,
        "step": _EVERY * one.grid.step,
        "intensity": highest.double().numpy().round(3),
        "first_edge": float(edges[0]),
        "width": width,
        "rollout": _of_even(rolled[0]),
        "blocks": _of_even(own),
        "allowed": here.allowed.round(2),
        "absent": here.angle.round(2),
        "hkl": here.hkl,
    }


def _of_even(weight):
    """Attention (..., tokens) in multiples of an even share."""
    return (weight / weight.mean(dim=-1, keepdim=True)).double().numpy().round(2)
