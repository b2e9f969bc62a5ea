import os
import random
import re
import signal
import time
import warnings

import numpy as np
import pytest
import torch
from training import GRID, Stream, losses, processes, run, same, settle, tiny, weights

from xrdlib.base import provenance
from xrdlib.base.errors import XrdlibError
from xrdlib.base.files import held
from xrdlib.learning import checkpoint, decode
from xrdlib.learning.baselines import build
from xrdlib.learning.train import FILE


@pytest.fixture(autouse=True)
def settled_code(monkeypatch):
    """Runs are told apart by their code too; here it may change under the tests' feet."""
    monkeypatch.setattr(provenance, "code_digest", lambda files: "settled")


def test_a_tiny_model_learns_a_tiny_task():
    stream = Stream(batch=33, noise=0.02)
    model = tiny(width=64, stem="conv")

    def score(model, fusion=0.5):
        return decode.scores(decode.log_probs(model(stream.patterns), fusion), torch.arange(99))

    history = run(model, stream, steps=300, validate=score, rows=5)
    assert history.complete and history.step == 300 and history.patterns == 300 * 33
    assert [row["step"] for row in history.rows] == [60, 120, 180, 240, 300]
    assert history.rows[-1]["top1"] > 90
    assert history.rows[-1]["nll"] < history.rows[0]["nll"] < np.log(99) + 0.1
    # The rule head learns too, more slowly; alone it is far above the chance of 1 %.
    assert score(model, 1)["top1"] > 25


def test_rows_come_after_the_steps_that_are_named_and_hold_means_of_what_the_loss_gives():
    history = run(tiny(), Stream(), steps=9, rows=[2, 5])
    assert [row["step"] for row in history.rows] == [2, 5, 9]
    stream, model = Stream(), tiny()
    x, labels = stream.batch(0)
    total, parts = decode.loss(model(x), labels, decode.positive_weights())
    first = run(model, stream, steps=4, rows=4).rows[0]
    assert first["loss"] == pytest.approx(total.item(), rel=1e-5)
    assert {k: pytest.approx(v.item(), rel=1e-5) for k, v in parts.items()}.items() <= first.items()


@pytest.mark.parametrize(
    ("schedule", "warmup"), [("cosine", 0.2), ("cosine", 4), ("constant", 0.2), ("step", 4)]
)
def test_the_learning_rate_follows_its_schedule(schedule, warmup):
    history = run(tiny(), Stream(), steps=20, rows=20, lr=0.5, warmup=warmup, schedule=schedule)
    done = np.arange(20) / 20
    expected = 0.5 * np.minimum(1, done / 0.2)
    if schedule == "cosine":
        expected *= np.cos(np.pi * done / 2) ** 2
    if schedule == "step":
        expected[12:] *= 0.1
        expected[17:] *= 0.1
    np.testing.assert_allclose([row["lr"] for row in history.rows], expected)


def test_to_look_at_a_run_changes_nothing(tmp_path):
    options = {"steps": 6, "rows": 3, "folder": tmp_path}
    assert run(tiny(), Stream(), look=True, **options).step == 0
    assert not list(tmp_path.iterdir())
    with pytest.raises(SystemExit):
        stopped = Stream(at={4: lambda: os.kill(os.getpid(), signal.SIGTERM)})
        run(tiny(), stopped, **options)
    (path,) = tmp_path.rglob(FILE)
    before = path.read_bytes()
    with held(path.parent):  # as another process would
        seen = run(tiny(), Stream(), look=True, **options)
    assert 0 < seen.step < 6 and not seen.complete and path.read_bytes() == before
    assert run(tiny(), Stream(), **options).complete


def test_a_clock_ends_training_with_the_schedule_run_down_and_counts_over_resumptions(tmp_path):
    # Few and slow steps, so that a busy machine takes them in time too.
    options = {"steps": 5000, "max_minutes": 2 / 60, "folder": tmp_path, "rows": 10}
    stopped = Stream(pause=0.1, at={5: lambda: os.kill(os.getpid(), signal.SIGINT)})
    with pytest.raises(KeyboardInterrupt):
        run(tiny(), stopped, **options)
    (path,) = tmp_path.glob(f"*/{FILE}")
    before, text = checkpoint.load(path).extra, r"after \d+ of 5,000 steps; set max_minutes to null"
    with pytest.warns(UserWarning, match=text):
        history = run(tiny(), Stream(pause=0.1), **options)
    assert history.complete and history.step < history.planned == 5000
    assert before["seconds"] > 0.4 and history.seconds >= 2
    # No step is quicker than its pause, so this many fit into what was left and no more.
    assert 0 < history.step - before["step"] <= (2 - before["seconds"]) / 0.1 + 2
    assert history.rows[-1]["lr"] < 0.1 * 3e-3 and len(history.rows) <= 11
    with pytest.warns(UserWarning, match=text):
        assert run(tiny(), Stream(), **options).step == history.step


