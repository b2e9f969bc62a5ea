"""Answers about many files, shared among processes."""

import logging
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from typing import NamedTuple

from ..base.errors import XrdlibError
from .answer import Request, examine


@dataclass(frozen=True)
class Task:
    """What is done with each file.

    Attributes
    ----------
    request : answer.Request
    axis, scan
        As for `reading.pattern.read_pattern`.
    weights : str, optional
        As for `predictor.load_predictor`.
    section : bool
        Whether the file's part of an HTML report is made.
    """

    request: Request
    axis: str | None = None
    scan: int | None = None
    weights: str | None = None
    section: bool = False


class One(NamedTuple):
    """What became of one file: an answer with its section of the report, or a problem."""

    answer: dict | None = None
    section: str | None = None
    problem: str | None = None


def answers(files: Sequence[str], task: Task, jobs: int = 1) -> Iterator[One]:
    """What becomes of each file, in order, as soon as it is known.

    Parameters
    ----------
    files : sequence of str
    task : Task
    jobs : int
        Processes of one thread each; 1 does all in this one.

    Raises
    ------
    XrdlibError
        If the predictor cannot be loaded, or the request is invalid.
    """
    if files:
        task.request.check(_predictor(task.weights))
    if jobs == 1 or len(files) < 2:
        yield from (_one(file, task) for file in files)
        return
    with ProcessPoolExecutor(
        min(jobs, len(files)), mp_context=get_context("spawn"), initializer=_worker
    ) as pool:
        yield from pool.map(partial(_one, task=task), files)


@cache
def _predictor(weights):
    from . import predictor

    return predictor.load_predictor(weights)


def _worker():
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits for this
    logging.disable(logging.WARNING)  # that process has given them
    torch.set_num_threads(1)


def _one(file, task):
    from .reading.pattern import read_pattern

    predictor = _predictor(task.weights)
    try:
        pattern = read_pattern(file, task.axis, task.request.wavelength, task.scan)
        answer, probability = examine(predictor, file, pattern, task.request)
    except XrdlibError as problem:
        named = str(problem).startswith(f"{file}:")
        return One(problem=str(problem) if named else f"{file}: {problem}")
    if not task.section:
        return One(answer)
    from .html_report import section

    return One(answer, section(predictor, answer, probability, pattern, task.request))
