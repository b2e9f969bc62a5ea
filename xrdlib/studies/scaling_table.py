"""Results of the scaling study: tables, power laws, verdict."""

from collections.abc import Collection
from types import SimpleNamespace

import numpy as np

from .scaling import CONVOLUTION, TARGET_SUFFIX, train_one, trainings

LEARNED = 20.0  # percent; below it, a winner has not learned enough for a verdict


def rows(config: SimpleNamespace, names: Collection[str] | None = None) -> list[dict]:
    """Scores of every training at every size that it has reached.

    Where the section says ``here: true``, what is missing is trained first; else trainings are
    those that `study.main` did, finished or not.

    Parameters
    ----------
    names : collection of str, optional
        Of trainings; those of the networks on 99 groups by default.

    Returns
    -------
    list of dict
        model, seed, patterns, seconds (of training), rate, precision, what `scores` gives, and
        curve: rows of the training history, with the largest size.
    """
    section, table = config.studies.scaling, []
    names = vars(section.networks) if names is None else names
    for training in trainings(config):
        if training.name not in names:
            continue
        _, history = train_one(config, training, look=not section.here)
        for size in section.sizes:
            reached = [r for r in history.rows if r["step"] == size // config.studies.batch]
            for row in reached:
                kept = {k: v for k, v in row.items() if "top" in k or "nll" in k}
                table.append(
                    {
                        "model": training.name,
                        "seed": training.seed,
                        "patterns": size,
                        "seconds": row["seconds"],
                        "rate": row["lr"],
                        "precision": history.precision,
                        **kept,
                        "curve": history.rows if row is history.rows[-1] else [],
                    }
                )
    return table


def targets(config: SimpleNamespace) -> list[dict]:
    """Space groups against extinction groups as the target, at equal patterns of one network.

    Rows as from `rows`, of `CONVOLUTION` trained on 99 groups and on 230 space groups.
    """
    section = config.studies.scaling
    if not section.space_groups:
        return []
    every = rows(config, (CONVOLUTION, CONVOLUTION + TARGET_SUFFIX))
    return [row for row in every if row["patterns"] <= section.space_groups]


def power_law(table: list[dict], model: str, score: str = "nll") -> dict:
    """Fit of a score as a power of the number of patterns, score = a patterns^-b.

    Parameters
    ----------
    table : list of dict
        As from `rows`.
    score : str
        "nll", which falls, or a rate in percent, whose share of errors then falls.

    Returns
    -------
    dict
        a and b by least squares of the logarithms; b_range, the lowest and highest b when seeds are
        fitted one at a time.
    """
    own = [row for row in table if row["model"] == model]
    seeds = sorted({row["seed"] for row in own})

    def fitted(chosen):
        x = np.log([row["patterns"] for row in chosen])
        y = np.array([row[score] for row in chosen], dtype=float)
        slope, constant = np.polyfit(x, np.log(y if score == "nll" else 100 - y), 1)
        return float(np.exp(constant)), float(-slope)

    a, b = fitted(own)
    alone = [fitted([row for row in own if row["seed"] == k])[1] for k in seeds]
    return {"a": a, "b": b, "b_range": [min(alone), max(alone)]}


def verdict(table: list[dict]) -> dict:
    """Whether attention beats convolution at the largest size, seed against seed.

    Parameters
    ----------
    table : list of dict
        As from `rows`.

    Returns
    -------
    dict
        patterns, the largest size that every network has reached; top1 and nll by model, each a
        list over seeds; apart: for each transformer "yes" if each of its seeds is better in both
        than each of the ResNet's, "no" if each of the ResNet's is, else "not decided"; holds:
        "yes" if one of them is "yes", "no" if all are "no", else "not decided", and so where the
        best network has learned too little; text.
    """
    names = list(dict.fromkeys(row["model"] for row in table))
    sizes = [{row["patterns"] for row in table if row["model"] == name} for name in names]
    largest = max(set.intersection(*sizes))
    own = [row for row in table if row["patterns"] == largest]
    top1, cost = (
        {name: [row[key] for row in own if row["model"] == name] for name in names}
        for key in ("top1", "nll")
    )

    def better(one, other):
        return min(top1[one]) > max(top1[other]) and max(cost[one]) < min(cost[other])

    learned = max(map(np.mean, top1.values())) >= LEARNED
    apart = {}
    for name in names:
        if name != CONVOLUTION:
            wins, loses = learned and better(name, CONVOLUTION), better(CONVOLUTION, name)
            apart[name] = "yes" if wins else "no" if learned and loses else "not decided"
    holds = "not decided"
    if "yes" in apart.values():
        holds = "yes"
    elif set(apart.values()) == {"no"}:
        holds = "no"
    means = ", ".join(
        f"{name} {np.mean(top1[name]):.1f} % ({min(top1[name]):.1f} to {max(top1[name]):.1f}, "
        f"seeds: {len(top1[name])})"
        for name in names
    )
    text = f"Attention beats convolution at {largest:,} patterns: {holds}. Top-1: {means}."
    result = {"patterns": largest, "top1": top1, "nll": cost, "apart": apart}
    return result | {"holds": holds, "text": text}
