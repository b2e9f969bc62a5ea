"""The paper's claims beside what this repository's runs say of each.

A claim is judged by numbers in the files of results/ alone, by rules that are written down in
`judges`; what has not been run is said to be so, never guessed.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..base import results
from . import judges

MARKS = ("<!-- claims: xrdlib claims --into FILE -->", "<!-- end of claims -->")

_COMPANION = """# Companion: the paper's claims, one by one

Written by `xrdlib claims --companion docs/companion.md` from the files in results/. The same with
more explanation, and with the pictures drawn anew, is in the notebook
[24_companion](../notebooks/24_companion.ipynb).

- **top-1** is the share of patterns whose most probable group is the true one.
- **Bits over the prior** say what the pattern told the model beyond the frequencies of the groups.
  A constant that never looks at a pattern has zero.
- Brackets are 95 % intervals from resampling mineral families, since patterns of one mineral are
  not independent.
- `rruff-test` holds measured patterns on which nothing was chosen, `amcsd-test` simulated patterns
  of minerals kept from training, `random-crystals` balanced synthetic patterns.
- A claim *holds* where the difference is there on all sets and its interval leaves out zero,
  *holds in part* where it is so on some, *does not hold* where the opposite is seen, and is *not
  decided* where the intervals do not tell. The rules are in
  [judges.py](../xrdlib/reporting/judges.py).
"""

NOT_RUN = "not run"


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes
    ----------
    name : str
        A few words.
    text : str
        What the paper says, in our words.
    needs : tuple of str
        Files in results/PROFILE that hold the evidence.
    judge : callable
        Contents of those files to a `judges.Judgement`.
    figure : str
        Its picture in figures/.
    notebook : str
        The one that computes the evidence.
    """

    name: str
    text: str
    needs: tuple
    judge: object
    figure: str
    notebook: str

    def command(self, profile):
        """One line that computes the evidence anew, with whatever it depends on."""
        return f"make studies PROFILE={profile} NOTEBOOK={self.notebook}"


CLAIMS = (
    Claim(
        "attention and convolution",
        "Attention beats convolution on this task (tested on far fewer patterns than the paper's).",
        ("scaling",),
        judges.attention,
        "scaling",
        "14_scaling",
    ),
    Claim(
        "attention is not enough",
        "A transformer trained on simulated patterns alone does not solve measured ones.",
        ("released",),
        judges.not_enough,
        "nulls",
        "12_released",
    ),
    Claim(
        "99 groups, not 230",
        "The target to train on is the 99 extinction groups, not the 230 space groups.",
        ("ablations", "symmetry"),
        judges.target,
        "space_group_control",
        "15_ablations",
    ),
    Claim(
        "coordinate channel",
        "A channel of sin^2(theta) beside the intensity helps.",
        ("ablations",),
        judges.coordinate_channel,
        "positional",
        "15_ablations",
    ),
    Claim(
        "physics position",
        "A positional encoding computed from sin^2(theta) helps.",
        ("ablations",),
        judges.physics_position,
        "positional",
        "15_ablations",
    ),
    Claim(
        "rule head",
        "A head that learns crystal system, centring and symmetry elements helps the other.",
        ("ablations", "calibration"),
        judges.rule_head,
        "decoders",
        "15_ablations",
    ),
    Claim(
        "curriculum",
        "Balanced pretraining first, then realistic patterns with preferred orientation.",
        ("ablations",),
        judges.curriculum,
        "curriculum_study",
        "15_ablations",
    ),
    Claim(
        "temperature",
        "Temperature scaling is the key remaining ingredient.",
        ("calibration_study",),
        judges.temperature,
        "calibration_study",
        "17_calibration",
    ),
    Claim(
        "local errors",
        "Errors are local on the graph of symmetry lowering.",
        ("dag_study",),
        judges.local_errors,
        "dag_study",
        "23_published_errors",
    ),
    Claim(
        "errors flow to lower symmetry",
        "Errors go to subgroups rather than elsewhere.",
        ("dag_study",),
        judges.direction,
        "dag_study",
        "23_published_errors",
    ),
    Claim(
        "paradox",
        "How well a structure fits a pattern does not say how hard the pattern is to classify.",
        ("paradox",),
        judges.paradox,
        "fit_quality",
        "21_paradox",
    ),
    Claim(
        "ceiling",
        "About ten percent top-1 on measured patterns is a limit set by information.",
        ("information", "released", "dag_study"),
        judges.ceiling,
        "information",
        "18_information",
    ),
)


def table(config):
    """Every claim with its verdict and evidence.

    Parameters
    ----------
    config : namespace

    Returns
    -------
    pandas.DataFrame
        Indexed by the claim's name: claim, verdict ("holds", "holds in part", "does not hold",
        "not decided" or "not run"), evidence, figure, results, command.
    """
    rows = {}
    for claim in CLAIMS:
        missing = [name for name in claim.needs if not results.exists(config, name)]
        if missing:
            found = judges.Judgement(NOT_RUN, f"There is no {missing[0]}.json; run the notebook.")
        else:
            found = claim.judge(*(results.read(config, name) for name in claim.needs))
        rows[claim.name] = {
            "claim": claim.text,
            "verdict": found.verdict,
            "evidence": found.evidence,
            "figure": f"figures/{config.profile}/{claim.figure}.png",
            "results": ", ".join(f"results/{config.profile}/{name}.json" for name in claim.needs),
            "command": claim.command(config.profile),
        }
    return pd.DataFrame(rows).T.rename_axis("name")


def mixed(config):
    """One line that names the files of the claims that different runs made; "" if one run did."""
    needed = dict.fromkeys(name for claim in CLAIMS for name in claim.needs)
    return results.mixed(config, [name for name in needed if results.exists(config, name)])


def as_markdown(rows):
    """Claims, verdicts and figures as a table in Markdown, for the README."""
    lines = ["| the paper's claim | here | figure |", "| --- | --- | --- |"]
    for name, row in rows.iterrows():
        anchor = re.sub(r"[^\w-]", "", name.replace(" ", "-"))
        verdict = f"[{row['verdict']}](docs/companion.md#{anchor})"
        figure = f"[{Path(row['figure']).stem}]({row['figure']})"
        lines.append(f"| {row['claim']} | {verdict} | {figure} |")
    return "\n".join(lines)


def document(rows):
    """All claims with verdict, evidence and figure, as a Markdown document that lies in docs/.

    Parameters
    ----------
    rows : pandas.DataFrame
        As from `table`.

    Returns
    -------
    str
    """
    parts = [_COMPANION]
    for name, row in rows.iterrows():
        text = _text(row, "[{0}](../{0})")
        picture = f"![{Path(row['figure']).stem}](../{row['figure']})\n"
        parts.append(f"## {name[0].upper()}{name[1:]}\n\n{text}\n\n{picture}")
    return "\n".join(parts)


def section(rows, name):
    """One claim with its verdict, evidence and command as Markdown.

    Parameters
    ----------
    rows : pandas.DataFrame
        As from `table`.
    name : str

    Returns
    -------
    IPython.display.Markdown
    """
    from IPython.display import Markdown  # of no use outside a notebook

    return Markdown(_text(rows.loc[name]))


def _text(row, link="{0}"):
    files = ", ".join(link.format(file) for file in row["results"].split(", "))
    return (
        f"> {row['claim']}\n\n**{row['verdict'].capitalize()}.** {row['evidence']}\n\n"
        f"From {files}; computed anew by `{row['command']}`."
    )
