"""Sets, predictions, structures and streams of a profile, kept in a temporary project."""

import itertools

import numpy as np
import pytest

from xrdlib.base import records
from xrdlib.base.errors import XrdlibError
from xrdlib.learning import experiment
from xrdlib.learning.experiment import PatternSet
from xrdlib.simulation import realism
from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.prototype_library import prepare
from xrdlib.simulation.stream import mineral_weights
from xrdlib.structures.crystals import generate_balanced
from xrdlib.structures.recipes import shipped

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")


def a_set(n, seed=0):
    rng = np.random.default_rng(seed)
    return PatternSet(
        rng.random((n, 12)).astype(np.float16),
        rng.integers(0, 99, n),
        np.array([f"mineral {i // 2}" for i in range(n)]),
        np.array([f"pattern {i}" for i in range(n)]),
    )


def same(a, b):
    pairs = zip(vars(a).values(), vars(b).values(), strict=True)
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in pairs)


def test_sets_come_back_as_saved_and_without_data_are_none_and_not_among_the_loaded(cfg):
    assert experiment.load_set(cfg, "rruff-test") is None
    assert experiment.load_sets(cfg) == {}
    for name in ("random-crystals", "amcsd-test", "amcsd-calibration"):
        experiment.save_set(cfg, name, made := a_set(7, len(name)))
        assert same(experiment.load_set(cfg, name), made) and len(made) == 7
    half = made.take(np.arange(7) % 2 == 0)
    assert np.array_equal(half.x, made.x[::2]) and list(half.name) == list(made.name[::2])
    assert list(experiment.load_sets(cfg)) == ["amcsd-calibration", "amcsd-test", "random-crystals"]
    assert list(experiment.load_sets(cfg, ["amcsd-test", "rruff-test"])) == ["amcsd-test"]


def test_predictions_come_back_by_model_and_set(cfg):
    made = {name: {"aux": np.full((3, 99), k)} for k, name in enumerate(("amcsd-test", "other"))}
    experiment.save_predictions(cfg, "resnet", made)
    for name, heads in made.items():
        loaded = experiment.load_predictions(cfg, "resnet", name)
        assert list(loaded) == ["aux"] and np.array_equal(loaded["aux"], heads["aux"])
    with pytest.raises(XrdlibError, match="does not exist; run the stage"):
        experiment.load_predictions(cfg, "plain", "amcsd-test")


def test_choices_are_made_on_measured_patterns_where_there_are_some():
    everything = [*experiment.HELD_OUT, "random-crystals", *experiment.MEASURED]
    assert experiment.calibration_name(everything) == "rruff-calibration"
    assert experiment.calibration_name(experiment.HELD_OUT) == "amcsd-calibration"
    with pytest.raises(XrdlibError, match="no calibration set"):
        experiment.calibration_name(["rruff-test", "amcsd-test", "random-crystals"])


def test_no_two_streams_share_a_seed_even_under_neighbouring_seeds(cfg):
    found = []
    for cfg.seed in (7, 8, 9):
        found += [experiment.seed(cfg, name) for name in experiment.SEEDS]
    assert len(set(found)) == 3 * len(experiment.SEEDS)


def test_realism_is_the_default_changed_by_profile_and_call(cfg):
    cfg.realism.spikes, cfg.realism.coarse = 0.5, 0.3
    ranges = experiment.realism(cfg, coarse=0.0)
    assert (ranges.spikes, ranges.coarse) == (0.5, 0.0)
    assert ranges.fwhm == realism.Realism().fwhm
    with pytest.raises(XrdlibError, match="no field 'colour'"):
        experiment.realism(cfg, colour=1)


@pytest.fixture(scope="module")
def library():
    """Random crystals that pose as 20 minerals of three structures each."""
    made = reflections(generate_balanced(shipped(), 60, seed=3))
    made.name = np.array([f"mineral {i % 20}" for i in range(60)])
    return made


@pytest.fixture(scope="module")
def decorated():
    """Random crystals that pose as prototypes."""
    made = prepare(generate_balanced(shipped(), 99, seed=5))
    made.name = np.array([f"prototype {i}" for i in range(len(made))])
    return made


