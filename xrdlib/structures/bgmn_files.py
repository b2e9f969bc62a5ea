"""Read the structure files of BGMN: their text and their settings.

A file is a list of words ``NAME=value``; ``//`` starts a comment. ``PARAM=p=0.3_0.2^0.4`` is a
variable that starts at 0.3 and may be refined between 0.2 and 0.4; values may be arithmetic. The
words from ``E=`` to the next one describe a site, and variables among them belong to that site.
"""

import ast
import json
import math
import operator
import re
from dataclasses import dataclass

import gemmi
import numpy as np

from .entries import Unreadable

_OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}

_NESTING = 20  # variables within variables; more is a circle
_LENGTH = 200  # of an expression; nothing that nests deeper than the interpreter can
_ION = re.compile(r"([A-Z][A-Z]?)(?:[+-]\d+)?(?:\((.*?)\))?(?:,|$)")
_DISORDER = re.compile(r"GEWICHT\[|RefMult=|layer=")


@dataclass(frozen=True)
class Site:
    """One `E=` statement: (element, occupancy) pairs, Wyckoff letter, and the x, y, z given."""

    species: list
    letter: str
    given: dict


@dataclass(frozen=True)
class Structure:
    """What a structure file says: keywords and global variables as written, and the sites."""

    words: dict
    sites: list

    def value(self, name: str) -> float | None:
        """Number of a global variable such as "A"; None where the file does not set it."""
        return evaluate(name, self.words) if name in self.words else None


def read(text: str) -> Structure:
    """Parse a structure file.

    Raises
    ------
    Unreadable
        If it holds a model of disordered layers, no sites, or something that cannot be evaluated.
    """
    if _DISORDER.search(re.sub("//.*", "", text)):
        raise Unreadable("a model of disordered layers")
    words, sites = {}, []
    scope = words
    for name, value in _words(text):
        if name == "E":
            scope = {}
            sites.append((value, scope))
        scope[name] = value
    if not sites:
        raise Unreadable("no sites")
    return Structure(words, [_site(value, words | scope, scope) for value, scope in sites])


def evaluate(text: str, variables: dict[str, str], depth: int = 0) -> float:
    """Value of an expression such as "0.3_0.2^0.4" (the start value), "1-p" or "2*x".

    Numbers, names (of `variables`, expressions in turn) and + - * / only: files come from
    elsewhere, and are not to be executed.

    Raises
    ------
    Unreadable
    """
    if depth > _NESTING:
        raise Unreadable("variables defined by each other")
    start = re.split("[_^]", text.lstrip("="))[0]
    try:
        tree = ast.parse(start if len(start) <= _LENGTH else "", mode="eval").body
    except (SyntaxError, ValueError):
        raise Unreadable("an expression that is not simple arithmetic") from None
    try:
        value = _value(tree, variables, depth)
    except ZeroDivisionError:
        value = math.inf
    if not math.isfinite(value):
        raise Unreadable("an expression without a value")
    return value


def _value(node, variables, depth):
    match node:
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return float(node.value)
        case ast.Name(id=name) if name in variables:
            return evaluate(variables[name], variables, depth + 1)
        case ast.UnaryOp() | ast.BinOp() if type(node.op) in _OPERATIONS:
            names = ("operand",) if isinstance(node, ast.UnaryOp) else ("left", "right")
            sides = (_value(getattr(node, name), variables, depth) for name in names)
            return _OPERATIONS[type(node.op)](*sides)
    raise Unreadable("an expression that is not simple arithmetic")


def _words(text):
    """(name, value) of every word; a word goes on until its parentheses are closed."""
    word = ""
    for part in re.sub("//.*", "", text).split():
        word += part
        if word.count("(") <= word.count(")"):
            name, equals, value = word.removeprefix("PARAM=").partition("=")
            if equals:
                yield name, value
            word = ""


def _site(species, variables, own):
    given = {axis: evaluate(own[axis], variables) for axis in "xyz" if axis in own}
    if "Wyckoff" not in own:
        raise Unreadable("a site without a Wyckoff letter")
    return Site(_species(species, variables), own["Wyckoff"], given)


