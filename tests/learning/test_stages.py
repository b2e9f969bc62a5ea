"""One stage of training and reading: what is kept, what is resumed, what is refused."""

import os
import signal

import numpy as np
import pytest
import torch
import training
from training import GRID, same, weights

from xrdlib.base import paths, provenance, results
from xrdlib.base.errors import XrdlibError
from xrdlib.learning import decode, experiment, stages
from xrdlib.learning.experiment import PatternSet


class Stream(training.Stream):
    class_probabilities = np.arange(99) / np.arange(99).sum()

    def __init__(self, **options):
        super().__init__(batch=4, **options)


@pytest.fixture
def cfg(cfg, monkeypatch):
    """The tiny profile on the grid of the stream, in a temporary project, eight steps a stage."""
    # Runs are told apart by their code too; here it may change under the tests' feet.
    monkeypatch.setattr(provenance, "code_digest", lambda files: "settled")
    cfg.grid_step, cfg.threads = 85 / (GRID[2] - 1), 1
    for section in (cfg.stage1, cfg.baselines):
        section.steps, section.max_minutes, section.rows, section.batch = 8, None, 2, 4
    assert experiment.grid(cfg).size == GRID[2]
    return cfg


@pytest.fixture
def patterns():
    """More patterns than are read at a time."""
    n = stages._PREDICT_BATCH + 7
    x = np.random.default_rng(5).random((n, GRID[2])).astype(np.float16)
    names = np.array([f"p{i}" for i in range(n)])
    return PatternSet(x, np.arange(n) % 99, names, names)


def trained(cfg, stream, patterns):
    model = stages.new_model(cfg, "model")
    return model, stages.run(cfg, "stage1", "first", model, stream, patterns)


def test_a_stage_keeps_weights_history_and_prior_and_is_not_trained_again(cfg, patterns):
    stream = Stream()
    before = weights(stages.new_model(cfg, "model"))
    model, history = trained(cfg, stream, patterns)
    assert history.complete and history.step == 8 and len(history.rows) == 2
    assert {"top1", "top5", "nll"} <= set(history.rows[-1])
    assert not same(before, weights(model)) and not model.training
    loaded, metadata = stages.load_model(cfg, "first")
    assert same(weights(loaded), weights(model))
    assert metadata["name"] == "first" and metadata["stream"] == stream.config
    prior = np.array(metadata["training_prior"])  # that of the stream with every class possible
    assert stream.class_probabilities.min() == 0 < prior.min() and np.isclose(prior.sum(), 1)
    assert np.abs(prior - stream.class_probabilities).max() < 1e-3
    content = results.read(cfg, "first")
    assert content["rows"] == history.rows == metadata["history"]["rows"]
    assert content["patterns"] == 32
    written, stream = (paths.results("tiny") / "first.json").read_bytes(), Stream()
    again, same_history = trained(cfg, stream, patterns)
    # The labels of the first batch belong to a run's identity; one batch is drawn ahead.
    assert set(stream.calls) <= {0, 8}
    assert same(weights(again), weights(model)) and same_history == history
    # DVC compares bytes: what reads the history is not to run again.
    assert (paths.results("tiny") / "first.json").read_bytes() == written


def test_an_interrupted_stage_goes_on_and_ends_where_it_would_have(
    cfg, patterns, tmp_path, monkeypatch
):
    whole, _ = trained(cfg, Stream(), patterns)
    monkeypatch.setattr(paths, "ROOT", tmp_path / "second")
    with pytest.raises(KeyboardInterrupt):
        trained(cfg, Stream(at={4: lambda: os.kill(os.getpid(), signal.SIGINT)}), patterns)
    assert not (paths.runs("tiny") / "models").exists()
    stream = Stream()
    resumed, history = trained(cfg, stream, patterns)
    assert history.complete and set(stream.calls).isdisjoint({1, 2, 3})
    assert same(weights(resumed), weights(whole))


