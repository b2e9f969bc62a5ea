import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrdlib.structures.bgmn_files import evaluate, read
from xrdlib.structures.entries import Unreadable

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
    found = read(FILE)
    assert found.words["PHASE"] == "Thing"
    assert [found.value(edge) for edge in "ABC"] == pytest.approx([0.5, 0.5, 1.0])
    assert found.value("ALPHA") is None
    assert [site.letter for site in found.sites] == list("abcde")
    assert found.sites[0].given == pytest.approx({"x": -0.25, "y": 0.2, "z": 1 / 3})
    assert found.sites[1].given == {}


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
def test_a_value_that_is_no_number_is_told(text):
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
def test_what_is_no_crystal_structure_is_told(text, reason):
    with pytest.raises(Unreadable, match=reason):
        read(text)
