"""Where the released predictor can be believed: by kind of pattern, by coverage, by mistake."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..learning import calibrate
from ..learning.breakdown import confusion_by_system, per_class, reliability
from ..learning.experiment import MEASURED
from ..learning.metrics import check, credit, evaluate, top_k
from ..structures.measured import Measured
from .benchmark_sets import crystal_systems
from .evaluate import FUSED, weighed
from .evidence import Seen
from .mistakes import mistakes
from .predictor import Predictor

SIMILAR = (-1.0, 0.5, 0.6, 0.7, 0.8, 1.01)  # edges of similarity to the nearest structure

COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def appraise(
    predictor: Predictor,
    seen: dict[str, Seen],
    measured_sets: dict[str, Measured],
    null: ArrayLike,
) -> dict:
    """All that is asked of the released predictor, from the measured patterns.

    Parameters
    ----------
    predictor : Predictor
        With retrieval and conformal scores.
    seen : dict of str to Seen
        What it sees in the sets, see `readings.read`.
    measured_sets : dict of str to Measured
        As from `evaluate.measured`.
    null : array_like, (99,)
        The prior-only prediction, see `evaluate.null`.

    Returns
    -------
    dict
        "kinds" (dict of tables), "groups", "reliability", "confusion", "coverage", "answered": on
        the test patterns;
        "mistakes": on the calibration patterns.
    """
    calibration, test = (measured_sets[name] for name in MEASURED)
    logp, similarity, _ = _weighed(predictor, seen[MEASURED[1]])
    labels = test.group.astype(int) - 1
    edges = np.quantile(noise(calibration.intensity), (1 / 3, 2 / 3))
    calibration_logp, calibration_similarity, nearest = _weighed(predictor, seen[MEASURED[0]])
    parts = by_frequency(labels, predictor.metadata["minerals"])
    return {
        "kinds": {
            name: breakdown(logp, labels, test.family, kind, null)
            for name, kind in kinds(test, similarity, edges).items()
        },
        "groups": per_class(logp, labels),
        "reliability": reliability(logp, labels),
        "confusion": confusion_by_system(logp, labels),
        "coverage": coverage_of_parts(predictor, logp, test, parts),
        "answered": answered(logp, labels),
        "mistakes": mistakes(calibration_logp, calibration, calibration_similarity, nearest),
    }


def noise(intensity: ArrayLike) -> np.ndarray:
    """Noise of patterns as a share of their strongest peak, (n,).

    The median of absolute differences of neighbouring points, in units of a standard deviation.

    Parameters
    ----------
    intensity : array_like, (n, m)
        On an even grid.
    """
    intensity = np.asarray(intensity, dtype=np.float64)
    difference = np.abs(np.diff(intensity, axis=1))
    return 1.4826 / np.sqrt(2) * np.median(difference, axis=1) / intensity.max(axis=1)


def kinds(
    patterns: Measured, similarity: np.ndarray, edges: Sequence[float]
) -> dict[str, np.ndarray]:
    """What tells patterns apart: crystal system, nearness of a known structure, noise.

    Parameters
    ----------
    similarity : ndarray, (n,)
        To the nearest structure of the library.
    edges : (low, high)
        Noise levels between which a pattern is of middling quality.

    Returns
    -------
    dict of str to ndarray of str, (n,)
    """
    names = [
        f"below {high:g}" if low < 0 else f"{low:g} to {min(high, 1):g}"
        for low, high in zip(SIMILAR, SIMILAR[1:], strict=False)
    ]
    level = np.digitize(noise(patterns.intensity), edges)
    return {
        "crystal system": crystal_systems(patterns),
        "similarity to the nearest known structure": np.array(names)[
            np.digitize(similarity, SIMILAR) - 1
        ],
        "noise": np.array(["low", "middling", "high"])[level],
    }


def breakdown(
    logp: ArrayLike,
    labels: ArrayLike,
    families: ArrayLike,
    kind: ArrayLike,
    null: ArrayLike,
    n_boot: int = 1000,
    seed: int = 0,
    subset: str = MEASURED[1],
) -> list[dict]:
    """Scores of the patterns of each kind, beside those of the prior alone.

    Parameters
    ----------
    logp : array_like, (n, 99)
    labels, families : array_like, (n,)
    kind : array_like, (n,) of str
    null : array_like, (99,)
        The prior-only prediction, over which bits are counted.
    n_boot, seed, subset
        As for `metrics.evaluate`.

    Returns
    -------
    list of dict
        Rows of `metrics.evaluate` in order of name, with "kind" and "prior_top1" (percent).
    """
    logp, labels = check(logp, labels)
    kind, families = np.asarray(kind), np.asarray(families)
    prior = np.tile(np.log(null), (len(labels), 1))
    rows = []
    for name in np.unique(kind):
        mine = kind == name
        truth = (labels[mine], families[mine], np.log(null))
        row = evaluate(str(name), subset, logp[mine], *truth, n_boot=n_boot, seed=seed)
        alone = 100 * top_k(prior[mine], labels[mine])
        rows.append({"kind": str(name), "prior_top1": float(alone), **row})
    return rows


def by_frequency(labels: ArrayLike, minerals: ArrayLike) -> dict[str, np.ndarray]:
    """Patterns by how common their group is: rows of all, and of those that there are of each kind.

    Parameters
    ----------
    labels : array_like, (n,)
    minerals : array_like, (99,)
        Share of minerals in each group.
    """
    rare = np.asarray(minerals)[labels] < calibrate.RARE
    parts = {
        "all": np.ones(len(rare), dtype=bool),
        f"groups of {100 * calibrate.RARE:g} % of minerals or more": ~rare,
        "rarer groups": rare,
    }
    return {name: np.flatnonzero(mask) for name, mask in parts.items() if mask.any()}


def coverage_of_parts(
    predictor: Predictor,
    logp: ArrayLike,
    patterns: Measured,
    parts: dict[str, np.ndarray],
) -> list[dict]:
    """Rows of `coverage` on parts of a set, for both ways of calibrating.

    Parameters
    ----------
    predictor : Predictor
        With conformal scores.
    logp : array_like, (n, 99)
        Of `patterns`.
    parts : dict of str to ndarray of int
        Name -> rows of `patterns`.

    Returns
    -------
    list of dict
        With "subset", the part, and "threshold": "one" for all groups, or "by frequency" of the
        groups (`calibrate.thresholds`).
    """
    conformal, labels = predictor.metadata["conformal"], patterns.group.astype(int) - 1
    scored = conformal["scores"], conformal["families"]
    ways = {"one": (), "by frequency": (conformal["classes"], predictor.metadata["minerals"])}
    rows = []
    for name, part in parts.items():
        tested = logp[part], labels[part], patterns.family[part]
        for way, by_class in ways.items():
            rates = coverage(*scored, *tested, COVERAGES, *by_class)
            rows += [{"subset": name, "threshold": way, **row} for row in rates]
    return rows


def coverage(
    values: ArrayLike,
    families: ArrayLike,
    logp: ArrayLike,
    labels: ArrayLike,
    test_families: ArrayLike,
    levels: Sequence[float] = COVERAGES,
    classes: ArrayLike | None = None,
    minerals: ArrayLike | None = None,
) -> list[dict]:
    """Conformal sets on test patterns: promised and met coverage, size of the sets.

    Parameters
    ----------
    values, families : array_like, (m,)
        Scores of the calibration patterns (`calibrate.scores`) and their families.
    logp, labels, test_families
        Of the test patterns.
    levels : sequence of float
        Promised coverages.
    classes, minerals : array_like, optional
        See `calibrate.thresholds`.

    Returns
    -------
    list of dict
        "promised", "n", "n_families", "patterns" and "families" (frequency with which the set
        holds the true group, over patterns and over families), "size" (mean), "single" (share of
        sets of one group).
    """
    logp, labels = check(logp, labels)
    _, member, size = np.unique(test_families, return_inverse=True, return_counts=True)
    weight = 1 / size[member] / len(size)
    rows = []
    for level in levels:
        limit = calibrate.thresholds(values, families, level, classes, minerals)
        inside = calibrate.members(np.exp(logp), limit)
        hit = inside[np.arange(len(labels)), labels]
        rows.append(
            {
                "promised": float(level),
                "n": len(labels),
                "n_families": len(size),
                "patterns": float(hit.mean()),
                "families": float((hit * weight).sum()),
                "size": float(inside.sum(axis=1).mean()),
                "single": float((inside.sum(axis=1) == 1).mean()),
            }
        )
    return rows


def answered(logp: ArrayLike, labels: ArrayLike) -> dict[str, list]:
    """Accuracy of the most confident part of the patterns, from a tenth to all of them.

    Returns
    -------
    dict of list
        "share" of patterns answered, "top1" among them, "confidence" of the least sure of them.
    """
    logp, labels = check(logp, labels)
    confidence, hit = np.exp(logp.max(axis=1)), credit(logp, labels, 1)
    order = np.argsort(-confidence, kind="stable")
    counts = np.unique(np.ceil(np.linspace(0.1, 1, 19) * len(labels)).astype(int))
    return {
        "share": (counts / len(labels)).tolist(),
        "top1": [float(hit[order[:n]].mean()) for n in counts],
        "confidence": [float(confidence[order[n - 1]]) for n in counts],
    }


def _weighed(predictor, seen):
    """Log-probabilities, similarity to the nearest structure, and its name."""
    logp = weighed(predictor, seen)[FUSED]
    return logp, seen.similarity.max(axis=1), predictor.retrieval.name[seen.row].tolist()
