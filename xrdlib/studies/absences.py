"""Positions of absent reflections in a pattern, and the effect of a peak added there.

A *diagnostic* absence is a reflection of the cell that the true group forbids and that another
plausible group of the same crystal system allows. It is compared with positions on both sides of it
where the cell has no reflection, weighed so that what changes evenly with the angle cancels.

A peak added at a diagnostic absence speaks against the true group. A peak where the cell has no
reflection is foreign, and one upon an allowed reflection is nothing new: a model that reads
absences should respond to the first and not to the others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy import ndarray

from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1, Grid, normalise
from ..base.records import Reflections
from ..identification.cell_evidence import cell_reflections
from ..identification.peaks import profile
from ..learning import decode, priors
from ..learning.statistics import compare
from ..simulation.diffraction import WAVELENGTHS
from ..symmetry import cells, groups
from .specimens import Specimens, absent, allowed, grid_of, powder_reflections, regridded

MARGIN = 0.2  # degrees beyond a token's ends that hold no reflection either
VISIBLE = 0.01  # of the strongest reflection; what is weaker may be overlooked
PLAUSIBLE = 0.002  # share of minerals from which a group is one to reckon with
MOST_REFLECTIONS = 1000  # in reach; with more, hardly any position is empty
REACH, SIMILAR_GAP = 10.0, 0.5  # degrees; how far controls may differ in position and in gap
FAR = 2.0  # degrees; all reflections this far away and farther are the same to a token
FOREIGN = 0.25  # degrees from an allowed reflection; other peaks are foreign
FWHM = 0.12  # degrees
HEIGHTS = (0.02, 0.1)  # of the strongest peak
MOST = 2  # absences of a pattern that are tried
AT = ("absence", "empty", "line")  # where a peak is added; "line": upon an allowed reflection

_BATCH = 64


@dataclass(frozen=True)
class Positions:
    """Tokens of one pattern, k of them with a diagnostic absence; all angles are degrees 2theta."""

    diagnostic: ndarray  # (k,) int64: with a diagnostic absence and no allowed reflection
    angle: ndarray  # (k,) of the absent reflection, of the first one in the token
    hkl: ndarray  # (k, 3) its indices
    controls: ndarray  # (k, 2) nearest empty tokens on both sides, as far from a visible reflection
    weights: ndarray  # (k, 2) of the controls; their mean angle is then that of the absence
    reflection: ndarray  # (k,) the nearest token that holds a visible reflection
    reflection_angle: ndarray  # (k,) of the nearest visible reflection
    rivals: list  # k tuples of groups 1..99 that would allow it and fit all visible reflections
    allowed: ndarray  # all reflections that the true group allows
    absent: ndarray  # those it forbids
    width: float  # of a token, degrees

    def __len__(self) -> int:
        return len(self.diagnostic)


def tokens(model: torch.nn.Module) -> tuple[ndarray, float]:
    """First angle of each token and their common width, in degrees."""
    start, step, _ = model.config.grid
    width = model.token_points * step
    return start - step / 2 + width * np.arange(model.tokens), width


def located(
    subjects: Specimens, model: torch.nn.Module, prior: ndarray, foreign_peaks: bool = False
) -> tuple[Specimens, list[Positions]]:
    """The specimens that have diagnostic absences, on a model's grid, with their positions.

    `prior` (99,) says how common each group is. With `foreign_peaks`, tokens are left out that hold
    a peak which is not indexed by an allowed reflection.
    """
    grid = grid_of(model)
    subjects = regridded(subjects, grid)
    edges, width = tokens(model)
    every = []
    for i, intensity in enumerate(subjects.intensity):
        crystal = subjects.crystals.take([i])
        stop = grid.two_theta[np.flatnonzero(intensity)[-1]]
        here = diagnostic_positions(crystal, edges, width, prior, stop)
        if here is not None and foreign_peaks:
            peaks = grid.two_theta[profile(intensity, grid.step).peaks]
            foreign = np.abs(peaks[:, None] - here.allowed).min(axis=1) > FOREIGN
            here = diagnostic_positions(crystal, edges, width, prior, stop, peaks[foreign])
        every.append(here)
    kept = np.array([i for i, here in enumerate(every) if here is not None], dtype=np.int64)
    return subjects.take(kept), [every[i] for i in kept]


def diagnostic_positions(
    crystal: Reflections,
    edges: ndarray,
    width: float,
    prior: ndarray,
    stop: float = 90.0,
    exclude: ndarray = (),
) -> Positions | None:
    """Diagnostic absences of a pattern, each with empty tokens that match it.

    Tokens of a `width` begin at `edges` (tokens,), the pattern ends at `stop`, degrees; `prior`
    (99,) says how common each group is. Tokens with an angle to `exclude`, of peaks that belong to
    no reflection of the crystal, are left out. None where the cell is not in a setting of its
    group, or no absence has a match.
    """
    cell, label = cells.cell_of_lattice(crystal.lattice[0]), int(crystal.group[0])
    try:
        hkl, position, angle, _ = cell_reflections(cell, CU_KA1, float(edges[0]), stop)
    except XrdlibError:
        return None  # too many reflections, or none
    if len(angle) > MOST_REFLECTIONS:
        return None
    two_theta, strength = powder_reflections(crystal)
    seen = (strength > VISIBLE * np.nanmax(strength)) & (two_theta <= stop)
    fits = _fitting(label, cell, hkl, position, crystal.hkl)
    if not fits or not seen.any():
        return None
    there = min(fits, key=np.count_nonzero)
    rivals = _rivals(label, cell, hkl, position, crystal.hkl[seen], prior)
    near = [_near(edges, width, angles) for angles in (angle[there], angle, np.array(exclude))]
    inside = edges + width <= stop
    free, empty = (inside & ~near[k] & ~near[2] for k in (0, 1))
    empty = np.flatnonzero(empty)
    gap = np.abs((edges + width / 2)[:, None] - two_theta[seen]).min(axis=1).clip(max=FAR)
    bright = np.flatnonzero(inside & _holds(edges, width, two_theta[seen]))
    if not len(bright):
        return None
    by_token = {}
    first = np.unique(position, return_index=True)[1]
    for at in np.flatnonzero(~there):
        token = int((angle[at] - edges[0]) // width)
        who = tuple(name for name, state in rivals.items() if state[at])
        if not who or token >= len(edges) or not free[token] or token in by_token:
            continue
        if (match := matched(token, empty, gap, width)) is not None:
            lit = bright[np.abs(bright - token).argmin()]
            beside = two_theta[seen][np.abs(two_theta[seen] - angle[at]).argmin()]
            by_token[token] = (token, angle[at], hkl[first[at]], *match, lit, beside, who)
    if not by_token:
        return None
    *columns, who = zip(*by_token.values(), strict=True)
    rest = (list(who), angle[there], angle[~there], width)
    return Positions(*map(np.array, columns), *rest)


def matched(token: int, empty: ndarray, gap: ndarray, width: float) -> tuple | None:
    """Empty tokens below and above one, about as far from a visible reflection, and their weights.

    ((below, above), (weight, weight)), or None where there is none on one of the sides within
    `REACH`. `empty` are tokens without any reflection of the cell, `gap` (tokens,) goes from each
    centre to the nearest visible reflection, `width` is that of a token, in degrees.
    """
    reach = (np.abs(empty - token) * width <= REACH) & (empty != token)
    alike = empty[reach & (np.abs(gap[empty] - gap[token]) <= SIMILAR_GAP)]
    below, above = alike[alike < token], alike[alike > token]
    if not len(below) or not len(above):
        return None
    low, high = int(below[-1]), int(above[0])
    share = (token - low) / (high - low)
    return (low, high), (1 - share, share)


def reader(
    model: torch.nn.Module, fusion: float, training_prior: ndarray
) -> Callable[[torch.Tensor], ndarray]:
    """A function from network input (B, size) to log-probabilities (B, 99) of a network.

    `fusion` is the weight of the rule head, 0..1; the training prior (99,) is divided out.
    """

    @torch.inference_mode()
    def read(x):
        parts = [decode.log_probs(model.eval()(part), fusion) for part in x.split(_BATCH)]
        return priors.divide_out(torch.cat(parts).numpy(), training_prior)

    return read


def peak_profile(grid: Grid, angle: float, fwhm: float = FWHM) -> ndarray:
    """A K-alpha doublet of unit height, half Gaussian and half Lorentzian, (grid.size,).

    `angle` is 2theta of the K-alpha1 line; both in degrees.
    """
    sine = np.sin(np.radians(angle / 2)) * WAVELENGTHS["CuKa2"] / CU_KA1
    second = 2 * np.degrees(np.arcsin(min(sine, 1.0)))
    x = (grid.two_theta - np.array([[angle], [second]])) / (fwhm / 2)
    shape = (np.exp(-np.log(2) * x**2) + 1 / (1 + x**2)) / 2
    shape = shape[0] + shape[1] / 2
    return shape / shape.max()


def effects(
    read: Callable,
    specimens: Specimens,
    positions: list[Positions],
    heights: tuple[float, ...] = HEIGHTS,
    most: int = MOST,
) -> tuple[ndarray, ndarray]:
    """How added peaks move the odds of the true group against its rivals.

    Peaks of some `heights` (of the strongest) are added at absences, at most so many a pattern,
    spread evenly over its range.

    Returns
    -------
    change : ndarray, (k, len(heights), 3)
        Change of ln p(true) - ln p(rivals that allow the absent reflection), in nats, for a peak at
        the absence, at empty positions (weighted mean of the controls), and upon an allowed one.
    owner : ndarray, (k,) int64
        Specimen of each absence.
    """
    grid = specimens.grid
    before = read(normalise(torch.from_numpy(specimens.intensity)))
    change, owner = [], []
    for i, here in enumerate(positions):
        true = int(specimens.crystals.group[i]) - 1
        intensity = specimens.intensity[i]
        for j in np.unique(np.linspace(0, len(here) - 1, min(most, len(here))).astype(int)):
            rivals = np.array(here.rivals[j]) - 1
            # The same position within the token, there and in the controls.
            shift = (here.controls[j] - here.diagnostic[j]) * here.width
            angles = [here.angle[j], *(here.angle[j] + shift), here.reflection_angle[j]]
            added = np.array([peak_profile(grid, angle) for angle in angles]) * intensity.max()
            raw = intensity + np.array(heights)[:, None, None] * added
            after = read(normalise(torch.from_numpy(raw.reshape(-1, grid.size))))
            odds = _odds(after, true, rivals) - _odds(before[i : i + 1], true, rivals)
            odds = odds.reshape(len(heights), len(angles))
            empty = odds[:, 1:-1] @ here.weights[j]
            change.append(np.column_stack([odds[:, 0], empty, odds[:, -1]]))
            owner.append(i)
    return np.array(change), np.array(owner)


def intervened(
    read: Callable,
    subjects: Specimens,
    positions: list[Positions],
    n_boot: int = 1000,
    seed: int = 0,
) -> list[dict]:
    """Effect of added peaks, a row a height.

    Rows have "height", "n", "n_families"; for each of `AT` mean "change" of the log-odds in
    nats with "change_ci95", and the "difference" between absence and empty position with
    "difference_ci95" and "p".
    """
    change, owner = effects(read, subjects, positions)
    rows = []
    for h, height in enumerate(HEIGHTS):
        values = np.column_stack([change[:, h], change[:, h, 0] - change[:, h, 1]])
        test = compare(values, subjects.family[owner], n_boot, seed=seed)
        rows.append(
            {
                "height": height,
                **{key: test[key] for key in ("n", "n_families")},
                "change": dict(zip(AT, test["mean"], strict=False)),
                "change_ci95": dict(zip(AT, test["ci95"], strict=False)),
                "difference": test["mean"][-1],
                "difference_ci95": test["ci95"][-1],
                "p": test["p"][-1],
            }
        )
    return rows


@cache
def _settings(label, representative):
    return cells.settings(label, representative)


def _fitting(label, cell, hkl, position, seen):
    """Positions that a group allows, (k,) bool, in each setting that forbids no seen reflection."""
    return [
        allowed(label, change, hkl, position)
        for change in _settings(label, cells.representative(cell))
        if not absent(label, change, seen).any()
    ]


def _rivals(label, cell, hkl, position, seen, prior):
    """Positions that each plausible group allows in settings that forbid no visible reflection."""
    systems, rivals = groups.crystal_systems(), {}
    for other in range(1, groups.N_GROUPS + 1):
        same = other != label and systems[other - 1] == systems[label - 1]
        if same and prior[other - 1] >= PLAUSIBLE:
            states = _fitting(other, cell, hkl, position, seen)
            if states:
                rivals[other] = np.any(states, axis=0)
    return rivals


def _near(edges, width, angles):
    """Whether each token or its margin holds one of some angles, (tokens,) bool."""
    return _holds(edges - MARGIN, width + 2 * MARGIN, angles)


def _holds(edges, width, angles):
    ordered = np.sort(angles)
    return np.searchsorted(ordered, edges + width) > np.searchsorted(ordered, edges)


def _odds(logp, true, rivals):
    return logp[:, true] - np.logaddexp.reduce(logp[:, rivals], axis=1)
