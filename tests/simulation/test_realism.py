"""Measured-looking patterns: seeded, finite, within the ranges, and like measured ones."""

import numpy as np
import pytest
import samples
import torch

from xrdlib.base import paths
from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import GRID, to_grid
from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.powder import calculated
from xrdlib.simulation.realism import Realism, draw, measured_like

QUIET = {
    "strain": (0, 0), "debye_waller": (0, 0), "smooth_error": 0, "line_error": (0, 0),
    "no_texture": 1, "single_line": 1, "fwhm": (0.1, 0), "lorentzian": (0, 0),
    "caglioti": (0, 0), "strain_width": (0, 0), "zero_shift": 0, "displacement": 0,
    "asymmetry": (0, 0), "background": (0.002, 0), "noise": (1e-6, 0), "counts": (1e8, 1e8),
    "polynomial": 0, "air": (0, 0), "hump_probability": 0, "subtracted": 1, "folded": 0,
    "two_axes": 0, "anisotropic": 0, "line_strain": (0, 0), "transparency": (0, 0),
    "pedestal": (0, 0), "residual": 0, "impurity": 0, "cropped": 0, "coarse": 0, "spikes": 0,
}  # fmt: skip


def batch(computed, n, seed=0):
    rows = np.random.default_rng(seed).integers(0, len(computed), (2, n))
    return computed.take(rows[0]), computed.take(rows[1])


def test_without_nuisance_it_is_the_calculated_pattern(computed):
    index = torch.arange(len(computed))
    ours = measured_like(computed, Realism(**QUIET), 0, index, GRID).numpy()
    clean = calculated(computed, 1.540593, 0.1, 0.0, GRID).numpy()
    ours, clean = (x / x.max(1, keepdims=True) for x in (ours, clean))
    np.testing.assert_allclose(ours, clean, atol=0.01)


def test_same_numbers_in_any_batch_and_order(computed):
    main, second = batch(computed, 24)
    index = torch.arange(1000, 1024)
    realism = Realism(coarse=0.5, cropped=0.5, spikes=0.5, impurity=0.7)
    whole = measured_like(main, realism, 3, index, GRID, second)
    order = np.random.default_rng(1).permutation(24)
    shuffled = measured_like(main.take(order), realism, 3, index[order], GRID, second.take(order))
    scale = whole.amax(1, keepdim=True)
    torch.testing.assert_close(
        shuffled / scale[order], whole[order] / scale[order], rtol=0, atol=1e-5
    )
    for i in (0, 7, 23):
        alone = measured_like(main.take([i]), realism, 3, index[i : i + 1], GRID, second.take([i]))
        torch.testing.assert_close(alone / scale[i], whole[i : i + 1] / scale[i], rtol=0, atol=1e-5)


def test_finite_and_not_negative_at_the_ends_of_the_ranges(computed):
    main, second = batch(computed, 64, seed=2)
    index = torch.arange(64)
    extreme = Realism(
        strain=(0.02, 0.05), line_error=(0.5, 0.5), smooth_error=1.0, no_texture=0.0, march=2.0,
        fwhm=(0.4, 1.0), fwhm_limits=(0.01, 1.0), noise=(0.5, 1.0), counts=(1.0, 1e9),
        asymmetry=(0.1, 0.1), zero_shift=0.5, displacement=0.5, polynomial=2.0, residual=1.0,
        impurity=1.0, cropped=1.0, coarse=1.0, spikes=1.0,
    )  # fmt: skip
    for realism in (Realism(), Realism.mild(), extreme, Realism(**QUIET)):
        pattern = measured_like(main, realism, 1, index, GRID, second)
        assert pattern.shape == (64, GRID.size) and pattern.dtype == torch.float32
        assert torch.isfinite(pattern).all() and (pattern >= 0).all()
        assert (pattern.amax(1) > 0).all()


def test_frequencies_and_ranges_of_the_draws():
    r = Realism()
    n = 20_000
    d = draw(r, 5, torch.arange(n))
    tolerance = 4 * 0.5 / np.sqrt(n)
    assert (d["ratio"] == 1).float().mean().item() == pytest.approx(r.no_texture, abs=tolerance)
    textured = d["ratio"][d["ratio"] != 1]
    assert textured.min() >= 0.3 and textured.max() <= 3
    two, cropped = d["second_ratio"] != 1, d["last"][:, 0] < 180
    assert (d["ratio"][two] != 1).all()
    expected = {name: getattr(r, name) for name in ("subtracted", "folded", "single_line")}
    expected |= {"impurity": r.impurity, "hump": r.hump_probability, "coarse": r.coarse}
    expected |= {"line_strain": r.anisotropic, "two": r.two_axes * (1 - r.no_texture)}
    for name, probability in {**expected, "cropped": r.cropped}.items():
        happened = {**d, "two": two, "cropped": cropped}[name] != 0
        assert happened.float().mean().item() == pytest.approx(probability, abs=tolerance), name
    assert d["first"][cropped].min() >= r.crop_first[0]
    assert d["last"][cropped].max() <= r.crop_last[1]
    assert set(d["coarse"].tolist()) == {0, 2, 3, 4, 5}
    assert d["fwhm"].median().item() == pytest.approx(r.fwhm[0], rel=0.02)
    # One standard deviation up, where the limits do not cut.
    up = torch.log(d["fwhm"].quantile(0.8413) / d["fwhm"].median())
    assert up.item() == pytest.approx(r.fwhm[1], rel=0.05)
    uniform = "debye_waller line_error lorentzian caglioti asymmetry transparency pedestal air"
    for name in uniform.split():
        low, high = getattr(r, name)
        assert low <= d[name].min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < d[name].max() <= high
    names = sorted(k for k, v in d.items() if v.is_floating_point() and v.ndim == 1)
    table = np.corrcoef([d[name].numpy() for name in names])
    np.fill_diagonal(table, 0)
    assert np.abs(table).max() < 5 / np.sqrt(n)


