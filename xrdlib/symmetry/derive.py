"""Derive `tables/symmetry.json` from space-group operations: `xrdlib derive symmetry`.

gemmi gives the operations and the axis settings of the 230 space groups, spglib names the type of
a subgroup. Classes, symbols, their order and the subgroup relations follow from rules.
"""

import itertools
import json
import re
from functools import cache
from math import gcd

import gemmi
import numpy as np
import spglib

from .cells import relabellings
from .groups import SYSTEMS, systematically_absent

HKL = np.array(list(itertools.product(range(-6, 7), repeat=3)))

# Order of extinction symbols: crystal system, centring, glide planes by position, screw axes.
SYSTEM_ORDER = (*SYSTEMS[1:], SYSTEMS[0])
CENTRING_ORDER = "PCBAIFR"
GLIDE_ORDER = ("", "a", "b", "c", "d", "n", "ab", "ac", "bc", "1")
# Cell axis along which each position of a symbol looks, where it can show a screw axis.
AXES = {"triclinic": "", "tetragonal": "ca", "trigonal": "c", "hexagonal": "c", "cubic": "a"}


@cache
def reference_settings() -> list[gemmi.SpaceGroup]:
    """gemmi's 230 space groups in the reference setting of International Tables A, by number."""
    settings = [sg for sg in gemmi.spacegroup_table() if sg.is_reference_setting()]
    return sorted(settings, key=lambda sg: sg.number)


def exact_operations(sg: gemmi.SpaceGroup) -> tuple[np.ndarray, np.ndarray]:
    """W (k, 3, 3) and w (k, 3) of a gemmi space group, w in whole 24ths of a cell edge."""
    ops = list(sg.operations())
    scale = gemmi.Op.DEN
    return np.array([op.rot for op in ops]) // scale, np.array([op.tran for op in ops]) % scale


def absences(rotations: np.ndarray, translations: np.ndarray, hkl: np.ndarray = HKL) -> bytes:
    """Systematic absences among `hkl` as bytes, usable as a key; translations in 24ths."""
    return systematically_absent(rotations, translations / gemmi.Op.DEN, hkl).tobytes()


def diffraction_key(sg: gemmi.SpaceGroup) -> tuple[str, bytes]:
    """What absences can tell about a space group: crystal family and absent reflections."""
    system = sg.crystal_system_str()
    operations = exact_operations(sg)
    patterns = [absences(*operations, HKL @ change) for change in relabellings(system)]
    return "hexagonal" if system == "trigonal" else system, min(patterns)


# --- extinction symbols ---------------------------------------------------------------------
# A symbol in the making is (centring, ((screw, glide), ...)) with "" for no element.


def elements(sg: gemmi.SpaceGroup) -> tuple:
    """Centring and, at each position, the screw axis and glide letter that absences reveal.

    The letters are those of the setting's Hermann-Mauguin symbol. A screw axis shows only where
    its axis has absences beyond those of the centring and the glide planes; enantiomorphs,
    whose absences are equal, are written as the smaller one.
    """
    centring, *parts = sg.hm.split()
    system = sg.crystal_system_str()
    rotations, translations = exact_operations(sg)
    planes = np.trace(rotations, axis1=1, axis2=2) == np.where(np.linalg.det(rotations) > 0, 3, 1)
    positions = []
    for part, axis in itertools.zip_longest(parts, AXES.get(system, "abc"), fillvalue=""):
        screw = glide = ""
        serial = np.arange(1, 7)[:, None] * [axis == name for name in "abc"]
        by_glides = absences(rotations[planes], translations[planes], serial)
        beyond_glides = absences(rotations, translations, serial) != by_glides
        for symbol in part.split("/"):
            if symbol in GLIDE_ORDER and (symbol != "1" or system == "monoclinic"):
                glide = symbol
            elif re.fullmatch("[346][1-5]|21", symbol) and beyond_glides:
                order, shift = map(int, symbol)
                screw = f"{order}{min(shift, order - shift)}"
        positions.append((screw, glide))
    positions += [("", "")] * (3 - len(positions))
    return centring, tuple(positions)


def names(numbers: list[int]) -> list[tuple]:
    """All symbols of a class, one for each distinct setting of the axes, the first in front."""
    reference = reference_settings()
    system = reference[numbers[0] - 1].crystal_system_str()
    by_absences = {}
    for sg in (sg for sg in gemmi.spacegroup_table() if sg.number in numbers):
        # A cell of another size is no mere relabelling; "-" marks, for the monoclinic cell
        # choices, the description by the other one of two coincident glide planes.
        same_cell = len(sg.operations()) == len(reference[sg.number - 1].operations())
        other_plane = system == "monoclinic" and sg.qualifier.startswith("-")
        other_origin = ")" in sg.hm
        if same_cell and not other_plane and not other_origin:
            symbol = elements(sg)
            # The unique axis is known from the metric even where no absence shows it.
            unique = tuple(glide == "1" for _, glide in symbol[1])
            by_absences.setdefault((unique, absences(*exact_operations(sg))), set()).add(symbol)
    return sorted({_merged(group) for group in by_absences.values()}, key=_symbol_order)


def _merged(same):
    """One symbol for settings of equal absences: "(ab)" where two glide letters are as good."""
    first = min(same, key=_symbol_order)
    varied = [set(column) for column in zip(*(positions for _, positions in same), strict=True)]
    if sum(len(column) > 1 for column in varied) != 1:
        return first
    both = ("".join(sorted({glide for _, glide in column})) for column in varied)
    return first[0], tuple((s, g) for (s, _), g in zip(first[1], both, strict=True))


