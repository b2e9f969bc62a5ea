"""The released predictor on every measured subset, beside its nulls.

python -m xrdlib.evaluate [--json FILE]
"""

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from . import banks, config, datasets, predict, released, report
from .diffraction import reflections
from .errors import XrdlibError
from .experiment import MEASURED, load_bank
from .outcomes import RECOGNISED, SEARCH, null_prior

# The best balanced model of arXiv 2604.23811 on its own 325 measured patterns, as published there.
PUBLISHED = {"top1": 10.46, "top5": 43.69, "ece": 3.8, "nll": 3.69}
_LINES = (
    ("top-1 %", "", "top1", 1),
    ("top-5 %", "", "top5", 1),
    ("ECE %", "", "ece", 1),
    ("bits over the prior", "", "bits_over_prior", 2),
    ("top-1 % where no mineral of the AMCSD resembles the pattern", ", unlike", "top1", 1),
    ("top-1 % on patterns cut to 10-80 degrees", f", {released.CROPPED}", "top1", 1),
)


def table(settings, predictor, measured_sets, bank):
    """Rows of a predictor with retrieval, of its parts, of search-match and of the nulls.

    Parameters
    ----------
    settings : namespace
        A configuration with the section `evaluate` and a seed.
    predictor : predict.Predictor
        With retrieval.
    measured_sets : dict of str to rruff.Measured
        As from `released.measured`.
    bank : records.Reflections
        The mineral structures of the AMCSD, for search-match.

    Returns
    -------
    list of dict
        For the test set, its halves by search-match, and the test set cut to 10 to 80 degrees.
    """
    name = MEASURED[1]
    patterns = measured_sets[name]
    minerals = predictor.metadata["minerals"]
    search, best = released.search_match(bank, measured_sets, minerals)
    logp = {**released.log_probs(predictor, patterns.intensity), SEARCH: search[name]}
    labels = measured_sets[MEASURED[0]].group.astype(int) - 1
    options = {
        "null": null_prior(settings, labels, minerals),
        "n_boot": settings.evaluate.bootstrap,
        "n_shuffles": settings.evaluate.shuffles,
        "seed": settings.seed,
    }
    rows = []
    for subset, index in released.subsets(name, best[name], RECOGNISED).items():
        rows += released.rows(logp, subset, patterns, index, **options)
    short = released.log_probs(predictor, released.cropped(patterns.intensity))
    every = np.arange(len(patterns.group))
    rows += released.rows(short, f"{name}, {released.CROPPED}", patterns, every, **options)
    return rows


def mineral_bank(settings):
    """Reflections of the AMCSD structures: those of a run of the profile, or made anew."""
    try:
        return load_bank(settings, "library")
    except XrdlibError:
        with TemporaryDirectory() as folder:
            crystals, about = banks.build_amcsd(datasets.fetch("amcsd"), folder)
        known = about["stated_group"].to_numpy() > 0
        return reflections(crystals.take(known))


def headline(rows):
    """The few numbers that matter, as markdown: prior only, published, search-match, ours."""
    subset = MEASURED[1]
    models = ("prior only", SEARCH, released.NETWORK, released.FUSED)
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
            cells.append("-" if row.get(key) is None else f"{row[key]:.{digits}f}")
            if model == released.FUSED and (ends := row.get(f"{key}_ci95")):
                cells[-1] += f" [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"
        published = PUBLISHED.get(key) if not part else None
        cells.insert(1, "-" if published is None else f"{published:.{digits}f}")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments=None):
    """Evaluate the released predictor on the measured patterns (command line)."""
    parser = argparse.ArgumentParser(prog="python -m xrdlib.evaluate", description=main.__doc__)
    parser.add_argument("--weights", help="another predictor file")
    parser.add_argument("--json", metavar="FILE", help="also write all rows")
    options = parser.parse_args(arguments)
    try:
        settings = config.load()
        measured_sets = released.measured()
        if not measured_sets:
            raise XrdlibError(f"No measured patterns: {report.HOW_TO_GET[MEASURED[1]]}.")
        predictor = predict.load_predictor(options.weights)
        if predictor.retrieval is None:
            raise XrdlibError("The predictor has no library; give one that was built with it.")
        rows = table(settings, predictor, measured_sets, mineral_bank(settings))
        if options.json:
            text = json.dumps({"rows": rows}, indent=1, allow_nan=False)
            Path(options.json).write_text(text + "\n", encoding="utf-8")
    except (XrdlibError, OSError) as error:
        sys.exit(str(error))
    print(report.as_text({"profile": "laptop", "rows": rows, "notes": []}))
    print(f"\n{headline(rows)}")


if __name__ == "__main__":
    main()
