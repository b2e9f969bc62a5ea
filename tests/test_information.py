"""Ideal readers by hand count, and interventions that destroy one kind of information alone."""

from itertools import product

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from xrdlib import groups, information, knockouts, plot_information, visible_lines
from xrdlib import information_study as study
from xrdlib import information_tables as tables
from xrdlib.crystals import generate
from xrdlib.diffraction import d_star, reflections
from xrdlib.errors import XrdlibError
from xrdlib.information import BOTH, FAMILY, LATTICE, Votes
from xrdlib.information_verdict import verdict
from xrdlib.metrics import credit
from xrdlib.recipes import shipped

# P21/c, C2/c, Pnma, P41, I41/a, R-3c, P63, Pa-3, Fd-3m
SPACE_GROUPS = np.array([14, 15, 62, 76, 88, 167, 173, 205, 227])


@pytest.fixture(scope="module")
def bank():
    crystals = generate(shipped(), SPACE_GROUPS, len(SPACE_GROUPS), 3)
    made = reflections(crystals, two_theta_max=60)
    made.name = np.array([f"mineral {i}" for i in range(len(made))])
    return made


@pytest.fixture(scope="module")
def wide(bank):
    """The same with all reflections that filling knows of, to 90 degrees."""
    crystals = generate(shipped(), SPACE_GROUPS, len(SPACE_GROUPS), 3)
    return reflections(crystals)


def owner(record):
    return np.repeat(np.arange(len(record)), np.diff(record.start))


def squares(record):
    spans = zip(record.lattice, record.start, record.start[1:], strict=False)
    return np.concatenate([d_star(a, record.hkl[i:j]) ** 2 for a, i, j in spans])


def uniform():
    return np.full(99, 1 / 99)


# --- ideal readers ----------------------------------------------------------------------------


def test_the_14_bravais_lattices_6_families_and_97_classes_come_out():
    found = information.readings()
    assert {name: len(set(found[name])) for name in (FAMILY, LATTICE, BOTH)} == {
        FAMILY: 6,
        LATTICE: 14,
        BOTH: 97,
    }
    same = found[BOTH][:, None] == found[BOTH]
    classes = groups.diffraction_classes()
    assert (same == (classes[:, None] == classes)).all()


def test_readings_nest():
    found = information.readings()
    for fine, coarse in ((BOTH, LATTICE), (LATTICE, FAMILY), (BOTH, information.ABSENCES)):
        pairs = set(zip(found[fine], found[coarse], strict=True))
        assert len(pairs) == len(set(found[fine]))


def test_a_powder_never_tells_apart_what_absences_cannot():
    powder, both = information.powder_classes(), information.readings()[BOTH]
    assert len(set(zip(both, powder, strict=True))) == len(set(both))


def test_exact_by_hand():
    reading = np.zeros(99, dtype=int)
    reading[50:] = 1
    frequency = np.zeros(99)
    frequency[[0, 1, 50, 51]] = 0.4, 0.1, 0.3, 0.2
    found = information.exact(reading, frequency)
    assert found["states"] == 2
    assert found["top1"] == pytest.approx(70)
    assert found["top5"] == pytest.approx(100)
    assert found["bits"] == pytest.approx(1)  # two readings, a half each
    with pytest.raises(XrdlibError, match="frequency"):
        information.exact(reading, frequency[:5])


def test_uniform_classes_count_the_states():
    for reading in information.readings().values():
        found = information.exact(reading, uniform())
        assert found["top1"] == pytest.approx(100 * len(set(reading)) / 99)


def test_a_posterior_scores_what_exact_says():
    rng = np.random.default_rng(0)
    frequency = rng.dirichlet(np.ones(99))
    for reading in information.readings().values():
        logp = information.posterior(reading, np.arange(99), frequency)
        assert np.exp(logp).sum(axis=1) == pytest.approx(1)
        for k, key in ((1, "top1"), (5, "top5")):
            expected = information.exact(reading, frequency)[key]
            assert 100 * frequency @ credit(logp, np.arange(99), k) == pytest.approx(expected)
        gain = np.log2(np.exp(logp[np.arange(99), np.arange(99)]) / frequency)
        assert frequency @ gain == pytest.approx(information.exact(reading, frequency)["bits"])