def test_models_start_from_weights_that_the_seed_gives(cfg):
    models = {name: stages.new_model(cfg, name) for name in ("model", "resnet", "plain")}
    assert [m.name for m in models.values()] == ["physics", "resnet", "plain"]
    for name, model in models.items():
        assert same(weights(stages.new_model(cfg, name)), weights(model))
        assert model.config.grid == (5.0, cfg.grid_step, GRID[2])
    cfg.seed += 1
    assert not same(weights(stages.new_model(cfg, "model")), weights(models["model"]))


@pytest.mark.parametrize("section", ["model", "resnet", "plain"])
def test_predictions_are_the_models_in_evaluation_mode(cfg, patterns, section):
    model = stages.new_model(cfg, section)
    with torch.no_grad():
        output = model.eval()(torch.from_numpy(patterns.x).float())
    # Left in training mode, dropout and batch statistics would change the answer.
    logp_by_head = stages.predict(model.train(), patterns)
    assert np.allclose(logp_by_head["aux"], torch.log_softmax(output["aux"], -1), atol=1e-5)
    assert ("rule" in logp_by_head) == ("rule" in output)
    if "rule" in output:
        assert np.allclose(logp_by_head["rule"], decode.rule_log_probs(output["rule"]), atol=1e-5)
    for logp in logp_by_head.values():
        assert logp.shape == (len(patterns), 99)
        assert np.allclose(np.exp(logp.astype(float)).sum(1), 1, atol=1e-5)


def test_the_quick_table_counts_hits(cfg):
    labels = np.array([3, 3, 5, 9])
    p = np.full((4, 99), 0.001)
    p[[0, 1, 2], [3, 3, 5]] = 0.902
    p[3, 90:96] = 0.1
    p /= p.sum(1, keepdims=True)
    logp = np.log(p).astype(np.float32)
    uniform = np.full((4, 99), -np.log(99), dtype=np.float32)
    sets = dict.fromkeys(("one", "two"), PatternSet(np.zeros((4, 2)), labels, labels, labels))
    predictions = {"one": {"aux": logp}, "two": {"aux": logp, "rule": uniform}}
    table = stages.quick_table(predictions, sets, fusion=0.25)
    assert list(table.index) == ["one", "two"] and list(table["n"]) == [4, 4]
    assert table.loc["one", "top1"] == table.loc["two", "top1"] == 75
    true = p[np.arange(4), labels]
    for name, mixed in (("one", true), ("two", 0.25 / 99 + 0.75 * true)):
        assert np.isclose(table.loc[name, "nll"], -np.log(mixed).mean(), atol=0.006)


def test_rounds_go_on_with_the_weights_and_with_other_patterns(cfg, patterns):
    seen = []

    def make_stream(settings, batch):
        stream = Stream(noise=settings.seed / 1e10)
        seen.append((settings.seed, settings.stage1.lr, batch, stream))
        return stream

    cfg.stage1.rounds = [{"lr": 1e-3}, {"lr": 1e-4, "steps": 4}]
    model = stages.new_model(cfg, "model")
    history = stages.run_rounds(cfg, "stage1", "first", model, make_stream, patterns)
    (first, lr, batch, _), (second, low, _, stream) = seen
    assert first == cfg.seed != second and (lr, low, batch) == (1e-3, 1e-4, 4)
    assert history.step == 12 and history.patterns == 48 and history.complete
    assert history.planned == 12 and history.precision == results.read(cfg, "first")["precision"]
    assert [row["step"] for row in history.rows] == [4, 8, 10, 12]
    assert history.rows == sorted(history.rows, key=lambda row: row["seconds"])
    loaded, metadata = stages.load_model(cfg, "first")
    assert same(weights(loaded), weights(model))
    assert metadata["history"]["rows"] == history.rows == results.read(cfg, "first")["rows"]
    assert metadata["stream"] == stream.config
    # The first round alone is what a stage without rounds does.
    cfg.stage1.rounds, cfg.stage1.lr = None, 1e-3
    alone = stages.new_model(cfg, "model")
    stages.run_rounds(cfg, "stage1", "second", alone, make_stream, patterns)
    assert not same(weights(alone), weights(model))


def test_a_model_that_was_not_trained_is_named(cfg):
    with pytest.raises(XrdlibError, match=r"absent\.safetensors does not exist"):
        stages.load_model(cfg, "absent")
