"""Random crystals: symmetry against spglib, distances by brute force, absences by summation."""

from itertools import product

import gemmi
import numpy as np
import pytest
import torch

from xrdlib.base.errors import XrdlibError
from xrdlib.structures import minerals, placement
from xrdlib.structures.crystals import generate, generate_balanced, make_recipes
from xrdlib.structures.recipes import shipped
from xrdlib.symmetry.cells import cell_of_lattice
from xrdlib.symmetry.groups import group_of_space_group, half_rotations, operations, space_group


@pytest.fixture(scope="module")
def recipes():
    """Two recipes of one space group of each extinction group."""
    labels, every = group_of_space_group(), shipped()
    members = [np.flatnonzero(labels == k) for k in range(1, 100)]
    numbers = [int(m[k % len(m)]) for k, m in enumerate(members)]
    return every.take(np.concatenate([np.flatnonzero(every.space_group == n)[:2] for n in numbers]))


@pytest.fixture(scope="module")
def sample(recipes):
    """Two crystals of each extinction group."""
    return generate(recipes, np.repeat(np.unique(recipes.space_group), 2), 198, seed=6)


def atoms(crystals, i):
    rows = slice(crystals.start[i], crystals.start[i + 1])
    return crystals.number[rows], crystals.frac[rows].astype(float), crystals.occupancy[rows]


def test_atoms_are_symmetric_and_records_consistent(sample):
    for i in range(0, len(sample), 5):
        rotations, translations = operations(int(sample.space_group[i]))
        number, frac, occupancy = atoms(sample, i)
        for rotation, translation in zip(rotations[::5], translations[::5], strict=True):
            apart = (frac @ rotation.T + translation)[:, None] - frac
            same = (np.abs(apart - np.rint(apart)) < 1e-5).all(2)
            image = same.argmax(1)
            assert (same.sum(1) == 1).all() and len(set(image)) == len(frac)
            assert (number[image] == number).all() and (occupancy[image] == occupancy).all()
        assert (sample.rotations[i] == half_rotations(rotations)).all()
    assert sample.lattice.dtype == np.float64 and sample.frac.dtype == np.float32
    assert sample.number.dtype == np.int16
    assert sample.name[0] == "random P1 0"
    assert 0 < (sample.occupancy < 1).mean() < 0.5
    assert sample.occupancy.min() >= placement.MIN_OCCUPANCY and sample.occupancy.max() == 1


