"""Training in two processes: the same numbers as in one, and what happens if one is lost."""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
import torch
from training import Stream, processes, run, settle, tiny

from xrdlib.base import provenance
from xrdlib.base.errors import XrdlibError
from xrdlib.base.paths import ROOT
from xrdlib.base.patterns import Grid
from xrdlib.learning import checkpoint, ranks
from xrdlib.learning.baselines import build
from xrdlib.learning.train import FILE
from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.realism import Realism
from xrdlib.simulation.stream import PatternStream, RandomCrystalSource, StructureSource
from xrdlib.structures.crystals import generate_balanced
from xrdlib.structures.recipes import shipped

pytest.importorskip("accelerate")
OPTIONS = {"steps": 16, "rows": 4, "ema": 0.9, "every_minutes": 0}


def simulated():
    """A stream of patterns of known structures and random crystals, and a model for it."""
    library = reflections(generate_balanced(shipped(), 30, seed=11))
    random = RandomCrystalSource(shipped(), seed=21, chunk=24, reuse=2)
    grid = Grid(5.0, 90.0, 0.5)
    sources = [(StructureSource(library), 3), (random, 1)]
    stream = PatternStream(sources, Realism(), 5, 8, impurities=library, grid=grid)
    shape = {"grid": (grid.start, grid.step, grid.size), "width": 16, "depth": 1, "heads": 2}
    return build("physics", {**shape, "stem": "conv"}), stream


def noisy(**at):
    """A model with dropout and a stream that sends the process a signal at a step."""
    at = {int(k): lambda n=n: os.kill(os.getpid(), n) for k, n in at.items()}
    return tiny(dropout=0.2), Stream(at=at)


def work(rank, port, folder, out, task, at):
    """What each of two processes does: train, and write what came of it."""
    os.environ.update(RANK=f"{rank}", WORLD_SIZE="2", LOCAL_RANK=f"{rank}", LOCAL_WORLD_SIZE="2")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=f"{port}")
    settle()
    model, stream = simulated() if task == "simulated" else noisy(**at)
    try:
        history = run(model, stream, folder=folder, **OPTIONS)
    except XrdlibError as error:
        (out / f"{rank}.error").write_text(str(error))
        sys.exit(1)
    finally:
        ranks.leave()
    checkpoint.save_weights(out / f"{rank}.weights", model)
    (out / f"{rank}.json").write_text(json.dumps(asdict(history)))


def launch(folder, out, task="noisy", at=()):
    """Run a task in two processes at once; their exit codes."""
    out.mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared, at = (port, folder, out, task), dict(at)
    started = [processes().Process(target=work, args=(r, *shared, at.get(r, {}))) for r in (0, 1)]
    for process in started:
        process.start()
    for process in started:
        process.join(100)
        assert process.exitcode is not None, "a process waits for another forever"
    return [process.exitcode for process in started]


def weights(path):
    return checkpoint.load_weights(path).state_dict()


def same(a, b):
    return all(torch.equal(value, b[name]) for name, value in a.items())


def test_two_processes_see_the_loss_curve_of_one(tmp_path, monkeypatch):
    assert launch(tmp_path / "c", tmp_path / "out", "simulated") == [0, 0]
    two = json.loads((tmp_path / "out/0.json").read_text())
    first, second = (weights(tmp_path / f"out/{rank}.weights") for rank in (0, 1))
    assert same(first, second)
    monkeypatch.setattr(provenance, "code_digest", lambda files: "settled")
    alone, stream = simulated()
    start = {name: value.clone() for name, value in alone.state_dict().items()}
    one = asdict(run(alone, stream, **OPTIONS))
    assert two["step"] == 16 and two["patterns"] == one["patterns"] == 128
    curves = [[[row[k] for k in ("loss", "aux", "lr")] for row in h["rows"]] for h in (one, two)]
    assert len(curves[0]) == 4
    np.testing.assert_allclose(*curves, rtol=1e-4)
    for name, value in alone.state_dict().items():
        pair = (value, first[name])
        if name.endswith("qkv.bias"):
            # Softmax ignores the keys' bias: its gradient is rounding noise, which Adam scales up.
            pair = [torch.stack([b.chunk(3)[0], b.chunk(3)[2]]) for b in pair]
        torch.testing.assert_close(*pair, rtol=0, atol=1e-6)
        assert (value - start[name]).abs().max() > 3e-3
    # Who trained a run does not make it another run: one process finds it finished.
    again = simulated()[0]
    run(again, stream, folder=tmp_path / "c", **OPTIONS)
    assert same(again.state_dict(), first)


