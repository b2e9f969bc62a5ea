"""From predictions to calibrated probabilities and tables: Bayes by hand, fits of known answers."""

import numpy as np
import pandas as pd
import pytest
import torch
from made_up_models import (
    CHOSEN,
    MINERALS,
    NAMES,
    NULL,
    PRIOR,
    TITLES,
    TRAIN,
    N,
    a_set,
    heads,
    train,
)

from xrdlib.base import config, paths, results
from xrdlib.base.patterns import normalise
from xrdlib.learning import experiment, metrics, outcomes
from xrdlib.learning.calibrate import Calibration
from xrdlib.learning.experiment import PatternSet
from xrdlib.prediction import evaluate
from xrdlib.reporting import report
from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.realism import Realism, measured_like
from xrdlib.structures.crystals import generate
from xrdlib.structures.recipes import shipped


@pytest.fixture
def cfg(cfg):
    return train(cfg)


@pytest.fixture
def sets(cfg):
    return {name: a_set(name) for name in NAMES}


def test_at_temperature_1_the_prior_ratio_is_bayes_rule(cfg, sets):
    """Predictions made of a known likelihood and the training prior get another prior."""
    likelihood = np.random.default_rng(4).gamma(0.5, size=(N, 99)) + 1e-4
    posterior = likelihood * TRAIN / (likelihood @ TRAIN)[:, None]
    experiment.save_predictions(cfg, "resnet", {"rruff-test": {"aux": np.log(posterior)}})
    found = outcomes.evidence(cfg, "resnet", ["rruff-test"])["rruff-test"]
    by_hand = likelihood * MINERALS / (likelihood @ MINERALS)[:, None]
    ratio = outcomes.prior_ratio(MINERALS)
    assert np.allclose(np.exp(Calibration().apply(*found, ratio)), by_hand)
    # With no prior weight the evidence is left, at infinite temperature the prior is.
    likely = likelihood / likelihood.sum(1, keepdims=True)
    assert np.allclose(np.exp(Calibration(w=0).apply(*found, ratio)), likely)
    limit = Calibration(T=np.inf).apply(*found, ratio)
    assert np.allclose(np.exp(limit), np.tile(MINERALS, (N, 1)))


def test_evidence_is_of_the_heads_that_a_model_has(cfg):
    rule, aux = outcomes.evidence(cfg, results.MAIN, NAMES)["amcsd-test"]
    stored = experiment.load_predictions(cfg, "stage2", "amcsd-test")
    for made, head in ((rule, "rule"), (aux, "aux")):
        p = np.exp(stored[head].astype(float)) / TRAIN
        assert np.allclose(np.exp(made), p / p.sum(1, keepdims=True), rtol=1e-5)
    rule, aux = outcomes.evidence(cfg, "plain transformer", NAMES)["amcsd-test"]
    assert rule is None and aux.shape == (N, 99)


def test_balanced_crystals_have_a_uniform_target_prior():
    for name in ("rruff-test", "rruff-calibration", "amcsd-test", "amcsd-calibration"):
        target, null = outcomes.priors_of(name, PRIOR)
        expected = NULL if name.startswith("rruff") else NULL[::-1]
        assert np.allclose(target, MINERALS) and np.allclose(null, expected)
    for prior in outcomes.priors_of("random-crystals", PRIOR):
        assert np.allclose(prior, 1 / 99)


def test_calibrated_is_the_evidence_with_the_chosen_calibration_and_priors(cfg, sets):
    calibrated = outcomes.calibrated(cfg, sets, TITLES, PRIOR)
    assert list(calibrated) == TITLES
    (paths.results("tiny") / "baselines.json").unlink()  # which the main model does not need
    assert set(outcomes.calibrated(cfg, sets, [results.MAIN], PRIOR)[results.MAIN]) == set(NAMES)
    for title, name in ((results.MAIN, "rruff-test"), ("resnet", "random-crystals")):
        rule, aux = outcomes.evidence(cfg, title, [name])[name]
        mixed, prior = np.exp(aux), 1 if name == "random-crystals" else MINERALS
        if rule is not None:
            mixed = CHOSEN.a * np.exp(rule) + (1 - CHOSEN.a) * mixed
        p = mixed ** (1 / CHOSEN.T) * prior**CHOSEN.w
        assert np.allclose(np.exp(calibrated[title][name]), p / p.sum(1, keepdims=True))


def test_the_fusion_curve_ends_at_the_single_heads_and_bounds_the_fit(sets):
    patterns = sets["rruff-test"]
    rule, aux = (heads(patterns, 3, seed)["aux"] for seed in (1, 2))
    curve = outcomes.fusion_curve((rule, aux), patterns.label, MINERALS)
    assert curve["a"] == pytest.approx(np.linspace(0, 1, 11))
    ratio = outcomes.prior_ratio(MINERALS)
    for k, single in ((0, (None, aux)), (-1, (rule, None))):
        chosen = outcomes.fit(single, patterns.label, MINERALS)
        logp = chosen.apply(*single, ratio)
        assert np.isclose(curve["nll"][k], metrics.nll(logp, patterns.label), atol=1e-4)
        assert np.isclose(curve["top1"][k], 100 * metrics.top_k(logp, patterns.label, 1))
        assert curve["top5"][k] >= curve["top1"][k]
    best = outcomes.fit((rule, aux), patterns.label, MINERALS).apply(rule, aux, ratio)
    assert metrics.nll(best, patterns.label) <= min(curve["nll"]) + 1e-6
    # Two heads with independent errors are better than either.
    assert min(curve["nll"]) < min(curve["nll"][0], curve["nll"][-1])


