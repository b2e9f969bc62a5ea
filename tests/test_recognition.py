"""A predictor with retrieval built from tiny banks and a tiny model, and its tables."""

import numpy as np
import pytest
import torch

from xrdlib import (
    ablation,
    appraisal,
    calibrate,
    checkpoint,
    config,
    evaluate,
    experiment,
    fusion,
    library,
    paths,
    predict,
    recognition,
    records,
    released,
    rruff,
)
from xrdlib.baselines import build
from xrdlib.calibrate import Calibration
from xrdlib.crystals import generate_balanced
from xrdlib.diffraction import reflections
from xrdlib.errors import XrdlibError
from xrdlib.experiment import MEASURED
from xrdlib.patterns import GRID, preprocess
from xrdlib.priors import log_ratio
from xrdlib.realism import Realism, measured_like
from xrdlib.recipes import shipped
from xrdlib.retrieval import Retrieval

N = 40
HALVES = ("recognised", "unlike")  # of the test patterns, by search-match
CHOSEN = Calibration(T=2.0, w=0.8, a=0.3)
UNIFORM = np.full(99, 1 / 99)
TRAIN = np.random.default_rng(1).dirichlet(np.full(99, 2.0)) * 0.99 + 0.01 / 99
MINERALS = np.random.default_rng(2).dirichlet(np.full(99, 2.0)) * 0.99 + 0.01 / 99


@pytest.fixture(scope="module")
def bank():
    made = reflections(generate_balanced(shipped(), N, seed=12))
    made.name = np.array([f"mineral {i}" for i in range(N)])
    return made


@pytest.fixture(scope="module")
def measured_sets(bank):
    """Patterns of every crystal of the bank, measured twice; a few are named wrongly."""
    ranges = Realism.mild(strain=(1e-4, 1e-3), noise=(0.01, 0.5))
    sets = {}
    for seed, name in enumerate(MEASURED):
        intensity = measured_like(bank, ranges, seed, torch.arange(N), GRID).numpy()
        group = np.where(np.arange(N) % 8 == seed, bank.group % 99 + 1, bank.group)
        family = np.array([f"family {i // 2}" for i in range(N)])
        space_group = np.ones(N, np.int16)
        sets[name] = rruff.Measured(intensity, space_group, group, family, family)
    return sets


