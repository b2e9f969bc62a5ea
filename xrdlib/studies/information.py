"""Information in a pattern at best: ideal readers of lattice, absences and visible reflections.

A reader perceives a function of the group, its *reading*, without error, and knows how often each
group occurs. It answers with the groups of its reading, the most frequent first. As the reading
follows from the group, the mutual information of the two is the entropy of the reading.

Not every absence shows: a reflection may overlap another, and an allowed one may be too weak. One
more reader is given the cell, and at which of its positions there is a reflection above a limit.
"""

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
from numpy import ndarray
from scipy.special import log_softmax, logsumexp
from scipy.stats import entropy

from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1, GRID
from ..base.records import Reflections
from ..identification.cell_evidence import cell_reflections
from ..learning.metrics import credit, log_likelihood, means
from ..learning.priors import log_ratio, named_minerals, smooth_prior
from ..prediction import fusion
from ..simulation.diffraction import d_star
from ..structures.measured import Measured
from ..symmetry import groups
from ..symmetry.cells import cell_of_lattice, relabellings, settings
from ..symmetry.groups import N_GROUPS
from .specimens import allowed, powder_reflections

FAMILY, LATTICE = "crystal family", "Bravais lattice"
ELEMENTS, ABSENCES = "screws and glides, places unknown", "absences, axes unknown"
BOTH = "lattice and absences"
NOTHING = "prior only"

RESOLUTION = 0.1  # degrees; positions nearer to each other are one
LIMITS = (0.003, 0.01, 0.03)  # of the strongest reflection; what is below is not seen

_REACH = 4  # indices up to it distinguish conditions modulo 2, 3, 4 and 6
_HKL = np.array(list(product(range(-_REACH, _REACH + 1), repeat=3)))
_ELSEWHERE = 1e-9  # left for groups of another reading, so that a logarithm exists
_STRENGTH = 30  # votes by which a left-out prior is drawn to uniform classes
_STRAY = 1e-3  # probability of a peak where there can be no reflection
_NEAR = 40  # positions over which the frequency of visible reflections is taken
_DEBYE_WALLER = 1.0  # square angstrom
_IMPOSSIBLE = -50  # log-likelihood below the best, further down than any is needed


@dataclass(frozen=True)
class Votes:
    """Labels that frequencies are counted on."""

    label: ndarray  # (n,) int64, classes 0..98
    family: ndarray  # (n,) str
    vote: ndarray  # (n,) float64

    @property
    def frequency(self) -> ndarray:
        """Share of each class, (99,)."""
        counts = np.bincount(self.label, self.vote, minlength=N_GROUPS)
        return counts / counts.sum()


def mineral_votes(table: pd.DataFrame) -> Votes:
    """One vote of each named mineral, shared by its structures; see `priors.named_minerals`."""
    usable, share = named_minerals(table)
    votes = usable.assign(vote=share).groupby(["mineral", "stated_group"])["vote"].sum()
    mineral, group = (votes.index.get_level_values(k) for k in (0, 1))
    return Votes(group.to_numpy(np.int64) - 1, mineral.to_numpy(str), votes.to_numpy())


def votes_of(patterns: Measured | Reflections) -> Votes:
    """One vote for each measured pattern, or for each crystal."""
    family = patterns.family if isinstance(patterns, Measured) else patterns.name
    return Votes(patterns.group.astype(np.int64) - 1, family, np.ones(len(patterns)))


@cache
def readings() -> dict[str, ndarray]:
    """What each reader perceives of each group, (99,) int64; equal numbers are the same to it.

    - prior only: nothing.
    - crystal family: the symmetry of the cell's metric; 6, hexagonal and trigonal being one.
    - Bravais lattice: the same with the centring, which the primitive cell has; 14.
    - screws and glides, places unknown: which symbols of screw axes and glide planes occur
      in the extinction symbol, without centring, metric and position.
    - absences, axes unknown: all systematic absences, those of the centring included, in
      conventional axes of unknown names (and any monoclinic cell); no metric.
    - lattice and absences: both of Bravais lattice and absences.
    """
    frame = groups.extinction_groups()
    hexagonal = frame["crystal_system"].isin(["trigonal", "hexagonal"])
    family = frame["crystal_system"].where(~hexagonal, "hexagonal")
    lattice = list(zip(family, frame["centring"], strict=True))
    absences = [_absences(row[0]) for row in frame["space_groups"]]
    symbols = [groups.read_symbol(symbol)[1] for symbol in frame["symbol"]]
    perceived = {
        NOTHING: [0] * N_GROUPS,
        FAMILY: family,
        LATTICE: lattice,
        ELEMENTS: [tuple(sorted(set(sum(parts, [])))) for parts in symbols],
        ABSENCES: absences,
        BOTH: list(zip(lattice, absences, strict=True)),
    }
    codes = {k: pd.factorize(pd.Series(list(v), dtype=object))[0] for k, v in perceived.items()}
    for values in codes.values():
        values.flags.writeable = False  # shared
    return codes


