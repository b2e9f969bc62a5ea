"""The paper's claims, and the verdict of this repository's runs on each.

A claim is judged only by numbers in the files of results/, by the rules in `judges`; a claim whose
runs are missing is marked "not run".
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from ..base import results
from . import judges, judges_measured
from .report import markdown
from .verdicts import Judgement


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


CLAIMS = [
    Claim(
        *("attention and convolution", "scaling", "20_scaling"),
        "Attention beats convolution on this task (tested on far fewer patterns than the paper's).",
        judges.attention,
    ),
    Claim(
        *("attention is not enough", "nulls", "22_gap"),
        "A transformer trained on simulated patterns alone does not solve measured ones.",
        judges.not_enough,
    ),
    Claim(
        *("99 groups, not 230", "space_group_control", "20_scaling"),
        "The target to train on is the 99 extinction groups, not the 230 space groups.",
        judges.target,
    ),
    Claim(
        *("coordinate channel", "positional", "21_ablations"),
        "A channel of sin^2(theta) beside the intensity helps.",
        judges.coordinate_channel,
    ),
    Claim(
        *("physics position", "positional", "21_ablations"),
        "A positional encoding computed from sin^2(theta) helps.",
        judges.physics_position,
    ),
    Claim(
        *("rule head", "decoders", "21_ablations"),
        "A head that learns crystal system, centring and symmetry elements helps the other.",
        judges.rule_head,
    ),
    Claim(
        *("curriculum", "curriculum_study", "21_ablations"),
        "Balanced pretraining first, then realistic patterns with preferred orientation.",
        judges.curriculum,
    ),
    Claim(
        *("temperature", "calibration_study", "23_temperature"),
        "Temperature scaling is the key remaining ingredient.",
        judges_measured.temperature,
    ),
    Claim(
        *("local errors", "dag_study", "28_graph_errors"),
        "Errors are local on the graph of symmetry lowering.",
        judges_measured.local_errors,
    ),
    Claim(
        *("errors flow to lower symmetry", "dag_study", "28_graph_errors"),
        "Errors go to subgroups rather than elsewhere.",
        judges_measured.flow,
    ),
    Claim(
        *("fit quality and difficulty", "fit_quality", "27_difficulty"),
        "How well a structure fits a pattern does not say how hard the pattern is to classify.",
        judges_measured.difficulty,
    ),
    Claim(
        *("ceiling", "information", "24_information"),
        "About ten percent top-1 on measured patterns is a limit set by information.",
        judges_measured.ceiling,
    ),
]

MARKS = ("<!-- claims: xrdlib claims --into FILE -->", "<!-- end of claims -->")

_COMPANION = """# Companion: the paper's claims, one by one

Written by `xrdlib claims --companion docs/companion.md` from the files in results/. The same with
more explanation, and with the pictures drawn anew, is in the notebook
[30_claims](../notebooks/30_claims.ipynb).

- **top-1** is the share of patterns whose most probable group is the true one.
- **Bits over the prior** are the information from the pattern beyond the frequencies of the groups.
  A constant that never looks at a pattern has zero.
- Brackets are 95 % intervals from resampling mineral families, since patterns of one mineral are
  not independent.
- `rruff-test` holds measured patterns on which nothing was chosen, `amcsd-test` simulated patterns
  of minerals kept from training, `random-crystals` balanced synthetic patterns.
- A claim *holds* where the difference is there on all sets and its interval leaves out zero,
  *holds in part* where it is so on some, *does not hold* where the opposite is seen, and is *not
  decided* where the intervals leave it open, or trainings have not left the plateau on which they
  begin. p-values are corrected for the number of comparisons. The rules are in
  [judges.py](../xrdlib/reporting/judges.py) and
  [judges_measured.py](../xrdlib/reporting/judges_measured.py).
"""

NOT_RUN = "not run"
REGIME, SCALING = "regime", "scaling"  # profile and result of the paper's comparison of networks


def source(config: SimpleNamespace, name: str) -> SimpleNamespace:
    """The configuration whose results hold the evidence NAME.json.

    That is the given one, except for architectures, which are compared at the sizes of the profile
    `regime` where its results exist.
    """
    elsewhere = SimpleNamespace(**{**vars(config), "profile": REGIME})
    return elsewhere if name == SCALING and results.exists(elsewhere, name) else config


def table(config: SimpleNamespace) -> pd.DataFrame:
    """Every claim with its verdict and evidence.

    Returns
    -------
    pandas.DataFrame
        Indexed by the claim's name: claim, verdict ("holds", "holds in part", "does not hold",
        "not decided" or "not run"), evidence, figure, results, command.
    """
    rows = {}
    for claim in CLAIMS:
        sources = {name: source(config, name) for name in claim.needs}
        missing = [name for name, own in sources.items() if not results.exists(own, name)]
        if missing:
            judged = Judgement(NOT_RUN, f"There is no {missing[0]}.json; run the notebook.")
        else:
            judged = claim.judge(*(results.read(own, name) for name, own in sources.items()))
        profile = sources[claim.needs[0]].profile
        files = (f"results/{own.profile}/{name}.json" for name, own in sources.items())
        rows[claim.name] = {
            "claim": claim.text,
            "verdict": judged.verdict,
            "evidence": judged.evidence,
            "figure": f"figures/{profile}/{claim.figure}.png",
            "results": ", ".join(files),
            "command": f"make studies PROFILE={profile} NOTEBOOK={claim.notebook}",
        }
    return pd.DataFrame(rows).T.rename_axis("name")


def mixed(config: SimpleNamespace) -> str:
    """One line that names files of the claims from different runs; "" if all are from one run."""
    needed = dict.fromkeys(name for claim in CLAIMS for name in claim.needs)
    own = [name for name in needed if source(config, name) is config]
    return results.mixed(config, [name for name in own if results.exists(config, name)])


def as_markdown(rows: pd.DataFrame) -> str:
    """Claims, verdicts and figures as a table in Markdown, for the README."""
    lines = [["the paper's claim", "here", "figure"]]
    for name, row in rows.iterrows():
        anchor = re.sub(r"[^\w-]", "", name.replace(" ", "-"))
        verdict = f"[{row['verdict']}](docs/companion.md#{anchor})"
        figure = f"[{Path(row['figure']).stem}]({row['figure']})"
        lines.append([row["claim"], verdict, figure])
    return markdown(lines, rule="---")


def document(rows: pd.DataFrame) -> str:
    """All claims with verdict, evidence and figure, as a Markdown document that lies in docs/."""
    parts = [_COMPANION]
    for name, row in rows.iterrows():
        text = _text(row, "[{0}](../{0})")
        picture = f"![{Path(row['figure']).stem}](../{row['figure']})\n"
        parts.append(f"## {name[0].upper()}{name[1:]}\n\n{text}\n\n{picture}")
    return "\n".join(parts)


def section(rows: pd.DataFrame, name: str) -> object:
    """One claim with its verdict, evidence and command as Markdown; rows as from `table`."""
    from IPython.display import Markdown  # of no use outside a notebook

    return Markdown(_text(rows.loc[name]))


def _text(row, link="{0}"):
    files = ", ".join(link.format(file) for file in row["results"].split(", "))
    return (
        f"> {row['claim']}\n\n**{row['verdict'].capitalize()}.** {row['evidence']}\n\n"
        f"From {files}; computed anew by `{row['command']}`."
    )
