"""Crystals for the simulator's tests: textbook structures of every crystal system."""

from dataclasses import replace
from functools import cache

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.powder import from_structures
from xrdlib.simulation.prototype_library import aflow_prototypes
from xrdlib.structures.crystals import generate_balanced
from xrdlib.structures.recipes import shipped
from xrdlib.symmetry.groups import group_of_space_group

TABLE = {
    "halite": ("Fm-3m", Lattice.cubic(5.6402), "Na 0 0 0;Cl .5 .5 .5"),
    "silicon": ("Fd-3m", Lattice.cubic(5.4309), "Si 0 0 0"),
    "pyrope": ("Ia-3d", Lattice.cubic(11.459), "Mg .125 0 .25;Al 0 0 0;Si .375 0 .25;"
               "O .0329 .0502 .6534"),
    "pyrite": ("Pa-3", Lattice.cubic(5.418), "Fe 0 0 0;S .385 .385 .385"),
    "quartz": ("P3_221", Lattice.hexagonal(4.9134, 5.4052), "Si .4699 0 .6666666667;"
               "O .4141 .2681 .7854"),
    "calcite": ("R-3c", Lattice.hexagonal(4.9896, 17.061), "Ca 0 0 0;C 0 0 .25;O .2568 0 .25"),
    "dolomite": ("R-3", Lattice.hexagonal(4.812, 16.02), "Ca 0 0 0;Mg 0 0 .5;C 0 0 .2429;"
                 "O .248 -.035 .244"),
    "apatite": ("P6_3/m", Lattice.hexagonal(9.397, 6.878), "Ca .2416 .0071 .25;P .398 .369 .25;"
                "O .3416 .2568 .0704;F 0 0 .25"),
    "rutile": ("P4_2/mnm", Lattice.tetragonal(4.5937, 2.9587), "Ti 0 0 0;O .3053 .3053 0"),
    "scheelite": ("I4_1/a", Lattice.tetragonal(5.243, 11.376), "Ca 0 .25 .625;W 0 .25 .125;"
                  "O .1507 .0086 .2106"),
    "forsterite": ("Pnma", Lattice.orthorhombic(10.1902, 5.9783, 4.7535), "Mg 0 0 0;"
                   "Mg .2774 .25 .9915;Si .094 .25 .4262;O .0913 .25 .7657;O .1628 .0331 .2777"),
    "realgar-like": ("P2_1/c", Lattice.monoclinic(8.1, 9.8, 7.05, 108.0), "Fe .1 .2 .3;"
                     "As .4 .35 .1;O .22 .41 .77"),
    "tremolite-like": ("C2/m", Lattice.monoclinic(9.863, 18.048, 5.285, 104.79), "Ca 0 .2776 .5;"
                       "Mg 0 .088 0;Si .2802 .084 .2972;O .1115 .0858 .2171"),
    "albite-like": ("P-1", Lattice.from_parameters(8.1408, 7.789, 7.1583, 94.2, 116.6, 87.7),
                    "Na .26 .98 .14;Al .01 .16 .2;Si .5 .18 .31;O .01 .13 .96;O .59 .99 .28"),
    "no symmetry": ("P1", Lattice.from_parameters(5.1, 6.2, 7.3, 85, 98, 105), "K .11 .23 .37;"
                    "Cl .52 .71 .13;O .82 .35 .66"),
}  # fmt: skip


NAMES = [*TABLE, "spinel"]
NUMBERS = (225, 227, 230, 205, 154, 167, 148, 176, 136, 88, 62, 14, 12, 2, 1, 227)


@cache
def structures():
    """{name: pymatgen Structure}, with a disordered spinel at the end."""
    made = {}
    for name, (group, lattice, sites) in TABLE.items():
        rows = [site.split() for site in sites.split(";")]
        frac = [[float(x) for x in row[1:]] for row in rows]
        made[name] = Structure.from_spacegroup(group, lattice, [row[0] for row in rows], frac)
    mixed = [{"Fe": 0.7, "Mg": 0.2}, {"Fe": 0.8, "Al": 0.2}, "O"]
    sites = [[0.0] * 3, [0.625] * 3, [0.3799] * 3]  # of the first origin
    made["spinel"] = Structure.from_spacegroup("Fd-3m", Lattice.cubic(8.394), mixed, sites)
    return made


@cache
def crystals():
    """The same as one `Crystals` record, in order."""
    return from_structures(structures().values())


@cache
def textbook():
    """The same with names, space groups and extinction groups."""
    numbers = np.array(NUMBERS, dtype=np.int16)
    group = group_of_space_group()[numbers]
    return replace(crystals(), space_group=numbers, group=group, name=np.array(NAMES))


@cache
def computed():
    """Their reflections up to 90 degrees of Cu K-alpha1."""
    return reflections(crystals())


@cache
def random_crystals(n, seed):
    """Random crystals, uniform over the extinction groups, made once for all tests of a process."""
    return generate_balanced(shipped(), n, seed)


@cache
def random_reflections(n, seed):
    """Their reflections."""
    return reflections(random_crystals(n, seed))


@cache
def aflow():
    """The prototypes of the AFLOW library."""
    return aflow_prototypes()


@cache
def point_groups():
    """Rotations of every structure's point group as spglib finds them, with inversion added."""
    groups = []
    for structure in structures().values():
        rotations = SpacegroupAnalyzer(structure, 0.001).get_symmetry_dataset().rotations
        groups.append(np.unique(np.concatenate([rotations, -rotations]), axis=0))
    return groups


def sphere(lattice, d_star_max):
    """All hkl with 0 < 1/d <= d_star_max, (m, 3), one at a time: no cleverness to get wrong."""
    reach = np.floor(np.linalg.norm(lattice, axis=1) * d_star_max).astype(int) + 1
    grid = np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij")
    hkl = np.stack(grid, -1).reshape(-1, 3)
    length = np.linalg.norm(hkl @ np.linalg.inv(lattice).T, axis=1)
    return hkl[(length > 0) & (length <= d_star_max)]


def direct_f2(record, i, hkl, factor):
    """|F|^2 in float64 by the definition; `factor(number, s)` gives form factors."""
    a, b = record.start[i : i + 2]
    s = np.linalg.norm(hkl @ np.linalg.inv(record.lattice[i]).T, axis=1) / 2
    total = np.zeros(len(hkl), dtype=complex)
    for z, x, q in zip(
        record.number[a:b], record.frac[a:b].astype(float), record.occupancy[a:b], strict=True
    ):
        total += q * factor(int(z), s) * np.exp(2j * np.pi * (hkl @ x))
    return np.abs(total) ** 2
