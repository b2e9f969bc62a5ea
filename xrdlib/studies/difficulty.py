"""Difficulty of patterns, against the quality of fits and patterns and other measures."""

import numpy as np
from numpy import ndarray
from scipy.stats import rankdata

from ..base.patterns import GRID
from ..learning.experiment import MEASURED
from ..learning.metrics import log_likelihood, means
from ..learning.statistics import association, explained_variance, holm
from ..prediction.appraisal import noise
from ..prediction.evaluate import FUSED, NETWORK, weighed
from ..prediction.predictor import Predictor
from ..structures.measured import Measured
from ..structures.published import SEVERITIES, Published
from ..symmetry.groups import SYSTEMS, crystal_systems
from .pattern_features import features
from .temperature import label_prior

QUALITY = ("noise", "width", "background")  # all large where it is bad
CONTENT = ("lines", "similarity", "class frequency")
SYSTEM = "crystal system"

_BINS = 6  # of Rwp, for a figure


def published_study(
    cases: Published, n_permutations: int = 2000, n_boot: int = 1000, seed: int = 0
) -> dict:
    """Fit quality against the published predictions.

    Gives "n", "families"; "severity": hits (percent) by grade, with intervals, and those of a
    constant that ranks classes by frequency in other families; "rwp": the association with Rwp,
    "over all" and "within classes", of "top1" and "top5" (hits), of "truth" (logarithm of the
    probability of the true class, where it is among the five) and of "confidence" (the probability
    of the first class); "by_class": share of the variance of hits that the true class alone
    accounts for; "bins": hits in bins of Rwp.
    """
    families, labels, each = cases.family, cases.label, np.arange(len(cases))
    prior = label_prior(labels, families)
    at = (cases.top == labels[:, None]).argmax(1)
    hits = {f"top{k}": cases.hits(k).astype(float) for k in (1, 5)}
    quantities = {
        **hits,
        "truth": np.where(cases.hits(5), np.log(cases.probability[each, at]), np.nan),
        "confidence": cases.probability[:, 0],
    }
    rank = (-prior).argsort(1, kind="stable").argsort(1)[each, labels]
    constant = {f"constant_top{k}": rank < k for k in (1, 5)}
    settings = {"n_permutations": n_permutations, "n_boot": n_boot, "seed": seed}
    edges = np.quantile(cases.rwp, np.linspace(0, 1, _BINS + 1))
    bins = np.clip(np.searchsorted(edges, cases.rwp, side="right") - 1, 0, _BINS - 1)

    def summed(mine, columns):
        rates = {key: 100 * float(y[mine].mean()) for key, y in columns.items()}
        return {"rwp": float(np.median(cases.rwp[mine])), "n": int(mine.sum()), **rates}

    def grade(mine):
        rates = {key: 100 * y[mine] for key, y in hits.items()}
        return summed(mine, constant) | means(rates, families[mine], n_boot, seed)

    return {
        "n": len(cases),
        "families": len(np.unique(families)),
        "severity": [{"severity": s, **grade(cases.severity == s)} for s in SEVERITIES],
        "rwp": _associations(quantities, cases.rwp, families, labels, settings, hits),
        "by_class": {name: _between(y, labels) for name, y in hits.items()},
        "bins": [summed(bins == k, hits) for k in range(_BINS)],
    }


def measured_study(
    predictor: Predictor,
    patterns: Measured,
    null: ndarray,
    n_permutations: int = 1000,
    n_boot: int = 1000,
    seed: int = 0,
) -> dict:
    """Quality of measured patterns, and other measures, against the released predictor.

    Difficulty is minus the log-probability of the true class, and all is compared by rank, since a
    few patterns of rare classes would outweigh the rest.

    The predictor has retrieval, the patterns are the test patterns, and `null` (99,) is the
    prior-only prediction.

    Gives "n", "families"; for each predictor (`FUSED`, `NETWORK`) "association" by measure, "over
    all" and "within classes", and "explained": shares of the variance of its rank for quality, each
    other measure, and all together. Similarity is what the library finds, which the predictor with
    retrieval sees too.
    """
    labels, families = patterns.group.astype(int) - 1, patterns.family
    seen = predictor.evidence(GRID.two_theta, patterns.intensity)
    logp = weighed(predictor, seen)
    measures = signal(patterns.intensity)
    measures["similarity"] = seen.similarity.max(1)
    measures["class frequency"] = np.log(null)[labels]
    ranks = {name: rankdata(x, nan_policy="omit") for name, x in measures.items()}
    system = np.array([SYSTEMS.index(name) for name in crystal_systems()])[labels]
    columns = {
        "quality": np.stack([ranks[name] for name in QUALITY], 1),
        **{name: ranks[name][:, None] for name in CONTENT},
        SYSTEM: np.eye(len(SYSTEMS))[system],
    }
    columns["all"] = np.concatenate(list(columns.values()), 1)
    settings = {"n_permutations": n_permutations, "n_boot": n_boot, "seed": seed}
    predictors = {}
    for title in (FUSED, NETWORK):
        cost = -log_likelihood(logp[title], labels)
        predictors[title] = {
            "association": _associations(measures, cost, families, labels, settings),
            "explained": {
                name: explained_variance(
                    x, rankdata(cost), families, n_permutations // 5, seed=seed
                )
                for name, x in columns.items()
            },
        }
    counts = {"subset": MEASURED[1], "n": len(labels), "families": len(set(families))}
    return {**counts, "predictors": predictors}


def signal(intensity: ndarray) -> dict[str, ndarray]:
    """Measures of n patterns that need no fit, (n,) each.

    "noise" (share of the strongest peak), "width" (degrees, median of clear peaks), "background"
    (share of the intensity in the lower envelope) and "lines" (peaks that stand out).
    """
    # Where the background was subtracted, some points lie below zero.
    table = features(np.clip(intensity, 0, None))
    return {
        "noise": noise(intensity),
        "width": table.filter(like="fwhm").median(axis=1).to_numpy(),
        "background": table["background"].to_numpy(),
        "lines": table["peaks"].to_numpy(dtype=float),
    }


def _associations(quantities, y, families, labels, settings, tested=None):
    """The association of each with y over all patterns, and within classes with "p_holm".

    Holm's correction is for all of them, or for the `tested` ones.
    """
    tests = {
        name: {
            "over all": association(x, y, families, **settings),
            "within classes": association(x, y, families, labels, **settings),
        }
        for name, x in quantities.items()
    }
    within = [tests[name]["within classes"] for name in tested or tests]
    holm([test for test in within if test["p"] is not None])
    return tests


def _between(y, labels):
    """Share of the variance of y between classes."""
    _, code, size = np.unique(labels, return_inverse=True, return_counts=True)
    mean = np.bincount(code, y) / size
    total = ((y - y.mean()) ** 2).sum()
    return float((size * (mean - y.mean()) ** 2).sum() / total) if total else 0.0
