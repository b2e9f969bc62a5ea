"""Peak positions: doublets that were put into a pattern by hand are found where they are."""

import numpy as np
import pytest

from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import GRID
from xrdlib.identification.peak_finder import find_peaks

KA1, KA2 = 1.540593, 1.544427


def doublets(positions, heights, width=0.09, noise=0.0, background=0.0, seed=0):
    """Gaussian doublets on the grid, each with half of it at the position of K-alpha2."""
    y = np.full(GRID.size, background)
    for position, height in zip(positions, heights, strict=True):
        second = 2 * np.degrees(np.arcsin(np.sin(np.radians(position / 2)) * KA2 / KA1))
        for part, centre in ((1.0, position), (0.5, second)):
            y += part * height * np.exp(-4 * np.log(2) * ((GRID.two_theta - centre) / width) ** 2)
    return y + noise * np.random.default_rng(seed).normal(size=GRID.size)


POSITIONS = np.array([11.3147, 23.4561, 31.0023, 40.7919, 52.1133, 68.4244, 83.9017])


@pytest.mark.parametrize("width", [0.07, 0.12, 0.25])
@pytest.mark.parametrize("background", [0.0, 3.0])
def test_doublets_are_found_where_they_are_and_only_they(width, background):
    heights = np.array([1.0, 0.3, 0.6, 0.1, 0.8, 0.2, 0.5])
    y = doublets(POSITIONS, heights, width, noise=1e-3, background=background)
    peaks = find_peaks(1e4 * y)
    assert len(peaks.two_theta) == len(POSITIONS)
    assert np.abs(peaks.two_theta - POSITIONS).max() < 0.012
    assert peaks.height.max() == 1 and (np.abs(peaks.height / heights - 1) < 0.5).all()


def test_positions_are_finer_than_the_points():
    """K-alpha1 is found, not the centre of the doublet that the eye sees."""
    off = []
    for shift in np.linspace(0, 0.02, 6):
        y = doublets(POSITIONS + shift, np.ones(7), noise=2e-3, background=1.0)
        off.append(find_peaks(y).two_theta - POSITIONS - shift)
    assert np.abs(off).max() < 0.006


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_no_peaks(seed):
    y = doublets([35.0], [1.0], noise=0.02, background=1.0, seed=seed)
    peaks = find_peaks(y)
    assert np.abs(peaks.two_theta[peaks.height.argmax()] - 35) < 0.02
    assert len(peaks.two_theta) <= 4 and (np.sort(peaks.height)[:-1] < 0.12).all()


def test_smoothed_noise_has_no_peaks():
    """Patterns that were interpolated have noise that neighbouring points share."""
    noise = np.random.default_rng(1).normal(size=GRID.size)
    y = doublets([35.0], [1.0], background=1.0) + 0.02 * np.convolve(noise, np.ones(4) / 2, "same")
    assert len(find_peaks(y).two_theta) <= 5


def test_a_strong_peak_has_no_ghosts_at_the_doublets_separation():
    peaks = find_peaks(doublets([70.0], [1.0], width=0.07, background=0.2))
    assert len(peaks.two_theta) == 1
    # A real peak there is kept if it is as high.
    separation = 2 * np.degrees(np.arcsin(np.sin(np.radians(35)) * KA2 / KA1)) - 70
    both = find_peaks(doublets([70.0, 70 - separation], [1.0, 0.9], width=0.07))
    assert np.allclose(both.two_theta, [70 - separation, 70], atol=0.02)


def test_what_was_not_measured_holds_no_peaks():
    y = doublets(POSITIONS, np.ones(7), background=5.0)
    y[(GRID.two_theta < 20) | (GRID.two_theta > 60)] = 0
    assert np.allclose(find_peaks(y).two_theta, POSITIONS[1:5], atol=0.012)


def test_a_flat_pattern_has_none():
    assert len(find_peaks(np.ones(GRID.size)).two_theta) == 0


@pytest.mark.parametrize("bad", [np.ones(10), np.zeros(GRID.size), np.full(GRID.size, np.nan)])
def test_a_pattern_that_is_none_is_refused(bad):
    with pytest.raises(XrdlibError, match="peaks are sought on 4251 finite points"):
        find_peaks(bad)
