"""From numbers to verdicts: rules that the judges of the paper's claims share."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..studies.comparison import direction

HOLDS, IN_PART, NOT, OPEN = "holds", "holds in part", "does not hold", "not decided"

LEAST_PAIRS = 2  # seeds of which both trainings left the plateau; with fewer nothing is decided
NORMAL = 1.96  # standard errors of a 95 % interval


@dataclass(frozen=True)
class Judgement:
    """Verdict on a claim, and the numbers it rests on in one or two sentences."""

    verdict: str
    evidence: str


def combined(verdicts: Iterable[str]) -> str:
    """One verdict of several on the same claim; those that are not decided have no say.

    Examples
    --------
    >>> combined([HOLDS, OPEN]), combined([HOLDS, NOT]), combined([NOT, NOT]), combined([OPEN])
    ('holds', 'holds in part', 'does not hold', 'not decided')
    """
    decided = {verdict for verdict in verdicts if verdict != OPEN}
    return decided.pop() if len(decided) == 1 else IN_PART if decided else OPEN


def of_signs(signs: Iterable[int]) -> str:
    """Verdict on a gain from its sign on each set: 1 surely there, -1 surely a loss, 0 neither.

    Examples
    --------
    >>> of_signs([1, 1]), of_signs([1, 0]), of_signs([0, -1]), of_signs([0, 0])
    ('holds', 'holds in part', 'does not hold', 'not decided')
    """
    signs = list(signs)
    if -1 in signs:
        return IN_PART if 1 in signs else NOT
    return HOLDS if signs and all(signs) else IN_PART if 1 in signs else OPEN


def compared(tables: dict[str, list[dict]], variant: str, other: str | None = None) -> dict:
    """`comparison.changes` of a variant from the base, or from another one, by set.

    Sets on which fewer than `LEAST_PAIRS` pairs of trainings have left the plateau are left out: a
    training that knows nothing but the class frequencies decides nothing.
    """
    rows = {}
    for subset, table in tables.items():
        row = next(row for row in table if row["variant"] == variant)
        pair = row if other is None else row["against"].get(other, {})
        if pair.get("pairs", 0) >= LEAST_PAIRS:
            rows[subset] = {**pair, "n": row["n"]}
    return rows


def gain(rows: dict[str, dict], sign: int = 1) -> str:
    """Verdict on a change in bits on all sets; sign -1 asks for a loss, as where a part is gone."""
    return of_signs(sign * direction(row) for row in rows.values())


def shown(rows: dict[str, dict], sign: int = 1) -> str:
    """Changes in bits by set, for the evidence."""
    parts = []
    for subset, row in rows.items():
        ends = sorted(sign * end for end in row["bits_change_ci95"] or ())
        span = f" [{ends[0]:+.2f}, {ends[1]:+.2f}]" if ends else ""
        p = row.get("bits_change_p_holm")
        p = "" if p is None else f", p = {p:.2g} after Holm"
        parts.append(f"{sign * row['bits_change']:+.2f} bits{span} on {subset} (n = {row['n']}{p})")
    pairs = {row["pairs"] for row in rows.values() if "pairs" in row}
    seeds = f" over {'/'.join(map(str, sorted(pairs)))} pairs of trainings" if pairs else ""
    return ", ".join(parts) + seeds if parts else "an unknown change: too few left the plateau"


def apart(
    rows: list[dict], one: str, other: str, n: int, keys: tuple[str, str] = ("top1", "top1")
) -> dict | None:
    """Difference in top-1 of two networks at the largest size that both have reached.

    Its error is that of n test patterns, and of the seeds: their spread is pooled over both at the
    largest size that two seeds or more of both have reached, which may be smaller.

    Parameters
    ----------
    rows : list of dict
        As from `scaling_table.rows`: model, seed, patterns, and top-1 in percent, whose name may
        differ between the two (`keys`).

    Returns
    -------
    dict or None
        patterns; seeds (of each); top1 (of each, percent); change and change_ci95 (points); sign,
        1 or -1 where the interval leaves out zero, else 0. None where no size is common, or no
        spread is known.
    """
    scores = [{}, {}]
    for row in rows:
        for k, (name, key) in enumerate(zip((one, other), keys, strict=True)):
            if row["model"] == name and key in row:
                scores[k].setdefault(row["patterns"], []).append(row[key])
    common = scores[0].keys() & scores[1].keys()
    several = [size for size in common if min(len(part[size]) for part in scores) > 1]
    if not several:
        return None
    size, largest = max(common), max(several)
    freedom = sum(len(part[largest]) - 1 for part in scores)
    spread = sum(np.var(part[largest]) * len(part[largest]) for part in scores) / freedom
    top1 = [float(np.mean(part[size])) for part in scores]
    sampling = sum(p * (100 - p) / n for p in top1)
    error = NORMAL * np.sqrt(spread * sum(1 / len(part[size]) for part in scores) + sampling)
    change = top1[0] - top1[1]
    return {
        "patterns": size,
        "seeds": [len(part[size]) for part in scores],
        "top1": top1,
        "change": change,
        "change_ci95": [float(change - error), float(change + error)],
        "sign": int(change > error) - int(change < -error),
    }
