"""Training of the weights of fitted lattices, on simulated patterns."""

import numpy as np
import torch
from torch import nn

from ..identification.pattern_weights import PatternWeights, gather
from ..symmetry import groups

_RATE, _DECAY = 1e-2, 1e-2
_LEAST_COUNT = 0.3  # patterns added to each group's count


def train(fitted, lines, labels, epochs=250, seed=0):
    """Learn how far fits of lattices can be trusted.

    Parameters
    ----------
    fitted : list of list of pattern_evidence.Scored
        Of n simulated patterns.
    lines : ndarray, (n, 99)
        What the places of their lines say, see `lattice_evidence.LatticeEvidence.weigh`.
    labels : ndarray, (n,) int
        Classes 0..98. What is frequent among them is known to the loss, not to the weights.
    epochs : int
        Steps on all patterns.
    seed : int

    Returns
    -------
    PatternWeights
    """
    told = (*gather(fitted), torch.from_numpy(np.asarray(lines)).float())
    counts = np.bincount(labels, minlength=groups.N_GROUPS) + _LEAST_COUNT
    prior = torch.from_numpy(np.log(counts / counts.sum())).float()
    labels = torch.from_numpy(np.asarray(labels)).long()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weights = PatternWeights()
        optimiser = torch.optim.AdamW(weights.parameters(), lr=_RATE, weight_decay=_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=epochs)
        for _ in range(epochs):
            optimiser.zero_grad()
            nn.functional.cross_entropy(weights(*told) + prior, labels).backward()
            optimiser.step()
            schedule.step()
    return weights.eval()
