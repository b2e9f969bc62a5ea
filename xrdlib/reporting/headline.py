"""The one table of the README."""

from ..learning.experiment import MEASURED
from ..learning.nulls import ORACLE, PRIOR
from ..learning.outcomes import SEARCH
from ..prediction.evaluate import FUSED, NETWORK, NO_LIBRARY
from ..prediction.readings import CROPPED
from .report import markdown, number

_TEST = MEASURED[1]

# The best balanced model of arXiv 2604.23811 on its own 325 measured patterns, as published there.
PUBLISHED = {"top1": 10.46, "top5": 43.69, "ece": 3.8, "nll": 3.69}

_ROWS = (
    ("top-1 %", _TEST, "top1", 1),
    ("top-5 %", _TEST, "top5", 1),
    ("ECE %", _TEST, "ece", 1),
    ("ECE % by chance alone, if perfectly calibrated", _TEST, "ece_if_calibrated", 1),
    ("bits over the prior", _TEST, "bits_over_prior", 2),
    ("top-1 % where no mineral of the AMCSD resembles the pattern", f"{_TEST}, unlike", "top1", 1),
    ("top-1 % on patterns cut to 10-80 degrees", CROPPED, "top1", 1),
)

_COLUMNS = {
    PRIOR: "prior only",
    ORACLE: "frequencies of the test labels",
    "published": "the paper's best (its 325 patterns)",
    SEARCH: "search-match",
    NETWORK: "network alone",
    NO_LIBRARY: "released, library left out (a new compound)",
    FUSED: "**released**",
}


def headline(rows: list[dict]) -> str:
    """Nulls, the paper's best as published, search-match and ours side by side, in Markdown.

    Rows as from `evaluate.table`. Bits are counted over the prior with one vote a family, as the
    predictor has been fitted.
    """
    by_model = {(row["subset"], row["model"]): row for row in rows}
    by_model[_TEST, "published"] = PUBLISHED
    lines = [["", *_COLUMNS.values()]]
    for name, subset, key, decimals in _ROWS:
        lines.append([name])
        for model in _COLUMNS:
            row = by_model.get((subset, model), {})
            value, ends = row.get(key), row.get(f"{key}_ci95")
            if isinstance(value, list):  # of percentiles
                low, value, high = value
                ends = (low, high)
            lines[-1].append(number(value, decimals, ends if model == FUSED else None))
    return markdown(lines)
