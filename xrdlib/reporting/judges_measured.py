"""Judges of the claims about measured patterns: temperature, errors, difficulty, the ceiling.

Each function is a rule, as in `judges`.
"""

import numpy as np

from ..base.results import MAIN
from ..studies.comparison import ALPHA
from ..studies.difficulty import QUALITY
from ..studies.graph_errors import NULLS, PUBLISHED
from ..studies.information import BOTH, LATTICE
from ..studies.temperature import FIRST, NONE, RATIO, TWICE
from .verdicts import HOLDS, IN_PART, NOT, OPEN, Judgement, of_signs

MEASURED = "rruff-test"

_MOSTLY = 0.5  # of the variance of hits


def temperature(calibration_study: dict) -> Judgement:
    """In the paper's situation, and with the prior as a ratio; see `_key` for both.

    The paper adds the training prior, which its uncalibrated network has absorbed, once more.
    """
    models = {name: own for name, own in calibration_study["models"].items() if name != FIRST}
    words = {
        "with the training prior counted a second time, as in the paper": TWICE,
        "with the prior as a ratio": RATIO,
    }
    verdicts, parts = [], []
    for situation, way in words.items():
        signs = [_key(own, way) for own in models.values()]
        verdicts.append(of_signs(signs))
        own = models[MAIN][way]
        rows, chosen, swept = own["rows"], own["chosen"]["T"], own["best_on_test"]["T"]
        low, high = own["won_ci95"] or (np.nan, np.nan)
        parts.append(
            f"{situation.capitalize()}: {verdicts[-1]} ({signs.count(1)} of {len(models)} "
            f"predictors). Of the {MAIN} T = {_number(chosen)} takes NLL from "
            f"{rows['T = 1']['nll']:.2f} to {rows['chosen']['nll']:.2f} (won {own['won']:+.3f} "
            f"[{low:+.3f}, {high:+.3f}] nats) and top-1 from {rows['T = 1']['top1']:.1f} to "
            f"{rows['chosen']['top1']:.1f} %; the limit, which ignores the pattern, has "
            f"{rows['limit']['nll']:.2f} and {rows['limit']['top1']:.1f} %; swept on the test "
            f"patterns T would be {_number(swept)}."
        )
    n = f"{calibration_study['subset']}, n = {calibration_study['n']}. "
    verdict = verdicts[0] if verdicts[0] == verdicts[1] else IN_PART
    return Judgement(verdict, n + " ".join(parts))


def local_errors(dag_study: dict) -> Judgement:
    """Errors against their nulls, for the published predictions and for ours."""
    return _on_graph(dag_study, "local", "mean_distance", "mean distance of an error", " hops")


def flow(dag_study: dict) -> Judgement:
    """Direction of errors against its nulls, and what calibration changes in it.

    The paper's contrast: errors of its uncalibrated model go up, those of a calibrated one down.
    """
    what = "share of errors that go to descendants", " %"
    nulls = _on_graph(dag_study, "flow to lower symmetry", "descendant", *what)
    verdict, text = nulls.verdict, nulls.evidence
    valid = dag_study.get("valid")
    for name, rows in dag_study.get("calibrated", {}).items():
        down = rows["downward"]
        low, high = down["change_ci95"]
        text += (
            f" From uncalibrated to {name} ({MAIN}), descendants less ancestors go from "
            f"{down['first']:+.1f} to {down['second']:+.1f} % of errors (change "
            f"[{low:+.1f}, {high:+.1f}])."
        )
        if verdict == NOT and low > 0 and down["second"] > 0 > down["first"]:
            verdict = IN_PART
    if valid is not None:
        text += f" Its rule bits name one legal group for {valid:.1f} % of patterns."
    return Judgement(verdict, text)


def difficulty(difficulty: dict) -> Judgement:
    """Hits and Rwp of the published predictions, quality and difficulty of ours, within groups."""
    rules = {"published": _of_published, "measured": _of_measured}
    judged = [rule(difficulty[name]) for name, rule in rules.items() if difficulty[name]]
    verdicts = {verdict for verdict, _ in judged}
    verdict = verdicts.pop() if len(verdicts) == 1 else IN_PART if verdicts else OPEN
    return Judgement(verdict, " ".join(text for _, text in judged) or "No data were at hand.")