def test_a_lost_process_is_one_error_and_the_checkpoint_goes_on_bitwise(tmp_path):
    """One run loses one process, then the other, then one gets a signal; at last it ends."""
    assert launch(tmp_path / "c0", tmp_path / "undisturbed") == [0, 0]
    expected = weights(tmp_path / "undisturbed/0.weights")
    kill, stop = signal.SIGKILL, signal.SIGTERM
    blows = [(0, 4, kill, (1, 4)), (1, 8, kill, (4, 8)), (1, 13, stop, (12, 15))]
    for lost, step, number, (low, high) in blows:
        out = tmp_path / f"{step}"
        codes = launch(tmp_path / "c", out, at={lost: {f"{step}": number}})
        assert codes[lost] == (-kill if number == kill else 128 + stop) and codes[1 - lost] == 1
        if number == kill:
            message = (out / f"{1 - lost}.error").read_text()
            assert "Another process of this run ended" in message and "start the run" in message
        else:
            assert not list(out.iterdir())
        (path,) = (tmp_path / "c").glob(f"*/{FILE}")
        assert low <= checkpoint.load(path).step <= high
    assert launch(tmp_path / "c", tmp_path / "end") == [0, 0]
    assert all(same(weights(tmp_path / f"end/{rank}.weights"), expected) for rank in (0, 1))


def test_random_numbers_differ_between_processes_and_steps():
    def drawn(rank, step, seed=3):
        several = object.__new__(ranks.Several)
        several.rank, several.count = rank, 4
        several.reseed(seed, step)
        return torch.rand(4).tolist()

    with torch.random.fork_rng(devices=[]):
        seen = [drawn(rank, step) for rank in range(4) for step in range(5)] + [drawn(0, 0, 4)]
        assert len({tuple(values) for values in seen}) == 21
        assert drawn(2, 3) == drawn(2, 3)


def test_without_a_launcher_there_is_one_process(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert type(ranks.join("cpu")) is ranks.Alone and ranks.is_first()
    # A batch system's count alone makes no group of processes.
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert type(ranks.join("cpu")) is ranks.Alone and ranks.is_first()
    monkeypatch.setenv("RANK", "3")
    assert not ranks.is_first()
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(XrdlibError, match="needs the package accelerate"):
        run(tiny(), Stream(), steps=1)


BARE = """
import sys
absent = "accelerate dvc gemmi huggingface_hub matplotlib networkx pandas pooch pyarrow pymatgen"
absent += " ruamel scipy spglib yaml"
for name in absent.split():
    sys.modules[name] = None  # importing it fails
from xrdlib.learning.baselines import build
from xrdlib.base.patterns import Grid
from xrdlib.simulation.realism import Realism
from xrdlib.structures.recipes import shipped
from xrdlib.simulation.stream import PatternStream, RandomCrystalSource
from xrdlib.learning.train import train
grid = Grid(5.0, 90.0, 0.5)
source = RandomCrystalSource(shipped(), seed=1, chunk=12)
stream = PatternStream([(source, 1)], Realism(), 1, 4, grid=grid)
model = build("physics", {"grid": (grid.start, grid.step, grid.size), "width": 16, "depth": 1})
print(train(model, stream, steps=2, folder=sys.argv[1], progress=False).complete)
print(*[m.__file__ for name, m in list(sys.modules.items()) if name.startswith("xrdlib.")])
"""


def test_one_process_needs_only_torch_numpy_safetensors_and_tqdm(tmp_path):
    env = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
    command = [sys.executable, "-c", BARE, str(tmp_path)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=ROOT)
    complete, *loaded = done.stdout.split()
    assert complete == "True", done.stderr
    # What Python loads is among what counts as the code of a training.
    used = provenance.of_source("import xrdlib.learning.train, xrdlib.simulation.stream")
    assert loaded and {name.removeprefix(f"{ROOT}/") for name in loaded} <= set(used)