def test_votes_of_minerals():
    rows = [("Quartz", 5), ("Quartz", 5), ("Quartz", 6), ("", 7), ("Halite", 8), ("Galena", 0)]
    votes = information.mineral_votes(pd.DataFrame(rows, columns=["mineral", "stated_group"]))
    assert dict(zip(zip(votes.family, votes.label, strict=True), votes.vote, strict=True)) == {
        ("Halite", 7): 1,
        ("Quartz", 4): pytest.approx(2 / 3),
        ("Quartz", 5): pytest.approx(1 / 3),
    }
    assert votes.frequency[[4, 5, 7]] == pytest.approx([1 / 3, 1 / 6, 1 / 2])
    with pytest.raises(XrdlibError, match="No named mineral"):
        information.mineral_votes(pd.DataFrame(rows[3:4], columns=["mineral", "stated_group"]))


def test_a_family_does_not_count_for_itself():
    votes = Votes(np.array([3, 3, 4]), np.array(["a", "a", "b"]), np.ones(3))
    prior = information.left_out_prior(votes, 1.0)
    assert prior.sum(axis=1) == pytest.approx(1)
    assert (prior[0] == prior[1]).all()
    assert prior[0].argmax() == 4 and prior[2].argmax() == 3
    assert prior[0, 3] == prior[0, 50]  # nothing but the smoothing


def test_score_weighs_votes_and_needs_no_luck():
    votes = Votes(np.array([0, 1, 2]), np.array(["a", "b", "c"]), np.array([2.0, 1.0, 1.0]))
    logp = np.full((3, 99), np.log(1e-12))
    logp[[0, 1, 2], [0, 1, 5]] = 0.0
    found = information.score(logp, uniform(), votes, 50)
    assert found["top1"] == pytest.approx(75)
    low, high = found["top1_ci95"]
    assert low < 75 < high <= 100
    flat = information.score(np.log(np.tile(uniform(), (3, 1))), uniform(), votes, 50)
    assert flat["bits"] == pytest.approx(0)
    assert flat["bits_ci95"] == pytest.approx([0, 0])


# --- interventions ----------------------------------------------------------------------------


def test_permuted_intensities_are_the_same_ones_elsewhere(bank):
    made = knockouts.permuted(bank, 1)
    assert (made.hkl == bank.hkl).all() and (made.lattice == bank.lattice).all()
    before, falloff = knockouts.unitary(bank)
    after = made.f2 / falloff
    for i in range(len(bank)):
        own = owner(bank) == i
        assert np.sort(after[own]) == pytest.approx(np.sort(before[own]), rel=1e-4)
    assert (np.abs(after - before) > 1e-3).mean() > 0.9
    assert (knockouts.permuted(bank, 1).f2 == made.f2).all()


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


def test_equal_intensities_differ_by_the_fall_off_alone(bank):
    made = knockouts.equal(bank)
    assert (made.f2 > 0).all() and (made.hkl == bank.hkl).all()
    order = np.argsort(squares(made))
    steps = np.abs(np.diff(np.log(made.f2[order])))
    assert steps.max() < 0.2 < np.abs(np.diff(np.log(bank.f2[order]))).max()


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
        known = dict(zip(map(tuple, filled.hkl[more].tolist()), filled.f2[more], strict=True))
        kept = [known[tuple(h)] for h in wide.hkl[own].tolist()]
        assert (np.array(kept) == wide.f2[own]).all()


