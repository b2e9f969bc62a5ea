"""Angles, wavelengths and texture against formulas, pymatgen and means over equivalents."""

import numpy as np
import pytest
import samples
import torch

from xrdlib.base.errors import XrdlibError
from xrdlib.simulation import diffraction

WAVELENGTH = 1.540593


@pytest.fixture(scope="module")
def known():
    return samples.known()


def brute_force_march(lattice, hkl, group, axis, r):
    reciprocal = np.linalg.inv(lattice).T
    towards = np.asarray(axis) @ reciprocal
    weights = []
    for h in {tuple(x) for x in np.asarray(hkl) @ group}:
        g = np.array(h) @ reciprocal
        c2 = (g @ towards) ** 2 / (g @ g) / (towards @ towards)
        weights.append((r * r * c2 + (1 - c2) / r) ** -1.5)
    return np.mean(weights)


def test_march_dollase_is_the_mean_over_all_equivalents(known):
    rng = np.random.default_rng(0)
    n = len(known)
    owner = np.repeat(np.arange(n), np.diff(known.start))
    rows = np.sort(rng.choice(len(owner), 200, replace=False))
    axis = rng.integers(-2, 3, (n, 3))
    axis[(axis == 0).all(1)] = [0, 0, 1]
    ratio = np.exp(rng.normal(0, 0.5, n))
    metric = np.linalg.inv(known.lattice @ known.lattice.transpose(0, 2, 1))
    hkl = torch.from_numpy(known.hkl[rows].T.astype(np.float64).copy())
    tensors = [torch.from_numpy(np.ascontiguousarray(x)) for x in (metric, known.rotations)]
    who = torch.from_numpy(owner[rows])
    length2 = diffraction.squared_lengths(tensors[0], hkl, who)
    ours = diffraction.march_dollase(
        *tensors, torch.from_numpy(axis), torch.from_numpy(ratio), hkl, who, length2
    )
    for value, row in zip(ours.tolist(), rows, strict=True):
        i = owner[row]
        expected = brute_force_march(
            known.lattice[i], known.hkl[row], samples.point_groups()[i], axis[i], ratio[i]
        )
        assert value == pytest.approx(expected, rel=1e-6)


def test_geometry():
    lattice = samples.structures()["albite-like"].lattice
    hkl = np.array([[1, 0, 0], [2, -3, 1], [0, 4, -5]])
    d = [lattice.d_hkl(h) for h in hkl]
    np.testing.assert_allclose(1 / diffraction.d_star(lattice.matrix, hkl), d, rtol=1e-12)
    angle = diffraction.two_theta(1 / np.array(d), WAVELENGTH)
    np.testing.assert_allclose(2 * np.array(d) * np.sin(np.radians(angle / 2)), WAVELENGTH)
    assert np.isnan(diffraction.two_theta(2.0, WAVELENGTH))
    theta = np.radians(20.0)
    lp = (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    ours = diffraction.lorentz_polarisation(torch.tensor(np.sin(theta)))
    assert ours.item() == pytest.approx(lp)


def test_wavelengths():
    assert diffraction.resolve_wavelength("CuKa1") == WAVELENGTH
    assert diffraction.resolve_wavelength(0.7) == 0.7
    for anode in ("Cr", "Fe", "Co", "Cu", "Mo", "Ag"):
        first, second, both = (diffraction.WAVELENGTHS[f"{anode}Ka{x}"] for x in ("1", "2", ""))
        assert first < both < second
        assert both == pytest.approx((2 * first + second) / 3)
    energies = {"Cr": 5414.7, "Fe": 6403.8, "Co": 6930.3, "Cu": 8047.8, "Mo": 17479.3}
    for anode, energy in energies.items():  # K-alpha1 in electronvolt, X-ray data booklet
        assert 12398.42 / diffraction.WAVELENGTHS[f"{anode}Ka1"] == pytest.approx(energy, rel=1e-4)
    for bad in ("CuK", "", 0, -1.5, float("nan"), None, 12):
        with pytest.raises(XrdlibError):
            diffraction.resolve_wavelength(bad)


@pytest.mark.parametrize("anode", ["Cu", "Co", "Mo"])
def test_a_doublet_is_read_at_its_stronger_line(anode):
    first = diffraction.WAVELENGTHS[f"{anode}Ka1"]
    assert diffraction.strong_line(f"{anode}Ka") == diffraction.strong_line(first) == first
    assert diffraction.strong_line(diffraction.WAVELENGTHS[f"{anode}Ka"] + 1e-4) == first
    second = diffraction.WAVELENGTHS[f"{anode}Ka2"]
    assert diffraction.strong_line(f"{anode}Ka2") == second
    assert diffraction.strong_line(0.5) == 0.5
