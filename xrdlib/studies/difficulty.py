"""Does the quality of a fit, or of a pattern, say how hard it is to classify? If not, what does?"""

import numpy as np
from scipy.stats import rankdata

from ..base.patterns import GRID
from ..learning.experiment import MEASURED
from ..learning.metrics import log_likelihood, resamples
from ..learning.statistics import association, explained, odds_ratio
from ..prediction.appraisal import noise
from ..prediction.evaluate import FUSED, NETWORK, weighed
from ..structures.published import SEVERITIES
from ..symmetry.groups import SYSTEMS, crystal_systems
from .temperature import label_prior
from .two_sample import features

ALPHA = 0.05

QUALITY = ("noise", "width", "background")

CONTENT = ("lines", "similarity", "class frequency")

SYSTEM = "crystal system"

MOSTLY = 0.5  # of the variance


def published_study(cases, n_permutations=2000, n_boot=1000, seed=0):
    """Fit quality against the published predictions.

    Parameters
    ----------
    cases : published.Published

    Returns
    -------
    dict
        "n", "families"; "severity": hits (percent) by grade, with intervals, and those of a
        constant that ranks classes by frequency in other families; "rwp": the association with
        Rwp, "over all" and "within classes", of "top1" and "top5" (hits), of "truth" (logarithm of
        the probability of the true class, where it is among the five) and of "confidence" (the
        probability of the first class); "odds": of a hit, for one standard deviation of Rwp,
        offset by the class's log-odds; "by_class": share of the variance of hits that the true
        class alone accounts for; "bins": hits in six bins of Rwp.
    """
    families, labels = cases.family, cases.label
    prior = label_prior(labels, families)
    own = np.log(prior[np.arange(len(labels)), labels])
    at = (cases.top == labels[:, None]).argmax(1)
    given = np.log(cases.probability[np.arange(len(labels)), at])
    outcomes = {
        "top1": cases.hits(1).astype(float),
        "top5": cases.hits(5).astype(float),
        "truth": np.where(cases.hits(5), given, np.nan),
        "confidence": cases.probability[:, 0],
    }
    settings = {"n_permutations": n_permutations, "n_boot": n_boot, "seed": seed}
    rwp = {
        name: {
            "over all": association(cases.rwp, y, families, **settings),
            "within classes": association(cases.rwp, y, families, labels, **settings),
        }
        for name, y in outcomes.items()
    }
    rank = (-prior).argsort(1, kind="stable").argsort(1)[np.arange(len(labels)), labels]
    constant = {"top1": rank < 1, "top5": rank < 5}
    hits = {name: outcomes[name] for name in ("top1", "top5")}
    # Odds of a class are p / (1 - p).
    offset = own - np.log1p(-np.exp(own))
    return {
        "n": len(cases),
        "families": len(np.unique(families)),
        "severity": [
            _grade(name, cases.severity == name, hits, constant, cases, n_boot, seed)
            for name in SEVERITIES
        ],
        "rwp": rwp,
        "odds": {
            name: odds_ratio(cases.rwp, y, offset, families, n_boot // 2, seed)
            for name, y in hits.items()
        },
        "by_class": {name: _between(y, labels) for name, y in hits.items()},
        "bins": _bins(cases, hits),
    }


def measured_study(predictor, patterns, null, n_permutations=1000, n_boot=1000, seed=0):
    """Quality of measured patterns, and what else there is, against the released predictor.

    Difficulty is minus the log-probability of the true class, and all is compared by rank, since a
    few patterns of rare classes would outweigh the rest.

    Parameters
    ----------
    predictor : predict.Predictor
        With retrieval.
    patterns : rruff.Measured
        The test patterns.
    null : array_like, (99,)
        The prior-only prediction.

    Returns
    -------
    dict
        "n", "families"; for each predictor (`FUSED`, `NETWORK`) "association" by measure, "over
        all" and "within classes", and "explained": shares of the variance of its rank for
        quality, each other measure, and all together. Similarity is what the library finds, which
        the predictor with retrieval sees too.
    """
    labels, families = patterns.group.astype(int) - 1, patterns.family
    seen = predictor.evidence(GRID.two_theta, patterns.intensity)
    logp = weighed(predictor, seen)
    measures = signal(patterns.intensity)
    measures["similarity"] = seen.similarity.max(1)
    measures["class frequency"] = np.log(null)[labels]
    system = np.array([SYSTEMS.index(name) for name in crystal_systems()])[labels]
    groups = {
        "quality": np.stack([measures[name] for name in QUALITY], 1),
        **{name: measures[name][:, None] for name in CONTENT},
        SYSTEM: np.eye(len(SYSTEMS))[system],
    }
    groups = {name: _ranked(x) if name != SYSTEM else x for name, x in groups.items()}
    groups["all"] = np.concatenate(list(groups.values()), 1)
    found = {"subset": MEASURED[1], "n": len(labels), "families": len(set(families))}
    settings = {"n_permutations": n_permutations, "n_boot": n_boot, "seed": seed}
    found["predictors"] = {}
    for title in (FUSED, NETWORK):
        difficulty = -log_likelihood(logp[title], labels)
        found["predictors"][title] = {
            "association": {
                name: {
                    "over all": association(x, difficulty, families, **settings),
                    "within classes": association(x, difficulty, families, labels, **settings),
                }
                for name, x in measures.items()
            },
            "explained": {
                name: explained(x, rankdata(difficulty), families, n_permutations // 5, seed=seed)
                for name, x in groups.items()
            },
        }
    return found


def signal(intensity):
    """Measures of a pattern that need no fit: dict of (n,) arrays.

    "noise" (share of the strongest line), "width" (degrees, median of clear peaks), "background"
    (share of the intensity in the lower envelope) and "lines" (peaks that stand out).
    """
    # Where the background was subtracted, some points lie below zero.
    table = features(np.clip(intensity, 0, None))
    widths = table[[name for name in table if name.startswith("fwhm")]]
    return {
        "noise": noise(intensity),
        "width": widths.median(axis=1).to_numpy(),
        "background": table["background"].to_numpy(),
        "lines": table["peaks"].to_numpy(dtype=float),
    }


def verdict(published, measured):
    """Does the quality of a fit predict difficulty, and does that of a pattern? In words.

    Parameters
    ----------
    published, measured : dict or None
        As from `published_study` and `measured_study`.

    Returns
    -------
    dict
        "claim"; "published": "does not hold" (hits go with Rwp within classes), "holds" (they do
        not), "holds in part" (they do not, but the true class alone accounts for most hits, so
        that nothing about difficulty can show); "measured": "does not hold" (worse quality goes
        with more difficulty), or "holds"; both None without data; "text".
    """
    found = {"claim": "Fit quality does not predict how hard a pattern is."}
    texts = []
    found["published"] = found["measured"] = None
    if published:
        found["published"], text = _of_published(published)
        texts.append(text)
    if measured:
        found["measured"], text = _of_measured(measured)
        texts.append(text)
    return {**found, "text": " ".join(texts) or "No data were at hand."}


def _of_published(published):
    tests = {name: kinds["within classes"] for name, kinds in published["rwp"].items()}
    hits = [name for name in published["by_class"] if tests[name]["p"] is not None]
    clear = [name for name in hits if tests[name]["p"] < ALPHA / len(hits)]
    shares = published["by_class"]
    by_class = min(shares.values()) > MOSTLY
    answer = "does not hold" if clear else "holds in part" if by_class else "holds"
    said = [
        f"{name} {test['rho']:.2f} [{test['rho_ci95'][0]:.2f}, {test['rho_ci95'][1]:.2f}] (p = "
        f"{test['p']:.2g}; {test['n_informative']} patterns of {test['strata_informative']} groups "
        "can say)"
        for name, test in tests.items()
        if test["p"] is not None
    ]
    text = (
        f"Published predictions (n = {published['n']}), rank correlation with Rwp within groups: "
        f"{', '.join(said)}. The true group alone accounts for {100 * shares['top1']:.0f} % of the "
        f"variance of top-1 hits and {100 * shares['top5']:.0f} % of that of top-5 hits."
    )
    if by_class:
        text += " Where the class decides, hits cannot show what makes a pattern hard."
    return answer, text


def _of_measured(measured):
    said, answer = [], "holds"
    for title, own in measured["predictors"].items():
        tests = {name: kinds["within classes"] for name, kinds in own["association"].items()}
        tests = {name: test for name, test in tests.items() if test["p"] is not None}
        level = ALPHA / len(tests) if tests else ALPHA
        clear = {name: test["rho"] for name, test in tests.items() if test["p"] < level}
        # All three measures of quality are large where it is bad.
        if any(clear.get(name, 0) > 0 for name in QUALITY):
            answer = "does not hold"
        shares = own["explained"]
        kinds = sorted((n for n in shares if n != "all"), key=lambda n: -shares[n]["share"])
        goes = ", ".join(f"{name} ({rho:+.2f})" for name, rho in clear.items())
        parts = ", ".join(f"{name} {100 * shares[name]['share']:.0f} %" for name in kinds)
        said.append(
            f"{title}: within groups difficulty goes with {goes or 'nothing measured'} (p < "
            f"{level:.2g}); a fit to other families explains of its variance by {parts}, by all "
            f"together {100 * shares['all']['share']:.0f} %"
        )
    return answer, (
        f"Measured patterns ({measured['subset']}, n = {measured['n']}). {'. '.join(said)}."
    )


def _grade(name, mine, hits, constant, cases, n_boot, seed):
    """Hits of the cases of one grade of fit, and those of the constant."""
    row = {"severity": name, "n": int(mine.sum()), "rwp": float(np.median(cases.rwp[mine]))}
    for key, y in hits.items():
        row[key] = 100 * float(y[mine].mean())
        parts = [w @ y[mine] / w.sum(1) for w in resamples(cases.family[mine], n_boot, seed)]
        ends = np.percentile(100 * np.concatenate(parts), [2.5, 97.5])
        row[f"{key}_ci95"] = [float(end) for end in ends]
        row[f"constant_{key}"] = 100 * float(constant[key][mine].mean())
    return row


def _ranked(columns):
    """Ranks of each column; NaN stays."""
    return np.stack([rankdata(column, nan_policy="omit") for column in columns.T], 1)


def _between(y, labels):
    """Share of the variance of y between classes."""
    _, code, size = np.unique(labels, return_inverse=True, return_counts=True)
    mean = np.bincount(code, y) / size
    total = ((y - y.mean()) ** 2).sum()
    return float((size * (mean - y.mean()) ** 2).sum() / total) if total else 0.0


def _bins(cases, hits, count=6):
    """Hits in bins of Rwp with equally many cases, for a figure."""
    edges = np.quantile(cases.rwp, np.linspace(0, 1, count + 1))
    which = np.clip(np.searchsorted(edges, cases.rwp, side="right") - 1, 0, count - 1)
    return [
        {
            "rwp": float(np.median(cases.rwp[which == k])),
            "n": int((which == k).sum()),
            **{key: 100 * float(y[which == k].mean()) for key, y in hits.items()},
        }
        for k in range(count)
    ]
