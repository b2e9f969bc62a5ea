"""What a network read and what retrieval found, weighed by the likelihood of calibration patterns.

The scores of class k are s_k = b log p_k + c t(similarity_k) + w (log pi_target,k - log pi_train,k)
with the network's evidence p. Retrieval's part grows faster the better the match:
t(x) = -log(1 + e - x). Three weights are all that is fitted, in a convex problem.
"""

from dataclasses import dataclass

import numpy as np

from .errors import XrdlibError
from .metrics import check, logsumexp

# A measured pattern is never exactly what is calculated; no match is better than this far from 1.
FLOOR = 0.05
_HIGHEST = (5.0, 50.0, 2.0)


@dataclass(frozen=True)
class Fusion:
    """Weights of the network's evidence, of retrieval and of the prior ratio."""

    network: float
    similarity: float
    prior: float

    def apply(self, logp, similarity, log_ratio):
        """Normalised log-probabilities, (n, 99) float64.

        Parameters
        ----------
        logp : array_like, (n, 99)
            The network's evidence: log-probabilities with the training prior divided out.
        similarity : array_like, (n, 99)
            As from `retrieval.Retrieval.similarities`.
        log_ratio : array_like, (99,)
            Target prior over the uniform one, see `priors.log_ratio`.
        """
        terms = _terms(logp, similarity, log_ratio)
        scores = sum(
            weight * term
            for weight, term in zip((self.network, self.similarity, self.prior), terms, strict=True)
        )
        return scores - logsumexp(scores)[:, None]


def fit(logp, similarity, labels, log_ratio, families=None):
    """The weights of least NLL on calibration patterns.

    Parameters
    ----------
    logp, similarity, log_ratio
        As for `Fusion.apply`.
    labels : array_like, (n,)
        True classes 0..98.
    families : array_like, (n,), optional
        Of the patterns. Each family then counts once, shared by its patterns, since it is for
        other families that the weights are wanted; without them each pattern counts once.

    Returns
    -------
    Fusion
        No weight is negative.

    Raises
    ------
    XrdlibError
        If the shapes disagree.
    """
    from scipy.optimize import minimize  # slow to load, and a prediction needs none of it

    terms = np.stack(np.broadcast_arrays(*_terms(logp, similarity, log_ratio)), axis=-1)
    _, labels = check(terms[..., 0] - logsumexp(terms[..., 0])[:, None], labels)
    votes = _votes(len(labels) if families is None else families)
    if len(votes) != len(labels):
        raise XrdlibError(f"{len(labels)} patterns and {len(votes)} families; give one to each.")
    rows = np.arange(len(labels))

    def cost(weights):
        scores = terms @ weights
        total = logsumexp(scores)
        p = np.exp(scores - total[:, None])
        gradient = np.einsum("nc,nck->nk", p, terms) - terms[rows, labels]
        return votes @ (total - scores[rows, labels]), votes @ gradient

    bounds = [(0.0, highest) for highest in _HIGHEST]
    found = minimize(cost, [1.0, 1.0, 1.0], jac=True, bounds=bounds, method="L-BFGS-B")
    return Fusion(*found.x.tolist())


def cross_fitted(logp, similarity, labels, log_ratio, families, folds=10, seed=0):
    """Predictions for calibration patterns, each with weights fitted on other families.

    Parameters
    ----------
    logp, similarity, labels, log_ratio, families
        As for `fit`.
    folds : int
        Parts into which the families are dealt at random.
    seed : int

    Returns
    -------
    ndarray, (n, 99) float64
        Log-probabilities.
    """
    logp, similarity = np.asarray(logp), np.asarray(similarity)
    labels, families = np.asarray(labels), np.asarray(families)
    names, member = np.unique(families, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(names))[member] % min(folds, len(names))
    found = np.empty(logp.shape)
    for k in np.unique(fold):
        out, others = fold == k, fold != k
        chosen = fit(logp[others], similarity[others], labels[others], log_ratio, families[others])
        found[out] = chosen.apply(logp[out], similarity[out], log_ratio)
    return found


def _votes(families):
    """Weight of each pattern, (n,), summing to one; of as many families where a number is given."""
    if isinstance(families, int):
        return np.full(families, 1 / families)
    _, member, size = np.unique(families, return_inverse=True, return_counts=True)
    return 1 / size[member] / len(size)


def _terms(logp, similarity, log_ratio):
    logp, similarity = (np.asarray(x, dtype=np.float64) for x in (logp, similarity))
    log_ratio = np.asarray(log_ratio, dtype=np.float64)
    if logp.shape != similarity.shape or log_ratio.shape != logp.shape[1:]:
        raise XrdlibError(
            f"Fusion needs evidence and similarities of one shape and a prior ratio for its "
            f"columns; got {logp.shape}, {similarity.shape} and {log_ratio.shape}."
        )
    return logp, -np.log(1 + FLOOR - np.clip(similarity, -1, 1)), log_ratio
