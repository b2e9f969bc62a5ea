"""Random crystals of every extinction group, and the recipes that make them.

A crystal is named by (seed, number): it is the same in any batch, order or split of the work.
`xrdlib derive recipes` verifies the recipes with spglib, which takes some minutes.
"""

import json
from collections import Counter

import numpy as np
import torch
from tqdm import tqdm

from ..base import records
from ..base.counter import uniform
from ..base.errors import XrdlibError
from ..symmetry.groups import group_of_space_group
from .placement import BLOCK, fill
from .recipes import Recipes, collect, propose

PER_SPACE_GROUP, SEED = 48, 2026  # of the table of recipes
_ATTEMPTS = 20  # recipes tried for one crystal
_TURNS = 20  # rounds of proposals for one set of recipes
_TRIALS = 4  # crystals that a recipe must give in a row
_SYMPREC = 0.01  # spglib's tolerance in angstrom
# Names of random numbers, far from other modules' and, within a block, from `placement`'s.
_FIRST_SLOT = 1 << 20
_GROUP, _SPACE_GROUP, _RECIPE = BLOCK - 3, BLOCK - 2, BLOCK - 1


def generate(
    recipes: Recipes,
    space_group: int | np.ndarray,
    n: int,
    seed: int,
    device: str | torch.device = "cpu",
    first: int = 0,
) -> records.Crystals:
    """Random crystals of one space group, or of a given one each.

    Parameters
    ----------
    recipes : recipes.Recipes
        Verified ones, see `make_recipes`.
    space_group : int or array_like, (n,) int
        1..230.
    n, seed : int
    device : str or torch.device
        Where to compute; the result is always in NumPy arrays.
    first : int
        Number of the first crystal.

    Returns
    -------
    records.Crystals
        All atoms of the conventional cell, in the reference setting; named like "random P21/c 17".

    Raises
    ------
    XrdlibError
        If `n` is not positive, a space group has no recipe, or atoms find no room.
    """
    if n < 1:
        raise XrdlibError(f"n is {n}; ask for one or more crystals.")
    numbers = np.broadcast_to(np.asarray(space_group, dtype=np.int64), (n,))
    order = np.argsort(recipes.space_group, kind="stable")
    low, high = (
        np.searchsorted(recipes.space_group[order], numbers, side) for side in ("left", "right")
    )
    if (low == high).any():
        missing = numbers[low == high][0]
        raise XrdlibError(f"No recipe for space group {missing}; make some with make_recipes.")
    below = records.offsets(recipes.weight[order])
    index, pending, parts, rows = first + np.arange(n), np.arange(n), [], []
    for attempt in range(_ATTEMPTS):
        slot = _FIRST_SLOT + attempt * BLOCK
        share = (below[high] - below[low])[pending]
        drawn_weight = below[low][pending] + _pick(share, seed, index[pending], slot + _RECIPE)
        chosen = order[np.searchsorted(below, drawn_weight, side="right") - 1]
        crystals, done = fill(recipes, chosen, index[pending], seed, slot, device)
        parts.append(crystals)
        rows.append(pending[done])
        pending = pending[~done]
        if not len(pending):
            return records.concatenate(parts).take(np.argsort(np.concatenate(rows)))
    raise XrdlibError(f"{len(pending)} of {n} crystals found no room for their atoms; take fewer.")


def generate_balanced(
    recipes: Recipes, n: int, seed: int, device: str | torch.device = "cpu", first: int = 0
) -> records.Crystals:
    """Random crystals uniform over the extinction groups, then over a group's space groups.

    Space groups without a recipe are left out. Parameters, result and errors as in `generate`.
    """
    numbers = np.unique(recipes.space_group).astype(np.int64)
    if not len(numbers) or n < 1:
        raise XrdlibError(f"{n} crystals of {len(numbers)} space groups asked; one is the least.")
    labels = group_of_space_group()[numbers]
    numbers = numbers[np.argsort(labels, kind="stable")]
    _, start, counts = np.unique(np.sort(labels), return_index=True, return_counts=True)
    index = first + np.arange(n)
    group = _pick(len(start), seed, index, _FIRST_SLOT + _GROUP)
    member = _pick(counts[group], seed, index, _FIRST_SLOT + _SPACE_GROUP)
    return generate(recipes, numbers[start[group] + member], n, seed, device, first)


