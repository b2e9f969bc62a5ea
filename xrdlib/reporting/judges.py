"""Judges of the claims about trainings: architecture, target, inputs, heads, curriculum.

Each function is a rule: from the contents of the result files that its arguments name to a
`Judgement`. A difference counts only where its interval (over mineral families and seeds) leaves
out zero and its p-value, corrected for the number of comparisons that were made together, is below
0.05. A training that has not left the plateau decides nothing.
"""

from ..base.results import MAIN
from ..studies.ablations import LONGER
from ..studies.comparison import AUXILIARY, BEST, direction
from ..studies.scaling import CONVOLUTION, TARGET_SUFFIX
from ..studies.scaling_table import LEARNED
from .verdicts import (
    IN_PART,
    NOT,
    OPEN,
    Judgement,
    apart,
    combined,
    compared,
    gain,
    of_signs,
    shown,
)


def attention(scaling: dict) -> Judgement:
    """Each transformer against the ResNet at the largest size that both have reached.

    Where the better of the two is right in less than `LEARNED` percent, nothing is decided.
    """
    names = dict.fromkeys(row["model"] for row in scaling["rows"])
    verdicts, parts = [], []
    for name in names:
        if name != CONVOLUTION:
            verdict, text = _learned(apart(scaling["rows"], name, CONVOLUTION, scaling["n"]))
            verdicts.append(verdict)
            parts.append(f"{name} against {CONVOLUTION}: {text}")
    text = f"Balanced patterns, n = {scaling['n']}. {'. '.join(parts)}."
    return Judgement(combined(verdicts), text)


def not_enough(gap: dict) -> Judgement:
    """Networks alone less search-match, pattern by pattern, in bits and in top-1."""
    rows, parts, signs = gap.get("search", []), [], []
    if not rows:
        return Judgement(OPEN, "Networks and search-match were not compared pattern by pattern.")
    for row in rows:
        bits, top1 = direction(row), direction(row, "top1")
        signs.append(-bits if bits == top1 else 0)
        low, high = row["top1_change_ci95"]
        parts.append(
            f"{row['network']} {row['top1']:.1f} % top-1 and {row['bits']:.2f} bits, by "
            f"{row['top1_change']:+.1f} points [{low:+.1f}, {high:+.1f}] and "
            f"{shown({row['subset']: row})}"
        )
    first = rows[0]
    text = (
        f"Search-match, which learns nothing, has {first['search_top1']:.1f} % top-1 and "
        f"{first['search_bits']:.2f} bits. Beside it, on the same patterns: {'; '.join(parts)}."
    )
    return Judgement(of_signs(signs), text)


def target(scaling: dict, symmetry: dict) -> Judgement:
    """Trained on 99 groups, against trained on 230 space groups and collapsed with equal odds."""
    rows, pair = scaling.get("targets", []), (CONVOLUTION, CONVOLUTION + TARGET_SUFFIX)
    verdict, trained = _learned(apart(rows, *pair, scaling["n"], ("top1", "uniform_top1")))
    text = (
        f"By symmetry it is right: {symmetry['space_groups']} space groups fall into "
        f"{symmetry['diffraction_classes']} classes that absences can tell apart (the paper's "
        f"{symmetry['extinction_groups']} labels split two of them). Trained on 99 groups, against "
        f"trained on 230 and collapsed afterwards: {trained}."
    )
    return Judgement(verdict, text)


def coordinate_channel(ablations: dict) -> Judgement:
    """The model as it is against the one without the channel."""
    return _removed(ablations, "no coordinate channel", "The channel")


def physics_position(ablations: dict) -> Judgement:
    """The model as it is against the one without the physics position."""
    alone = _removed(ablations, "no physics position", "The physics position")
    both = compared(ablations["tables"], "neither")
    text = f"{alone.evidence} With neither channel nor position, against both: {shown(both)}."
    return Judgement(alone.verdict, text)


def rule_head(ablations: dict, calibration: dict, calibration_study: dict) -> Judgement:
    """The model against the one without the head, and the fused decoder against the other alone."""
    trained = _removed(ablations, "no rule head", "Trained with the other, the rule head")
    rows = calibration_study.get("decoders", [])
    alone = {row["subset"]: row for row in rows if row["decoder"] == AUXILIARY}
    fused = {row["subset"]: row for row in rows if row["decoder"] == BEST}
    weight = calibration["models"][MAIN]["a"]
    text = (
        f"{trained.evidence} The weight of the rule head that {calibration['chosen_on']} asks for "
        f"where the two are fused is {weight:.2f}."
    )
    if fused:
        top1 = ", ".join(f"{alone[k]['top1']:.1f} to {fused[k]['top1']:.1f} %" for k in fused)
        text += f" Against the auxiliary head alone fusion brings {shown(fused)} (top-1: {top1})."
    return Judgement(combined([trained.verdict, gain(fused)]), text)


def curriculum(ablations: dict) -> Judgement:
    """Stage 2 after stage 1 against as many patterns of stage 2 alone, and texture against none."""
    pretrained = compared(ablations["tables"], "after stage 1: mixed", LONGER)
    bare = compared(ablations["tables"], "after stage 1: no texture", "after stage 1: mixed")
    parts = [gain(pretrained), gain(bare, -1)]
    verdict = parts[0] if parts[0] == parts[1] else IN_PART
    if set(parts) == {NOT, OPEN}:
        verdict = NOT
    text = (
        f"Stage 1 first: {parts[0]}; against as many patterns of stage 2 alone it brings "
        f"{shown(pretrained)}. "
        f"Texture in stage 2: {parts[1]}; it brings {shown(bare, -1)}."
    )
    return Judgement(verdict, text)


def _learned(pair):
    """Verdict and text on the first of two networks as from `apart`, if the better one learned."""
    if pair is None:
        return OPEN, "no size has two seeds of both"
    low, high = pair["change_ci95"]
    top1, seeds = (" and ".join(form) for form in (
        [f"{value:.1f} %" for value in pair["top1"]], map(str, pair["seeds"])))  # fmt: skip
    text = (
        f"{top1} top-1 after {pair['patterns']:,} patterns ({seeds} seeds), "
        f"{pair['change']:+.1f} points [{low:+.1f}, {high:+.1f}]"
    )
    if max(pair["top1"]) < LEARNED:
        return OPEN, f"{text}; below {LEARNED:g} % nothing is decided"
    verdict = of_signs([pair["sign"]])
    return verdict, f"{text}: {verdict}"


def _removed(ablations, variant, words):
    """Whether a part helps: it is missed on all sets, on some, on none."""
    rows = compared(ablations["tables"], variant)
    return Judgement(gain(rows, -1), f"{words} brings {shown(rows, -1)}.")
