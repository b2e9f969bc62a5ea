"""Statistics of crystals against textbook structures, pymatgen and the fitted minerals."""

import json
from dataclasses import replace

import gemmi
import needed
import numpy as np
import pytest
import samples
from pymatgen.analysis.diffraction.xrd import XRDCalculator

from xrdlib.base.errors import XrdlibError
from xrdlib.simulation.crystal_statistics import compare, describe
from xrdlib.structures import minerals, recipes
from xrdlib.structures.crystals import generate
from xrdlib.structures.detection import asymmetric_unit, detect
from xrdlib.structures.minerals import fitted
from xrdlib.structures.structure_library import one_of_each
from xrdlib.symmetry.cells import cell_of_lattice
from xrdlib.symmetry.groups import operations

NAMES, NUMBERS = samples.NAMES, samples.NUMBERS


@pytest.fixture(scope="module")
def random_crystals():
    return samples.random_crystals(1500, 8)


def test_symmetry_and_sites_of_textbook_structures(textbook):
    free = {"halite": [0, 0], "quartz": [1, 3], "rutile": [0, 1], "calcite": [0, 0, 1]}
    free |= {"forsterite": [0, 2, 2, 2, 3], "spinel": [0, 0, 1], "dolomite": [0, 0, 1, 3]}
    for i, (name, number) in enumerate(zip(NAMES, NUMBERS, strict=True)):
        described = detect(textbook, i)
        assert described.space_group == number, name
        assert len(described.rotations) == len(operations(number)[0]), name
        first, multiplicity, freedom = asymmetric_unit(described, textbook.lattice[i])
        stated = samples.TABLE[name][2].split(";") if name != "spinel" else "Fe8 Fe16 O32".split()
        assert len(first) == len(stated), name
        assert multiplicity.sum() == len(described.frac), name
        # Only a place on the general position is in as many copies as there are operations.
        assert ((freedom == 3) == (multiplicity == len(described.rotations))).all(), name
        assert sorted(freedom) == free.get(name, sorted(freedom)), name


def test_measures_of_textbook_structures(textbook):
    described = describe(textbook)
    halite, quartz, spinel = (NAMES.index(name) for name in ("halite", "quartz", "spinel"))
    assert described["volume per atom"][halite] == pytest.approx(5.6402**3 / 8)
    assert described["atoms per cell"][spinel] == pytest.approx(8 * 0.9 + 16 + 32)
    assert described["impure sites"][spinel] == pytest.approx(2 / 3)
    assert described["special sites"][quartz] == 0.5 and described["special sites"][halite] == 1
    assert described["elements"][spinel] == 4 and described["sites"][spinel] == 3
    assert described["longest to shortest axis"][quartz] == pytest.approx(5.4052 / 4.9134)
    assert np.isnan(described["longest to shortest axis"][halite])
    assert described["oblique angle"][NAMES.index("tremolite-like")] == pytest.approx(104.79)
    assert np.isnan(described["oblique angle"][quartz])


def test_lines_against_pymatgen(textbook):
    described = describe(textbook)
    calculator = XRDCalculator(wavelength=1.540593)
    for name in ("halite", "silicon", "rutile"):
        pattern = calculator.get_pattern(samples.structures()[name], scaled=False)
        i, unique = NAMES.index(name), sum(len(h) for h in pattern.hkls)
        assert described["lines"][i] == unique, name
        share = pattern.y.max() / pattern.y.sum()
        assert described["strongest line"][i] == pytest.approx(share, rel=0.06), name


def test_hydrogen_is_left_out(textbook):
    halite = textbook.take([0])
    hydride = replace(halite, number=np.where(halite.number == 17, 1, halite.number))
    described = describe(hydride)
    assert (
        described["atoms per cell"] == 4 and described["elements"] == 1 and described["sites"] == 1
    )


def test_cells_are_gemmis():
    stated = np.array([[4.0, 5.0, 6.0, 80.0, 95.0, 110.0], [3.0, 3.0, 9.0, 90.0, 90.0, 120.0]])
    lattice = np.array([np.array(gemmi.UnitCell(*cell).orth.mat.tolist()).T for cell in stated])
    assert np.allclose(cell_of_lattice(lattice), stated)


def test_a_set_does_not_differ_from_itself_and_does_from_another(textbook, random_crystals):
    part = random_crystals.take(slice(0, 60))
    same = compare(part, part)
    json.dumps(same, allow_nan=False)
    for name, quantity in same["quantities"].items():
        assert quantity["distance"] == 0, name
        assert quantity["share"][0] == quantity["share"][1], name
        assert sum(quantity["share"][0]) == pytest.approx(1), name
        assert sorted(quantity["quantiles"][0]) == quantity["quantiles"][0], name
    assert same["elements"]["correlation"] == pytest.approx(1)
    large = replace(part, lattice=part.lattice * 2)
    other = compare(part, large)["quantities"]
    assert other["volume per atom"]["distance"] == 1 and other["sites"]["distance"] == 0
    halite = compare(textbook.take([0]), textbook.take([0, 1]))
    assert halite["pairs"]["commonest"] == [["Na", "Cl", 1.0, 0.5]]
    assert halite["quantities"]["oblique angle"] is None


def test_elements_go_together_as_in_minerals(random_crystals):
    parts = np.split(random_crystals.number, random_crystals.start[1:-1])
    table = minerals.table()
    held = np.array([np.isin(table["number"], part) for part in parts]).astype(float)
    share = dict(zip(table["symbol"], held.T, strict=True))

    def lift(a, b):
        return (share[a] * share[b]).mean() / (share[a].mean() * share[b].mean())

    assert lift("Si", "O") > 1.2 > 1 > lift("Si", "S")
    assert lift("S", "O") < 0.8 and lift("Cl", "S") < 1
    # Sets of two elements and of four differ in chemistry, so shares follow only roughly.
    drawn = np.log(held.mean(0) + 1e-3)
    assert np.corrcoef(np.log(table["frequency"]), drawn)[0, 1] > 0.9


def test_random_crystals_resemble_published_ones():
    """A fresh sample of all structures, so with many that the fit has not seen."""
    published, table = needed.amcsd_sample()
    published = published.take((table["agrees"] & (table["n_atoms"] < 300)).to_numpy())
    made = generate(recipes.shipped(), published.space_group, len(published), seed=2)
    described = compare(one_of_each(published), made)["quantities"]
    for name in ("volume per atom", "atoms per cell", "special sites", "lines", "strongest line"):
        assert described[name]["distance"] < 0.25, name


def test_fitted_tables_belong_together():
    described = fitted()
    e = len(described["elements"])
    assert [len(row) for row in described["pairs"]] == list(range(e))
    assert [len(row) for row in described["weights"]] == [e] * 4
    assert set(described["substitutes"]) == set(described["elements"])
    assert sum(described["kinds"]) == pytest.approx(1, abs=0.01) and described["structures"] > 4000


def test_bad_input(textbook):
    with pytest.raises(XrdlibError, match="unknown space group"):
        describe(samples.crystals())
    with pytest.raises(XrdlibError, match="nothing to compare"):
        compare(textbook, textbook.take([]))
