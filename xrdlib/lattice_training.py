"""Training of the network that weighs lattices, on the scores of simulated patterns."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from . import groups
from .errors import XrdlibError
from .lattice_evidence import features, make_network

_BATCH, _RATE, _DECAY = 128, 4e-3, 1e-3
_LEAST_COUNT = 0.3  # patterns added to each group's count


@dataclass
class Learned:
    """Network, and mean NLL in nats over the training and the held-out patterns, epoch by epoch."""

    network: nn.Module
    train: list
    held_out: list


def train(scores, labels, held_out, held_out_labels, epochs=30, seed=0):
    """Learn how far scores can be trusted.

    Parameters
    ----------
    scores, held_out : Scores
    labels, held_out_labels : ndarray, (n,) int
        Classes 0..98. What is frequent in each set is known to the loss, not to the network.
    epochs : int
        All are done: nothing is chosen by the held-out patterns.
    seed : int

    Returns
    -------
    Learned

    Raises
    ------
    XrdlibError
        If there are fewer patterns than a batch holds.
    """
    if len(labels) < _BATCH:
        raise XrdlibError(f"{len(labels)} patterns are too few to learn from; give {_BATCH}.")
    x, y, prior = _tensors(scores, labels)
    other = _tensors(held_out, held_out_labels)
    learned = Learned(None, [], [])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make_network()
        steps = epochs * (len(y) // _BATCH)
        optimiser = torch.optim.AdamW(network.parameters(), weight_decay=_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
        for _ in range(epochs):
            network.train()
            for rows in torch.randperm(len(y))[: len(y) // _BATCH * _BATCH].split(_BATCH):
                optimiser.zero_grad()
                _loss(network, x[rows], y[rows], prior).backward()
                optimiser.step()
                schedule.step()
            network.eval()
            with torch.no_grad():
                learned.train.append(float(_loss(network, x, y, prior)))
                learned.held_out.append(float(_loss(network, *other)))
    learned.network = network
    return learned


def _tensors(scores, labels):
    counts = np.bincount(labels, minlength=groups.N_GROUPS) + _LEAST_COUNT
    prior = torch.from_numpy(np.log(counts / counts.sum()).astype(np.float32))
    return torch.from_numpy(features(scores)), torch.from_numpy(np.asarray(labels)), prior


def _loss(network, x, y, prior):
    return nn.functional.cross_entropy(network(x) + prior, y)
