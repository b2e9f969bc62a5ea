"""Decorated prototypes: symmetry against spglib, strain, species, determinism."""

from dataclasses import replace

import numpy as np
import pytest
import samples

from xrdlib.base import records
from xrdlib.base.errors import XrdlibError
from xrdlib.simulation import prototype_library
from xrdlib.simulation.prototype_library import prepare
from xrdlib.simulation.prototypes import Decoration, PrototypeSource, decorate
from xrdlib.structures.detection import detect
from xrdlib.structures.minerals import substitutes, table
from xrdlib.structures.structure_library import NOBLE_GASES
from xrdlib.symmetry.groups import group_of_space_group, half_rotations


@pytest.fixture(scope="module")
def aflow():
    return samples.aflow()


@pytest.fixture(scope="module")
def prototypes(textbook):
    return prepare(textbook)


@pytest.fixture(scope="module")
def sample(aflow):
    """Four crystals from every third AFLOW prototype, and the prototype of each."""
    chosen = np.tile(np.arange(0, len(aflow), 3), 2)
    return decorate(aflow, chosen, np.arange(len(chosen)), seed=1), aflow.take(chosen)


def atoms(crystals, i):
    return slice(crystals.start[i], crystals.start[i + 1])


def metric(crystals):
    return crystals.lattice @ crystals.lattice.swapaxes(1, 2)


def asymmetry(found, frac):
    """Largest change of fractional coordinates when the operations are applied to the atoms."""
    images = np.einsum("kij,pj->kpi", found.rotations, frac) + found.translations[:, None]
    apart = images[:, :, None] - frac
    return np.abs(apart - np.rint(apart)).max(3).min(2).max()


def test_aflow_prototypes_are_sure_and_of_many_groups(aflow):
    assert len(aflow) > 270 and len(set(aflow.group)) > 55
    stated = [int(name.split("_")[2]) for name in aflow.name]
    assert (group_of_space_group()[stated] == aflow.group).all()
    assert (group_of_space_group()[aflow.space_group] == aflow.group).all()
    # The Pearson symbol in the label counts the atoms of the conventional cell, rhombohedral
    # ones those of the primitive one.
    pearson = [name.split("_")[1] for name in aflow.name]
    n_atoms = [int(p[2:]) * (3 if p[:2] == "hR" else 1) for p in pearson]
    assert np.mean(np.diff(aflow.start) == n_atoms) > 0.98


def test_prototypes_are_exactly_symmetric_and_near_what_was_published(textbook, prototypes):
    assert list(prototypes.name) == samples.NAMES
    for i in range(len(prototypes)):
        rows = atoms(prototypes, i)
        found = detect(prototypes, i)
        assert found.space_group == samples.NUMBERS[i]
        assert asymmetry(found, prototypes.frac[rows].astype(float)) < 3e-7
        moved = prototypes.frac[rows] - textbook.frac[rows]
        assert np.abs((moved - np.rint(moved)) @ prototypes.lattice[i]).max() < 0.02
        expected, made = half_rotations(found.rotations), prototypes.rotations[i]
        assert sorted(expected.reshape(24, 9).tolist()) == sorted(made.reshape(24, 9).tolist())


def test_modes_keep_the_symmetry_and_move_atoms_by_one_angstrom(prototypes):
    for i, name in enumerate(samples.NAMES):
        rows, found = atoms(prototypes, i), detect(prototypes, i)
        for mode in prototypes.mode[rows].swapaxes(0, 1).astype(float):
            lengths = np.linalg.norm(mode @ prototypes.lattice[i], axis=1)
            free = name not in ("halite", "silicon")
            assert lengths.max() == pytest.approx(1.0 if free else 0.0, abs=1e-5), name
            assert asymmetry(found, prototypes.frac[rows] + 0.05 * mode) < 1e-6, name
    pyrope = atoms(prototypes, samples.NAMES.index("pyrope"))
    fixed = prototypes.number[pyrope] != 8
    assert not prototypes.mode[pyrope][fixed].any() and prototypes.mode[pyrope][~fixed].any()


def test_what_cannot_be_a_prototype_is_left_out(textbook, monkeypatch):
    halite, silicon = textbook.take([0]), textbook.take([1])
    neon = replace(silicon, number=np.full(8, 10, dtype=np.int16))
    hydrogen = replace(silicon, number=np.full(8, 1, dtype=np.int16))
    wrong = replace(silicon, group=halite.group)
    many = records.concatenate([neon, halite, hydrogen, wrong])
    assert list(prepare(many).name) == ["halite"]
    monkeypatch.setattr(prototype_library, "MAX_ATOMS", 8)
    assert list(prepare(textbook).name) == ["halite", "silicon", "rutile", "no symmetry"]
    with pytest.raises(XrdlibError, match="None of 1 crystals"):
        prepare(neon)


def test_decorated_crystals_keep_their_space_group(sample):
    crystals, old = sample
    found = [detect(crystals, i).space_group for i in range(len(crystals))]
    assert np.mean(group_of_space_group()[found] == old.group) >= 0.99
    assert np.mean(found == old.space_group) >= 0.99
    assert (crystals.group == old.group).all() and (crystals.rotations == old.rotations).all()


