"""Specimen and instrument effects on reflections, each against its own formula."""

import numpy as np
import pytest
import samples
import torch

from xrdlib.simulation import specimen_effects
from xrdlib.simulation.diffraction import lorentz_polarisation, squared_lengths


@pytest.fixture(scope="module")
def phase(computed):
    return specimen_effects.as_phase(computed, torch.device("cpu"))


def quiet(n, **changes):
    """Draws that change nothing, but for `changes`."""
    draws = dict.fromkeys("strain debye_waller line_error line_strain second_share".split(), 0.0)
    draws = {
        name: torch.full((n,), x)
        for name, x in {**draws, "ratio": 1.0, "second_ratio": 1.0}.items()
    }
    axes = {"axis": (0, 0, 1), "second_axis": (1, 0, 0), "strain_axis": (1, 0, 0)}
    draws |= {name: torch.tensor([axis]).repeat(n, 1) for name, axis in axes.items()}
    return draws | {"strains": torch.zeros(n, 6), "smooth": torch.zeros(n, 2)} | changes


def reciprocal(phase):
    return torch.linalg.inv(phase.lattice @ phase.lattice.transpose(1, 2))


def intensities(phase, draws, index):
    return specimen_effects.reflection_intensities(phase, reciprocal(phase), draws, 0, index, 1)


def test_debye_waller_and_smooth_error(computed, phase):
    n, b = len(computed), 1.3
    index = torch.arange(n)
    _, plain = intensities(phase, quiet(n), index)
    draws = quiet(n, debye_waller=torch.full((n,), b))
    d_star2, damped = intensities(phase, draws, index)
    torch.testing.assert_close(damped / plain, torch.exp(-2 * b * d_star2 / 4), rtol=1e-4, atol=0)
    draws = quiet(n, smooth=torch.tensor([[0.2, -0.1]]).repeat(n, 1))
    _, bent = intensities(phase, draws, index)
    x = 2 * d_star2 * (1.540593 / np.sqrt(2)) ** 2 - 1
    change = 0.2 * x - 0.1 * (2 * x**2 - 1)
    error = torch.log(bent / plain) - change
    torch.testing.assert_close(error, error.mean().expand_as(error), rtol=0, atol=2e-3)


def test_line_error_is_the_lines_own_and_of_the_size_asked(computed, phase):
    n = len(computed)
    _, plain = intensities(phase, quiet(n), torch.arange(n))
    draws = quiet(n, line_error=torch.full((n,), 0.1))
    _, noisy = intensities(phase, draws, torch.arange(n))
    change = torch.log(noisy / plain)
    assert change.std() == pytest.approx(0.1, rel=0.1)
    assert abs(change.mean()) < 0.01
    _, again = intensities(phase, draws, torch.arange(n) + 1000)
    other = torch.log(again / plain)
    assert abs(np.corrcoef(change, other)[0, 1]) < 0.1


