"""Whole-pattern evidence: absences of every crystal system, cells and their relatives."""

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice as Cell
from pymatgen.core import Structure

from xrdlib import simulate
from xrdlib.base.errors import XrdlibError
from xrdlib.identification import intensity_evidence, lattice_evidence
from xrdlib.identification.index_cells import Lattice
from xrdlib.identification.pattern_evidence import score, score_cell
from xrdlib.identification.pattern_weights import PatternWeights, gather
from xrdlib.identification.peak_finder import find_peaks
from xrdlib.identification.related_lattices import alike, centring, distinct, of_cell, relatives
from xrdlib.prediction import pattern_training
from xrdlib.symmetry import groups
from xrdlib.symmetry.cells import cell_of_parameters as six

# Symbol, cell, atoms of the asymmetric unit: one or two of every crystal system.
KNOWN = {
    "rock salt": ("Fm-3m", Cell.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "silicon": ("Fd-3m", Cell.cubic(5.431), ["Si"], [[0.125, 0.125, 0.125]]),
    "pyrite": ("Pa-3", Cell.cubic(5.417), ["Fe", "S"], [[0, 0, 0], [0.385, 0.385, 0.385]]),
    "rutile": ("P4_2/mnm", Cell.tetragonal(4.594, 2.959), ["Ti", "O"],
               [[0, 0, 0], [0.305, 0.305, 0]]),
    "quartz": ("P3_121", Cell.hexagonal(4.913, 5.405), ["Si", "O"],
               [[0.47, 0, 1 / 3], [0.413, 0.267, 0.4525]]),
    "calcite": ("R-3c", Cell.hexagonal(4.99, 17.06), ["Ca", "C", "O"],
                [[0, 0, 0], [0, 0, 0.25], [0.257, 0, 0.25]]),
    "wurtzite": ("P6_3mc", Cell.hexagonal(3.25, 5.207), ["Zn", "O"],
                 [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.382]]),
    "aragonite": ("Pnma", Cell.orthorhombic(5.741, 4.961, 7.967), ["Ca", "C", "O", "O"],
                  [[0.241, 0.25, 0.415], [0.086, 0.25, 0.762], [0.096, 0.25, 0.922],
                   [0.087, 0.473, 0.681]]),
    "made up": ("P-1", Cell.from_parameters(5.1, 6.3, 7.7, 81, 95, 103), ["Ti", "O", "O"],
                [[0.13, 0.21, 0.34], [0.41, 0.07, 0.22], [0.31, 0.63, 0.45]]),
    "baddeleyite": ("P2_1/c", Cell.monoclinic(5.15, 5.21, 5.32, 99.2), ["Zr", "O", "O"],
                    [[0.275, 0.04, 0.208], [0.07, 0.332, 0.345], [0.45, 0.757, 0.479]]),
}  # fmt: skip


@pytest.fixture(scope="module")
def patterns():
    structures = [Structure.from_spacegroup(*about) for about in KNOWN.values()]
    return dict(zip(KNOWN, simulate(structures)[:, ::2], strict=True))


def group_of(name):
    symbols = [row["symbol"] for row in groups.table()["space_groups"]]
    number = 1 + symbols.index(KNOWN[name][0].replace("_", ""))
    return int(groups.group_of_space_group()[number])


def best(scored):
    top = max(scored, key=lambda own: own.worth)
    return int(top.evidence.argmax()) + 1


@pytest.mark.parametrize("name", KNOWN)
def test_in_its_own_cell_a_crystal_shows_its_absences(patterns, name):
    scored = score_cell(patterns[name], KNOWN[name][1].parameters)
    found = max(scored, key=lambda own: own.worth)
    label = group_of(name)
    same = groups.diffraction_classes()
    ranked = np.argsort(-found.evidence) + 1
    assert same[ranked[0] - 1] == same[label - 1]
    assert found.misfit / found.points < 2 and len(found.unindexed) <= 1


def test_evidence_does_not_depend_on_the_scale_of_intensities(patterns):
    cell = KNOWN["rutile"][1].parameters
    one, other = (score_cell(k * patterns["rutile"], cell)[0].evidence for k in (1.0, 3e4))
    finite = np.isfinite(one)
    assert np.allclose(one[finite], other[finite], atol=1e-3)


