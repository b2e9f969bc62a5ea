"""The 230 space groups, and the 99 extinction groups that powder diffraction sees instead.

Everything is read from `tables/symmetry.json`, which `xrdlib derive symmetry` writes.
"""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ..base import paths
from ..base.errors import XrdlibError
from ..base.records import N_ROTATIONS

if TYPE_CHECKING:
    import pandas as pd

N_SPACE_GROUPS = 230
N_GROUPS = 99
N_CLASSES = 97

SYSTEMS = tuple("triclinic monoclinic orthorhombic tetragonal trigonal hexagonal cubic".split())

CENTRINGS = ("P", "I", "F", "C", "R")
# Symmetry elements that an extinction symbol can show, by its three positions.
OPERATOR_POSITIONS = (
    ("21", "31", "41", "42", "61", "62", "63", "a", "b", "c", "d", "n"),
    ("21", "a", "b", "c", "d", "n"),
    ("21", "a", "b", "c", "d", "n", "ab"),
)
TEMPLATE_BITS = (
    *SYSTEMS,
    *CENTRINGS,
    *(f"{i}:{name}" for i, names in enumerate(OPERATOR_POSITIONS, 1) for name in names),
)

SYSTEM, CENTRING, OPERATORS = slice(0, 7), slice(7, 12), slice(12, 37)  # of the bits


@cache
def table() -> dict:
    """The contents of `tables/symmetry.json`: space groups and extinction groups."""
    return paths.table("symmetry.json")


def extinction_groups() -> "pd.DataFrame":
    """The 99 extinction groups.

    Returns
    -------
    pandas.DataFrame, indexed 1..99 by `label`
        symbol : str, the first of `settings` ("-" where a direction shows no absences)
        crystal_system : str, that of the lowest-numbered space group
        centring : "P", "I", "F", "C" (A and B included) or "R"
        space_groups : tuple of int
        diffraction_class : int, 1..97; two pairs of groups share one, their absences being equal
        settings : tuple of str, the symbols of all settings of the axes
        template : tuple of 37 ints, see `templates`

    Examples
    --------
    >>> extinction_groups().loc[12, ["symbol", "space_groups"]].tolist()
    ['P - - n', (31, 59)]
    """
    import pandas as pd

    frame = pd.DataFrame(table()["extinction_groups"]).set_index("label")
    for column in ("space_groups", "settings"):
        frame[column] = frame[column].map(tuple)
    frame["template"] = [tuple(map(int, row)) for row in templates()]
    return frame


def first_member(label: int) -> int:
    """Number of the first space group of an extinction group 1..99."""
    return table()["extinction_groups"][label - 1]["space_groups"][0]


@cache
def group_of_space_group() -> np.ndarray:
    """Label 1..99 of each space group, (231,) int16 by its number; entry 0 is 0."""
    labels = np.zeros(231, dtype=np.int16)
    for row in table()["extinction_groups"]:
        labels[row["space_groups"]] = row["label"]
    return frozen(labels)


@cache
def diffraction_classes() -> np.ndarray:
    """Diffraction class 1..97 of each group, (99,) int16: what absences can tell apart."""
    return frozen(np.array(_column("diffraction_class"), dtype=np.int16))


def crystal_systems() -> list[str]:
    """Crystal system of each group's lowest-numbered space group, 99 names."""
    return _column("crystal_system")


@cache
def system_names() -> tuple[str, ...]:
    """Crystal systems of all space groups of each group, 99 names.

    Three groups hold trigonal and hexagonal ones, which absences do not tell apart.

    Examples
    --------
    >>> system_names()[4], system_names()[72]
    ('monoclinic', 'trigonal or hexagonal')
    """
    rows = _column("space_groups")
    own = [dict.fromkeys(space_group(n)["crystal_system"] for n in numbers) for numbers in rows]
    return tuple(" or ".join(names) for names in own)


def symbols() -> list[str]:
    """Extinction symbols of the 99 groups, in order of label."""
    return _column("symbol")


@cache
def templates() -> np.ndarray:
    """Rule template of each group, read from its extinction symbol: (99, 37) uint8.

    Bits named by `TEMPLATE_BITS`: one crystal system (`SYSTEM`), one centring (`CENTRING`), and the
    symmetry elements shown at the symbol's three positions (`OPERATORS`).
    """
    bits = np.zeros((N_GROUPS, len(TEMPLATE_BITS)), dtype=np.uint8)
    for row, group in zip(bits, table()["extinction_groups"], strict=True):
        names = [group["crystal_system"], group["centring"]]
        for position, elements in enumerate(read_symbol(group["symbol"])[1], 1):
            names += [f"{position}:{element}" for element in elements]
        row[[TEMPLATE_BITS.index(name) for name in names]] = 1
    return frozen(bits)


