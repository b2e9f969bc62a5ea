"""The classical baseline's calibration, cells and tables, on cases counted by hand."""

from types import SimpleNamespace

import gemmi
import numpy as np
import pytest
import samples
from scipy.special import softmax

from figures import texts
from xrdlib.base.patterns import GRID
from xrdlib.identification.extinction_scores import BIC, INTEGRATED
from xrdlib.learning import nulls, synthesis
from xrdlib.learning.metrics import evaluate
from xrdlib.reporting import plot_information
from xrdlib.simulation.diffraction import reflections
from xrdlib.studies import classical
from xrdlib.symmetry import groups

FLAT = np.full(99, -np.log(99))


@pytest.fixture(scope="module")
def structures():
    computed = reflections(samples.crystals().take(np.arange(15)))
    names = [symbol.replace("_", "") for symbol, *_ in samples.TABLE.values()]
    numbers = [gemmi.find_spacegroup_by_name(name).number for name in names]
    computed.group = groups.group_of_space_group()[numbers]
    return computed


def cases(n, families=None):
    return synthesis.Cases(
        np.zeros((n, GRID.size)),
        [(5.0, 5.0, 5.0, 90.0, 90.0, 90.0)] * n,
        np.arange(n),
        np.array(families or [f"family {i}" for i in range(n)]),
        np.array([f"pattern {i}" for i in range(n)]),
        np.arange(n),
    )


def test_metric_given_system_counts_structures(structures):
    metric = classical.metric_given_system(structures)
    systems = np.array(groups.crystal_systems())
    total = sum(np.exp(rows) for rows in metric.values())
    assert np.allclose(total, 1)
    cubic = np.flatnonzero(systems == "cubic")[0]
    n = 4
    # Halite, silicon, pyrope and pyrite; each of six metrics has half a structure more.
    assert np.exp(metric["cubic"][cubic]) == pytest.approx((n + 0.5) / (n + 3))
    assert np.exp(metric["tetragonal"][cubic]) == pytest.approx(0.5 / (n + 3))
    trigonal = np.flatnonzero(systems == "trigonal")[0]  # quartz, calcite, dolomite
    assert np.exp(metric["hexagonal"][trigonal]) == pytest.approx(3.5 / 6)
    evidence = classical.cell_evidence(cases(2), metric)
    assert (evidence == metric["cubic"]).all() and evidence.shape == (2, 99)


def test_weighing_is_bayes_at_temperature_one_and_the_prior_at_lapse_one():
    rng = np.random.default_rng(0)
    score, cell_score = rng.normal(size=(4, 99)), rng.normal(size=(4, 99))
    prior = np.log(rng.dirichlet(np.ones(99)))
    product = np.exp(score + cell_score + prior)
    expected = product / product.sum(1, keepdims=True)
    result = classical.Weighing(1.0, 1e-12).apply(score, cell_score, prior)
    assert np.allclose(np.exp(result), expected)
    alone = classical.Weighing(1.0, 1 - 1e-12).apply(score, cell_score, prior)
    assert np.allclose(np.exp(alone), softmax(cell_score + prior, axis=1))


def test_noise_is_not_believed_and_truth_is():
    rng = np.random.default_rng(1)
    labels, cell_score = rng.integers(0, 99, 200), np.zeros((200, 99))
    noise = 50 * rng.normal(size=(200, 99))
    truth = noise + 1000 * (np.arange(99) == labels[:, None])
    ignored = classical.weigh(noise, cell_score, FLAT, labels)
    result = ignored.apply(noise, cell_score, FLAT)[np.arange(200), labels].mean()
    assert result > -np.log(99) - 0.8 and ignored.lapse == 0.5
    believed = classical.weigh(truth, cell_score, FLAT, labels)
    assert believed.lapse == 0.005
    assert believed.apply(truth, cell_score, FLAT)[np.arange(200), labels].min() > -0.01


def test_a_run_goes_on_where_it_was_and_not_where_others_were(tmp_path, monkeypatch):
    done = []

    def one(intensity, cell, error):
        done.append(cell)
        return {INTEGRATED: np.full(99, float(len(done))), "seconds": np.float64(1)}

    monkeypatch.setattr(classical, "_one", one)
    whole, path = cases(3), tmp_path / "kept.npz"
    classical.run(whole, path)
    assert len(done) == 3
    again = classical.run(whole, path)
    assert len(done) == 3 and again[INTEGRATED][:, 0].tolist() == [1, 2, 3]
    whole.name = np.array(["others"] * 3)
    classical.run(whole, path)
    assert len(done) == 6


def sure(labels, p=0.9):
    """Predictions that give one class p."""
    logp = np.full((len(labels), 99), np.log((1 - p) / 98))
    logp[np.arange(len(labels)), labels] = np.log(p)
    return logp


@pytest.fixture
def predicted():
    own = cases(4, ["a", "a", "b", "c"])
    right, wrong = own.label, own.label + 10
    methods = {
        classical.CELL: sure(wrong),
        classical.MAIN: sure(right),
        classical.WITH_PRIOR.format(BIC): sure(right),
        "released, network alone": sure(np.where([1, 1, 0, 0], right, wrong)),
        "released, network alone, cell known": sure(right),
        "search-match": sure(np.where([0, 1, 1, 1], right, wrong)),
    }
    return {"amcsd-test": own}, {"amcsd-test": methods}


def config():
    return SimpleNamespace(seed=0, evaluate=SimpleNamespace(bootstrap=200))


def test_differences_are_paired_and_have_intervals(predicted):
    rows = classical.differences(config(), *predicted)
    gain = {row["other"]: row for row in rows}
    assert gain["released, network alone"]["top1_change"] == 50
    assert gain["search-match"]["top1_change"] == 25
    assert gain[classical.WITH_PRIOR.format(BIC)]["top1_change_ci95"] == [0, 0]
    row = gain["released, network alone"]
    assert row["top1_change_ci95"] == [0, 100]  # families a right, b and c wrong
    assert row["top1_change_p_holm"] >= row["top1_change_p"]


def test_claims_follow_the_intervals():
    def row(other, low, high, p=0.01):
        changes = {"top1_change_ci95": [low, high], "top1_change_p_holm": p, "top1_change_p": 0.01}
        return {"subset": "s", "other": other, **changes}

    network = classical.WITH_CELL.format("released, network alone")
    rows = [row(classical.CELL, 3, 9), row(network, -9, -1), row("BIC", 1, 2)]
    rows.append(row(classical.WITH_CELL.format("search-match"), -3, -1, p=0.2))
    result = [claim["verdict"] for claim in classical.claims(rows)]
    assert result == ["holds", "does not hold", "not decided"]


def test_the_figure_shows_every_row_and_says_how_many(predicted):
    every, logp = predicted
    own = every["amcsd-test"]
    rows = [
        evaluate(name, "amcsd-test, cell given", p, own.label, own.family, FLAT, n_boot=20)
        for name, p in logp["amcsd-test"].items()
    ]
    rows.append(
        nulls.prior_only(
            "amcsd-test, cell given", np.exp(FLAT), own.label, own.family, FLAT, n_boot=20
        )
    )
    figure = plot_information.classical({"rows": rows})
    shown = texts(figure)
    assert all(row["model"] in shown for row in rows)
    assert "n = 4 patterns of 3 families" in shown
    empty = plot_information.classical({"rows": []})
    assert "No pattern" in texts(empty)
