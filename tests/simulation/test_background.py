"""Detector and background: moments of the noise, subtraction, faults."""

import numpy as np
import pytest
import torch
from scipy import stats

from xrdlib.base.patterns import CALCULATION_GRID, GRID, Grid
from xrdlib.simulation import background

SMALL = Grid(5.0, 45.0, 0.02)


def flat(n, **changes):
    """Draws of a constant background without faults, (n, 1) each."""
    values = {"background": 0.1, "counts": 1000.0, "air": 0.0, "air_decay": 3.0, "hump": 0.0}
    values |= {"hump_centre": 20.0, "hump_width": 5.0, "subtracted": False, "folded": False}
    values |= {"pedestal": 2.0} | changes
    draws = {name: torch.full((n, 1), value) for name, value in values.items()}
    return draws | {"polynomial": torch.zeros(n, 3), "residual": torch.zeros(n, 3)}


@pytest.mark.parametrize("counts", [50.0, 1000.0, 1e5])
def test_counting_noise_has_a_poisson_variables_moments(counts):
    signal = torch.full((64, SMALL.size), 0.9)
    draws = flat(64, counts=counts)
    pattern = background.measure(signal, draws, SMALL, 1, torch.arange(64), 7)
    expected = counts  # (0.9 + 0.1) of it
    assert pattern.mean().item() == pytest.approx(expected, rel=5 / np.sqrt(counts * 1e5))
    assert pattern.var().item() == pytest.approx(expected, rel=0.05)
    if counts < 100:
        assert stats.skew(pattern.numpy().ravel()) == pytest.approx(counts**-0.5, rel=0.15)


@pytest.mark.parametrize("grid, expected", [(GRID, 1 / 6), (CALCULATION_GRID, 0.0)])
def test_neighbours_on_a_coarse_grid_share_part_of_their_counts(grid, expected):
    signal = torch.full((16, grid.size), 0.9)
    pattern = background.measure(signal, flat(16), grid, 1, torch.arange(16), 7).numpy()
    for lag, value in ((1, expected), (2, 0.0)):
        r = np.corrcoef(pattern[:, lag:].ravel(), pattern[:, :-lag].ravel())[0, 1]
        assert r == pytest.approx(value, abs=0.02)


def scanned(pedestal, folded, grid, n=400_000):
    """Mean, deviation and skewness of grid points whose scan in steps of 0.01 is subtracted.

    In standard deviations of such a step, drawn one by one.
    """
    m = round(grid.step / 0.01)
    scan = pedestal + np.random.default_rng(0).normal(size=(n, m + 1 if m % 2 == 0 else m))
    scan = np.abs(scan) if folded else np.maximum(scan, 0)
    weight = np.ones(scan.shape[1])
    if m % 2 == 0:
        weight[[0, -1]] = 0.5  # half of the points at either end of the cell
    point = scan @ weight / weight.sum()
    return point.mean(), point.std(), stats.skew(point)


@pytest.mark.parametrize("step", [0.01, 0.02, 0.03, 0.04])
@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("pedestal", [0.3, 1.0, 2.0])
def test_subtraction_is_that_of_a_scan_in_fine_steps(step, folded, pedestal):
    grid = Grid(5.0, 45.0, step)
    draws = flat(64, subtracted=True, folded=folded, counts=1e7, background=0.5, pedestal=pedestal)
    quiet = torch.zeros(64, grid.size)
    pattern = background.measure(quiet, draws, grid, 1, torch.arange(64), 7).double()
    # A point of m steps has m times the counts, and the deviation of `measure` is that of a point.
    m, raw = round(step / 0.01), np.sqrt(0.5 * 1e7 * step / 0.02)
    mean, deviation, skewness = scanned(pedestal, folded, grid)
    alone = scanned(1e3, False, grid)[1]  # without the cut
    assert (pattern >= 0).all()
    assert pattern.mean().item() / raw == pytest.approx(mean / alone, rel=0.02)
    assert pattern.std().item() / raw == pytest.approx(deviation / alone, rel=0.05)
    if m > 1:
        assert stats.skew(pattern.numpy().ravel()) == pytest.approx(skewness, abs=0.12)


def test_faults_touch_only_their_own_patterns():
    pattern = torch.rand(4, SMALL.size, generator=torch.Generator().manual_seed(0)) + 0.5
    draws = {"spike_at": torch.zeros(4, 3), "spike_height": torch.zeros(4, 3)}
    draws |= {"first": torch.zeros(4, 1), "last": torch.full((4, 1), 180.0)}
    draws["coarse"] = torch.zeros(4)
    same = background.faults(pattern.clone(), draws, SMALL)
    torch.testing.assert_close(same, pattern)
    draws["first"][1], draws["last"][1] = 10.0, 30.0
    draws["coarse"][2] = 4
    draws["spike_at"][3], draws["spike_height"][3, 0] = 0.5, 1.0
    made = background.faults(pattern.clone(), draws, SMALL)
    torch.testing.assert_close(made[0], pattern[0])
    inside = (SMALL.two_theta >= 10) & (SMALL.two_theta <= 30)
    assert (made[1][~inside] == 0).all()
    torch.testing.assert_close(made[1][inside], pattern[1][inside])
    assert (made[3] != pattern[3]).sum() == 1
    assert made[3].max() - pattern[3].max() > 0.4


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_coarse_steps_are_linear_between_kept_points(k):
    pattern = torch.rand(2, 503, generator=torch.Generator().manual_seed(1))
    made = pattern.clone()
    background.coarsen(made, torch.tensor([0, k]))
    torch.testing.assert_close(made[0], pattern[0])
    kept = np.arange(0, 503, k)
    expected = np.interp(np.arange(kept[-1] + 1), kept, pattern[1, kept])
    np.testing.assert_allclose(made[1, : kept[-1] + 1], expected, atol=3e-5)
    assert (made[1, kept[-1] :] == pattern[1, kept[-1]]).all()
