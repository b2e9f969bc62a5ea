"""Tables of the study of information: ideal readers, interventions, and the ceiling.

`bootstrap` are `n_boot` and `seed` of `metrics.means`.
"""

from itertools import permutations

import numpy as np
from numpy import ndarray

from ..base.records import Reflections
from ..learning.metrics import credit, log_likelihood, means
from ..learning.priors import log_ratio
from ..prediction import fusion
from ..symmetry.groups import N_GROUPS
from .information import (
    BOTH,
    LATTICE,
    Votes,
    exact,
    left_out_prior,
    posterior,
    readings,
    score,
    votes_of,
)
from .knockout_study import KINDS, RELEASED, UNTOUCHED, Answers, title, without_screws
from .visible_lines import LIMITS, evidence

NULLS = ("prior only", "shuffled")

_STRENGTH = 30  # votes by which a left-out prior is drawn to uniform classes


def ideal(sources: dict[str, Votes], **bootstrap: int) -> list[dict]:
    """Every reader under the frequencies of every source, and under uniform classes.

    Rows have "frequencies", "reader", `information.exact` with the frequencies as they are, and as
    "left_out" the `information.score` with those of all other families (null for uniform classes).
    """
    rows = []
    for source, votes in {**sources, "uniform": None}.items():
        frequency = np.full(N_GROUPS, 1 / N_GROUPS) if votes is None else votes.frequency
        prior = None if votes is None else left_out_prior(votes, _STRENGTH)
        for name, reading in _readers().items():
            row = {"frequencies": source, "reader": name, **exact(reading, frequency)}
            if votes is not None:
                logp = posterior(reading, votes.label, prior)
                row["left_out"] = score(logp, prior, votes, **bootstrap)
            rows.append({"left_out": None} | row)
    return rows


def rows(
    found: dict[str, Answers], prior: ndarray, n_shuffles: int = 20, **bootstrap: int
) -> list[dict]:
    """Scores of every reader on every intervention, and of the nulls on untouched patterns.

    Answers as from `knockout_study.predictions`; bits are counted over a prior (99,).

    Rows have "patterns", "reader" and a `information.score` each, of weights fitted anew; "_kept"
    are scores of weights as for untouched patterns.
    """
    table = []
    for name, said in found.items():
        for reader, logp in said.refitted.items():
            row = {"patterns": name, "reader": reader}
            row |= score(logp, prior, said.votes, **bootstrap)
            kept = score(said.kept[reader], prior, said.votes, **bootstrap)
            keys = ("top1", "top1_ci95", "bits", "bits_ci95")
            table.append(row | {f"{key}_kept": kept[key] for key in keys})
    votes = found[UNTOUCHED].votes
    n = len(votes.label)
    constant = score(np.tile(np.log(prior), (n, 1)), prior, votes, **bootstrap)
    # As many copies of every mineral as there are shuffles; families stay together.
    rng = np.random.default_rng(bootstrap.get("seed", 0))
    dealt = np.concatenate([rng.permutation(n) for _ in range(n_shuffles)])
    copies = Votes(*(np.tile(x, n_shuffles) for x in (votes.label, votes.family, votes.vote)))
    shuffled = score(found[UNTOUCHED].refitted[RELEASED][dealt], prior, copies, **bootstrap)
    nulls = (constant, shuffled | {"n": n})
    about = [{"patterns": UNTOUCHED, "reader": name} for name in NULLS]
    return table + [a | null for a, null in zip(about, nulls, strict=True)]


def shares(
    found: dict[str, Answers], prior: ndarray, keep: ndarray | None = None, **bootstrap: int
) -> list[dict]:
    """Bits that each reader owes to each kind of information, of the minerals to `keep` (bool).

    A kind's share is its gain in bits, averaged over the orders in which the three kinds can be
    added to a pattern that has none (Shapley's value, Contributions to the Theory of Games II,
    307, 1953). The shares and the rest, bits from patterns without any, add up to the untouched
    pattern's.

    Rows have "reader", "kind", "bits", "bits_ci95", "n", "n_families".
    """
    votes = found[UNTOUCHED].votes
    keep = np.ones(len(votes.label), dtype=bool) if keep is None else keep
    label, family = votes.label[keep], votes.family[keep]
    table = []
    for reader in found[UNTOUCHED].refitted:

        def bits(kept, reader=reader):
            name = title([kind for kind in KINDS if kind not in kept])
            logp = found[name].refitted[reader][keep]
            return (log_likelihood(logp, label) - np.log(prior)[label]) / np.log(2)

        owed = dict.fromkeys(KINDS, 0)
        orders = list(permutations(KINDS))
        for order in orders:
            for place, kind in enumerate(order):
                gain = bits(order[: place + 1]) - bits(order[:place])
                owed[kind] = owed[kind] + gain / len(orders)
        told = means(owed | {"rest": bits(())}, family, **bootstrap)
        for kind in (*KINDS, "rest"):
            own = {"bits": told[kind], "bits_ci95": told[f"{kind}_ci95"], **_counts(family)}
            table.append({"reader": reader, "kind": kind, **own})
    return table


