"""`simulate` against pymatgen's lines, and its Laue symmetry against spglib's point groups."""

from dataclasses import replace

import numpy as np
import pytest
import samples
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core import DummySpecies, Lattice, Structure

import xrdlib
from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import CALCULATION_GRID
from xrdlib.simulation.diffraction import reflections, resolve_wavelength
from xrdlib.simulation.equivalents import laue_rotations

ANGLES = CALCULATION_GRID.two_theta


def dense(structure, wavelength, fwhm, eta):
    """pymatgen's lines under the same profile, maximum 100."""
    lines = XRDCalculator(wavelength).get_pattern(structure, scaled=False, two_theta_range=(0, 95))
    x = (ANGLES[:, None] - lines.x) / fwhm
    gauss = 2 * np.sqrt(np.log(2) / np.pi) * np.exp(-4 * np.log(2) * x**2)
    pattern = (eta * 2 / np.pi / (1 + 4 * x**2) + (1 - eta) * gauss) @ lines.y
    return 100 * pattern / pattern.max()


def test_against_pymatgen():
    structures = list(samples.structures().values())
    ours = xrdlib.simulate(structures)
    assert ours.shape == (len(structures), 8501) and ours.dtype == np.float32
    np.testing.assert_allclose(ours.max(1), 100, rtol=1e-5)
    assert (ours >= 0).all()
    for pattern, structure in zip(ours, structures, strict=True):
        assert np.corrcoef(pattern, dense(structure, 1.540593, 0.1, 0.5))[0, 1] > 0.9999


@pytest.mark.parametrize("wavelength, fwhm, eta", [("CoKa1", 0.2, 0.0), (0.7093, 0.05, 1.0)])
def test_radiation_and_profile(wavelength, fwhm, eta):
    structure = samples.structures()["forsterite"]
    ours = xrdlib.simulate(structure, wavelength, fwhm, eta)
    assert ours.shape == (1, 8501)
    expected = dense(structure, resolve_wavelength(wavelength), fwhm, eta)
    assert np.corrcoef(ours[0], expected)[0, 1] > 0.9999


def test_origin_and_setting_do_not_matter():
    """Another origin, a supercell and a permutation of the axes are the same crystal."""
    structure = samples.structures()["quartz"]
    moved = structure.copy()
    moved.translate_sites(range(len(moved)), [0.123, 0.456, 0.789])
    double = structure.copy()
    double.make_supercell([2, 1, 1])
    matrix = structure.lattice.matrix[[2, 0, 1]]
    turned = Structure(matrix, structure.species, structure.frac_coords[:, [2, 0, 1]])
    reference, *others = xrdlib.simulate([structure, moved, double, turned])
    for other in others:
        np.testing.assert_allclose(other, reference, atol=0.01)


def test_partial_occupancy_scales_amplitude():
    lattice = Lattice.cubic(4.0)
    full = Structure(lattice, ["Fe", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    half = Structure(lattice, [{"Fe": 0.5}, {"O": 0.5}], [[0, 0, 0], [0.5, 0.5, 0.5]])
    first, second = xrdlib.simulate([full, half])
    np.testing.assert_allclose(first, second, atol=1e-3)
    mixed = Structure(lattice, [{"Fe": 0.5, "O": 0.5}] * 2, [[0, 0, 0], [0.5, 0.5, 0.5]])
    disordered = xrdlib.simulate(mixed)[0]
    expected = dense(mixed, 1.540593, 0.1, 0.5)
    assert np.corrcoef(disordered, expected)[0, 1] > 0.9999


def test_bad_input_is_named():
    good = samples.structures()["halite"]
    for arguments in (
        {"fwhm": 0},
        {"fwhm": float("nan")},
        {"fwhm": 10},
        {"eta": -0.1},
        {"eta": 1.5},
        {"wavelength": "Cu"},
        {"wavelength": -1},
    ):
        with pytest.raises(XrdlibError):
            xrdlib.simulate(good, **arguments)
    with pytest.raises(XrdlibError, match="No structures"):
        xrdlib.simulate([])
    with pytest.raises(XrdlibError, match="number 1.*not a pymatgen Structure"):
        xrdlib.simulate([good, "NaCl"])
    with pytest.raises(XrdlibError, match="number 1.*no atoms"):
        xrdlib.simulate([good, Structure(Lattice.cubic(4), [], [])])
    with pytest.raises(XrdlibError, match="Fe1.*no volume"):
        flat = Structure(Lattice([[3, 0, 0], [0, 3, 0], [3, 3, 0]]), ["Fe"], [[0, 0, 0]])
        xrdlib.simulate([good, flat])
    with pytest.raises(XrdlibError, match="Lr1.*atomic number"):
        xrdlib.simulate(Structure(Lattice.cubic(4), ["Lr"], [[0, 0, 0]]))
    with pytest.raises(XrdlibError, match="Na1 Cl1.*closer than 0.3"):
        near = Structure(Lattice.cubic(4), ["Na", "Cl"], [[0, 0, 0.99], [0, 0, 0.02]])
        xrdlib.simulate([good, near])
    with pytest.raises(XrdlibError, match="X.*atomic number outside"):
        xrdlib.simulate(Structure(Lattice.cubic(4), [DummySpecies("X")], [[0, 0, 0]]))
    with pytest.raises(XrdlibError, match="not finite"):
        xrdlib.simulate(Structure(Lattice.cubic(4), ["Fe"], [[np.nan, 0, 0]]))


def with_inversion(rotations):
    """Set of the rotations (24, 3, 3) and their opposites."""
    return {w.tobytes() for w in np.concatenate([rotations, -rotations]).astype(np.int8)}


def test_equals_the_point_group_with_inversion():
    found = laue_rotations(samples.crystals())
    assert found.shape == (len(samples.crystals()), 24, 3, 3) and found.dtype == np.int8
    for rotations, expected in zip(found, samples.point_groups(), strict=True):
        assert with_inversion(rotations) == {w.astype(np.int8).tobytes() for w in expected}


def moved(crystals, i, shift):
    """The crystals with one atom of crystal i moved."""
    frac = crystals.frac.copy()
    frac[crystals.start[i] + 1] += shift
    return replace(crystals, frac=frac)


def test_a_moved_atom_or_a_strained_cell_lowers_the_symmetry():
    crystals = samples.crystals()
    full = [len(with_inversion(r)) for r in laue_rotations(crystals)]
    for i in np.flatnonzero(np.array(full) > 2):
        broken = laue_rotations(moved(crystals, i, [0.013, 0.027, 0.019]))
        assert len(with_inversion(broken[i])) < full[i]
        assert [len(with_inversion(r)) for r in np.delete(broken, i, 0)] == full[:i] + full[i + 1 :]
    lattice = crystals.lattice.copy()
    lattice[:, 0] *= 1.001
    strained = laue_rotations(replace(crystals, lattice=lattice))
    names = list(samples.structures())
    assert len(with_inversion(strained[names.index("halite")])) == 16
    assert len(with_inversion(strained[names.index("forsterite")])) == 8


def test_merging_equivalents_keeps_the_sum_over_the_sphere():
    """The pattern's content is the same with all the symmetry and with none."""
    crystals = samples.crystals()
    none = np.broadcast_to(np.eye(3, dtype=np.int8), crystals.rotations.shape)
    sums = []
    for rotations in (crystals.rotations, none):
        known = reflections(replace(crystals, rotations=rotations))
        sums.append(np.add.reduceat(known.multiplicity * known.f2, known.start[:-1]))
    np.testing.assert_allclose(*sums, rtol=1e-5)
