"""What a network, retrieval and indexing found, weighed by the likelihood of calibration patterns.

The scores of class k are s_k = b log p_k + log l_k + d log q_k + f log r_k + w (log pi_target,k -
log pi_train,k) with the network's evidence p, that of the places of lines q, that of whole-pattern
fits r, and what the library says: l_k = h a_k + (1 - h) / 99. Here a is the softmax of
c t(similarity), which grows faster the better the match, t(x) = -log(1 + e - x), and h is the
probability that the library knows the compound or one like it. If it does not, a similar structure
says nothing; so no match outweighs the rest by more than h allows. h is logistic in the margin by
which the best group is more similar than the next. Where the library is taken to know everything
five weights are all that is fitted, in a convex problem.
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

_KNOWN, _MARGIN = (-8.0, 8.0), (0.0, 50.0)  # bounds of what the probability h is made of

_RIDGE = 1e-5  # on the weight of the margin, so that it stays finite where all is known


@dataclass(frozen=True)
class Fusion:
    """Weights of the network, of retrieval, the prior ratio, lattices and whole patterns.

    The library knows a compound with log-odds `known` + `margin` times the margin; always where
    `known` is None.
    """

    network: float
    similarity: float
    prior: float
    lattice: float = 0.0
    pattern: float = 0.0
    known: float | None = None
    margin: float = 0.0

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
        if self.known is not None:
            odds = self.known + self.margin * margin(similarity, terms[0].shape)
            terms[1] = _library(self.similarity * terms[1], odds)[0]
            weights = (self.network, 1.0, *weights[2:])
        # The last weights find no terms where there is no such evidence.
        scores = sum(weight * term for weight, term in zip(weights, terms, strict=False))
        return scores - logsumexp(scores)[:, None]


def margin(similarity: ArrayLike | None, shape: tuple[int, int]) -> np.ndarray:
    """How much more like each pattern the best group is than the next, (n,); 0 without retrieval.

    Parameters
    ----------
    similarity : array_like, (n, 99), or None
    shape : tuple of int
        (n, 99).
    """
    if similarity is None:
        return np.zeros(shape[0])
    ranked = np.sort(np.clip(np.asarray(similarity, dtype=np.float64), -1, 1), axis=1)
    return ranked[:, -1] - ranked[:, -2]


def fit(
    logp: ArrayLike,
    similarity: ArrayLike,
    labels: ArrayLike,
    log_ratio: ArrayLike,
    families: ArrayLike | None = None,
    lattice: ArrayLike | None = None,
    pattern: ArrayLike | None = None,
    known: bool = False,
    votes: ArrayLike | None = None,
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
    known : bool
        Whether the library may not know a compound.
    votes : array_like, (n,), optional
        How much each pattern counts, where not as its family.

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
    if votes is None:
        votes = _votes(len(labels) if families is None else families)
    else:
        votes = np.asarray(votes) / np.sum(votes)
    if len(votes) != len(labels):
        raise XrdlibError(f"{len(labels)} patterns and {len(votes)} families; give one to each.")
    rows, k = np.arange(len(labels)), terms.shape[-1]
    apart = margin(similarity, terms.shape[:2])

    def value(scores, slopes):
        """NLL and its gradient of scores (n, 99), whose own are (n, 99, weights)."""
        total = logsumexp(scores)
        p = np.exp(scores - total[:, None])
        gradient = np.einsum("nc,nck->nk", p, slopes) - slopes[rows, labels]
        return votes @ (total - scores[rows, labels]), votes @ gradient

    def cost(weights):
        return value(terms @ weights, terms)

    def cost_known(weights):
        odds = weights[k] + weights[k + 1] * apart
        said, by_similarity, by_odds = _library(weights[1] * terms[..., 1], odds, terms[..., 1])
        others = np.arange(k) != 1
        slopes = [terms[..., 0], by_similarity, *np.moveaxis(terms[..., 2:], -1, 0)]
        slopes = np.stack([*slopes, by_odds, by_odds * apart[:, None]], axis=-1)
        found, gradient = value(terms[..., others] @ weights[:k][others] + said, slopes)
        gradient[k + 1] += 2 * _RIDGE * weights[k + 1]
        return found + _RIDGE * weights[k + 1] ** 2, gradient

    bounds = [(0.0, highest) for highest in _HIGHEST[:k]]
    found = minimize(cost, np.ones(k), jac=True, bounds=bounds, method="L-BFGS-B").x
    if not known:
        return Fusion(*found.tolist())
    start, bounds = [*found, 1.0, 1.0], [*bounds, _KNOWN, _MARGIN]
    found = minimize(cost_known, start, jac=True, bounds=bounds, method="L-BFGS-B").x.tolist()
    return Fusion(*found[:k], known=found[k], margin=found[k + 1])


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
    known: bool = False,
    votes: ArrayLike | None = None,
) -> np.ndarray:
    """Predictions for calibration patterns, each with weights fitted on other families.

    Parameters
    ----------
    logp, similarity, labels, log_ratio, families, lattice, pattern, known, votes
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
        own = None if votes is None else np.asarray(votes)[others]
        chosen = fit(logp[others], similarity[others], *about, *kept, known, own)
        found[out] = chosen.apply(logp[out], similarity[out], log_ratio, *left)
    return found


def _library(scaled, odds, slope=None):
    """What a library says that knows a compound with log-odds (n,), log-likelihoods (n, 99).

    With `slope`, that of the scaled similarities (n, 99), also its derivatives by their weight and
    by the log-odds.
    """
    own = scaled - logsumexp(scaled)[:, None]
    yes, no = -np.logaddexp(0, -odds)[:, None], -np.logaddexp(0, odds)[:, None]
    said = np.logaddexp(yes + own, no - np.log(scaled.shape[1]))
    if slope is None:
        return (said,)
    share = np.exp(yes + own - said)
    mean = (np.exp(own) * slope).sum(1, keepdims=True)
    return said, share * (slope - mean), share - np.exp(yes)


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
