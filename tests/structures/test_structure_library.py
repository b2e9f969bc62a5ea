from collections import Counter
from dataclasses import replace

import gemmi
import needed
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrdlib.base.errors import XrdlibError
from xrdlib.learning import priors
from xrdlib.structures import structure_library, unit_cells
from xrdlib.structures.entries import Entry, Unreadable
from xrdlib.symmetry.groups import group_of_space_group, operations

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")
DALTON = 1.66053907  # g/cm^3 of one atomic mass unit per cubic angstrom


def entry(symbol, cell, sites, mineral=""):
    operators = tuple(op.triplet() for op in gemmi.find_spacegroup_by_name(symbol).operations())
    labels, frac, occupancy = zip(*sites, strict=True)
    about = " ".join(labels), symbol, operators, cell, gemmi.UnitCell(*cell).volume, np.nan
    sites = list(labels), np.array(frac, dtype=float), np.array(occupancy, dtype=float)
    return Entry("1", mineral, *about, *sites)


HALITE = entry(
    "F m -3 m",
    (5.64, 5.64, 5.64, 90, 90, 90),
    [("Na", (0, 0, 0), 1), ("Cl", (0.5, 0.5, 0.5), 1)],
    mineral="Halite",
)
QUARTZ = entry(
    "P 32 2 1",
    (4.913, 4.913, 5.405, 90, 90, 120),
    [("Si", (0.4697, 0, 2 / 3), 1), ("O", (0.4135, 0.2669, 0.7858), 1)],
    mineral="Quartz",
)


def content(crystals, i):
    """Atoms in the cell by element, occupancies counted."""
    rows = slice(crystals.start[i], crystals.start[i + 1])
    total = Counter()
    for z, share in zip(crystals.number[rows], crystals.occupancy[rows], strict=True):
        total[gemmi.Element(int(z)).name] += float(share)
    return {name: pytest.approx(n, abs=1e-5) for name, n in total.items()}


def test_halite_and_quartz_fill_their_cells():
    crystals, table = structure_library.build([HALITE, QUARTZ])
    assert {"Na": 4, "Cl": 4} == content(crystals, 0)
    assert {"Si": 3, "O": 6} == content(crystals, 1)
    assert list(table["stated"]) == [225, 154] == list(table["detected"])
    assert list(crystals.group) == [group_of_space_group()[225], group_of_space_group()[154]]
    assert table["agrees"].all() and table["agrees_space_group"].all()
    assert [len(np.unique(r, axis=0)) for r in crystals.rotations] == [24, 6]


def test_rounded_cells_get_the_metric_of_their_symmetry():
    cell = (4.913, 4.9131, 5.405, 90, 90, 120.002)
    crystals, _ = structure_library.build([replace(QUARTZ, cell=cell, volume=np.nan)])
    metric = crystals.lattice[0] @ crystals.lattice[0].T
    for w in crystals.rotations[0].astype(float):
        np.testing.assert_allclose(w.T @ metric @ w, metric, atol=1e-12)
    published = np.array(gemmi.UnitCell(*cell).orth.mat.tolist()).T
    np.testing.assert_allclose(crystals.lattice[0], published, atol=5e-4)


def test_mixed_site_keeps_both_atoms_and_the_symmetry():
    mixed = entry(
        "F m -3 m",
        (4.25, 4.25, 4.25, 90, 90, 90),
        [("Mg", (0, 0, 0), 0.7), ("Fe", (0, 0, 0), 0.3), ("O", (0.5, 0.5, 0.5), 1)],
    )
    crystals, table = structure_library.build([mixed])
    assert {"Mg": 2.8, "Fe": 1.2, "O": 4} == content(crystals, 0)
    assert len(crystals.number) == 12
    assert table["detected"][0] == 225


def test_atoms_more_symmetric_than_stated_are_flagged():
    cubic_in_disguise = entry("P 4/m m m", (4, 4, 4, 90, 90, 90), [("Po", (0, 0, 0), 1)])
    _, table = structure_library.build([cubic_in_disguise])
    assert table["detected"][0] == 221
    assert not table["agrees"][0] and not table["agrees_space_group"][0]
    inversion_not_stated = entry("P 2 2 2", (4, 5, 6, 90, 90, 90), [("Po", (0, 0, 0), 1)])
    _, table = structure_library.build([inversion_not_stated])
    assert table["detected"][0] == 47
    assert table["agrees"][0] and not table["agrees_space_group"][0]


