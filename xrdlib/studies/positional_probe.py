"""The positional-encoding probe: how finely an encoding resolves positions.

A probe is fitted on some tokens and has to read the angles of others, so that knowing each token
by heart does not help. Networks with fresh weights are the null: what can be read from them was
put there by the construction of the network, not learned.
"""

from dataclasses import asdict, replace

import numpy as np
import torch
from numpy import ndarray

from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1
from ..learning.baselines import build
from ..learning.metrics import resamples
from ..learning.model import PhysicsTransformer, sine_squared

TARGETS = ("two_theta", "sin2_theta", "d")
RUN = 4  # neighbouring tokens that are held back together
FOLDS = 5

# Where a network may know positions from; the last one has nothing but its random embedding.
VARIANTS = {
    "as built": {},
    "no physics embedding": {"physics_position": False},
    "no coordinate channel": {"coordinate_channel": False},
    "neither": {"physics_position": False, "coordinate_channel": False},
}

_SHRINK = 10.0 ** np.arange(-9, 3)  # of the mean variance of a feature


def targets(model: PhysicsTransformer) -> dict[str, ndarray]:
    """What is to be read off each token's centre, (tokens,) each.

    By `TARGETS`: 2theta in degrees; sin^2(theta), which is proportional to 1/d^2; d in angstrom
    for Cu K-alpha1.
    """
    start, step, _ = model.config.grid
    points = model.token_points
    centre = torch.arange(model.tokens).double() * points + (points - 1) / 2
    sine2 = sine_squared(model.config.grid, centre).numpy()
    spacing = CU_KA1 / 2 / np.sqrt(sine2)
    return dict(zip(TARGETS, (start + step * centre.numpy(), sine2, spacing), strict=True))


@torch.inference_mode()
def representations(model: PhysicsTransformer, x: torch.Tensor) -> dict[str, ndarray]:
    """Vectors that stand for each token, from the embeddings alone to the last block.

    The model is left in evaluation mode; x (B, size) is network input.

    (B or 1, tokens, width) each: "learned embedding", with a physical one "physics embedding" and
    "both embeddings", none of which depends on the pattern; "input" (embeddings and what the stem
    made of the pattern), "block 1", "block 2", ...
    """
    model.eval()
    vectors = {"learned embedding": model.position[:, 1:]}
    if model.config.physics_position:
        vectors["physics embedding"] = model.position_mlp(model.token_sine_squared)[None]
        vectors["both embeddings"] = vectors["learned embedding"] + vectors["physics embedding"]
    streams = []
    hooks = [model.blocks[0].register_forward_pre_hook(lambda _, taken: streams.append(taken[0]))]
    for block in model.blocks:
        hooks.append(block.register_forward_hook(lambda _, __, made: streams.append(made)))
    try:
        model(x)
    finally:
        for hook in hooks:
            hook.remove()
    names = ["input", *(f"block {k}" for k in range(1, len(streams)))]
    vectors |= {name: stream[:, 1:] for name, stream in zip(names, streams, strict=True)}
    return {name: value.double().numpy() for name, value in vectors.items()}


def probe(features: ndarray, wanted: ndarray, folds: int = FOLDS, run: int = RUN) -> ndarray:
    """Read k numbers off tokens that a ridge regression was not fitted on.

    Runs of neighbouring tokens are dealt to the folds in turn. How much the weights are shrunk is
    chosen in the same way among the tokens that the fit may see.

    Features are (B, tokens, width), numbers (tokens, k); gives out-of-fold predictions (B, tokens,
    k).

    Raises
    ------
    XrdlibError
        If there are too few tokens for the folds, or the shapes disagree.
    """
    tokens = features.shape[1]
    if wanted.shape[0] != tokens or tokens < 2 * folds * run:
        raise XrdlibError(
            f"A probe with {folds} folds of runs of {run} needs {2 * folds * run} tokens or more "
            f"and as many numbers; got {tokens} and {wanted.shape[0]}."
        )
    fold = np.arange(tokens) // run % folds
    made = np.empty((*features.shape[:2], wanted.shape[1]))
    for k in range(folds):
        rest = np.flatnonzero(fold != k)
        cost = np.zeros((len(_SHRINK), wanted.shape[1]))
        for inner in set(fold[rest]):
            seen, kept = rest[fold[rest] != inner], rest[fold[rest] == inner]
            error = _ridge(features, wanted, seen, kept) - wanted[kept]
            cost += np.square(error).sum(axis=(1, 2))
        best = cost.argmin(axis=0)
        every = _ridge(features, wanted, rest, np.flatnonzero(fold == k))
        made[:, fold == k] = np.stack([every[b, ..., j] for j, b in enumerate(best)], axis=-1)
    return made


