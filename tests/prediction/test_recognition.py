"""A predictor with retrieval and indexing, from tiny banks and models, and its tables."""

import shutil

import numpy as np
import pytest
import torch

from xrdlib.base import config, paths, records
from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import GRID, normalise, to_grid
from xrdlib.identification import basis_reflections, lattice_evidence, library
from xrdlib.identification.retrieval import Retrieval
from xrdlib.learning import calibrate, checkpoint, experiment, nulls
from xrdlib.learning.baselines import build
from xrdlib.learning.calibrate import Calibration
from xrdlib.learning.experiment import MEASURED
from xrdlib.learning.priors import log_ratio
from xrdlib.prediction import appraisal, assemble, evaluate, fusion, predictor, readings
from xrdlib.prediction.lattices import LATTICES_FILE, LATTICES_FOLDER
from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.realism import Realism, measured_like
from xrdlib.structures import measured
from xrdlib.structures.crystals import generate_balanced
from xrdlib.structures.recipes import shipped

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
        sets[name] = measured.Measured(intensity, space_group, group, family, family)
    return sets


def settings():
    cfg = config.load("tiny")
    cfg.synthesis.compounds = cfg.synthesis.refinements = True
    cfg.evaluate.bootstrap, cfg.evaluate.shuffles = 40, 4
    return cfg


@pytest.fixture(scope="module")
def project(tmp_path_factory, bank, measured_sets):
    """A project with banks, a network that was trained, in a manner of speaking, and a predictor.

    Its folder, and what the predictor sees in the measured sets.
    """
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "ROOT", folder)
        cfg = settings()
        prepare(cfg, bank)
        seen = assemble.build(cfg, measured_sets, MINERALS, CHOSEN)[1]
    return folder, seen


@pytest.fixture
def built(project):
    return project[0]


@pytest.fixture
def seen(project):
    return project[1]


def prepare(cfg, bank):
    for name, rows in (("library", (0, 20)), ("refinements", (20, 26)), ("compounds", (26, 40))):
        folder = experiment.folder(cfg, "bank")
        records.save(bank.take(slice(*rows)), folder / f"{name}.npz")
    model = build("resnet", {"grid": (5.0, 1.0, 86), "widths": (2, 2, 2, 2)}, seed=3)
    path = experiment.folder(cfg, "models") / "stage2.safetensors"
    checkpoint.save_weights(path, model, {"training_prior": TRAIN.tolist()})
    torch.manual_seed(4)
    lattices = lattice_evidence.LatticeEvidence(
        basis_reflections.learn([bank]), lattice_evidence.make_network()
    )
    path = experiment.folder(cfg, LATTICES_FOLDER) / LATTICES_FILE
    lattice_evidence.save(path, lattices, {"patterns": 0})


@pytest.fixture
def cfg(tmp_path, monkeypatch, built):
    """That project without its predictor, for a test to change."""
    without = shutil.ignore_patterns(assemble.FOLDER)
    shutil.copytree(built, tmp_path, dirs_exist_ok=True, ignore=without)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return settings()


@pytest.fixture
def made(cfg, built):
    """Its predictor."""
    folder = experiment.folder(cfg, assemble.FOLDER)
    shutil.copytree(built / folder.relative_to(paths.ROOT), folder, dirs_exist_ok=True)
    return predictor.load_predictor(file(cfg, assemble.PREDICTOR))


def file(cfg, name):
    return experiment.folder(cfg, assemble.FOLDER) / name


def test_the_library_holds_the_banks_and_says_where_they_come_from(cfg, bank):
    known, about = assemble.build_library(cfg)
    assert list(known.name) == list(bank.name) and list(known.group) == list(bank.group)
    assert list(known.computed) == [False] * 26 + [True] * 14
    sources = [(source["structures"], source["computed"]) for source in about["sources"]]
    assert sources == [(20, False), (6, False), (14, True)]
    assert len({source["what"] for source in about["sources"]}) == 3
    cfg.synthesis.compounds = False
    known, about = assemble.build_library(cfg)
    assert len(known) == 26 and len(about["sources"]) == 2 and not known.computed.any()
    cfg.synthesis.refinements = False
    assert len(assemble.build_library(cfg)[0]) == 20


def test_a_bank_that_was_not_written_is_told(cfg):
    (experiment.folder(cfg, "bank") / "refinements.npz").unlink()
    with pytest.raises(XrdlibError, match=r"refinements\.npz does not exist; run the stage"):
        assemble.build_library(cfg)


