"""One training loop for every model and stage.

The stream is a pure function of the step and everything else that changes from step to step is
in the checkpoint, so a run that was killed and started again goes on where it was: with a limit
in steps, on a CPU with a fixed number of threads, to bitwise the same weights. Under a launcher
such as ``accelerate launch`` the processes divide each batch, see `ranks`.
"""

import math
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import torch
from numpy.typing import ArrayLike
from tqdm import tqdm

from ..base import files, processor, provenance
from ..base.errors import XrdlibError
from . import checkpoint, decode
from .ranks import join
from .run import OPTIMISERS, History, Run

FILE = "checkpoint.safetensors"
# Learning rate over its highest value, at a share of the run.
SCHEDULES = {
    "cosine": lambda share: (1 + math.cos(math.pi * share)) / 2,
    "step": lambda share: 0.1 ** ((share >= 0.6) + (share >= 0.85)),
    "constant": lambda share: 1.0,
}
LOG_SECONDS = 10  # between lines of progress where nobody watches, as in a log


def train(
    model: torch.nn.Module,
    stream: object,
    *,
    steps: int | None = None,
    max_minutes: float | None = None,
    lr: float = 1e-3,
    optimiser: str = "adamw",
    warmup: float = 0.02,
    schedule: str = "cosine",
    class_probabilities: ArrayLike | None = None,
    ema: float = 0.0,
    seed: int = 0,
    precision: str = "float32",
    device: str = "cpu",
    folder: str | Path | None = None,
    every_minutes: float = 1.0,
    config: dict | None = None,
    validate: Callable | None = None,
    rows: int | Collection[int] = 40,
    progress: bool = True,
    look: bool = False,
) -> History:
    """Train a model in place on a stream of patterns.

    Parameters
    ----------
    model : torch.nn.Module
        As `baselines.build` makes it; its present weights are where training starts.
    stream : object
        ``batch(step)`` gives x (B, n_points) float32 and labels (B,) int64 in 0..98, a pure
        function of the step. A dict in ``stream.config`` becomes part of the run's identity.
        For several processes, ``part(rank, count)`` gives the stream of one of them.
    steps, max_minutes : int, float, optional
        Limits; one at least. The schedule follows the one that is nearer its end.
    lr : float
        Highest learning rate.
    optimiser : str
        "adamw" or "adam".
    warmup : float
        Steps over which the learning rate rises linearly from 0; below 1, a share of the run.
    schedule : str
        "cosine" (to 0), "step" (to a tenth at 60 and again at 85 % of the run) or "constant",
        after the warm-up.
    class_probabilities : array_like, (99,), optional
        Of the stream, for the operators' positive weights; uniform by default.
    ema : float
        Decay of an exponential moving average of the weights, below 1; if not 0, validation and
        the trained model use the average.
    seed : int
        Of dropout.
    precision, device : str
        As for `processor.precision`; of several processes each takes a GPU of its own.
    folder : path-like, optional
        Checkpoints go to a subfolder named by the hash of the run's configuration: arguments,
        model, initial weights, stream, code of the training path. Another configuration thus
        never meets them. A finished run returns at once. Several processes must all see it.
    every_minutes : float
        Time between checkpoints.
    config : dict, optional
        More of the run's identity, of JSON values: data hashes, for instance.
    validate : callable, optional
        Model -> dict of numbers; runs at each row of the history.
    rows : int or collection of int
        Rows of the history, evenly spread over the run; or the steps after which there is one.
    progress : bool
        Show a progress bar.
    look : bool
        Train no further than the checkpoint, which another process may be writing: to see how far
        a run is.

    Raises
    ------
    XrdlibError
        If arguments are impossible, another run holds the folder, a checkpoint is damaged beyond
        use or cannot be written, the loss is no longer finite, or another process of this run
        is lost. The last good checkpoint is kept.
    KeyboardInterrupt, SystemExit
        On SIGINT and SIGTERM, after a checkpoint was written.
    """
    limits = [limit for limit in (steps, max_minutes) if limit is not None]
    if not limits or min(limits) <= 0:
        raise XrdlibError("Training needs a limit: give steps, max_minutes or both, above 0.")
    if optimiser not in OPTIMISERS or schedule not in SCHEDULES or not 0 <= ema < 1:
        raise XrdlibError(
            f"Choose optimiser adamw or adam, schedule {', '.join(SCHEDULES)}, ema below 1."
        )
    settings = dict(steps=steps, max_minutes=max_minutes, lr=lr, warmup=warmup, ema=ema, seed=seed)
    settings |= dict(optimiser=optimiser, schedule=schedule)
    settings["precision"] = processor.precision(precision, device)
    path = own = None
    if folder is not None:
        own = provenance.of_run(model, stream, settings, class_probabilities, config)
        path = Path(folder) / checkpoint.config_hash(own) / FILE
    operators = decode.positive_weights(class_probabilities)

    with ExitStack() as stack:
        ranks = join(device)
        stack.enter_context(ranks.together())
        if path is not None and ranks.first and not look:
            stack.enter_context(files.held(path.parent))
            files.sweep(path)
        stream = ranks.part(stream)
        run = Run(model, SimpleNamespace(**settings), ranks, operators)
        cuda = [run.device] if run.device.type == "cuda" else []
        stack.enter_context(torch.random.fork_rng(devices=cuda))
        torch.manual_seed(seed)
        if path is not None and not run.resume(path) and ranks.first and not look:
            _mention_other_code(path, own)
        history = run.history
        batches = stack.enter_context(closing(_batches(stream, history.step)))
        caught = stack.enter_context(_deferred_signals())
        interval = 0.5 if sys.stderr.isatty() else LOG_SECONDS
        look_on = dict(mininterval=interval, disable=not (progress and ranks.first and not look))
        bar = stack.enter_context(tqdm(total=steps, initial=history.step, unit="step", **look_on))
        first, started = history.patterns, time.monotonic()
        begun, saved = started - history.seconds, started
        while not (history.complete or look):
            before = _progress(history, steps, max_minutes)
            loss = run.step(*next(batches), lr * _factor(before, history.step, warmup, schedule))
            history.seconds, stop = ranks.agree(time.monotonic() - begun, bool(caught))
            now = _progress(history, steps, max_minutes)
            history.complete = now >= 1
            # Reading a number back makes a GPU wait, so there it is done now and then.
            if run.device.type == "cpu" or history.step % 20 == 0:
                speed = (history.patterns - first) / (time.monotonic() - started)
                _report(bar, history, run.finite(ranks.mean(loss)), speed, max_minutes)
            # The row comes before the checkpoint, so that a resumed run has it and does not add it
            # again; scoring took time, so the clock is agreed on once more.
            if history.complete or _has_row(rows, before, now, history.step):
                run.add_row(validate)
                history.seconds, stop = ranks.agree(time.monotonic() - begun, bool(caught))
            due = ranks.first and time.monotonic() - saved >= 60 * every_minutes
            if path is not None and ranks.first and (history.complete or due or stop):
                run.save(path, own)
                saved = time.monotonic()
            if stop and not history.complete:
                raise caught[0] if caught else SystemExit(1)
    run.finish()
    if ranks.first and not look and history.step < (steps or 0):
        warnings.warn(
            f"The clock ended this training after {history.step:,} of {steps:,} steps; set "
            "max_minutes to null to let it learn as much as was planned.",
            stacklevel=2,
        )
    return history


