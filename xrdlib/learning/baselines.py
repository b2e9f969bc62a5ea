"""The two models the physics-informed transformer is compared with, and the registry of all three.

Both see intensities alone: a convolutional network, and a transformer that knows positions only
through rotary embeddings.
"""

from dataclasses import dataclass, fields

import torch
from torch import nn
from torch.nn import functional as F

from ..base.errors import XrdlibError
from ..symmetry.groups import N_GROUPS
from .model import (
    INTENSITY_GAIN,
    SMALL,
    Block,
    PhysicsTransformer,
    TransformerConfig,
    check_input,
    initialise,
)


@dataclass(frozen=True)
class ResNetConfig:
    """Shape of `ResNet18_1d`: grid as (start, step, size), width and blocks of each stage."""

    grid: tuple[float, float, int] = (5.0, 0.02, 4251)
    widths: tuple[int, ...] = (32, 64, 64, 64)
    blocks: tuple[int, ...] = (2, 2, 2, 2)


@dataclass(frozen=True)
class PlainConfig:
    """Shape of `PlainTransformer`; at paper scale width 256 and `pool` 1 (a token per point).

    Attributes
    ----------
    grid : (start, step, size)
    width, depth, heads, mlp_ratio : int
    pool : int
        Points a token: their maximum is taken, so that no reflection is lost.
    dropout : float
    """

    grid: tuple[float, float, int] = (5.0, 0.02, 4251)
    width: int = 64
    depth: int = 4
    heads: int = 4
    mlp_ratio: int = 4
    pool: int = 8
    dropout: float = 0.0


class ResNet18_1d(nn.Module):
    """ResNet-18 (He et al. 2016) in one dimension with a 99-way head.

    Parameters
    ----------
    config : ResNetConfig
    """

    name = "resnet"

    def __init__(self, config):
        super().__init__()
        self.config = config
        width = config.widths[0]
        layers = [
            nn.Conv1d(1, width, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.MaxPool1d(3, stride=2, padding=1),
        ]
        for stage, (out, blocks) in enumerate(zip(config.widths, config.blocks, strict=True)):
            for i in range(blocks):
                layers.append(_Residual(width, out, stride=2 if stage and i == 0 else 1))
                width = out
        self.features = nn.Sequential(*layers)
        self.aux = nn.Linear(width, N_GROUPS)

    def forward(self, x):
        """(B, size) float32 normalised to {"aux": (B, 99) logits}."""
        check_input(x, self.config.grid)
        return {"aux": self.aux(self.features(x[:, None]).mean(-1))}


class _Residual(nn.Module):
    def __init__(self, width, out, stride):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv1d(width, out, 3, stride, padding=1, bias=False),
            nn.BatchNorm1d(out),
            nn.ReLU(),
            nn.Conv1d(out, out, 3, padding=1, bias=False),
            nn.BatchNorm1d(out),
        )
        self.shortcut = nn.Identity()
        if stride != 1 or width != out:
            self.shortcut = nn.Sequential(
                nn.Conv1d(width, out, 1, stride, bias=False), nn.BatchNorm1d(out)
            )

    def forward(self, x):
        return F.relu(self.branch(x) + self.shortcut(x))


class PlainTransformer(nn.Module):
    """Transformer over (pooled) points with rotary positions (Su et al. 2021) and no physics.

    Parameters
    ----------
    config : PlainConfig

    Raises
    ------
    XrdlibError
        If the heads do not divide the width into parts of even length.
    """

    name = "plain"

    def __init__(self, config):
        super().__init__()
        self.config = config
        if config.width % (2 * config.heads):
            raise XrdlibError(
                f"A width of {config.width} does not split into {config.heads} heads of even "
                "length, which rotary positions need; change either."
            )
        self.embed = nn.Linear(1, config.width)
        self.cls = nn.Parameter(torch.zeros(1, 1, config.width))
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, config.mlp_ratio, config.dropout)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width)
        self.aux = nn.Linear(config.width, N_GROUPS)
        self.apply(initialise)
        nn.init.normal_(self.cls, std=SMALL)
        nn.init.normal_(self.embed.weight, std=INTENSITY_GAIN)
        nn.init.normal_(self.aux.weight, std=SMALL)

        length = config.width // config.heads
        tokens = 1 + -(-config.grid[2] // config.pool)
        frequency = 10000.0 ** (-torch.arange(0, length, 2).double() / length)
        angle = torch.arange(tokens)[:, None] * frequency
        self.register_buffer("cosine", angle.cos().float(), persistent=False)
        self.register_buffer("sine", angle.sin().float(), persistent=False)

    def rotate(self, x):
        """Turn each pair of features of (..., tokens, length) by an angle that grows with place."""
        even, odd = x[..., 0::2], x[..., 1::2]
        cosine, sine = self.cosine.to(x.dtype), self.sine.to(x.dtype)
        turned = torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1)
        return turned.flatten(-2)

    def forward(self, x):
        """(B, size) float32 normalised to {"aux": (B, 99) logits}."""
        check_input(x, self.config.grid)
        pooled = F.max_pool1d(x[:, None], self.config.pool, ceil_mode=True).transpose(1, 2)
        tokens = torch.cat([self.cls.expand(len(x), -1, -1), self.embed(pooled)], dim=1)
        for block in self.blocks:
            tokens = block(tokens, self.rotate)
        return {"aux": self.aux(self.norm(tokens[:, 0]))}


MODELS = {
    "physics": (PhysicsTransformer, TransformerConfig),
    "resnet": (ResNet18_1d, ResNetConfig),
    "plain": (PlainTransformer, PlainConfig),
}


def build(name, config=None, seed=0):
    """A model with freshly drawn weights, the same for the same seed.

    Parameters
    ----------
    name : str
        "physics", "resnet" or "plain".
    config : dict, optional
        Fields of `TransformerConfig`, `ResNetConfig` or `PlainConfig`; defaults for the rest.
        What `dataclasses.asdict(model.config)` gave, also after a trip through JSON.
    seed : int

    Returns
    -------
    torch.nn.Module
        With attributes `name` and `config`.

    Raises
    ------
    XrdlibError
        If the name or a field is unknown.
    """
    if name not in MODELS:
        raise XrdlibError(f"Model {name!r} is unknown; choose one of {', '.join(MODELS)}.")
    kind, shape = MODELS[name]
    config = dict(config or {})
    if unknown := sorted(set(config) - {f.name for f in fields(shape)}):
        raise XrdlibError(f"{shape.__name__} has no field {', '.join(unknown)}; remove it.")
    lists_to_tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(shape(**lists_to_tuples))
