"""Worked examples: what they show is so."""

import numpy as np
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core import Lattice, Structure

from xrdlib.base.patterns import GRID
from xrdlib.simulation import worked_example
from xrdlib.simulation.diffraction import reflections


def test_reflections_are_those_that_pymatgen_calculates():
    brucite = Structure.from_spacegroup(
        "P-3m1",
        Lattice.hexagonal(3.142, 4.766),
        ["Mg", "O"],
        [[0, 0, 0], [1 / 3, 2 / 3, 0.2203]],
    )
    theirs = XRDCalculator("CuKa1").get_pattern(brucite, two_theta_range=(0, 90))
    table = worked_example.table(reflections(worked_example.brucite()))
    ours = table.groupby(table["two_theta"].round(2))["intensity"].sum()
    ours = ours[ours > 1]
    strong = theirs.y > 1
    assert np.allclose(ours.index, theirs.x[strong], atol=0.02)
    scaled = 100 * theirs.y[strong] / theirs.y.max()
    assert np.allclose(100 * ours / ours.max(), scaled, atol=2)


def test_a_random_powder_has_no_texture_and_platelets_raise_the_basal_reflections():
    known = reflections(worked_example.brucite())
    assert np.allclose(worked_example.textured(known, 1.0).f2, known.f2, rtol=1e-5)
    ratio = worked_example.textured(known, 0.6).f2 / known.f2
    basal = (known.hkl[:, :2] == 0).all(axis=1)
    assert ratio[basal].min() > ratio[~basal].max()
    # Along the axis the factor is r^-3, across it r^(3/2).
    assert np.allclose(ratio[basal], 0.6**-3, rtol=1e-4)
    assert np.allclose(ratio[known.hkl[:, 2] == 0], 0.6**1.5, rtol=1e-4)


def test_each_step_of_a_pattern_adds_what_it_says():
    found = worked_example.steps()
    names = [name for name in found if name != "reflections"]
    assert all(found[name].shape == (GRID.size,) for name in names)
    assert all(abs(found[name].max() - 100) < 1e-3 for name in names)
    rough = {name: np.abs(np.diff(found[name], 2)[:400]).mean() for name in names}
    assert rough["noise"] > 10 * rough["background"]
    level = {name: np.median(found[name]) for name in names}
    assert level["background"] > 3 and level["subtracted"] < level["noise"] / 3


def test_absent_places_have_no_peak_and_all_that_is_allowed_shows():
    for case in worked_example.absences():
        at = np.rint((case["places"]["two_theta"] - GRID.start) / GRID.step).astype(int)
        height = case["pattern"][at]
        missing = case["places"]["absent"].to_numpy()
        assert (height[missing] < 0.1).all() and (height[~missing] > 0.1).all(), case["title"]
        assert missing.any() == (case["space_group"] != 221)