@pytest.fixture
def cfg(tmp_path, monkeypatch, bank):
    """A temporary project with banks and a network that was trained, in a manner of speaking."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    cfg = config.load("tiny")
    cfg.synthesis.compounds = cfg.synthesis.refinements = True
    cfg.evaluate.bootstrap, cfg.evaluate.shuffles = 40, 4
    for name, rows in (("library", (0, 20)), ("refinements", (20, 26)), ("compounds", (26, 40))):
        folder = experiment.folder(cfg, "bank")
        records.save(bank.take(slice(*rows)), folder / f"{name}.npz")
    model = build("resnet", {"grid": (5.0, 1.0, 86), "widths": (2, 2, 2, 2)}, seed=3)
    path = experiment.folder(cfg, "models") / "stage2.safetensors"
    checkpoint.save_weights(path, model, {"training_prior": TRAIN.tolist()})
    return cfg


@pytest.fixture
def made(cfg, measured_sets):
    return recognition.build(cfg, measured_sets, MINERALS, CHOSEN)


def file(cfg, name):
    return experiment.folder(cfg, recognition.FOLDER) / name


def test_the_library_holds_the_banks_and_says_where_they_come_from(cfg, bank):
    known, about = recognition.build_library(cfg)
    assert list(known.name) == list(bank.name) and list(known.group) == list(bank.group)
    assert list(known.computed) == [False] * 26 + [True] * 14
    told = [(source["structures"], source["computed"]) for source in about["sources"]]
    assert told == [(20, False), (6, False), (14, True)]
    assert len({source["what"] for source in about["sources"]}) == 3
    cfg.synthesis.compounds = False
    known, about = recognition.build_library(cfg)
    assert len(known) == 26 and len(about["sources"]) == 2 and not known.computed.any()
    cfg.synthesis.refinements = False
    assert len(recognition.build_library(cfg)[0]) == 20


def test_a_bank_that_was_not_written_is_told(cfg):
    (experiment.folder(cfg, "bank") / "refinements.npz").unlink()
    with pytest.raises(XrdlibError, match=r"refinements\.npz does not exist; run the stage"):
        recognition.build_library(cfg)


def test_the_predictor_is_its_pieces_put_together(cfg, made, measured_sets):
    """Network, retrieval and weights, each worked out apart from the files that were written."""
    x = measured_sets[MEASURED[1]].intensity[:8]
    again = predict.load_predictor(file(cfg, recognition.PREDICTOR))
    evidence, similarity, nearest = again.evidence(GRID.two_theta, x)
    alone = predict.load_predictor(file(cfg, recognition.PREDICTOR), retrieval=False)
    plain, none, nothing = alone.evidence(GRID.two_theta, x)
    assert none is None and nothing is None and np.array_equal(plain, evidence)
    known = library.load(file(cfg, recognition.FILE))[0]
    search = Retrieval(known)
    scores, rows = search.similarities(x)
    assert np.abs(similarity - scores).max() < 1e-5 and nearest == search.name[rows].tolist()
    weights = fusion.Fusion(**again.metadata["fusion"])
    for prior, target in (("minerals", MINERALS), ("uniform", UNIFORM)):
        ratio = log_ratio(target, UNIFORM)
        wanted = np.exp(weights.apply(evidence, scores, ratio))
        found = again.predict_proba(GRID.two_theta, x, prior=prior)
        assert np.allclose(found, wanted, atol=1e-4) and np.allclose(found.sum(1), 1)
        wanted = np.exp(CHOSEN.apply(None, evidence, ratio))
        assert np.allclose(alone.predict_proba(GRID.two_theta, x, prior=prior), wanted)
    assert np.allclose(
        made.predict_proba(GRID.two_theta, x), again.predict_proba(GRID.two_theta, x)
    )


def test_the_network_reads_what_it_was_trained_on(cfg, made, measured_sets):
    """Its evidence is the softmax with the training prior divided out."""
    x = measured_sets[MEASURED[1]].intensity[:4]
    evidence, _, _ = made.evidence(GRID.two_theta, x)
    model = checkpoint.load_weights(experiment.folder(cfg, "models") / "stage2.safetensors")
    inputs = preprocess(GRID.two_theta, x, grid=made.grid)
    with torch.inference_mode():
        p = torch.softmax(model.eval()(torch.from_numpy(inputs))["aux"], -1).numpy() / TRAIN
    assert np.allclose(np.exp(evidence), p / p.sum(1, keepdims=True), atol=1e-5)


def test_weights_are_the_best_for_the_calibration_patterns(cfg, made, measured_sets):
    patterns = measured_sets[MEASURED[0]]
    labels = patterns.group.astype(int) - 1
    evidence, similarity, _ = made.evidence(GRID.two_theta, patterns.intensity)
    ratio = log_ratio(MINERALS, UNIFORM)

    def nll(weights, e):
        logp = fusion.Fusion(*weights).apply(e, similarity, ratio)
        return -logp[np.arange(N), labels].mean()  # every family has two patterns

    for key, e in (("fusion", evidence), ("retrieval_alone", 0 * evidence)):
        told = made.metadata[key]
        best = np.array([told["network"], told["similarity"], told["prior"]])
        for step in 0.1 * np.vstack([np.eye(3), -np.eye(3)]):
            # At a bound, or where a part is silent, nothing is gained by staying inside.
            assert nll(np.maximum(best + step, 0), e) > nll(best, e) - 1e-7
    # A tiny network that was never trained cannot help, the library can.
    assert made.metadata["fusion"]["similarity"] > 1
    assert made.metadata["chosen_on"] == MEASURED[0] and made.metadata["profile"] == "tiny"


def test_labels_of_the_test_patterns_are_never_looked_at(cfg, made, measured_sets):
    blind = {MEASURED[0]: measured_sets[MEASURED[0]]}
    again = recognition.build(cfg, blind, MINERALS, CHOSEN)
    assert again.metadata == made.metadata


@pytest.mark.parametrize("change", ["fewer structures", "missing", "damaged"])
def test_a_library_that_it_was_not_calibrated_with_is_refused(cfg, made, change):
    path = file(cfg, recognition.FILE)
    if change == "missing":
        path.unlink()
        message = "does not exist"
    elif change == "damaged":
        path.write_bytes(path.read_bytes()[:-7])
        message = "is damaged"
    else:
        cfg.synthesis.compounds = False
        library.save(path, *recognition.build_library(cfg))
        message = r"library\.safetensors is not the library that fused\.safetensors was calibrated"
    with pytest.raises(XrdlibError, match=message):
        predict.load_predictor(file(cfg, recognition.PREDICTOR))
    alone = predict.load_predictor(file(cfg, recognition.PREDICTOR), retrieval=False)
    assert alone.retrieval is None


def test_known_structures_are_recognised_by_retrieval_and_named(made, measured_sets, bank):
    patterns = measured_sets[MEASURED[1]]
    _, _, nearest = made.evidence(GRID.two_theta, patterns.intensity)
    assert np.mean(np.array(nearest) == bank.name) > 0.85
    table = made.predict(GRID.two_theta, patterns.intensity[3], top_k=3)
    assert list(table["rank"]) == [1, 2, 3] and table["probability"].is_monotonic_decreasing
    assert table["group"][0] == bank.group[3]


def test_parts_of_a_prediction_are_those_of_their_weights(made, measured_sets):
    x = measured_sets[MEASURED[1]].intensity[:6]
    logp = released.log_probs(made, x)
    evidence, similarity, _ = made.evidence(GRID.two_theta, x)
    ratio = log_ratio(MINERALS, UNIFORM)
    assert np.allclose(np.exp(logp[released.FUSED]), made.predict_proba(GRID.two_theta, x))
    wanted = calibrate.rescale(evidence, CHOSEN.T, CHOSEN.w, ratio)
    assert np.allclose(logp[released.NETWORK], wanted)
    told = made.metadata["retrieval_alone"]
    scores = told["prior"] * ratio - told["similarity"] * np.log(
        1 + fusion.FLOOR - similarity.astype(float)
    )
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    assert np.allclose(np.exp(logp[released.RETRIEVAL]), p)
    uniform = released.log_probs(made, x, prior="uniform")
    assert not np.allclose(uniform[released.FUSED], logp[released.FUSED])
    both = released.predictions(made, {"a": measured_sets[MEASURED[1]].take(np.arange(6))})
    assert np.array_equal(both["a"], logp[released.FUSED])


def test_the_table_has_every_part_on_every_subset(cfg, made, measured_sets, bank):
    table = evaluate.table(cfg, made, measured_sets, bank)
    name = MEASURED[1]
    parts = {released.FUSED, released.NETWORK, released.RETRIEVAL, "prior only", "shuffled"}
    by_subset = {}
    for row in table:
        by_subset.setdefault(row["subset"], {})[row["model"]] = row
    short = f"{name}, {released.CROPPED}"
    assert {name, short} < set(by_subset) <= {name, short, *(f"{name}, {k}" for k in HALVES)}
    for subset, rows in by_subset.items():
        assert set(rows) == parts | ({"search-match"} if subset != short else set())
        assert len({row["n"] for row in rows.values()}) == 1
    assert sum(by_subset[f"{name}, {k}"][released.FUSED]["n"] for k in HALVES) == N
    labels = measured_sets[name].group.astype(int) - 1
    logp = released.log_probs(made, released.cropped(measured_sets[name].intensity))
    top1 = 100 * np.mean(logp[released.FUSED].argmax(1) == labels)
    assert np.isclose(by_subset[short][released.FUSED]["top1"], top1)
    # Retrieval knows the bank, the shuffled predictions know nothing.
    everything = by_subset[name]
    assert everything[released.RETRIEVAL]["top1"] > 60 > 30 > everything["shuffled"]["top1"]
    assert abs(everything["prior only"]["bits_over_prior"]) < 1e-9


def test_each_row_of_the_ablation_lacks_its_part(cfg, made, measured_sets):
    known, about = library.load(file(cfg, recognition.FILE))
    rows = ablation.rows(made, known, about["sources"], measured_sets, MINERALS, n_boot=10)
    by_name = {row["model"]: row for row in rows}
    whole = released.log_probs(made, measured_sets[MEASURED[1]].intensity)
    labels = measured_sets[MEASURED[1]].group.astype(int) - 1
    for title, logp in (
        ("everything", whole[released.FUSED]),
        ("without the network", whole[released.RETRIEVAL]),
    ):
        # Absent classes are filled source by source, so that far from any match digits may differ.
        nll = -logp[np.arange(N), labels].mean()
        assert by_name[title]["nll"] == pytest.approx(nll, rel=0.1)
    names = [source["what"] for source in about["sources"]]
    assert {f"without {name}" for name in names[1:]} | {f"{names[0]} alone"} <= set(by_name)
    # Half of the patterns are of structures that the first source lacks.
    assert by_name[f"{names[0]} alone"]["top1"] < by_name["everything"]["top1"] - 20
    assert by_name["without retrieval"]["top1"] < 30


def test_the_appraisal_covers_every_pattern_and_lists_what_was_missed(made, measured_sets):
    found = appraisal.appraise(made, measured_sets, MINERALS)
    for table in found["kinds"].values():
        assert sum(row["n"] for row in table) == N
    assert sum(row["n"] for row in found["groups"]) == N
    calibration = measured_sets[MEASURED[0]]
    logp = released.log_probs(made, calibration.intensity)[released.FUSED]
    wrong = logp.argmax(1) != calibration.group.astype(int) - 1
    assert len(found["mistakes"]) == min(20, wrong.sum())
    told = [row["probability"] for row in found["mistakes"]]
    assert told == sorted(told, reverse=True)
    assert {row["source"] for row in found["mistakes"]} <= set(calibration.source[wrong])


def test_without_measured_patterns_nothing_is_built_and_the_folder_is_there(cfg):
    assert recognition.build(cfg, {}, MINERALS, CHOSEN) is None
    assert list(experiment.folder(cfg, recognition.FOLDER).iterdir()) == []
