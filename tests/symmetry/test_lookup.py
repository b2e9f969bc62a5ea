"""Symbols that people type: every setting in the tables of gemmi and spglib, common spellings."""

import gemmi
import pytest
import spglib

from xrdlib.base.errors import XrdlibError
from xrdlib.symmetry import groups, lookup

TYPED = {
    14: "P21/n P21/a P2_1/c P2(1)/c p21/c P12_1/n1 P2\u2081/c P_21/c -P_2ybc C2h^5 C_{2h}^5",
    15: "I2/a A2/a B2/b C12/c1 i2/a", 12: "I2/m", 62: "Pbnm Pmcn PNMA P2_1/n2_1/m2_1/a",
    64: "Cmca Bmab Cmce", 41: "Aba2 Aea2", 227: "Fd3m Fd-3m:2 Fd3\u0304m F4_1/d-32/m oh^7",
    225: "Fm3m", 230: "Ia3d", 205: "Pa3", 167: "R-3c:H R-3cH", 166: "R-3m:R", 141: "I41/amd:1",
    154: "P3221 P3_221 P3_2_2_1", 136: "P4(2)/mnm P42/mnm", 194: "P6_3/mmc",
}  # fmt: skip


@pytest.mark.parametrize(("number", "typed"), TYPED.items())
def test_what_crystallographers_type_is_understood(number, typed):
    for key in typed.split():
        assert lookup.named(key).number == number, key
    for key in (number, str(number), f"sg{number}", f"SG {number}"):
        assert lookup.named(key).number == number


def spellings(symbol):
    close = symbol.replace(" ", "")
    return {symbol, symbol.lower(), symbol.replace(" ", "_"), symbol.replace("/", " / "),
            close, close.lower(), close.upper()}  # fmt: skip


def test_every_setting_of_gemmi_is_its_own_space_group_however_it_is_spelt():
    meant = {}
    for sg in gemmi.spacegroup_table():
        for name in {sg.xhm(), sg.hm, sg.short_name()}:
            for key in spellings(name):
                meant.setdefault(key, set()).add(sg.number)
        meant.setdefault(f"Hall: {sg.hall}", set()).add(sg.number)
    # B2 and Bm were once short for B 1 1 2, which the name means to gemmi, not for B 1 2 1.
    meant["B2"] = meant["b2"] = {5}
    for key, numbers in meant.items():
        group = lookup.named(key)
        assert group.number in numbers, key
        assert group.label == groups.group_of_space_group()[group.number]


def test_every_symbol_of_spglib_is_its_own_space_group():
    for kind in map(spglib.get_spacegroup_type, range(1, 531)):
        full = kind.international_full.split("=")
        for key in (kind.international_short, kind.schoenflies, *full):
            assert lookup.named(key).number == kind.number, key


def test_extinction_groups_have_labels_and_symbols_of_their_own():
    for row in groups.table()["extinction_groups"]:
        assert lookup.named(f"eg{row['label']}") == (row["label"], None, None)
    assert lookup.label_of("P - c n") == 17 and lookup.label_of("C - c (ab)") == 30
    with pytest.raises(XrdlibError, match="names 4 groups; use one of eg7 .orthorhombic"):
        lookup.named("P - - -")


@pytest.mark.parametrize(
    "key", ["", "P", "P21c", "2.5", "-1", 0, 231, "eg0", "eg100", "quartz", "\u00b2"]
)
def test_what_names_nothing_is_refused(key):
    with pytest.raises(XrdlibError, match="names no group; use"):
        lookup.named(key)


def test_a_setting_other_than_the_standard_one_is_named():
    assert "in the setting P 1 21/n 1" in str(lookup.named("P21/n"))
    assert "in the setting R -3 m:R" in str(lookup.named("R-3m:R"))
    for key in ("P21/c", "Fd3m", "Fd-3m:2", "R-3c:H", "Cmca", "14"):
        assert "setting" not in str(lookup.named(key)), key


def test_the_standard_symbol_is_one_of_the_group_and_forbids_what_the_space_group_does():
    for number in range(1, 231):
        row = groups.table()["extinction_groups"][lookup.label_of(number) - 1]
        assert lookup.standard_symbol(number) in row["settings"]
    # International Tables A (5th edition), table 3.1.4.1.
    expected = {14: "P 1 21/c 1", 33: "P n a -", 62: "P n - a", 57: "P b c -", 67: "C - - (ab)",
                41: "A (bc) a -", 39: "A (bc) - -", 3: "P 1 - 1", 15: "C 1 c 1"}  # fmt: skip
    assert {n: lookup.standard_symbol(n) for n in expected} == expected
