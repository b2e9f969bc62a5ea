"""Which lines of a known cell a group allows and forbids, and which lines decide between groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from ..base.errors import XrdlibError
from ..simulation.diffraction import resolve_wavelength
from ..symmetry import groups
from ..symmetry.cells import (
    metric_tensor,
    settings,
)
from ..symmetry.conditions import conditions
from .peaks import profile

NEAR = 0.15  # degrees; lines this close to each other, or a peak to a line, count as one

_MAX_REFLECTIONS = 50_000

_STEP = 0.02  # degrees, of the pattern that peaks are sought in


@dataclass(frozen=True)
class Candidate:
    """What one extinction group says about the lines of the cell.

    Attributes
    ----------
    label : int
        1..99.
    conditions : str
        Reflection conditions in the axes of the given cell.
    state : ndarray, (k,) int8
        Of each line: 1 allowed, 0 extinct though the centring allows it, -1 left out by the
        centring.
    contradicted : ndarray, (k,) bool
        Lines that the group forbids, apart from all that it allows, where there is a peak.
    """

    label: int
    conditions: str
    state: np.ndarray
    contradicted: np.ndarray


@dataclass(frozen=True)
class Evidence:
    """Lines of a cell beside a pattern.

    Attributes
    ----------
    hkl : ndarray, (k, 3) int
        One reflection of each line.
    two_theta : ndarray, (k,)
        Degrees, ascending.
    d : ndarray, (k,)
        Angstrom.
    seen : ndarray, (k,) bool
        Whether the pattern has a peak there.
    candidates : list of Candidate
    decisive : ndarray, int
        Lines that some candidates allow and others forbid, apart from lines that all allow.
    impossible : list of int
        Labels whose crystal system the cell does not permit.
    """

    hkl: np.ndarray
    two_theta: np.ndarray
    d: np.ndarray
    seen: np.ndarray
    candidates: list
    decisive: np.ndarray
    impossible: list


def evidence(
    two_theta: ArrayLike,
    intensity: ArrayLike,
    wavelength: str | float,
    cell: Sequence[float],
    labels: Sequence[int],
) -> Evidence:
    """Hold the lines that candidates allow and forbid against a pattern.

    The axes of the cell may be named in any order, and a monoclinic cell be any choice of a and c:
    of a group's settings that is taken whose forbidden lines show the least intensity.

    Parameters
    ----------
    two_theta, intensity : array_like, (m,)
        Degrees and any linear scale.
    wavelength : str or float
        A named line, or angstrom.
    cell : sequence of 6 floats
        a, b, c in angstrom, alpha, beta, gamma in degrees; hexagonal axes for rhombohedral groups.
    labels : sequence of int
        Candidates, 1..99.

    Returns
    -------
    Evidence

    Raises
    ------
    XrdlibError
        If the cell is impossible, too large, or has no line in the range.
    """
    order = np.argsort(two_theta, kind="stable")
    angle = np.asarray(two_theta, dtype=np.float64)[order]
    even = np.arange(angle[0], angle[-1], _STEP)
    found = profile(np.interp(even, angle, np.asarray(intensity, dtype=float)[order]), _STEP)
    hkl, line, position, spacing = lines(cell, wavelength, angle[0], angle[-1])
    seen = _near(position, even[found.peaks])
    strength = np.array([found.height[np.abs(even - x) < NEAR].max(initial=0.0) for x in position])
    candidates, impossible = [], []
    for label in labels:
        choices = settings(label, cell)
        if not choices:
            impossible.append(int(label))
            continue
        states = [_state(label, change, hkl, line) for change in choices]
        free = [(s < 1) & ~_near(position, position[s == 1]) for s in states]
        best = int(np.argmin([strength[f].sum() for f in free]))
        number = groups.table()["extinction_groups"][label - 1]["space_groups"][0]
        stated = "; ".join(map(str, conditions(number, _hashable(choices[best])))) or "none"
        candidates.append(Candidate(int(label), stated, states[best], free[best] & seen))
    first = np.unique(line, return_index=True)[1]
    return Evidence(
        hkl[first], position, spacing, seen, candidates, _decisive(candidates, position), impossible
    )


def lines(
    cell: Sequence[float], wavelength: str | float, first: float, last: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Distinct lines of a primitive cell between two angles.

    Parameters
    ----------
    cell : sequence of 6 floats
    first, last : float
        Degrees 2theta.

    Returns
    -------
    hkl : ndarray, (m, 3) int
        Reflections, of each hkl and its opposite one; those of a line stand together, the one with
        the simplest indices first.
    line : ndarray, (m,) int
        Line 0..k-1 of each.
    two_theta, d : ndarray, (k,)
        Of each line, in degrees and angstrom.

    Raises
    ------
    XrdlibError
        As for `evidence`.
    """
    metric = np.linalg.inv(metric_tensor(cell))
    wavelength = resolve_wavelength(wavelength)
    reach = 2 * np.sin(np.radians(min(last, 180.0) / 2)) / wavelength
    lengths = np.asarray(cell[:3], dtype=np.float64)
    if 2.1 * reach**3 / np.sqrt(np.linalg.det(metric)) > _MAX_REFLECTIONS:
        raise XrdlibError(
            f"The cell has more than {_MAX_REFLECTIONS} reflections in the range; give a smaller "
            "one, or a shorter scan."
        )
    ranges = [range(-int(n), int(n) + 1) for n in lengths * reach]
    ranges[0] = range(ranges[0][-1] + 1)  # the other half are Friedel opposites
    hkl = np.array(list(product(*ranges)))
    square = np.einsum("ni,ij,nj->n", hkl, metric, hkl)
    low = 2 * np.sin(np.radians(first / 2)) / wavelength
    inside = (square >= max(low, 1e-6) ** 2) & (square <= reach**2)
    if not inside.any():
        raise XrdlibError("The cell has no reflection in the range of the scan; is it right?")
    hkl, square = hkl[inside], square[inside]
    # Rounded, lengths that are equal by symmetry have equal keys; a tie goes to simple indices.
    key = np.round(square * 1e7)
    order = np.lexsort((-hkl[:, 0], -hkl[:, 1], (hkl < 0).sum(1), np.abs(hkl).max(1), key))
    hkl, key, square = hkl[order], key[order], square[order]
    starts = np.concatenate([[True], np.diff(key) > 1])
    star = np.sqrt(square[starts])
    angle = 2 * np.degrees(np.arcsin(np.minimum(star * wavelength / 2, 1)))
    return hkl, np.cumsum(starts) - 1, angle, 1 / star


def _state(label, change, hkl, line):
    """1, 0 or -1 of each line, see `Candidate`."""
    number = groups.table()["extinction_groups"][label - 1]["space_groups"][0]
    rotations, translations = groups.operations(number)
    lattice = (rotations == np.eye(3)).all((1, 2))
    reference = hkl @ change
    centred = groups.systematically_absent(rotations[lattice], translations[lattice], reference)
    state = np.where(groups.absent(number, reference), 0, 1) - centred
    result = np.full(line[-1] + 1, -1, dtype=np.int8)
    np.maximum.at(result, line, state.astype(np.int8))
    return result


def _near(x, others):
    """Which of x (n,) lie near one of the others."""
    if len(others) == 0:
        return np.zeros(len(x), dtype=bool)
    return (np.abs(x[:, None] - np.asarray(others)) < NEAR).any(1)


def _decisive(candidates, position):
    if not candidates:
        return np.zeros(0, dtype=np.int64)
    allowed = np.array([candidate.state == 1 for candidate in candidates])
    open_ = allowed.any(0) & ~allowed.all(0)
    return np.flatnonzero(open_ & ~_near(position, position[allowed.all(0)]))


def _hashable(matrix):
    return tuple(map(tuple, matrix.tolist()))
