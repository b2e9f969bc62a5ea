"""The few numbers that matter about the released predictor, in one table."""

from .experiment import MEASURED
from .outcomes import SEARCH
from .released import CROPPED, FUSED, NETWORK

# The best balanced model of arXiv 2604.23811 on its own 325 measured patterns, as published there.
PUBLISHED = {"top1": 10.46, "top5": 43.69, "ece": 3.8, "nll": 3.69}
BY_CHANCE = "ECE % by chance alone, if perfectly calibrated"
_LINES = (
    ("top-1 %", "", "top1", 1),
    ("top-5 %", "", "top5", 1),
    ("ECE %", "", "ece", 1),
    (BY_CHANCE, "", "ece_if_calibrated", 1),
    ("bits over the prior", "", "bits_over_prior", 2),
    ("top-1 % where no mineral of the AMCSD resembles the pattern", ", unlike", "top1", 1),
    ("top-1 % on patterns cut to 10-80 degrees", f", {CROPPED}", "top1", 1),
)


def headline(rows):
    """Prior only, the paper's best as published, search-match and ours side by side.

    Parameters
    ----------
    rows : list of dict
        As from `evaluate.table`.

    Returns
    -------
    str
        A markdown table.
    """
    subset = MEASURED[1]
    models = ("prior only", SEARCH, NETWORK, FUSED)
    found = {(row["subset"], row["model"]): row for row in rows}
    lines = [
        "| | prior only | the paper's best (its 325 patterns) | search-match | network alone | "
        "**released** |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for title, part, key, digits in _LINES:
        cells = []
        for model in models:
            row = found.get((subset + part, model), {})
            value, ends = row.get(key), row.get(f"{key}_ci95")
            if isinstance(value, list):  # of percentiles
                low, value, high = value
                ends = (low, high)
            cells.append("-" if value is None else f"{value:.{digits}f}")
            if model == FUSED and ends:
                cells[-1] += f" [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"
        published = PUBLISHED.get(key) if not part else None
        cells.insert(1, "-" if published is None else f"{published:.{digits}f}")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)
