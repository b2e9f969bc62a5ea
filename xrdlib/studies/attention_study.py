"""Do heads look at absences? Tests of all heads, with their nulls, and what they say together."""

from dataclasses import asdict

import numpy as np
from numpy import ndarray

from ..learning.baselines import build
from ..learning.model import PhysicsTransformer
from ..learning.statistics import compare, holm
from .absences import exchanged, located
from .attention import SOURCES, looks
from .intervention import attributed, intervened, reader
from .specimens import Specimens

SURE = 0.05
WORDS = ("does not hold", "holds in part", "holds")


def study(
    title: str,
    model: PhysicsTransformer,
    metadata: dict,
    subjects: Specimens,
    measured: bool = False,
    sizes: tuple[int, int] = (50, 40),
    seeds: int = 2,
    seed: int = 0,
) -> dict | None:
    """Attention, attribution and added lines of one network on one set of specimens.

    `metadata` of a predictor: "calibration", "training_prior" and "minerals". In `measured`
    patterns tokens with peaks that no line of the crystal explains are left out. `sizes` are
    patterns with added lines, and with attributions, spread evenly over the specimens; `seeds`
    untrained networks are the null.

    Gives "network", "subset", "n" patterns, "n_families" and "n_absences"; "heads" (`head_rows`);
    "exchanged" (those of the class token, for absences of other patterns); "untrained" (the
    "largest" mean of a class token, a dict a seed); "intervention" and "intervention_untrained"
    (`intervention.intervened`), "attribution" (`intervention.attributed`) and "verdict". None where
    fewer than two families have diagnostic absences.
    """
    subjects, found = located(subjects, model, metadata["minerals"], measured)
    if len(np.unique(subjects.family)) < 2:
        return None
    told = metadata["calibration"]["a"], metadata["training_prior"]
    fresh = [build("physics", asdict(model.config), seed + k).eval() for k in range(seeds)]
    index, others = exchanged(found, seed)
    null, seen = subjects.take(index), []
    if len(np.unique(null.family)) > 1:
        seen = _class_token(_tested(model, null, others, seed))
    some, few = (np.unique(np.linspace(0, len(found) - 1, n).astype(int)) for n in sizes)
    part = subjects.take(some), [found[i] for i in some]
    result = {
        "network": title,
        "subset": subjects.subset,
        "n": len(subjects),
        "n_families": len(np.unique(subjects.family)),
        "n_absences": sum(map(len, found)),
        "heads": _tested(model, subjects, found, seed),
        "exchanged": seen,
        "untrained": [
            {"largest": _largest_of(network, subjects, found, seed)} for network in fresh
        ],
        "intervention": intervened(reader(model, *told), *part, seed=seed),
        "intervention_untrained": intervened(reader(fresh[0], *told), *part, seed=seed),
        "attribution": attributed(
            model, *told, subjects.take(few), [found[i] for i in few], seed=seed
        ),
    }
    return {**result, "verdict": verdict(result)}


def verdict(result: dict) -> dict:
    """What one network's tests say together.

    Gives "more" and "less": heads whose class token gives absences significantly more or less
    weight than empty places; "heads" of them in all; "exchanged" with significant differences;
    "largest_ratio" and "line_ratio" (largest ratio of weights to empty places, of an absence and of
    a line); "answer_minds" (a line at an absence costs the true group significantly more than one
    at an empty place); "word".
    """
    own = _class_token(result["heads"])
    sure = [row["absences"] for row in own if row["absences_p"] < SURE]
    largest = _largest(result)
    minds = largest["p"] < SURE and largest["difference"] < 0
    more, chance = sum(x > 0 for x in sure), _significant(result["exchanged"])
    return {
        "heads": len(own),
        "more": more,
        "less": sum(x < 0 for x in sure),
        "exchanged": chance,
        "largest_ratio": float(np.exp(max(row["absences"] for row in own))),
        "line_ratio": float(np.exp(max(row["lines"] for row in own))),
        "answer_minds": bool(minds),
        "word": WORDS[(more > chance) + minds],
    }


def together(tests: list[dict]) -> dict:
    """What the tests of all networks and sets (`study`) say, corrected for their number.

    Gives "tests", "heads" and "more" (sums over tests), "minded" (tests in which the answer minds a
    line at an absence more than one at an empty place, p-values after Holm), "p_holm" (the
    smallest), "word" and "text". "word" is "holds" if in every test heads attend or the answer
    minds, "holds in part" if in some, else "does not hold".
    """
    rows = [{key: _largest(test)[key] for key in ("p", "difference")} for test in tests]
    holm(rows)
    minded = [row["p_holm"] < SURE and row["difference"] < 0 for row in rows]
    told = [test["verdict"] for test in tests]
    yes = [a or own["more"] > own["exchanged"] for a, own in zip(minded, told, strict=True)]
    found = {
        "tests": len(tests),
        "heads": sum(own["heads"] for own in told),
        "more": sum(own["more"] for own in told),
        "minded": sum(minded),
        "p_holm": min((row["p_holm"] for row in rows), default=None),
        "word": WORDS[any(yes) + (any(yes) and all(yes))],
    }
    text = (
        f"{found['more']} of {found['heads']} heads (networks and sets together) give diagnostic "
        f"absences significantly more weight than empty places. In {found['minded']} of "
        f"{found['tests']} tests a line at an absence costs the true group significantly more than "
        "one at an empty place, after Holm's correction."
    )
    return {**found, "text": text}


def head_rows(
    model: PhysicsTransformer,
    absences: ndarray,
    lines: ndarray,
    family: ndarray,
    n_boot: int = 1000,
    seed: int = 0,
) -> list[dict]:
    """A row a head: log-ratio of attention at absences and at lines to empty places.

    Rows have "source" ("class token", "all tokens" or "rollout"), "block" and "head" (from 1; null
    for the rollout), and for "absences" and "lines" the mean, "_ci95" and "_p" that holds for all
    heads together.
    """
    names = [
        {"source": source, "block": block + 1, "head": head + 1}
        for block in range(model.config.depth)
        for head in range(model.config.heads)
        for source in SOURCES
    ]
    rows = [*names, {"source": "rollout", "block": None, "head": None}]
    for name, values in (("absences", absences), ("lines", lines)):
        test = compare(values, family, n_boot, seed=seed)
        for k, row in enumerate(rows):
            row[name] = round(test["mean"][k], 4)
            row[f"{name}_ci95"] = np.round(test["ci95"][k], 4).tolist()
            row[f"{name}_p"] = round(test["p_all"][k], 5)
    return rows


def _largest(result):
    """Effect of the highest line on all patterns."""
    return max(result["intervention"], key=lambda row: (row["patterns"] == "all", row["height"]))


def _class_token(rows):
    return [row for row in rows if row["source"] == SOURCES[0]]


def _significant(rows):
    return sum(row["absences_p"] < SURE for row in rows)


def _tested(model, subjects, found, seed):
    absences, lines, owner = looks(model, subjects, found)
    return head_rows(model, absences, lines, subjects.family[owner], seed=seed)


def _largest_of(model, subjects, found, seed):
    rows = _class_token(_tested(model, subjects, found, seed))
    return max(abs(row["absences"]) for row in rows)
