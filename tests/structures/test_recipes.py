"""The shipped table of recipes: complete, verified by spglib, and what its script gives."""

import numpy as np
import pytest

from xrdlib.base import paths
from xrdlib.structures.crystals import PER_SPACE_GROUP, detected_space_groups, generate, row
from xrdlib.structures.recipes import shipped
from xrdlib.symmetry.groups import group_of_space_group
from xrdlib.symmetry.wyckoff import positions

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")


@pytest.fixture(scope="module")
def recipes():
    return shipped()


def sites(recipes, i):
    """(position, label) of the sites of one recipe."""
    rows = slice(recipes.start[i], recipes.start[i + 1])
    return list(zip(recipes.position[rows].tolist(), recipes.label[rows].tolist(), strict=True))


def test_every_space_group_has_recipes_enough_to_vary(recipes):
    numbers, count = np.unique(recipes.space_group, return_counts=True)
    assert numbers.tolist() == list(range(1, 231))
    assert count.min() >= 30 and count.max() == PER_SPACE_GROUP


def test_crystals_use_recipes_by_their_weight(recipes):
    """Numbers of crystals of each recipe of the space group whose weights differ most."""
    spread = [recipes.weight[recipes.space_group == k].max() for k in range(1, 231)]
    own = recipes.take(recipes.space_group == 1 + np.argmax(spread))
    share = own.weight / own.weight.sum()
    made = generate(own, int(own.space_group[0]), 1000, seed=11)
    known = positions(int(own.space_group[0]))
    atoms = np.array(
        [sum(known[p].multiplicity for p, _ in sites(own, i)) for i in range(len(own))]
    )
    heavy = own.weight.argmax()
    alike = share[atoms == atoms[heavy]].sum()
    detected = (np.diff(made.start) == atoms[heavy]).mean()
    assert share[heavy] > 2 / len(own) and abs(detected - alike) < 5 * np.sqrt(alike / 1000)


def test_recipes_are_distinct_and_their_sites_exist(recipes):
    seen = set()
    for i, number in enumerate(recipes.space_group.tolist()):
        chosen = sites(recipes, i)
        seen.add((number, *chosen))
        known = positions(number)
        assert all(0 <= p < len(known) for p, _ in chosen)
        # A position without a free coordinate holds one atom set at most.
        fixed = [p for p, _ in chosen if not known[p].freedom]
        assert len(fixed) == len(set(fixed))
        labels = {label for _, label in chosen}
        assert labels == set(range(len(labels))) and len(labels) <= 6
    assert len(seen) == len(recipes)


def test_crystals_of_the_shipped_recipes_have_the_group_that_spglib_finds(recipes):
    """But for a free coordinate that falls within spglib's tolerance of a special value."""
    crystals = generate(recipes, np.arange(1, 231), 230, seed=314)
    detected = detected_space_groups(crystals)
    labels = group_of_space_group()
    assert (crystals.group == labels[1:]).all()
    right = labels[detected] == crystals.group
    assert right.mean() >= 0.97 and set(crystals.group[right]) == set(range(1, 100))
    # Most have the very space group, not just one with the same absences.
    assert (detected == crystals.space_group).mean() >= 0.9


def test_the_script_gives_the_committed_table():
    assert row(19) == paths.table("recipes.json")["19"]