def test_the_predictor_is_its_pieces_put_together(cfg, made, measured_sets):
    """Network, retrieval and weights, each worked out apart from the files that were written."""
    x = measured_sets[MEASURED[1]].intensity[:8]
    again = predictor.load_predictor(file(cfg, assemble.PREDICTOR))
    evidence, similarity, row, lattice, indexed, *_ = again.evidence(GRID.two_theta, x)
    alone = predictor.load_predictor(file(cfg, assemble.PREDICTOR), False, indexing=False)
    plain, *nothing = alone.evidence(GRID.two_theta, x)
    assert nothing == [None] * 6 and np.array_equal(plain, evidence)
    lattices, _ = lattice_evidence.load(file(cfg, LATTICES_FILE))
    assert np.array_equal(lattice, lattices.weigh(lattices.index(x))) and len(indexed) == len(x)
    known = library.load(file(cfg, assemble.FILE))[0]
    search = Retrieval(known)
    scores, rows = search.similarities(x)
    assert np.abs(similarity - scores).max() < 1e-5 and np.array_equal(row, rows)
    weights = fusion.Fusion(**again.metadata["fusion"])
    for prior, target in (("minerals", MINERALS), ("uniform", UNIFORM)):
        ratio = log_ratio(target, UNIFORM)
        wanted = np.exp(weights.apply(evidence, scores, ratio, lattice))
        probability = again.predict_proba(GRID.two_theta, x, prior=prior)
        assert np.allclose(probability, wanted, atol=1e-4) and np.allclose(probability.sum(1), 1)
        wanted = np.exp(CHOSEN.apply(None, evidence, ratio))
        assert np.allclose(alone.predict_proba(GRID.two_theta, x, prior=prior), wanted)
    assert np.allclose(
        made.predict_proba(GRID.two_theta, x), again.predict_proba(GRID.two_theta, x)
    )


def test_parts_that_are_left_out_have_weights_of_their_own(cfg, made, measured_sets):
    x = measured_sets[MEASURED[1]].intensity[:5]
    seen, ratio = made.evidence(GRID.two_theta, x), log_ratio(MINERALS, UNIFORM)
    path = file(cfg, assemble.PREDICTOR)
    conformal = made.metadata["conformal"]
    for retrieval, indexing in ((False, True), (True, False)):
        less = predictor.load_predictor(path, retrieval, indexing)
        similarity = seen.similarity if retrieval else np.zeros_like(seen.evidence)
        weights = fusion.Fusion(**made.metadata[less.parts])
        lattice = seen.lattice if indexing else None
        wanted = np.exp(weights.apply(seen.evidence, similarity, ratio, lattice))
        probability, nearest, lattices = less.recognise(GRID.two_theta, x)
        assert np.allclose(probability, wanted, atol=1e-4)
        assert (nearest is None) == (not retrieval) and (lattices is None) == (not indexing)
        by_class = conformal["families"], 0.8, conformal["classes"], MINERALS
        threshold = calibrate.thresholds(conformal[less.parts], *by_class)
        sets = less.prediction_sets(probability, 0.8)
        assert np.array_equal(sets, calibrate.members(probability, threshold))
    assert predictor.load_predictor(path, False, False).parts is None


def test_weights_can_be_fitted_anew(cfg, made, measured_sets):
    path = file(cfg, assemble.PREDICTOR)
    before = checkpoint.load_metadata(path)
    changed = before | {"fusion": {"network": 3.0, "similarity": 0.1, "prior": 0.0}}
    checkpoint.save_weights(path, checkpoint.load_weights(path), changed)
    again = assemble.reweigh(path, measured_sets[MEASURED[0]])
    for key in ("fusion", "without_retrieval", "lattices_alone"):
        assert again.metadata[key] == pytest.approx(before[key], abs=1e-4)
    with pytest.raises(XrdlibError, match="names no library"):
        stage = experiment.folder(cfg, "models") / "stage2.safetensors"
        assemble.reweigh(stage, measured_sets[MEASURED[0]])


def test_without_fits_of_whole_patterns_a_cell_is_of_no_use(made, measured_sets):
    assert not made.takes_cell
    with pytest.raises(XrdlibError, match="A cell needs indexing"):
        x = measured_sets[MEASURED[1]].intensity[0]
        made.predict(GRID.two_theta, x, cell=(5, 5, 5, 90, 90, 90))


