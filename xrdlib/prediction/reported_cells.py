"""The cell that is reported with an answer, see `predictor.Predictor.recognise`."""

from collections.abc import Sequence

import numpy as np

from ..identification.lattice_evidence import LatticeEvidence
from ..symmetry.cells import cell_of_parameters
from . import cell_words, indexing
from .evidence import Seen


def of_patterns(
    lattices: LatticeEvidence,
    seen: Seen,
    probability: np.ndarray,
    patterns: np.ndarray,
    wavelength: float,
    given: bool,
) -> list[dict | None]:
    """Facts of one cell of each pattern, None where none is good.

    Parameters
    ----------
    lattices : lattice_evidence.LatticeEvidence
    seen : evidence.Seen
        With indexing.
    probability : ndarray, (n, 99)
    patterns : ndarray, (n, GRID.size)
    wavelength : float
        Of the measurement, angstrom.
    given : bool
        Whether the user knows the cell.
    """
    if seen.fitted is None:
        return [*map(_indexed, seen.indexed, probability)]
    if given:
        return [*map(_fitted, seen.fitted, probability)]
    reported = []
    for pattern in zip(patterns, seen.fitted, probability, strict=True):
        _, cells = indexing.cells_of(lattices.patterns, *pattern, wavelength)
        good = bool(cells) and cell_words.is_good(cells[0])
        reported.append(cell_words.facts(cells[0]) if good else None)
    return reported


def _indexed(indexed, probability):
    """The lattice of the most probable group that has one."""
    if not indexed.cell:
        return None
    label = max(indexed.cell, key=lambda label: probability[label - 1])
    return {
        "group": label,
        "cell": shown(indexed.cell[label]),
        "lines": indexed.looked_at,
        "explained": int(indexed.indexed[label - 1]),
    }


def shown(cell: Sequence[float]) -> list[float]:
    """A cell as people write it: rounded, and beta obtuse, as it is where a and b are reversed."""
    *others, beta, gamma = cell
    monoclinic = cell[3] == gamma == 90
    return [round(x, 4) for x in (*others, max(beta, 180 - beta) if monoclinic else beta, gamma)]


def _fitted(fitted, probability):
    """As `_indexed`, of lattices that were fitted to the whole pattern, the best first."""
    best_of = {}
    for lattice in fitted:
        for label in np.flatnonzero(np.isfinite(lattice.evidence)) + 1:
            best = best_of.setdefault(int(label), lattice)
            worth = lattice.worth - lattice.evidence.max() + lattice.evidence[label - 1]
            if worth > best.worth - best.evidence.max() + best.evidence[label - 1]:
                best_of[int(label)] = lattice
    if not best_of:
        return None
    label = max(best_of, key=lambda label: probability[label - 1])
    lattice = best_of[label]
    return {
        "group": label,
        "cell": shown(cell_of_parameters(*lattice.lattice[:2])),
        "lines": lattice.observed,
        "explained": lattice.observed - len(lattice.unindexed),
    }
