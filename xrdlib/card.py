"""The tables of the model card, from results/PROFILE/released.json."""

import json

from . import paths, report
from .errors import XrdlibError
from .experiment import MEASURED
from .headline import headline

CARD = paths.MODELS / "README.md"
_KINDS = (
    *("kind", "n", "n_families", "top1", "top1_ci95", "prior_top1", "top5"),
    *("bits_over_prior", "bits_ci95", "nll"),
)
_GROUPS = ("symbol", "n", "predicted", "top1", "top5", "nll")
_COVERAGE = ("promised", "families", "patterns", "size", "single")
_MISTAKES = ("source", "true", "predicted", "probability", "nearest", "similarity", "why")
_PERCENT = ("promised", "families", "patterns", "single", "probability")


def tables(found):
    """All tables of the card as markdown.

    Parameters
    ----------
    found : dict
        Content of released.json.

    Returns
    -------
    str
    """
    if not found["rows"]:
        return "No measured patterns were at hand."
    rows = {"rows": found["rows"], "notes": []}
    parts = [headline(found["rows"]), report.as_markdown(rows)]
    parts += [
        f"**By {name}** ({MEASURED[1]}; rates in percent)\n\n{_table(_KINDS, kind)}"
        for name, kind in found["kinds"].items()
    ]
    parts.append(f"**By group** ({MEASURED[1]})\n\n{_table(_GROUPS, found['groups'])}")
    parts.append(
        f"**Sets** ({MEASURED[1]}): promised and met coverage over families and over patterns, "
        f"mean number of groups, share of sets of one group\n\n"
        f"{_table(_COVERAGE, found['coverage'], _PERCENT)}"
    )
    parts.append(
        f"**The most confident mistakes** ({MEASURED[0]}; doubtful labels are listed, none was "
        f"dropped)\n\n{_table(_MISTAKES, found['mistakes'], _PERCENT)}"
    )
    return "\n\n".join(parts)


def update(profile):
    """Bring the tables of models/README.md up to date.

    Parameters
    ----------
    profile : str
        Whose results to read.

    Raises
    ------
    XrdlibError
        If there are no results, or the card does not hold the marks.
    """
    path = paths.results(profile) / "released.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise XrdlibError(f"{path} does not exist; run `make repro` first.") from None
    except json.JSONDecodeError as error:
        raise XrdlibError(f"{path} is not JSON ({error}); run `make repro` again.") from None
    report.insert(CARD, tables(found))


def _table(columns, rows, percent=()):
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1)]
    lines += [[_cell(row[key], key in percent) for key in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value, percent):
    if isinstance(value, list):
        return f"[{value[0]:.1f}, {value[1]:.1f}]"
    if value is None:  # an interval over a single family
        return "-"
    if isinstance(value, float):
        return f"{100 * value:.0f} %" if percent else f"{value:.2f}"
    return str(value).replace("|", "\\|")