def test_the_network_reads_what_it_was_trained_on(cfg, made, measured_sets):
    """Its evidence is the softmax with the training prior divided out."""
    x = measured_sets[MEASURED[1]].intensity[:4]
    evidence = made.evidence(GRID.two_theta, x).evidence
    model = checkpoint.load_weights(experiment.folder(cfg, "models") / "stage2.safetensors")
    inputs = normalise(torch.from_numpy(to_grid(GRID.two_theta, x, grid=made.grid)))
    with torch.inference_mode():
        p = torch.softmax(model.eval()(inputs)["aux"], -1).numpy() / TRAIN
    assert np.allclose(np.exp(evidence), p / p.sum(1, keepdims=True), atol=1e-5)


def test_weights_are_the_best_for_the_calibration_patterns(cfg, made, measured_sets):
    patterns = measured_sets[MEASURED[0]]
    labels = patterns.group.astype(int) - 1
    seen = made.evidence(GRID.two_theta, patterns.intensity)
    ratio, silent = log_ratio(MINERALS, UNIFORM), np.zeros((N, 99))
    names = ("network", "similarity", "prior", "lattice", "margin")

    def nll(weights, parts):
        fields = dict(zip(names, weights, strict=True)) | {"known": known}
        logp = fusion.Fusion(**fields).apply(*parts[:2], ratio, parts[2])
        return -logp[np.arange(N), labels].mean()  # every family has two patterns

    for key, parts in (
        ("fusion", (seen.evidence, seen.similarity, seen.lattice)),
        ("retrieval_alone", (silent, seen.similarity, None)),
        ("lattices_alone", (silent, silent, seen.lattice)),
    ):
        stored = made.metadata[key]
        known, best = stored["known"], np.array([stored[k] for k in names])
        for step in 0.1 * np.vstack([np.eye(5), -np.eye(5)]):
            # At a bound, or where a part is silent, nothing is gained by staying inside.
            inside = np.clip(best + step, 0, [5, 50, 2, 5, 50])
            # The weight of the margin has a small price.
            price = 1e-5 * (inside[4] ** 2 - best[4] ** 2)
            assert nll(inside, parts) + price > nll(best, parts) - 1e-6
    # A tiny network that was never trained cannot help, the library can.
    assert made.metadata["fusion"]["similarity"] > 1
    assert made.metadata["chosen_on"] == MEASURED[0] and made.metadata["profile"] == "tiny"


def test_labels_of_the_test_patterns_are_never_looked_at(cfg, made, measured_sets):
    blind = {MEASURED[0]: measured_sets[MEASURED[0]]}
    again = assemble.build(cfg, blind, MINERALS, CHOSEN)[0]
    assert again.metadata == made.metadata


@pytest.mark.parametrize("change", ["trained anew", "missing"])
def test_sets_of_indices_that_it_was_not_calibrated_with_are_refused(cfg, made, change):
    path = file(cfg, LATTICES_FILE)
    if change == "missing":
        path.unlink()
        message = "does not exist"
    else:
        lattices, about = lattice_evidence.load(path)
        lattices.network[0].weight.data += 0.01
        lattice_evidence.save(path, lattices, about)
        message = r"lattices\.safetensors is not the indexing that fused\.safetensors was"
    with pytest.raises(XrdlibError, match=message):
        predictor.load_predictor(file(cfg, assemble.PREDICTOR))
    less = predictor.load_predictor(file(cfg, assemble.PREDICTOR), indexing=False)
    assert less.lattices is None and less.parts == "without_indexing"


def test_the_lattice_of_the_most_probable_group_is_reported(made, measured_sets):
    x = measured_sets[MEASURED[1]].intensity[:12]
    probability, nearest, lattices = made.recognise(GRID.two_theta, x)
    indexed = made.evidence(GRID.two_theta, x).indexed
    assert len(nearest) == len(lattices) == 12 and sum(cell is not None for cell in lattices) > 6
    for p, cell, pattern in zip(probability, lattices, indexed, strict=True):
        assert (cell is None) == (not pattern.cell)
        if cell is None:
            continue
        assert all(p[cell["group"] - 1] >= p[label - 1] for label in pattern.cell)
        assert np.allclose(cell["cell"], pattern.cell[cell["group"]], atol=1e-4)
        assert 0 < cell["explained"] <= cell["lines"] <= 24


