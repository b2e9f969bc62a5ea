"""The attention weights of a network, which the fused attention of PyTorch does not give away.

They are computed again from the weights and the same inputs; values that are mixed with them
equal what the network makes of them.
"""

import torch

SOURCES = ("class token", "all tokens")


def weights(block, x):
    """Attention weights of one block.

    Parameters
    ----------
    block : model.Block
    x : Tensor, (B, length, width)
        Its input.

    Returns
    -------
    Tensor, (B, heads, length, length)
        Row i says how much of each token token i takes; rows sum to one.
    """
    query, key, _ = _split(block, x)
    return ((query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)).softmax(-1)


def mixed(block, x):
    """What `model.Block.attend` gives for an input, from `weights`, (B, length, width)."""
    value = _split(block, x)[2]
    both = weights(block, x) @ value
    return block.out(both.transpose(1, 2).reshape(x.shape))


def _split(block, x):
    """Queries, keys and values, each (B, heads, length, width / heads)."""
    batch, length, width = x.shape
    parts = block.qkv(block.norm1(x)).view(batch, length, 3, block.heads, width // block.heads)
    return parts.permute(2, 0, 3, 1, 4)


@torch.inference_mode()
def maps(model, x):
    """Attention of every head, and what reaches the class token through all blocks.

    Parameters
    ----------
    model : model.PhysicsTransformer
    x : Tensor, (B, size)
        Network input.

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