def test_strain_is_bounded_and_keeps_the_point_group(aflow):
    chosen = np.repeat(np.arange(0, len(aflow), 4), 3)
    limits = Decoration(change=0, strain=0.05, displacement=0)
    crystals = decorate(aflow, chosen, np.arange(len(chosen)), seed=2, decoration=limits)
    before, after = metric(aflow.take(chosen)), metric(crystals)
    stretch = np.sqrt(np.linalg.eigvals(np.linalg.solve(before, after)).real)
    assert stretch.min() > 0.95 - 1e-9 and stretch.max() < 1.05 + 1e-9
    assert np.abs(stretch - 1).max(1).mean() > 0.005
    for k in range(24):
        turn = crystals.rotations[:, k].astype(float)
        assert np.allclose(turn.swapaxes(1, 2) @ after @ turn, after, rtol=1e-10, atol=1e-10)
    assert (np.linalg.det(crystals.lattice) > 0).all()
    assert (crystals.number == aflow.take(chosen).number).all()


def test_atoms_move_no_farther_than_allowed(prototypes):
    index = np.arange(20 * len(prototypes))
    chosen = index % len(prototypes)
    old = prototypes.take(chosen)
    moving = Decoration(change=0, strain=0, displacement=0.12)
    crystals = decorate(prototypes, chosen, index, seed=4, decoration=moving)
    apart = crystals.frac - old.frac
    owner = np.repeat(np.arange(len(old)), np.diff(old.start))
    vectors = np.einsum("mi,mij->mj", apart - np.rint(apart), old.lattice[owner])
    lengths = np.linalg.norm(vectors, axis=1)
    assert lengths.max() < 0.12 + 1e-5 and np.quantile(lengths, 0.9) > 0.02


def test_species_are_exchanged_one_for_one_and_plausibly(sample):
    crystals, old = sample
    allowed = substitutes() > 0
    row = {z: k for k, z in enumerate(table()["number"].tolist())}
    changed = 0
    for i in range(len(crystals)):
        rows = atoms(crystals, i)
        pairs = set(zip(old.number[rows].tolist(), crystals.number[rows].tolist(), strict=True))
        before, after = zip(*pairs, strict=True)
        assert len(set(before)) == len(pairs) == len(set(after)), crystals.name[i]
        for a, b in pairs:
            assert a == b or (allowed[row[a], row[b]] and b not in before), crystals.name[i]
            changed += a != b
        assert not set(after) & set(NOBLE_GASES)
    assert (crystals.occupancy == old.occupancy).all()
    species = sum(len(set(old.number[atoms(old, i)].tolist())) for i in range(len(old)))
    assert 0.35 < changed / species < 0.65


def test_cells_grow_with_their_elements(prototypes):
    """Halides of the halite type against measured cell edges (R. W. G. Wyckoff, 1963)."""
    edges = {(11, 17): 5.640, (19, 17): 6.293, (11, 35): 5.973, (19, 35): 6.600, (37, 17): 6.581}
    index = np.arange(600)
    only = Decoration(change=0.8, strain=0, displacement=0)
    crystals = decorate(prototypes, np.zeros(600, dtype=int), index, seed=5, decoration=only)
    made = {tuple(crystals.number[atoms(crystals, i)][[0, 4]].tolist()): i for i in index}
    shared = edges.keys() & made.keys()
    assert len(shared) >= 4
    for pair in shared:
        assert crystals.lattice[made[pair], 0, 0] == pytest.approx(edges[pair], rel=0.05), pair


def test_a_crystal_depends_on_its_seed_and_number_alone(aflow):
    source = PrototypeSource(aflow, seed=6)
    whole = source.crystals(np.arange(90))
    for number in (np.arange(30, 50), np.arange(90)[::-1].copy()):
        part, again = source.crystals(number), whole.take(number)
        for name in ("start", "number", "group", "name"):
            assert (getattr(part, name) == getattr(again, name)).all()
        assert np.allclose(part.frac, again.frac, atol=1e-6)
        assert np.allclose(part.lattice, again.lattice, rtol=1e-12)
    other = PrototypeSource(aflow, seed=7).crystals(np.arange(90))
    assert not np.array_equal(other.name, whole.name)


def test_the_source_is_uniform_over_the_groups_that_there_are(aflow):
    source = PrototypeSource(aflow, seed=8)
    present = np.unique(aflow.group) - 1
    expected = np.zeros(99)
    expected[present] = 1 / len(present)
    assert np.allclose(source.class_probabilities, expected)
    drawn = source.crystals(np.arange(40 * len(present)))
    counts = np.bincount(drawn.group - 1, minlength=99)[present]
    chi_square = ((counts - 40) ** 2 / 40).sum()
    degrees = len(present) - 1
    assert chi_square < degrees + 4 * np.sqrt(2 * degrees)
    natural = PrototypeSource(aflow, seed=8, temper=1.0).class_probabilities
    # Some labels name several prototypes of a group, which share one vote.
    votes = [group for _, group in set(zip(aflow.name, aflow.group, strict=True))]
    assert np.allclose(natural, np.bincount(votes, minlength=100)[1:] / len(votes))


def test_bad_input(prototypes):
    with pytest.raises(XrdlibError, match="one or more crystals"):
        decorate(prototypes, [], [], 0)
    with pytest.raises(XrdlibError, match="as many numbers"):
        decorate(prototypes, [0, 1], [0], 0)
    for options in ({"change": 1.2}, {"strain": 0.5}, {"displacement": -1}):
        with pytest.raises(XrdlibError, match="Decoration needs"):
            Decoration(**options)
