"""The measured sets: split by family, as the network reads them, and nothing without data."""

import numpy as np
import pytest
import torch

from xrdlib.base import config, paths, patterns
from xrdlib.base.errors import XrdlibError
from xrdlib.learning import experiment, synthesis
from xrdlib.prediction import evaluate
from xrdlib.structures import measured
from xrdlib.symmetry.groups import group_of_space_group

TWO_THETA = np.linspace(5, 90, 8501)


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    """The tiny profile in a temporary project, with a data folder that is still empty."""
    data = tmp_path / "elsewhere"
    data.mkdir()
    monkeypatch.setenv("XRDLIB_DATA", str(data))
    monkeypatch.setattr(paths, "ROOT", tmp_path / "project")
    return config.load("tiny")


@pytest.fixture
def bundle(cfg):
    """Noise in place of patterns: three specimens of each of 14 families, in file order."""
    rng = np.random.default_rng(2)
    n = 42
    arrays = {
        "two_theta": TWO_THETA,
        "intensity": rng.random((n, len(TWO_THETA))).astype(np.float32) ** 8,
        "space_group": rng.integers(1, 231, n).astype(np.int16),
        "family": np.array([f"family {i % 14}" for i in range(n)]),
        "source_index": np.arange(n),
    }
    np.savez(paths.data_dir() / "rruff.npz", **arrays)
    return arrays


def test_every_pattern_is_in_one_set_and_every_family_on_one_side(cfg, bundle):
    cfg.measured = None
    sets = synthesis.write_sets(cfg)
    assert list(sets) == list(experiment.MEASURED)
    calibration, test = sets.values()
    assert len(calibration) and len(test) and len(calibration) + len(test) == 42
    assert not set(calibration.family) & set(test.family)
    assert len({*calibration.name, *test.name}) == 42
    for name, kept in experiment.load_sets(cfg).items():
        assert np.array_equal(kept.x, sets[name].x) and list(kept.name) == list(sets[name].name)


def test_a_profile_that_limits_them_takes_some_of_each_half(cfg, bundle):
    cfg.measured = 5
    sets, whole = synthesis.write_sets(cfg), measured.halves()
    for (name, some), half, released in zip(
        sets.items(), whole, evaluate.measured(cfg).values(), strict=True
    ):
        assert list(some.name) == list(released.source) == list(experiment.load_set(cfg, name).name)
        assert len(set(some.name)) == 5 and set(some.name) < set(half.source)
    assert len(evaluate.measured()["rruff-test"]) == len(whole[1])


def test_patterns_are_prepared_as_in_inference_and_labelled_by_extinction_group(cfg, bundle):
    kept = {str(name): i for i, name in enumerate(measured.load().source)}
    for patterns_set in synthesis.write_sets(cfg).values():
        assert patterns_set.x.dtype == np.float16 and patterns_set.label.dtype == np.int64
        for x, label, family, name in zip(*vars(patterns_set).values(), strict=True):
            i = kept[str(name)]
            on_grid = patterns.to_grid(TWO_THETA, bundle["intensity"][i])
            expected = patterns.normalise(torch.from_numpy(on_grid)).numpy()
            assert np.abs(x.astype(np.float32) - expected).max() < 6e-4  # of float16
            assert label == group_of_space_group()[bundle["space_group"][i]] - 1
            assert family == bundle["family"][i]


def test_without_data_there_is_a_word_and_an_empty_folder(cfg, capsys):
    assert synthesis.write_sets(cfg) == {}
    assert "XRDLIB_DATA" in capsys.readouterr().out
    # The pipeline counts on the folder, which is an output of its stage.
    folder = paths.runs("tiny") / "sets/rruff"
    assert folder.is_dir() and not list(folder.iterdir())
    assert experiment.load_sets(cfg) == {}


def test_a_damaged_file_is_an_error_and_not_absent_data(cfg, bundle):
    path = paths.data_dir() / "rruff.npz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(XrdlibError, match="not a readable bundle"):
        synthesis.write_sets(cfg)
