"""Rendering against the dense sum of profiles."""

import numpy as np
import pytest
import torch
from scipy.special import voigt_profile

from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import CALCULATION_GRID, GRID
from xrdlib.simulation.profiles import nodes, render


def gaussian(x, fwhm):
    sigma = fwhm / np.sqrt(8 * np.log(2))
    return np.exp(-(x**2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))


def lorentzian(x, fwhm):
    return fwhm / 2 / np.pi / (x**2 + fwhm**2 / 4)


def some_lines(n=150, seed=0, low=5.0, high=90.0):
    rng = np.random.default_rng(seed)
    return rng.uniform(low, high, n), rng.uniform(0.01, 1, n)


def rendered(angle, intensity, grid, gauss, lorentz, eta=None, owner=None, n=1):
    owner = np.zeros(len(angle), int) if owner is None else owner
    as_tensor = [torch.tensor(np.asarray(x), dtype=torch.float32) for x in (angle, intensity)]
    widths = [torch.tensor(np.asarray(x, np.float32).reshape(-1, 1)) for x in (gauss, lorentz)]
    eta = None if eta is None else torch.tensor([[float(eta)]])
    return render(*as_tensor, torch.from_numpy(owner), n, grid, *widths, eta).numpy()


@pytest.mark.parametrize("grid", [CALCULATION_GRID, GRID])
@pytest.mark.parametrize("fwhm", [0.06, 0.1, 0.3])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_pseudo_voigt(grid, fwhm, eta):
    angle, intensity = some_lines()
    offset = grid.two_theta[:, None] - angle.astype(np.float32)
    profile = eta * lorentzian(offset, fwhm) + (1 - eta) * gaussian(offset, fwhm)
    dense = profile @ intensity
    ours = rendered(angle, intensity, grid, fwhm, fwhm, eta)[0]
    assert np.abs(ours - dense).max() < 0.003 * dense.max()
    assert ours.sum() == pytest.approx(dense.sum(), rel=0.003)


@pytest.mark.parametrize("gauss, lorentz", [(0.08, 0.0), (0.06, 0.05), (0.001, 0.1)])
def test_voigt(gauss, lorentz):
    angle, intensity = some_lines(seed=1)
    offset = CALCULATION_GRID.two_theta[:, None] - angle.astype(np.float32)
    dense = voigt_profile(offset, gauss / np.sqrt(8 * np.log(2)), lorentz / 2) @ intensity
    ours = rendered(angle, intensity, CALCULATION_GRID, gauss, lorentz)[0]
    assert np.abs(ours - dense).max() < 0.003 * dense.max()


def test_area_of_a_line_is_its_intensity():
    for grid in (CALCULATION_GRID, GRID):
        ours = rendered([40.0037], [7.0], grid, 0.1, 0.1, 0.0)[0]
        assert ours.sum() * grid.step == pytest.approx(7, rel=1e-4)
        centre = (ours * grid.two_theta).sum() / ours.sum()
        assert centre == pytest.approx(40.0037, abs=2e-5)


def test_widths_that_vary_with_angle():
    def fwhm(angle):
        return 0.06 * 2.5 ** ((angle - 5) / 85)

    angle, intensity = some_lines(seed=2)
    offset = GRID.two_theta[:, None] - angle.astype(np.float32)
    width = fwhm(angle)
    dense = (0.5 * lorentzian(offset, width) + 0.5 * gaussian(offset, width)) @ intensity
    errors = []
    for k in (1, 2, 3, 4):
        at_nodes = torch.from_numpy(fwhm(nodes(GRID, k).numpy()))[None]
        ours = render(
            *[torch.tensor(x, dtype=torch.float32) for x in (angle, intensity)],
            torch.zeros(len(angle), dtype=torch.int64),
            1,
            GRID,
            at_nodes,
            at_nodes,
            torch.full_like(at_nodes, 0.5),
        ).numpy()[0]
        errors.append(np.abs(ours - dense).max() / dense.max())
    assert errors[0] > errors[1] > errors[2] > errors[3]
    assert errors[1] < 0.05 and errors[2] < 0.01 and errors[3] < 0.005


def test_nothing_wraps_around():
    ours = rendered([5.0, 89.9], [1.0, 1.0], GRID, 0.1, 0.0)[0]
    assert ours[1000:-1000].max() < 1e-4 * ours.max()
    ours = rendered([5.05], [1.0], GRID, 0.1, 0.0)[0]
    assert np.abs(ours[-2000:]).max() < 1e-4 * ours.max()


def test_widths_must_agree():
    with pytest.raises(XrdlibError, match="shapes"):
        rendered([50.0], [1.0], GRID, [0.1, 0.1], [0.1])
    with pytest.raises(XrdlibError, match="shapes"):
        rendered([50.0], [1.0], GRID, [0.1, 0.1], [0.1, 0.1], n=3)
