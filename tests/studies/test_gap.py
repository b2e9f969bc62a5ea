"""The nuisances of the simulator one at a time, and the tables that are made of them."""

from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest

from figures import texts
from xrdlib.base.patterns import GRID
from xrdlib.learning.experiment import MEASURED
from xrdlib.reporting import plot_measured
from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.realism import Realism
from xrdlib.structures.crystals import generate_balanced
from xrdlib.structures.measured import Measured
from xrdlib.structures.recipes import shipped
from xrdlib.studies import comparison, gap


@pytest.fixture(scope="module")
def structures():
    return reflections(generate_balanced(shipped(), 12, 0))


def test_every_field_that_can_be_taken_away_belongs_to_one_nuisance():
    named = [field for them in gap.NUISANCES.values() for field in them]
    assert len(named) == len(set(named))
    # Those left are limits and shapes that mean nothing once the named ones are off.
    rest = {f.name for f in fields(Realism)} - set(named)
    assert rest == {
        *("march", "strong_texture", "strong_march", "two_axes", "fwhm_limits", "line_strain"),
        *("hump", "folded", "pedestal", "impurity_level", "crop_first", "crop_last"),
    }


def test_all_nuisances_together_are_the_training_ranges_and_none_is_clean():
    every = gap.conditions()
    ladder, alone, without, ends = every.ladder, every.alone, every.without, every.ends
    assert ends[gap.EVERYTHING] == Realism.measured() == list(ladder.values())[-1]
    assert list(ladder) == [gap.CLEAN, *gap.NUISANCES] and list(alone) == list(without)
    assert ladder["widths"] == alone["widths"] and ladder[gap.CLEAN] != alone["widths"]
    assert without["faults"] == list(ladder.values())[-2]
    assert ends[gap.LIKE].subtracted == 1 and ends[gap.LIKE].cropped == 0
    base = Realism.measured(strain=(0.001, 0.02))
    assert gap.ranges(["cell strain"], base).strain == (0.001, 0.02)


def test_clean_patterns_of_a_crystal_are_all_alike_and_end_on_nothing(structures):
    clean = gap.conditions().ladder[gap.CLEAN]
    x = gap.simulate(structures, structures, clean, 2).reshape(2, len(structures), GRID.size)
    x /= x.max(2, keepdims=True)
    assert np.abs(x[0] - x[1]).max() < 1e-4
    assert np.median(x, axis=2).max() < 0.05


@pytest.mark.parametrize("name", ["widths", "background", "texture", "shifts, tails", "noise"])
def test_one_nuisance_alone_changes_patterns(structures, name):
    every = gap.conditions()
    pair = every.ladder[gap.CLEAN], every.alone[name]
    clean, other = (gap.simulate(structures, structures, realism, 1) for realism in pair)
    clean, other = (x / x.max(1, keepdims=True) for x in (clean, other))
    assert np.abs(clean - other).max(1).mean() > 0.02


def test_scores_of_a_pattern_are_means_over_its_draws():
    null = np.full(99, 1 / 99)
    sure, flat = np.full(99, 0.1 / 98), null
    sure[3] = 0.9
    logp = np.log(np.stack([sure, sure, flat, sure]))  # two draws of two patterns
    result = gap.gains(logp, np.array([3, 4]), null)
    assert result["top1"] == pytest.approx([(100 + 100 / 99) / 2, 0])
    assert result["nll"] == pytest.approx([(np.log(99) - np.log(0.9)) / 2, -np.log(0.1 / 98)])
    assert result["bits"][0] == pytest.approx(np.log2(0.9 * 99) / 2)


def test_the_shuffled_null_is_the_mean_over_all_permutations():
    rng = np.random.default_rng(0)
    null = np.full(99, 1 / 99)
    logp = np.log(rng.dirichlet(np.full(99, 0.1), size=3) * 0.99 + null * 0.01)
    labels = np.array([5, 5, 70])
    orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    drawn = [gap.gains(logp[list(order)], labels, null) for order in orders]
    result = gap.shuffled(logp, labels, null)
    for key, value in result.items():
        assert value == pytest.approx(np.mean([one[key] for one in drawn], axis=0)), key


