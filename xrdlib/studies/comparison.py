"""Predictions compared pattern by pattern, and the decoders of the two heads.

Two sets of predictions of the same patterns are compared in pairs, so that the interval of a
difference is narrower than the difference of two intervals. Intervals resample both mineral
families and seeds: trainings that differ in the seed alone can differ a lot.
"""

from collections.abc import Iterable

import numpy as np
import torch
from numpy import ndarray
from scipy.stats import norm

from ..learning import calibrate, outcomes
from ..learning.experiment import PatternSet
from ..learning.metrics import check, credit, log_likelihood, resamples
from ..learning.statistics import holm
from ..symmetry.groups import CENTRING, OPERATORS, SYSTEM, templates

ALPHA = 0.05
SCORES = ("top1", "top5", "bits")
RULE, AUXILIARY = "rule head", "auxiliary head"
PAPER_WEIGHTS = (0.25, 0.5)  # of the rule head, in its table 4
BEST = "fused, best weight"

_BATCH = 128


def per_pattern(logp: ndarray, labels: ndarray, null: ndarray) -> dict[str, ndarray]:
    """What each pattern adds to `SCORES` (top1, top5 in percent; bits over the null), (n,) each."""
    logp, labels = check(logp, labels)
    gain = log_likelihood(logp, labels) - np.log(np.asarray(null))[labels]
    hits = {f"top{k}": 100 * credit(logp, labels, k) for k in (1, 5)}
    return hits | {"bits": gain / np.log(2)}


def drawn_means(
    values: ndarray, families: ndarray, n_boot: int = 1000, seed: int = 0
) -> ndarray | None:
    """Means of values (seeds, n) under resampled families and seeds, (n_boot,).

    None with fewer than two families.
    """
    if len(np.unique(families)) < 2:
        return None
    weights = np.concatenate(list(resamples(families, n_boot, seed)))
    means = weights @ values.T / weights.sum(axis=1, keepdims=True)
    chosen = np.random.default_rng(seed).integers(len(values), size=means.shape)
    return np.take_along_axis(means, chosen, axis=1).mean(axis=1)


def interval(values: ndarray, families: ndarray, n_boot: int = 1000, seed: int = 0) -> list | None:
    """95 % interval of the mean of values (seeds, n), both families and seeds resampled."""
    drawn = drawn_means(values, families, n_boot, seed)
    return None if drawn is None else np.percentile(drawn, [2.5, 97.5]).tolist()


def changes(
    values: dict[str, ndarray],
    others: dict[str, ndarray],
    families: ndarray,
    n_boot: int = 1000,
    seed: int = 0,
) -> dict:
    """Paired differences of scores, values less others, of (seeds, n) by name each.

    Gives by score NAME_change, NAME_change_ci95 and NAME_change_p (two-sided, normal with the
    spread of the resamples, which of few seeds show less than there is; None with fewer than two
    families), all None without a seed.
    """
    row = {}
    for score in values:
        change = np.atleast_2d(values[score]) - np.atleast_2d(others[score])
        mean, ends, p = None, None, None
        if change.size:
            mean, drawn = float(change.mean()), drawn_means(change, families, n_boot, seed)
            if drawn is not None:
                ends = np.percentile(drawn, [2.5, 97.5]).tolist()
                variance = drawn.var()
                if len(change) > 1:  # n - 1 of n: what resampling n seeds shows of their variance
                    variance += change.mean(axis=1).var(ddof=1) / len(change) ** 2
                p = float(2 * norm.sf(abs(mean) / max(np.sqrt(variance), 1e-12)))
        row |= {f"{score}_change": mean, f"{score}_change_ci95": ends, f"{score}_change_p": p}
    return row


def corrected(rows: Iterable[dict], score: str = "bits") -> None:
    """Write SCORE_change_p_holm into rows as from `changes`: p-values that hold for all of them."""
    key = f"{score}_change_p"
    tests = [{"p": row.get(key), "row": row} for row in rows]
    holm([test for test in tests if test["p"] is not None])
    for test in tests:
        test["row"][f"{key}_holm"] = test.get("p_holm")