def test_a_log_says_how_long_training_takes_yet(capsys, monkeypatch):
    monkeypatch.setattr("xrdlib.learning.train.LOG_SECONDS", 0.2)
    run(tiny(), Stream(pause=0.05), steps=20, progress=True)
    lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
    assert any(re.search("/20.*00:00<00:0.*patterns/s", line) for line in lines)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_steps_are_those_of_the_named_optimiser(name, monkeypatch):
    monkeypatch.setattr("xrdlib.learning.run.WEIGHT_DECAY", 0.1)
    model, reference, stream = tiny(), tiny(), Stream()
    run(model, stream, steps=5, optimiser=name, warmup=0, schedule="constant")
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
    optimiser = kind(reference.parameters(), 3e-3, weight_decay=0.1, fused=True)
    for step in range(5):
        x, labels = stream.batch(step)
        optimiser.zero_grad()
        decode.loss(reference(x), labels, decode.positive_weights())[0].backward()
        torch.nn.utils.clip_grad_norm_(reference.parameters(), 1.0)
        optimiser.step()
    for a, b in zip(weights(model), weights(reference), strict=True):
        torch.testing.assert_close(a, b)


def test_the_average_is_that_of_the_weights_after_each_step():
    visited = []
    options = {"steps": 8, "rows": 8}
    run(tiny(), Stream(), validate=lambda m: visited.append(weights(m)) or {}, **options)
    expected = weights(tiny())
    for step, present in enumerate(visited, 1):
        decay = min(0.6, step / (10 + step))
        expected = [decay * e + (1 - decay) * p for e, p in zip(expected, present, strict=True)]
    seen = []
    averaged = tiny()
    run(averaged, Stream(), ema=0.6, validate=lambda m: seen.append(weights(m)) or {}, **options)
    for a, b in zip(weights(averaged), expected, strict=True):
        torch.testing.assert_close(a, b)
    assert same(seen[-1], weights(averaged))  # validation saw the average
    assert not same(visited[-1], weights(averaged))


def test_checkpoints_and_validation_leave_the_numbers_alone(tmp_path):
    results, x = [], Stream().patterns
    for options in (
        {},
        {"folder": tmp_path, "every_minutes": 0, "progress": True},
        {"validate": lambda model: {"sum": model(x)["aux"].sum().item()}, "rows": 3},
    ):
        torch.manual_seed(len(results))
        state = torch.get_rng_state()
        model = tiny(dropout=0.2)
        run(model, Stream(), steps=12, **options)
        assert torch.equal(state, torch.get_rng_state())  # the caller's random numbers
        results.append(weights(model))
    assert all(same(results[0], other) for other in results[1:])
    other_seed = tiny(dropout=0.2)
    run(other_seed, Stream(), steps=12, seed=1)
    assert not same(results[0], weights(other_seed))


OPTIONS = {"steps": 60, "rows": 7, "ema": 0.9, "every_minutes": 1e-4}


def train_in_folder(folder):
    settle()
    run(tiny(dropout=0.1), Stream(pause=0.02), folder=folder, **OPTIONS)


