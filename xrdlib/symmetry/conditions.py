"""Reflection conditions of a space group, in the way International Tables A lists them."""

from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np

from . import groups

_REACH = 6  # largest index at which a condition modulo 2, 3, 4 or 6 shows itself
_HKL = np.array(list(product(range(-_REACH, _REACH + 1), repeat=3)))

# General zones first: a condition is stated for the largest zone that it holds in. The matrices
# project column vectors h, k, l on the zone.
ZONES = {
    "hkl": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "0kl": ((0, 0, 0), (0, 1, 0), (0, 0, 1)),
    "h0l": ((1, 0, 0), (0, 0, 0), (0, 0, 1)),
    "hk0": ((1, 0, 0), (0, 1, 0), (0, 0, 0)),
    "hhl": ((1, 0, 0), (1, 0, 0), (0, 0, 1)),
    "h-hl": ((1, 0, 0), (-1, 0, 0), (0, 0, 1)),
    "h00": ((1, 0, 0), (0, 0, 0), (0, 0, 0)),
    "0k0": ((0, 0, 0), (0, 1, 0), (0, 0, 0)),
    "00l": ((0, 0, 0), (0, 0, 0), (0, 0, 1)),
}

# Sums of indices that are whole multiples, weaker ones first.
_FORMS = tuple(
    (form, modulus)
    for modulus, forms in (
        (2, ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1), (1, 0, 1), (1, 1, 1))),
        (3, ((0, 0, 1), (-1, 1, 1))),
        (4, ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1), (1, 0, 1), (2, 0, 1))),
        (6, ((0, 0, 1),)),
    )
    for form in forms
)


class Condition(NamedTuple):
    """Reflections of a zone are there only if a sum of their indices is a whole multiple.

    Attributes
    ----------
    zone : str
        A key of `ZONES`.
    form : tuple of 3 ints
        Factors of h, k and l.
    modulus : int
    """

    zone: str
    form: tuple
    modulus: int

    def __str__(self) -> str:
        parts = [
            {1: "", -1: "-"}.get(factor, str(factor)) + index
            for factor, index in zip(self.form, "hkl", strict=True)
            if factor
        ]
        return f"{self.zone}: {'+'.join(parts)} = {self.modulus}n"

    def violated(self, hkl: np.ndarray) -> np.ndarray:
        """Which reflections (n, 3) lie in the zone and break the condition, (n,) bool."""
        return in_zone(self.zone, hkl) & ((hkl @ np.array(self.form)) % self.modulus != 0)


def in_zone(zone: str, hkl: np.ndarray) -> np.ndarray:
    """Which reflections (n, 3) lie in a zone, (n,) bool."""
    return (hkl @ np.array(ZONES[zone]).T == hkl).all(1)


@cache
def conditions(number: int, change: tuple | None = None) -> tuple[Condition, ...]:
    """Reflection conditions of a space group.

    Derived from the absences: zones are gone through from the general to the special one, and in
    each the condition that covers most of the absences left is taken, until all are covered.
    A reflection is absent exactly if it or one of its equivalents breaks a condition.

    Parameters
    ----------
    number : int
        Space-group number, 1..230.
    change : tuple of 3 tuples of 3 ints, optional
        Other axes than those of the reference setting: hkl there are hkl in these axes times this
        matrix, of determinant 1 or -1.
    """
    change = np.eye(3, dtype=np.int64) if change is None else np.array(change)
    inverse = np.rint(np.linalg.inv(change)).astype(np.int64)
    rotations = change @ np.unique(groups.operations(number)[0], axis=0) @ inverse
    equivalents = [_HKL @ rotation for rotation in rotations]
    absent = groups.absent(number, _HKL @ change)
    covered = np.zeros_like(absent)
    chosen = []
    for zone in ZONES:
        inside = in_zone(zone, _HKL)
        while (inside & absent & ~covered).any():
            best, gain = None, 0
            for form, modulus in _FORMS:
                condition = Condition(zone, form, modulus)
                # Equivalents are absent together, so the reflection's own absence is enough.
                if (condition.violated(_HKL) & ~absent).any():
                    continue
                broken = np.any([condition.violated(hkl) for hkl in equivalents], axis=0)
                new = int((broken & ~covered).sum())
                if new > gain:
                    best, gain, extinct = condition, new, broken
            if best is None:
                break  # a more special zone covers the rest
            chosen.append(best)
            covered |= extinct
    return tuple(chosen)
