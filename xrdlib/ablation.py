"""What each part of the released predictor is worth: it is taken away and the rest weighed anew.

Every row is fitted on the calibration patterns as the predictor was, and scored on the test ones.
"""

import numpy as np

from . import fusion, priors
from .experiment import MEASURED
from .groups import N_GROUPS
from .library import Library
from .metrics import evaluate
from .patterns import GRID
from .retrieval import Retrieval


def rows(predictor, known, sources, measured_sets, null, n_boot=1000, seed=0):
    """Scores on the test patterns with parts taken away.

    Parameters
    ----------
    predictor : predict.Predictor
    known : library.Library
        Its library, source after source.
    sources : list of dict
        "structures" and "what" of each source, in order.
    measured_sets : dict of str to rruff.Measured
    null : array_like, (99,)
        Prior over which bits are counted.
    n_boot, seed
        As for `metrics.evaluate`.

    Returns
    -------
    list of dict
        Rows of `metrics.evaluate`, the whole first.
    """
    parts = _sources(known, sources)
    evidence, similar, rigid, lattice = {}, {}, {}, {}
    for name in MEASURED:
        intensity = measured_sets[name].intensity
        seen = predictor.evidence(GRID.two_theta, intensity)
        evidence[name], lattice[name] = seen.evidence, seen.lattice
        found = [Retrieval(part) for part in parts]
        similar[name] = [retrieval.similarities(intensity)[0] for retrieval in found]
        for retrieval in found:
            retrieval.parts = [(span, (0.0,)) for span, _ in retrieval.parts]
        rigid[name] = [retrieval.similarities(intensity)[0] for retrieval in found]
    uniform = np.full(N_GROUPS, 1 / N_GROUPS)
    ratio = priors.log_ratio(predictor.metadata["minerals"], uniform)
    nothing = {name: np.zeros_like(e) for name, e in evidence.items()}
    best = {name: np.max(s, axis=0) for name, s in similar.items()}
    everything = {
        "evidence": evidence,
        "similarity": best,
        "lattice": lattice,
        "ratio": ratio,
        "families": True,
    }
    changes = {
        "everything": {},
        "without the network": {"evidence": nothing},
        "without retrieval": {"similarity": nothing},
        "without indexing": {"lattice": dict.fromkeys(MEASURED)},
        "retrieval alone": {"evidence": nothing, "lattice": dict.fromkeys(MEASURED)},
        "indexing alone": {"evidence": nothing, "similarity": nothing},
        "without a prior": {"ratio": np.zeros(N_GROUPS)},
        "each pattern a vote, not each family": {"families": False},
        "without stretching cells": {
            "similarity": {n: np.max(s, axis=0) for n, s in rigid.items()}
        },
    }
    for i, source in enumerate(sources[1:], start=1):
        less = {n: np.max([*s[:i], *s[i + 1 :]], axis=0) for n, s in similar.items()}
        changes[f"without {source['what']}"] = {"similarity": less}
    if len(sources) > 2:
        first = {n: s[0] for n, s in similar.items()}
        changes[f"{sources[0]['what']} alone"] = {"similarity": first}
    return [
        _row(title, {**everything, **change}, measured_sets, null, n_boot, seed)
        for title, change in changes.items()
    ]


def _row(title, used, measured_sets, null, n_boot, seed):
    fitted, tested = MEASURED
    patterns = measured_sets[fitted]
    chosen = fusion.fit(
        used["evidence"][fitted],
        used["similarity"][fitted],
        patterns.group.astype(int) - 1,
        used["ratio"],
        patterns.family if used["families"] else None,
        used["lattice"][fitted],
    )
    logp = chosen.apply(
        used["evidence"][tested], used["similarity"][tested], used["ratio"], used["lattice"][tested]
    )
    patterns = measured_sets[tested]
    told = (patterns.group.astype(int) - 1, patterns.family, np.log(null))
    return evaluate(title, tested, logp, *told, n_boot=n_boot, seed=seed)


def _sources(known, sources):
    """The library's parts, one for each source."""
    ends = np.cumsum([source["structures"] for source in sources])
    parts = []
    for first, last in zip([0, *ends[:-1]], ends, strict=True):
        lines = slice(known.start[first], known.start[last])
        parts.append(
            Library(
                start=known.start[first : last + 1] - known.start[first],
                position=known.position[lines],
                height=known.height[lines],
                group=known.group[first:last],
                computed=known.computed[first:last],
                name=known.name[first:last],
            )
        )
    return parts
