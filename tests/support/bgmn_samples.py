"""BGMN structure files written for tests, and the settings they are in."""

import json

import gemmi
import spglib
from pymatgen.core import Lattice, Structure

from xrdlib.structures.bgmn import parse
from xrdlib.structures.bgmn_files import Catalogue


def setting(number, symbol, lattice, positions, setting="1", **keys):
    wyckoffs = {
        letter: {"N": str(n), "Symbol": letter, "std_notations": [first]}
        for letter, (n, first) in positions.items()
    }
    keys |= {"Lattice": lattice, "HermannMauguin": symbol, "Setting": setting}
    return {"setting": keys | {"SpacegroupNo": str(number)}, "wyckoffs": wyckoffs}


SPINEL = [
    setting(227, "F4_1/d-32/m", "Cubic", {"a": (8, "0 0 0"), "d": (16, "5/8 5/8 5/8"),
            "e": (32, "x x x")}, OriginChoice="1"),
    setting(227, "F4_1/d-32/m", "Cubic", {"a": (8, "1/8 1/8 1/8"), "d": (16, "1/2 1/2 1/2"),
            "e": (32, "x x x")}, setting="2", OriginChoice="2"),
]  # fmt: skip
CALCITE = [
    setting(167, "R-32/c", "Trigonal", {"a": (6, "0 0 1/4"), "b": (6, "0 0 0"),
            "e": (18, "x 0 1/4")}, UniqueAxis="c"),
    setting(167, "R-32/c", "Rhombohedral", {"a": (2, "1/4 1/4 1/4"), "b": (2, "0 0 0"),
            "e": (6, "x -x+1/2 1/4")}, setting="2"),
]  # fmt: skip
_SETTINGS = {  # as in the package: both origins, and both axes of R lattices, under either symbol
    "2": ("-P 1", [setting(2, "C-1", "Triclinic", {"i": (4, "x y z")}, setting="2")]),
    "81": ("-P 2ybc", [setting(14, "P12_1/c1", "Monoclinic", {"e": (4, "x y z")}, UniqueAxis="b")]),
    "292": ("-P 2ac 2n", [setting(62, "P2_1/n2_1/m2_1/a", "Orthorhombic",
            {"a": (4, "0 0 0"), "c": (4, "x 1/4 z"), "d": (8, "x y z")})]),
    "294": ("-P 2c 2ab", [setting(62, "P2_1/b2_1/n2_1/m", "Orthorhombic",
            {"a": (4, "0 0 0"), "c": (4, "x y 1/4"), "d": (8, "x y z")}, setting="3")]),
    "443": ('P 32 2"', [setting(154, "P3_221", "Trigonal",
            {"a": (3, "x 0 2/3"), "c": (6, "x y z")})]),
    "460": ("-R 3 2=c", CALCITE),
    "461": ("-P 3* 2n", CALCITE),
    "523": ("-F 4 2 3", [setting(225, "F4/m-32/m", "Cubic",
            {"a": (4, "0 0 0"), "b": (4, "1/2 1/2 1/2")})]),
    "525": ("F 4d 2 3 -1d", SPINEL),
    "526": ("-F 4vw 2vw 3", SPINEL),
}  # fmt: skip
TABLE = json.dumps({k: {"hall_symb": hall, "settings": s} for k, (hall, s) in _SETTINGS.items()})
CATALOGUE = Catalogue(TABLE)