def exact(reading: ndarray, frequency: ndarray) -> dict:
    """What a reader (`readings`) attains where classes have exactly these frequencies, (99,).

    Gives "states" (readings there are), "top1", "top5" (percent), "bits" (mutual information with
    the class) and "entropy" (bits, of the class).
    """
    reading, frequency = np.asarray(reading), np.asarray(frequency, dtype=np.float64)
    if frequency.shape != (N_GROUPS,) or reading.shape != (N_GROUPS,):
        raise XrdlibError(f"A reader needs a reading and a frequency for each of {N_GROUPS}.")
    parts = [np.sort(frequency[reading == code])[::-1] for code in np.unique(reading)]
    return {
        "states": len(parts),
        "top1": 100 * float(sum(part[0] for part in parts)),
        "top5": 100 * float(sum(part[:5].sum() for part in parts)),
        "bits": float(entropy([part.sum() for part in parts], base=2)),
        "entropy": float(entropy(frequency, base=2)),
    }


def posterior(reading: ndarray, labels: ndarray, prior: ndarray) -> ndarray:
    """Log-probabilities of a reader that perceives the reading (99,) of each of n classes, (n, 99).

    The prior, (99,) or (n, 99), among the groups of the reading; the others share 1e-9.
    """
    reading, labels = np.asarray(reading), np.asarray(labels)
    prior = np.broadcast_to(prior, (len(labels), N_GROUPS))
    same = reading[labels][:, None] == reading
    weight = np.where(same, prior, 0.0)
    weight = weight / weight.sum(axis=1, keepdims=True) + _ELSEWHERE * prior
    return np.log(weight / weight.sum(axis=1, keepdims=True))


def left_out_prior(votes: Votes, strength: float) -> ndarray:
    """Prior for each item, counted on the items of all other families, (n, 99).

    `strength` as for `priors.smooth_prior`.
    """
    names, member = np.unique(votes.family, return_inverse=True)
    counts = np.zeros((len(names), N_GROUPS))
    np.add.at(counts, (member, votes.label), votes.vote)
    others = counts.sum(axis=0) - counts
    # What is left after subtraction may fall below zero by rounding.
    rows = np.array([smooth_prior(row, strength) for row in others.clip(min=0)])
    return rows[member]


def score(logp: ndarray, prior: ndarray, votes: Votes, n_boot: int = 1000, seed: int = 0) -> dict:
    """Scores of predictions (n, 99), bits over a prior (99,) or (n, 99), with intervals.

    Gives "n", "n_families", "top1", "top5" (percent), "bits", each with "_ci95" over families.
    """
    prior = np.log(np.broadcast_to(prior, logp.shape))
    gain = log_likelihood(logp, votes.label) - log_likelihood(prior, votes.label)
    values = {f"top{k}": 100 * credit(logp, votes.label, k) for k in (1, 5)}
    values["bits"] = gain / np.log(2)
    counts = {"n": len(votes.label), "n_families": len(np.unique(votes.family))}
    return counts | means(values, votes.family, n_boot, seed, votes.vote)


def ideal(sources: dict[str, Votes], **bootstrap: int) -> list[dict]:
    """Every reader under the frequencies of every source, and under uniform classes.

    `bootstrap` are `n_boot` and `seed` of `score`, here and below. Rows have "frequencies",
    "reader", `exact` with the frequencies as they are, and as "left_out" the `score` with those of
    all other families (null for uniform classes).
    """
    rows = []
    for source, votes in {**sources, "uniform": None}.items():
        frequency = np.full(N_GROUPS, 1 / N_GROUPS) if votes is None else votes.frequency
        prior = None if votes is None else left_out_prior(votes, _STRENGTH)
        for name, reading in readings().items():
            row = {"frequencies": source, "reader": name, "left_out": None}
            if votes is not None:
                logp = posterior(reading, votes.label, prior)
                row["left_out"] = score(logp, prior, votes, **bootstrap)
            rows.append(row | exact(reading, frequency))
    return rows


def ceiling(
    votes: Votes, prior: ndarray, logp_by_title: dict[str, ndarray], **bootstrap: int
) -> list[dict]:
    """Ideal readers that know frequencies (99,), beside predictors on measured patterns.

    Rows have "reader", a `score`, and "over_lattice": how much more often the first answer is right
    than that of a perfect reader of the Bravais lattice, in points, "_ci95".
    """
    logp = {name: posterior(reading, votes.label, prior) for name, reading in readings().items()}
    least = credit(logp[LATTICE], votes.label, 1)
    table = []
    for name, values in {**logp, **logp_by_title}.items():
        more = {"over_lattice": 100 * (credit(values, votes.label, 1) - least)}
        own = score(values, prior, votes, **bootstrap)
        table.append({"reader": name, **own, **means(more, votes.family, **bootstrap)})
    return table