def test_stage_1_shows_random_crystals_alone(cfg):
    stream = experiment.stage1_stream(cfg)
    x, label = stream.batch(0)
    assert x.shape == (cfg.stage1.batch, 4251) and len(label) == cfg.stage1.batch
    assert np.allclose(stream.class_probabilities, 1 / 99)
    assert all(name.startswith("random") for name in stream.crystals(np.arange(50)).name)


def test_stage_2_shows_minerals_and_a_share_of_random_crystals(cfg, library):
    records.save(library, experiment.folder(cfg, "bank") / "train.npz")
    cfg.stage2.random_share, cfg.stage2.temper = 0.25, 0.0
    stream = experiment.stage2_stream(cfg, 16)
    assert stream.batch_size == 16 and stream.impurities is not None
    names = stream.crystals(np.arange(1600)).name
    share = np.char.startswith(names, "random").mean()
    assert abs(share - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 1600)
    weights = mineral_weights(library.group, library.name, 0.0)
    by_hand = 0.75 * np.bincount(library.group - 1, weights, 99) + 0.25 / 99
    assert np.allclose(stream.class_probabilities, by_hand)


def test_stage_2_takes_shares_of_compounds_and_prototypes(cfg, library, decorated):
    more = library.take(np.arange(25))
    more.name = np.array([f"compound {i}" for i in range(25)])
    for name, record in (("train", library), ("compounds", more), ("prototypes", decorated)):
        records.save(record, experiment.folder(cfg, "bank") / f"{name}.npz")
    section = cfg.stage2
    section.random_share, section.prototype_share, section.compound_share = 0.2, 0.3, 0.4
    section.temper, cfg.synthesis.chunk = 0.5, 60
    stream = experiment.stage2_stream(cfg, 8)
    names = stream.crystals(np.arange(1200)).name
    for kind, share in {"random": 0.2, "compound": 0.4, "mineral": 0.1}.items():  # else prototypes
        observed = np.char.startswith(names, kind).mean()
        assert abs(observed - share) < 4 * np.sqrt(share * (1 - share) / 1200)
    by_hand = 0.1 * np.bincount(
        library.group - 1, mineral_weights(library.group, library.name, 0.5), 99
    )
    by_hand += 0.4 * np.bincount(more.group - 1, mineral_weights(more.group, more.name, 0.5), 99)
    by_hand += 0.2 / 99
    by_hand += 0.3 * experiment.prototypes(cfg, "stage2", 0.5).class_probabilities
    assert np.allclose(stream.class_probabilities, by_hand)


def test_prototypes_of_the_stages_are_decorated_differently(cfg, decorated):
    records.save(decorated, experiment.folder(cfg, "bank") / "prototypes.npz")
    cfg.synthesis.chunk = 60
    index = np.arange(60)
    stages = ("stage1", "stage2", "stage1")
    one, other, again = (experiment.prototypes(cfg, stage).crystals(index) for stage in stages)
    assert np.array_equal(one.lattice, again.lattice) and np.array_equal(one.number, again.number)
    volume = [set(np.linalg.det(c.lattice).round(6).tolist()) for c in (one, other)]
    assert not volume[0] & volume[1]


@pytest.mark.parametrize("asked", ["prototype_share", "compound_share"])
def test_a_source_that_was_not_written_is_named(cfg, library, asked):
    records.save(library, experiment.folder(cfg, "bank") / "train.npz")
    setattr(cfg.stage2, asked, 0.1)
    with pytest.raises(XrdlibError, match=r"s\.npz does not exist; run the stage"):
        experiment.stage2_stream(cfg, 8)


def test_the_streams_of_the_stages_share_no_crystal(cfg, library):
    records.save(library, experiment.folder(cfg, "bank") / "train.npz")
    cfg.stage2.random_share = 1.0
    seen = {
        "stage1": experiment.stage1_stream(cfg).crystals(np.arange(60)),
        "stage2": experiment.stage2_stream(cfg, 8).crystals(np.arange(60)),
    }
    source = experiment.random_crystals(cfg, "uniform")
    seen["uniform"] = source.draw(np.linspace(0, 0.99, 60), np.arange(60))
    for one, other in itertools.combinations(seen.values(), 2):
        volume = [np.linalg.det(c.lattice).round(6).tolist() for c in (one, other)]
        assert not set(volume[0]) & set(volume[1])
