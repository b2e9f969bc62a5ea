"""Tables and figure of what readers live on, from readers made up for it."""

import pytest
from votes import UNIFORM, readers

from figures import texts
from xrdlib.reporting import plot_information
from xrdlib.studies import information_tables
from xrdlib.studies.information import BOTH, LATTICE
from xrdlib.studies.knockout_study import RELEASED
from xrdlib.studies.knockouts import KINDS, UNTOUCHED


@pytest.fixture(scope="module")
def found():
    return readers()


def test_shares_go_to_what_is_read_and_add_up(found):
    shares = information_tables.shares(found, UNIFORM, n_boot=40)
    bits = {(row["reader"], row["kind"]): row["bits"] for row in shares}
    rows = information_tables.rows(found, UNIFORM, n_boot=40)
    whole = {row["reader"]: row["bits"] for row in rows if row["patterns"] == UNTOUCHED}
    for reader in (RELEASED, "guess"):
        total = sum(bits[reader, kind] for kind in (*KINDS, "rest"))
        assert total == pytest.approx(whole[reader])
    assert bits[RELEASED, "lattice"] == pytest.approx(whole[RELEASED])
    assert whole[RELEASED] > 1 and whole["prior only"] == pytest.approx(0)
    assert bits[RELEASED, "absences"] == bits["guess", "lattice"] == pytest.approx(0)


def test_answers_that_pay_no_heed_to_absences_do_not_move(found):
    moves = information_tables.moved(found, n_boot=40)
    assert {row["n"] for row in moves} == {60}
    before, after = (row for row in moves if row["reader"] == RELEASED)
    assert before["bare"] == after["bare"] > 0 and before["own"] == after["own"]


def test_the_ceiling_is_compared_with_the_lattice_pattern_by_pattern(found):
    said = found[UNTOUCHED]
    top = information_tables.ceiling(
        said.votes, UNIFORM, {"released": said.kept[RELEASED]}, n_boot=40
    )
    row = {r["reader"]: r for r in top}
    # A reader of the lattice under uniform classes is that very reader.
    for name in (LATTICE, "released"):
        assert row[name]["over_lattice"] == 0 and row[name]["over_lattice_ci95"] == [0, 0]
    expected = row[BOTH]["top1"] - row[LATTICE]["top1"]
    assert row[BOTH]["over_lattice"] == pytest.approx(expected)
    assert row[BOTH]["top1"] == 100
    assert f"{expected:.0f} points below" in information_tables.verdict(top)["ceiling"]
    assert information_tables.verdict([]) == {}


def test_the_figure_says_how_many(found):
    said = found[UNTOUCHED]
    content = {
        "readers": information_tables.ideal({"made-up": said.votes}, n_boot=40),
        "shares": information_tables.shares(found, UNIFORM, n_boot=40),
        "rows": information_tables.rows(found, UNIFORM, n_boot=40),
        "visible": [{"limit": 0.01, "n": 60, "top1": 90, "top1_ci95": [80, 95]}],
        "ceiling": information_tables.ceiling(
            said.votes, UNIFORM, {"released": said.kept["guess"]}, n_boot=40
        ),
        "ceiling_subset": "rruff-test",
    }
    figure = plot_information.information(content)
    shown = texts(figure)
    assert "rruff-test: 60 measured patterns\nof 60 families" in shown
    for text in ("60 held-out minerals", "lines above 1 %", "prior only", "shuffled"):
        assert text in shown
    without = plot_information.information(content | {"ceiling": None})
    shown = texts(without)
    assert "No measured patterns were at hand." in shown
