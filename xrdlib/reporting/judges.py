"""The paper's claims, in our words, and the rules by which computed evidence judges them.

Each function is the rule of the claim above it: from the contents of the result files that its
arguments name to a `Judgement`. A difference counts only where its interval (over mineral
families) leaves out zero, or every seed agrees.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from ..base.results import MAIN
from ..studies.graph_errors import PUBLISHED

HOLDS, IN_PART, NOT, OPEN = "holds", "holds in part", "does not hold", "not decided"

MEASURED = "rruff-test"


@dataclass(frozen=True)
class Judgement:
    """Verdict on a claim, and the numbers it rests on in one or two sentences."""

    verdict: str
    evidence: str


@dataclass(frozen=True)
class Claim:
    """One claim in a few words and in a sentence, its figure, the notebook of its evidence."""

    name: str
    figure: str
    notebook: str
    text: str
    judge: Callable[..., Judgement]

    @property
    def needs(self) -> tuple[str, ...]:
        """Files in results/PROFILE that hold the evidence."""
        return tuple(inspect.signature(self.judge).parameters)


CLAIMS: list[Claim] = []


def _claim(*about):
    def register(judge):
        CLAIMS.append(Claim(*about, judge))
        return judge

    return register


@_claim(
    *("attention and convolution", "scaling", "14_scaling"),
    "Attention beats convolution on this task (tested on far fewer patterns than the paper's).",
)
def attention(scaling: dict) -> Judgement:
    """Attention against convolution, seed against seed at the largest size."""
    verdict = {"yes": HOLDS, "no": NOT}.get(scaling["verdict"]["holds"], OPEN)
    slopes = ", ".join(
        f"{name} {fit['b']:.3f} [{fit['b_range'][0]:.3f}, {fit['b_range'][1]:.3f}]"
        for name, fit in scaling["fits"].items()
    )
    text = (
        f"{scaling['verdict']['text']} n = {scaling['n']}; a constant: "
        f"{scaling['null']['top1']:.1f} %. Exponents of NLL against patterns: {slopes}. "
        "The paper trains on far more patterns, and there the order may change."
    )
    return Judgement(verdict, text)


@_claim(
    *("attention is not enough", "nulls", "12_released"),
    "A transformer trained on simulated patterns alone does not solve measured ones.",
)
def not_enough(released: dict) -> Judgement:
    """A network alone beside the prior and beside search-match, on measured patterns."""
    rows = {row["model"]: row for row in released["rows"] if row["subset"] == MEASURED}
    if not rows:
        return Judgement(OPEN, "No measured patterns were at hand.")
    network, search = rows["released, network alone"], rows["search-match"]
    verdict = HOLDS if network["top1_ci95"][1] < search["top1_ci95"][1] else OPEN
    if network["bits_over_prior"] >= search["bits_over_prior"]:
        verdict = NOT
    text = (
        f"{MEASURED}, n = {network['n']}: our longest-trained network alone has {_top1(network)} "
        f"and {_bits(network)}, search-match, which learns nothing, {_top1(search)} and "
        f"{_bits(search)}, network, retrieval and indexing together {_top1(rows['released'])} and "
        f"{_bits(rows['released'])}, the prior only {_top1(rows['prior only'])}."
    )
    return Judgement(verdict, text)


@_claim(
    *("99 groups, not 230", "space_group_control", "15_ablations"),
    "The target to train on is the 99 extinction groups, not the 230 space groups.",
)
def target(ablations: dict, symmetry: dict) -> Judgement:
    """Trained on 230 space groups and collapsed, against trained on 99 groups."""
    changes = _changes(ablations, "230 space groups", "no rule head")
    worse = [high < 0 for _, (_, high), _ in changes.values()]
    better = [low > 0 for _, (low, _), _ in changes.values()]
    verdict = HOLDS if all(worse) else IN_PART
    if any(better):
        verdict = NOT
    text = (
        f"By symmetry it is right: {symmetry['space_groups']} space groups fall into "
        f"{symmetry['diffraction_classes']} classes that absences can tell apart (the paper's "
        f"{symmetry['extinction_groups']} labels split two of them). Trained on 230 groups and "
        f"collapsed afterwards, against trained on 99: {_shown(changes)}."
    )
    return Judgement(verdict, text)


@_claim(
    *("coordinate channel", "positional", "15_ablations"),
    "A channel of sin^2(theta) beside the intensity helps.",
)
def coordinate_channel(ablations: dict) -> Judgement:
    """The model as it is against the one without the channel."""
    return _removed(ablations, "no coordinate channel", "The channel")


@_claim(
    *("physics position", "positional", "15_ablations"),
    "A positional encoding computed from sin^2(theta) helps.",
)
def physics_position(ablations: dict) -> Judgement:
    """The model as it is against the one without the physics position."""
    found = _removed(ablations, "no physics position", "The physics position")
    both = _changes(ablations, "neither")
    text = f"{found.evidence} With neither channel nor position, against both: {_shown(both)}."
    return Judgement(found.verdict, text)


@_claim(
    *("rule head", "decoders", "15_ablations"),
    "A head that learns crystal system, centring and symmetry elements helps the other.",
)
def rule_head(ablations: dict, calibration: dict) -> Judgement:
    """The model as it is against the one without the head, and the weight that it is given."""
    found = _removed(ablations, "no rule head", "The rule head")
    weight = calibration["models"][MAIN]["a"]
    text = (
        f"{found.evidence} Where the two heads are fused, the weight of the rule head that "
        f"{calibration['chosen_on']} asks for is {weight:.2f}."
    )
    return Judgement(found.verdict, text)


@_claim(
    *("curriculum", "curriculum_study", "15_ablations"),
    "Balanced pretraining first, then realistic patterns with preferred orientation.",
)
def curriculum(ablations: dict) -> Judgement:
    """Stage 2 after stage 1 against stage 2 alone, and texture against none."""
    pretrained = _changes(ablations, "after stage 1: mixed")
    bare = _changes(ablations, "after stage 1: no texture", "after stage 1: mixed")
    texture = _reversed(bare)
    parts = [_gain(pretrained), _gain(texture)]
    verdict = parts[0] if parts[0] == parts[1] else IN_PART
    if set(parts) == {NOT, OPEN}:
        verdict = NOT
    text = (
        f"Stage 1 first: {parts[0]}; it brings {_shown(pretrained)}, by more patterns in all. "
        f"Texture in stage 2: {parts[1]}; it brings {_shown(texture)}."
    )
    return Judgement(verdict, text)


@_claim(
    *("temperature", "calibration_study", "17_calibration"),
    "Temperature scaling is the key remaining ingredient.",
)
def temperature(calibration_study: dict) -> Judgement:
    """As the study of calibration says."""
    return Judgement(calibration_study["verdict"]["holds"], calibration_study["verdict"]["text"])


@_claim(
    *("local errors", "dag_study", "23_published_errors"),
    "Errors are local on the graph of symmetry lowering.",
)
def local_errors(dag_study: dict) -> Judgement:
    """Errors against their nulls, for the published predictions and for ours."""
    return _on_graph(dag_study, "local", "errors are local")


@_claim(
    *("errors flow to lower symmetry", "dag_study", "23_published_errors"),
    "Errors go to subgroups rather than elsewhere.",
)
def direction(dag_study: dict) -> Judgement:
    """Direction of errors against its nulls, for the published predictions and for ours."""
    return _on_graph(dag_study, "flow to lower symmetry", "errors flow to lower symmetry")


@_claim(
    *("paradox", "fit_quality", "21_paradox"),
    "How well a structure fits a pattern does not say how hard the pattern is to classify.",
)
def paradox(paradox: dict) -> Judgement:
    """As the study of difficulty says, of the published predictions and of ours."""
    verdicts = {paradox["verdict"][key] for key in ("published", "measured")} - {None}
    verdict = verdicts.pop() if len(verdicts) == 1 else IN_PART if verdicts else OPEN
    return Judgement(verdict, paradox["verdict"]["text"])


@_claim(
    *("ceiling", "information", "18_information"),
    "About ten percent top-1 on measured patterns is a limit set by information.",
)
def ceiling(information: dict, released: dict, dag_study: dict) -> Judgement:
    """What predictors reach beyond the supposed limit, and what exact readers would."""
    rows = {row["model"]: row for row in released["rows"] if row["subset"] == MEASURED}
    published = [row for row in dag_study["models"] if row["model"] == PUBLISHED]
    if not rows or not published:
        return Judgement(OPEN, "The measured patterns or the published predictions are not here.")
    best, limit = rows["released"], published[0]["accuracy"]
    alone = rows["released, network alone"]
    verdict = NOT if best["top1_ci95"][0] > limit else OPEN
    text = (
        f"On {MEASURED} (n = {best['n']}) the released network alone has {_top1(alone)}, with "
        f"retrieval {_top1(best)}; the published predictions {limit:.1f} % on other patterns "
        f"({published[0]['subset']}, n = {published[0]['n']}). {information['verdict']['ceiling']} "
        "(That lattice and absences decide is true by construction: they define the groups.)"
    )
    return Judgement(verdict, text)


def _removed(ablations, variant, words):
    """Whether a part helps: it is missed on all sets, on some, on none."""
    brings = _reversed(_changes(ablations, variant))
    return Judgement(_gain(brings), f"{words} brings {_shown(brings)}.")


def _changes(ablations, variant, other=None):
    """Change of bits, its interval and n by set: from the base, or from another variant."""
    found = {}
    for subset, rows in ablations["tables"].items():
        row = next(row for row in rows if row["variant"] == variant)
        pair = row if other is None else row["against"][other]
        found[subset] = (pair["bits_change"], pair["bits_change_ci95"], row["n"])
    return found


def _reversed(changes):
    return {name: (-value, (-high, -low), n) for name, (value, (low, high), n) in changes.items()}


def _gain(changes):
    """Verdict on a gain: surely there on all sets, on some, the opposite on some, or on none."""
    up = [low > 0 for _, (low, _), _ in changes.values()]
    down = [high < 0 for _, (_, high), _ in changes.values()]
    if any(down):
        return IN_PART if any(up) else NOT
    return HOLDS if all(up) else IN_PART if any(up) else OPEN


def _shown(changes):
    return ", ".join(
        f"{change:+.2f} bits [{ends[0]:+.2f}, {ends[1]:+.2f}] on {subset} (n = {n})"
        for subset, (change, ends, n) in changes.items()
    )


def _on_graph(study, key, name):
    """Verdict on all models together: of most of them if that is no, else in part."""
    models = {row["model"]: row for row in study["models"] if row["n_errors"]}
    if not models:
        return Judgement(OPEN, "No model made an error.")
    first = next(iter(models.values()))
    ours = [row for row in models.values() if row is not first]
    verdicts = [row["summary"][key] for row in models.values()]
    against = sum(word == NOT for word in verdicts)
    verdict = verdicts[0] if len(set(verdicts)) == 1 else IN_PART
    if 0 < len(verdicts) < 2 * against:
        verdict = NOT
    others = ", ".join(f"{row['model']}: {row['summary'][key]}" for row in ours)
    text = f"{first['model']} on {first['subset']}, n = {first['n']}: {first['verdict'][name]}"
    if others:
        text += f" On our measured patterns (n = {ours[0]['n']}): {others}."
    return Judgement(verdict, text)


def _top1(row):
    low, high = row["top1_ci95"]
    return f"{row['top1']:.1f} % top-1 [{low:.1f}, {high:.1f}]"


def _bits(row):
    low, high = row["bits_ci95"]
    return f"{row['bits_over_prior']:.2f} bits [{low:.2f}, {high:.2f}]"