def make_recipes(space_group: int, n: int, seed: int) -> Recipes:
    """At most `n` distinct recipes whose crystals have the extinction group of their space group.

    Kept are proposed recipes of whose crystals spglib finds a space group of that group; there are
    fewer where a space group offers fewer.

    Raises
    ------
    XrdlibError
        If `n` is not positive, there is no such space group, or no recipe is found.
    """
    if n < 1:
        raise XrdlibError(f"n is {n}; ask for one or more recipes.")
    rng = np.random.default_rng([seed, space_group])
    counts, kept = Counter(), {}  # of all proposals; recipes of those that hold
    for turn in range(_TURNS):
        drawn = propose(space_group, max(2 * n, 16), rng)
        fresh = [proposal for proposal in dict.fromkeys(drawn) if proposal not in counts]
        counts.update(drawn)
        if fresh:
            proposals = collect(space_group, fresh)
            for k in _holding(proposals, seed + turn):
                kept[fresh[k]] = proposals.take([k])
        if len(kept) >= n:
            break
    if not kept:
        raise XrdlibError(
            f"No recipe for space group {space_group} has its symmetry; ask for more."
        )
    first = dict(list(kept.items())[:n])
    made = records.concatenate(first.values())
    made.weight = np.array([counts[proposal] for proposal in first], dtype=np.int32)
    return made


def _holding(proposals, seed):
    """Which proposals give crystals of their extinction group, and give them easily."""
    rows = np.repeat(np.arange(len(proposals)), _TRIALS)
    crystals, done = fill(proposals, rows, np.arange(len(rows)), seed, _FIRST_SLOT, "cpu")
    # A recipe that seldom finds room would slow every batch down.
    easy = np.flatnonzero(done.reshape(-1, _TRIALS).all(1))
    crystals = crystals.take(np.cumsum(done).reshape(-1, _TRIALS)[easy, 0] - 1)
    return easy[group_of_space_group()[detected_space_groups(crystals)] == crystals.group]


def detected_space_groups(crystals: records.Crystals) -> np.ndarray:
    """Numbers that spglib finds at 0.01 angstrom, elements told apart; 0 for none. (n,) int16."""
    import spglib

    numbers = np.zeros(len(crystals), dtype=np.int16)
    for i, (begin, end) in enumerate(zip(crystals.start[:-1], crystals.start[1:], strict=True)):
        cell = (crystals.lattice[i], crystals.frac[begin:end], crystals.number[begin:end])
        dataset = spglib.get_symmetry_dataset(cell, symprec=_SYMPREC)
        numbers[i] = dataset.number if dataset else 0
    return numbers


def _pick(counts, seed, index, slot):
    """A random integer from 0 to `counts` - 1 for each index."""
    draws = uniform(seed, torch.from_numpy(index), slot)[:, 0].double().numpy()
    return np.floor(draws * counts).astype(np.int64)


def row(space_group: int, n: int = PER_SPACE_GROUP) -> list[list[int]]:
    """Recipes of one space group: flat lists of weight, position, label, position, label, ..."""
    made = make_recipes(space_group, n, SEED)
    sites = np.split(np.stack([made.position, made.label], 1), made.start[1:-1])
    return [
        [w, *part.ravel().tolist()] for w, part in zip(made.weight.tolist(), sites, strict=True)
    ]


def derive() -> str:
    """The text of tables/recipes.json: per space group the rows of `row`."""
    rows = (
        f'"{n}": {json.dumps(row(n), separators=(",", ":"))}'
        for n in tqdm(range(1, 231), desc="space groups")
    )
    return "{\n" + ",\n".join(rows) + "\n}\n"
