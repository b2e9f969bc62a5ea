"""Indexing likelihood ("lattice evidence") of the 99 groups: log-probabilities under equal priors.

A small network reads, for one group at a time, how well the lattices of its system index the peaks
of the pattern, how well those of other systems do, and how many peaks there are. It learns on
simulated patterns how far such scores can be trusted.
"""

import itertools
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from ..base import tensorfile
from ..base.errors import XrdlibError
from ..symmetry import groups
from ..symmetry.cells import SYSTEMS, free
from .index_search import MOST_PEAKS
from .pattern_weights import PatternWeights
from .pattern_weights import gather as gather_fits

NOTHING = -20.0  # score where no lattice was found

_FEWEST = 4  # peaks; the score of fewer is taken as that of four

_HIDDEN, _DROPOUT = 48, 0.1

_CHUNK = 12  # patterns that a process takes at a time

_SETS, _NETWORK, _PATTERNS = "sets.", "network.", "patterns."  # of tensors' names


class Scores(NamedTuple):
    """Scores of n patterns, see `index_cells.Indexed`.

    Attributes
    ----------
    score : ndarray, (n, 99) float32
        NaN where no lattice was found.
    reflections, indexed : ndarray, (n, 99) float32
    n : ndarray, (n,) int
        Peaks of each pattern.
    """

    score: np.ndarray
    reflections: np.ndarray
    indexed: np.ndarray
    n: np.ndarray


def gather(indexed):
    """`Scores` of a sequence of `index_cells.Indexed`."""
    rows = [np.array([x.score, x.reflections, x.indexed], dtype=np.float32) for x in indexed]
    rows = np.array(rows).reshape(-1, 3, groups.N_GROUPS)
    return Scores(rows[:, 0], rows[:, 1], rows[:, 2], np.array([x.n for x in indexed], dtype=int))


def features(scores):
    """Inputs of the network for each group of each pattern, (n, 99, f) float32."""
    systems = np.array(groups.crystal_systems())
    metric = np.where(systems == "trigonal", "hexagonal", systems)
    scored = np.isfinite(scores.score)
    score = np.where(scored, scores.score, NOTHING)
    best = {name: score[:, metric == name].max(1) for name in SYSTEMS}
    top = np.max(list(best.values()), axis=0)
    nothing = np.full(len(score), NOTHING)

    def column(choose):
        """Best score among the systems that `choose` picks for each system."""
        by_name = {
            name: np.max([nothing, *(best[s] for s in SYSTEMS if choose(s, name))], axis=0)
            for name in (*SYSTEMS, "triclinic")
        }
        return np.stack([by_name[name] for name in metric], 1)

    freedom = {**{name: free(name) for name in SYSTEMS}, "triclinic": 6}
    same = column(lambda s, name: s == name)
    other = column(lambda s, name: s != name)
    higher = column(lambda s, name: freedom[s] < freedom[name])
    lower = column(lambda s, name: freedom[s] > freedom[name])
    top = np.repeat(top[:, None], groups.N_GROUPS, 1)
    n = np.repeat(scores.n[:, None], groups.N_GROUPS, 1)
    used = np.clip(n, _FEWEST, MOST_PEAKS)
    columns = [
        scored,
        np.clip(score, NOTHING, 80) / 20,
        np.clip(score - same, -20, 0) / 10,
        np.clip(score - top, -30, 0) / 10,
        np.clip(same - top, -40, 0) / 10,
        np.clip(same - other, -40, 40) / 10,
        np.clip(same - higher, -40, 40) / 10,
        np.clip(same - lower, -40, 40) / 10,
        top / 20,
        np.minimum(n, 2 * MOST_PEAKS) / 20,
        np.clip(score / used, -1, 4),
        same / used,
        top / used,
        np.where(scored, np.log1p(scores.reflections), 0) / 2 - 2,
        2 * scores.indexed / used - 1,
        *(np.broadcast_to(systems == name, score.shape) for name in groups.SYSTEMS),
    ]
    return np.stack([np.asarray(x, dtype=np.float32) for x in columns], -1)


