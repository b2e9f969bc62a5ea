"""Peaks: those put in are found, and none in noise, slopes or the halo of a glass."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrdlib.identification.peaks import background, profile

STEP = 0.04
ANGLES = 5 + STEP * np.arange(2126)


def gaussians(positions, heights, width):
    return sum(
        h * np.exp(-4 * np.log(2) * ((ANGLES - x) / width) ** 2)
        for x, h in zip(positions, heights, strict=True)
    )


@pytest.mark.parametrize("width", [0.1, 0.25, 0.8])
@pytest.mark.parametrize("level", [0, 300])
def test_what_was_put_in_is_found_where_it_is(width, level):
    positions = np.array([20.02, 31.5, 44.0, 47.1, 60.3, 80.9])
    clean = gaussians(positions, [1000, 500, 400, 600, 2000, 300], width) + level
    for x in (clean, np.random.default_rng(1).poisson(clean)):
        found = ANGLES[profile(x, STEP).peaks]
        assert np.allclose(found, positions, atol=max(0.08, width / 4))


EMPTY = {
    "white": lambda rng: rng.normal(size=2126),
    "uniform": lambda rng: rng.random(2126),
    "counts": lambda rng: rng.poisson(100, 2126),
    "halo": lambda rng: rng.poisson(1000 * np.exp(-0.5 * ((ANGLES - 22) / 3.4) ** 2) + 50),
    "slope": lambda rng: rng.poisson(1e5 * np.exp(-ANGLES / 10) + 20),
}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", EMPTY)
def test_no_peak_in_what_does_not_diffract(kind, seed):
    assert len(profile(EMPTY[kind](np.random.default_rng(seed)), STEP).peaks) == 0


def test_a_flat_or_smooth_curve_has_none():
    for x in (np.zeros(2126), np.ones(2126), ANGLES, 1e4 * np.exp(-ANGLES / 10)):
        assert len(profile(x, STEP).peaks) == 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), exponent=st.floats(-9, 9), added=st.floats(0, 1e3))
def test_scale_and_a_constant_do_not_matter(seed, exponent, added):
    rng = np.random.default_rng(seed)
    x = gaussians(rng.uniform(10, 85, 8), rng.uniform(50, 1000, 8), 0.2) + rng.normal(0, 1, 2126)
    same = profile(10.0**exponent * (x + added), STEP).peaks
    assert profile(x, STEP).peaks.tolist() == same.tolist()


def test_noise_is_measured():
    noise = profile(np.random.default_rng(3).normal(0, 7, 2126), STEP).noise
    # Smoothed over three points of the grid.
    assert np.isclose(np.median(noise), 7 / np.sqrt(3), rtol=0.1)


def test_the_background_is_what_peaks_stand_on():
    slope = 300 - 2 * ANGLES
    x = slope + gaussians([20.02, 31.5, 60.3], [1000, 500, 2000], 0.2)
    x[:250] = x[2000:] = 0  # not measured
    found = background(x, STEP)
    assert (found <= x).all() and not found[:250].any() and not found[2000:].any()
    inside = slice(250, 2000)
    assert np.abs(found - slope)[inside].max() < 4  # the slope within two degrees
    rng = np.random.default_rng(0)
    noisy = np.where(x > 0, x + rng.normal(0, 3, len(x)), 0)
    assert not background(np.zeros(2126), STEP).any()
    assert np.abs(background(noisy, STEP) - slope)[inside].max() < 20
