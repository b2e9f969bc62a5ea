"""Do attention heads, and the answer, look at absences? Tests of a network with their nulls."""

from dataclasses import asdict

import numpy as np
import torch
from numpy import ndarray

from ..base.patterns import normalise
from ..learning.baselines import build
from ..learning.model import Block, PhysicsTransformer
from ..learning.statistics import compare, holm
from ..symmetry import groups
from .absences import Positions, intervened, located, reader, tokens
from .specimens import Specimens

SURE = 0.05
WORDS = ("does not hold", "holds in part", "holds")

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
    heads : Tensor, (B, depth, heads, tokens)
        Weight that each token of the pattern receives from the class token in each head.
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
        weight = weights(block, given)
        heads.append(weight[:, :, 0, 1:])
        step = (weight.mean(1) + torch.eye(weight.shape[-1])) / 2
        rolled = step if rolled is None else step @ rolled
    return torch.stack(heads, dim=1), rolled[:, 0, 1:]


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
    subjects, positions = located(subjects, model, prior, measured)
    systems = np.array(groups.crystal_systems())[subjects.crystals.group.astype(int) - 1]
    order = np.argsort([-len(here) for here in positions], kind="stable")
    first = np.unique(systems[order], return_index=True)[1]
    rows = [int(order[i]) for i in np.sort(first)[:_EXAMPLES]]
    return [_example(model, subjects.take([i]), positions[i]) for i in rows]


def _example(model, one, here):
    x = normalise(torch.from_numpy(one.intensity))
    heads, rolled = maps(model, x)
    edges, width = tokens(model)
    blocks = x.shape[1] // _EVERY
    symbol = groups.symbols()[int(one.crystals.group[0]) - 1]
    return {
        "title": f"{one.crystals.name[0]}, {symbol}",
        "subset": one.subset,
        "start": one.grid.start,
        "step": _EVERY * one.grid.step,
        "intensity": x[0, : blocks * _EVERY].view(blocks, _EVERY).amax(1).double().numpy().round(3),
        "first_edge": float(edges[0]),
        "width": width,
        "rollout": _of_even(rolled[0]),
        "blocks": _of_even(heads[0].mean(dim=1)),
        "allowed": here.allowed.round(2),
        "absent": here.angle.round(2),
        "hkl": here.hkl,
    }


def _of_even(weight):
    """Attention (..., tokens) in multiples of an even share."""
    return (weight / weight.mean(dim=-1, keepdim=True)).double().numpy().round(2)


def study(
    title: str,
    model: PhysicsTransformer,
    metadata: dict,
    subjects: Specimens,
    measured: bool = False,
    most: int = 50,
    seeds: int = 2,
    seed: int = 0,
) -> dict | None:
    """Attention and added peaks of one network on one set of specimens.

    `metadata` of a predictor: "calibration", "training_prior" and "minerals". In `measured`
    patterns tokens with peaks that the crystal does not index are left out. Peaks are added
    to at most so many patterns, spread evenly over the specimens; `seeds` untrained networks are
    the null.

    Gives "network", "subset", "n" patterns, "n_families" and "n_absences"; "heads" (`head_rows`);
    "untrained" (of each, the "largest" mean of a class token and how many heads are "more");
    "intervention" and "intervention_untrained" (`absences.intervened`) and "verdict". None where
    fewer than two families have diagnostic absences.
    """
    subjects, positions = located(subjects, model, metadata["minerals"], measured)
    if len(np.unique(subjects.family)) < 2:
        return None
    decoding = metadata["calibration"]["a"], metadata["training_prior"]
    fresh = [build("physics", asdict(model.config), seed + k).eval() for k in range(seeds)]
    some = np.unique(np.linspace(0, len(positions) - 1, most).astype(int))
    part = subjects.take(some), [positions[i] for i in some]
    result = {
        "network": title,
        "subset": subjects.subset,
        "n": len(subjects),
        "n_families": len(np.unique(subjects.family)),
        "n_absences": sum(map(len, positions)),
        "heads": head_rows(model, subjects, positions, seed),
        "untrained": [_null(net, subjects, positions, seed) for net in fresh],
        "intervention": intervened(reader(model, *decoding), *part, seed=seed),
        "intervention_untrained": intervened(reader(fresh[0], *decoding), *part, seed=seed),
    }
    return {**result, "verdict": verdict(result)}


