"""All tables of a profile's results and of the released predictor, for docs/results.md."""

from ..learning.experiment import MEASURED
from .report import COLUMNS, LEGEND, by_subset, cells, markdown, title

_CALIBRATION, _TEST = MEASURED

# Column heading, key, whether with its interval, decimals. Rates are in percent.
_COUNTS = (("n", "n", False, 0), ("families", "n_families", False, 0))

_RATES = (("top-1 %", "top1", True, 1), ("top-5 %", "top5", False, 1))

_KINDS = (
    *(_COUNTS + _RATES),
    ("prior only, top-1 %", "prior_top1", False, 1),
    ("bits", "bits_over_prior", True, 2),
    ("NLL", "nll", False, 2),
)

_GROUPS = (
    ("n", "n", False, 0),
    ("predicted", "predicted", False, 0),
    ("top-1 %", "top1", False, 1),
    ("top-5 %", "top5", False, 1),
    ("NLL", "nll", False, 2),
)

_INDEXING = (
    ("n", "n", False, 0),
    ("lines, median", "lines", False, 0),
    ("system right %", "system_found", False, 1),
    ("cell right %", "cell_found", False, 1),
    *_RATES,
)

_COVERAGE = ("promised", "families", "patterns", "size", "single")

_MISTAKES = ("source", "true", "predicted", "probability", "nearest", "similarity", "why")

_FITS = "without fits of whole patterns"
_OLDER = "Of the predictor as it was before whole-pattern fits were a part of it."
_PERCENT = ("promised", "families", "patterns", "single", "probability")


def tables(result: dict) -> str:
    """All tables in Markdown; what a clock cut short stands first.

    A model that both files have is shown as the released predictor's file has it, whose patterns
    are not rounded for keeping.

    Parameters
    ----------
    result : dict
        As from `report.load`.
    """
    released = result.get("released") or {"rows": []}
    rows = [_of_released(row) for row in released["rows"]]
    known = {(row["subset"], row["model"]) for row in rows}
    rows += [row for row in result["rows"] if (row["subset"], row["model"]) not in known]
    parts = [f"**{result['cut_short']}**"] if result.get("cut_short") else []
    parts += ["## Models on each set", LEGEND, *(f"Note: {note}" for note in result["notes"])]
    for subset, some in by_subset({"rows": rows}):
        parts += [f"### {title(subset, some)}", markdown(cells(some))]
    parts += _appraisal(released) if released["rows"] else []
    if rows := result.get("released without"):
        older = _FITS not in {row["model"] for row in rows}
        parts += [f"### Parts taken away ({_TEST})", *([_OLDER] if older else [])]
        parts += [markdown(cells(rows, "model", COLUMNS))]
    if rows := [row for row in result.get("released indexing", ()) if "cell_found" in row]:
        parts += [
            "### Indexing alone (simulated patterns of held-out minerals)",
            "Top-1 and top-5 are those of groups, with the prior.",
            markdown(cells(rows, "system", _INDEXING)),
        ]
    return "\n\n".join(parts)


def _of_released(row):
    """A row of the released predictor's file; "shuffled" says whose predictions were shuffled."""
    return {**row, "model": "released, shuffled"} if row["model"] == "shuffled" else row


def _appraisal(found):
    """What the released predictor's file has besides its scores."""
    parts = ["## The released predictor, kind by kind"]
    for name, kind in found["kinds"].items():
        parts += [f"### By {name} ({_TEST})", markdown(cells(kind, "kind", _KINDS))]
    return [
        *parts,
        f"### By group ({_TEST})",
        markdown(cells(found["groups"], "symbol", _GROUPS)),
        f"### Sets of groups ({_TEST})",
        "Coverage that was promised, and that was met over families and over patterns; mean "
        "number of groups; share of sets of one group.",
        _table(_COVERAGE, found["coverage"]),
        f"### The most confident mistakes ({_CALIBRATION})",
        "Doubtful labels are listed, none was dropped.",
        _table(_MISTAKES, found["mistakes"]),
    ]


def _table(columns, rows):
    return markdown([columns, *([_cell(row[k], k in _PERCENT) for k in columns] for row in rows)])


def _cell(value, percent):
    if isinstance(value, float):
        return f"{100 * value:.0f} %" if percent else f"{value:.2f}"
    return str(value).replace("|", "\\|")
