"""Space-group settings as BGMN names them, with the first coordinates of each Wyckoff letter."""

import json
import re
from dataclasses import dataclass

import gemmi
import numpy as np

from .entries import Unreadable

_KEYS = ("Setting", "OriginChoice", "CellChoice", "UniqueAxis", "Lattice")
_EXTENSION = {"Rhombohedral": "R", "Trigonal": "H"}  # of gemmi's symbols, for R lattices
_CENTRED = ("A", "B", "C", "I", "F")


@dataclass(frozen=True)
class Setting:
    """One setting of one space group.

    Attributes
    ----------
    keys : dict of str to str
        As in a structure file: SpacegroupNo, HermannMauguin and what tells settings apart.
    group : gemmi.SpaceGroup
    rotations, translations : ndarray, (k, 3, 3) int and (k, 3) float
        All operations, centring included.
    positions : dict of str to (int, list of str)
        Multiplicity and first coordinates of each Wyckoff letter, such as ["x", "2*x", "1/4"].
    """

    keys: dict
    group: gemmi.SpaceGroup
    rotations: np.ndarray
    translations: np.ndarray
    positions: dict


class Catalogue:
    """All settings, from the JSON table that the structure files come with."""

    def __init__(self, text):
        self._by_number = {}
        for hall in json.loads(text).values():
            for row in hall["settings"]:
                keys = row["setting"]
                group = _group(hall["hall_symb"], keys)
                if group is not None:
                    known = self._by_number.setdefault(int(keys["SpacegroupNo"]), [])
                    known.append((keys, group, row["wyckoffs"]))

    def settings(self, words):
        """Settings that the keywords of a structure file can mean, the likeliest first.

        Parameters
        ----------
        words : dict of str to str
            HermannMauguin, SpacegroupNo (either will do), Setting, OriginChoice, ...

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
            for known_number, known in self._by_number.items()
            for keys, group, positions in known
            if number in (None, str(known_number)) and symbol in (None, keys["HermannMauguin"])
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
    if keys["Lattice"] == "Triclinic" and keys["HermannMauguin"][0] in _CENTRED:
        return gemmi.find_spacegroup_by_name(re.sub("^(.)", r"\1 ", keys["HermannMauguin"]))
    # The table writes = for the " of a Hall symbol.
    group = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(hall.replace("=", '"')))
    if group is None:
        return None
    if group.ext in "12":
        return group if keys.get("OriginChoice") == group.ext else None
    if group.ext in "HR":
        return group if _EXTENSION.get(keys["Lattice"]) == group.ext else None
    return group


def _setting(keys, group, wyckoffs):
    operations = list(group.operations())
    return Setting(
        keys=keys,
        group=group,
        rotations=np.array([op.rot for op in operations]) // gemmi.Op.DEN,
        translations=np.array([op.tran for op in operations]) / gemmi.Op.DEN,
        positions={
            letter: (int(w["N"]), w["std_notations"][0].split()) for letter, w in wyckoffs.items()
        },
    )