def _symbol_order(symbol):
    centring, positions = symbol
    glides = [GLIDE_ORDER.index(glide) for _, glide in positions]
    # By the period of the axis' absences, then its order: 21 < 42 < 63 < 31 < 62 < 41 < 61.
    orders = [(int(s[0]) // gcd(*map(int, s)), int(s[0])) if s else (0, 0) for s, _ in positions]
    return CENTRING_ORDER.index(centring), glides, orders


def written(symbol: tuple, system: str) -> list[str]:
    """Spell a symbol out, positions separated by spaces; for R lattices all three cells.

    An R lattice has hexagonal axes (obverse, reverse) or rhombohedral ones. Its glide plane counts
    as third position, [1-10] of the rhombohedral cell; without it, the published symbols keep
    only the two directions of the hexagonal cell.
    """
    centring, positions = symbol
    parts = []
    for screw, glide in positions[: 1 if system == "triclinic" else 3]:
        glide = f"({glide})" if len(glide) > 1 else glide
        parts.append("/".join(filter(None, (screw, glide))) or "-")
    if centring != "R":
        return [" ".join((centring, *parts))]
    three = ["-", "-", parts[1]]
    hexagonal = " ".join(three if parts[1] != "-" else three[:2])
    return [f"R (obv) {hexagonal}", f"R (rev) {hexagonal}", f"R {' '.join(three)}"]


def extinction_groups() -> list[dict]:
    """The 99 classes as rows for the table, in the published order."""
    classes = {}
    for sg in reference_settings():
        symbol = names([sg.number])[0]
        # Equal absences, different screw axis: separate groups of one diffraction class.
        screws = tuple(screw for screw, _ in symbol[1])
        classes.setdefault((diffraction_key(sg), screws), []).append(sg.number)
    rows = []
    for (key, _), numbers in classes.items():
        system = reference_settings()[numbers[0] - 1].crystal_system_str()
        settings = names(numbers)
        order = (SYSTEM_ORDER.index(system), *_symbol_order(settings[0]))
        symbols = [text for symbol in settings for text in written(symbol, system)]
        rows.append((order, key, settings[0][0], system, numbers, symbols))
    rows.sort(key=lambda row: row[0])
    seen = {}
    return [
        {
            "label": label,
            "symbol": symbols[0],
            "crystal_system": system,
            "centring": centring,
            "space_groups": numbers,
            "diffraction_class": seen.setdefault(key, len(seen) + 1),
            "settings": symbols,
        }
        for label, (_, key, centring, system, numbers, symbols) in enumerate(rows, 1)
    ]


# --- translationengleiche subgroups ---------------------------------------------------------


@cache
def maximal_subgroups(elements: tuple) -> list[frozenset[int]]:
    """Maximal proper subgroups of a finite group of flattened 3 x 3 integer matrices.

    A list of frozensets of indices into `elements`.
    """
    matrices = np.array(elements).reshape(-1, 3, 3)
    index = {element: i for i, element in enumerate(elements)}
    products = [[index[key] for key in _flat(a @ matrices)] for a in matrices]

    def closure(members):
        members = set(members)
        while new := {products[a][b] for a in members for b in members} - members:
            members |= new
        return frozenset(members)

    # Grow every subgroup by one element at a time; maximal is what grows only into the whole.
    whole, maximal = frozenset(range(len(elements))), []
    todo = [closure([index[(1, 0, 0, 0, 1, 0, 0, 0, 1)]])]
    visited = set(todo)
    while todo:
        subgroup = todo.pop()
        grown = {closure(subgroup | {i}) for i in whole - subgroup}
        if grown == {whole}:
            maximal.append(subgroup)
        todo.extend(grown - visited - {whole})
        visited |= grown
    return maximal


def space_group_type(
    sg: gemmi.SpaceGroup, rotations: set[tuple] | None = None
) -> spglib.SpaceGroupType:
    """spglib's type of a space group, or of the t-subgroup that keeps some flattened rotations."""
    own, shifts = exact_operations(sg)
    keys = _flat(own)
    rows = [i for i, key in enumerate(keys) if rotations is None or key in rotations]
    hexagonal = sg.crystal_system_str() in ("trigonal", "hexagonal")
    lattice = [[1, 0, 0], [-0.5, 0.75**0.5, 0], [0, 0, 1]] if hexagonal else np.eye(3)
    return spglib.get_spacegroup_type_from_symmetry(
        own[rows], shifts[rows] / gemmi.Op.DEN, lattice=lattice
    )


def t_subgroups(sg: gemmi.SpaceGroup) -> list[int]:
    """Types of the maximal subgroups of a space group that keep all its translations."""
    point_group = tuple(dict.fromkeys(_flat(exact_operations(sg)[0])))
    kept = [{point_group[i] for i in chosen} for chosen in maximal_subgroups(point_group)]
    return sorted({int(space_group_type(sg, rotations).number) for rotations in kept})


def _flat(matrices):
    return [tuple(matrix.ravel().tolist()) for matrix in matrices]


def space_groups() -> list[dict]:
    """The 230 space groups as rows for the table."""
    return [
        {
            "number": sg.number,
            "symbol": space_group_type(sg).international_short.replace("_", ""),
            "crystal_system": sg.crystal_system_str(),
            "centring": sg.hm[0],
            "operations": [op.wrap().triplet() for op in sg.operations()],
            "maximal_t_subgroups": t_subgroups(sg),
        }
        for sg in reference_settings()
    ]


def derive() -> str:
    """The text of `tables/symmetry.json`: readable, one row of a table on a line."""
    tables = {"space_groups": space_groups(), "extinction_groups": extinction_groups()}
    blocks = [
        f'"{name}": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]"
        for name, rows in tables.items()
    ]
    return "{\n" + ",\n".join(blocks) + "\n}\n"
