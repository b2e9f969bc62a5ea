"""What each row of a table is made of, and the sets that tables are about."""

import numpy as np
import pytest
from made_up_models import MINERALS, NAMES, NULL, PRIOR, TITLES, TRAIN, N, a_set, train

from xrdlib.base import results
from xrdlib.learning import experiment, metrics, outcomes
from xrdlib.prediction import evaluate
from xrdlib.reporting import report


@pytest.fixture
def cfg(cfg):
    return train(cfg)


@pytest.fixture
def sets(cfg):
    return {name: a_set(name) for name in NAMES}


def test_the_table_has_every_model_and_null(cfg, sets):
    logp = {t: s["rruff-test"] for t, s in outcomes.calibrated(cfg, sets, TITLES, PRIOR).items()}
    table = outcomes.rows(cfg, "rruff-test", sets["rruff-test"], logp, NULL)
    by_name = {row["model"]: row for row in table}
    assert {*by_name, evaluate.FUSED} == set(report.MODELS) and len(table) == len(by_name)
    assert {row["subset"] for row in table} == {"rruff-test"}
    assert {row["n"] for row in table} == {N} and {row["n_families"] for row in table} == {20}
    assert abs(by_name["prior only"]["bits_over_prior"]) < 1e-9
    label = sets["rruff-test"].label
    for title in TITLES:
        top1 = 100 * (logp[title].argmax(1) == label).mean()
        assert np.isclose(by_name[title]["top1"], top1)
    # The made-up models know the truth; dealt to other patterns they do not.
    main, shuffled = by_name[results.MAIN], by_name["shuffled"]
    assert main["bits_ci95"][0] > 0 > shuffled["bits_over_prior"]
    assert shuffled["top1"] < main["top1"] / 2


def test_ways_of_injecting_a_prior_differ_by_the_prior_alone(cfg, sets):
    patterns = sets["amcsd-test"]
    stored = experiment.load_predictions(cfg, "plain", "amcsd-test")["aux"].astype(float)
    found = outcomes.evidence(cfg, "plain transformer", ["amcsd-test"])["amcsd-test"]
    table = outcomes.prior_rows(cfg, "amcsd-test", patterns, found, TRAIN, MINERALS, NULL)
    # What each way multiplies the model's own predictions by.
    ways = {
        "as trained": 1,
        "ratio to uniform": 1 / TRAIN,
        "ratio to minerals": MINERALS / TRAIN,
        "prior counted twice": MINERALS,
    }
    assert [row["model"] for row in table] == list(ways)
    for row, factor in zip(table, ways.values(), strict=True):
        p = np.exp(stored) * factor
        true = (p / p.sum(1, keepdims=True))[np.arange(N), patterns.label]
        assert np.isclose(row["nll"], -np.log(true).mean())


def test_the_curriculum_goes_from_pretraining_to_calibration(cfg, sets):
    patterns = sets["rruff-test"]
    table = outcomes.curriculum(cfg, "rruff-test", patterns, PRIOR)
    assert [r["model"] for r in table] == ["stage 1", "stage 2", "with prior", "with temperature"]
    # The first two are the network's own words, the heads fused equally.
    for row, stage in zip(table[:2], ("stage1", "stage2"), strict=True):
        stored = experiment.load_predictions(cfg, stage, "rruff-test")
        mixed = (np.exp(stored["rule"]) + np.exp(stored["aux"])) / 2
        true = mixed[np.arange(N), patterns.label].astype(float)
        assert np.isclose(row["nll"], -np.log(true).mean(), atol=1e-5)
    final = outcomes.calibrated(cfg, sets, [results.MAIN], PRIOR)[results.MAIN]["rruff-test"]
    assert np.isclose(table[3]["nll"], metrics.nll(final, patterns.label))
    assert not np.isclose(table[2]["nll"], table[3]["nll"])
    bits = (-np.log(NULL[patterns.label]).mean() - table[3]["nll"]) / np.log(2)
    assert np.isclose(table[3]["bits_over_prior"], bits)


def test_test_sets_are_named_measured_first_and_split_by_resemblance(cfg, sets):
    found = outcomes.parts(cfg, {"random-crystals": sets["random-crystals"], **sets})
    assert list(found) == [*NAMES, "rruff-test, recognised", "rruff-test, unlike"]
    best = experiment.load_predictions(cfg, outcomes.SEARCH, "rruff-test")["best"]
    for name in NAMES:
        assert found[name][0] == name and (found[name][1] == np.arange(N)).all()
    kinds = [found[f"rruff-test, {kind}"] for kind in ("recognised", "unlike")]
    assert all(name == "rruff-test" for name, _ in kinds)
    assert best[kinds[0][1]].min() >= outcomes.RECOGNISED > best[kinds[1][1]].max()
    assert sorted(np.concatenate([index for _, index in kinds])) == list(range(N))


def test_a_part_without_patterns_is_left_out(cfg, sets):
    scores = {"scores": np.zeros((N, 99)), "best": np.full(N, 0.9)}
    experiment.save_predictions(cfg, outcomes.SEARCH, {"rruff-test": scores})
    assert list(outcomes.parts(cfg, sets)) == [*NAMES, "rruff-test, recognised"]


def test_without_measured_patterns_held_out_minerals_come_first(cfg, sets):
    del sets["rruff-test"]
    sets["amcsd-calibration"] = sets["amcsd-test"]
    assert list(outcomes.parts(cfg, sets)) == ["amcsd-test", "random-crystals"]