def test_no_atoms_collide(sample):
    """All pairs in all images up to two cells away, against the documented threshold."""
    radius = np.zeros(120)
    radius[minerals.table()["number"]] = minerals.table()["radius"]
    images = np.array(list(product(range(-2, 3), repeat=3)))
    for i in range(0, len(sample), 6):
        number, frac, _ = atoms(sample, i)
        apart = frac[:, None] - frac
        vectors = ((apart - np.rint(apart))[..., None, :] + images) @ sample.lattice[i]
        distance = np.linalg.norm(vectors, axis=-1)
        distance[np.arange(len(frac)), np.arange(len(frac)), len(images) // 2] = np.inf
        asked = placement.RADIUS_FRACTION * (radius[number][:, None] + radius[number])
        width = 1 / np.linalg.norm(np.linalg.inv(sample.lattice[i]), axis=0).max()
        asked = np.minimum(np.maximum(asked, placement.MIN_DISTANCE), width / 2)
        assert (distance.min(-1) > asked - 1e-4).all(), sample.name[i]


@pytest.mark.parametrize("number", [1, 14, 62, 136, 148, 176, 225])
def test_lattices_obey_the_crystal_system(number):
    n, volume = 400, 300.0
    drawn = minerals.draw_lattices(
        torch.full((n,), number), torch.full((n,), volume), 3.0, 1, torch.arange(n), 0
    ).numpy()
    metric = drawn @ drawn.swapaxes(1, 2)
    for w in operations(number)[0].astype(float):
        np.testing.assert_allclose(w.T @ metric @ w, metric, atol=1e-9 * metric.max())
    a, _, c, _, beta, _ = cell_of_lattice(drawn).T
    system = space_group(number)["crystal_system"]
    assert system == "cubic" or np.std(np.log(c / a)) > 0.1
    if system == "monoclinic":
        assert beta.min() > 90.4 and beta.max() < 125.1 and beta.std() > 5
    reciprocal = [gemmi.UnitCell(*cell).reciprocal() for cell in cell_of_lattice(drawn)]
    widths = np.array([1 / max(r.a, r.b, r.c) for r in reciprocal])
    volumes = np.array([1 / r.volume for r in reciprocal])
    assert widths.min() > 3 - 1e-6
    assert np.allclose(minerals.widths(torch.from_numpy(drawn)).amin(1).numpy(), widths)
    # The volume is the one asked for, except where the cell had to be widened.
    assert (volumes > volume - 1e-6).all() and np.isclose(volumes, volume).mean() > 0.9


def test_a_crystal_depends_on_its_seed_and_number_alone(recipes):
    whole = generate_balanced(recipes, 60, seed=3)
    part = generate_balanced(recipes, 20, seed=3, first=20)
    again = whole.take(np.arange(20, 40))
    assert (part.start == again.start).all() and (part.number == again.number).all()
    assert np.allclose(part.frac, again.frac, atol=1e-6)
    assert np.allclose(part.lattice, again.lattice, atol=1e-6)
    assert [n.split()[2] for n in part.name] == [n.split()[2] for n in again.name]
    other = generate_balanced(recipes, 60, seed=4)
    assert not np.array_equal(other.space_group, whole.space_group)


def test_balanced_crystals_are_uniform_over_groups_and_mineral_like(recipes):
    made = generate_balanced(recipes, 495, seed=1)
    counts = np.bincount(made.group, minlength=100)[1:]
    # Chi-square of 98 degrees of freedom: mean 98, standard deviation 14.
    assert ((counts - 5) ** 2 / 5).sum() < 98 + 4 * 14
    volume = np.abs(np.linalg.det(made.lattice))
    filled = np.add.reduceat(made.occupancy, made.start[:-1])
    assert volume.max() <= 4000 + 1e-6
    assert 11 < np.median(volume / filled) < 22
    held = [set(made.number[a:b]) for a, b in zip(made.start, made.start[1:], strict=False)]
    assert {len(h) for h in held} <= {1, 2, 3, 4, 5, 6}
    share = {z: np.mean([z in h for h in held]) for z in (8, 26, 30)}
    assert share[8] > share[26] > share[30] > 0  # oxygen, iron, zinc


def test_elements_agree_with_gemmi():
    table = minerals.table()
    elements = [gemmi.Element(symbol) for symbol in table["symbol"]]
    assert [e.atomic_number for e in elements] == table["number"].tolist()
    assert len(set(table["number"])) == len(elements)
    np.testing.assert_allclose([e.covalent_r for e in elements], table["radius"], atol=0.006)
    assert table["symbol"][table["frequency"].argmax()] == "O"


def test_same_crystals_when_few_fit_at_once(recipes, monkeypatch):
    """Chunks bound the memory and change nothing else."""
    whole = generate_balanced(recipes, 40, seed=2)
    monkeypatch.setattr("xrdlib.structures.placement._PAIRS_CPU", 1)
    single = generate_balanced(recipes, 40, seed=2)
    assert (whole.start == single.start).all() and (whole.name == single.name).all()
    assert np.allclose(whole.frac, single.frac, atol=1e-6)


def test_bad_input(recipes, monkeypatch):
    with pytest.raises(XrdlibError, match="No recipe for space group 231"):
        generate(recipes, 231, 1, 0)
    with pytest.raises(XrdlibError, match="one or more"):
        generate(recipes, recipes.space_group[0], 0, 0)
    with pytest.raises(XrdlibError, match="1..230"):
        make_recipes(0, 1, 0)
    with pytest.raises(XrdlibError, match="one or more recipes"):
        make_recipes(14, 0, 0)
    with pytest.raises(XrdlibError, match="one is the least"):
        generate_balanced(recipes.take([]), 3, 0)
    with pytest.raises(XrdlibError, match="1..230"):
        minerals.draw_lattices(torch.tensor([0]), torch.tensor([9.0]), 1.0, 0, torch.tensor([0]), 0)
    monkeypatch.setattr(placement, "_MAX_VOLUME", 1.0)
    monkeypatch.setattr(placement, "_MIN_WIDTH", 0.5)
    with pytest.raises(XrdlibError, match="no room"):
        generate(recipes, 230, 2, 0)