def test_impurity_lines_appear_at_their_level(computed):
    names = list(samples.structures())
    main = computed.take([names.index("halite")] * 6)
    other = computed.take([names.index("silicon")] * 6)
    changes = QUIET | {"impurity": 1, "impurity_level": (0.1, 0.1)}
    index = torch.arange(6)
    mixed = measured_like(main, Realism(**changes), 0, index, GRID, other).numpy()
    pure = measured_like(main, Realism(**QUIET), 0, index, GRID, other).numpy()
    at = np.abs(GRID.two_theta - 28.44).argmin()  # silicon 111
    level = mixed[:, at - 2 : at + 3].max(1) / mixed.max(1)
    np.testing.assert_allclose(level, 0.1, rtol=0.03)
    assert (pure[:, at - 2 : at + 3].max(1) < 1e-3 * pure.max(1)).all()


@pytest.mark.parametrize("make", [Realism, Realism.mild])
def test_bad_fields_are_named(make):
    bad = {"strain": 0.1, "fwhm": (0.1,), "impurity": 1.5, "march": -0.1, "coarse": (0, 1)}
    bad |= {"noise": (float("nan"), 1), "background": "high", "residual": float("inf")}
    for name, value in bad.items():
        with pytest.raises(XrdlibError, match=name):
            make(**{name: value})


def test_bad_names_and_lengths_are_refused(computed):
    with pytest.raises(XrdlibError, match="no field 'colour'"):
        Realism.measured(colour=1)
    main, second = batch(computed, 4)
    with pytest.raises(XrdlibError, match="4 crystals and 3 indices"):
        measured_like(main, Realism(), 0, torch.arange(3), GRID)
    with pytest.raises(XrdlibError):
        measured_like(main, Realism(), 0, torch.arange(4), GRID, second.take([0]))


def noise_levels(patterns):
    """Robust standard deviation of point-to-point differences in the quiet parts, of maximum 1."""
    patterns = patterns / patterns.max(1, keepdims=True)
    parts = patterns[:, : patterns.shape[1] // 50 * 50].reshape(len(patterns), -1, 50)
    rank = np.median(parts, 2).argsort(1)[:, : parts.shape[1] // 3]
    quiet = np.take_along_axis(parts, rank[:, :, None], 1)
    return 1.4826 * np.median(np.abs(np.diff(quiet, axis=2)), (1, 2)) / np.sqrt(2)


def test_noise_is_that_of_the_measured_patterns(computed):
    path = paths.data_dir() / "rruff.npz"
    if not path.is_file():
        pytest.skip(f"the measured patterns are not at {path}")
    with np.load(path) as file:
        measured = to_grid(file["two_theta"], file["intensity"].astype(np.float64))
    main, second = batch(computed, 400, seed=3)
    realism = Realism(subtracted=1, cropped=0, coarse=0, spikes=0)
    simulated = measured_like(main, realism, 0, torch.arange(400), GRID, second).numpy()
    quartiles = [np.quantile(noise_levels(x), [0.25, 0.5, 0.75]) for x in (measured, simulated)]
    ratio = quartiles[1] / quartiles[0]
    assert (ratio > 0.6).all() and (ratio < 1.6).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_gives_the_same(computed):
    main, second = batch(computed, 32)
    index = torch.arange(32)
    cpu = measured_like(main, Realism(), 0, index, GRID, second)
    gpu = measured_like(main, Realism(), 0, index.cuda(), GRID, second).cpu()
    scale = cpu.amax(1, keepdim=True)
    torch.testing.assert_close(gpu / scale, cpu / scale, rtol=0, atol=1e-3)


def test_patterns_do_not_depend_on_the_precision_of_training():
    computed = samples.computed()
    found = []
    before = torch.get_float32_matmul_precision()
    try:
        for precision in ("medium", "highest"):
            torch.set_float32_matmul_precision(precision)
            index = torch.arange(len(computed))
            patterns = measured_like(computed, Realism(), 0, index, GRID).numpy()
            assert torch.get_float32_matmul_precision() == precision
            found.append((reflections(samples.crystals()).f2, patterns))
    finally:
        torch.set_float32_matmul_precision(before)
    for low, high in zip(*found, strict=True):
        np.testing.assert_allclose(low, high, rtol=1e-6)
