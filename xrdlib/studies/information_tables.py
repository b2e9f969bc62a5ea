"""Tables and verdict of the study of information."""

from itertools import permutations

import numpy as np

from ..learning.metrics import credit, log_likelihood, resamples
from ..learning.priors import log_ratio
from ..prediction import fusion
from ..symmetry.groups import N_GROUPS
from . import information
from .information import BOTH, ELEMENTS, LATTICE, LIMITS, Votes, evidence, posterior, score
from .knockouts import KINDS, RELEASED, UNTOUCHED, title, without_screws

NULLS = ("prior only", "shuffled")


def ideal(sources, strength=30, n_boot=1000, seed=0):
    """Every reader under every frequency.

    Parameters
    ----------
    sources : dict of str to Votes
        Where frequencies come from; uniform classes are added.
    strength : float
        Votes by which a left-out prior is drawn to uniform classes.
    n_boot, seed
        As for `information.score`.

    Returns
    -------
    list of dict
        "frequencies", "reader", `information.exact` with the frequencies as they are, and as
        "left_out" the `information.score` with those of all other families (null for uniform
        classes).
    """
    known = {"prior only": np.zeros(N_GROUPS, dtype=np.int64), **information.readings()}
    rows = []
    for source, votes in sources.items():
        prior = information.left_out_prior(votes, strength)
        for name, reading in known.items():
            logp = posterior(reading, votes.label, prior)
            told = score(logp, prior, votes, n_boot, seed)
            found = information.exact(reading, votes.frequency)
            rows.append({"frequencies": source, "reader": name, **found, "left_out": told})
    uniform = np.full(N_GROUPS, 1 / N_GROUPS)
    rows += [
        {
            "frequencies": "uniform",
            "reader": name,
            **information.exact(reading, uniform),
            "left_out": None,
        }
        for name, reading in known.items()
    ]
    return rows


def rows(found, prior, n_boot=1000, n_shuffles=20, seed=0):
    """Scores of every reader on every intervention, and of the nulls on untouched patterns.

    Parameters
    ----------
    found : dict
        As from `knockouts.predictions`.
    prior : array_like, (99,)
        Over which bits are counted.
    n_boot, n_shuffles, seed : int

    Returns
    -------
    list of dict
        "patterns", "reader" and a `information.score` each, of weights fitted anew; "_kept" are
        scores of weights as for untouched patterns.
    """
    table = []
    for name, said in found.items():
        for reader, logp in said.refitted.items():
            row = {"patterns": name, "reader": reader}
            row |= score(logp, prior, said.votes, n_boot, seed)
            kept = score(said.kept[reader], prior, said.votes, n_boot, seed)
            keys = ("top1", "top1_ci95", "bits", "bits_ci95")
            table.append(row | {f"{key}_kept": kept[key] for key in keys})
    votes = found[UNTOUCHED].votes
    constant = np.tile(np.log(prior), (len(votes.label), 1))
    null = score(constant, prior, votes, n_boot, seed)
    table.append({"patterns": UNTOUCHED, "reader": NULLS[0], **null})
    # As many copies of every mineral as there are shuffles; families stay together.
    rng = np.random.default_rng(seed)
    dealt = np.concatenate([rng.permutation(len(votes.label)) for _ in range(n_shuffles)])
    copies = [np.tile(x, n_shuffles) for x in (votes.label, votes.family, votes.vote)]
    null = score(found[UNTOUCHED].refitted[RELEASED][dealt], prior, Votes(*copies), n_boot, seed)
    null["n"] = len(votes.label)
    return [*table, {"patterns": UNTOUCHED, "reader": NULLS[1], **null}]


