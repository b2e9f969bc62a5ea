import zipfile

import needed
import numpy as np
import pytest
from bgmn_samples import CATALOGUE, HEXAGONAL, PBNM, PNMA, RHOMBOHEDRAL, TWO, space_group, structure
from pymatgen.analysis.structure_matcher import StructureMatcher

from xrdlib.structures.bgmn import SETTINGS, by_folded_name, mineral_name
from xrdlib.structures.bgmn_files import Catalogue, evaluate

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")


@pytest.mark.parametrize(
    ("one", "other", "number"),
    [
        (PNMA, PBNM, 62),
        (TWO % ("OriginChoice=1", ".3874"), TWO % ("OriginChoice=2", ".2624"), 227),
        (TWO % ("", ".3874"), TWO % ("Setting=2", ".2624"), 227),
        (HEXAGONAL, RHOMBOHEDRAL, 167),
        (HEXAGONAL, RHOMBOHEDRAL.replace("Setting=2", ""), 167),
    ],
    ids=["axes", "origins", "origins by setting", "rhombohedral", "rhombohedral by cell"],
)
def test_one_structure_in_two_settings(one, other, number):
    assert space_group(one) == space_group(other) == number
    matcher = StructureMatcher(ltol=0.002, stol=0.01, angle_tol=0.1)
    assert matcher.fit(structure(one), structure(other))


@pytest.mark.parametrize(
    ("words", "symbols"),
    [
        ({"SpacegroupNo": "227"}, ["F d -3 m:1", "F d -3 m:2"]),
        ({"SpacegroupNo": "227", "OriginChoice": "2"}, ["F d -3 m:2", "F d -3 m:1"]),
        ({"HermannMauguin": "R-32/c", "Lattice": "Rhombohedral"}, ["R -3 c:R", "R -3 c:H"]),
        ({"HermannMauguin": "P2_1/b2_1/n2_1/m"}, ["P b n m"]),
        ({"SpacegroupNo": "2", "HermannMauguin": "C-1"}, ["C -1"]),
        ({"SpacegropuNo": "154", "HermannMauguin": "P3_221"}, ["P 32 2 1"]),
    ],
)
def test_keywords_choose_the_setting(words, symbols):
    assert [found.group.xhm() for found in CATALOGUE.settings(words)] == symbols


def test_letters_of_the_package_have_the_stated_multiplicities():
    """In all space groups, by the operations; a few unusual settings are wrong in the package."""
    with zipfile.ZipFile(needed.data("bgmn")) as archive:
        catalogue = Catalogue(archive.read(SETTINGS))
    variables, right = {"x": "0.1237", "y": "0.2713", "z": "0.3391"}, []
    for number in range(1, 231):
        settings = catalogue.settings({"SpacegroupNo": str(number)})
        for found in settings[:: 1 + len(settings) // 4]:
            counts = [multiplicity for multiplicity, _ in found.positions.values()]
            sites = np.array(
                [[evaluate(t, variables) for t in first] for _, first in found.positions.values()]
            )
            images = np.einsum("kij,nj->nki", found.rotations, sites) + found.translations
            images = np.round(images - np.floor(images + 1e-6), 4)
            right.append(counts == [len(np.unique(orbit, axis=0)) for orbit in images])
    assert len(right) > 350 and np.mean(right) > 0.95


@pytest.mark.parametrize(
    ("titles", "element", "name"),
    [
        (["ALBITE_LOW", "x"], False, "Albite"),
        (["PBO2_beta_Plattnerite"], False, "Plattnerite"),
        (["Muscovite_2M1"], False, "Muscovite-2M1"),
        (["Diamondsyn"], True, "Diamond"),
        (["Boehmite"], False, "Bohmite"),
        (["Cerianite"], False, "Cerianite-(Ce)"),
        (["Y2O3"], False, ""),
        (["NaCl", "Halite-x"], False, "Halite"),
        (["Copper"], True, "Copper"),
        (["PhillipsiteCa"], False, "Phillipsite"),
        (["Iceberg"], False, "Iceberg"),
        (["Apatite"], False, "Apatite"),  # two have the name
    ],
)
def test_minerals_are_named_as_in_the_other_collection(titles, element, name):
    names = ["Albite", "Plattnerite", "Muscovite", "Muscovite-2M1", "Diamond", "Bohmite"]
    names += ["Cerianite-(Ce)", "Halite", "Copper", "Ice", "Apatite-(CaF)", "Apatite-(CaOH)"]
    assert mineral_name(titles, by_folded_name(names), element) == name
