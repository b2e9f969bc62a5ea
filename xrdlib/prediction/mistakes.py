"""The most confident mistakes of a predictor, with a first guess at what went wrong."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..base.patterns import GRID
from ..learning.metrics import check
from ..structures.measured import Measured
from ..symmetry.dag import relation
from ..symmetry.groups import symbols

ALIKE = 0.8  # similarity from which a structure of another group casts doubt on a label


def mistakes(
    logp: ArrayLike,
    patterns: Measured,
    similarity: np.ndarray,
    nearest: Sequence[str],
    n: int = 20,
    every: int = 5,
) -> list[dict]:
    """The most confident mistakes, with what may have gone wrong.

    Parameters
    ----------
    logp : array_like, (n, 99)
    similarity : ndarray, (n,)
        To the nearest structure.
    nearest : sequence of str
        Its name.
    every : int
        Points of which the highest is kept.

    Returns
    -------
    list of dict
        "source", "true" and "predicted" (symbols), "probability", "relation" of the predicted
        group to the true one, "nearest", "similarity", "why", "two_theta", "intensity".
    """
    labels = patterns.group.astype(int) - 1
    logp, labels = check(logp, labels)
    guess, names = logp.argmax(axis=1), symbols()
    wrong = np.flatnonzero(guess != labels)
    wrong = wrong[np.argsort(-logp[wrong, guess[wrong]], kind="stable")][:n]
    blocks = GRID.size // every
    angles = GRID.two_theta[every // 2 :: every][:blocks].round(3).tolist()
    rows = []
    for i in wrong:
        how = str(relation(int(labels[i]) + 1, int(guess[i]) + 1))
        curve = patterns.intensity[i][: blocks * every] / patterns.intensity[i].max()
        rows.append(
            {
                "source": str(patterns.source[i]),
                "true": names[labels[i]],
                "predicted": names[guess[i]],
                "probability": float(np.exp(logp[i, guess[i]])),
                "relation": how,
                "nearest": str(nearest[i]),
                "similarity": float(similarity[i]),
                "why": _why(float(similarity[i]), how),
                "two_theta": angles,
                "intensity": curve.reshape(blocks, every).max(1).astype(float).round(4).tolist(),
            }
        )
    return rows


def _why(similarity, relation):
    """A first guess at the reason, from the nearest structure and the two groups."""
    if similarity >= ALIKE:
        if relation in ("ancestor", "descendant"):
            return "a known structure of a related group fits well: pseudo-symmetry or the label"
        return "a known structure of another group fits well: the label is doubtful, or a mixture"
    if relation == "ancestor":
        return "taken for more symmetric than it is: weak peaks were missed"
    if relation == "descendant":
        return "taken for less symmetric than it is: an impurity or noise passed for peaks"
    return "no known structure is like it, and the network or the lattice misled"