def test_killed_at_random_moments_a_run_ends_bitwise_like_an_undisturbed_one(tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    undisturbed = tiny(dropout=0.1)
    expected = run(undisturbed, Stream(), **OPTIONS)
    chance, codes = random.Random(0), []
    while 0 not in codes and len(codes) < 20:
        process = processes().Process(target=train_in_folder, args=(tmp_path,))
        process.start()
        while process.is_alive() and not list(tmp_path.glob(f"*/{FILE}")):
            time.sleep(0.01)
        process.join(chance.uniform(0.05, 0.6) if len(codes) < 3 else None)
        process.kill()
        process.join()
        codes.append(process.exitcode)
    assert 0 in codes and codes.count(-signal.SIGKILL) >= 2
    finished, stream = tiny(dropout=0.1), Stream()
    history = run(finished, stream, folder=tmp_path, **OPTIONS)
    assert set(stream.calls) == {0}  # a finished run only looks at who it is
    assert same(weights(finished), weights(undisturbed)) and losses(history) == losses(expected)
    assert (history.step, history.patterns) == (60, 480)
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
@pytest.mark.parametrize("truncated", [False, True])
def test_a_signal_saves_and_stops_and_the_run_goes_on_later(tmp_path, number, error, truncated):
    undisturbed = tiny()
    run(undisturbed, Stream(), steps=20)
    handler, options = signal.getsignal(number), {"folder": tmp_path, "every_minutes": 0}
    with pytest.raises(error):
        run(tiny(), Stream(at={12: lambda: os.kill(os.getpid(), number)}), steps=20, **options)
    assert signal.getsignal(number) is handler
    (path,) = tmp_path.glob(f"*/{FILE}")
    assert 11 <= checkpoint.load(path).step <= 13
    resumed, stream = tiny(), Stream()
    with warnings.catch_warnings(record=True) as text:
        if truncated:
            path.write_bytes(path.read_bytes()[:1000])
        assert run(resumed, stream, steps=20, folder=tmp_path).complete
    assert [w for w in text if "damaged" in str(w.message)] or not truncated
    assert sorted(set(stream.calls))[1] >= 10  # not from the start
    assert same(weights(resumed), weights(undisturbed))


def test_another_configuration_starts_afresh_in_its_own_folder(tmp_path, monkeypatch):
    run(tiny(), Stream(), steps=4, folder=tmp_path)
    stream = Stream()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(tiny(), stream, steps=4, lr=1e-4, folder=tmp_path).step == 4
    assert {0, 1, 2, 3} <= set(stream.calls) and len(list(tmp_path.iterdir())) == 2
    # So does a run under other code, and says so.
    monkeypatch.setattr(provenance, "code_digest", lambda files: "other")
    with pytest.warns(UserWarning, match="under other code"):
        run(tiny(), Stream(), steps=4, folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_divergence_is_an_error_and_the_last_good_checkpoint_stays(tmp_path):
    class Poisoned(Stream):
        def batch(self, step):
            x, labels = super().batch(step)
            return (x * float("nan") if step >= 6 else x), labels

    with pytest.raises(XrdlibError, match="loss is nan at step 7.*lower the learning rate"):
        run(tiny(), Poisoned(), steps=20, folder=tmp_path, every_minutes=0)
    (path,) = tmp_path.glob(f"*/{FILE}")
    saved = checkpoint.load(path)
    assert saved.step == 6 and all(t.isfinite().all() for t in saved.part("model").values())


def test_errors_of_the_stream_reach_the_caller():
    def fail():
        raise XrdlibError("the library is empty")

    with pytest.raises(XrdlibError, match="the library is empty"):
        run(tiny(), Stream(at={3: fail}), steps=10)


def test_batch_statistics_are_averaged_with_the_weights(tmp_path):
    config = {"grid": GRID, "widths": (4, 4, 4, 4)}
    model = build("resnet", config)
    run(model, Stream(), steps=10, ema=0.5, folder=tmp_path)
    again = build("resnet", config)
    run(again, Stream(), steps=10, ema=0.5, folder=tmp_path)
    assert same(model.state_dict().values(), again.state_dict().values())
    plain = build("resnet", config)
    run(plain, Stream(), steps=10)
    name = "features.1.running_mean"
    assert not torch.equal(model.state_dict()[name], plain.state_dict()[name])


def test_mixed_precision_trains_close_to_full_precision():
    results = []
    for precision in ("float32", "bfloat16"):
        history = run(tiny(), Stream(), steps=30, rows=1, precision=precision)
        assert history.precision == precision
        results.append(history.rows[-1]["loss"])
    assert results[0] != results[1] and results[1] == pytest.approx(results[0], rel=0.02)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_trains_like_the_cpu(tmp_path):
    rows = []
    for device in ("cpu", "cuda"):
        options = {"steps": 25, "rows": 2, "ema": 0.9, "folder": tmp_path / device}
        rows.append(run(tiny(), Stream(), device=device, **options).rows)
        again = run(tiny(), Stream(), device=device, **options)
        assert again.complete and again.rows == rows[-1]
    assert [r["loss"] for r in rows[0]] == pytest.approx([r["loss"] for r in rows[1]], rel=1e-3)


@pytest.mark.parametrize(
    "options",
    [{}, {"steps": 0}, {"steps": 5, "optimiser": "sgd"}, {"steps": 5, "ema": 1.0}]
    + [{"steps": 5, "schedule": "linear"}, {"max_minutes": -1}],
)
def test_impossible_arguments_are_refused(options):
    with pytest.raises(XrdlibError):
        run(tiny(), Stream(), **options)
