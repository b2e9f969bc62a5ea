"""Signs that a structure was mistyped: a formula that its sites contradict, atoms too close."""

import re

import gemmi
import numpy as np

CONTACT = 1.0  # angstrom; no two atoms but hydrogen are nearer than that
FULL = 1.05  # what occupies one place may add up to this, for rounding in published values
_TOKEN = re.compile(r"([A-Z][a-z]?)(\d*\.?\d*)|([(\[])|[)\]](\d*\.?\d*)")


def formula_amounts(text):
    """Amounts of the elements in a formula such as "(Al_Si3)_(Na.75_K.25)_O8".

    Returns
    -------
    dict of str to float, or None
        None where the formula cannot be read.
    """
    text, place = text.replace("_", ""), 0
    levels = [{}]
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None or (token[0][0] in ")]" and len(levels) == 1):
            return None
        place = token.end()
        element, amount, opening, times = token.groups()
        if opening:
            levels.append({})
            continue
        part = {element: _number(amount)} if element else levels.pop()
        factor = 1.0 if element else _number(times)
        for name, n in part.items():
            levels[-1][name] = levels[-1].get(name, 0.0) + n * factor
    amounts = levels[0]
    readable = len(levels) == 1 and all(gemmi.Element(name).atomic_number for name in amounts)
    return amounts if readable and sum(amounts.values()) > 0 else None


def difference(first, second):
    """Share of the atoms, hydrogen apart, by which two compositions differ: 0..1.

    Parameters
    ----------
    first, second : dict of str to float
        Amounts of the elements, on any scale.
    """
    fractions = []
    for amounts in (first, second):
        heavy = {e: n for e, n in amounts.items() if gemmi.Element(e).atomic_number > 1}
        total = sum(heavy.values()) or 1.0
        fractions.append({element: n / total for element, n in heavy.items()})
    one, other = fractions
    return sum(abs(one.get(e, 0.0) - other.get(e, 0.0)) for e in one.keys() | other.keys()) / 2


def crowded(elements, frac, occupancy, rotations, translations, lattice):
    """Whether atoms of two places, hydrogen apart, are closer than `CONTACT` and both are there.

    Parameters
    ----------
    elements : list of n str
    frac : ndarray, (n, 3)
        The asymmetric unit.
    occupancy : ndarray, (n,)
    rotations, translations : ndarray, (k, 3, 3) and (k, 3)
        All operations x' = W x + w.
    lattice : ndarray, (3, 3)
        Rows a, b, c in angstrom.
    """
    heavy = np.array([gemmi.Element(element).atomic_number > 1 for element in elements])
    frac, occupancy = frac[heavy], occupancy[heavy]
    both = occupancy[:, None] + occupancy > FULL
    for rotation, translation in zip(rotations, translations, strict=True):
        apart = (frac @ rotation.T + translation)[:, None] - frac
        distance = np.linalg.norm((apart - np.rint(apart)) @ lattice, axis=2)
        # What shares a place is no contact: an atom and its image, or a mixed site.
        if (both & (distance > 0.02) & (distance < CONTACT)).any():
            return True
    return False


def _number(text):
    return float(text) if text.strip(".") else 1.0
