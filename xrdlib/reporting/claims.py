"""The paper's claims beside what this repository's runs say of each.

A claim is judged by numbers in the files of results/ alone, by rules that are written down in
`judges`; what has not been run is said to be so, never guessed.
"""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from ..base import results
from .judges import CLAIMS, Judgement
from .report import markdown

BEGIN, END = "<!-- claims: xrdlib claims --into FILE -->", "<!-- end of claims -->"

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
    """Claims, verdicts and figures as a table in Markdown."""
    lines = [["the paper's claim", "here", "figure"]]
    for row in rows.to_dict("records"):
        figure = f"[{Path(row['figure']).stem}]({row['figure']})"
        lines.append([row["claim"], f"**{row['verdict']}**", figure])
    return markdown(lines, rule="---")


def section(rows: pd.DataFrame, name: str) -> object:
    """One claim with its verdict, evidence and command as Markdown.

    Parameters
    ----------
    rows : pandas.DataFrame
        As from `table`.
    """
    from IPython.display import Markdown  # of no use outside a notebook

    row = rows.loc[name]
    return Markdown(
        f"> {row['claim']}\n\n**{row['verdict'].capitalize()}.** {row['evidence']}\n\n"
        f"From {row['results']}; computed anew by `{row['command']}`."
    )
