"""The paper's claims beside what this repository's runs say of each.

A claim is judged by numbers in the files of results/ alone, by rules that are written down in
`judges`; what has not been run is said to be so, never guessed.
"""

import re
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from ..base import results
from .judges import CLAIMS, Judgement
from .report import markdown

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
        missing = [name for name in claim.needs if not results.exists(config, name)]
        if missing:
            found = Judgement(NOT_RUN, f"There is no {missing[0]}.json; run the notebook.")
        else:
            found = claim.judge(*(results.read(config, name) for name in claim.needs))
        rows[claim.name] = {
            "claim": claim.text,
            "verdict": found.verdict,
            "evidence": found.evidence,
            "figure": f"figures/{config.profile}/{claim.figure}.png",
            "results": ", ".join(f"results/{config.profile}/{name}.json" for name in claim.needs),
            "command": f"make studies PROFILE={config.profile} NOTEBOOK={claim.notebook}",
        }
    return pd.DataFrame(rows).T.rename_axis("name")


def mixed(config: SimpleNamespace) -> str:
    """One line that names the files of the claims that different runs made; "" if one run did."""
    needed = dict.fromkeys(name for claim in CLAIMS for name in claim.needs)
    return results.mixed(config, [name for name in needed if results.exists(config, name)])


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
    """One claim with its verdict, evidence and command as Markdown.

    Parameters
    ----------
    rows : pandas.DataFrame
        As from `table`.
    """
    from IPython.display import Markdown  # of no use outside a notebook

    return Markdown(_text(rows.loc[name]))


def _text(row, link="{0}"):
    files = ", ".join(link.format(file) for file in row["results"].split(", "))
    return (
        f"> {row['claim']}\n\n**{row['verdict'].capitalize()}.** {row['evidence']}\n\n"
        f"From {files}; computed anew by `{row['command']}`."
    )
