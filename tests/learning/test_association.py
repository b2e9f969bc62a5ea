"""Associations within classes, and shares of variance, against made-up truths."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from xrdlib.base.errors import XrdlibError
from xrdlib.learning.statistics import association, explained_variance

FEW = {"n_permutations": 200, "n_boot": 200}


def test_without_strata_it_is_spearmans_correlation():
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    y = x + rng.normal(size=80)
    result = association(x, y, np.arange(80), **FEW)
    assert result["rho"] == pytest.approx(spearmanr(x, y).statistic)
    assert result["p"] == pytest.approx(1 / 201) and result["n_informative"] == 80
    low, high = result["rho_ci95"]
    assert low < result["rho"] < high and low > 0


def test_a_difference_between_classes_is_no_association_within_them():
    rng = np.random.default_rng(1)
    classes = np.repeat([0, 1], 60)
    x, y = rng.normal(size=120) + 5 * classes, rng.normal(size=120) + 5 * classes
    over_all = association(x, y, np.arange(120), **FEW)
    within = association(x, y, np.arange(120), classes, **FEW)
    assert over_all["rho"] > 0.6 and over_all["p"] < 0.01
    assert abs(within["rho"]) < 0.3 and within["p"] > 0.05


def test_classes_that_do_not_vary_say_nothing():
    hit, classes = np.array([1, 1, 1, 0, 1, 0]), np.array([0, 0, 0, 1, 1, 1])
    x = np.arange(6.0)
    result = association(x, hit, np.arange(6), classes, **FEW)
    assert (result["n"], result["n_informative"], result["strata_informative"]) == (6, 3, 1)
    none = association(x[:3], hit[:3], np.arange(3), **FEW)
    assert none["rho"] is None and none["p"] is None and none["n_informative"] == 0
    gone = association([1.0, np.nan, 2.0, 3.0], [1.0, 5.0, 2.0, 3.0], np.arange(4), **FEW)
    assert gone["n"] == 3 and gone["rho"] == pytest.approx(1)
    with pytest.raises(XrdlibError, match="as many numbers"):
        association([1.0], [1.0, 2.0], [1, 2])


def test_patterns_of_one_family_are_not_counted_as_independent():
    rng = np.random.default_rng(2)
    family = np.repeat(np.arange(8), 30)
    x, y = (rng.normal(size=8)[family] + 0.01 * rng.normal(size=240) for _ in range(2))
    by_family, blind = (association(x, y, f, **FEW) for f in (family, np.arange(240)))
    assert np.ptp(by_family["rho_ci95"]) > 3 * np.ptp(blind["rho_ci95"])
    assert by_family["p"] > blind["p"]


def test_a_fit_explains_other_families_only_where_there_is_something():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(300, 2))
    y = x[:, 0] + 0.5 * rng.normal(size=300)
    family = np.arange(300) // 2
    good = explained_variance(x, y, family, 100)
    assert good["share"] == pytest.approx(0.8, abs=0.08) and good["p"] < 0.05
    none = explained_variance(rng.normal(size=(300, 2)), y, family, 100)
    assert none["share"] < 0.05 and good["null95"] < 0.1
    x[::7, 1] = np.nan
    assert explained_variance(x, y, family, 20)["share"] > 0.7
