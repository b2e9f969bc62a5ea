"""What a pattern tells at best: ideal readers of its visible lines.

A reader perceives a function of the group, its *reading*, without error, and knows how often each
group occurs. It answers with the groups of its reading, the most frequent first. As the reading
follows from the group, the mutual information of the two is the entropy of the reading.

Not every absence shows: a line may lie upon another, and a line that is allowed may be too weak.
The reader is told the cell, the Bravais lattice, and which of the places that the cell permits have
a line above a limit, without noise or error. For every group of the lattice, in every setting, the
probability of that is the product over places: a line where the group has none is next to
impossible, and where it allows one, lines are as frequent as among near places that all allow.
"""

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import torch

from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1, GRID
from ..identification.cell_evidence import lines
from ..learning.metrics import credit, log_likelihood, logsumexp, resamples
from ..learning.priors import named_minerals, smooth_prior
from ..simulation.diffraction import d_star, lorentz_polarisation, two_theta
from ..symmetry import groups
from ..symmetry.cells import cell_of_lattice, relabellings, settings
from ..symmetry.groups import N_GROUPS

_REACH = 4  # indices up to it tell conditions modulo 2, 3, 4 and 6 apart

_HKL = np.array(list(product(range(-_REACH, _REACH + 1), repeat=3)))

_ELSEWHERE = 1e-9  # left for groups of another reading, so that a logarithm exists

FAMILY, LATTICE = "crystal family", "Bravais lattice"

ELEMENTS, ABSENCES = "screws and glides, places unknown", "absences, axes unknown"

BOTH = "lattice and absences"


@dataclass(frozen=True)
class Votes:
    """Labels that frequencies are counted on.

    Attributes
    ----------
    label : ndarray, (n,) int64
        Classes 0..98.
    family : ndarray, (n,) str
    vote : ndarray, (n,) float64
    """

    label: np.ndarray
    family: np.ndarray
    vote: np.ndarray

    @property
    def frequency(self):
        """Share of each class, (99,)."""
        counts = np.bincount(self.label, self.vote, minlength=N_GROUPS)
        return counts / counts.sum()


def mineral_votes(table):
    """Votes of the named minerals of a table as from `banks.build`, one shared by the structures.

    Raises
    ------
    XrdlibError
        If no named mineral has a known group.
    """
    usable, share = named_minerals(table)
    votes = usable.assign(vote=share).groupby(["mineral", "stated_group"])["vote"].sum()
    mineral, group = (votes.index.get_level_values(k) for k in (0, 1))
    return Votes(group.to_numpy(np.int64) - 1, mineral.to_numpy(str), votes.to_numpy())


def pattern_votes(patterns):
    """One vote for each pattern of a `measured.Measured`."""
    labels = patterns.group.astype(np.int64) - 1
    return Votes(labels, patterns.family, np.ones(len(labels)))


def readings():
    """What each reader perceives of each group.

    Returns
    -------
    dict of str to ndarray, (99,) int64
        Groups of equal numbers are the same to the reader.

        - crystal family: the symmetry of the cell's metric; 6, hexagonal and trigonal being one.
        - Bravais lattice: the same with the centring, which the primitive cell has; 14.
        - screws and glides, places unknown: which symbols of screw axes and glide planes occur
          in the extinction symbol, without centring, metric and position.
        - absences, axes unknown: all systematic absences, those of the centring included, in
          conventional axes of unknown names (and any monoclinic cell); no metric.
        - lattice and absences: both of Bravais lattice and absences.
    """
    return dict(_readings())


def powder_classes():
    """Groups of one number are the same to a powder of exactly known lattice, (99,) int64.

    Reflections of equal length by the symmetry of the lattice fall on one line, which is there
    if one of them is: in Laue classes below that of the lattice a powder sees fewer absences.
    """
    frame = groups.extinction_groups()
    keys = []
    for row, lattice in zip(frame.itertuples(), readings()[LATTICE], strict=True):
        rotations = _holohedry(row.crystal_system, row.centring)
        keys.append((int(lattice), _absences(row.space_groups[0], rotations)))
    return _numbered(keys)


