"""The physics-informed transformer: a pattern's intensities in, rule and class logits out.

Two things tell it where a reflection lies: a channel with sin^2(theta) of every point, and a
positional embedding computed from sin^2(theta) of every token. Both are taken on the true grid.
In sin^2(theta) the reflections of any crystal lie on a quadratic form in h, k, l (Bragg's law).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from ..base.errors import XrdlibError
from ..symmetry.groups import N_GROUPS, TEMPLATE_BITS

CONV_STRIDES = (4, 4, 2)  # of the convolutional stem: 32 points a token
# With the weights that are usual for wide transformers, or with intensities (mostly well below 1)
# weighed like coordinates, a narrow model first spends thousands of patterns on the mean pattern.
INTENSITY_GAIN, SMALL = 4.0, 0.02
# PyTorch's fused attention has a backward pass in bfloat16 on the CPU that takes five times as long
# as the same formula written out, which needs memory for length^2 and so stays below this length.
WRITTEN_OUT = 1024


@dataclass(frozen=True)
class TransformerConfig:
    """Shape and switches of `PhysicsTransformer`.

    Attributes
    ----------
    grid : (start, step, size)
        First 2theta angle and step in degrees, number of points; Cu K-alpha1.
    width, depth, heads, mlp_ratio : int
        Token width, blocks, attention heads, hidden width of a block's MLP over `width`.
    stem : str
        "patch": a linear map of `patch` points; "conv": strided convolutions, 32 points a token.
    patch : int
        Points a token of the patch stem.
    coordinate_channel : bool
        Give sin^2(theta) of every point beside its intensity.
    physics_position : bool
        Add an MLP of 100 sin^2(theta) at each token's centre.
    learned_position : bool
        Add a learned embedding of each token's number.
    rule_head : bool
        Give 37 rule logits beside the 99 class logits.
    dropout : float
        In attention and MLP outputs.
    classes : int
        Outputs of the auxiliary head: the 99 extinction groups, or 230 space groups.
    """

    grid: tuple[float, float, int] = (5.0, 0.02, 4251)
    width: int = 128
    depth: int = 4
    heads: int = 4
    mlp_ratio: int = 4
    stem: str = "conv"
    patch: int = 25
    coordinate_channel: bool = True
    physics_position: bool = True
    learned_position: bool = True
    rule_head: bool = True
    dropout: float = 0.0
    classes: int = N_GROUPS


def parameter_count(model: nn.Module) -> int:
    """Number of trainable parameters of a module."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