class LatticeEvidence:
    """Basis reflections of the search, and the network that gives the indexing likelihood.

    Parameters
    ----------
    sets : dict of str to ndarray
        As from `basis_reflections.learn`.
    network : torch.nn.Module
        From (n, 99, f) features to (n, 99).
    patterns : pattern_weights.PatternWeights, optional
        To weigh fits of whole patterns.
    """

    def __init__(self, sets, network, patterns=None):
        self.sets, self.network = sets, network.eval()
        self.patterns = patterns if patterns is None else patterns.eval()

    def index(self, intensities):
        """`index_cells.Indexed` of each pattern (n, GRID.size), on `patterns.GRID`."""
        # Slow to load, and a network alone needs none of it.
        from .index_cells import index
        from .peak_finder import find_peaks

        return [index(find_peaks(intensity), self.sets) for intensity in intensities]

    def evidence(self, intensities, cell=None, workers=1):
        """Likelihoods of the groups from lattices, as fields of `predict.Seen`.

        Parameters
        ----------
        intensities : ndarray, (n, GRID.size)
        cell : sequence of 6 floats, optional
            Where it is known: no other lattice is then looked at.
        workers : int
            Processes to share the patterns; a few patterns are not worth their start.

        Returns
        -------
        dict
            "lattice" and "indexed", and with `patterns` "pattern" and "fitted".

        Raises
        ------
        XrdlibError
            If the cell is impossible.
        """
        if workers > 1 and len(intensities) > 2 * _CHUNK:
            chunks = np.array_split(intensities, len(intensities) // _CHUNK)
            with ProcessPoolExecutor(
                workers, get_context("spawn"), torch.set_num_threads, (1,)
            ) as p:
                parts = list(p.map(partial(self.evidence, cell=cell), chunks))
            return {key: _joined([part[key] for part in parts]) for key in parts[0]}
        if cell is not None:
            from .pattern_evidence import score_cell

            fitted = [score_cell(intensity, cell) for intensity in intensities]
            logp = np.array([self.patterns.known(scored) for scored in fitted])
            return {"lattice": np.zeros_like(logp), "pattern": logp, "fitted": fitted}
        indexed = self.index(intensities)
        seen = {"lattice": self.weigh(indexed), "indexed": indexed}
        if self.patterns is not None:
            fitted = self.fit(intensities, indexed)
            seen |= {"fitted": fitted, "pattern": self.weigh_fits(fitted)}
        return seen

    def fit(self, intensities, indexed):
        """Lattices fitted to whole patterns (n, GRID.size), a list of `Scored` for each.

        Parameters
        ----------
        intensities : ndarray
            As given to `index`, and what it returned.
        indexed : list of index_cells.Indexed

        Returns
        -------
        list of list of pattern_evidence.Scored
        """
        from .pattern_evidence import score

        return [
            score(intensity, one.peaks, one.lattices)
            for intensity, one in zip(intensities, indexed, strict=True)
        ]

    @torch.inference_mode()
    def weigh_fits(self, fitted):
        """Log-probabilities of the groups under equal priors from fits of whole patterns.

        Parameters
        ----------
        fitted : list of list of pattern_evidence.Scored

        Returns
        -------
        ndarray, (n, 99) float64
        """
        return self.patterns(*gather_fits(fitted)).double().numpy()

    def weigh(self, indexed):
        """Log-probabilities of the groups under equal priors, (n, 99) float64."""
        return self.weigh_scores(gather(indexed))

    @torch.inference_mode()
    def weigh_scores(self, scores):
        """As `weigh`, from `Scores`."""
        logits = self.network(torch.from_numpy(features(scores)))
        return torch.log_softmax(logits.double(), -1).numpy()


def _joined(parts):
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return [*itertools.chain.from_iterable(parts)]


def make_network():
    """The untrained network."""
    width = 15 + len(groups.SYSTEMS)
    layers = []
    for size in (_HIDDEN, _HIDDEN):
        layers += [nn.Linear(width, size), nn.GELU(), nn.Dropout(_DROPOUT)]
        width = size
    return nn.Sequential(*layers, nn.Linear(width, 1), nn.Flatten(-2))


def save(path, evidence, about):
    """Write basis reflections and network to a file.

    Parameters
    ----------
    path : path-like
    evidence : LatticeEvidence
    about : dict
        Of JSON values. To it is added "fingerprint", which tells one training from another.
    """
    tensors = {_SETS + name: torch.from_numpy(rows) for name, rows in evidence.sets.items()}
    tensors |= {_NETWORK + name: x for name, x in evidence.network.state_dict().items()}
    if evidence.patterns is not None:
        tensors |= {_PATTERNS + name: x for name, x in evidence.patterns.state_dict().items()}
    header = {**about, "fingerprint": tensorfile.fingerprint(tensors)[:16]}
    tensorfile.write(path, tensors, {"lattices": header})


def load(path):
    """Read what `save` wrote.

    Returns
    -------
    evidence : LatticeEvidence
    about : dict

    Raises
    ------
    XrdlibError
        If the file is missing, damaged or of another kind.
    """
    tensors, header = tensorfile.read(path)
    if "lattices" not in header:
        raise XrdlibError(f"{path} holds no basis reflections; give one of lattice_evidence.save.")
    sets, weights, pattern_weights = (
        {name.removeprefix(kind): x for name, x in tensors.items() if name.startswith(kind)}
        for kind in (_SETS, _NETWORK, _PATTERNS)
    )
    network = make_network()
    network.load_state_dict(weights)
    sets = {name: rows.numpy() for name, rows in sets.items()}
    patterns = None
    if pattern_weights:
        patterns = PatternWeights()
        patterns.load_state_dict(pattern_weights)
    return LatticeEvidence(sets, network, patterns), header["lattices"]