def ceiling(information: dict, released: dict, dag_study: dict) -> Judgement:
    """What predictors reach beyond the supposed limit, and what exact readers would."""
    rows = {row["model"]: row for row in released["rows"] if row["subset"] == MEASURED}
    published = [row for row in dag_study["models"] if row["model"] == PUBLISHED]
    if not rows or not published or not information["ceiling"]:
        return Judgement(OPEN, "The measured patterns or the published predictions are not here.")
    best, limit = rows["released"], published[0]["accuracy"]
    readers = {row["reader"]: row for row in information["ceiling"]}
    low, high = readers["released"]["over_lattice_ci95"]
    text = (
        f"On {MEASURED} (n = {best['n']}) the released network alone has "
        f"{_top1(rows['released, network alone'])}, with retrieval {_top1(best)}; the published "
        f"predictions {limit:.1f} % on other patterns ({published[0]['subset']}, "
        f"n = {published[0]['n']}). Perfect reading of lattice and absences would give "
        f"{readers[BOTH]['top1']:.1f} %, of the Bravais lattice alone "
        f"{readers[LATTICE]['top1']:.1f} %; the released predictor is "
        f"{readers['released']['over_lattice']:+.0f} points [{low:+.0f}, {high:+.0f}] from the "
        "latter. (That lattice and absences decide is true by construction, as they define groups.)"
    )
    return Judgement(NOT if best["top1_ci95"][0] > limit else OPEN, text)


def _key(own, way):
    """Whether a temperature is the key to a predictor: 1, -1 if it surely harms or wins little.

    It must surely help, surely keep something over the limit where the pattern is ignored, and win
    more than the prior does that is put in beside it as a ratio.
    """
    won, left = own[way]["won_ci95"], own[way]["left_ci95"]
    if won is None:
        return 0
    prior = own[NONE]["rows"]["T = 1"]["nll"] - own[RATIO]["rows"]["T = 1"]["nll"]
    surely = won[0] > 0 and left[0] > 0
    return 1 if surely and (way == TWICE or own[way]["won"] > prior) else -1


def _number(T):
    return "infinity" if T is None else f"{T:.2g}"


def _on_graph(study, key, statistic, what, unit):
    """Verdict on all models together: of most of them if that is no, else in part."""
    models = [row for row in study["models"] if row["n_errors"]]
    if not models:
        return Judgement(OPEN, "No model made an error.")
    verdicts = [row["summary"][key] for row in models]
    verdict = verdicts[0] if len(set(verdicts)) == 1 else IN_PART
    if len(verdicts) < 2 * verdicts.count(NOT):
        verdict = NOT
    first, *ours = models
    against = "; ".join(
        f"{null['value'][statistic]:.2f} with {NULLS[name]} (p = {null['p'][statistic]:.2g})"
        for name, null in first["nulls"].items()
        if null["p"][statistic] is not None
    )
    text = (
        f"{first['model']} on {first['subset']}, n = {first['n']}: {verdicts[0]}; {what} "
        f"{first['observed']['value'][statistic]:.2f}{unit}, against {against}."
    )
    if ours:
        others = ", ".join(f"{row['model']}: {row['summary'][key]}" for row in ours)
        text += f" On our measured patterns (n = {ours[0]['n']}): {others}."
    return Judgement(verdict, text)


def _of_published(published):
    tests = {name: kinds["within classes"] for name, kinds in published["rwp"].items()}
    tests = {name: test for name, test in tests.items() if test["p"] is not None}
    shares = published["by_class"]
    clear = any(_p(test) < ALPHA for name, test in tests.items() if name in shares)
    by_class = min(shares.values()) > _MOSTLY
    parts = ", ".join(
        f"{name} {test['rho']:.2f} [{test['rho_ci95'][0]:.2f}, {test['rho_ci95'][1]:.2f}] (p = "
        f"{test['p']:.2g}; {test['n_informative']} patterns of {test['strata_informative']} groups "
        "can say)"
        for name, test in tests.items()
    )
    text = (
        f"Published predictions (n = {published['n']}), rank correlation with Rwp within groups: "
        f"{parts}. The true group alone accounts for {100 * shares['top1']:.0f} % of the variance "
        f"of top-1 hits and {100 * shares['top5']:.0f} % of that of top-5 hits."
    )
    if by_class:
        text += " Where the class decides, hits cannot show what makes a pattern hard."
    return NOT if clear else IN_PART if by_class else HOLDS, text


def _of_measured(measured):
    parts, verdict = [], HOLDS
    for title, own in measured["predictors"].items():
        tests = {name: kinds["within classes"] for name, kinds in own["association"].items()}
        clear = {k: t["rho"] for k, t in tests.items() if t["p"] is not None and _p(t) < ALPHA}
        if any(clear.get(name, 0) > 0 for name in QUALITY):
            verdict = NOT
        shares = {name: 100 * one["share"] for name, one in own["explained"].items()}
        goes = ", ".join(f"{name} ({rho:+.2f})" for name, rho in clear.items())
        parts.append(
            f"{title}: within groups difficulty goes with {goes or 'nothing measured'}; a fit to "
            f"other families explains of its variance by quality {shares['quality']:.0f} %, by all "
            f"together {shares['all']:.0f} %"
        )
    text = f"Measured patterns ({measured['subset']}, n = {measured['n']}). {'. '.join(parts)}."
    return verdict, text


def _p(test):
    return test.get("p_holm", test["p"])


def _top1(row):
    low, high = row["top1_ci95"]
    return f"{row['top1']:.1f} % top-1 [{low:.1f}, {high:.1f}]"