def visible(
    structures: Reflections, prior: ndarray, limits: tuple[float, ...] = LIMITS, **bootstrap: int
) -> list[dict]:
    """A perfect reader of cells and of the reflections above a limit.

    Rows have "limit" (of the strongest; 0 for the absences themselves, null for the lattice
    without absences) and a `score`, weights fitted on other families (`fusion.cross_fitted`).
    """
    votes = votes_of(structures)
    ratio = log_ratio(prior, np.full(N_GROUPS, 1 / N_GROUPS))
    reading_of_limit = {None: LATTICE, 0.0: BOTH}
    logp = {
        k: posterior(readings()[name], votes.label, prior) for k, name in reading_of_limit.items()
    }
    for limit in limits:
        evidence = visible_evidence(structures, limit)[0]
        flat = np.zeros_like(evidence)
        logp[limit] = fusion.cross_fitted(evidence, flat, votes.label, ratio, votes.family)
    return [{"limit": limit, **score(p, prior, votes, **bootstrap)} for limit, p in logp.items()]


def visible_evidence(structures: Reflections, limit: float) -> tuple[ndarray, ndarray]:
    """Log-likelihood of every group, given lattice, cell and visible reflections.

    For every group of the lattice, in every setting, it is the product over positions: a peak where
    the group has none is next to impossible, and where it allows one, peaks are as frequent as
    among near positions that all allow. Structures have known groups and axes of a known setting;
    `limit` is the intensity of the weakest visible reflection, over that of the strongest.

    (n, 99), normalised; groups of another lattice share next to nothing. And (n,) bool, False where
    the cell is too large, and the row is flat.
    """
    lattice = readings()[LATTICE]
    evidence = np.full((len(structures), N_GROUPS), -np.log(N_GROUPS))
    usable = np.zeros(len(structures), dtype=bool)
    for i in range(len(structures)):
        cell = cell_of_lattice(structures.lattice[i])
        try:
            hkl, position, angle, _ = cell_reflections(cell, CU_KA1, GRID.start, GRID.stop)
        except XrdlibError:  # more reflections than are listed
            continue
        cluster = np.cumsum(np.diff(angle, prepend=angle[0]) > RESOLUTION)
        seen = _seen(structures.take([i]), angle, cluster, limit)
        options = {
            label: [
                allowed(label, change, hkl, cluster[position]) for change in settings(label, cell)
            ]
            for label in np.flatnonzero(lattice == lattice[structures.group[i] - 1]) + 1
        }
        rate = _rate(seen, np.concatenate([o for o in options.values() if o]).all(axis=0))
        there, never = (np.where(seen, np.log(p), np.log(1 - p)) for p in (rate, _STRAY))
        total = np.full(N_GROUPS, -1e3)
        for label, states in options.items():
            if states:
                likelihood = np.where(states, there, never).sum(axis=1)
                total[label - 1] = logsumexp(likelihood) - np.log(len(likelihood))
        evidence[i] = log_softmax(np.maximum(total, total.max() + _IMPOSSIBLE))
        usable[i] = True
    return evidence, usable


def _seen(one, angle, cluster, limit):
    """Which positions show a reflection, (k,) bool."""
    own, strength = powder_reflections(one)
    inside = (own >= GRID.start) & (own <= GRID.stop)
    strength = strength * np.exp(-_DEBYE_WALLER * d_star(one.lattice[0], one.hkl) ** 2 / 2)
    position = cluster[np.abs(own[inside][:, None] - angle).argmin(axis=1)]
    total = np.bincount(position, strength[inside], minlength=cluster[-1] + 1)
    return total > limit * total.max()


def _rate(seen, certain):
    """Share of visible positions around each, among the nearest that are allowed for certain."""
    if not certain.any():
        return np.full(len(seen), 0.5)
    at = np.flatnonzero(certain)
    total = np.concatenate([[0], np.cumsum(seen[at])])
    first = np.searchsorted(at, np.arange(len(seen))) - _NEAR // 2
    first = np.clip(first, 0, max(len(at) - _NEAR, 0))
    last = np.minimum(first + _NEAR, len(at))
    return (total[last] - total[first] + 1) / (last - first + 2)


def _absences(number):
    """Absences of a space group as bytes, the least of all names of the conventional axes."""
    monoclinic = groups.space_group(number)["crystal_system"] == "monoclinic"
    choices = relabellings("monoclinic") if monoclinic else [np.eye(3, dtype=np.int64)]
    # Other axes at most double an index, so all is looked up in one table.
    side = 4 * _REACH + 1
    every = np.indices((side,) * 3).reshape(3, -1).T - 2 * _REACH
    absent = groups.absent(number, every).reshape((side,) * 3)
    return min(
        np.packbits(absent[tuple((_HKL @ axes @ choice + 2 * _REACH).T)]).tobytes()
        for axes, choice in product(relabellings("orthorhombic"), choices)
    )