def head_rows(
    model: PhysicsTransformer, subjects: Specimens, positions: list[Positions], seed: int = 0
) -> list[dict]:
    """A row a head: log-ratio of the class token's attention at absences, and at reflections
    ("lines"), to that at matched empty tokens.

    Subjects and positions as from `absences.located`. Rows have "block", "head" (from 1), and for
    "absences" and "lines" the mean, "_ci95" and "_p" that holds for all heads together.
    """
    parts = []
    for part in normalise(torch.from_numpy(subjects.intensity)).split(_BATCH):
        parts.append(maps(model, part)[0].flatten(1, 2).log())
    differences = {"absences": [], "lines": []}
    for weight, here in zip(torch.cat(parts).double().numpy(), positions, strict=True):
        for j, token in enumerate(here.diagnostic):
            empty = weight[:, here.controls[j]] @ here.weights[j]
            differences["absences"].append(weight[:, token] - empty)
            differences["lines"].append(weight[:, here.reflection[j]] - empty)
    family = np.repeat(subjects.family, [len(here) for here in positions])
    rows = [
        {"block": block + 1, "head": head + 1}
        for block in range(model.config.depth)
        for head in range(model.config.heads)
    ]
    for name, values in differences.items():
        test = compare(np.array(values), family, seed=seed)
        for k, row in enumerate(rows):
            row[name] = round(test["mean"][k], 4)
            row[f"{name}_ci95"] = np.round(test["ci95"][k], 4).tolist()
            row[f"{name}_p"] = round(test["p_all"][k], 5)
    return rows


def verdict(result: dict) -> dict:
    """What one network's tests say together.

    Gives "more" and "less": heads whose class token gives absences significantly more or less
    weight than empty positions; "heads" of them in all; "untrained", the most that are `more` in a
    network that has learned nothing; "largest_ratio" and "line_ratio" (largest ratio of weights to
    empty positions, of an absence and of a reflection); "answer_minds" (a peak at an absence costs
    the true group significantly more than one at an empty position); "word".
    """
    own = result["heads"]
    largest = _highest_peak(result)
    minds = largest["p"] < SURE and largest["difference"] < 0
    more, chance = _sure(own, 1), max((net["more"] for net in result["untrained"]), default=0)
    return {
        "heads": len(own),
        "more": more,
        "less": _sure(own, -1),
        "untrained": chance,
        "largest_ratio": float(np.exp(max(row["absences"] for row in own))),
        "line_ratio": float(np.exp(max(row["lines"] for row in own))),
        "answer_minds": bool(minds),
        "word": WORDS[(more > chance) + minds],
    }


def together(tests: list[dict]) -> dict:
    """What the tests of all networks and sets (`study`) say, corrected for their number.

    Gives "tests", "heads" and "more" (sums over tests), "minded" (tests in which a peak at an
    absence costs the true group more than one at an empty position, p-values after Holm), "p_holm"
    (the smallest), "word" and "text". "word" is "holds" if in every test heads attend or the answer
    responds, "holds in part" if in some, else "does not hold".
    """
    rows = [{key: _highest_peak(test)[key] for key in ("p", "difference")} for test in tests]
    holm(rows)
    minded = [row["p_holm"] < SURE and row["difference"] < 0 for row in rows]
    verdicts = [test["verdict"] for test in tests]
    yes = [a or own["more"] > own["untrained"] for a, own in zip(minded, verdicts, strict=True)]
    sums = {
        "tests": len(tests),
        "heads": sum(own["heads"] for own in verdicts),
        "more": sum(own["more"] for own in verdicts),
        "minded": sum(minded),
        "p_holm": min((row["p_holm"] for row in rows), default=None),
        "word": WORDS[any(yes) + (any(yes) and all(yes))],
    }
    text = (
        f"{sums['more']} of {sums['heads']} heads (networks and sets together) give diagnostic "
        f"absences significantly more weight than empty positions. In {sums['minded']} of "
        f"{sums['tests']} tests a peak at an absence costs the true group significantly more than "
        "one at an empty position, after Holm's correction."
    )
    return {**sums, "text": text}


def _highest_peak(result):
    """Effect of the highest added peak."""
    return max(result["intervention"], key=lambda row: row["height"])


def _sure(rows, sign):
    """Heads that significantly prefer absences to empty positions (1), or the other way (-1)."""
    return sum(row["absences_p"] < SURE and sign * row["absences"] > 0 for row in rows)


def _null(model, subjects, positions, seed):
    rows = head_rows(model, subjects, positions, seed)
    return {"largest": max(abs(row["absences"]) for row in rows), "more": _sure(rows, 1)}