def test_without_lattice_symmetry_equivalents_fall_apart(bank):
    made = knockouts.without_lattice_symmetry(bank, 0)
    whole, split = owner(bank), owner(made)
    before = np.bincount(whole, bank.multiplicity * bank.f2.astype(float))
    after = np.bincount(split, made.multiplicity * made.f2.astype(float))
    assert after == pytest.approx(before, rel=1e-5)
    assert np.bincount(split) == pytest.approx(np.bincount(whole, bank.multiplicity) / 2)
    cubic = int(np.flatnonzero(bank.space_group == 205)[0])
    lengths = d_star(made.lattice[cubic], np.array([[2, 0, 0], [0, 2, 0], [0, 0, 2]]))
    assert np.diff(np.sort(lengths)).min() > 1e-3
    for i in range(len(bank)):
        hkl = made.hkl[split == i]
        assert (d_star(made.lattice[i], hkl) >= d_star(bank.lattice[i], hkl) - 1e-9).all()


def test_intensities_of_another_come_in_order(bank):
    rows, others = np.array([0, 7]), np.array([1, 0])
    made = knockouts.with_intensities_of(bank.take(rows), bank.take(others))
    falloff = knockouts.unitary(bank.take(rows))[1]
    foreign = knockouts.unitary(bank.take(others))[0]
    given = bank.take(others)
    for i in range(2):
        own, there = owner(made) == i, owner(given) == i
        order = np.argsort(d_star(made.lattice[i], made.hkl[own]), kind="stable")
        wanted = foreign[there][
            np.argsort(d_star(given.lattice[i], given.hkl[there]), kind="stable")
        ]
        least = min(len(order), len(wanted))
        got = (made.f2 / falloff)[own][order]
        assert got[:least] == pytest.approx(wanted[:least], rel=1e-4)


def test_donors_are_of_other_families(bank):
    twice = bank.take([0, 0, 1, 1, 2])
    twice.name = np.array(["a", "b", "a", "c", "d"])
    rows, others = study.donors(twice, True, 0)
    assert rows.tolist() == [0, 1, 2, 3] and others.tolist() == [1, 0, 3, 2]
    rows, others = study.donors(twice, False, 0)
    assert (twice.group[rows] != twice.group[others]).all()
    assert (twice.name[rows] != twice.name[others]).all()


def test_the_group_without_screws_has_the_same_lattice():
    label = groups.group_of_space_group()[[14, 15, 62, 88, 167, 173, 205, 227]]
    bare = groups.group_of_space_group()[[3, 5, 16, 79, 146, 143, 195, 196]]
    assert study.without_screws(label).tolist() == bare.tolist()
    assert (study.without_screws(bare) == bare).all()


def test_visible_lines_decide_unless_none_can_be_seen(wide):
    """Some groups have no absence that the network of lines could hide: all lines are seen."""
    lattice = information.readings()[LATTICE]
    seen, usable = visible_lines.evidence(wide, 1e-9)
    assert usable.all()
    assert np.exp(seen).sum(axis=1) == pytest.approx(1)
    true = wide.group.astype(int) - 1
    assert (np.exp(seen[np.arange(len(true)), true]) > 0.5).mean() > 0.7
    elsewhere = np.where(lattice == lattice[true][:, None], 0.0, np.exp(seen))
    assert elsewhere.max() < 1e-9


def test_filled_absences_are_read_as_the_bare_group(wide):
    filled, _ = knockouts.without_absences(wide, 0)
    seen, _ = visible_lines.evidence(filled, 1e-9)
    bare = study.without_screws(wide.group) - 1
    assert (np.exp(seen[np.arange(len(bare)), bare]) > 0.5).mean() > 0.7
    true = wide.group.astype(int) - 1
    assert (seen[np.arange(len(true)), true] < seen[np.arange(len(bare)), bare]).all()


# --- tables -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found():
    """A reader of lattices alone, and one that guesses, on all eight interventions."""
    label = groups.group_of_space_group()[np.resize(SPACE_GROUPS, 60)].astype(int) - 1
    votes = Votes(label, np.arange(60).astype(str), np.ones(60))
    blind = np.log(np.tile(uniform(), (60, 1)))
    sees = information.posterior(information.readings()[LATTICE], label, uniform())
    return {
        study.title([k for k, gone in zip(study.KINDS, lost, strict=True) if gone]): study.Answers(
            votes,
            *[{study.RELEASED: blind if lost[0] else sees, "guess": blind}] * 2,
        )
        for lost in product((False, True), repeat=3)
    }


