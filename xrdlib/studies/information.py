"""What a pattern tells at best: ideal readers of lattice and absences.

A reader perceives a function of the group, its *reading*, without error, and knows how often each
group occurs. It answers with the groups of its reading, the most frequent first. As the reading
follows from the group, the mutual information of the two is the entropy of the reading.
"""

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
from numpy import ndarray
from scipy.stats import entropy

from ..base.errors import XrdlibError
from ..base.records import Reflections
from ..learning.metrics import credit, log_likelihood, means
from ..learning.priors import named_minerals, smooth_prior
from ..structures.measured import Measured
from ..symmetry import groups
from ..symmetry.cells import relabellings
from ..symmetry.groups import N_GROUPS

FAMILY, LATTICE = "crystal family", "Bravais lattice"
ELEMENTS, ABSENCES = "screws and glides, places unknown", "absences, axes unknown"
BOTH = "lattice and absences"

_REACH = 4  # indices up to it tell conditions modulo 2, 3, 4 and 6 apart
_HKL = np.array(list(product(range(-_REACH, _REACH + 1), repeat=3)))
_ELSEWHERE = 1e-9  # left for groups of another reading, so that a logarithm exists


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


def votes_of(patterns: Measured | Reflections) -> Votes:
    """One vote for each measured pattern, or for each crystal of a bank."""
    family = patterns.family if isinstance(patterns, Measured) else patterns.name
    return Votes(patterns.group.astype(np.int64) - 1, family, np.ones(len(patterns)))


@cache
def readings() -> dict[str, ndarray]:
    """What each reader perceives of each group, (99,) int64; equal numbers are the same to it.

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
    found = {
        FAMILY: family,
        LATTICE: lattice,
        ELEMENTS: [tuple(sorted(set(sum(parts, [])))) for parts in symbols],
        ABSENCES: absences,
        BOTH: list(zip(lattice, absences, strict=True)),
    }
    return {name: _numbered(values) for name, values in found.items()}


def powder_classes() -> ndarray:
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
    """Log-probabilities of a reader that is told the reading (99,) of each of n classes, (n, 99).

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
    """Number of each value, (99,), in order of first occurrence; shared, so not to be written."""
    codes = pd.factorize(pd.Series(list(values), dtype=object))[0]
    codes.flags.writeable = False
    return codes