def direction(row: dict, score: str = "bits") -> int:
    """Whether a row of `changes` is surely a gain (1) or a loss (-1), or neither (0).

    Its interval must leave out zero, and its p-value be below 0.05, after `corrected` if it was.
    """
    ends, p = row.get(f"{score}_change_ci95"), row.get(f"{score}_change_p")
    p = row.get(f"{score}_change_p_holm", p)
    if ends is None or p is None or p >= ALPHA:
        return 0
    return int(ends[0] > 0) - int(ends[1] < 0)


def decoders(
    heads: dict[str, tuple],
    sets: dict[str, PatternSet],
    prior: dict,
    subsets: Iterable[str],
    n_boot: int = 1000,
    seed: int = 0,
) -> list[dict]:
    """Rule head, auxiliary head and their fusion, each calibrated for itself: the paper's table 4.

    Parameters
    ----------
    heads : dict of (rule, aux)
        Evidence (n, 99) of both heads by set, that of `prior["chosen_on"]` among them; temperature,
        prior weight and the best fusion are fitted there, for each decoder.
    prior : dict
        results/PROFILE/prior.json.

    Returns
    -------
    list of dict
        Rows have subset, n, n_families, decoder, weight (of the rule head), top1, top3, top5
        (percent), bits, plain_top1, plain_top3, plain_top5 (without temperature or prior), and
        `changes` from the auxiliary head, corrected for their number; none without a rule head.
    """
    chosen_on, rows = prior["chosen_on"], []
    if heads[chosen_on][0] is None:
        return rows
    labels, ratio = sets[chosen_on].label, outcomes.prior_ratio(prior["minerals"])
    best = calibrate.fit(*heads[chosen_on], labels, ratio).a
    weights = {AUXILIARY: 0.0, RULE: 1.0} | {f"fused, {a:g}": a for a in PAPER_WEIGHTS}
    for subset in subsets:
        (target, null), own = outcomes.priors_of(subset, prior), sets[subset]
        values = {}
        for decoder, weight in (weights | {BEST: best}).items():
            fused = calibrate.fuse(*heads[subset], weight)
            calibration = calibrate.fuse(*heads[chosen_on], weight)
            fit = calibrate.fit(None, calibration, labels, ratio)
            logp = fit.apply(None, fused, outcomes.prior_ratio(target))
            values[decoder] = per_pattern(logp, own.label, null)
            plain = {f"plain_top{k}": 100 * credit(fused, own.label, k).mean() for k in (1, 3, 5)}
            rows.append(
                {
                    **{"subset": subset, "n": len(own), "n_families": len(np.unique(own.family))},
                    **{"decoder": decoder, "weight": weight},
                    **{score: float(value.mean()) for score, value in values[decoder].items()},
                    "top3": 100 * float(credit(logp, own.label, 3).mean()),
                    **{key: float(value) for key, value in plain.items()},
                }
            )
            if decoder != AUXILIARY:
                pair = values[decoder], values[AUXILIARY]
                rows[-1] |= changes(*pair, own.family, n_boot, seed)
    corrected(rows)
    return rows


@torch.inference_mode()
def validity(model: torch.nn.Module, patterns: PatternSet) -> float | None:
    """Percent of patterns whose rule bits name exactly one legal group; None without a rule head.

    The bits are the most probable crystal system and centring, and all symmetry elements of
    probability above a half. All 99 templates differ, so bits name one group or none.
    """
    legal = {row.tobytes() for row in templates().astype(bool)}
    valid = 0
    for x in torch.from_numpy(patterns.x).split(_BATCH):
        output = model.eval()(x.float())
        if "rule" not in output:
            return None
        valid += sum(row.tobytes() in legal for row in rule_bits(output["rule"]))
    return 100 * valid / len(patterns)


def rule_bits(rule: torch.Tensor) -> ndarray:
    """Bits that logits of a rule head (B, 37) stand for, (B, 37) bool; see `validity`."""
    rule = rule.float().numpy()
    bits = np.zeros(rule.shape, dtype=bool)
    for part in (SYSTEM, CENTRING):
        start = range(rule.shape[1])[part].start
        bits[np.arange(len(rule)), start + rule[:, part].argmax(axis=1)] = True
    bits[:, OPERATORS] = rule[:, OPERATORS] > 0
    return bits
