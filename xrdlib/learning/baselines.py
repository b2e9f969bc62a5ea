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
    """Shape of `ResNet18_1d`: grid as (start, step, size), widths and blocks of stages, outputs."""

    grid: tuple[float, float, int] = (5.0, 0.02, 4251)
    widths: tuple[int, ...] = (32, 64, 64, 64)
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    classes: int = N_GROUPS


@dataclass(frozen=True)
class PlainConfig:
    """Shape of `PlainTransformer`.

    Of the published one the width (256), the heads (4), a token for every point, rotary positions,
    adaptive average pooling and 2.73 million parameters are known, which three blocks and fourteen
    regions add up to.

    Attributes
    ----------
    patch : int
        Points a token. The token is a linear map of all of them, so that a weak reflection is seen
        beside a strong one.
    regions : int
        Equal parts of the pattern; the head reads the average of the tokens of each. Rotary
        positions are relative ones, so an average over all would not know where a peak lies.
    grid, width, depth, heads, mlp_ratio, dropout, classes
        As in `TransformerConfig`.
    """

    grid: tuple[float, float, int] = (5.0, 0.02, 4251)
    width: int = 64
    depth: int = 4
    heads: int = 4
    mlp_ratio: int = 4
    patch: int = 8
    regions: int = 14
    dropout: float = 0.0
    classes: int = N_GROUPS


class ResNet18_1d(nn.Module):
    """ResNet-18 (He et al. 2016) in one dimension."""

    name = "resnet"

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.widths[0]
        first = nn.Conv1d(1, width, 7, stride=2, padding=3, bias=False)
        layers = [first, nn.BatchNorm1d(width), nn.ReLU(), nn.MaxPool1d(3, stride=2, padding=1)]
        for stage, (out, blocks) in enumerate(zip(config.widths, config.blocks, strict=True)):
            for i in range(blocks):
                layers.append(_Residual(width, out, stride=2 if stage and i == 0 else 1))
                width = out
        self.features = nn.Sequential(*layers)
        self.aux = nn.Linear(width, config.classes)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """(B, size) float32 normalised to {"aux": (B, classes) logits}."""
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
    """Transformer over patches of points with rotary positions (Su et al. 2021) and no physics.

    Raises
    ------
    XrdlibError
        If the heads do not divide the width into parts of even length.
    """

    name = "plain"

    def __init__(self, config: PlainConfig) -> None:
        super().__init__()
        self.config = config
        if config.width % (2 * config.heads):
            raise XrdlibError(
                f"A width of {config.width} does not split into {config.heads} heads of even "
                "length, which rotary positions need; change either."
            )
        self.embed = nn.Conv1d(1, config.width, config.patch, config.patch)
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, config.mlp_ratio, config.dropout)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width)
        self.aux = nn.Linear(config.regions * config.width, config.classes)
        self.apply(initialise)
        with torch.no_grad():
            self.embed.weight *= INTENSITY_GAIN
        nn.init.normal_(self.aux.weight, std=SMALL)

        length = config.width // config.heads
        tokens = -(-config.grid[2] // config.patch)
        frequency = 10000.0 ** (-torch.arange(0, length, 2).double() / length)
        angle = torch.arange(tokens)[:, None] * frequency
        self.register_buffer("cosine", angle.cos().float(), persistent=False)
        self.register_buffer("sine", angle.sin().float(), persistent=False)

    def rotate(self, x: torch.Tensor) -> torch.Tensor:
        """Turn pairs of features of (..., tokens, length) by angles that grow with position."""
        one, other = x.chunk(2, -1)
        cosine, sine = self.cosine.to(x.dtype), self.sine.to(x.dtype)
        return torch.cat([one * cosine - other * sine, one * sine + other * cosine], dim=-1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """(B, size) float32 normalised to {"aux": (B, classes) logits}."""
        check_input(x, self.config.grid)
        x = F.pad(x, (0, len(self.cosine) * self.config.patch - x.shape[1]))
        tokens = self.embed(x[:, None]).transpose(1, 2)
        for block in self.blocks:
            tokens = block(tokens, self.rotate)
        pooled = F.adaptive_avg_pool1d(self.norm(tokens).transpose(1, 2), self.config.regions)
        return {"aux": self.aux(pooled.flatten(1))}


MODELS = {
    "physics": (PhysicsTransformer, TransformerConfig),
    "resnet": (ResNet18_1d, ResNetConfig),
    "plain": (PlainTransformer, PlainConfig),
}


def build(name: str, config: dict | None = None, seed: int = 0) -> nn.Module:
    """A model with freshly drawn weights, the same for the same seed.

    It has attributes `name` and `config`.

    Parameters
    ----------
    name : str
        "physics", "resnet" or "plain".
    config : dict, optional
        Fields of `TransformerConfig`, `ResNetConfig` or `PlainConfig`; defaults for the rest.
        What `dataclasses.asdict(model.config)` gave, also after a trip through JSON.

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