def test_shares_go_to_what_is_read_and_add_up(found):
    shares = tables.shares(found, uniform(), n_boot=40)
    bits = {(row["reader"], row["kind"]): row["bits"] for row in shares}
    whole = {
        row["reader"]: row["bits"]
        for row in tables.rows(found, uniform(), n_boot=40)
        if row["patterns"] == study.UNTOUCHED
    }
    for reader in (study.RELEASED, "guess"):
        total = sum(bits[reader, kind] for kind in (*study.KINDS, "rest"))
        assert total == pytest.approx(whole[reader])
    assert bits[study.RELEASED, "lattice"] == pytest.approx(whole[study.RELEASED])
    assert whole[study.RELEASED] > 1
    assert bits[study.RELEASED, "absences"] == bits["guess", "lattice"] == pytest.approx(0)


def test_answers_that_pay_no_heed_to_absences_are_called_so(found):
    moves = tables.moved(found, n_boot=40)
    assert {row["n"] for row in moves} == {60}
    before, after = (row for row in moves if row["reader"] == study.RELEASED)
    assert before["bare"] == after["bare"] > 0
    ideal = tables.ideal({"made-up": found[study.UNTOUCHED].votes}, n_boot=40)
    rows = tables.rows(found, uniform(), n_boot=40)
    shares = tables.shares(found, uniform(), n_boot=40)
    said = verdict(ideal, rows, shares, moves, [{"limit": 0.0, "top1": 99, "n": 7}], [])
    assert "hardly depend on" in said["absences"]
    lost = [dict(row) for row in moves]
    next(r for r in lost if r["patterns"] != study.UNTOUCHED)["own_ci95"] = [0, 0]
    assert (
        "depend on the absences, but"
        in verdict(ideal, rows, shares, lost, [{"limit": 0.0, "top1": 99, "n": 7}], [])["absences"]
    )
    assert "most come from the lattice" in said["network"]
    assert "without lattice 0.00" in said["network"]
    assert set(said) == {"readers", "network", "absences", "visible"}


def test_the_ceiling_is_compared_with_the_lattice_pattern_by_pattern(found):
    said = found[study.UNTOUCHED]
    top = tables.ceiling(said.votes, uniform(), said.kept, 40)
    row = {r["reader"]: r for r in top}
    assert row[LATTICE]["over_lattice"] == 0
    assert row[LATTICE]["over_lattice_ci95"] == [0, 0]
    # A reader of the lattice under uniform classes is that very reader.
    assert row[study.RELEASED]["over_lattice_ci95"] == [0, 0]
    expected = row[BOTH]["top1"] - row[LATTICE]["top1"]
    assert row[BOTH]["over_lattice"] == pytest.approx(expected)
    assert row[BOTH]["top1"] == 100


def test_the_figure_says_how_many(found):
    votes = found[study.UNTOUCHED].votes
    top = tables.ceiling(votes, uniform(), {"released": found[study.UNTOUCHED].kept["guess"]}, 40)
    content = {
        "readers": tables.ideal({"made-up": votes}, n_boot=40),
        "shares": tables.shares(found, uniform(), n_boot=40),
        "rows": tables.rows(found, uniform(), n_boot=40),
        "visible": [{"limit": 0.01, "n": 60, "top1": 90, "top1_ci95": [80, 95]}],
        "ceiling": top,
        "ceiling_subset": "rruff-test",
    }
    figure = plot_information.information(content)
    texts = " ".join(t.get_text() for t in figure.findobj(matplotlib.text.Text))
    assert "rruff-test: 60 measured patterns\nof 60 families" in texts
    for text in ("60 held-out minerals", "lines above 1 %", "prior only", "shuffled"):
        assert text in texts
    without = plot_information.information(content | {"ceiling": None})
    texts = [t.get_text() for t in without.findobj(matplotlib.text.Text)]
    assert "No measured patterns were at hand." in texts
    plt.close("all")