def read_symbol(symbol: str) -> tuple[str, list[list[str]]]:
    """Centring of an extinction symbol, and the elements at each position.

    Of "P 21/c 1 1" ``("P", [["21", "c"], [], []])``; "ab" is a double glide plane.
    """
    centring, *parts = symbol.split()
    parts = [part for part in parts if part not in ("(obv)", "(rev)")]
    return centring, [
        [element.strip("()") for element in part.split("/") if element not in ("-", "1")]
        for part in parts
    ]


def space_group(number: int) -> dict:
    """Row 1..230 of the table: symbol, crystal_system, centring, operations, subgroups.

    Raises
    ------
    XrdlibError
        If there is no such space group.
    """
    if number not in range(1, 231):
        raise XrdlibError(f"{number!r} is not a space-group number; pass an integer 1..230.")
    return table()["space_groups"][int(number) - 1]


@cache
def operations(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Symmetry operations x' = W x + w of a space group, centring translations included.

    The setting is the reference one of International Tables A: unique axis b and cell choice 1,
    hexagonal axes for R lattices, origin choice 2. Errors as for `space_group`.

    Returns
    -------
    rotations : ndarray, (k, 3, 3) int8
    translations : ndarray, (k, 3) float64
        In [0, 1), fractions of the cell edges.
    """
    parsed = [_parse_triplet(triplet) for triplet in space_group(number)["operations"]]
    rotations, translations = map(np.array, zip(*parsed, strict=True))
    return frozen(rotations.astype(np.int8)), frozen(translations)


def reference_symbol(number: int) -> str:
    """Short Hermann-Mauguin symbol of a space group in its reference setting, as "P21/c"."""
    return space_group(number)["symbol"]


def half_rotations(rotations: np.ndarray) -> np.ndarray:
    """Point group modulo inversion, repeated cyclically to 24 (the `rotations` of a record).

    Proper rotations (24, 3, 3) int8: each improper operation stands for its product with the
    inversion, which does the same to a reflection and its Friedel opposite. Given are the rotation
    parts (k, 3, 3) of all operations of a space group; XrdlibError if they are no group.
    """
    rotations = np.asarray(rotations).reshape(-1, 3, 3).astype(np.int64)
    signs = np.rint(np.linalg.det(rotations)).astype(np.int64)
    proper, first = np.unique(rotations * signs[:, None, None], axis=0, return_index=True)
    proper = proper[np.argsort(first)]
    products = (proper[:, None] @ proper).reshape(-1, 3, 3)
    closed = len(np.unique(products, axis=0)) == len(proper)
    if len(proper) == 0 or set(signs) - {1, -1} or not closed or N_ROTATIONS % len(proper):
        raise XrdlibError(
            f"The {len(rotations)} rotations given do not form a crystallographic point group; "
            "pass the rotation parts of every operation of one space group."
        )
    return np.resize(proper, (N_ROTATIONS, 3, 3)).astype(np.int8)


def absent(number: int, hkl: np.ndarray) -> np.ndarray:
    """Which reflections (n, 3) are absent in a space group in its reference setting, (n,) bool."""
    return systematically_absent(*operations(number), hkl)


def systematically_absent(
    rotations: np.ndarray, translations: np.ndarray, hkl: np.ndarray
) -> np.ndarray:
    """Reflections (n, 3) that the operations x' = W x + w extinguish, (n,) bool.

    A reflection h is absent if some operation maps it on itself, h W = h, with a phase shift
    h . w that is not a whole number (International Tables A, section 1.6.3).
    """
    hkl = np.asarray(hkl)
    if hkl.ndim != 2 or hkl.shape[1] != 3:
        raise XrdlibError(f"hkl has shape {hkl.shape}; pass an array of shape (n, 3).")
    rotations = np.asarray(rotations)
    result = np.zeros(len(hkl), dtype=bool)
    for rotation in np.unique(rotations, axis=0):
        shifts = np.asarray(translations)[(rotations == rotation).all((1, 2))]
        fixed = np.flatnonzero((hkl @ rotation == hkl).all(1))
        phase = hkl[fixed] @ shifts.T
        result[fixed] |= (np.abs(phase - np.rint(phase)) > 1e-3).any(1)
    return result


def _parse_triplet(triplet):
    """W (3, 3) and w (3,) of "-x,y+1/2,-z", without gemmi, which training does without."""
    rotation, translation = np.zeros((3, 3), dtype=np.int8), np.zeros(3)
    for row, expression in enumerate(triplet.split(",")):
        for term in expression.replace("-", "+-").split("+"):
            if term and term[-1] in "xyz":
                rotation[row, "xyz".index(term[-1])] = -1 if term[0] == "-" else 1
            elif term:
                numerator, denominator = term.split("/")
                translation[row] = int(numerator) / int(denominator) % 1
    return rotation, translation


def _column(name):
    return [row[name] for row in table()["extinction_groups"]]


def frozen(array: np.ndarray) -> np.ndarray:
    """The array, made read-only, since callers share what is cached."""
    array.flags.writeable = False
    return array