def test_strain_keeps_the_symmetry():
    crystals = samples.crystals()
    n = len(crystals)
    lattice = torch.from_numpy(crystals.lattice)
    rotations = torch.from_numpy(crystals.rotations).double()
    strains = torch.randn(n, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    metric = specimen_effects.strained_metric(
        lattice, rotations, strains, torch.full((n,), 0.01).double()
    )
    direct = torch.linalg.inv(metric)
    turned = rotations.transpose(2, 3) @ direct[:, None] @ rotations
    torch.testing.assert_close(turned, direct[:, None].expand_as(turned), rtol=1e-9, atol=1e-9)
    before = lattice @ lattice.transpose(1, 2)
    change = (direct - before).abs().amax((1, 2)) / before.amax((1, 2))
    assert (change > 1e-4).all() and (change < 0.1).all()
    still = specimen_effects.strained_metric(lattice, rotations, strains, torch.zeros(n).double())
    torch.testing.assert_close(torch.linalg.inv(still), before)
    hkl = torch.tensor([[1.0, 2.0, 3.0]]).double()
    for i in range(n):  # so all equivalents stay in one line
        images = (hkl @ rotations[i])[:, 0]
        lengths = squared_lengths(metric[i : i + 1], images.T, torch.zeros(24, dtype=torch.int64))
        torch.testing.assert_close(lengths, lengths[:1].expand(24), rtol=1e-9, atol=0)


def test_doublet_angles_and_ratio():
    d = torch.tensor([3.0, 1.5, 1.1])
    owner = torch.tensor([0, 0, 1])
    single = torch.tensor([False, True])
    sine, intensity, owners = specimen_effects.doublet(1 / d.square(), torch.ones(3), owner, single)
    torch.testing.assert_close(sine[:3], 1.540593 / (2 * d))
    torch.testing.assert_close(sine[3:], 1.544427 / (2 * d))
    assert owners.tolist() == [0, 0, 1, 0, 0, 1]
    ratio = (intensity / lorentz_polarisation(sine)).view(2, 3)
    torch.testing.assert_close(ratio[1] / ratio[0], torch.tensor([0.5, 0.5, 0.0]))
    beyond = specimen_effects.doublet(torch.tensor([4.0]), torch.ones(1), owner[:1], single)
    assert (beyond[1] == 0).all() and torch.isfinite(beyond[0]).all()


def test_shifts():
    sine = torch.sin(torch.deg2rad(torch.tensor([10.0, 60.0]) / 2))
    draws = {"zero_shift": torch.tensor([0.05]), "displacement": torch.tensor([-0.1])}
    angle = specimen_effects.observed_angles(sine, torch.tensor([0, 0]), draws)
    expected = [a + 0.05 - 0.1 * np.cos(np.radians(a / 2)) for a in (10, 60)]
    np.testing.assert_allclose(angle, expected, atol=2e-5)


def test_two_texture_axes_are_mixed(computed, phase):
    n = len(computed)
    index, first = torch.arange(n), torch.full((n,), 0.6)
    second, share = torch.full((n,), 1.5), torch.linspace(0.1, 0.6, n)
    _, plain = intensities(phase, quiet(n), index)
    _, one = intensities(phase, quiet(n, ratio=first), index)
    about_100 = quiet(n, ratio=second, axis=quiet(n)["second_axis"])
    _, other = intensities(phase, about_100, index)
    mixed = quiet(n, ratio=first, second_ratio=second, second_share=share)
    _, both = intensities(phase, mixed, index)
    weight = share[phase.owner]
    torch.testing.assert_close(both, (1 - weight) * one + weight * other, rtol=1e-5, atol=0)
    assert not torch.allclose(both, one) and not torch.allclose(both, plain)


def test_line_strain_is_the_mean_over_equivalent_axes(computed, phase):
    n = len(computed)
    axis = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 2], [1, 1, 1]]).repeat(n, 1)[:n]
    size = torch.full((n,), 0.002)
    size[::5] = 0
    metric = reciprocal(phase)
    d_star2 = squared_lengths(metric, phase.hkl, phase.owner)
    draws = quiet(n, line_strain=size, strain_axis=axis)
    strain = specimen_effects.anisotropic_strain(phase, metric, draws, d_star2).numpy()
    for i, group in enumerate(samples.point_groups()):
        a, b = computed.start[i : i + 2]
        to_cartesian = np.linalg.inv(computed.lattice[i]).T
        axes = axis[i].numpy() @ group @ to_cartesian
        normals = computed.hkl[a:b] @ to_cartesian
        cosine = normals @ axes.T
        cosine /= np.linalg.norm(normals, axis=1)[:, None] * np.linalg.norm(axes, axis=1)
        expected = size[i].item() * np.sqrt((cosine**4).mean(1))
        np.testing.assert_allclose(strain[a:b], expected, rtol=2e-3, atol=1e-6)