def shares(found, prior, keep=None, n_boot=1000, seed=0):
    """Bits that each reader owes to each kind of information.

    A kind's share is its gain in bits, averaged over the orders in which the three kinds can be
    added to a pattern that has none (Shapley's value, Contributions to the Theory of Games II,
    307, 1953). The shares and the rest, bits from patterns without any, add up to the untouched
    pattern's.

    Parameters
    ----------
    found, prior
        As for `rows`.
    keep : ndarray of bool, optional
        Minerals to look at.

    Returns
    -------
    list of dict
        "reader", "kind", "bits", "bits_ci95", "n", "n_families".
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

        columns = np.zeros((len(label), len(KINDS) + 1))
        orders = list(permutations(KINDS))
        for order in orders:
            for place, kind in enumerate(order):
                gain = bits(order[: place + 1]) - bits(order[:place])
                columns[:, KINDS.index(kind)] += gain / len(orders)
        columns[:, -1] = bits(())
        ends = _interval(columns, family, n_boot, seed)
        for kind, value, interval in zip((*KINDS, "rest"), columns.mean(0), ends, strict=True):
            counts = {"n": len(label), "n_families": len(set(family))}
            told = {"bits": float(value), "bits_ci95": interval}
            table.append({"reader": reader, "kind": kind, **told, **counts})
    return table


def moved(found, n_boot=1000, seed=0):
    """Whether answers follow absences that were filled in.

    Of minerals whose group has screws or glides that show: how often the first answer is the group
    itself, and the group of the same lattice that has none, which the altered pattern shows.
    Weights are those of the untouched patterns.

    Returns
    -------
    list of dict
        "patterns", "reader", "own", "bare" (percent, each with "_ci95"), "n", "n_families".
    """
    votes = found[UNTOUCHED].votes
    bare = without_screws(votes.label + 1) - 1
    keep = bare != votes.label
    family, table = votes.family[keep], []
    for name in (UNTOUCHED, title(["absences"])):
        for reader, logp in found[name].kept.items():
            columns = np.column_stack(
                [100 * credit(logp[keep], label[keep], 1) for label in (votes.label, bare)]
            )
            ends = _interval(columns, family, n_boot, seed)
            row = {"patterns": name, "reader": reader, "n": len(family)}
            row["n_families"] = len(set(family))
            for key, value, interval in zip(("own", "bare"), columns.mean(0), ends, strict=True):
                row |= {key: float(value), f"{key}_ci95": interval}
            table.append(row)
    return table


def visible(bank, prior, limits=LIMITS, n_boot=1000, seed=0):
    """A perfect reader of cells and of the lines above a limit, see `visible_lines`.

    Parameters
    ----------
    bank : records.Reflections
    prior : array_like, (99,)
    limits : sequence of float
        Of the strongest line.
    n_boot, seed
        As for `information.score`.

    Returns
    -------
    list of dict
        "limit" (0 for the absences themselves, null for the lattice without absences) and a
        `information.score`, weights fitted on other families (`fusion.cross_fitted`).
    """
    votes = Votes(bank.group.astype(np.int64) - 1, bank.name, np.ones(len(bank)))
    ratio = log_ratio(prior, np.full(N_GROUPS, 1 / N_GROUPS))
    said = {None: posterior(information.readings()[LATTICE], votes.label, prior)}
    said[0.0] = posterior(information.readings()[BOTH], votes.label, prior)
    for limit in limits:
        found = evidence(bank, limit)[0]
        flat = np.zeros_like(found)
        said[limit] = fusion.cross_fitted(found, flat, votes.label, ratio, votes.family)
    return [
        {"limit": limit, **score(logp, prior, votes, n_boot, seed)} for limit, logp in said.items()
    ]


def ceiling(votes, prior, logp_by_title, n_boot=1000, seed=0):
    """Ideal readers beside predictors on measured patterns.

    Parameters
    ----------
    votes : information.Votes
        Of the patterns.
    prior : array_like, (99,)
        Frequencies that all readers are told.
    logp_by_title : dict of str to ndarray, (n, 99)
        Of predictors.

    Returns
    -------
    list of dict
        "reader", a `information.score`, and "over_lattice": how much more often the first answer
        is right than that of a perfect reader of the Bravais lattice, in points, "_ci95".
    """
    known = {"prior only": np.zeros(N_GROUPS, dtype=np.int64), **information.readings()}
    logp = {name: posterior(reading, votes.label, prior) for name, reading in known.items()}
    least = credit(logp[LATTICE], votes.label, 1)
    table = []
    for name, values in {**logp, **logp_by_title}.items():
        more = 100 * (credit(values, votes.label, 1) - least)[:, None]
        row = {"reader": name, **score(values, prior, votes, n_boot, seed)}
        row["over_lattice"] = float(more.mean())
        row["over_lattice_ci95"] = _interval(more, votes.family, n_boot, seed)[0]
        table.append(row)
    return table


def _interval(columns, family, n_boot, seed):
    """95 % intervals over families of the means of columns (n, k), a list of [low, high]."""
    drawn = [
        weights @ columns / weights.sum(axis=1, keepdims=True)
        for weights in resamples(family, n_boot, seed)
    ]
    return np.percentile(np.concatenate(drawn), [2.5, 97.5], axis=0).T.tolist()


def verdict(readers, rows, shared, moves, visible, top):
    """What the numbers say, in sentences.

    Parameters
    ----------
    readers, rows, shared, moves, visible : list of dict
        As from `information_tables.ideal`, `rows`, `shares`, `moved` and `visible`.
    top : list of dict
        As from `information_tables.ceiling`; empty without measured patterns.

    Returns
    -------
    dict of str to str
        "readers", "network", "absences", "visible" and, with measured patterns, "ceiling".
    """
    first = {r["reader"]: r for r in readers if r["frequencies"] == readers[0]["frequencies"]}
    told = {
        "readers": f"At the frequencies of {readers[0]['frequencies']}, exact knowledge of the "
        f"Bravais lattice gives {first[LATTICE]['top1']:.0f} % top-1 and "
        f"{first[LATTICE]['bits']:.1f} of {first[LATTICE]['entropy']:.1f} bits, the symbols of "
        f"screws and glides alone {first[ELEMENTS]['top1']:.0f} % and "
        f"{first[ELEMENTS]['bits']:.1f} bits, both together {first[BOTH]['top1']:.1f} %."
    }
    own = {row["kind"]: row for row in shared if row["reader"] == RELEASED}
    order = sorted(KINDS, key=lambda kind: -own[kind]["bits"])
    some = [kind for kind in order if own[kind]["bits_ci95"][0] > 0]
    bits = {row["patterns"]: row["bits"] for row in rows if row["reader"] == RELEASED}
    whole, left = bits[UNTOUCHED], {kind: bits[title([kind])] for kind in KINDS}
    parts = ", ".join(f"{kind} {own[kind]['bits']:.2f}" for kind in order)
    told["network"] = (
        f"Of the bits that the released network reads from held-out minerals, most come from the "
        f"{order[0]} (bits: {parts}, rest {own['rest']['bits']:.2f}); above zero beyond doubt: "
        f"{', '.join(some) or 'none'}. With one kind destroyed, of {whole:.2f} bits there remain: "
        + ", ".join(f"without {kind} {left[kind]:.2f}" for kind in KINDS)
        + "."
    )
    before, after = (row for row in moves if row["reader"] == RELEASED)
    if after["bare_ci95"][0] > before["bare_ci95"][1]:
        follows = "follow the absences"
    elif after["own_ci95"][1] < before["own_ci95"][0]:
        follows = "depend on the absences, but seldom go where those point"
    else:
        follows = "hardly depend on the absences"
    told["absences"] = (
        f"Where absences of screws and glides are filled in, the released network names the group "
        f"without them in {after['bare']:.0f} % (untouched: {before['bare']:.0f} %) and the true "
        f"one in {after['own']:.0f} % (untouched: {before['own']:.0f} %) of {after['n']} "
        f"minerals: its answers {follows}."
    )
    strict = next(row for row in visible if row["limit"] == 0)
    seen = ", ".join(
        f"{row['top1']:.0f} % with lines down to {100 * row['limit']:g} % of the strongest"
        for row in visible
        if row["limit"]
    )
    told["visible"] = (
        f"Told the true cell and lattice of {strict['n']} simulated minerals, a reader of all "
        f"absences would be right in {strict['top1']:.0f} %; one of those that show: {seen}."
    )
    if top:
        row = {r["reader"]: r for r in top}
        best = max((r for r in top if r["reader"].startswith("released")), key=lambda r: r["top1"])
        gap = row[BOTH]["top1"] - best["top1"]
        told["ceiling"] = (
            f"On {best['n']} measured patterns, perfect reading of lattice and absences would give "
            f"{row[BOTH]['top1']:.1f} % top-1, the Bravais lattice alone "
            f"{row[LATTICE]['top1']:.1f} %; the best predictor reaches {best['top1']:.1f} %, "
            f"{gap:.0f} points below. Over a perfect reader of the lattice alone it has "
            f"{best['over_lattice']:.0f} points (95 % interval "
            f"{best['over_lattice_ci95'][0]:.0f} to {best['over_lattice_ci95'][1]:.0f})."
        )
    return told
