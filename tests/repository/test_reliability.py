"""What a training run survives: kills at the worst moments, a full disk, a second run beside it."""

import os
import signal
import time

import pytest
import torch
from full_disk import room_for
from training import Stream, losses, processes, run, same, settle, tiny, weights

from xrdlib.base import provenance
from xrdlib.base.errors import XrdlibError
from xrdlib.base.files import NAME, FolderInUse
from xrdlib.learning import checkpoint
from xrdlib.learning.train import FILE

OPTIONS = {"steps": 12, "rows": 4, "ema": 0.9, "every_minutes": 0}


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """Code that stays the same under the tests' feet, and one thread."""
    monkeypatch.setattr(provenance, "code_digest", lambda files: "settled")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def undisturbed():
    """History and weights of a run that nothing happened to."""
    model = tiny(dropout=0.1)
    return run(model, Stream(), **OPTIONS), weights(model)


def train_until(folder, call, number):
    """Train, and be killed in place of one call of the operating system."""
    settle()
    real, made = getattr(os, call), []

    def counted(*arguments):
        made.append(arguments)
        if len(made) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)

    setattr(os, call, counted)
    run(tiny(dropout=0.1), Stream(), folder=folder, **OPTIONS)


def files(folder):
    """Names and contents of what a run keeps, without its lock."""
    kept = [path for path in folder.glob("*/*") if path.name != NAME]
    return {path.name: path.read_bytes() for path in kept}


def test_a_kill_at_any_moment_of_saving_changes_no_number(tmp_path, undisturbed):
    # The first save has one renaming, later ones two; each flushes the file and the folder.
    moments = [("fsync", 1), ("replace", 1), ("fsync", 3), ("replace", 2), ("replace", 3)]
    for moment in [*moments, ("fsync", 4)]:
        process = processes().Process(target=train_until, args=(tmp_path, *moment))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    unfinished = [name for name in files(tmp_path) if name.endswith(".tmp")]
    model = tiny(dropout=0.1)
    history = run(model, Stream(), folder=tmp_path, **OPTIONS)
    assert same(weights(model), undisturbed[1]) and losses(history) == losses(undisturbed[0])
    # What killed writers left behind does not fill the disk.
    assert len(unfinished) <= 1 and set(files(tmp_path)) == {FILE, f"{FILE}.previous"}


def test_a_full_disk_is_one_error_and_the_last_checkpoint_serves(tmp_path, undisturbed):
    stream = Stream(at={6: lambda: os.kill(os.getpid(), signal.SIGTERM)})
    with pytest.raises(SystemExit):
        run(tiny(dropout=0.1), stream, folder=tmp_path, **OPTIONS)
    before = files(tmp_path)
    with room_for(len(before[FILE]) // 2):
        with pytest.raises(XrdlibError, match="cannot be written .*make room"):
            run(tiny(dropout=0.1), Stream(), folder=tmp_path, **OPTIONS)
    assert files(tmp_path) == before and set(before) == {FILE, f"{FILE}.previous"}
    model, stream = tiny(dropout=0.1), Stream()
    run(model, stream, folder=tmp_path, **OPTIONS)
    assert sorted(set(stream.calls))[1] >= 5  # not from the start
    assert same(weights(model), undisturbed[1])


def train_slowly(folder):
    settle()
    run(tiny(dropout=0.1), Stream(pause=0.2), folder=folder, **OPTIONS)


def test_a_second_run_in_the_folder_is_refused_and_the_first_unharmed(tmp_path, undisturbed):
    process = processes().Process(target=train_slowly, args=(tmp_path,))
    process.start()
    while process.is_alive() and not list(tmp_path.glob(f"*/{FILE}")):
        time.sleep(0.01)
    with pytest.raises(FolderInUse, match=f"in use by process {process.pid} on .*wait for it"):
        run(tiny(dropout=0.1), Stream(), folder=tmp_path, **OPTIONS)
    assert process.is_alive()
    # A run with other settings has a folder of its own beside it.
    assert run(tiny(), Stream(), folder=tmp_path, steps=2).complete
    process.join()
    assert process.exitcode == 0
    model = tiny(dropout=0.1)
    history = run(model, Stream(), folder=tmp_path, **OPTIONS)
    assert same(weights(model), undisturbed[1]) and losses(history) == losses(undisturbed[0])


def test_two_damaged_checkpoints_stop_the_run_and_stay_for_inspection(tmp_path):
    run(tiny(), Stream(), folder=tmp_path, **OPTIONS)
    (path,) = tmp_path.glob(f"*/{FILE}")
    for damaged in (path, checkpoint.previous(path)):
        content = bytearray(damaged.read_bytes())
        content[-9] ^= 1
        damaged.write_bytes(content)
    before = files(tmp_path)
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(XrdlibError, match="damaged"):
        run(tiny(), Stream(), folder=tmp_path, **OPTIONS)
    assert files(tmp_path) == before
