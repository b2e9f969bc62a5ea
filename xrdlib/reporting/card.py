"""The tables of the model card, models/README.md."""

from ..base import paths
from ..learning.experiment import MEASURED
from .report import as_markdown, headline, insert, markdown, read

_CALIBRATION, _TEST = MEASURED

CARD = paths.MODELS / "README.md"

_KINDS = (
    *("kind", "n", "n_families", "top1", "top1_ci95", "prior_top1", "top5"),
    *("bits_over_prior", "bits_ci95", "nll"),
)

_GROUPS = ("symbol", "n", "predicted", "top1", "top5", "nll")

_COVERAGE = ("promised", "families", "patterns", "size", "single")

_MISTAKES = ("source", "true", "predicted", "probability", "nearest", "similarity", "why")

_PERCENT = ("promised", "families", "patterns", "single", "probability")


def tables(found: dict) -> str:
    """All tables of the model card in Markdown, from the content of released.json."""
    if not found["rows"]:
        return "No measured patterns were at hand."
    parts = [headline(found["rows"]), as_markdown({"rows": found["rows"], "notes": []})]
    parts += [
        f"**By {name}** ({_TEST}; rates in percent)\n\n{_table(_KINDS, kind)}"
        for name, kind in found["kinds"].items()
    ]
    parts.append(f"**By group** ({_TEST})\n\n{_table(_GROUPS, found['groups'])}")
    parts.append(
        f"**Sets** ({_TEST}): promised and met coverage over families and over patterns, mean "
        "number of groups, share of sets of one group\n\n"
        f"{_table(_COVERAGE, found['coverage'], _PERCENT)}"
    )
    parts.append(
        f"**The most confident mistakes** ({_CALIBRATION}; doubtful labels are listed, none was "
        f"dropped)\n\n{_table(_MISTAKES, found['mistakes'], _PERCENT)}"
    )
    return "\n\n".join(parts)


def update(profile: str) -> None:
    """Bring the tables of models/README.md up to date from the results of a profile.

    Raises
    ------
    XrdlibError
        If there are no results, or the card does not hold the marks.
    """
    insert(CARD, tables(read(profile, "released")))


def _table(columns, rows, percent=()):
    return markdown([columns, *([_cell(row[k], k in percent) for k in columns] for row in rows)])


def _cell(value, percent):
    if isinstance(value, list):
        return f"[{value[0]:.1f}, {value[1]:.1f}]"
    if value is None:  # an interval over a single family
        return "-"
    if isinstance(value, float):
        return f"{100 * value:.0f} %" if percent else f"{value:.2f}"
    return str(value).replace("|", "\\|")
