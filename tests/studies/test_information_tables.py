"""Tables, verdict and figure of what readers live on, from readers made up for it."""

from itertools import product

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from xrdlib.reporting import plot_information
from xrdlib.studies import information, information_tables, knockouts
from xrdlib.studies.information import BOTH, LATTICE, Votes
from xrdlib.studies.information_tables import verdict
from xrdlib.symmetry import groups

# P21/c, C2/c, Pnma, P41, I41/a, R-3c, P63, Pa-3, Fd-3m
SPACE_GROUPS = np.array([14, 15, 62, 76, 88, 167, 173, 205, 227])


def uniform():
    return np.full(99, 1 / 99)


@pytest.fixture(scope="module")
def found():
    """A reader of lattices alone, and one that guesses, on all eight interventions."""
    label = groups.group_of_space_group()[np.resize(SPACE_GROUPS, 60)].astype(int) - 1
    votes = Votes(label, np.arange(60).astype(str), np.ones(60))
    blind = np.log(np.tile(uniform(), (60, 1)))
    sees = information.posterior(information.readings()[LATTICE], label, uniform())
    return {
        knockouts.title(
            [k for k, gone in zip(knockouts.KINDS, lost, strict=True) if gone]
        ): knockouts.Answers(
            votes,
            *[{knockouts.RELEASED: blind if lost[0] else sees, "guess": blind}] * 2,
        )
        for lost in product((False, True), repeat=3)
    }


def test_shares_go_to_what_is_read_and_add_up(found):
    shares = information_tables.shares(found, uniform(), n_boot=40)
    bits = {(row["reader"], row["kind"]): row["bits"] for row in shares}
    whole = {
        row["reader"]: row["bits"]
        for row in information_tables.rows(found, uniform(), n_boot=40)
        if row["patterns"] == knockouts.UNTOUCHED
    }
    for reader in (knockouts.RELEASED, "guess"):
        total = sum(bits[reader, kind] for kind in (*knockouts.KINDS, "rest"))
        assert total == pytest.approx(whole[reader])
    assert bits[knockouts.RELEASED, "lattice"] == pytest.approx(whole[knockouts.RELEASED])
    assert whole[knockouts.RELEASED] > 1
    assert bits[knockouts.RELEASED, "absences"] == bits["guess", "lattice"] == pytest.approx(0)


def test_answers_that_pay_no_heed_to_absences_are_called_so(found):
    moves = information_tables.moved(found, n_boot=40)
    assert {row["n"] for row in moves} == {60}
    before, after = (row for row in moves if row["reader"] == knockouts.RELEASED)
    assert before["bare"] == after["bare"] > 0
    ideal = information_tables.ideal({"made-up": found[knockouts.UNTOUCHED].votes}, n_boot=40)
    rows = information_tables.rows(found, uniform(), n_boot=40)
    shares = information_tables.shares(found, uniform(), n_boot=40)
    said = verdict(ideal, rows, shares, moves, [{"limit": 0.0, "top1": 99, "n": 7}], [])
    assert "hardly depend on" in said["absences"]
    lost = [dict(row) for row in moves]
    next(r for r in lost if r["patterns"] != knockouts.UNTOUCHED)["own_ci95"] = [0, 0]
    assert (
        "depend on the absences, but"
        in verdict(ideal, rows, shares, lost, [{"limit": 0.0, "top1": 99, "n": 7}], [])["absences"]
    )
    assert "most come from the lattice" in said["network"]
    assert "without lattice 0.00" in said["network"]
    assert set(said) == {"readers", "network", "absences", "visible"}


def test_the_ceiling_is_compared_with_the_lattice_pattern_by_pattern(found):
    said = found[knockouts.UNTOUCHED]
    top = information_tables.ceiling(said.votes, uniform(), said.kept, 40)
    row = {r["reader"]: r for r in top}
    assert row[LATTICE]["over_lattice"] == 0
    assert row[LATTICE]["over_lattice_ci95"] == [0, 0]
    # A reader of the lattice under uniform classes is that very reader.
    assert row[knockouts.RELEASED]["over_lattice_ci95"] == [0, 0]
    expected = row[BOTH]["top1"] - row[LATTICE]["top1"]
    assert row[BOTH]["over_lattice"] == pytest.approx(expected)
    assert row[BOTH]["top1"] == 100


def test_the_figure_says_how_many(found):
    votes = found[knockouts.UNTOUCHED].votes
    top = information_tables.ceiling(
        votes, uniform(), {"released": found[knockouts.UNTOUCHED].kept["guess"]}, 40
    )
    content = {
        "readers": information_tables.ideal({"made-up": votes}, n_boot=40),
        "shares": information_tables.shares(found, uniform(), n_boot=40),
        "rows": information_tables.rows(found, uniform(), n_boot=40),
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
