"""Retrieval against brute force, and what it forgives: scale, background, texture, some strain."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from retrieval_oracle import (
    FINE,
    N,
    brute_force,
    by_class,
    calculated,
    simulated,
    small_bank,
    small_library,
)

from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import GRID
from xrdlib.identification import library
from xrdlib.identification.retrieval import COMPUTED_LESS, Retrieval
from xrdlib.simulation.realism import Realism, measured_like


@pytest.fixture(scope="module")
def crystals():
    return small_bank()


@pytest.fixture(scope="module")
def known(crystals):
    return small_library(crystals)


@pytest.fixture(scope="module")
def patterns(crystals):
    return simulated(crystals)


@pytest.fixture(scope="module")
def retrieval(known):
    return Retrieval(known)


@pytest.fixture(scope="module")
def drawn(known):
    return [calculated(known, i) for i in range(N)]


@pytest.mark.parametrize(("first", "last"), [(5, 90), (10, 80), (5, 20), (31.3, 47.7)])
def test_cosines_are_those_of_brute_force_over_the_measured_range(
    retrieval, known, drawn, patterns, first, last
):
    inside = (first - 1e-6 <= FINE) & (last + 1e-6 >= FINE)
    some = [3, 17, 44]
    rows = np.where(inside, patterns[some] + 1e-3, 0)
    # In a short range a structure may show the tail of one peak alone; the grid is coarse to that.
    owner = np.repeat(np.arange(N), np.diff(known.start))
    angles = library.position_angles()[known.position]
    seen = (angles > first + 1) & (angles < last - 1) & (known.intensities > 0.02)
    shy = np.setdiff1d(np.arange(N), owner[seen])
    sure = np.setdiff1d(known.group, known.group[shy]) - 1
    assert len(sure) > 10
    scores, nearest = retrieval.similarities(rows)
    for k, row in enumerate(rows):
        cosines = brute_force(known, drawn, row)
        error = np.abs(scores[k] - by_class(known, cosines))
        # Brute force has twice the points; fifteen degrees hold few, and half a peak at an end.
        short = last - first < 20
        assert np.quantile(error[sure], 0.9 if short else 1) < (0.03 if short else 0.01)
        top = np.flatnonzero(known.name == retrieval.name[nearest[k]])[0]
        assert cosines[top] > cosines.max() - 0.01


def test_every_structure_is_found_by_its_pattern(retrieval, known, patterns):
    scores, nearest = retrieval.similarities(patterns)
    assert scores.shape == (N, 99) and scores.dtype == np.float32 and nearest.dtype == np.int64
    assert list(retrieval.name[nearest]) == list(known.name)
    assert list(retrieval.group[nearest]) == list(known.group)
    assert (scores.argmax(1) == known.group - 1).all()
    assert np.sort(scores.max(1))[N // 10] > 0.8 and scores.max() <= 1 + 1e-5


def test_most_structures_are_found_in_spite_of_texture_noise_and_shift(retrieval, known, crystals):
    rows = measured_like(crystals, Realism.measured(), 3, torch.arange(N), GRID).numpy()
    _, nearest = retrieval.similarities(rows)
    assert np.mean(retrieval.name[nearest] == known.name) > 0.7


def test_a_class_that_the_library_lacks_has_the_lowest_of_its_row(retrieval, known, patterns):
    scores, _ = retrieval.similarities(patterns[:5])
    present = np.isin(np.arange(1, 100), known.group)
    assert 10 < present.sum() < 90
    lowest = np.minimum(scores[:, present].min(1, keepdims=True), 0)
    assert (scores[:, ~present] == lowest).all()


@pytest.mark.parametrize("kind", [False, True])
def test_a_library_of_one_kind_is_as_good(crystals, drawn, patterns, kind):
    rows = np.arange(N // 2) + kind * N // 2
    part = library.from_reflections(crystals.take(rows), computed=kind)
    scores, nearest = (small := Retrieval(part)).similarities(patterns[rows])
    assert list(small.name[nearest]) == list(part.name)
    cosines = brute_force(part, [drawn[k] for k in rows], patterns[rows[0]])
    assert np.abs(scores[0] - by_class(part, cosines)).max() < 0.01


@settings(max_examples=15, deadline=None)
@given(row=st.integers(0, N - 1), exponent=st.floats(-8, 8))
def test_the_scale_does_not_matter(retrieval, patterns, row, exponent):
    scores, nearest = retrieval.similarities(patterns[[row]])
    scaled, again = retrieval.similarities(patterns[[row]].astype(float) * 10**exponent)
    assert np.abs(scaled - scores).max() < 1e-4 and again[0] == nearest[0]


@pytest.mark.parametrize("shape", ["constant", "line", "hump", "air"])
def test_a_smooth_background_does_not_change_the_answer(retrieval, patterns, shape):
    curve = {
        "constant": np.ones(4251),
        "line": np.linspace(2, 0.5, 4251),
        "hump": np.exp(-((FINE - 25) ** 2) / (2 * 8**2)),
        "air": 5 / FINE,
    }[shape]
    strongest = patterns.max(1, keepdims=True)
    scores, nearest = retrieval.similarities(patterns + 1e-3 * strongest)
    other, again = retrieval.similarities(patterns + (1e-3 + 0.3 * curve) * strongest)
    assert (again == nearest).all()
    assert np.abs(other.max(1) - scores.max(1)).max() < 0.1


def test_a_cell_may_be_a_little_larger_or_smaller(retrieval, known, crystals):
    """Measured cells within some 0.4 per cent, computed ones within 2; sixfold is too much."""
    quiet = {"noise": (1e-6, 0.0), "background": (1e-6, 0.0), "line_error": (0.0, 0.0)}

    def own(scaling):
        scaled = replace(crystals, lattice=crystals.lattice * (1 + scaling))
        scores, _ = retrieval.similarities(simulated(scaled, **quiet))
        return scores[np.arange(N), known.group - 1]

    still = own(0.0)
    for sign in (-1, 1):
        within = np.where(known.computed, 0.02, 0.004) * sign
        assert (own(within[:, None, None]) > still - 0.08).all()
        beyond = still - own(6 * within[:, None, None])
        # A few patterns have so many reflections that another structure of the class is as good.
        assert np.median(beyond) > 0.15 and (beyond > 0.05).mean() > 0.8
        # What is forgiven to a computed cell is not to a measured one.
        lost = still - own(0.02 * sign)
        assert np.median(lost[known.computed]) < 0.05 < np.median(lost[~known.computed]) - 0.1


@settings(max_examples=25, deadline=None)
@given(
    row=st.integers(0, N - 1),
    first=st.floats(5, 84.9),
    width=st.floats(5.04, 85),
    share=st.floats(0.0, 1.0),
)
def test_cosines_are_cosines_whatever_the_range(retrieval, patterns, row, first, width, share):
    inside = (first <= FINE) & (first + width >= FINE)
    if (inside.sum() - 1) * 0.02 < 5.02:
        return
    background = np.random.default_rng(row).random(4251) * share + 1e-3
    cut = np.where(inside, patterns[row] / patterns[row].max() + background, 0)
    scores, nearest = retrieval.similarities(cut[None])
    assert np.isfinite(scores).all() and np.abs(scores).max() <= 1 + 1e-3
    assert 0 <= nearest[0] < N


def test_ends_that_were_clipped_to_zero_do_no_harm(retrieval, known, crystals):
    """Without background, what lies before the first peak and after the last one is unknown."""
    quiet = {"noise": (1e-9, 0.0), "background": (1e-9, 0.0), "subtracted": 1.0}
    rows = simulated(crystals, **quiet)
    strongest = rows.max(1, keepdims=True)
    clipped = np.where(rows > 0.02 * strongest, rows, 0)
    assert ((clipped > 0).argmax(1) > 50).mean() > 0.5
    scores, nearest = retrieval.similarities(clipped)
    assert np.mean(retrieval.name[nearest] == known.name) > 0.95
    whole, _ = retrieval.similarities(clipped + 1e-6 * strongest)
    own = np.arange(N), known.group - 1
    assert np.abs(scores[own] - whole[own]).max() < 0.2


def test_a_flat_pattern_is_like_nothing(retrieval):
    scores, nearest = retrieval.similarities(np.full((1, 4251), 7.0))
    assert set(scores.ravel()) == {0, np.float32(-COMPUTED_LESS)} and 0 <= nearest[0] < N


def test_no_pattern_gives_no_answer(retrieval):
    scores, nearest = retrieval.similarities(np.zeros((0, 4251)))
    assert scores.shape == (0, 99) and scores.dtype == np.float32
    assert nearest.shape == (0,) and nearest.dtype == np.int64


def test_a_batch_gives_what_its_patterns_give_alone(retrieval, patterns):
    scores, nearest = retrieval.similarities(patterns[:6])
    for i in range(6):
        alone, row = retrieval.similarities(patterns[[i]])
        assert np.array_equal(alone[0], scores[i]) and row[0] == nearest[i]


def edit(patterns, **values):
    made = patterns[:2].copy()
    for point, value in values.items():
        made[1, int(point[1:])] = value
    return made


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: edit(p, _7=np.nan), "needs finite"),
        (lambda p: edit(p, _7=np.inf), "needs finite"),
        (lambda p: p.astype(float) * 1e60, "needs finite"),
        (lambda p: p[0], r"shape \(4251,\) given; retrieval needs \(n, 4251\)"),
        (lambda p: p[:, ::2], r"shape \(48, 2126\) given"),
        (lambda p: [[1, 2], [3]], "plain numbers"),
        (lambda p: [["a"] * 4251], "plain numbers"),
        (lambda p: 0 * p[:2], "Pattern 0 is zero but for less than 5 degrees"),
        (lambda p: np.where(np.arange(4251) == 900, 1.0, 0)[None], "Pattern 0 is zero but for"),
        (lambda p: np.where((FINE > 30) & (FINE < 34.9), p[:2], 0), "measure a wider range"),
    ],
)
def test_what_cannot_be_compared_is_refused(retrieval, patterns, make, message):
    with pytest.raises(XrdlibError, match=message):
        retrieval.similarities(make(patterns))


def test_the_bad_pattern_of_a_batch_is_named(retrieval, patterns):
    rows = patterns[:4].copy()
    rows[2] = 0
    with pytest.raises(XrdlibError, match="Pattern 2"):
        retrieval.similarities(rows)


def test_a_library_needs_a_structure(known):
    none = {name: value[:0] for name, value in vars(known).items()}
    with pytest.raises(XrdlibError, match="without structures"):
        Retrieval(library.Library(**none | {"start": np.zeros(1, np.int64)}))


def test_a_structure_without_reflections_is_like_nothing(crystals, patterns):
    pair = crystals.take([0, 1])
    pair.lattice[1] *= 0.01
    pair.group[:] = 1, 2
    scores, nearest = Retrieval(library.from_reflections(pair)).similarities(patterns[:1])
    assert nearest[0] == 0 and (scores[:, 1] == 0).all() and scores[0, 0] > 0.8