def _report(bar, history, loss, speed, minutes):
    text = f"loss {loss:.3f}, {speed:.0f} patterns/s"
    if minutes:
        text += f", {history.seconds / 60:.1f} of {minutes:g} min"
    bar.set_postfix_str(text, refresh=False)
    bar.update(history.step - bar.n)


def _progress(history, steps, minutes):
    """Share used of the limit that is nearer, 0 to 1 or a little more."""
    by_time = history.seconds / (60 * minutes) if minutes else 0.0
    return max(by_time, history.step / steps if steps else 0.0)


def _factor(progress, step, warmup, schedule):
    """Learning rate at a share of the run and a step, over its highest value."""
    rise = min(1.0, (progress if warmup < 1 else step) / warmup) if warmup else 1.0
    return rise * SCHEDULES[schedule](min(progress, 1))


def _has_row(rows, before, now, step):
    if isinstance(rows, int):
        return int(now * rows) > int(before * rows)
    return step in rows


def _batches(stream, step):
    """Batches from `step` on; each is drawn in a thread while the one before is in use."""
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(stream.batch, step)
        while True:
            batch = ahead.result()
            step += 1
            ahead = pool.submit(stream.batch, step)
            yield batch


@contextmanager
def _deferred_signals():
    """Collect SIGINT and SIGTERM, to be obeyed between two steps; a second one acts at once."""
    caught = []
    if threading.current_thread() is not threading.main_thread():
        yield caught  # only the main thread may set handlers
        return

    def remember(number, frame):
        error = KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
        if caught:
            raise error
        caught.append(error)

    handlers = {n: signal.signal(n, remember) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _mention_other_code(path, own):
    """Warn of a checkpoint in this folder that is not resumed only because the code changed."""
    for other in path.parent.parent.glob(f"*/{FILE}"):
        try:
            stored = checkpoint.load(other).config
        except XrdlibError:
            continue  # a damaged checkpoint of another run is no concern of this one
        if {key for key in own if own[key] != stored.get(key)} == {"code"}:
            warnings.warn(
                f"{other.parent} holds the same run under other code; training starts afresh.",
                stacklevel=3,
            )