@pytest.mark.parametrize("change", ["fewer structures", "missing", "damaged"])
def test_a_library_that_it_was_not_calibrated_with_is_refused(cfg, made, change):
    path = file(cfg, assemble.FILE)
    if change == "missing":
        path.unlink()
        message = "does not exist"
    elif change == "damaged":
        path.write_bytes(path.read_bytes()[:-7])
        message = "is damaged"
    else:
        cfg.synthesis.compounds = False
        library.save(path, *assemble.build_library(cfg))
        message = r"library\.safetensors is not the library that fused\.safetensors was calibrated"
    with pytest.raises(XrdlibError, match=message):
        predictor.load_predictor(file(cfg, assemble.PREDICTOR))
    alone = predictor.load_predictor(file(cfg, assemble.PREDICTOR), retrieval=False)
    assert alone.retrieval is None


def test_known_structures_are_recognised_by_retrieval_and_named(made, measured_sets, bank):
    patterns = measured_sets[MEASURED[1]]
    row = made.evidence(GRID.two_theta, patterns.intensity).row
    assert np.mean(made.retrieval.name[row] == bank.name) > 0.85
    table = made.predict(GRID.two_theta, patterns.intensity[3], top_k=3)
    assert list(table["rank"]) == [1, 2, 3] and table["probability"].is_monotonic_decreasing
    assert table["group"][0] == bank.group[3]


def test_parts_of_a_prediction_are_those_of_their_weights(made, measured_sets):
    x = measured_sets[MEASURED[1]].intensity[:6]
    logp = evaluate.log_probs(made, x)
    evidence, similarity, *_ = seen = made.evidence(GRID.two_theta, x)
    ratio = log_ratio(MINERALS, UNIFORM)
    assert np.allclose(np.exp(logp[evaluate.FUSED]), made.predict_proba(GRID.two_theta, x))
    wanted = calibrate.rescale(evidence, CHOSEN.T, CHOSEN.w, ratio)
    assert np.allclose(logp[evaluate.NETWORK], wanted)
    stored = made.metadata["retrieval_alone"]
    similar = (1 + fusion.FLOOR - similarity.astype(float)) ** -stored["similarity"]
    ranked = np.sort(similarity.astype(float), 1)
    odds = np.exp(stored["known"] + stored["margin"] * (ranked[:, -1:] - ranked[:, -2:-1]))
    share = odds / (1 + odds)
    likelihood = share * similar / similar.sum(1, keepdims=True) + (1 - share) / 99
    p = likelihood * np.exp(stored["prior"] * ratio)
    assert np.allclose(np.exp(logp[evaluate.RETRIEVAL]), p / p.sum(1, keepdims=True))
    stored = made.metadata["lattices_alone"]
    scores = stored["prior"] * ratio + stored["lattice"] * seen.lattice
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    assert np.allclose(np.exp(logp[evaluate.LATTICES]), p)
    uniform = evaluate.log_probs(made, x, prior="uniform")
    assert not np.allclose(uniform[evaluate.FUSED], logp[evaluate.FUSED])


def test_readings_come_back_from_a_file_and_weigh_as_before(made, seen, measured_sets, tmp_path):
    readings.save(tmp_path / readings.FILE, seen)
    again = readings.load(tmp_path / readings.FILE)
    assert set(again) == set(MEASURED)
    for name, one in again.items():
        for part, logp in evaluate.weighed(made, one).items():
            assert np.array_equal(logp, evaluate.weighed(made, seen[name])[part])
    alone = evaluate.log_probs(made, measured_sets[MEASURED[1]].intensity[:6])[evaluate.FUSED]
    assert np.allclose(evaluate.weighed(made, again[MEASURED[1]])[evaluate.FUSED][:6], alone)
    with pytest.raises(XrdlibError, match="does not exist"):
        readings.load(tmp_path / "elsewhere.npz")


def test_processes_see_what_one_sees(made, measured_sets):
    x = measured_sets[MEASURED[0]].intensity[:30]
    one, two = (made.evidence(GRID.two_theta, x, workers=n) for n in (1, 2))
    for a, b in ((one.lattice, two.lattice), (one.pattern, two.pattern)):
        assert (a is None) == (b is None) and (a is None or np.allclose(a, b, atol=1e-6))
    assert [x.n for x in one.indexed] == [x.n for x in two.indexed]


