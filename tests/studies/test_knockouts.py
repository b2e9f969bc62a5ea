"""Interventions that destroy one kind of information and leave the others."""

from itertools import product

import numpy as np
import pytest
from votes import SPACE_GROUPS

from xrdlib.simulation.diffraction import d_star, reflections
from xrdlib.structures.crystals import generate
from xrdlib.structures.recipes import shipped
from xrdlib.studies import information, knockouts
from xrdlib.studies.information import LATTICE, visible_evidence
from xrdlib.symmetry import groups


@pytest.fixture(scope="module")
def structures():
    crystals = generate(shipped(), SPACE_GROUPS, len(SPACE_GROUPS), 3)
    made = reflections(crystals, two_theta_max=60)
    made.name = np.array([f"mineral {i}" for i in range(len(made))])
    return made


@pytest.fixture(scope="module")
def wide(structures):
    """The same with all reflections that filling knows of, to 90 degrees."""
    crystals = generate(shipped(), SPACE_GROUPS, len(SPACE_GROUPS), 3)
    return reflections(crystals)


def owner(record):
    return np.repeat(np.arange(len(record)), np.diff(record.start))


def squares(record):
    spans = zip(record.lattice, record.start, record.start[1:], strict=False)
    return np.concatenate([d_star(a, record.hkl[i:j]) ** 2 for a, i, j in spans])


def test_permuted_intensities_are_the_same_ones_elsewhere(structures):
    made = knockouts.permuted(structures, 1)
    assert (made.hkl == structures.hkl).all() and (made.lattice == structures.lattice).all()
    before, falloff = knockouts.unitary(structures)
    after = made.f2 / falloff
    for i in range(len(structures)):
        own = owner(structures) == i
        assert np.sort(after[own]) == pytest.approx(np.sort(before[own]), rel=1e-4)
    assert (np.abs(after - before) > 1e-3).mean() > 0.9
    assert (knockouts.permuted(structures, 1).f2 == made.f2).all()


def test_the_mean_fall_off_is_taken_out():
    """Intensities made to fall as exp(-3 x), x = 1/d^2, times a number drawn for each line."""
    crystals = generate(shipped(), np.resize(SPACE_GROUPS, 45), 45, 5)
    made = reflections(crystals)
    square = squares(made)
    drawn = np.random.default_rng(0).exponential(size=len(square))
    made.f2 = (drawn * np.exp(-3 * square)).astype(np.float32)
    relative, falloff = knockouts.unitary(made)
    assert relative * falloff == pytest.approx(made.f2, rel=1e-5)
    inside = square > 0.1
    left = np.polyfit(square[inside], np.log(falloff[inside]), 1)[0]
    assert left == pytest.approx(-3, abs=0.3)


def test_filling_adds_exactly_what_screws_and_glides_forbid(wide):
    filled, added = knockouts.without_absences(wide, 0)
    hkl = np.array(list(product(range(-25, 26), repeat=3)))
    hkl = hkl[np.abs(hkl).sum(axis=1) > 0]
    limit = 2 * np.sin(np.radians(45)) / 1.540593
    for i, number in enumerate(SPACE_GROUPS):
        rotations, translations = groups.operations(number)
        lattice = (rotations == np.eye(3)).all((1, 2))
        inside = hkl[d_star(wide.lattice[i], hkl) <= limit]
        gone = groups.absent(number, inside)
        centred = groups.systematically_absent(rotations[lattice], translations[lattice], inside)
        own, more = (slice(r.start[i], r.start[i + 1]) for r in (wide, filled))
        before, after = (
            {tuple(h) for h in r.hkl[s].tolist()} for r, s in ((wide, own), (filled, more))
        )
        new = after - before
        assert len(new) == added[i] > 0 and before <= after
        multiplicity = dict(
            zip(map(tuple, filled.hkl[more].tolist()), filled.multiplicity[more], strict=True)
        )
        # Counted over the whole sphere, by the operations of the reference setting.
        assert sum(multiplicity[h] for h in new) == (gone & ~centred).sum()
        f2_of = dict(zip(map(tuple, filled.hkl[more].tolist()), filled.f2[more], strict=True))
        kept = [f2_of[tuple(h)] for h in wide.hkl[own].tolist()]
        assert (np.array(kept) == wide.f2[own]).all()


def test_without_lattice_symmetry_equivalents_fall_apart(structures):
    made = knockouts.without_lattice_symmetry(structures, 0)
    whole, split = owner(structures), owner(made)
    before = np.bincount(whole, structures.multiplicity * structures.f2.astype(float))
    after = np.bincount(split, made.multiplicity * made.f2.astype(float))
    assert after == pytest.approx(before, rel=1e-5)
    assert np.bincount(split) == pytest.approx(np.bincount(whole, structures.multiplicity) / 2)
    cubic = int(np.flatnonzero(structures.space_group == 205)[0])
    lengths = d_star(made.lattice[cubic], np.array([[2, 0, 0], [0, 2, 0], [0, 0, 2]]))
    assert np.diff(np.sort(lengths)).min() > 1e-3
    for i in range(len(structures)):
        hkl = made.hkl[split == i]
        assert (d_star(made.lattice[i], hkl) >= d_star(structures.lattice[i], hkl) - 1e-9).all()


def test_the_group_without_screws_has_the_same_lattice():
    label = groups.group_of_space_group()[[14, 15, 62, 88, 167, 173, 205, 227]]
    bare = groups.group_of_space_group()[[3, 5, 16, 79, 146, 143, 195, 196]]
    assert knockouts.without_screws(label).tolist() == bare.tolist()
    assert (knockouts.without_screws(bare) == bare).all()


def test_visible_lines_decide_unless_none_can_be_seen(wide):
    """Some groups have no absence that the network of lines could hide: all lines are seen."""
    lattice = information.readings()[LATTICE]
    seen, usable = visible_evidence(wide, 1e-9)
    assert usable.all()
    assert np.exp(seen).sum(axis=1) == pytest.approx(1)
    true = wide.group.astype(int) - 1
    assert (np.exp(seen[np.arange(len(true)), true]) > 0.5).mean() > 0.7
    elsewhere = np.where(lattice == lattice[true][:, None], 0.0, np.exp(seen))
    assert elsewhere.max() < 1e-9


def test_filled_absences_are_read_as_the_bare_group(wide):
    filled, _ = knockouts.without_absences(wide, 0)
    seen, _ = visible_evidence(filled, 1e-9)
    bare = knockouts.without_screws(wide.group) - 1
    assert (np.exp(seen[np.arange(len(bare)), bare]) > 0.5).mean() > 0.7
    true = wide.group.astype(int) - 1
    assert (seen[np.arange(len(true)), true] < seen[np.arange(len(bare)), bare]).all()