def test_networks_are_compared_with_the_search_pattern_by_pattern(monkeypatch):
    labels, families = np.arange(8), np.array(list("aabbccdd"))
    sure, flat = np.full((8, 99), np.log(0.1 / 98)), np.full((8, 99), -np.log(99))
    sure[np.arange(8), labels] = np.log(0.9)
    one = np.ones(8, np.int16)
    patterns = Measured(np.zeros((8, 1)), one, (labels + 1).astype(np.int16), families, families)
    monkeypatch.setattr(gap, "search_match", lambda *_: ({MEASURED[1]: sure}, {}))
    monkeypatch.setattr(gap, "read", lambda *_: {"blind": flat, "same": sure})
    networks = {"blind": SimpleNamespace(metadata={"minerals": None})}
    null = np.full(99, 1 / 99)
    blind, same = gap.beside_search(networks, {MEASURED[1]: patterns}, None, null, 100)
    assert (blind["search_top1"], blind["n"], blind["n_families"]) == (100, 8, 4)
    assert blind["bits"] == pytest.approx(0) and comparison.direction(blind) == -1
    assert blind["bits_change"] == pytest.approx(-np.log2(0.9 * 99))
    assert same["bits_change"] == 0 and comparison.direction(same) == 0


def made_up(real, nuisances, clean=80.0):
    """One network's tables with given losses of top-1 and bits."""

    def row(bits, top1=0.0):
        return {"top1": top1, "top1_ci95": None, "bits": bits, "bits_ci95": [bits - 1, bits + 1]}

    rows = {
        gap.CLEAN: row(3, clean),
        gap.EVERYTHING: row(2, clean - nuisances),
        gap.LIKE: row(2, clean - nuisances),
        "measured": row(1, clean - nuisances - real),
        "prior only": row(0, 9),
        "measured, shuffled": row(-1, 8),
    }
    steps = {
        f"{gap.CLEAN} to {gap.LIKE}": row(-nuisances / 10, -nuisances),
        f"{gap.LIKE} to measured": row(-real / 10, -real),
    }
    table = [
        {"nuisance": name, **row(2), "step": row(0), "alone": row(0), "last": row(-size)}
        for name, size in (("noise", 0.2), ("texture", 1.5))
    ]
    part = {"n": 9, "families": 7}
    own = {"rows": rows, "steps": steps, "nuisances": table, "worst": "texture", "alike": []}
    part["networks"] = {"net": own}
    return {MEASURED[0]: part}


def test_the_nuisance_that_costs_most_stands_out():
    families, zero = np.arange(30), {"bits": np.zeros(30), "top1": np.zeros(30)}
    own = {("ends", gap.CLEAN): zero, ("ends", gap.EVERYTHING): zero}
    spread = np.linspace(-0.5, 0.5, 30)
    for kind in ("ladder", "alone", "without"):
        own |= {(kind, name): zero for name in gap.NUISANCES}
    for name, gain in (("noise", 2 + spread), ("texture", 1.9 - spread), ("faults", 1 + spread)):
        own["without", name] = {"bits": gain, "top1": gain}
    result = gap._nuisances(own, families)
    assert result["worst"] == "noise" and result["alike"] == ["texture"]
    costs = {entry["nuisance"]: entry["last"]["bits"] for entry in result["nuisances"]}
    assert costs["noise"] == pytest.approx(-2) and costs["widths"] == 0


def test_without_measured_patterns_a_note_stands_for_the_comparison(structures):
    result = gap.study({}, {}, structures, None)
    assert result["note"] and result["parts"] == {} and result["search"] == []
    assert len(plot_measured.gap(result).axes) == 1


def test_the_figure_shows_every_nuisance_and_the_nulls():
    result = {"note": None, "draws": 3, "parts": made_up(5, 5)}
    figure = plot_measured.gap(result)
    shown = texts(figure)
    for wanted in ("texture", "+ texture: as in training", "prior only", "measured"):
        assert wanted in shown
    assert "n = 9 patterns of 7 families" in shown
