"""Features of patterns whose widths, noise and background are known; samples told apart by them."""

import numpy as np
import pytest

from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import GRID, Grid
from xrdlib.studies.pattern_features import features, two_sample

ANGLE = GRID.two_theta
CENTRES = np.array([10, 14, 18, 24, 33, 37, 45, 52, 63, 70, 78, 85.0])
HEIGHTS = np.array([1, 0.5, 0.25, 0.8, 0.7, 0.4, 0.3, 0.6, 0.35, 0.2, 0.15, 0.1])


def peaks(fwhm, lorentzian=False, heights=HEIGHTS):
    x = (ANGLE[:, None] - CENTRES) / np.broadcast_to(fwhm, CENTRES.shape)
    shape = 1 / (1 + 4 * x * x) if lorentzian else np.exp(-4 * np.log(2) * x * x)
    return shape @ heights


def noisy(signal, noise, n=4, seed=0):
    return signal + np.random.default_rng(seed).normal(0, noise, (n, len(signal)))


def test_widths_by_range_and_number_of_peaks():
    fwhm = np.where(CENTRES < 30, 0.1, np.where(CENTRES < 60, 0.15, 0.3))
    result = features(peaks(fwhm)[None] * 1234).iloc[0]
    assert result["peaks"] == 12
    assert result["fwhm 5-30"] == pytest.approx(0.1, rel=0.02)
    assert result["fwhm 30-60"] == pytest.approx(0.15, rel=0.02)
    assert result["fwhm 60-90"] == pytest.approx(0.3, rel=0.02)
    heights = np.sqrt(np.sort(HEIGHTS)[::-1])
    for k in (2, 4, 8):
        assert result[f"height {k}"] == pytest.approx(heights[k - 1], rel=0.01)
    assert result["height 16"] == 0


def test_shape_tells_gaussian_from_lorentzian():
    gaussian, lorentzian = (peaks(0.2, shape) for shape in (False, True))
    result = features(np.stack([gaussian, lorentzian]))["tailing"]
    assert result[0] == pytest.approx(np.sqrt(np.log(5) / np.log(2)), rel=0.02)
    assert result[1] == pytest.approx(2, rel=0.05)


def test_a_tail_to_low_angles_is_positive_skew():
    shifted = peaks(0.1) + 0.3 * np.interp(ANGLE + 0.1, ANGLE, peaks(0.1))
    mirrored = peaks(0.1) + 0.3 * np.interp(ANGLE - 0.1, ANGLE, peaks(0.1))
    left, right, none = features(np.stack([shifted, mirrored, peaks(0.1)]))["skew 5-40"]
    assert left > 0.05 and right < -0.05 and abs(none) < 0.02


@pytest.mark.parametrize("noise", [0.002, 0.01])
def test_noise_and_the_level_it_stands_on(noise):
    result = features(noisy(peaks(0.1) + 3 * noise, noise).clip(0)).mean()
    assert result["noise"] == pytest.approx(noise, rel=0.1)
    assert result["floor"] == pytest.approx(3, rel=0.1)
    # The parabola that is taken out of 25 points takes three of their degrees of freedom.
    assert result["noise lag 1"] == pytest.approx(-3 / 25, abs=0.03)
    white = np.random.default_rng(1).normal(0, noise, (4, GRID.size + 1))
    correlated = (white[:, 1:] + white[:, :-1]) / np.sqrt(2)
    result = features((peaks(0.1) + 5 * noise + correlated).clip(0)).mean()
    assert result["noise lag 1"] > 0.35


def test_background_its_tilt_and_zeros():
    flat = peaks(0.1) + 0.05
    slope = peaks(0.1) + np.linspace(0.1, 0.02, GRID.size)
    cut = np.where(ANGLE > 47.5, flat, 0)
    result = features(np.stack([flat, slope, cut]))
    assert result["background"][0] == pytest.approx(0.05 / flat.mean(), rel=0.02)
    assert abs(result["tilt"][0]) < 0.02 and 1 < result["tilt"][1] < np.log(5)
    np.testing.assert_allclose(result["zero"], [0, 0, 0.5], atol=0.01)


