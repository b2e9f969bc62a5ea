"""The size of anomalous scattering, against crystals that can be calculated by hand."""

import gemmi
import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xrdlib.simulation.diffraction import WAVELENGTHS
from xrdlib.simulation.powder import from_structures
from xrdlib.studies import anomalous

EDGE = 2.866  # of iron, angstrom


def iron():
    return Structure.from_spacegroup("Im-3m", Lattice.cubic(EDGE), ["Fe"], [[0, 0, 0]])


def salt():
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.02), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def test_atoms_of_one_kind_change_as_their_form_factor():
    # 110, 200, 211, 220 with 12, 6, 24, 12 equivalents; F = 2 f.
    squares, equivalents = np.array([2, 4, 6, 8]), np.array([12, 6, 24, 12])
    wavelength = WAVELENGTHS["CuKa1"]
    sine2 = squares * (wavelength / (2 * EDGE)) ** 2
    sine2, equivalents = sine2[sine2 < 0.5], equivalents[sine2 < 0.5]
    twice = 2 * np.arcsin(np.sqrt(sine2))
    factor = (1 + np.cos(twice) ** 2) / (sine2 * np.cos(twice / 2)) * equivalents
    f0 = np.array([gemmi.Element("Fe").it92.calculate_sf(x / wavelength**2) for x in sine2])
    real, imaginary = gemmi.cromer_liberman(z=26, energy=12398.42 / wavelength)
    before, after = factor * f0**2, factor * ((f0 + real) ** 2 + imaginary**2)
    before, after = before / before.sum(), after / after.sum()
    (row,) = anomalous.changes(from_structures([iron()]))
    assert row["heaviest"] == "Fe"
    assert row["r"] == pytest.approx(100 * np.abs(after - before).sum(), rel=1e-3)
    assert row["strong"] == pytest.approx(100 * np.abs(after - before).max() / before.max(), 1e-3)


def test_light_atoms_far_from_their_edges_hardly_change():
    crystals = from_structures([salt(), iron()])
    short = anomalous.changes(crystals, WAVELENGTHS["AgKa1"])
    light, heavy = (row["r"] for row in anomalous.changes(crystals))
    assert short[0]["r"] < min(0.5, light) and light < heavy
    table = anomalous.summary([{"heaviest": "Fe", "r": k} for k in range(11)])
    assert [(row["structures"], row["n"], row["median"]) for row in table] == [
        ("all", 11, 5.0),
        ("Fe", 11, 5.0),
    ]
