"""All tables of a profile's results and of the released predictor, for docs/results.md."""

from ..learning.experiment import MEASURED
from ..learning.outcomes import SEARCH
from ..prediction.benchmark_sets import COMPOUNDS, CRYSTALS, OTHER
from ..prediction.evaluate import FUSED
from .report import LEGEND, by_subset, cells, markdown, title

_CALIBRATION, _TEST = MEASURED

# What the released predictor is called where a run's table has it too, and search-match.
_OURS = (FUSED, SEARCH)

SETS = {
    OTHER: "Other laboratories and materials: half of the RockJock reference minerals, XRED single "
    "phases, XRD-AutoAnalyzer spectra. The set is split by family; the calibration half is among "
    "the patterns that the parts were weighed on. RRUFF's bundle has no trigonal or rhombohedral "
    "mineral, this one has.",
    COMPOUNDS: "Clean simulated patterns of 100 compounds of the Materials Project, drawn from "
    "structure types that are held out. Families are structure types. A cell is right if, reduced "
    "and primitive, it is within 5 % and 3 degrees of the true one; the library may hold the same "
    "compound, so that *without the library* is the row for a new one.",
    CRYSTALS: "Clean simulated patterns of random crystals, two of each of the 99 groups. The "
    "prior is uniform, and bits are counted over it: no group is more likely than another, and the "
    "library knows no such crystal. Every crystal is a family of its own.",
}

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

_COVERAGE = (
    "subset",
    "n",
    "n_families",
    "threshold",
    "promised",
    "families",
    "patterns",
    "size",
    "single",
)

_MISTAKES = ("source", "true", "predicted", "probability", "nearest", "similarity", "why")

_FITS = "without fits of whole patterns"
_OLDER = "Of the predictor as it was before whole-pattern fits were a part of it."
_PERCENT = ("promised", "families", "patterns", "single", "probability")


def tables(result: dict) -> str:
    """All tables in Markdown; a note on trainings that a clock ended comes first.

    The released predictor and the networks of a run have tables of their own, each with its nulls.
    Rows in both files are shown from the released predictor's, whose patterns are not rounded.

    Parameters
    ----------
    result : dict
        As from `report.load`.
    """
    released = result.get("released") or {"rows": []}
    ours = {(row["subset"], row["model"]) for row in released["rows"] if row["model"] in _OURS}
    trained = [r for r in result["rows"] if (r["subset"], r["model"]) not in ours]
    parts = [f"**{result['cut_short']}**"] if result.get("cut_short") else []
    parts.append(LEGEND)
    if released["rows"]:
        parts += [f"## The released predictor ({_TEST})", *_scores(released)]
        parts += _appraisal(released, _TEST)
    if rows := result.get("released without"):
        older = _FITS not in {row["model"] for row in rows}
        parts += [f"### Parts taken away ({_TEST})", *([_OLDER] if older else [])]
        parts += [markdown(cells(rows))]
    for name, description in SETS.items():
        if content := result.get(name):
            parts += [f"## The released predictor ({name})", description, *_scores(content)]
            parts += _appraisal(content, name)
    if released["rows"]:
        parts += [
            f"## The most confident mistakes ({_CALIBRATION})",
            "Doubtful labels are listed, none was dropped.",
            _table(_MISTAKES, released["mistakes"]),
        ]
    if rows := [row for row in result.get("released indexing", ()) if "cell_found" in row]:
        parts += [
            "## Indexing alone (simulated patterns of held-out minerals)",
            "Top-1 and top-5 are those of groups, with the prior.",
            markdown(cells(rows, "system", _INDEXING)),
        ]
    parts += ["## The networks of a run", *(f"Note: {note}" for note in result["notes"])]
    return "\n\n".join([*parts, *_scores({"rows": trained})])


def _scores(result):
    """A table of models and nulls for each subset."""
    parts = []
    for subset, rows in by_subset(result):
        parts += [f"### {title(subset, rows)}", markdown(cells(rows))]
    return parts


def _appraisal(result, name):
    """Tables of a set's file besides its scores."""
    parts = []
    for kind, rows in result.get("kinds", {}).items():
        parts += [f"### By {kind} ({name})", markdown(cells(rows, "kind", _KINDS))]
    if rows := result.get("groups"):
        parts += [f"### By group ({name})", markdown(cells(rows, "symbol", _GROUPS))]
    if rows := result.get("coverage"):
        parts += [
            f"### Sets of groups ({name})",
            "Coverage that was promised, and that was met over families and over patterns; mean "
            "number of groups; share of sets of one group. Calibrated with one threshold for all "
            "groups, or with one for those of 1 % of minerals or more and one for rarer ones.",
            _table(_COVERAGE, rows),
        ]
    return parts


def _table(columns, rows):
    return markdown([columns, *([_cell(row[k], k in _PERCENT) for k in columns] for row in rows)])


def _cell(value, percent):
    if isinstance(value, float):
        return f"{100 * value:.0f} %" if percent else f"{value:.2f}"
    return str(value).replace("|", "\\|")