def _species(text, variables):
    """Elements and occupancies of "(SI+4(0.75),AL+3(p))"; one without takes what is left."""
    if text.startswith("("):
        text = text[1:].removesuffix(")")
    shares, end = [], 0
    while end < len(text):
        ion = _ION.match(text, end)
        if ion is None:
            raise Unreadable("a site that names no element")
        share = None if ion[2] is None else evaluate(ion[2], variables)
        shares.append((ion[1].capitalize(), share))
        end = ion.end()
    stated = sum(share for _, share in shares if share is not None)
    if sum(share is None for _, share in shares) > 1 or not shares:
        raise Unreadable("a mixed site without occupancies")
    return [(e, max(0.0, 1 - stated) if share is None else share) for e, share in shares]


_KEYS = ("Setting", "OriginChoice", "CellChoice", "UniqueAxis", "Lattice")


@dataclass(frozen=True)
class Setting:
    """One setting of one space group."""

    keys: dict  # as in a structure file: SpacegroupNo, HermannMauguin and what tells settings apart
    group: gemmi.SpaceGroup
    rotations: np.ndarray  # (k, 3, 3) int: all operations, centring included
    translations: np.ndarray  # (k, 3) float
    # Multiplicity and first coordinates of each Wyckoff letter, such as ["x", "2*x", "1/4"].
    positions: dict


class Catalogue:
    """All settings, from the JSON table that the structure files come with."""

    def __init__(self, text: str) -> None:
        self._by_number = {}
        for hall in json.loads(text).values():
            for row in hall["settings"]:
                keys = row["setting"]
                group = _group(hall["hall_symb"], keys)
                if group is not None:
                    settings_of_number = self._by_number.setdefault(int(keys["SpacegroupNo"]), [])
                    settings_of_number.append((keys, group, row["wyckoffs"]))

    def settings(self, words: dict[str, str]) -> list[Setting]:
        """Settings that the keywords of a structure file can mean, the likeliest first.

        HermannMauguin or SpacegroupNo is needed; Setting, OriginChoice and the like tell more.

        Raises
        ------
        Unreadable
            If no space group is stated, or one that does not exist.
        """
        # "SpacegropuNo" stands in some files.
        number = words.get("SpacegroupNo") or words.get("SpacegropuNo")
        symbol = words.get("HermannMauguin")
        if number is None and symbol is None:
            raise Unreadable("no space group")
        rows = [
            (keys, group, positions)
            for own_number, settings_of_number in self._by_number.items()
            for keys, group, positions in settings_of_number
            if number in (None, str(own_number)) and symbol in (None, keys["HermannMauguin"])
        ]
        if not rows:
            raise Unreadable("a space group that does not exist")

        def rank(row):
            keys = row[0]
            contradicted = [k for k in _KEYS if k in words and words[k] != keys.get(k, words[k])]
            return len(contradicted), int(keys["Setting"])

        return [_setting(*row) for row in sorted(rows, key=rank)]


def _group(hall, keys):
    """gemmi's setting of a Hall symbol and a file's keys; None where the two do not go together.

    The table lists both origins, and both axes of R lattices, under either Hall symbol.
    """
    if keys["Lattice"] == "Triclinic" and keys["HermannMauguin"][0] in "ABCIF":
        return gemmi.find_spacegroup_by_name(re.sub("^(.)", r"\1 ", keys["HermannMauguin"]))
    # The table writes = for the " of a Hall symbol.
    group = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(hall.replace("=", '"')))
    extension = {"Rhombohedral": "R", "Trigonal": "H"}.get(keys["Lattice"])
    if group and group.ext in "12HR" and group.ext not in (extension, keys.get("OriginChoice")):
        return None
    return group


def _setting(keys, group, wyckoffs):
    operations = list(group.operations())
    return Setting(
        keys,
        group,
        rotations=np.array([op.rot for op in operations]) // gemmi.Op.DEN,
        translations=np.array([op.tran for op in operations]) / gemmi.Op.DEN,
        positions={
            letter: (int(w["N"]), w["std_notations"][0].split()) for letter, w in wyckoffs.items()
        },
    )
