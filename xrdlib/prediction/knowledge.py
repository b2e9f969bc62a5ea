"""What a user knows of a specimen beforehand: its elements, and structures that it may have."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import gemmi
import numpy as np

from ..base.errors import XrdlibError
from ..base.records import concatenate
from ..identification.library import Library
from ..learning.priors import smooth_prior
from ..symmetry.groups import N_GROUPS

# Structures that the general prior weighs as much as, beside those of the elements. Chosen on the
# calibration half of the measured patterns of other laboratories (`benchmarks/known_elements.py`).
STRENGTH = 100.0


class Elements(NamedTuple):
    """Elements of a specimen.

    Attributes
    ----------
    numbers : frozenset of int
        Atomic numbers, without hydrogen: many structures do not list theirs.
    and_others : bool
        Whether there may be others beside them.
    """

    numbers: frozenset
    and_others: bool

    def hold(self, library: Library) -> np.ndarray:
        """Which structures have these elements alone, or at least these, (n,) bool."""
        bits = sum(1 << z for z in self.numbers)
        wanted = np.array([bits % 2**64, bits >> 64], dtype=np.uint64)
        if self.and_others:
            return ((library.elements & wanted) == wanted).all(1)
        hydrogen = np.array([2, 0], dtype=np.uint64)
        return ((library.elements & ~(wanted | hydrogen)) == 0).all(1)


def elements(stated: str | Iterable[str]) -> Elements:
    """Elements from symbols.

    Parameters
    ----------
    stated : str or iterable of str
        Symbols with commas or spaces between them; "..." at the end means that there may be others.

    Raises
    ------
    XrdlibError
        If one is no symbol of an element, or hydrogen is alone.

    Examples
    --------
    >>> elements("Ca,Mg,Si,O").and_others, elements("Si O ...").and_others
    (False, True)
    """
    text = stated if isinstance(stated, str) else " ".join(map(str, stated))
    text = text.replace("…", "...").strip()
    symbols = text.removesuffix("...").replace(",", " ").split()
    numbers = set()
    for symbol in symbols:
        element = gemmi.Element(symbol)
        if not element.atomic_number or symbol not in (element.name, element.name.lower()):
            raise XrdlibError(
                f"{symbol!r} is not the symbol of an element; give them as in Ca,Mg,Si,O."
            )
        numbers.add(element.atomic_number)
    if not numbers - {1}:
        raise XrdlibError(f"{text!r} names no element beside hydrogen; give them as in Ca,Si,O.")
    return Elements(frozenset(numbers - {1}), text.endswith("..."))


def narrowed(library: Library, minerals: np.ndarray, known: Elements) -> tuple[Library, np.ndarray]:
    """Structures of the elements, and how frequent groups are among them.

    Parameters
    ----------
    minerals : array_like, (99,)
        The general prior.

    Returns
    -------
    library : Library
        Empty where no structure has the elements; a warning is then logged.
    prior : ndarray, (99,)
        Each formula or mineral has a vote in a group, the general prior has `STRENGTH` votes.
    """
    library = library.take(known.hold(library))
    if not len(library):
        logging.getLogger(__name__).warning("No known structure has these elements: none is used.")
    called = [str(name).partition(" mp-")[0] for name in library.name]
    votes = set(zip(called, library.group.tolist(), strict=True))
    counts = np.bincount(np.array([k for _, k in votes], int), minlength=N_GROUPS + 1)[1:]
    return library, smooth_prior(counts, STRENGTH, minerals)


def informed(
    library: Library,
    minerals: np.ndarray,
    stated: str | Iterable[str] | None = None,
    folder: str | Path | None = None,
) -> tuple[Library, np.ndarray]:
    """A library and a prior with what a user knows.

    Parameters
    ----------
    library : Library
    minerals : array_like, (99,)
        The general prior.
    stated
        As for `elements`.
    folder : path-like, optional
        With CIF files that join the library, see `identification.cif_library.read`.

    Raises
    ------
    XrdlibError
        If a symbol is wrong, or no CIF file can be used.
    """
    minerals = np.asarray(minerals)
    if folder is not None:
        from ..identification import cif_library

        library = concatenate([library, cif_library.read(folder)])
    if stated is not None:
        library, minerals = narrowed(library, minerals, elements(stated))
    return library, minerals
