"""Ideal readers by hand count, and what readers owe to each kind of information."""

import numpy as np
import pandas as pd
import pytest
from votes import UNIFORM, readers

from figures import texts
from xrdlib.base.errors import XrdlibError
from xrdlib.learning.metrics import credit
from xrdlib.reporting import plot_information
from xrdlib.studies import information, knockouts
from xrdlib.studies.information import BOTH, FAMILY, LATTICE, Votes
from xrdlib.studies.knockouts import KINDS, RELEASED, UNTOUCHED
from xrdlib.symmetry import groups


def test_the_14_bravais_lattices_6_families_and_97_classes_come_out():
    result = information.readings()
    assert {name: len(set(result[name])) for name in (FAMILY, LATTICE, BOTH)} == {
        FAMILY: 6,
        LATTICE: 14,
        BOTH: 97,
    }
    same = result[BOTH][:, None] == result[BOTH]
    classes = groups.diffraction_classes()
    assert (same == (classes[:, None] == classes)).all()


def test_readings_nest():
    result = information.readings()
    for fine, coarse in ((BOTH, LATTICE), (LATTICE, FAMILY), (BOTH, information.ABSENCES)):
        pairs = set(zip(result[fine], result[coarse], strict=True))
        assert len(pairs) == len(set(result[fine]))


def test_exact_by_hand():
    reading = np.zeros(99, dtype=int)
    reading[50:] = 1
    frequency = np.zeros(99)
    frequency[[0, 1, 50, 51]] = 0.4, 0.1, 0.3, 0.2
    result = information.exact(reading, frequency)
    assert result["states"] == 2
    assert result["top1"] == pytest.approx(70)
    assert result["top5"] == pytest.approx(100)
    assert result["bits"] == pytest.approx(1)  # two readings, a half each
    with pytest.raises(XrdlibError, match="frequency"):
        information.exact(reading, frequency[:5])


def test_uniform_classes_count_the_states():
    for reading in information.readings().values():
        result = information.exact(reading, UNIFORM)
        assert result["top1"] == pytest.approx(100 * len(set(reading)) / 99)


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
    result = information.score(logp, UNIFORM, votes, 50)
    assert result["top1"] == pytest.approx(75)
    low, high = result["top1_ci95"]
    assert low < 75 < high <= 100
    flat = information.score(np.log(np.tile(UNIFORM, (3, 1))), UNIFORM, votes, 50)
    assert flat["bits"] == pytest.approx(0)
    assert flat["bits_ci95"] == pytest.approx([0, 0])


@pytest.fixture(scope="module")
def answers():
    return readers()


def test_shares_go_to_what_is_read_and_add_up(answers):
    shares = knockouts.shares(answers, UNIFORM, n_boot=40)
    bits = {(row["reader"], row["kind"]): row["bits"] for row in shares}
    rows = knockouts.rows(answers, UNIFORM, n_boot=40)
    whole = {row["reader"]: row["bits"] for row in rows if row["patterns"] == UNTOUCHED}
    for reader in (RELEASED, "guess"):
        total = sum(bits[reader, kind] for kind in (*KINDS, "rest"))
        assert total == pytest.approx(whole[reader])
    assert bits[RELEASED, "lattice"] == pytest.approx(whole[RELEASED])
    assert whole[RELEASED] > 1 and whole["prior only"] == pytest.approx(0)
    assert bits[RELEASED, "absences"] == bits["guess", "lattice"] == pytest.approx(0)


def test_the_ceiling_is_compared_with_the_lattice_pattern_by_pattern(answers):
    own = answers[UNTOUCHED]
    top = information.ceiling(own.votes, UNIFORM, {"released": own.logp[RELEASED]}, n_boot=40)
    row = {r["reader"]: r for r in top}
    # A reader of the lattice under uniform classes is that very reader.
    for name in (LATTICE, "released"):
        assert row[name]["over_lattice"] == 0 and row[name]["over_lattice_ci95"] == [0, 0]
    expected = row[BOTH]["top1"] - row[LATTICE]["top1"]
    assert row[BOTH]["over_lattice"] == pytest.approx(expected) and row[BOTH]["top1"] == 100


def test_the_figure_says_how_many(answers):
    own = answers[UNTOUCHED]
    content = {
        "readers": information.ideal({"made-up": own.votes}, n_boot=40),
        "shares": knockouts.shares(answers, UNIFORM, n_boot=40),
        "rows": knockouts.rows(answers, UNIFORM, n_boot=40),
        "visible": [{"limit": 0.01, "n": 60, "top1": 90, "top1_ci95": [80, 95]}],
        "ceiling": information.ceiling(
            own.votes, UNIFORM, {"released": own.logp["guess"]}, n_boot=40
        ),
        "ceiling_subset": "rruff-test",
    }
    shown = texts(plot_information.information(content))
    assert "rruff-test: 60 measured patterns\nof 60 families" in shown
    for text in ("60 held-out minerals", "reflections above 1 %", "prior only", "shuffled"):
        assert text in shown
    shown = texts(plot_information.information(content | {"ceiling": None}))
    assert "No measured patterns were at hand." in shown
