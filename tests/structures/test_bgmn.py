import zipfile

import needed
import numpy as np
import pytest
from bgmn_samples import ALBITE, HALITE, PNMA, QUARTZ, TABLE, read, space_group, structure

from xrdlib.structures import structure_library
from xrdlib.structures.bgmn import FOLDER, SETTINGS, bgmn_entries, folded
from xrdlib.structures.entries import Unreadable

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")


def test_halite_without_a_symbol_or_coordinates():
    entry = read(HALITE)
    assert (entry.id, entry.mineral, entry.symbol) == ("made.str", "", "F m -3 m")
    assert entry.cell == pytest.approx((5.6402, 5.6402, 5.6402, 90, 90, 90))
    assert entry.labels == ["Na", "Cl"] and len(entry.operators) == 192
    assert np.allclose(entry.frac, [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert np.allclose(entry.occupancy, [1, 0.9])
    assert entry.formula == "Na4 Cl3.6"
    assert read(HALITE.replace("(0.9)", "")).formula == "Na Cl"


def test_quartz_is_filled_from_its_wyckoff_letter():
    filled = structure(QUARTZ)
    assert space_group(QUARTZ) in (152, 154)
    assert filled.composition.reduced_formula == "SiO2" and len(filled) == 9
    distances = sorted(n.nn_distance for n in filled.get_neighbors(filled[0], 1.7))
    assert distances == pytest.approx([1.605, 1.605, 1.614, 1.614], abs=0.01)


def test_albite_in_a_centred_triclinic_cell():
    """Every tetrahedron has four oxygens, aluminium's are farther, and the density is albite's."""
    filled = structure(ALBITE)
    assert space_group(ALBITE) == 2
    assert len(filled) == 52 and filled.density == pytest.approx(2.62, abs=0.02)
    for site in filled:
        near = [n.nn_distance for n in filled.get_neighbors(site, 2.0)]
        if site.specie.symbol in ("Al", "Si"):
            assert len(near) == 4
            mean = {"Al": 1.742, "Si": 1.613}[site.specie.symbol]
            assert np.mean(near) == pytest.approx(mean, abs=0.02)


def test_rounded_coordinates_move_onto_their_position():
    rough = QUARTZ.replace("x=0.4697", "x=0.4697 y=0.001 z=0.667")
    site = read(rough).frac[0]
    assert site[2] == pytest.approx(2 / 3, abs=1e-9) and site[1] == pytest.approx(0, abs=1e-9)
    crystals, _ = structure_library.build([read(rough)])
    assert len(crystals.number) == 9


def test_mixed_sites_and_arithmetic_reach_the_entry():
    text = PNMA.replace("E=MG+2 Wyckoff=c", "E=(MG+2(1-p),FE+2(p)) PARAM=p=0.3_0^1 Wyckoff=c")
    entry = read(text)
    assert entry.labels[:3] == ["Mg", "Mg", "Fe"]
    assert np.allclose(entry.occupancy[:3], [1, 0.7, 0.3])
    assert np.array_equal(entry.frac[1], entry.frac[2])
    crystals, table = structure_library.build([entry])
    assert table["agrees_space_group"].all() and len(crystals.number) == 4 * 6 + 8
    iron = crystals.occupancy[crystals.number == 26]
    assert np.allclose(iron, 0.3) and len(iron) == 4


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HALITE + "// 01-070-2509", "not free"),
        (HALITE + "Reference=mp_22862", "computed"),
        (HALITE.replace("SpacegroupNo=225", ""), "no space group"),
        (HALITE.replace("225", "226"), "does not exist"),
        (HALITE.replace("A=", "XA="), "incomplete cell"),
        (ALBITE.replace("ALPHA=94.19", "ALPHA=9"), "impossible cell"),
        (HALITE.replace("=a", "=k"), "letter that does not exist"),
        (QUARTZ.replace("x=0.4697", ""), "without coordinates"),
        (QUARTZ.replace("x=0.4697", "x=0.4697 y=0.1"), "contradict their Wyckoff"),
        (
            QUARTZ.replace("x=0.4135 y=0.2669 z=0.7858", "x=.4 y=0 z=2/3"),
            "contradict their Wyckoff",
        ),
        ("Formula=Na2_Cl " + HALITE, "contradict the formula"),
        (QUARTZ.replace("x=0.4135 y=0.2669 z=0.7858", "x=0.45 y=0.05 z=0.7"), "too close"),
    ],
)
def test_what_cannot_be_used_is_left_out_with_a_reason(text, reason):
    with pytest.raises(Unreadable, match=reason):
        read(text)


def package(path, files, settings=TABLE):
    with zipfile.ZipFile(path, "w") as archive:
        if settings is not None:
            archive.writestr(SETTINGS, settings)
        for name, text in files.items():
            archive.writestr(FOLDER + name, text)
    return path


def test_package_is_read_in_order_and_copies_are_left_out(tmp_path):
    shifted = HALITE.replace("0.56402", "0.5641").replace("NA+1 W", "NA+1 x=1 y=0 z=-1 W")
    files = {
        "B/halite.str": HALITE,
        "A/halite.STR": shifted,
        "B/larger.str": HALITE.replace("0.56402", "0.60"),
        "B/sylvite.str": HALITE.replace("NA", "K"),
        "B/damaged.str": "PHASE=\xfc E=",
        "B/notes.txt": "no structure",
    }
    path = package(tmp_path / "made.whl", files)
    entries = bgmn_entries(path, ["Halite", "Cerianite-(Ce)"])
    assert [getattr(e, "id", str(e)) for e in entries] == [
        "A/halite.STR",
        "a site without a Wyckoff letter",
        "the same structure again",
        "B/larger.str",
        "B/sylvite.str",
    ]
    assert entries[0].mineral == "Halite"


@pytest.fixture(scope="module")
def collection():
    return bgmn_entries(needed.data("bgmn"))


def test_collection_has_its_size_and_nothing_restricted(collection):
    assert len(collection) == 1089
    reasons = [str(e) for e in collection if isinstance(e, Unreadable)]
    assert len(reasons) < 500
    assert sum("not free" in reason for reason in reasons) > 300


def test_collection_has_the_cells_of_the_amcsd(collection):
    """A cell in the wrong unit or setting would not have the volume that others measured."""
    volumes = {}
    for entry in needed.amcsd():
        if not isinstance(entry, Unreadable) and entry.mineral:
            volumes.setdefault((folded(entry.mineral), entry.symbol[0]), []).append(entry.volume)
    nearest = [
        np.abs(np.log(np.array(volumes[key]) / entry.volume)).min()
        for entry in collection
        if not isinstance(entry, Unreadable)
        and (key := (folded(entry.mineral), entry.symbol[0])) in volumes
    ]
    assert len(nearest) > 100
    assert np.mean(np.array(nearest) < 0.05) > 0.8
