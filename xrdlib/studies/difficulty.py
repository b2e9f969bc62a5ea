"""Does the quality of a fit, or of a pattern, say how hard it is to classify? If not, what does?"""

import numpy as np
from numpy import ndarray
from scipy.stats import rankdata

from ..base.patterns import GRID
from ..learning.experiment import MEASURED
from ..learning.metrics import log_likelihood, means
from ..learning.statistics import association, explained, odds_ratio
from ..prediction.appraisal import noise
from ..prediction.evaluate import FUSED, NETWORK, weighed
from ..prediction.predictor import Predictor
from ..structures.measured import Measured
from ..structures.published import SEVERITIES, Published
from ..symmetry.groups import SYSTEMS, crystal_systems
from .pattern_features import features
from .published_temperature import label_prior

ALPHA = 0.05
QUALITY = ("noise", "width", "background")  # all large where it is bad
CONTENT = ("lines", "similarity", "class frequency")
SYSTEM = "crystal system"

_MOSTLY = 0.5  # of the variance
_BINS = 6  # of Rwp, for a figure


def published_study(
    cases: Published, n_permutations: int = 2000, n_boot: int = 1000, seed: int = 0
) -> dict:
    """Fit quality against the published predictions.

    Gives "n", "families"; "severity": hits (percent) by grade, with intervals, and those of a
    constant that ranks classes by frequency in other families; "rwp": the association with Rwp,
    "over all" and "within classes", of "top1" and "top5" (hits), of "truth" (logarithm of the
    probability of the true class, where it is among the five) and of "confidence" (the probability
    of the first class); "odds": of a hit, for one standard deviation of Rwp, offset by the class's
    log-odds; "by_class": share of the variance of hits that the true class alone accounts for;
    "bins": hits in bins of Rwp.
    """
    families, labels, each = cases.family, cases.label, np.arange(len(cases))
    prior = label_prior(labels, families)
    at = (cases.top == labels[:, None]).argmax(1)
    hits = {f"top{k}": cases.hits(k).astype(float) for k in (1, 5)}
    outcomes = {
        **hits,
        "truth": np.where(cases.hits(5), np.log(cases.probability[each, at]), np.nan),
        "confidence": cases.probability[:, 0],
    }
    rank = (-prior).argsort(1, kind="stable").argsort(1)[each, labels]
    constant = {f"constant_top{k}": rank < k for k in (1, 5)}
    own = prior[each, labels]
    offset = np.log(own) - np.log1p(-own)
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
        "rwp": {
            name: _both_ways(cases.rwp, y, families, labels, settings)
            for name, y in outcomes.items()
        },
        "odds": {
            name: odds_ratio(cases.rwp, y, offset, families, n_boot // 2, seed)
            for name, y in hits.items()
        },
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
    """Quality of measured patterns, and what else there is, against the released predictor.

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
    groups = {
        "quality": np.stack([ranks[name] for name in QUALITY], 1),
        **{name: ranks[name][:, None] for name in CONTENT},
        SYSTEM: np.eye(len(SYSTEMS))[system],
    }
    groups["all"] = np.concatenate(list(groups.values()), 1)
    settings = {"n_permutations": n_permutations, "n_boot": n_boot, "seed": seed}
    predictors = {}
    for title in (FUSED, NETWORK):
        difficulty = -log_likelihood(logp[title], labels)
        predictors[title] = {
            "association": {
                name: _both_ways(x, difficulty, families, labels, settings)
                for name, x in measures.items()
            },
            "explained": {
                name: explained(x, rankdata(difficulty), families, n_permutations // 5, seed=seed)
                for name, x in groups.items()
            },
        }
    counts = {"subset": MEASURED[1], "n": len(labels), "families": len(set(families))}
    return {**counts, "predictors": predictors}


def signal(intensity: ndarray) -> dict[str, ndarray]:
    """Measures of n patterns that need no fit, (n,) each.

    "noise" (share of the strongest line), "width" (degrees, median of clear peaks), "background"
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


def verdict(published: dict | None, measured: dict | None) -> dict:
    """Does the quality of a fit predict difficulty, and does that of a pattern? In words.

    Gives "claim"; "published": "does not hold" (hits go with Rwp within classes), "holds" (they do
    not), "holds in part" (they do not, but the true class alone accounts for most hits, so that
    nothing about difficulty can show); "measured": "does not hold" (worse quality goes with more
    difficulty), or "holds"; both None without data; "text".
    """
    parts = [
        judge(data) if data else (None, "")
        for judge, data in ((_of_published, published), (_of_measured, measured))
    ]
    (first, text), (second, more) = parts
    return {
        "claim": "Fit quality does not predict how hard a pattern is.",
        "published": first,
        "measured": second,
        "text": " ".join(filter(None, (text, more))) or "No data were at hand.",
    }


def _of_published(published):
    tests = {name: kinds["within classes"] for name, kinds in published["rwp"].items()}
    tests = {name: test for name, test in tests.items() if test["p"] is not None}
    shares = published["by_class"]
    hits = [name for name in shares if name in tests]
    clear = any(tests[name]["p"] < ALPHA / len(hits) for name in hits)
    by_class = min(shares.values()) > _MOSTLY
    said = [
        f"{name} {test['rho']:.2f} [{test['rho_ci95'][0]:.2f}, {test['rho_ci95'][1]:.2f}] (p = "
        f"{test['p']:.2g}; {test['n_informative']} patterns of {test['strata_informative']} groups "
        "can say)"
        for name, test in tests.items()
    ]
    text = (
        f"Published predictions (n = {published['n']}), rank correlation with Rwp within groups: "
        f"{', '.join(said)}. The true group alone accounts for {100 * shares['top1']:.0f} % of the "
        f"variance of top-1 hits and {100 * shares['top5']:.0f} % of that of top-5 hits."
    )
    if by_class:
        text += " Where the class decides, hits cannot show what makes a pattern hard."
    return "does not hold" if clear else "holds in part" if by_class else "holds", text


def _of_measured(measured):
    said, answer = [], "holds"
    for title, own in measured["predictors"].items():
        tests = {name: kinds["within classes"] for name, kinds in own["association"].items()}
        tests = {name: test for name, test in tests.items() if test["p"] is not None}
        level = ALPHA / max(len(tests), 1)
        clear = {name: test["rho"] for name, test in tests.items() if test["p"] < level}
        if any(clear.get(name, 0) > 0 for name in QUALITY):
            answer = "does not hold"
        shares = {name: 100 * one["share"] for name, one in own["explained"].items()}
        whole = shares.pop("all")
        goes = ", ".join(f"{name} ({rho:+.2f})" for name, rho in clear.items())
        kinds = sorted(shares, key=lambda name: -shares[name])
        said.append(
            f"{title}: within groups difficulty goes with {goes or 'nothing measured'} (p < "
            f"{level:.2g}); a fit to other families explains of its variance by "
            f"{', '.join(f'{name} {shares[name]:.0f} %' for name in kinds)}, by all together "
            f"{whole:.0f} %"
        )
    text = f"Measured patterns ({measured['subset']}, n = {measured['n']}). {'. '.join(said)}."
    return answer, text


def _both_ways(x, y, families, labels, settings):
    """The association over all patterns and within classes."""
    return {
        "over all": association(x, y, families, **settings),
        "within classes": association(x, y, families, labels, **settings),
    }


def _between(y, labels):
    """Share of the variance of y between classes."""
    _, code, size = np.unique(labels, return_inverse=True, return_counts=True)
    mean = np.bincount(code, y) / size
    total = ((y - y.mean()) ** 2).sum()
    return float((size * (mean - y.mean()) ** 2).sum() / total) if total else 0.0
