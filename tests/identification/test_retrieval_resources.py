"""What retrieval takes: memory, threads, and rendering in pieces."""

import gc
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from retrieval_oracle import FINE, N, simulated, small_bank, small_library

from xrdlib.identification import library, retrieval
from xrdlib.identification.retrieval import Retrieval


@pytest.fixture(scope="module")
def crystals():
    return small_bank()


@pytest.fixture(scope="module")
def known(crystals):
    return small_library(crystals)


@pytest.fixture(scope="module")
def prepared(known):
    return Retrieval(known)


@pytest.fixture(scope="module")
def patterns(crystals):
    return simulated(crystals)


def test_patterns_do_not_depend_on_how_many_are_made_at_once(known, prepared, monkeypatch):
    monkeypatch.setattr(retrieval, "_CHUNK", 5)
    again = Retrieval(known)
    assert np.abs(again.patterns - prepared.patterns).max() < 1e-6
    assert list(again.name) == list(prepared.name)


def test_threads_may_share_a_library(known, patterns):
    shared = Retrieval(known)
    rows = [np.where(FINE < 50 + i, row, 0) for i, row in enumerate(patterns[:24])]
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(lambda row: shared.similarities([row]), rows))
    fresh = Retrieval(known)
    for row, (scores, nearest) in zip(rows, at_once, strict=True):
        alone = fresh.similarities([row])
        assert np.array_equal(scores, alone[0]) and nearest == alone[1]


def test_a_library_is_freed_when_it_is_no_longer_used(known, patterns):
    """Hundreds of megabytes may not wait for the garbage collector."""
    gc.disable()
    try:
        used = Retrieval(known)
        used.similarities(patterns[:1])
        gone = weakref.ref(used)
        del used
        assert gone() is None
    finally:
        gc.enable()


def test_memory_is_that_of_the_patterns(crystals, patterns):
    """Beside 1.7 kB a structure, a few megabytes for what is computed at a time."""
    many = crystals.take(np.tile(np.arange(N), 100))
    known = library.from_reflections(many)
    tracemalloc.start()
    try:
        made = Retrieval(known)
        assert tracemalloc.get_traced_memory()[0] < 3e6  # nothing is drawn before it is needed
        assert made.patterns.flags.c_contiguous
        built, peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        made.similarities(patterns[:3])
        after, searching = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    own = 4 * 426 * len(known)
    assert made.patterns.nbytes == own and built < 1.4 * own
    assert peak < built + 25e6
    assert searching < built + 15e6 and after < built + 2e6
