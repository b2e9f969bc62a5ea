"""BGMN structure files: their text, their settings and the names of minerals."""

import zipfile

import needed
import numpy as np
import pytest
from bgmn_samples import CATALOGUE, HEXAGONAL, PBNM, PNMA, RHOMBOHEDRAL, TWO, space_group, structure
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher

from xrdlib.structures.bgmn import SETTINGS, by_folded_name, mineral_name
from xrdlib.structures.bgmn_files import Catalogue, evaluate, read
from xrdlib.structures.entries import Unreadable

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")
FILE = """// Sr-exchanged, after somebody (1999)
PHASE=Thing // a comment with E=XE Wyckoff=a in it
SpacegroupNo=1 HermannMauguin=P1 PARAM=q=0.2_0.1^0.3 rest=(1-q)
PARAM=A=0.5_0.4^0.6 B=A C=2*A // in nanometres
E=(MG+2(1-p),FE+2(p)) PARAM=p=0.1_0^0.5 Wyckoff=a x=-.25 y=q
 z=1/3 TDS=0.01
E=(CA+2,NA+1(rest)) Wyckoff=b
E=(O(0.5), H(0.25)) Wyckoff=c x=0.1
E=FE+2,MG+2(p) p=0.3 Wyckoff=d
E=K+1 Wyckoff=e
"""


def test_words_sites_and_variables():
    parsed = read(FILE)
    assert parsed.words["PHASE"] == "Thing"
    assert [parsed.value(edge) for edge in "ABC"] == pytest.approx([0.5, 0.5, 1.0])
    assert parsed.value("ALPHA") is None
    assert [site.letter for site in parsed.sites] == list("abcde")
    assert parsed.sites[0].given == pytest.approx({"x": -0.25, "y": 0.2, "z": 1 / 3})
    assert parsed.sites[1].given == {}


def test_occupancies_are_evaluated_and_filled_up():
    """A variable of one site does not reach the next; an element without a share takes the rest."""
    species = [dict(site.species) for site in read(FILE).sites]
    assert species[0] == pytest.approx({"Mg": 0.9, "Fe": 0.1})
    assert species[1] == pytest.approx({"Ca": 0.2, "Na": 0.8})
    assert species[2] == pytest.approx({"O": 0.5, "H": 0.25})
    assert species[3] == pytest.approx({"Fe": 0.7, "Mg": 0.3})
    assert species[4] == {"K": 1}


number = st.floats(-1e3, 1e3).map(lambda x: round(x, 4)).filter(lambda x: abs(x) > 1e-3)


@given(p=number, q=number, r=number)
def test_arithmetic_is_that_of_numbers(p, q, r):
    variables = {"p": f"{p:f}", "q": f"{q:f}_-9^9", "r": f"=({r:f})"}
    assert evaluate("(1-p)*q/r+2*-p", variables) == pytest.approx((1 - p) * q / r - 2 * p)


@pytest.mark.parametrize(
    "text",
    [
        "acos(0)",
        "__import__('os')",
        "9**9**9",
        "1 if 1 else 2",
        "",
        "(" * 5000,
        "-" * 5000 + "1",
        "0,3",
    ],
)
def test_nothing_but_arithmetic_is_evaluated(text):
    with pytest.raises(Unreadable, match="simple arithmetic"):
        evaluate(text, {"p": "2"})


@pytest.mark.parametrize("text", ["1/0", "1/(2-p)", "1e999", "1e200*1e200", "1e999-1e999"])
def test_a_value_that_is_no_number_is_refused(text):
    with pytest.raises(Unreadable, match="without a value"):
        evaluate(text, {"p": "2"})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("PHASE=Nothing SpacegroupNo=1 LeBail=1", "no sites"),
        ("GEWICHT[1]=g*GEWICHT E=SI Wyckoff=a", "disordered layers"),
        ("E=SI x=0", "Wyckoff letter"),
        ("E=SI Wyckoff=a x=X(EOZ1)", "simple arithmetic"),
        ("E=(SI,AL) Wyckoff=a", "without occupancies"),
        ("E=(si(1)) Wyckoff=a", "names no element"),
    ],
)
def test_what_is_no_crystal_structure_is_refused(text, reason):
    with pytest.raises(Unreadable, match=reason):
        read(text)


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
    assert [setting.group.xhm() for setting in CATALOGUE.settings(words)] == symbols


def test_letters_of_the_package_have_the_stated_multiplicities():
    """In all space groups, by the operations; a few unusual settings are wrong in the package."""
    with zipfile.ZipFile(needed.data("bgmn")) as archive:
        catalogue = Catalogue(archive.read(SETTINGS))
    variables, right = {"x": "0.1237", "y": "0.2713", "z": "0.3391"}, []
    for number in range(1, 231):
        settings = catalogue.settings({"SpacegroupNo": str(number)})
        for setting in settings[:: 1 + len(settings) // 4]:
            counts = [multiplicity for multiplicity, _ in setting.positions.values()]
            sites = np.array(
                [[evaluate(t, variables) for t in first] for _, first in setting.positions.values()]
            )
            images = np.einsum("kij,nj->nki", setting.rotations, sites) + setting.translations
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