def test_the_table_has_every_part_on_every_subset(cfg, made, seen, measured_sets, bank):
    name = MEASURED[1]
    cut = made.evidence(GRID.two_theta, readings.cropped(measured_sets[name].intensity))
    table = evaluate.table(cfg, made, seen | {readings.CROPPED: cut}, measured_sets, bank)
    parts = {evaluate.FUSED, evaluate.NETWORK, evaluate.RETRIEVAL, evaluate.LATTICES}
    parts |= {evaluate.NO_LIBRARY, evaluate.NO_INDEXING, "shuffled"}
    parts |= {nulls.PRIOR, nulls.BY_PATTERNS, nulls.ORACLE}
    by_subset = {}
    for row in table:
        by_subset.setdefault(row["subset"], {})[row["model"]] = row
    short = readings.CROPPED
    assert {name, short} < set(by_subset) <= {name, short, *(f"{name}, {k}" for k in HALVES)}
    for subset, rows in by_subset.items():
        assert set(rows) == parts | ({"search-match"} if subset != short else set())
        assert len({row["n"] for row in rows.values()}) == 1
    assert sum(by_subset[f"{name}, {k}"][evaluate.FUSED]["n"] for k in HALVES) == N
    labels = measured_sets[name].group.astype(int) - 1
    logp = evaluate.weighed(made, cut)
    top1 = 100 * np.mean(logp[evaluate.FUSED].argmax(1) == labels)
    assert np.isclose(by_subset[short][evaluate.FUSED]["top1"], top1)
    few = {name: measured_sets[name].take(np.arange(3))}
    assert np.allclose(readings.read(made, few)[readings.CROPPED].lattice, cut.lattice[:3])
    assert set(readings.read(made, few, cut=False)) == {name}
    # Retrieval knows the bank, the shuffled predictions know nothing.
    everything = by_subset[name]
    assert everything[evaluate.RETRIEVAL]["top1"] > 60 > 30 > everything["shuffled"]["top1"]
    assert abs(everything["prior only"]["bits_over_prior"]) < 1e-9


def test_each_row_of_the_ablation_lacks_its_part(cfg, made, seen, measured_sets):
    known, about = library.load(file(cfg, assemble.FILE))
    rows = assemble.rows(made, seen, known, about["sources"], measured_sets, MINERALS, n_boot=10)
    by_name = {row["model"]: row for row in rows}
    whole = evaluate.log_probs(made, measured_sets[MEASURED[1]].intensity)
    labels = measured_sets[MEASURED[1]].group.astype(int) - 1
    for title, logp in (
        ("everything", whole[evaluate.FUSED]),
        ("retrieval alone", whole[evaluate.RETRIEVAL]),
        ("indexing alone", whole[evaluate.LATTICES]),
    ):
        # Absent classes are filled source by source, so that far from any match digits may differ.
        nll = -logp[np.arange(N), labels].mean()
        assert by_name[title]["nll"] == pytest.approx(nll, rel=0.1)
    names = [source["what"] for source in about["sources"]]
    assert {f"without {name}" for name in names[1:]} | {f"{names[0]} alone"} <= set(by_name)
    # Half of the patterns are of structures that the first source lacks.
    assert by_name[f"{names[0]} alone"]["top1"] < by_name["everything"]["top1"] - 20
    assert by_name["without retrieval"]["top1"] < 30


def test_the_appraisal_covers_every_pattern_and_lists_what_was_missed(made, seen, measured_sets):
    appraised = appraisal.appraise(made, seen, measured_sets, MINERALS)
    for table in appraised["kinds"].values():
        assert sum(row["n"] for row in table) == N
    assert sum(row["n"] for row in appraised["groups"]) == N
    calibration = measured_sets[MEASURED[0]]
    logp = evaluate.log_probs(made, calibration.intensity)[evaluate.FUSED]
    wrong = logp.argmax(1) != calibration.group.astype(int) - 1
    assert len(appraised["mistakes"]) == min(20, wrong.sum())
    confidences = [row["probability"] for row in appraised["mistakes"]]
    assert confidences == sorted(confidences, reverse=True)
    assert {row["source"] for row in appraised["mistakes"]} <= set(calibration.source[wrong])


def test_without_measured_patterns_nothing_is_built_and_the_folder_is_there(cfg):
    assert assemble.build(cfg, {}, MINERALS, CHOSEN) == (None, {})
    assert list(experiment.folder(cfg, assemble.FOLDER).iterdir()) == []