def test_trainings_that_a_clock_cut_short_are_named(cfg):
    steps = {"stage1": (20, 20), "stage2": (13, 4500), "resnet": (9, None), "plain": (14, 15)}
    for name, (step, planned) in steps.items():
        results.write(cfg, name, {"step": step, "planned": planned, "patterns": 32 * step})
    note = outcomes.cut_short(cfg)
    assert "stage2 after 13 of 4,500 steps, plain after 14 of 15 steps" in note
    assert "stage1" not in note and "resnet" not in note
    for name in ("stage2", "plain"):
        results.write(cfg, name, {"step": 15, "planned": 15, "patterns": 1})
    assert outcomes.cut_short(cfg) is None


def test_the_table_has_every_model_and_null(cfg, sets):
    logp = {t: s["rruff-test"] for t, s in outcomes.calibrated(cfg, sets, TITLES, PRIOR).items()}
    constants = outcomes.constants_of("rruff-test", PRIOR)
    table = outcomes.rows(cfg, "rruff-test", sets["rruff-test"], logp, constants)
    by_name = {row["model"]: row for row in table}
    assert {*by_name, evaluate.FUSED} == set(report.MODELS) and len(table) == len(by_name)
    about = {(row["subset"], row["n"], row["n_families"]) for row in table}
    assert about == {("rruff-test", N, 20)}
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
    ways = {"as trained": 1, "ratio to uniform": 1 / TRAIN, "ratio to minerals": MINERALS / TRAIN}
    ways["prior counted twice"] = MINERALS
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
    del sets["rruff-test"]
    assert list(outcomes.parts(cfg, sets)) == ["amcsd-test", "random-crystals"]


@pytest.fixture(scope="module")
def crystals():
    """Ten crystals of ten extinction groups, and a pattern of each."""
    numbers = [14, 62, 148, 167, 194, 225, 227, 136, 2, 19]
    library = reflections(generate(shipped(), numbers, 10, seed=8))
    ranges = Realism.mild(strain=(1e-5, 2e-5), no_texture=1.0, subtracted=1.0)
    raw = measured_like(library, ranges, 1, torch.arange(10), experiment.grid(config.load("tiny")))
    name = np.array([f"pattern {i}" for i in range(10)])
    return library, PatternSet(normalise(raw).half().numpy(), library.group - 1, name, name)


def test_search_finds_each_crystal_among_all(cfg, crystals):
    library, patterns = crystals
    match = outcomes.search(cfg, {"rruff-test": patterns}, library, library.take([0]))["rruff-test"]
    assert (match["scores"].argmax(1) == patterns.label).all()
    assert match["best"].min() > 0.8
    assert np.allclose(match["best"], match["scores"].max(1))


def test_held_out_minerals_are_not_searched_for_among_themselves(cfg, crystals):
    library, patterns = crystals
    reduced = library.take(np.arange(5))
    sets = dict.fromkeys(["amcsd-test", "rruff-calibration", "random-crystals"], patterns)
    matches = outcomes.search(cfg, sets, library, reduced)
    assert set(matches) == set(sets)
    assert matches["rruff-calibration"]["best"].min() > 0.8
    for name in ("amcsd-test", "random-crystals"):
        best = matches[name]["best"]
        assert best[:5].min() > 0.8 and best[5:].max() < best[:5].min()
        assert not (matches[name]["scores"].argmax(1) == patterns.label)[5:].any()


def test_predictions_are_written_with_the_first_five_groups_of_each_model(cfg, sets):
    patterns = sets["rruff-test"]
    logp = {t: s["rruff-test"] for t, s in outcomes.calibrated(cfg, sets, TITLES, PRIOR).items()}
    outcomes.write(cfg, patterns, logp)
    table = pd.read_parquet(paths.results("tiny") / "predictions.parquet")
    assert list(table["name"]) == list(patterns.name)
    assert (table["label"] == patterns.label + 1).all() and table["label"].between(1, 99).all()
    for title in TITLES:
        assert (table[f"{title} 1"] == logp[title].argmax(1) + 1).all()
        p = table[[f"{title} p{k}" for k in range(1, 6)]].to_numpy()
        assert (np.diff(p, axis=1) <= 0).all() and (p.sum(1) <= 1 + 1e-4).all()
        third = table[f"{title} 3"].to_numpy() - 1
        assert np.allclose(p[:, 2], np.exp(logp[title])[np.arange(N), third], atol=6e-6)
