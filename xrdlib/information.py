"""Ideal readers: what exact knowledge of the lattice or of the absences says about the group.

A reader perceives a function of the group, its *reading*, without error, and knows how often each
group occurs. It answers with the groups of its reading, the most frequent first. As the reading
follows from the group, the mutual information of the two is the entropy of the reading.
"""

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from . import groups
from .derive import relabellings
from .errors import XrdlibError
from .groups import N_GROUPS
from .metrics import credit, log_likelihood, resamples
from .priors import named_minerals, smooth_prior

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
    """One vote for each pattern of a `rruff.Measured`."""
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