def test_axes_may_be_named_in_any_order(patterns):
    a, b, c = KNOWN["aragonite"][1].abc
    found = [score_cell(patterns["aragonite"], (*edges, 90, 90, 90))[0] for edges in
             ((a, b, c), (c, a, b), (b, a, c))]  # fmt: skip
    assert len({int(own.evidence.argmax()) for own in found}) == 1
    assert np.ptp([own.evidence.max() for own in found]) < 1


@pytest.mark.parametrize("name", ["rutile", "rock salt", "aragonite", "baddeleyite"])
def test_a_cell_of_twice_the_size_indexes_the_same_and_is_worth_less(patterns, name):
    a, b, c, *angles = KNOWN[name][1].parameters
    factor = (2, 2, 2) if name == "rock salt" else (1, 1, 2)
    larger = (a * factor[0], b * factor[1], c * factor[2], *angles)
    lattices = [of_cell(cell)[0] for cell in ((a, b, c, *angles), larger)]
    found = score(patterns[name], find_peaks(patterns[name]), lattices)
    assert alike(found[0].lattice, lattices[0])


def test_a_wrong_cell_leaves_peaks_unindexed(patterns):
    wrong = score_cell(patterns["quartz"], (4.7, 4.7, 5.2, 90, 90, 120))[0]
    right = score_cell(patterns["quartz"], KNOWN["quartz"][1].parameters)[0]
    assert len(wrong.unindexed) > 5 > len(right.unindexed)
    assert right.evidence.max() > wrong.evidence.max() + 50


def test_a_weak_superlattice_is_found_from_its_unindexed_peaks(patterns):
    """Indexing that overlooks the odd reflections of rock salt gives a cell of half the edge."""
    y = patterns["rock salt"]
    half = Lattice("cubic", np.array([1 / 2.82**2]), 10.0)
    found = score(y, find_peaks(y), [half])
    assert found[0].derived and np.isclose(six(*found[0].lattice[:2])[0], 5.64, atol=0.01)
    assert best(found) == group_of("rock salt")


def test_a_metric_of_higher_symmetry_is_found():
    """The tetragonal cell of an F-centred cubic lattice."""
    tetragonal = of_cell((4.0, 4.0, 4.0 * np.sqrt(2), 90, 90, 90))[0]
    setting = next(i for i, s in enumerate(centring("tetragonal")) if len(s) == 1)
    found = relatives(tetragonal, setting, None, np.zeros(0))
    assert [x.system for x in found] == ["cubic"]
    assert np.isclose(six(*found[0][:2])[0], 4.0 * np.sqrt(2))


def test_a_cell_is_of_all_systems_that_its_axes_permit():
    systems = [x.system for x in of_cell((5, 5, 5, 90, 90, 90))]
    assert systems == ["cubic", "tetragonal", "orthorhombic", "monoclinic"]
    assert [x.system for x in of_cell((5, 5, 8, 90, 90, 120))] == ["hexagonal", "monoclinic"]
    assert [x.system for x in of_cell((5, 6, 7, 90, 90, 98))] == ["monoclinic"]
    assert [x.system for x in of_cell((5, 6, 7, 80, 95, 98))] == ["triclinic"]
    with pytest.raises(XrdlibError, match="impossible"):
        of_cell((5, 6, 7, 10, 95, 170))


PRIMITIVE = {  # cells of pymatgen's primitive lattices, and the conventional ones
    "R": ((6.375, 6.375, 6.375, 46.08, 46.08, 46.08), "hexagonal"),
    "F": ((3.84, 3.84, 3.84, 60, 60, 60), "cubic"),
    "I": ((3.7845, 3.7845, 5.4577, 69.714, 69.714, 90), "tetragonal"),
}


@pytest.mark.parametrize(("cell", "system"), PRIMITIVE.values(), ids=PRIMITIVE)
def test_primitive_cells_are_those_of_their_lattices(cell, system):
    found = of_cell(cell)[0]
    assert found.system == system
    volume = [Cell.from_parameters(*c).volume for c in (cell, six(*found[:2]))]
    assert np.isclose(volume[1] / volume[0], round(volume[1] / volume[0]), rtol=1e-3)