class PhysicsTransformer(nn.Module):
    """Vision-transformer encoder of a powder pattern with a CLS token and two heads.

    Raises
    ------
    XrdlibError
        If the stem is unknown or the heads do not divide the width.
    """

    name = "physics"

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        width, (_, _, size) = config.width, config.grid
        channels = 2 if config.coordinate_channel else 1
        if config.stem == "conv":
            self.token_points, self.stem = 32, _conv_stem(channels, width)
        elif config.stem == "patch":
            self.token_points = config.patch
            self.stem = nn.Conv1d(channels, width, config.patch, config.patch)
        else:
            raise XrdlibError(f"Stem {config.stem!r} is unknown; choose 'patch' or 'conv'.")
        self.tokens = -(-size // self.token_points)
        padded = sine_squared(config.grid, torch.arange(self.tokens * self.token_points))
        low, high = padded[0], padded[size - 1]
        coordinate = (2 * (padded - low) / (high - low) - 1).float()
        centres = torch.arange(self.tokens) * self.token_points + (self.token_points - 1) / 2
        sine_squared_100 = 100 * sine_squared(config.grid, centres).float()
        # Functions of the grid, so they are not saved with the weights.
        self.register_buffer("coordinate", coordinate, persistent=False)
        self.register_buffer("token_sine_squared", sine_squared_100[:, None], persistent=False)

        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        if config.learned_position:
            self.position = nn.Parameter(torch.zeros(1, self.tokens + 1, width))
        if config.physics_position:
            self.position_mlp = nn.Sequential(
                nn.Linear(1, width), nn.GELU(), nn.Linear(width, width)
            )
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.mlp_ratio, config.dropout)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(width)
        if config.rule_head:
            self.rule = nn.Linear(width, len(TEMPLATE_BITS))
        self.aux = nn.Linear(width, config.classes)
        self.apply(initialise)
        self._balance()

    @torch.no_grad()
    def _balance(self):
        """Initial scales at which intensities are not drowned by inputs equal for all patterns."""
        first = self.stem[0] if self.config.stem == "conv" else self.stem
        first.weight[:, 0] *= INTENSITY_GAIN
        nn.init.normal_(self.cls, std=SMALL)
        if self.config.learned_position:
            nn.init.normal_(self.position, std=SMALL)
        if self.config.physics_position:
            nn.init.normal_(self.position_mlp[0].weight, std=SMALL)  # its input reaches 50
        for head in (self.rule, self.aux) if self.config.rule_head else (self.aux,):
            nn.init.normal_(head.weight, std=SMALL)

    def channels(self, x: torch.Tensor) -> torch.Tensor:
        """Input of the stem, (B, 1 or 2, tokens * token_points): intensity and coordinate.

        Of x (B, size), padded at the end to whole tokens.
        """
        check_input(x, self.config.grid)
        x = F.pad(x, (0, len(self.coordinate) - x.shape[1]))
        if not self.config.coordinate_channel:
            return x[:, None]
        return torch.stack([x, self.coordinate.expand_as(x)], dim=1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits of each pattern (B, size) float32, as `patterns.normalise` gives it.

        "aux": (B, classes); with a rule head "rule": (B, 37), as in `groups.TEMPLATE_BITS`.
        XrdlibError if the patterns are not on the model's grid.
        """
        tokens = self.stem(self.channels(x)).transpose(1, 2)
        if self.config.physics_position:
            tokens = tokens + self.position_mlp(self.token_sine_squared)
        tokens = torch.cat([self.cls.expand(len(x), -1, -1), tokens], dim=1)
        if self.config.learned_position:
            tokens = tokens + self.position
        for block in self.blocks:
            tokens = block(tokens)
        summary = self.norm(tokens[:, 0])
        outputs = {"aux": self.aux(summary)}
        if self.config.rule_head:
            outputs["rule"] = self.rule(summary)
        return outputs


class Block(nn.Module):
    """Pre-norm transformer block: attention and MLP, each added to its input."""

    def __init__(self, width: int, heads: int, mlp_ratio: int, dropout: float = 0.0) -> None:
        super().__init__()
        if width % heads:
            raise XrdlibError(f"{heads} heads do not divide a width of {width}; change either.")
        self.heads, self.dropout = heads, dropout
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp_ratio * width), nn.GELU(), nn.Linear(mlp_ratio * width, width)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, rotate: Callable | None = None) -> torch.Tensor:
        """(B, tokens, width) to the same; `rotate` is applied to queries and keys."""
        x = x + self.drop(self.attend(self.norm1(x), rotate))
        return x + self.drop(self.mlp(self.norm2(x)))

    def attend(self, x: torch.Tensor, rotate: Callable | None) -> torch.Tensor:
        batch, length, width = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        if rotate is not None:
            query, key = rotate(query), rotate(key)
        dropout = self.dropout if self.training else 0.0
        if x.device.type == "cpu" and query.dtype == torch.bfloat16 and length <= WRITTEN_OUT:
            score = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
            mixed = F.dropout(score.softmax(-1), dropout) @ value
        else:
            mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


def sine_squared(grid: tuple[float, float, int], index: torch.Tensor) -> torch.Tensor:
    """sin^2(theta) at (fractional) indices of a grid, (start, step, size) in degrees 2theta."""
    start, step, _ = grid
    return torch.sin(torch.deg2rad(start + step * index.double()) / 2) ** 2


def check_input(x: torch.Tensor, grid: tuple[float, float, int]) -> None:
    """Raise XrdlibError unless x is (B, size) on the grid."""
    start, step, size = grid
    if x.ndim != 2 or x.shape[1] != size:
        raise XrdlibError(
            f"The model reads patterns of shape (B, {size}), 2theta from {start:g} degrees in "
            f"steps of {step:g}, and was given {tuple(x.shape)}; use patterns.to_grid."
        )


def initialise(module: nn.Module) -> None:
    """Initial weights that keep the variance (LeCun et al. 1998), for linear maps and filters."""
    if isinstance(module, nn.Linear | nn.Conv1d):
        nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
        nn.init.zeros_(module.bias)


def _conv_stem(channels, width):
    """Strided convolutions whose receptive fields are centred on their tokens' points."""
    layers, widths = [], (channels, width // 4, width // 2, width)
    for i, stride in enumerate(CONV_STRIDES):
        # A kernel of twice the stride, padded by half of it, keeps a token's centre in place.
        layers.append(nn.Conv1d(widths[i], widths[i + 1], 2 * stride, stride, stride // 2))
        if i < len(CONV_STRIDES) - 1:
            layers += [nn.GroupNorm(1, widths[i + 1]), nn.GELU()]
    return nn.Sequential(*layers)
