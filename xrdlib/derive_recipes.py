"""Derive tables/recipes.json: verified recipes of random crystals for all 230 space groups.

Takes some minutes, nearly all of them spglib's; needs it, which reading the table does not.
"""

import json

from tqdm import tqdm

from .crystals import make_recipes

PER_SPACE_GROUP = 48
SEED = 2026


def row(space_group, n=PER_SPACE_GROUP):
    """Recipes of one space group: flat lists of weight, position, label, position, label, ..."""
    made = make_recipes(space_group, n, SEED)
    sites = [
        [value for pair in zip(made.position[a:b], made.label[a:b], strict=True) for value in pair]
        for a, b in zip(made.start[:-1], made.start[1:], strict=True)
    ]
    weights = made.weight.tolist()
    return [[w, *(int(value) for value in site)] for w, site in zip(weights, sites, strict=True)]


def derive():
    """The text of tables/recipes.json: per space group the rows of `row`."""
    rows = (
        f'"{n}": {json.dumps(row(n), separators=(",", ":"))}'
        for n in tqdm(range(1, 231), desc="space groups")
    )
    return "{\n" + ",\n".join(rows) + "\n}\n"
