"""Whether heads look at absent reflections, and the specimens this is asked of.

A *diagnostic* absence is a reflection of the cell that the true group forbids and that another
plausible group of the same crystal system allows. It is compared with places on both sides of it
where the cell has no reflection at all, weighed so that what changes evenly with the angle cancels.

Questions about where a network looks need the places of lines, also of those that are not there.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch

from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1, GRID, Grid, to_grid
from ..base.records import Reflections
from ..identification import searchmatch
from ..identification.cell_evidence import lines
from ..identification.library import from_reflections
from ..identification.retrieval import Retrieval
from ..learning import experiment
from ..learning.outcomes import RECOGNISED
from ..simulation.diffraction import d_star, lorentz_polarisation, two_theta
from ..simulation.realism import measured_like
from ..structures.datasets import MissingData
from ..structures.measured import load
from ..symmetry import groups
from ..symmetry.cells import cell_of_lattice, settings

MARGIN = 0.2  # degrees beyond a token's ends that hold no line either

VISIBLE = 0.01  # of the strongest line; what is weaker may be overlooked

PLAUSIBLE = 0.002  # share of minerals from which a group is one to reckon with

MOST_LINES = 1000  # in reach; with more, hardly any place is empty

REACH, SIMILAR_GAP = 10.0, 0.5  # degrees; how far controls may differ in place and in gap

FAR = 2.0  # degrees; all lines this far away and farther are the same to a token


@dataclass(frozen=True)
class Places:
    """Tokens of one pattern.

    Attributes
    ----------
    diagnostic : ndarray, (k,) int64
        Tokens with a diagnostic absence and no allowed line.
    angle : ndarray, (k,)
        2theta of the absent reflection, of the first one in the token.
    hkl : ndarray, (k, 3) int
        Its indices.
    rivals : list of tuple of int
        Groups 1..99 that would allow it and fit all visible lines.
    controls : ndarray, (k, 2) int64
        The nearest empty tokens below and above each, as far from a visible line as it is.
    weights : ndarray, (k, 2)
        Of the controls; with them their mean angle is that of the diagnostic token.
    line : ndarray, (k,) int64
        The nearest token that holds a visible line.
    line_angle : ndarray, (k,)
        2theta of the nearest visible line.
    allowed, absent : ndarray
        2theta of all lines that the true group allows, and of those it forbids.
    width : float
        Of a token, degrees.
    empty : ndarray of int64
        Tokens without any reflection of the cell, allowed or not.
    gap : ndarray, (tokens,)
        Degrees from each token's centre to the nearest visible line, `FAR` at most.
    """

    diagnostic: np.ndarray
    angle: np.ndarray
    hkl: np.ndarray
    rivals: list
    controls: np.ndarray
    weights: np.ndarray
    line: np.ndarray
    line_angle: np.ndarray
    allowed: np.ndarray
    absent: np.ndarray
    width: float
    empty: np.ndarray
    gap: np.ndarray

    def __len__(self):
        return len(self.diagnostic)


def tokens(model):
    """First angle of each token and their common width, in degrees."""
    start, step, _ = model.config.grid
    width = model.token_points * step
    return start - step / 2 + width * np.arange(model.tokens), width


def places(crystal, edges, width, prior, stop=90.0, exclude=()):
    """Diagnostic absences of a pattern, each with empty tokens that match it.

    Parameters
    ----------
    crystal : records.Reflections
        Of one crystal of known group.
    edges : ndarray, (tokens,)
        First angle of each token, degrees.
    width : float
        Of a token, degrees.
    prior : array_like, (99,)
        How common each group is.
    stop : float
        Last angle of the pattern, degrees.
    exclude : sequence of float
        Angles of peaks that belong to no line of the crystal; tokens with one are left out.

    Returns
    -------
    Places or None
        None where the cell is not in a setting of its group, or no absence has a match.
    """
    shape, label = cell_of_lattice(crystal.lattice[0]), int(crystal.group[0])
    try:
        hkl, line, angle, _ = lines(shape, CU_KA1, float(edges[0]), stop)
    except XrdlibError:
        return None  # too many reflections, or none
    if len(angle) > MOST_LINES:
        return None
    seen_hkl, seen_angle = _visible(crystal, stop)
    fits = [(_allows(label, change, hkl, line), change) for change in _settings(label, shape)]
    fits = [state for state, change in fits if not _forbids_any(label, change, crystal.hkl)]
    if not fits or not len(seen_angle):
        return None
    allowed = min(fits, key=np.count_nonzero)
    rivals = _rivals(label, shape, hkl, line, seen_hkl, prior)
    near = [_near(edges, width, angles) for angles in (angle[allowed], angle, np.array(exclude))]
    inside = edges + width <= stop
    empty = np.flatnonzero(inside & ~near[1] & ~near[2])
    gap = np.abs((edges + width / 2)[:, None] - seen_angle).min(axis=1).clip(max=FAR)
    bright = np.flatnonzero(inside & _holds(edges, width, seen_angle))
    found = []
    first = np.unique(line, return_index=True)[1]
    for at in np.flatnonzero(~allowed):
        token = int((angle[at] - edges[0]) // width)
        who = tuple(name for name, state in rivals.items() if state[at])
        free = token < len(edges) and inside[token] and not near[0][token] and not near[2][token]
        if not who or not free or not len(bright) or (found and found[-1][0] == token):
            continue
        if (match := matched(token, empty, gap, width)) is not None:
            lit = bright[np.abs(bright - token).argmin()]
            beside = seen_angle[np.abs(seen_angle - angle[at]).argmin()]
            found.append((token, angle[at], hkl[first[at]], *match, lit, beside, who))
    if not found:
        return None
    *columns, who = zip(*found, strict=True)
    token, where, indices, controls, weights, lit, beside = map(np.array, columns)
    return Places(
        diagnostic=token,
        angle=where,
        hkl=indices,
        rivals=list(who),
        controls=controls,
        weights=weights,
        line=lit,
        line_angle=beside,
        allowed=angle[allowed],
        absent=angle[~allowed],
        width=width,
        empty=empty,
        gap=gap,
    )


def matched(token, empty, gap, width):
    """Empty tokens below and above a token, about as far from a visible line, and their weights.

    Parameters
    ----------
    token : int
    empty, gap, width
        As in `Places`.

    Returns
    -------
    ((below, above), (weight, weight)) or None
        None where there is none on one of the sides within `REACH`.
    """
    reach = (np.abs(empty - token) * width <= REACH) & (empty != token)
    alike = empty[reach & (np.abs(gap[empty] - gap[token]) <= SIMILAR_GAP)]
    below, above = alike[alike < token], alike[alike > token]
    if not len(below) or not len(above):
        return None
    low, high = int(below[-1]), int(above[0])
    share = (token - low) / (high - low)
    return (low, high), (1 - share, share)


def swapped(here, other):
    """The absences of another crystal looked for in this pattern: places that mean nothing in it.

    Parameters
    ----------
    here, other : Places
        On the same tokens.

    Returns
    -------
    Places or None
        With the other one's diagnostic tokens, those of them that are empty here and have controls
        here; None where there are none.
    """
    found = []
    for j, token in enumerate(other.diagnostic):
        if token in here.empty and (match := matched(token, here.empty, here.gap, here.width)):
            lit = here.line[np.abs(here.diagnostic - token).argmin()]
            found.append((token, other.angle[j], other.hkl[j], *match, lit))
    if not found:
        return None
    token, angle, hkl, controls, weights, lit = map(np.array, zip(*found, strict=True))
    rivals = [here.rivals[0]] * len(token)
    beside = here.line_angle[np.abs(here.diagnostic[:, None] - token).argmin(axis=0)]
    return replace(
        here,
        diagnostic=token,
        angle=angle,
        hkl=hkl,
        rivals=rivals,
        controls=controls,
        weights=weights,
        line=lit,
        line_angle=beside,
    )


def _visible(crystal, stop):
    """hkl and 2theta of the lines that can be seen."""
    star = d_star(crystal.lattice[0], crystal.hkl)
    sine = torch.from_numpy(star * CU_KA1 / 2)
    strength = crystal.multiplicity * crystal.f2 * lorentz_polarisation(sine).numpy()
    angle = two_theta(star, CU_KA1)
    strong = (strength > VISIBLE * np.nanmax(strength)) & (angle <= stop)
    return crystal.hkl[strong].astype(np.int64), angle[strong]


def _settings(label, shape):
    """Settings of a group for a cell, which are the same for all cells with the same equalities."""
    a, b, c = shape[:3]
    second = 5.0 if np.isclose(a, b, rtol=1e-3) else 6.0
    third = 5.0 if np.isclose(a, c, rtol=1e-3) else 7.0
    third = second if np.isclose(b, c, rtol=1e-3) else third
    round_angles = (next((r for r in (90.0, 120.0) if abs(x - r) < 0.1), 100.0) for x in shape[3:])
    return _cached_settings(label, (5.0, second, third, *round_angles))


@cache
def _cached_settings(label, shape):
    return settings(label, shape)


def _number(label):
    return groups.table()["extinction_groups"][label - 1]["space_groups"][0]


def _allows(label, change, hkl, line):
    """Whether a group in a setting allows a reflection of each line, (k,) bool."""
    allowed = np.zeros(line[-1] + 1, dtype=bool)
    np.logical_or.at(allowed, line, ~groups.absent(_number(label), hkl @ change))
    return allowed


def _forbids_any(label, change, hkl):
    return groups.absent(_number(label), hkl.astype(np.int64) @ change).any()


def _rivals(label, shape, hkl, line, seen, prior):
    """Lines that each plausible group allows in settings that forbid no visible line."""
    system = groups.crystal_systems()[label - 1]
    found = {}
    for other in range(1, groups.N_GROUPS + 1):
        same = other != label and groups.crystal_systems()[other - 1] == system
        if not same or prior[other - 1] < PLAUSIBLE:
            continue
        states = [
            _allows(other, change, hkl, line)
            for change in _settings(other, shape)
            if not _forbids_any(other, change, seen)
        ]
        if states:
            found[other] = np.any(states, axis=0)
    return found


def _near(edges, width, angles):
    """Whether each token or its margin holds one of some angles, (tokens,) bool."""
    return _holds(edges - MARGIN, width + 2 * MARGIN, angles)


def _holds(edges, width, angles):
    ordered = np.sort(angles)
    return np.searchsorted(ordered, edges + width) > np.searchsorted(ordered, edges)


SIMULATED = "held-out minerals, simulated"

RECOGNISED_MEASURED = "rruff, recognised"

# Lines stay where the cell puts them, and nothing but the mineral is in the pattern.
_UNMOVED = {
    "strain": (1e-6, 1e-6),
    "zero_shift": 0.0,
    "displacement": 0.0,
    "impurity": 0.0,
    "cropped": 0.0,
    "coarse": 0.0,
    "spikes": 0.0,
}


@dataclass
class Specimens:
    """n patterns of crystals with known cells.

    Attributes
    ----------
    subset : str
    grid : Grid
    intensity : ndarray, (n, grid.size) float32
        Any scale, not normalised.
    crystals : Reflections
        Of the n crystals; cells as in the pattern.
    family : ndarray, (n,) str
        Mineral family.
    """

    subset: str
    grid: Grid
    intensity: np.ndarray
    crystals: Reflections
    family: np.ndarray

    def __len__(self):
        return len(self.crystals)

    def take(self, index):
        """The specimens at `index`, in that order."""
        parts = self.intensity[index], self.crystals.take(index), self.family[index]
        return Specimens(self.subset, self.grid, *parts)


def grid_of(model):
    """The grid that a model reads."""
    start, step, size = model.config.grid
    return Grid(start, round(start + step * (size - 1), 6), step)


def simulated(config, grid, n):
    """Measured-looking patterns of minerals that no network was trained on, one a family.

    Parameters
    ----------
    config : namespace
        With a bank "holdout".
    grid : Grid
    n : int
        Patterns, or as many as there are families.

    Returns
    -------
    Specimens
    """
    bank = experiment.load_bank(config, "holdout")
    first = np.unique(bank.name, return_index=True)[1]
    rows = first[np.linspace(0, len(first) - 1, min(n, len(first))).astype(int)]
    crystals = bank.take(rows)
    seed, realism = experiment.seed(config, "holdout"), experiment.realism(config, **_UNMOVED)
    index = torch.arange(len(rows))
    parts = [
        measured_like(crystals.take(part.numpy()), realism, seed, part, grid).numpy()
        for part in index.split(64)
    ]
    return Specimens(SIMULATED, grid, np.concatenate(parts), crystals, crystals.name)


def recognised(config, n):
    """Measured patterns and the published structures that they resemble most.

    Kept are patterns with a similarity of `outcomes.RECOGNISED` or more to a structure of their
    own extinction group. The structure's cell is stretched evenly to fit the pattern best.

    Parameters
    ----------
    config : namespace
        With a bank "library".
    n : int
        Patterns, the most similar ones.

    Returns
    -------
    Specimens or None
        On `patterns.GRID`; None where no measured patterns are at hand, or none is recognised.
    """
    try:
        patterns = load()
    except MissingData:
        return None
    bank = experiment.load_bank(config, "library")
    similarity = searchmatch.similarities(
        searchmatch.measured(patterns.intensity), searchmatch.library(bank)
    )
    nearest, best = similarity.argmax(axis=1), similarity.max(axis=1)
    good = (best >= RECOGNISED) & (bank.group[nearest] == patterns.group)
    chosen = np.flatnonzero(good)
    chosen = np.sort(chosen[np.argsort(-best[chosen], kind="stable")][:n])
    if not len(chosen):
        return None
    crystals, measured = bank.take(nearest[chosen]), patterns.take(chosen)
    crystals.lattice = crystals.lattice * (1 + _stretches(crystals, measured))[:, None, None]
    return Specimens(RECOGNISED_MEASURED, GRID, measured.intensity, crystals, measured.family)


def regridded(specimens, grid):
    """The same specimens on another grid."""
    if grid == specimens.grid:
        return specimens
    on_grid = to_grid(specimens.grid.two_theta, specimens.intensity, grid=grid)
    return Specimens(specimens.subset, grid, on_grid, specimens.crystals, specimens.family)


def _stretches(crystals, measured):
    """Relative change of each cell's edges that makes its pattern most like the measured one."""
    found = []
    for i, intensity in enumerate(measured.intensity):
        known = Retrieval(from_reflections(crystals.take([i])))
        found.append(known.stretch(intensity, 0))
    return np.array(found)
