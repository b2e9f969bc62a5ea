"""Reflections of a given cell that groups allow and forbid, and those that decide between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from ..base.errors import XrdlibError
from ..simulation.diffraction import resolve_wavelength
from ..symmetry import groups
from ..symmetry.cells import metric_tensor, settings
from ..symmetry.conditions import conditions
from .peaks import profile

NEAR = 0.15  # degrees; reflections this close to each other, or a peak to one, count as one

_MAX_REFLECTIONS = 50_000

_STEP = 0.02  # degrees, of the pattern that peaks are sought in


@dataclass(frozen=True)
class Candidate:
    """Reflections of the cell under one extinction group.

    Attributes
    ----------
    label : int
        1..99.
    conditions : str
        Reflection conditions in the axes of the given cell.
    state : ndarray, (k,) int8
        Of each reflection: 1 allowed, 0 extinct though the centring allows it, -1 left out by
        the centring.
    contradicted : ndarray, (k,) bool
        Reflections that the group forbids, apart from all that it allows, at a peak.
    """

    label: int
    conditions: str
    state: np.ndarray
    contradicted: np.ndarray


@dataclass(frozen=True)
class Evidence:
    """Reflections of a cell beside a pattern.

    Attributes
    ----------
    hkl : ndarray, (k, 3) int
        Indices of one of each set with the same spacing.
    two_theta : ndarray, (k,)
        Degrees, ascending.
    d : ndarray, (k,)
        Angstrom.
    seen : ndarray, (k,) bool
        Whether the pattern has a peak there.
    candidates : list of Candidate
    decisive : ndarray, int
        Reflections that some candidates allow and others forbid, apart from those that all allow.
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
    """Compare the reflections that candidates allow and forbid with a pattern.

    The axes of the cell may be named in any order, and a monoclinic cell be any choice of a and c:
    the setting of a group is the one whose forbidden reflections show the least intensity.

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
        If the cell is impossible, too large, or has no reflection in the range.
    """
    order = np.argsort(two_theta, kind="stable")
    angle = np.asarray(two_theta, dtype=np.float64)[order]
    even = np.arange(angle[0], angle[-1], _STEP)
    pattern = profile(np.interp(even, angle, np.asarray(intensity, dtype=float)[order]), _STEP)
    hkl, number, position, spacing = cell_reflections(cell, wavelength, angle[0], angle[-1])
    seen = _near(position, even[pattern.peaks])
    near = (pattern.height[np.abs(even - x) < NEAR] for x in position)
    strength = np.array([heights.max(initial=0.0) for heights in near])
    candidates, impossible = [], []
    for label in labels:
        choices = settings(label, cell)
        if not choices:
            impossible.append(int(label))
            continue
        states = [_state(label, change, hkl, number) for change in choices]
        free = [(s < 1) & ~_near(position, position[s == 1]) for s in states]
        best = int(np.argmin([strength[f].sum() for f in free]))
        member = groups.first_member(label)
        stated = "; ".join(map(str, conditions(member, _hashable(choices[best])))) or "none"
        candidates.append(Candidate(int(label), stated, states[best], free[best] & seen))
    first = np.unique(number, return_index=True)[1]
    return Evidence(
        hkl[first], position, spacing, seen, candidates, _decisive(candidates, position), impossible
    )


def cell_reflections(
    cell: Sequence[float], wavelength: str | float, first: float, last: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Distinct reflections of a primitive cell between two angles.

    Parameters
    ----------
    cell : sequence of 6 floats
    first, last : float
        Degrees 2theta.

    Returns
    -------
    hkl : ndarray, (m, 3) int
        One of each Friedel pair; those of the same spacing stand together, the simplest indices
        first.
    number : ndarray, (m,) int
        Distinct reflection 0..k-1 of each.
    two_theta, d : ndarray, (k,)
        Of each distinct reflection, in degrees and angstrom.

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


def _state(label, change, hkl, number):
    """1, 0 or -1 of each distinct reflection, see `Candidate`."""
    member = groups.first_member(label)
    rotations, translations = groups.operations(member)
    lattice = (rotations == np.eye(3)).all((1, 2))
    reference = hkl @ change
    centred = groups.systematically_absent(rotations[lattice], translations[lattice], reference)
    state = np.where(groups.absent(member, reference), 0, 1) - centred
    result = np.full(number[-1] + 1, -1, dtype=np.int8)
    np.maximum.at(result, number, state.astype(np.int8))
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
    disputed = allowed.any(0) & ~allowed.all(0)
    return np.flatnonzero(disputed & ~_near(position, position[allowed.all(0)]))


def _hashable(matrix):
    return tuple(map(tuple, matrix.tolist()))
