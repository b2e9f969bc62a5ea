"""Samples of one kind cannot be told apart, samples of two kinds can."""

import numpy as np
import pytest

from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import Grid
from xrdlib.studies.two_sample import two_sample

GRID = Grid(5.0, 90.0, 0.05)


def sample(n, fwhm, noise, seed):
    """Patterns of peaks that the seed does not change, so that those of two samples are pairs."""
    places, rng = np.random.default_rng(0), np.random.default_rng(seed)
    centres, heights = places.uniform(8, 88, (n, 1, 20)), places.exponential(size=(n, 1, 20))
    widths = fwhm * np.exp(rng.normal(0, 0.2, (n, 1, 1)))
    x = (GRID.two_theta[:, None] - centres) / widths
    pattern = (np.exp(-4 * np.log(2) * x * x) * heights).sum(2)
    return (pattern + 0.05 + rng.normal(0, noise, pattern.shape)).clip(0)


FAMILIES = np.repeat(np.arange(24), 2)


def test_samples_of_one_kind():
    a, b = sample(48, 0.2, 0.01, 1), sample(48, 0.2, 0.01, 2)
    found = two_sample(a, b, FAMILIES, epochs=2, permutations=40, grid=GRID)
    low, high = found["features"]["null95"]
    assert low - 0.1 < found["features"]["auc"] < high + 0.1 and found["features"]["p"] > 0.02
    assert low < 0.5 < high
    assert 0.3 < found["network"]["auc"] < 0.7
    assert found["pairs"] == 48 and found["groups"] == 24


def test_samples_that_differ_in_width_or_noise():
    a = sample(48, 0.2, 0.01, 1)
    wider = two_sample(a, sample(48, 0.4, 0.01, 2), FAMILIES, permutations=20, epochs=0, grid=GRID)
    assert wider["features"]["auc"] > 0.95 and wider["features"]["p"] < 0.05
    assert wider["features"]["single"]["fwhm 30-60"] > 0.95
    assert wider["network"] is None
    noisier = two_sample(a, sample(48, 0.2, 0.03, 2), FAMILIES, permutations=0, epochs=6, grid=GRID)
    assert noisier["features"]["auc"] > 0.95 and noisier["features"]["null95"] is None
    assert noisier["network"]["auc"] > 0.9 and noisier["network"]["window_auc"] > 0.8
    assert noisier["features"]["single"]["noise"] > 0.95


def test_families_are_never_on_both_sides():
    """What tells families apart, but not samples, is of no use."""
    rng = np.random.default_rng(3)
    base = sample(48, 0.2, 0.01, 1)
    # Within a family b is wider or narrower than a: knowing the family would decide.
    sign = np.repeat(rng.choice([0.8, 1.25], 24), 2)
    a, b = (
        np.stack([np.interp(GRID.two_theta * 1.0, 47 + (GRID.two_theta - 47) * s, row)
                  for s, row in zip(scale, base, strict=True)])
        for scale in (np.sqrt(sign), 1 / np.sqrt(sign))
    )  # fmt: skip
    found = two_sample(a, b, FAMILIES, permutations=0, epochs=0, grid=GRID)
    assert found["features"]["auc"] < 0.75


def test_the_seed_fixes_the_result():
    a, b = sample(30, 0.2, 0.01, 1), sample(30, 0.25, 0.012, 2)
    first, again = (
        two_sample(a, b, FAMILIES[:30], seed=4, permutations=3, epochs=1, grid=GRID)
        for _ in range(2)
    )
    assert first == again


def test_samples_that_do_not_match_are_refused():
    a = sample(8, 0.2, 0.01, 1)
    with pytest.raises(XrdlibError, match="do not match"):
        two_sample(a, a[:4], np.arange(8), grid=GRID)
    with pytest.raises(XrdlibError, match="do not match"):
        two_sample(a, a, np.arange(7), grid=GRID)
    with pytest.raises(XrdlibError, match="4 groups cannot be split into 5"):
        two_sample(a, a, np.repeat(np.arange(4), 2), grid=GRID)