def test_a_cell_that_cannot_be_fitted_is_refused(patterns):
    for cell in ((0.6, 0.6, 0.6, 90, 90, 90), (60, 70, 80, 90, 90, 90)):
        with pytest.raises(XrdlibError, match="no reflection in the range of the scan, or too"):
            score_cell(patterns["quartz"], cell)


def test_repeats_of_a_lattice_are_left_out():
    edges = ((5, 6, 7), (7, 5, 6), (5, 6, 7.2))
    lattices = [of_cell((*e, 90, 90, 90))[0] for e in edges]
    assert len(distinct(lattices, 3)) == 2
    skew = [of_cell(cell)[0] for cell in ((6, 5, 8, 90, 100, 90), (6, 5, 8, 90, 80, 90))]
    assert len(distinct(skew, 3)) == 1


def test_integrals_over_overlapping_reflections_are_those_of_a_fine_grid():
    rng = np.random.default_rng(0)
    edge = np.concatenate([[0], np.geomspace(1e-6, 100, 1500)])
    x, width = (edge[1:] + edge[:-1]) / 2, np.diff(edge)
    shares, scales = intensity_evidence.SHARES, intensity_evidence.SCALES

    def prior(mean):
        return sum(
            s / (mean * c) * np.exp(-x / (mean * c)) for s, c in zip(shares, scales, strict=True)
        )

    for _ in range(5):
        rows = rng.normal(size=(3, 2))
        normal, right = (
            rows.T @ rows * rng.uniform(0.5, 30),
            rng.normal(size=2) * rng.uniform(0.5, 8),
        )
        mean = rng.uniform(0.05, 3, 2)
        square = normal[0, 0] * x[:, None] ** 2 + normal[1, 1] * x**2
        likelihood = np.exp(right[0] * x[:, None] + right[1] * x - 0.5 * square
                            - normal[0, 1] * np.outer(x, x))  # fmt: skip
        expected = np.log((prior(mean[0]) * width) @ likelihood @ (prior(mean[1]) * width))
        both = np.ones(2, dtype=bool)
        found = intensity_evidence._integral(normal, right, mean, both, shares, scales)
        assert np.isclose(found, expected, atol=0.02)


@pytest.fixture(scope="module")
def fitted(patterns):
    """Every crystal in its own cell, and its class 0..98."""
    found = [score_cell(patterns[name], KNOWN[name][1].parameters) for name in KNOWN]
    return found, np.array([group_of(name) - 1 for name in KNOWN])


def test_a_known_cell_rules_out_groups_of_other_systems(fitted):
    weights = PatternWeights().eval()
    same = groups.diffraction_classes()
    for own, label in zip(*fitted, strict=True):
        logp = weights.known(own)
        assert np.isclose(np.exp(logp).sum(), 1) and same[logp.argmax()] == same[label]
        permitted = np.isfinite([x.evidence for x in own]).any(0)
        permitted[98] = True  # any crystal may be triclinic by its atoms
        assert np.exp(logp[~permitted]).sum() < 1e-6
    assert weights.known([]).argmax() == 98


def test_without_a_fit_groups_are_equally_likely(fitted):
    inputs = gather([[], fitted[0][0]])
    assert torch.isfinite(inputs[0]).all() and inputs[0].abs().max() < 20
    with torch.inference_mode():
        found = PatternWeights().eval()(*inputs)
    assert torch.allclose(found[0], torch.full((99,), -np.log(99.0)), atol=1e-5)
    assert torch.allclose(found.exp().sum(1), torch.ones(2), atol=1e-5)


def test_trust_in_fits_is_learned_and_kept_in_a_file(fitted, tmp_path):
    flat = np.full((len(KNOWN), 99), -np.log(99))
    weights = pattern_training.train(fitted[0], flat, fitted[1], epochs=60)
    evidence = lattice_evidence.LatticeEvidence({}, lattice_evidence.make_network(), weights)
    lattice_evidence.save(tmp_path / "file", evidence, {})
    again = lattice_evidence.load(tmp_path / "file")[0]
    logp = again.weigh_fits(fitted[0])
    assert np.array_equal(logp, evidence.weigh_fits(fitted[0]))
    assert np.exp(logp[np.arange(len(KNOWN)), fitted[1]]).mean() > 0.4
