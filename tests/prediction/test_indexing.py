"""Tables of cells: crystals are found in their standard setting, and the tables are consistent."""

from dataclasses import replace

import bundled
import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xrdlib import load_predictor, simulate
from xrdlib.base.errors import XrdlibError
from xrdlib.identification.figures_of_merit import Merit
from xrdlib.prediction import cell_table, cell_words, indexing, peak_positions
from xrdlib.simulation.diffraction import WAVELENGTHS
from xrdlib.symmetry import groups

TWO_THETA = np.linspace(5, 90, 8501)

# Symbol, cell, atoms of the asymmetric unit; crystal system and centring to be told.
CRYSTALS = {
    "silicon": (("Fd-3m", Lattice.cubic(5.431), ["Si"], [[0.125, 0.125, 0.125]]), "cubic", "F"),
    "rutile": (("P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"],
                [[0, 0, 0], [0.305, 0.305, 0]]), "tetragonal", "P"),
    "calcite": (("R-3c", Lattice.hexagonal(4.99, 17.06), ["Ca", "C", "O"],
                 [[0, 0, 0], [0, 0, 0.25], [0.257, 0, 0.25]]), "trigonal", "R"),
    "baddeleyite": (("P2_1/c", Lattice.monoclinic(5.15, 5.21, 5.32, 99.2), ["Zr", "O", "O"],
                     [[0.275, 0.04, 0.208], [0.07, 0.332, 0.345], [0.45, 0.757, 0.479]]),
                    "monoclinic", "P"),
}  # fmt: skip


@pytest.fixture(scope="module")
def patterns():
    made = [Structure.from_spacegroup(*crystal) for crystal, *_ in CRYSTALS.values()]
    return dict(zip(CRYSTALS, simulate(made), strict=True))


@pytest.fixture(scope="module")
def indexed(patterns):
    predictor = bundled.predictor()
    return {
        name: cell_table.find_cells(predictor, TWO_THETA, pattern, "CuKa1")
        for name, pattern in patterns.items()
    }


@pytest.mark.parametrize("name", CRYSTALS)
def test_a_crystal_has_its_own_cell(indexed, name):
    crystal, system, centring = CRYSTALS[name]
    best = cell_table.table(indexed[name][1]).iloc[0]
    assert (best.crystal_system, best.centring) == (system, centring)
    cell = [best.a, best.b, best.c, best.alpha, best.beta, best.gamma]
    assert np.allclose(cell, crystal[1].parameters, rtol=3e-3)
    assert np.isclose(best.volume, crystal[1].volume, rtol=6e-3) and abs(best.zero) < 0.03
    assert best.M20 > 20 and best.F20 > 20 and best.unindexed <= 1


@pytest.mark.parametrize("name", CRYSTALS)
def test_rows_are_in_order_and_count_all_peaks(indexed, name):
    peaks, cells = indexed[name]
    rows = cell_table.table(cells)
    assert list(rows) == indexing.COLUMNS and rows.probability.is_monotonic_decreasing
    assert np.isclose(rows.probability.sum(), 1)
    assert ((rows.indexed + rows.unindexed) <= len(peaks.two_theta)).all()
    monoclinic = rows[rows.crystal_system == "monoclinic"]
    assert (monoclinic.beta >= 90).all() and (monoclinic[["alpha", "gamma"]] == 90).all().all()


def test_positions_tell_where_each_peak_belongs(indexed):
    peaks, cells = indexed["rutile"]
    rows = peak_positions.positions(peaks, cells[0])
    both = rows.dropna()
    # One peak or more for a reflection, each once; the difference is observed minus calculated.
    assert rows.two_theta_obs.dropna().tolist() == pytest.approx(peaks.two_theta)
    assert np.allclose(both.two_theta_obs - both.two_theta_calc, both.difference)
    assert rows.intensity.max() == 100 and both.h.iloc[0] == both.k.iloc[0] == 1
    first = both.head(cells[0].merit.n)
    spread = np.abs(first.difference).mean() * cells[0].merit.possible
    assert np.isclose(cells[0].merit.f, cells[0].merit.n / spread, rtol=1e-6)
    angle = rows.two_theta_calc.fillna(rows.two_theta_obs)
    assert angle.is_monotonic_increasing


def test_a_zero_shift_is_reported_and_does_no_harm(patterns):
    _, cells = cell_table.find_cells(
        bundled.predictor(), TWO_THETA + 0.05, patterns["baddeleyite"], "CuKa1"
    )
    assert np.isclose(cells[0].zero, 0.05, atol=0.02)
    assert np.allclose(cells[0].standard.cell[:3], (5.15, 5.21, 5.32), rtol=3e-3)


def test_another_wavelength_gives_the_same_cell(patterns):
    molybdenum = WAVELENGTHS["MoKa1"]
    sine = np.sin(np.radians(TWO_THETA) / 2) * molybdenum / WAVELENGTHS["CuKa1"]
    angle = 2 * np.degrees(np.arcsin(sine))
    peaks, cells = cell_table.find_cells(bundled.predictor(), angle, patterns["rutile"], molybdenum)
    assert np.allclose(cells[0].standard.cell[:3], (4.594, 4.594, 2.959), rtol=3e-3)
    assert peaks.wavelength == molybdenum and np.isclose(peaks.two_theta[0], 12.5, atol=0.1)


def test_impossible_requests_are_refused(patterns):
    with pytest.raises(XrdlibError, match="top_k is 0"):
        cell_table.index(TWO_THETA, patterns["rutile"], top_k=0)
    with pytest.raises(XrdlibError, match="whole-pattern fits"):
        less = load_predictor(indexing=False)
        cell_table.find_cells(less, TWO_THETA, patterns["rutile"])


def test_an_answer_tells_its_cell(patterns, indexed):
    predictor = bundled.predictor()
    lattice = predictor.recognise(TWO_THETA, [patterns["silicon"]], "CuKa1")[2][0]
    assert lattice["centring"] == "F" and lattice["cell"][0] == pytest.approx(5.431, rel=3e-3)
    words = cell_words.sentence(lattice, groups.symbols()[lattice["group"] - 1])
    assert "cubic F" in words and f"M{lattice['peaks']} = " in words
    doubted = cell_words.sentence({**lattice, "doubtful": True}, "F d - -")
    assert "doubtful" in doubted and "doubtful" not in words


def test_cells_that_index_too_little_are_doubtful_or_not_reported(indexed):
    best = indexed["calcite"][1][0]
    assert cell_words.is_good(best) and not cell_words.is_doubtful(best)
    few = replace(best, indexed=7, unindexed=3)
    assert cell_words.is_good(few) and "doubtful" in cell_words.verdict([few])[0]
    for bad in (
        replace(best, indexed=5, unindexed=5),
        replace(best, merit=Merit(3.0, 2.0, 20, 90)),
    ):
        assert not cell_words.is_good(bad) and "not indexed" in cell_words.verdict([bad])[0]
    assert cell_words.is_doubtful(replace(best, probability=0.5))


def test_nothing_is_indexed_without_peaks():
    assert "No cell" in cell_words.verdict([])[0]