def score(
    made: ndarray, wanted: ndarray, n_boot: int = 1000, seed: int = 0, run: int = RUN
) -> dict:
    """How well numbers (tokens,) were read, made (B, tokens), with intervals over runs of tokens.

    Gives "r2" (1 is perfect, 0 is no better than the mean), "rmse" (unit of `wanted`), and
    "r2_ci95", "rmse_ci95": bootstrap over runs of neighbouring tokens.
    """
    square = np.square(made - wanted).mean(axis=0)
    spread = np.square(wanted - wanted.mean())
    drawn = resamples(np.arange(len(wanted)) // run, n_boot, seed)
    weight = np.vstack([np.ones(len(wanted)), *drawn])
    values = {
        "r2": 1 - weight @ square / (weight @ spread),
        "rmse": np.sqrt(weight @ square / weight.sum(axis=1)),
    }
    ends = {f"{k}_ci95": np.percentile(v[1:], [2.5, 97.5]).tolist() for k, v in values.items()}
    return {key: float(value[0]) for key, value in values.items()} | ends


def measure(
    model: PhysicsTransformer, x: torch.Tensor, n_boot: int = 1000, seed: int = 0
) -> list[dict]:
    """Scores of every target after every layer: rows of "place" (layer), "target" and `score`."""
    wanted = targets(model)
    values = np.column_stack(list(wanted.values()))
    mean, spread = values.mean(axis=0), values.std(axis=0)
    rows = []
    for place, features in representations(model, x).items():
        made = mean + spread * probe(features, (values - mean) / spread)
        for j, name in enumerate(wanted):
            rows.append({"place": place, "target": name})
            rows[-1] |= score(made[..., j], values[:, j], n_boot, seed)
    return rows


def compare(
    title: str,
    model: PhysicsTransformer,
    x: torch.Tensor,
    seeds: int = 19,
    variant_seeds: int = 3,
    seed: int = 0,
) -> dict:
    """Probes of one trained network, and of untrained ones with and without each source.

    Of untrained networks there are `seeds` built as the trained one and `variant_seeds` of each
    other variant. To be beyond all of 19 has a chance of one in twenty. x (B, size) is network
    input.

    Gives "network", "patterns", "tokens", "token_width" (degrees), "trained" (rows of `measure`),
    "untrained" (by variant such rows with the mean over seeds and "_range" [low, high] of "r2" and
    "rmse", and "seeds"), "verdict" (by target).
    """
    trained, shape = measure(model, x, seed=seed), model.config
    untrained = {}
    for name, changes in VARIANTS.items():
        own, runs = asdict(replace(shape, **changes)), variant_seeds if changes else seeds
        fresh = (build("physics", own, seed + k) for k in range(runs))
        untrained[name] = _over_seeds([measure(network, x, n_boot=2) for network in fresh])
    return {
        "network": title,
        "patterns": len(x),
        "tokens": model.tokens,
        "token_width": model.token_points * shape.grid[1],
        "trained": trained,
        "untrained": untrained,
        "verdict": verdict(trained, untrained["as built"]),
    }


def verdict(trained: list[dict], untrained: list[dict]) -> dict[str, dict]:
    """Does training make positions readable? By target, after the last block.

    Gives by target: "readable" (R2 above 0.9), "better_than_untrained" (error below that of every
    untrained network, and their range outside the interval), and "text".
    """
    verdicts = {}
    for target in TARGETS:
        last, fresh = (
            [row for row in rows if row["target"] == target][-1] for rows in (trained, untrained)
        )
        better = last["rmse_ci95"][1] < fresh["rmse_range"][0]
        worse = last["rmse_ci95"][0] > fresh["rmse_range"][1]
        same = "worse than" if worse else "not shown to be better than"
        text = (
            f"After the last block R2 is {last['r2']:.3f} in the trained network and "
            f"{fresh['r2']:.3f} in {fresh['seeds']} untrained ones: "
            f"{'better than' if better else same} what the construction gives."
        )
        flags = {"readable": last["r2"] > 0.9, "better_than_untrained": bool(better)}
        verdicts[target] = flags | {"text": text}
    return verdicts


def _over_seeds(runs):
    """Mean, lowest and highest score over networks, whose rows are of one shape."""
    rows = []
    for same in zip(*runs, strict=True):
        row = {"place": same[0]["place"], "target": same[0]["target"], "seeds": len(same)}
        for key in ("r2", "rmse"):
            values = [one[key] for one in same]
            row |= {key: float(np.mean(values)), f"{key}_range": [min(values), max(values)]}
        rows.append(row)
    return rows


def _ridge(features, wanted, seen, kept):
    """Predictions (shrinkages, B, kept, k) for tokens `kept` of fits on the tokens `seen`."""
    x = features[:, seen].reshape(-1, features.shape[2])
    centre, scale = x.mean(axis=0), x.std(axis=0) + 1e-12
    x = (x - centre) / scale
    y = np.tile(wanted[seen], (len(features), 1))
    offset = y.mean(axis=0)
    value, vector = np.linalg.eigh(x.T @ x / len(x))
    turned = vector.T @ (x.T @ (y - offset)) / len(x)
    weights = vector @ (turned / (value.clip(min=0)[:, None] + _SHRINK[:, None, None]))
    return ((features[:, kept] - centre) / scale) @ weights[:, None] + offset