HALITE = """PHASE=HALITE SpacegroupNo=225 // Bragg (1913)
PARAM=A=0.56402_0.55^0.57 //
E=NA+1 Wyckoff=a TDS=0.01
E=CL-1(0.9) Wyckoff=b
"""
QUARTZ = """PHASE=Quartz_low //
SpacegroupNo=154 HermannMauguin=P3_221 //
PARAM=A=0.4913 PARAM=C=0.5405_0.53^0.55 GAMMA=120
E=SI+4 Wyckoff=a x=0.4697
E=O-2 Wyckoff=c x=0.4135 y=0.2669 z=0.7858
"""
ALBITE = """PHASE=ALBITE_LOW // Harlow & Brown (1980)
Formula=Na_Al_Si3_O8
SpacegroupNo=2 HermannMauguin=C-1 //
PARAM=A=0.8142_0.80^0.82 PARAM=B=1.2785 PARAM=C=0.7159
PARAM=ALPHA=94.19 PARAM=BETA=116.61_116^117 PARAM=GAMMA=87.68
E=NA+1 Wyckoff=i x=0.26826 y=0.98895 z=0.14611
E=AL+3 Wyckoff=i x=0.00887 y=0.16835 z=0.20815
E=SI+4 Wyckoff=i x=0.00370 y=0.82030 z=0.23710
E=SI+4 Wyckoff=i x=0.69200 y=0.11030 z=0.31490
E=SI+4 Wyckoff=i x=0.68150 y=0.88170 z=0.36050
E=O-2 Wyckoff=i x=0.00530 y=0.13090 z=0.96700
E=O-2 Wyckoff=i x=0.59260 y=0.99710 z=0.28040
E=O-2 Wyckoff=i x=0.81250 y=0.10990 z=0.19080
E=O-2 Wyckoff=i x=0.82030 y=0.85110 z=0.25880
E=O-2 Wyckoff=i x=0.01330 y=0.30260 z=0.27010
E=O-2 Wyckoff=i x=0.02370 y=0.69390 z=0.22930
E=O-2 Wyckoff=i x=0.20740 y=0.10900 z=0.38910
E=O-2 Wyckoff=i x=0.18440 y=0.86830 z=0.43620
"""
OLIVINE = """PHASE=Forsterite HermannMauguin=%s //
PARAM=A=%s PARAM=B=%s PARAM=C=%s
E=MG+2 Wyckoff=a
E=MG+2 Wyckoff=c %s=0.2774 %s=0.9915
E=SI+4 Wyckoff=c %s=0.0940 %s=0.4262
E=O-2 Wyckoff=c %s=0.0913 %s=0.7657
E=O-2 Wyckoff=c %s=0.4474 %s=0.2215
E=O-2 Wyckoff=d %s=0.1633 %s=0.2777 %s=0.0330
"""
PNMA = OLIVINE % ("P2_1/n2_1/m2_1/a", "1.0195", ".5981", ".4756", *"xz" * 4, *"xzy")
PBNM = OLIVINE % ("P2_1/b2_1/n2_1/m", ".4756", "1.0195", ".5981", *"yx" * 4, *"yxz")
TWO = """PHASE=Spinel SpacegroupNo=227 HermannMauguin=F4_1/d-32/m %s
PARAM=A=0.8084 E=MG+2 Wyckoff=a E=AL+3 Wyckoff=d E=O-2 Wyckoff=e x=%s
"""
HEXAGONAL = """PHASE=CALCITE SpacegroupNo=167 HermannMauguin=R-32/c
PARAM=A=0.4990_0.49^0.51 PARAM=C=1.7061
E=CA+2 Wyckoff=b E=C Wyckoff=a E=O-2 Wyckoff=e x=0.2568
"""
RHOMBOHEDRAL = """PHASE=CALCITE SpacegroupNo=167 HermannMauguin=R-32/c Setting=2
PARAM=A=0.63753 PARAM=ALPHA=46.0763
E=CA+2 Wyckoff=b E=C Wyckoff=a E=O-2 Wyckoff=e x=0.5068
"""


def read(text):
    return parse(text, "made.str", CATALOGUE)


def structure(text):
    """Unit cell of an ordered entry, filled by pymatgen from the operators."""
    entry = read(text)
    points, species = [], []
    for label, site in zip(entry.labels, entry.frac, strict=True):
        for triplet in entry.operators:
            points.append(gemmi.Op(triplet).apply_to_xyz(site.tolist()))
            species.append(label)
    filled = Structure(Lattice.from_parameters(*entry.cell), species, points)
    filled.merge_sites(tol=0.01, mode="delete")
    return filled


def space_group(text):
    filled = structure(text)
    cell = filled.lattice.matrix, filled.frac_coords, filled.atomic_numbers
    return spglib.get_symmetry_dataset(cell, symprec=0.01).number
