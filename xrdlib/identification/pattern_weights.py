"""Weights of the fitted lattices, and the likelihoods of the 99 groups under all of them.

The likelihood of a group is a sum over lattices, each with a weight from a small network that
reads how well it fits, how large it is and what it leaves unindexed; within a lattice the evidence
of absences counts, tempered. One more term stands for "none of these" and favours no group. All is
learned on simulated patterns, beside the indexing likelihood (`lattice_evidence`).
"""

import numpy as np
import torch
from torch import nn

from ..symmetry import groups
from ..symmetry.cells import LATTICES, free, reciprocal_metric

_HIDDEN, _DROPOUT = 24, 0.1
N_FEATURES = 17 + len(LATTICES)
_FLOOR = -80.0

_MOST = 12  # lattices of a pattern, the best
PRICE = 20.0  # of a free parameter of a cell, in units of log-evidence
_ACCIDENT = 20.0  # of a triclinic crystal with a cell of higher symmetry, likewise
_IMPOSSIBLE = -30.0  # of groups that a known cell does not permit


def features(scored):
    """Inputs of the network for each lattice of a pattern, and last for none, (k + 1, f) float32.

    Parameters
    ----------
    scored : list of pattern_evidence.Scored
    """
    rows = np.zeros((len(scored) + 1, N_FEATURES), dtype=np.float32)
    if not scored:
        rows[-1, 0] = 1
        rows[-1, 1] = 1
        return rows
    worth = np.array([x.worth for x in scored])
    misfit = np.array([x.misfit / x.points for x in scored])
    peak_score = np.array([x.lattice.score for x in scored])
    direct = np.array([x.lattice.score if not x.derived else -20.0 for x in scored])
    observed = max(scored[0].observed, 1)
    rows[:, 2] = np.log(observed) / 2 - 1.5
    rows[:, 3] = peak_score.max() / 40
    rows[:, 4] = np.log(misfit.min())
    order = np.sort(worth)[::-1]
    for row, x, w, m, score in zip(rows, scored, worth, misfit, direct, strict=False):
        unindexed = len(x.unindexed)
        volume = 1 / np.sqrt(np.linalg.det(reciprocal_metric(*x.lattice[:2])))
        row[5] = np.clip(w - order[0], -400, 0) / 100
        row[6] = np.log1p(order[0] - w) / 4
        row[7] = np.log(m) - rows[-1, 4]
        row[8] = x.lattice.score / 40
        row[9] = np.clip(score - peak_score.max(), -60, 0) / 20
        row[10] = unindexed / observed
        row[11] = np.log1p(unindexed) / 2
        row[12] = np.log(x.reflections / observed) / 2
        row[13] = np.log(x.permitted / observed) / 2
        row[14] = np.log(volume) / 2 - 3
        row[15] = x.derived
        row[16] = x.evidence.max() == max(y.evidence.max() for y in scored)
        row[17 + LATTICES.index(x.lattice.system)] = 1
    rows[-1, 0] = 1
    rows[-1, 5] = (order[1] - order[0]) / 100 if len(order) > 1 else -4
    rows[-1, 5] = max(rows[-1, 5], -4)
    return rows


def gather(scored):
    """Features and evidence of many patterns, padded.

    Parameters
    ----------
    scored : list of list of pattern_evidence.Scored

    Returns
    -------
    features : tensor, (n, k + 1, f)
    evidence : tensor, (n, k, 99)
        Of each lattice, over its best; -inf where there is nothing.
    """
    scored = [lattices[:_MOST] for lattices in scored]
    k = max((len(lattices) for lattices in scored), default=0)
    inputs = torch.zeros(len(scored), k + 1, N_FEATURES)
    evidence = torch.full((len(scored), k, groups.N_GROUPS), -torch.inf)
    for i, lattices in enumerate(scored):
        rows = features(lattices)
        inputs[i, : len(lattices)] = torch.from_numpy(rows[:-1])
        inputs[i, -1] = torch.from_numpy(rows[-1])
        for j, x in enumerate(lattices):
            evidence[i, j] = torch.from_numpy(x.evidence - x.evidence.max()).float()
    return inputs, evidence


class PatternWeights(nn.Module):
    """From `gather` to log-likelihoods of the groups, (n, 99)."""

    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(N_FEATURES, _HIDDEN), nn.GELU(), nn.Dropout(_DROPOUT), nn.Linear(_HIDDEN, 1)
        )
        self.temperature = nn.Parameter(torch.tensor(1.0))  # logarithm
        self.lapse = nn.Parameter(torch.tensor(-4.0))

    def forward(self, inputs, evidence):
        """Log-probabilities under equal priors.

        Parameters
        ----------
        inputs, evidence : tensor
            As from `gather`.
        """
        return torch.log_softmax(torch.logsumexp(self._parts(inputs, evidence), 1), -1)

    def _parts(self, inputs, evidence):
        """Log-weights of each lattice under each group, and last of none, (n, k + 1, 99)."""
        weight = self.network(inputs)[..., 0]
        within = evidence.clamp(min=_FLOOR) / self.temperature.exp()
        within = torch.logaddexp(within, self.lapse.expand_as(within))
        within = torch.where(torch.isfinite(evidence), within, -torch.inf)
        none = weight[:, -1:, None].expand(-1, 1, groups.N_GROUPS)
        return torch.cat([weight[:, :-1, None] + within, none], 1)

    @torch.inference_mode()
    def joint(self, scored, probability):
        """Probability of each fitted lattice of one pattern with each group, (k, 99) float64.

        Parameters
        ----------
        scored : list of pattern_evidence.Scored
        probability : array_like, (99,)
            Of the groups, all evidence joined.

        Returns
        -------
        ndarray, (k, 99) float64
            0 after the first few lattices; the rest to 1 is the probability of none of them.
        """
        joint = np.zeros((len(scored), groups.N_GROUPS))
        if scored:
            shares = torch.softmax(self._parts(*gather([scored]))[0].double(), 0).numpy()[:-1]
            joint[: len(shares)] = shares * np.asarray(probability)
        return joint

    @torch.inference_mode()
    def known(self, scored):
        """Log-probabilities under equal priors where the cell is known, (99,) float64.

        Parameters
        ----------
        scored : list of pattern_evidence.Scored
            As from `pattern_evidence.score_cell`.
        """
        systems = np.array(groups.crystal_systems())
        best = np.full(groups.N_GROUPS, -np.inf)
        for x in scored:
            best = np.maximum(best, x.evidence - PRICE * free(x.lattice.system))
        # A triclinic crystal shows all reflections, but its cell is regular only by accident.
        accident = PRICE * 6 + _ACCIDENT
        lowest = max((x.evidence[systems == "monoclinic"].max() for x in scored), default=0.0)
        best = np.where(systems == "triclinic", np.maximum(best, lowest - accident), best)
        within = (best - best.max()) / float(self.temperature.exp())
        logp = np.logaddexp(np.where(np.isfinite(best), within, -np.inf), _IMPOSSIBLE)
        return logp - np.logaddexp.reduce(logp)