def moved(found: dict[str, Answers], **bootstrap: int) -> list[dict]:
    """Whether answers follow absences that were filled in.

    Of minerals whose group has screws or glides that show: how often the first answer is the group
    itself, and the group of the same lattice that has none, which the altered pattern shows.
    Weights are those of the untouched patterns.

    Rows have "patterns", "reader", "own", "bare" (percent, each with "_ci95"), "n", "n_families".
    """
    votes = found[UNTOUCHED].votes
    bare = without_screws(votes.label + 1) - 1
    keep = bare != votes.label
    family, asked, table = votes.family[keep], {"own": votes.label, "bare": bare}, []
    for name in (UNTOUCHED, title(["absences"])):
        for reader, logp in found[name].kept.items():
            hits = {key: 100 * credit(logp[keep], x[keep], 1) for key, x in asked.items()}
            told = means(hits, family, **bootstrap)
            table.append({"patterns": name, "reader": reader, **_counts(family), **told})
    return table


def visible(
    bank: Reflections, prior: ndarray, limits: tuple[float, ...] = LIMITS, **bootstrap: int
) -> list[dict]:
    """A perfect reader of cells and of the lines above a limit, see `visible_lines`.

    Rows have "limit" (of the strongest line; 0 for the absences themselves, null for the lattice
    without absences) and a `information.score`, weights fitted on other families
    (`fusion.cross_fitted`).
    """
    votes = votes_of(bank)
    ratio = log_ratio(prior, np.full(N_GROUPS, 1 / N_GROUPS))
    known = {None: LATTICE, 0.0: BOTH}
    said = {k: posterior(readings()[name], votes.label, prior) for k, name in known.items()}
    for limit in limits:
        found = evidence(bank, limit)[0]
        flat = np.zeros_like(found)
        said[limit] = fusion.cross_fitted(found, flat, votes.label, ratio, votes.family)
    return [
        {"limit": limit, **score(logp, prior, votes, **bootstrap)} for limit, logp in said.items()
    ]


def ceiling(
    votes: Votes, prior: ndarray, logp_by_title: dict[str, ndarray], **bootstrap: int
) -> list[dict]:
    """Ideal readers, told frequencies (99,), beside predictors on measured patterns.

    Rows have "reader", a `information.score`, and "over_lattice": how much more often the first
    answer is right than that of a perfect reader of the Bravais lattice, in points, "_ci95".
    """
    logp = {name: posterior(reading, votes.label, prior) for name, reading in _readers().items()}
    least = credit(logp[LATTICE], votes.label, 1)
    table = []
    for name, values in {**logp, **logp_by_title}.items():
        more = {"over_lattice": 100 * (credit(values, votes.label, 1) - least)}
        own = score(values, prior, votes, **bootstrap)
        table.append({"reader": name, **own, **means(more, votes.family, **bootstrap)})
    return table


def verdict(top: list[dict]) -> dict[str, str]:
    """A sentence on the "ceiling" from a table as from `ceiling`; none without its rows."""
    if not top:
        return {}
    row = {r["reader"]: r for r in top}
    best = max((r for r in top if r["reader"].startswith("released")), key=lambda r: r["top1"])
    low, high = best["over_lattice_ci95"]
    return {
        "ceiling": (
            f"On {best['n']} measured patterns, perfect reading of lattice and absences would give "
            f"{row[BOTH]['top1']:.1f} % top-1, the Bravais lattice alone "
            f"{row[LATTICE]['top1']:.1f} %; the best predictor reaches {best['top1']:.1f} %, "
            f"{row[BOTH]['top1'] - best['top1']:.0f} points below. Over a perfect reader of the "
            f"lattice alone it has {best['over_lattice']:.0f} points (95 % interval {low:.0f} to "
            f"{high:.0f})."
        )
    }


def _readers():
    """What readers perceive of each group, the first one nothing."""
    return {NULLS[0]: np.zeros(N_GROUPS, dtype=np.int64), **readings()}


def _counts(family):
    return {"n": len(family), "n_families": len(set(family))}
