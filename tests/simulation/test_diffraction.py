"""Reflections, angles and texture against gemmi, pymatgen, formulas and sums over all hkl."""

from dataclasses import replace

import gemmi
import numpy as np
import pytest
import samples
import torch
from pymatgen.analysis.diffraction.xrd import ATOMIC_SCATTERING_PARAMS, XRDCalculator
from pymatgen.core import Element

from xrdlib.base.errors import XrdlibError
from xrdlib.simulation import diffraction, structure_factors
from xrdlib.simulation.diffraction import reflections

WAVELENGTH = 1.540593
D_STAR_MAX = 2 * np.sin(np.radians(45)) / WAVELENGTH


def it92(z, s):
    return np.array([gemmi.Element(z).it92.calculate_sf(float(x) ** 2) for x in s])


def lines(computed, i):
    """2theta (float64) and intensities of crystal i."""
    a, b = computed.start[i : i + 2]
    d_star = diffraction.d_star(computed.lattice[i], computed.hkl[a:b])
    sine = torch.from_numpy(d_star * WAVELENGTH / 2)
    strength = computed.multiplicity[a:b] * computed.f2[a:b]
    lp = diffraction.lorentz_polarisation(sine).numpy()
    return diffraction.two_theta(d_star, WAVELENGTH), strength * lp


@pytest.mark.parametrize("i", range(len(samples.TABLE) + 1))
def test_every_reflection_of_the_sphere_is_counted_once(computed, i):
    """Orbits under spglib's point group: one representative each, right size, right |F|^2."""
    crystals = samples.crystals()
    hkl = samples.sphere(crystals.lattice[i], D_STAR_MAX)
    f2 = samples.direct_f2(crystals, i, hkl, it92)
    present = {tuple(h): value for h, value in zip(hkl, f2, strict=True) if value > 1e-8 * f2.max()}
    a, b = computed.start[i : i + 2]
    covered = set()
    for h, multiplicity, value in zip(
        computed.hkl[a:b], computed.multiplicity[a:b], computed.f2[a:b], strict=True
    ):
        orbit = {tuple(x) for x in h.astype(int) @ samples.point_groups()[i]}
        assert len(orbit) == multiplicity
        assert not orbit & covered
        covered |= orbit
        if value > 1e-6 * f2.max():
            np.testing.assert_allclose([present[x] for x in orbit], value, rtol=1e-3)
        np.testing.assert_allclose(present.get(tuple(h), 0), value, atol=2e-6 * f2.max())
    assert covered >= {x for x, value in present.items() if value > 1e-7 * f2.max()}


def pymatgen_factors(s_max, device):
    """Form factors as pymatgen has them, in the layout of the product's own table."""
    s = np.linspace(0, s_max, structure_factors._FACTOR_STEPS + 1)
    table = np.zeros((structure_factors.N_ELEMENTS + 1, len(s)))
    for symbol, coefficients in ATOMIC_SCATTERING_PARAMS.items():
        z, coefficients = Element(symbol).Z, np.array(coefficients)
        gaussians = np.exp(-coefficients[:, 1] * s[:, None] ** 2) @ coefficients[:, 0]
        table[z] = z - 41.78214 * s**2 * gaussians
    return torch.from_numpy(table.astype(np.float32)).to(device)


@pytest.mark.parametrize("own_factors, least", [(True, 0.999), (False, 0.999999)])
def test_powder_lines_against_pymatgen(computed, monkeypatch, own_factors, least):
    if not own_factors:
        monkeypatch.setattr(structure_factors, "_factor_table", pymatgen_factors)
        computed = reflections(samples.crystals())
    calculator = XRDCalculator(WAVELENGTH)
    for i, structure in enumerate(samples.structures().values()):
        theirs = calculator.get_pattern(structure, scaled=False, two_theta_range=(0, 90))
        angle, intensity = lines(computed, i)
        nearest = np.abs(angle[:, None] - theirs.x).argmin(1)
        strong = intensity > 1e-4 * intensity.max()
        np.testing.assert_allclose(angle[strong], theirs.x[nearest[strong]], atol=1e-4)
        ours = np.bincount(nearest, intensity, len(theirs.x))
        assert np.corrcoef(ours, theirs.y)[0, 1] > least


def test_a_crystal_is_the_same_in_any_batch(computed):
    crystals = samples.crystals()
    order = np.array([3, 14, 0, 9, 9, 2, 15])
    together = reflections(crystals.take(order))
    for place, i in enumerate(order):
        a, b = computed.start[i : i + 2]
        c, d = together.start[place : place + 2]
        np.testing.assert_array_equal(computed.hkl[a:b], together.hkl[c:d])
        np.testing.assert_allclose(computed.f2[a:b], together.f2[c:d], rtol=1e-4, atol=1e-4)


