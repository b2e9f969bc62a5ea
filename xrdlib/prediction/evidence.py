"""Evidence of the parts of a predictor, before any prior; and the network's reading."""

from typing import NamedTuple

import numpy as np
import torch

from ..learning import calibrate, decode, priors

_BATCH = 64


class Seen(NamedTuple):
    """Evidence of the parts of a predictor in n patterns, before any prior.

    Attributes
    ----------
    evidence : ndarray, (n, 99) float64
        Log-probabilities of the network, both heads fused, training prior divided out.
    similarity : ndarray, (n, 99) float32, or None without retrieval
        See `retrieval.Retrieval.similarities`.
    row : ndarray, (n,) int, or None
        Of the library: the structure that is most like each pattern.
    lattice : ndarray, (n, 99) float64, or None without indexing
        Log-probabilities, see `lattice_evidence.LatticeEvidence.weigh`.
    indexed : list of index_cells.Indexed, or None
    pattern : ndarray, (n, 99) float64, or None without fits of whole patterns
        Log-probabilities, see `lattice_evidence.LatticeEvidence.weigh_fits`.
    fitted : list of list of pattern_evidence.Scored, or None
    """

    evidence: np.ndarray
    similarity: np.ndarray | None = None
    row: np.ndarray | None = None
    lattice: np.ndarray | None = None
    indexed: list | None = None
    pattern: np.ndarray | None = None
    fitted: list | None = None


@torch.inference_mode()
def of_network(model: torch.nn.Module, x: torch.Tensor, train: np.ndarray, a: float) -> np.ndarray:
    """Log-probabilities (n, 99) of a network's heads, fused, the training prior divided out.

    Parameters
    ----------
    x : tensor, (n, points)
        As from `patterns.normalise`.
    train : array_like, (99,)
        Distribution of the groups in training.
    a : float
        Share of the rule head, see `calibrate.fuse`.
    """
    heads = {"rule": [], "aux": []}
    for part in x.split(_BATCH):
        output = model(part)
        heads["aux"].append(torch.log_softmax(output["aux"].float(), -1))
        if "rule" in output:
            heads["rule"].append(decode.rule_log_probs(output["rule"]))
    rule, aux = (
        priors.divide_out(torch.cat(parts).numpy(), train) if parts else None
        for parts in (heads["rule"], heads["aux"])
    )
    return calibrate.fuse(rule, aux, a)
