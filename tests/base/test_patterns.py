import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import CU_KA1, GRID, Grid, normalise, to_grid


def peak(two_theta, centre=40.0, fwhm=0.3):
    return 1000 * np.exp(-4 * np.log(2) * ((two_theta - centre) / fwhm) ** 2)


def test_pattern_on_the_grid_is_returned_unchanged():
    x = np.random.default_rng(0).random(GRID.size).astype(np.float32)
    assert np.allclose(to_grid(GRID.two_theta, x), x, atol=1e-6)


def test_averaging_keeps_the_area_and_quietens_noise():
    rng = np.random.default_rng(1)
    fine = Grid(4.0, 91.0, 0.002)
    noise = 100 + rng.normal(size=fine.size)
    out = to_grid(fine.two_theta, noise)
    assert out.mean() == pytest.approx(noise.mean(), abs=0.01)
    assert out.std() == pytest.approx(1 / np.sqrt(10), rel=0.1)


@given(
    step=st.floats(0.002, 0.05),
    offset=st.floats(0, 0.05),
    scale=st.floats(1e-3, 1e6),
    seed=st.integers(0, 1000),
)
@settings(max_examples=25, deadline=None)
def test_step_order_offset_and_scale_do_not_matter(step, offset, scale, seed):
    measured = np.arange(5 + offset, 90, step)
    order = np.random.default_rng(seed).permutation(len(measured))
    curve = peak(measured) + 200
    out = normalise(torch.from_numpy(to_grid(measured[order], scale * curve[order]))).numpy()
    expected = np.sqrt((peak(GRID.two_theta) + 200) / 1200)
    inside = slice(5, -5)  # the ends may lie outside the measured range
    assert np.abs(out - expected)[inside].max() < 0.02


def test_other_wavelength_is_mapped_at_equal_d_spacing():
    molybdenum = 0.709300
    d = 2.2
    measured = np.arange(2, 60, 0.005)
    line = 2 * np.degrees(np.arcsin(molybdenum / 2 / d))
    out = to_grid(measured, peak(measured, line, 0.1), wavelength=molybdenum)
    expected = 2 * np.degrees(np.arcsin(CU_KA1 / 2 / d))
    assert GRID.two_theta[out.argmax()] == pytest.approx(expected, abs=GRID.step)


def test_outside_the_measured_range_is_zero():
    measured = np.arange(20, 60, 0.01)
    out = to_grid(measured, np.ones_like(measured))
    outside = (GRID.two_theta < 19.98) | (GRID.two_theta > 60.01)
    assert (out[outside] == 0).all()
    inside = (GRID.two_theta > 20) & (GRID.two_theta < 59.98)
    assert np.allclose(out[inside], 1)


def test_rounding_beyond_the_measured_range_changes_nothing():
    """What is left of a subtraction, 1e-12 of the highest peak, is no measurement."""
    angle = np.arange(5, 90, 0.02)
    counts = np.where((angle > 10) & (angle < 80), 1 + 1e3 * np.exp(-((angle - 30) ** 2)), 0)
    noisy = counts + np.where(counts == 0, 1e-9, 0)
    assert np.array_equal(to_grid(angle, counts), to_grid(angle, noisy))


def test_stack_equals_single_patterns():
    rng = np.random.default_rng(2)
    angle = np.arange(5, 90, 0.013)
    stack = rng.random((3, len(angle)))
    assert np.array_equal(to_grid(angle, stack), [to_grid(angle, one) for one in stack])


def test_normalise_ranges_and_zero_rows():
    x = torch.tensor([[-5.0, 0.0, 25.0, 100.0], [0.0, 0.0, 0.0, 0.0], [-1.0, -2.0, -3.0, -4.0]])
    out = normalise(x)
    assert torch.allclose(out[0], torch.tensor([0.0, 0.0, 0.5, 1.0]))
    assert (out[1:] == 0).all()
    assert out.dtype == torch.float32


ANGLES = np.arange(5, 90, 0.02)


@pytest.mark.parametrize(
    ("angle", "counts", "wavelength", "words"),
    [
        (ANGLES, np.full(len(ANGLES), np.nan), CU_KA1, "NaN"),
        (ANGLES, np.full(len(ANGLES), 1e300), CU_KA1, "infinite"),
        (ANGLES, np.full(len(ANGLES), 1e-42), CU_KA1, "no positive intensity"),
        (ANGLES, -np.ones(len(ANGLES)), CU_KA1, "no positive intensity"),
        (ANGLES[:50], np.ones(50), CU_KA1, "50 points"),
        (ANGLES, np.ones((0, len(ANGLES))), CU_KA1, "points"),
        (ANGLES, np.ones(7), CU_KA1, "do not belong together"),
        (ANGLES, ["x"] * len(ANGLES), CU_KA1, "plain numbers"),
        (np.repeat(ANGLES, 2), np.ones(2 * len(ANGLES)), CU_KA1, "more than once"),
        (ANGLES + 85.5, np.ones(len(ANGLES)), CU_KA1, "points fall between"),
        (ANGLES - 50, np.ones(len(ANGLES)), CU_KA1, "between 0 and 180"),
        (ANGLES, np.ones(len(ANGLES)), 0.0, "not one of powder diffraction"),
        (ANGLES, np.ones(len(ANGLES)), None, "plain numbers"),
        (np.arange(5, 90, 0.5), np.ones(170), CU_KA1, "peak list"),
    ],
)
def test_bad_input_is_explained_in_one_sentence(angle, counts, wavelength, words):
    with pytest.raises(XrdlibError, match=words) as caught:
        to_grid(angle, counts, wavelength)
    assert "\n" not in str(caught.value)