def test_memory_bound_does_not_change_the_result(computed, monkeypatch):
    monkeypatch.setitem(structure_factors._BUDGET, "cpu", 400)
    monkeypatch.setattr(structure_factors, "_PIECES", np.array([2, 4]))
    small = reflections(samples.crystals())
    np.testing.assert_array_equal(small.hkl, computed.hkl)
    np.testing.assert_array_equal(small.multiplicity, computed.multiplicity)
    strongest = np.maximum.reduceat(computed.f2, computed.start[:-1])
    scale = np.repeat(strongest, np.diff(computed.start))
    np.testing.assert_allclose(small.f2 / scale, computed.f2 / scale, atol=2e-6)


def broken(**changes):
    good = samples.crystals().take([0, 1])
    return replace(good, name=np.array(["fine", "broken one"]), **changes)


def test_bad_structures_are_named():
    good = samples.crystals().take([0, 1])
    frac, lattice, number = good.frac.copy(), good.lattice.copy(), good.number.copy()
    frac[-1, 0] = np.nan
    flat, endless, tiny = lattice.copy(), lattice.copy(), lattice.copy()
    flat[1, 2] = flat[1, 0] + flat[1, 1]
    endless[1] *= 100
    tiny[1] *= 0.01
    infinite = lattice.copy()
    infinite[1, 0, 0] = np.inf
    number[-1] = 99
    empty = good.start.copy()
    empty[2] = empty[1]
    nothing = np.where(np.arange(len(frac)) < good.start[1], 1, 0).astype(np.float32)
    for problem, changes in {
        "not finite": {"frac": frac},
        "no volume": {"lattice": flat},
        "finite": {"lattice": infinite},
        "axis": {"lattice": endless},
        "below 1 cubic": {"lattice": tiny},
        "atomic number": {"number": number},
        "no atoms": {"start": empty},
        "occupied": {"occupancy": nothing},
        "negative": {"occupancy": nothing - 0.5},
    }.items():
        with pytest.raises(XrdlibError, match=f"broken one.*{problem}"):
            reflections(broken(**changes))
    with pytest.raises(XrdlibError, match="broken one.*too large"):
        reflections(broken(lattice=lattice * np.array([1, 40])[:, None, None]))
    with pytest.raises(XrdlibError, match="no reflection"):
        reflections(good, two_theta_max=3)
    with pytest.raises(XrdlibError, match="two_theta_max"):
        reflections(good, two_theta_max=200)
    with pytest.raises(XrdlibError, match="No crystals"):
        reflections(good.take([]))


def brute_force_march(lattice, hkl, group, axis, r):
    reciprocal = np.linalg.inv(lattice).T
    towards = np.asarray(axis) @ reciprocal
    weights = []
    for h in {tuple(x) for x in np.asarray(hkl) @ group}:
        g = np.array(h) @ reciprocal
        c2 = (g @ towards) ** 2 / (g @ g) / (towards @ towards)
        weights.append((r * r * c2 + (1 - c2) / r) ** -1.5)
    return np.mean(weights)


def test_march_dollase_is_the_mean_over_all_equivalents(computed):
    rng = np.random.default_rng(0)
    n = len(computed)
    owner = np.repeat(np.arange(n), np.diff(computed.start))
    rows = np.sort(rng.choice(len(owner), 200, replace=False))
    axis = rng.integers(-2, 3, (n, 3))
    axis[(axis == 0).all(1)] = [0, 0, 1]
    ratio = np.exp(rng.normal(0, 0.5, n))
    metric = np.linalg.inv(computed.lattice @ computed.lattice.transpose(0, 2, 1))
    hkl = torch.from_numpy(computed.hkl[rows].T.astype(np.float64).copy())
    tensors = [torch.from_numpy(np.ascontiguousarray(x)) for x in (metric, computed.rotations)]
    who = torch.from_numpy(owner[rows])
    length2 = diffraction.squared_lengths(tensors[0], hkl, who)
    ours = diffraction.march_dollase(
        *tensors, torch.from_numpy(axis), torch.from_numpy(ratio), hkl, who, length2
    )
    for value, row in zip(ours.tolist(), rows, strict=True):
        i = owner[row]
        expected = brute_force_march(
            computed.lattice[i], computed.hkl[row], samples.point_groups()[i], axis[i], ratio[i]
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
