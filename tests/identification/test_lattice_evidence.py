"""How scores of lattices are weighed: what the network reads, learns, and keeps in a file."""

import numpy as np
import pytest
import torch

from xrdlib.base.errors import XrdlibError
from xrdlib.identification import lattice_evidence
from xrdlib.identification.lattice_evidence import LatticeEvidence, Scores, features, gather
from xrdlib.prediction import lattices
from xrdlib.symmetry import groups

SYSTEMS = np.array(groups.crystal_systems())
METRIC = np.where(SYSTEMS == "trigonal", "hexagonal", SYSTEMS)


def scores(n, seed=0, labels=None, help_=25.0):
    """Made-up scores: systems at random, the true group's system better than others."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 99, n) if labels is None else labels
    score = rng.normal(10, 4, size=(n, 99)).astype(np.float32)
    score[:, SYSTEMS == "triclinic"] = np.nan
    own = METRIC[labels][:, None] == METRIC
    score = np.where(own, score + help_, score)
    score[np.arange(n), labels] += 8
    reflections = rng.integers(10, 60, size=(n, 99)).astype(np.float32)
    indexed = rng.integers(4, 24, size=(n, 99)).astype(np.float32)
    return Scores(score, reflections, indexed, rng.integers(5, 40, n)), labels


class Given:
    """An `index_cells.Indexed` as far as `gather` looks."""

    def __init__(self, n):
        self.score = np.full(99, np.nan)
        self.reflections, self.indexed, self.n = np.zeros(99), np.zeros(99), n


def test_scores_are_gathered_pattern_by_pattern():
    first, second = Given(7), Given(12)
    second.score[4], second.reflections[4], second.indexed[4] = 31.5, 40, 11
    found = gather([first, second])
    assert found.score.shape == (2, 99) and np.isnan(found.score[0]).all()
    assert np.flatnonzero(np.isfinite(found.score[1])).tolist() == [4]
    assert (found.score[1, 4], found.reflections[1, 4], found.indexed[1, 4]) == (31.5, 40, 11)
    assert found.n.tolist() == [7, 12]
    assert gather([]).score.shape == (0, 99)


def test_features_are_finite_whatever_is_missing():
    some, _ = scores(6)
    none = Scores(*(np.full((2, 99), np.nan), np.zeros((2, 99)), np.zeros((2, 99))), np.zeros(2))
    for given in (some, none):
        found = features(given)
        assert found.shape[:2] == given.score.shape and found.dtype == np.float32
        assert np.isfinite(found).all() and np.abs(found).max() < 10
    assert not features(none)[:, :, 0].any()


def test_a_group_reads_of_its_own_system_and_of_the_others():
    """By hand, for one pattern with a tetragonal and a monoclinic lattice."""
    score = np.full((1, 99), np.nan)
    score[0, METRIC == "tetragonal"], score[0, METRIC == "monoclinic"] = 20.0, 34.0
    found = features(Scores(score, np.zeros((1, 99)), np.zeros((1, 99)), np.array([20])))[0]
    kinds = {name: found[METRIC == name][0] for name in ("tetragonal", "monoclinic", "cubic")}
    assert np.allclose(kinds["tetragonal"][[0, 1, 4, 5, 6, 7]], [1, 1, -1.4, -1.4, 4, -1.4])
    assert np.allclose(kinds["monoclinic"][[0, 1, 4, 5, 6]], [1, 1.7, 0, 1.4, 1.4])
    assert np.allclose(kinds["cubic"][[0, 1, 4, 5]], [0, -1, -4, -4])
    triclinic = found[SYSTEMS == "triclinic"][0]
    assert triclinic[0] == 0 and np.isclose(triclinic[6], -4)  # all others are freer than none


def test_what_can_be_learned_is_learned_and_the_same_again():
    given, labels = scores(1500)
    other, true = scores(400, seed=1)
    learned = lattices.train(given, labels, other, true, epochs=12, seed=3)
    assert len(learned.train) == len(learned.held_out) == 12
    evidence = LatticeEvidence({}, learned.network)
    logp = evidence.weigh_scores(other)
    assert np.allclose(np.exp(logp).sum(1), 1)
    assert -logp[np.arange(400), true].mean() < np.log(99) - 1.5
    system = np.array([METRIC[row.argmax()] for row in logp])
    assert (system == METRIC[true]).mean() > 0.8
    before = torch.random.get_rng_state()
    again = lattices.train(given, labels, other, true, epochs=12, seed=3)
    assert again.held_out == learned.held_out
    assert torch.equal(before, torch.random.get_rng_state())


def test_what_is_frequent_in_training_is_no_evidence():
    """Scores that say nothing give equal probabilities, though one group is met more often."""
    rng = np.random.default_rng(2)
    labels = np.where(rng.random(1200) < 0.6, 21, rng.integers(0, 99, 1200))
    blank, _ = scores(1200, labels=np.zeros(1200, dtype=int), help_=0)
    blank = blank._replace(score=np.full((1200, 99), np.nan, dtype=np.float32))
    learned = lattices.train(blank, labels, blank, labels, epochs=10, seed=0)
    p = np.exp(LatticeEvidence({}, learned.network).weigh_scores(blank)).mean(0)
    assert p[21] < 0.06


def test_too_few_patterns_are_refused():
    few, labels = scores(100)
    with pytest.raises(XrdlibError, match="100 patterns are too few to learn from; give 128"):
        lattices.train(few, labels, few, labels)


@pytest.fixture
def kept(tmp_path):
    torch.manual_seed(0)
    sets = {"cubic": np.array([[[3]]], dtype=np.int16), "tetragonal": np.zeros((0, 2, 2), np.int16)}
    evidence = LatticeEvidence(sets, lattice_evidence.make_network())
    path = tmp_path / "lattices.safetensors"
    lattice_evidence.save(path, evidence, {"patterns": 5})
    return path, evidence


def test_a_file_keeps_all_of_it(kept):
    path, evidence = kept
    again, about = lattice_evidence.load(path)
    given, _ = scores(5)
    assert np.array_equal(again.weigh_scores(given), evidence.weigh_scores(given))
    assert {k: v.tolist() for k, v in again.sets.items()} == {"cubic": [[[3]]], "tetragonal": []}
    assert about["patterns"] == 5 and len(about["fingerprint"]) == 16


def test_another_training_has_another_fingerprint(kept):
    path, evidence = kept
    before = lattice_evidence.load(path)[1]
    with torch.no_grad():
        evidence.network[0].bias[0] += 1e-3
    lattice_evidence.save(path, evidence, {"patterns": 5})
    assert lattice_evidence.load(path)[1] != before


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_a_file_that_is_none_is_refused(kept, tmp_path, damage):
    path, _ = kept
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        from xrdlib.base import tensorfile

        tensorfile.write(path, {"x": torch.zeros(2)}, {"library": {}})
    message = {"missing": "does not exist", "cut": "damaged", "other": "holds no basis reflections"}
    with pytest.raises(XrdlibError, match=message[damage]):
        lattice_evidence.load(path)