def exact(reading, frequency):
    """What a reader attains where classes have exactly these frequencies.

    Parameters
    ----------
    reading : array_like, (99,) int
        As from `readings`.
    frequency : array_like, (99,)
        Not negative, summing to 1.

    Returns
    -------
    dict
        "states" (readings there are), "top1", "top5" (percent), "bits" (mutual information with
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
        "bits": _entropy([part.sum() for part in parts]),
        "entropy": _entropy(frequency),
    }


def posterior(reading, labels, prior):
    """Log-probabilities of a reader for items of known class.

    Parameters
    ----------
    reading : array_like, (99,) int
    labels : array_like, (n,) int
        Classes 0..98, of which the reader is told the reading alone.
    prior : array_like, (99,) or (n, 99)
        Positive.

    Returns
    -------
    ndarray, (n, 99)
        The prior among the groups of the reading; the others share 1e-9.
    """
    reading, labels = np.asarray(reading), np.asarray(labels)
    prior = np.broadcast_to(prior, (len(labels), N_GROUPS))
    same = reading[labels][:, None] == reading
    weight = np.where(same, prior, 0.0)
    weight = weight / weight.sum(axis=1, keepdims=True) + _ELSEWHERE * prior
    return np.log(weight / weight.sum(axis=1, keepdims=True))


def left_out_prior(votes, strength, base=None):
    """Prior for each item, counted on the items of all other families, (n, 99).

    Parameters
    ----------
    votes : Votes
    strength, base
        As for `priors.smooth_prior`.
    """
    names, member = np.unique(votes.family, return_inverse=True)
    counts = np.zeros((len(names), N_GROUPS))
    np.add.at(counts, (member, votes.label), votes.vote)
    others = counts.sum(axis=0) - counts
    # What is left after subtraction may fall below zero by rounding.
    rows = np.array([smooth_prior(row, strength, base) for row in others.clip(min=0)])
    return rows[member]


def score(logp, prior, votes, n_boot=1000, seed=0):
    """Scores of predictions, each item over its own prior, with intervals over families.

    Parameters
    ----------
    logp : ndarray, (n, 99)
    prior : array_like, (99,) or (n, 99)
        Over which bits are counted.
    votes : Votes
    n_boot, seed
        As for `metrics.family_bootstrap`.

    Returns
    -------
    dict
        "n", "n_families", "top1", "top5" (percent), "bits", each with "_ci95".
    """
    prior = np.log(np.broadcast_to(prior, logp.shape))
    gain = log_likelihood(logp, votes.label) - log_likelihood(prior, votes.label)
    columns = np.column_stack(
        [100 * credit(logp, votes.label, 1), 100 * credit(logp, votes.label, 5), gain / np.log(2)]
    )
    point = votes.vote @ columns / votes.vote.sum()
    drawn = []
    for weights in resamples(votes.family, n_boot, seed):
        weights = weights * votes.vote
        drawn.append(weights @ columns / weights.sum(axis=1, keepdims=True))
    ends = np.percentile(np.concatenate(drawn), [2.5, 97.5], axis=0).T
    result = {"n": len(votes.label), "n_families": len(np.unique(votes.family))}
    for name, value, interval in zip(("top1", "top5", "bits"), point, ends, strict=True):
        result |= {name: float(value), f"{name}_ci95": interval.tolist()}
    return result


@cache
def _readings():
    frame = groups.extinction_groups()
    hexagonal = frame["crystal_system"].isin(["trigonal", "hexagonal"])
    family = frame["crystal_system"].where(~hexagonal, "hexagonal")
    lattice = list(zip(family, frame["centring"], strict=True))
    absences = [_absences(row[0]) for row in frame["space_groups"]]
    symbols = [groups.read_symbol(symbol)[1] for symbol in frame["symbol"]]
    found = {
        FAMILY: family,
        LATTICE: lattice,
        ELEMENTS: [tuple(sorted(set(sum(parts, [])))) for parts in symbols],
        ABSENCES: absences,
        BOTH: list(zip(lattice, absences, strict=True)),
    }
    return {name: _frozen(_numbered(values)) for name, values in found.items()}


def _absences(number, lattice_group=None):
    """Absences of a space group as bytes, the least of all names of the conventional axes.

    With the rotations of a lattice (k, 3, 3), a reflection counts as absent only if all of equal
    length by them are.
    """
    rotations = [np.eye(3, dtype=np.int64)] if lattice_group is None else lattice_group
    monoclinic = groups.space_group(number)["crystal_system"] == "monoclinic"
    choices = relabellings("monoclinic") if monoclinic else rotations[:1]
    # Other axes and rotations at most double an index, so all is looked up in one table.
    side = 4 * _REACH + 1
    every = np.indices((side,) * 3).reshape(3, -1).T - 2 * _REACH
    known = groups.absent(number, every).reshape((side,) * 3)
    found = []
    for axes, choice in product(relabellings("orthorhombic"), choices):
        gone = np.ones(len(_HKL), dtype=bool)
        for rotation in rotations:
            gone &= known[tuple((_HKL @ axes @ choice @ rotation + 2 * _REACH).T)]
        found.append(np.packbits(gone).tobytes())
    return min(found)


def _holohedry(system, centring):
    """Proper rotations of a lattice in conventional axes, acting on row vectors hkl."""
    number = {
        "triclinic": 2,
        "monoclinic": 10,
        "orthorhombic": 47,
        "tetragonal": 123,
        "trigonal": 166 if centring == "R" else 191,
        "hexagonal": 191,
        "cubic": 221,
    }[system]
    return np.unique(groups.half_rotations(groups.operations(number)[0]), axis=0).astype(np.int64)


def _numbered(values):
    """Number of each value, (99,), in order of first occurrence."""
    seen = {}
    return np.array([seen.setdefault(value, len(seen)) for value in values], dtype=np.int64)


def _frozen(array):
    """Cached arrays are shared by all callers, so none may write to them."""
    array.flags.writeable = False
    return array


def _entropy(probabilities):
    p = np.asarray(probabilities, dtype=np.float64)
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


RESOLUTION = 0.1  # degrees; places nearer to each other are one

LIMITS = (0.003, 0.01, 0.03)  # of the strongest line; what is below is not seen

_STRAY = 1e-3  # probability of a line where there can be none

_NEAR = 40  # places over which the frequency of lines is taken

_DEBYE_WALLER = 1.0  # square angstrom


def evidence(bank, limit):
    """Log-likelihood of every group, given lattice, cell and visible lines.

    Parameters
    ----------
    bank : records.Reflections
        Of known groups, in axes of a known setting.
    limit : float
        Intensity of the weakest line that is seen, over that of the strongest.

    Returns
    -------
    evidence : ndarray, (n, 99)
        Normalised; groups of another lattice share next to nothing.
    usable : ndarray, (n,) bool
        False where the cell is too large, and the row is flat.
    """
    lattice = readings()[LATTICE]
    found = np.full((len(bank), N_GROUPS), -np.log(N_GROUPS))
    usable = np.zeros(len(bank), dtype=bool)
    for i in range(len(bank)):
        same = np.flatnonzero(lattice == lattice[bank.group[i] - 1]) + 1
        try:
            hkl, place, seen = _places(bank.take([i]), limit)
        except XrdlibError:  # more reflections than `cell_evidence.lines` lists
            continue
        allowed = {label: _allowed(label, bank.lattice[i], hkl, place) for label in same}
        every = np.concatenate(list(allowed.values()))
        rate = _rate(seen, every.all(axis=0))
        score = np.full(N_GROUPS, -1e3)
        for label, options in allowed.items():
            there = np.where(seen, np.log(rate), np.log(1 - rate))
            never = np.where(seen, np.log(_STRAY), np.log(1 - _STRAY))
            likelihood = np.where(options, there, never).sum(axis=1)
            if len(likelihood):
                score[label - 1] = logsumexp(likelihood) - np.log(len(likelihood))
        # Further apart than this no logarithm is needed.
        score = np.maximum(score, score.max() - 50)
        found[i], usable[i] = score - logsumexp(score), True
    return found, usable


def _places(one, limit):
    """Reflections of a cell (m, 3), the place of each (m,), and which places show a line (k,)."""
    hkl, line, angle, _ = lines(cell_of_lattice(one.lattice[0]), CU_KA1, GRID.start, GRID.stop)
    step = np.diff(angle, prepend=angle[0]) > RESOLUTION
    cluster = np.cumsum(step)
    star = d_star(one.lattice[0], one.hkl)
    own = two_theta(star, CU_KA1)
    inside = (own >= GRID.start) & (own <= GRID.stop)
    factor = lorentz_polarisation(torch.from_numpy(star * CU_KA1 / 2)).numpy()
    strength = one.multiplicity * one.f2 * factor * np.exp(-_DEBYE_WALLER * star**2 / 2)
    nearest = np.abs(own[inside][:, None] - angle).argmin(axis=1)
    total = np.bincount(cluster[nearest], strength[inside], minlength=cluster[-1] + 1)
    return hkl, cluster[line], total > limit * total.max()


def _allowed(label, lattice, hkl, place):
    """Which places a group allows, one row a setting, (s, k) bool."""
    number = groups.table()["extinction_groups"][label - 1]["space_groups"][0]
    rows = []
    for change in settings(label, cell_of_lattice(lattice)):
        present = ~groups.absent(number, hkl @ change)
        rows.append(np.bincount(place, present, minlength=place[-1] + 1) > 0)
    return np.array(rows, dtype=bool).reshape(-1, place[-1] + 1)


def _rate(seen, certain):
    """Frequency of lines around each place among the nearest ones that are allowed for certain."""
    if not certain.any():
        return np.full(len(seen), 0.5)
    at = np.flatnonzero(certain)
    total = np.concatenate([[0], np.cumsum(seen[at])])
    first = np.searchsorted(at, np.arange(len(seen))) - _NEAR // 2
    first = np.clip(first, 0, max(len(at) - _NEAR, 0))
    last = np.minimum(first + _NEAR, len(at))
    return (total[last] - total[first] + 1) / (last - first + 2)
