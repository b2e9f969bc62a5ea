"""What a network, retrieval and indexing found, weighed by the likelihood of calibration patterns.

The scores of class k are s_k = b log p_k + c t(similarity_k) + d log q_k + f log r_k + w (log
pi_target,k - log pi_train,k) with the network's evidence p, that of the places of lines q and that
of whole-pattern fits r. Retrieval's part grows faster the better the match: t(x) = -log(1 + e - x).
Five weights are all that is fitted, in a convex problem.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..base.errors import XrdlibError
from ..learning.metrics import check, logsumexp

# A measured pattern is never exactly what is calculated; no match is better than this far from 1.
FLOOR = 0.05

# What weights and conformal scores are called, by whether there is retrieval, and indexing.
FUSIONS = {
    (True, True): "fusion",
    (False, True): "without_retrieval",
    (True, False): "without_indexing",
}

_HIGHEST = (5.0, 50.0, 2.0, 5.0, 5.0)


@dataclass(frozen=True)
class Fusion:
    """Weights of the network, of retrieval, the prior ratio, lattices and whole patterns."""

    network: float
    similarity: float
    prior: float
    lattice: float = 0.0
    pattern: float = 0.0

    def apply(
        self,
        logp: ArrayLike,
        similarity: ArrayLike | None,
        log_ratio: ArrayLike,
        lattice: ArrayLike | None = None,
        pattern: ArrayLike | None = None,
    ) -> np.ndarray:
        """Normalised log-probabilities, (n, 99) float64.

        Parameters
        ----------
        logp : array_like, (n, 99)
            The network's evidence: log-probabilities with the training prior divided out.
        similarity : array_like, (n, 99), or None
            As from `retrieval.Retrieval.similarities`; nothing is said by none.
        log_ratio : array_like, (99,)
            Target prior over the uniform one, see `priors.log_ratio`.
        lattice : array_like, (n, 99), optional
            Log-probabilities from `lattice_evidence.LatticeEvidence`; nothing is said by none.
        pattern : array_like, (n, 99), optional
            Those from `pattern_weights.PatternWeights`, beside the former.
        """
        terms = _terms(logp, similarity, log_ratio, lattice, pattern)
        weights = (self.network, self.similarity, self.prior, self.lattice, self.pattern)
        # The last weights find no terms where there is no such evidence.
        scores = sum(weight * term for weight, term in zip(weights, terms, strict=False))
        return scores - logsumexp(scores)[:, None]


def fit(
    logp: ArrayLike,
    similarity: ArrayLike,
    labels: ArrayLike,
    log_ratio: ArrayLike,
    families: ArrayLike | None = None,
    lattice: ArrayLike | None = None,
    pattern: ArrayLike | None = None,
) -> Fusion:
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
    lattice, pattern : array_like, (n, 99), optional
        As for `Fusion.apply`.

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

    terms = _terms(logp, similarity, log_ratio, lattice, pattern)
    terms = np.stack(np.broadcast_arrays(*terms), axis=-1)
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

    bounds = [(0.0, highest) for highest in _HIGHEST[: terms.shape[-1]]]
    found = minimize(cost, np.ones(len(bounds)), jac=True, bounds=bounds, method="L-BFGS-B")
    return Fusion(*found.x.tolist())


def cross_fitted(
    logp: ArrayLike,
    similarity: ArrayLike,
    labels: ArrayLike,
    log_ratio: ArrayLike,
    families: ArrayLike,
    lattice: ArrayLike | None = None,
    pattern: ArrayLike | None = None,
    folds: int = 10,
    seed: int = 0,
) -> np.ndarray:
    """Predictions for calibration patterns, each with weights fitted on other families.

    Parameters
    ----------
    logp, similarity, labels, log_ratio, families, lattice, pattern
        As for `fit`.
    folds : int
        Parts into which the families are dealt at random.

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
    more = [x if x is None else np.asarray(x) for x in (lattice, pattern)]
    for k in np.unique(fold):
        out, others = fold == k, fold != k
        about = labels[others], log_ratio, families[others]
        kept, left = ([x if x is None else x[rows] for x in more] for rows in (others, out))
        chosen = fit(logp[others], similarity[others], *about, *kept)
        found[out] = chosen.apply(logp[out], similarity[out], log_ratio, *left)
    return found


def _votes(families):
    """Weight of each pattern, (n,), summing to one; of as many families where a number is given."""
    if isinstance(families, int):
        return np.full(families, 1 / families)
    _, member, size = np.unique(families, return_inverse=True, return_counts=True)
    return 1 / size[member] / len(size)


def _terms(logp, similarity, log_ratio, lattice, pattern):
    similarity = np.zeros_like(logp) if similarity is None else similarity
    logp, similarity, log_ratio = (
        np.asarray(x, dtype=np.float64) for x in (logp, similarity, log_ratio)
    )
    if lattice is None and pattern is not None:
        raise XrdlibError("Evidence of whole patterns comes with that of lattices; give both.")
    more = [np.asarray(x, dtype=np.float64) for x in (lattice, pattern) if x is not None]
    given = [logp, similarity, *more]
    if len({x.shape for x in given}) > 1 or log_ratio.shape != logp.shape[1:]:
        shapes = ", ".join(str(x.shape) for x in (*given, log_ratio))
        raise XrdlibError(
            "Fusion needs evidence and similarities of one shape and a prior ratio for its "
            f"columns; got {shapes}."
        )
    return [logp, -np.log(1 + FLOOR - np.clip(similarity, -1, 1)), log_ratio, *more]