def test_strained_lines_keep_area_and_mean_and_gain_the_variance():
    angle = torch.tensor([20.0, 60.0, 60.0, 80.0, 80.0])
    sine = torch.sin(torch.deg2rad(angle / 2))
    strength = torch.tensor([1.0, 1.0, 0.5, 1.0, 1e-4])
    owner = torch.tensor([0, 0, 1, 0, 0])
    strain, width = torch.tensor([1e-5, 8e-4, 0.0, 0.5, 8e-4]), torch.tensor([0.3, 0.3])
    x, y, who = specimen_effects.broadened(angle, strength, owner, sine, strain, width)
    # Neither the narrow, the strainless nor the faint line is split.
    assert len(x) == 9 and ((x == 20) & (y == 1)).sum() == 1 and (who == 1).sum() == 1
    for centre, spread in ((60.0, 2 * np.tan(np.pi / 6) * 8e-4 * 180 / np.pi), (80.0, 0.15)):
        near = ((x - centre).abs() < 1) & (who == 0) & (y > 1e-3)
        assert near.sum() == 3
        position, weight = x[near].double(), y[near].double()
        assert weight.sum().item() == pytest.approx(1, rel=1e-5)
        mean = (position * weight).sum().item()
        assert mean == pytest.approx(centre, abs=2e-5)
        variance = ((position - mean).square() * weight).sum().item()
        assert variance == pytest.approx(spread**2, rel=2e-3)


def test_tails_keep_the_area_and_lean_to_low_angles():
    angle = torch.tensor([8.0, 20.0, 39.0, 60.0, 85.0])
    strength = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    owner = torch.zeros(5, dtype=torch.int64)
    for asymmetry, depth in ((0.015, 0.0), (0.0, 0.05), (0.01, 0.02), (0.0, 0.0), (0.0, 0.008)):
        draws = {"asymmetry": torch.tensor([asymmetry]), "transparency": torch.tensor([depth])}
        x, y, who = specimen_effects.tails(angle, strength, owner, draws)
        assert y.sum() == pytest.approx(15, rel=1e-5) and (who == 0).all()
        assert (x <= angle.max()).all()
        for centre, area in zip(angle.tolist(), strength.tolist(), strict=True):
            near = (x - centre).abs() < 0.9
            mean = (x[near] * y[near]).sum() / y[near].sum()
            turn = np.radians(centre)
            axial = max(0, asymmetry * (1 / np.tan(turn) - 1 / np.tan(np.radians(40))))
            length = axial + depth * np.sin(turn)
            assert centre - mean.item() == pytest.approx(length, abs=1e-4)
            assert y[near].sum().item() == pytest.approx(area, rel=1e-5)
            if length > 0.011:  # an exponential's variance is its length squared
                variance = ((x[near] - mean).square() * y[near]).sum().item() / area
                assert variance == pytest.approx(length**2, rel=0.02)
            else:
                assert near.sum() == 1


def test_width_at_low_angle_is_the_drawn_one():
    share = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0])
    n = len(share)
    draws = {
        "fwhm": torch.full((n,), 0.1),
        "lorentzian": share,
        "caglioti": torch.zeros(n),
        "strain_width": torch.zeros(n),
    }
    gauss, lorentz = specimen_effects.widths(draws, torch.tensor([1.0, 89.0]))
    full = 0.5346 * lorentz + (0.2166 * lorentz.square() + gauss.square()).sqrt()
    np.testing.assert_allclose(full[:, 0], 0.1, rtol=0.012)  # as good as the approximation
    assert (full[:, 1] >= full[:, 0] - 1e-6).all()
    draws |= {"caglioti": torch.full((n,), 0.01), "strain_width": torch.full((n,), 0.1)}
    wider = specimen_effects.widths(draws, torch.tensor([1.0, 89.0]))
    assert (wider[0][:, 1] > gauss[:, 1]).all() and (wider[1][:, 1] > lorentz[:, 1] + 0.09).all()