def test_scale_and_order_do_not_matter():
    x = noisy(peaks(0.12), 0.005).clip(0)
    scaled = features(x[::-1] * np.array([[1], [10], [0.1], [1e4]]))
    np.testing.assert_allclose(scaled[::-1], features(x), rtol=1e-9)


def test_patterns_that_cannot_be_described_are_refused():
    x = noisy(peaks(0.1), 0.01).clip(0)
    for bad, problem in (
        (x[:, :-1], "intensities"),
        (x[0], "intensities"),
        (np.where(x == x[0, 0], np.nan, x), "finite"),
        (x * np.array([[1], [0], [1], [1]]), "Pattern 1 has no positive"),
    ):
        with pytest.raises(XrdlibError, match=problem):
            features(bad)


COARSE = Grid(5.0, 90.0, 0.05)


def sample(n, fwhm, noise, seed):
    """Patterns of peaks that the seed does not change, so that those of two samples are pairs."""
    places, rng = np.random.default_rng(0), np.random.default_rng(seed)
    centres, heights = places.uniform(8, 88, (n, 1, 20)), places.exponential(size=(n, 1, 20))
    widths = fwhm * np.exp(rng.normal(0, 0.2, (n, 1, 1)))
    x = (COARSE.two_theta[:, None] - centres) / widths
    pattern = (np.exp(-4 * np.log(2) * x * x) * heights).sum(2)
    return (pattern + 0.05 + rng.normal(0, noise, pattern.shape)).clip(0)


FAMILIES = np.repeat(np.arange(24), 2)


def test_samples_of_one_kind():
    a, b = sample(48, 0.2, 0.01, 1), sample(48, 0.2, 0.01, 2)
    result = two_sample(a, b, FAMILIES, permutations=40, grid=COARSE)
    low, high = result["features"]["null95"]
    assert low - 0.1 < result["features"]["auc"] < high + 0.1 and result["features"]["p"] > 0.02
    assert low < 0.5 < high
    assert result["pairs"] == 48 and result["groups"] == 24


def test_samples_that_differ_in_width_or_noise():
    a = sample(48, 0.2, 0.01, 1)
    wider = two_sample(a, sample(48, 0.4, 0.01, 2), FAMILIES, permutations=20, grid=COARSE)
    assert wider["features"]["auc"] > 0.95 and wider["features"]["p"] < 0.05
    assert wider["features"]["single"]["fwhm 30-60"] > 0.95
    noisier = two_sample(a, sample(48, 0.2, 0.03, 2), FAMILIES, permutations=0, grid=COARSE)
    assert noisier["features"]["auc"] > 0.95 and noisier["features"]["null95"] is None
    assert noisier["features"]["single"]["noise"] > 0.95


def test_families_are_never_on_both_sides():
    """What tells families apart, but not samples, is of no use."""
    rng = np.random.default_rng(3)
    base = sample(48, 0.2, 0.01, 1)
    # Within a family b is wider or narrower than a: knowing the family would decide.
    sign = np.repeat(rng.choice([0.8, 1.25], 24), 2)
    a, b = (
        np.stack([np.interp(COARSE.two_theta * 1.0, 47 + (COARSE.two_theta - 47) * s, row)
                  for s, row in zip(scale, base, strict=True)])
        for scale in (np.sqrt(sign), 1 / np.sqrt(sign))
    )  # fmt: skip
    result = two_sample(a, b, FAMILIES, permutations=0, grid=COARSE)
    assert result["features"]["auc"] < 0.75


def test_samples_that_do_not_match_are_refused():
    a = sample(8, 0.2, 0.01, 1)
    with pytest.raises(XrdlibError, match="do not match"):
        two_sample(a, a[:4], np.arange(8), grid=COARSE)
    with pytest.raises(XrdlibError, match="do not match"):
        two_sample(a, a, np.arange(7), grid=COARSE)
    with pytest.raises(XrdlibError, match="4 groups cannot be split into 5"):
        two_sample(a, a, np.repeat(np.arange(4), 2), grid=COARSE)