@given(
    frac=st.tuples(*[st.floats(0, 1, exclude_max=True)] * 3), number=st.sampled_from([14, 62, 167])
)
@settings(max_examples=30, deadline=None)
def test_number_of_images_divides_the_group_order(frac, number):
    lattice = np.diag([6.0, 6.0, 9.0])
    if number == 167:
        lattice[1] = [-3, 27**0.5, 0]
    group = operations(number)
    images = unit_cells.expand(frac, *group, lattice)
    assert len(group[0]) % len(images) == 0
    assert len(unit_cells.expand(images[-1], *group, lattice)) == len(images)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"volume": 100.0}, "contradicts"),
        ({"cell": (5.64, 5.64, 5.64, 30, 30, 90)}, "impossible cell"),
        ({"frac": np.full((2, 3), np.nan)}, "without coordinates"),
        ({"labels": ["Na", "M1"]}, "no element"),
        ({"operators": ("x,y,z", "y,z,w")}, "cannot be parsed"),
        ({"operators": ("x,y,z",) + tuple("x,y,-z -x,y,z x,z,y y,z,x".split())}, "no group"),
        ({"occupancy": np.zeros(2)}, "no atoms"),
        ({"cell": (5.64, 5.64, 5.66, 90, 90, 90), "volume": np.nan}, "contradict the cell"),
        ({"frac": np.array([[0, 0, 0], [0.02, 0, 0.02]])}, "upon each other"),
    ],
)
def test_unusable_structures_are_counted_by_reason(changes, reason):
    _, table = structure_library.build(
        [replace(HALITE, **changes), QUARTZ, Unreadable("torn page")]
    )
    assert list(table["mineral"]) == ["Quartz"]
    skipped = table.attrs["skipped"]
    assert skipped.pop("torn page") == 1
    assert len(skipped) == 1 and reason in next(iter(skipped))


def test_stated_space_group_falls_back_on_the_operators():
    ops = tuple(o.triplet() for o in gemmi.find_spacegroup_by_name("P n m a").operations())
    assert unit_cells.stated_space_group("P n m a", ()) == 62
    assert unit_cells.stated_space_group("P 1 n m a 1", ops) == 62
    assert unit_cells.stated_space_group("Q", ops[:-1]) == 0


def test_families_join_an_unnamed_structure_to_its_mineral():
    unnamed = replace(HALITE, mineral="")
    other_form = replace(HALITE, mineral="", symbol="P m -3 m")
    _, table = structure_library.build([HALITE, unnamed, other_form, QUARTZ])
    assert list(table["family"]) == ["Halite", "Halite", "Na Cl", "Quartz"]
    assert table["type"][0] == table["type"][1] == "Halite"


def test_prior_gives_each_mineral_one_vote():
    many = structure_library.build([HALITE] * 9 + [QUARTZ, replace(HALITE, mineral="", id="2")])[1]
    prior = priors.minerals_prior(many, strength=1e-9)
    assert prior[group_of_space_group()[[225, 154]] - 1] == pytest.approx(0.5)
    smooth = priors.minerals_prior(many)
    assert smooth.min() > 0 and smooth.sum() == pytest.approx(1)


def test_amcsd_density_from_the_filled_cell_is_the_stated_one():
    crystals, table = needed.amcsd_sample()
    # Where hydrogen was not located the stated density has it and the sites have not.
    dry = ~table["formula"].str.contains(r"[HD](?![a-z])") & table["density"].notna()
    mass = np.array([gemmi.Element(int(z)).weight for z in crystals.number]) * crystals.occupancy
    total = np.add.reduceat(mass, crystals.start[:-1]) * DALTON / table["volume"]
    ratio = (total / table["density"])[dry]
    assert dry.sum() > 130
    assert (np.abs(ratio - 1) < 2e-3).mean() > 0.99


def test_amcsd_symmetry_mostly_agrees():
    _, table = needed.amcsd_sample()
    assert table["agrees"].mean() > 0.95
    assert (table["agrees_space_group"] <= table["agrees"]).all()
    assert 0.02 < table["holdout"].mean() < 0.2


def test_amcsd_is_written_and_read_back(tmp_path):
    crystals, table = structure_library.build_amcsd(needed.data("amcsd"), tmp_path, limit=12)
    again, frame = structure_library.load_amcsd(tmp_path)
    assert len(again) == len(frame) == 12 - sum(table.attrs["skipped"].values()) > 6
    assert np.array_equal(again.frac, crystals.frac)
    assert frame.equals(table)
    (tmp_path / "amcsd.parquet").unlink()
    with pytest.raises(XrdlibError, match="run the stage"):
        structure_library.load_amcsd(tmp_path)
