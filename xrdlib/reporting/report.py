"""The summary of a profile's results, the headline table, and all tables for the documents.

`xrdlib report` prints the summary from its file, `--markdown` all tables as docs/results.md has
them, `--headline` the one table of the README.
"""

import json
import math
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

from ..base import files, paths, results
from ..base.errors import XrdlibError
from ..learning import experiment
from ..learning.outcomes import SEARCH
from ..prediction.evaluate import CROPPED, FUSED, NETWORK

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
    subset = experiment.MEASURED[1]
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


MODELS = (
    "released",
    "physics transformer",
    "prior only",
    "shuffled",
    "search-match",
    "resnet",
    "plain transformer",
)

MEASURED = "rruff-test"


# Column heading, key, its interval, decimals. Rates are in percent.
COLUMNS = (
    ("top-1 %", "top1", "top1_ci95", 1),
    ("top-5 %", "top5", "top5_ci95", 1),
    ("balanced %", "balanced_top1", None, 1),
    ("bits", "bits_over_prior", "bits_ci95", 2),
    ("NLL", "nll", None, 2),
    ("ECE %", "ece", None, 1),
)

SCORES = ("top1", "bits_over_prior", "nll")

WIDTH = 100

# Between these lines of a text file its tables are kept up to date.
RESULTS = ("<!-- results: xrdlib report --into FILE -->", "<!-- end of results -->")

HEADLINE = ("<!-- headline: xrdlib report --headline --into FILE -->", "<!-- end of headline -->")

LEGEND = (
    "Brackets: 95 % bootstrap interval over mineral families. Balanced: top-1 averaged over "
    "classes. Bits: information beyond the prior; above 0, the pattern told the model something. "
    "NLL in nats."
)


def summary(rows, config, missing=(), extra=None):
    """Write `results/PROFILE/summary.json` with its stamp.

    Parameters
    ----------
    rows : list of dict
        As `metrics.evaluate` gives them.
    config : namespace
    missing : iterable of str
        Subsets that could not be had: each model gets a row of nulls there, and a note says how
        to get the data.
    extra : dict, optional
        Further JSON-able entries, such as the error analysis, "notes" (list of str) or
        "cut_short" (str or None), which every form of the summary starts with.

    Returns
    -------
    dict
        What was written: "profile", "scores" (subset -> model -> main numbers), "rows", "notes"
        and the entries of `extra`.

    Raises
    ------
    XrdlibError
        If two rows describe the same model and subset, a subset is both given and missing, or a
        number is not finite.
    """
    rows, extra = [dict(row) for row in rows], dict(extra or {})
    notes = list(extra.pop("notes", []))
    for subset in missing:
        if any(row["subset"] == subset for row in rows):
            raise XrdlibError(f"Subset {subset!r} has rows and is listed as missing.")
        rows += [_null_row(model, subset) for model in MODELS]
        how = "`xrdlib fetch` says where it comes from, then run again"
        how = experiment.HOW_TO_GET_MEASURED if subset == MEASURED else how
        notes.append(f"No data for {subset}: its numbers are null. To get them, {how}.")
    names = [(row["model"], row["subset"]) for row in rows]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise XrdlibError(f"More than one row for {sorted(twice)}; give each result once.")
    # The main numbers once more by name, as `dvc metrics` shows and compares what is not in a list.
    scores = {}
    for row in rows:
        chosen = {key: row[key] for key in SCORES if row.get(key) is not None}
        scores.setdefault(row["subset"], {})[row["model"]] = chosen
    result = {"profile": config.profile, "scores": scores, "rows": rows, "notes": notes, **extra}
    results.write(config, "summary", result)
    return result


def load(profile):
    """The summary that `summary` wrote, with the results beside it that reports also show.

    Returns
    -------
    dict
        As from `summary`; with "dag_errors" and "released" (contents of the files of these names)
        where they exist, and "released without" a part and "released indexing", rows that the
        profile `released` left.

    Raises
    ------
    XrdlibError
        If there is no summary, or a file is not JSON.
    """
    path = paths.results(profile) / "summary.json"
    beside = {name: path.with_name(f"{name}.json") for name in ("dag_errors", "released")}
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        result.pop("made_with", None)
        for name, file in beside.items():
            if file.is_file():
                result[name] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise XrdlibError(f"{path} does not exist; run `make repro PROFILE={profile}`.") from None
    except json.JSONDecodeError as error:
        raise XrdlibError(f"{path} or its neighbour is not JSON ({error}); run again.") from None
    made = SimpleNamespace(profile="released")
    for key, name, rows in _PARTS:
        if results.exists(made, name):
            result[key] = results.read(made, name)[rows]
    return result


def print_table(result, file=None):
    """Print a summary as fixed-width text: one table a subset, notes, where the figures are."""
    print(as_text(result), file=file or sys.stdout)


def as_text(result):
    """A summary as fixed-width text."""
    title = f"Results of profile {result['profile']}"
    parts = [". ".join(filter(None, [title, result.get("cut_short")]))]
    for subset, rows in _by_subset(result):
        head, *body = _cells(rows)
        widths = [max(len(line[i]) for line in (head, *body)) for i in range(len(head))]
        lines = [_fixed(line, widths) for line in (head, *body)]
        rule = "-" * len(lines[0])
        parts.append("\n".join([_title(subset, rows), rule, lines[0], rule, *lines[1:], rule]))
    prose = [LEGEND, *(f"Note: {note}" for note in result["notes"]), *_verdicts(result)]
    parts += [textwrap.fill(text, WIDTH, subsequent_indent="  ") for text in prose]
    parts.append(f"Figures: {_shown(paths.figures(result['profile']))}")
    return "\n\n".join(parts)


def as_markdown(result):
    """All tables of a summary, and of the released predictor beside it, as markdown.

    What a clock cut short stands first. A model that both files have is shown as the released
    predictor's file has it, whose patterns are not rounded for keeping.
    """
    released = result.get("released") or {"rows": []}
    rows = [_of_released(row) for row in released["rows"]]
    known = {(row["subset"], row["model"]) for row in rows}
    rows += [row for row in result["rows"] if (row["subset"], row["model"]) not in known]
    parts = [f"**{result['cut_short']}**"] if result.get("cut_short") else []
    parts.append("## Models on each set\n\n" + LEGEND)
    parts += [f"Note: {note}" for note in result["notes"]]
    for subset, some in _by_subset({"rows": rows}):
        parts.append(f"### {_title(subset, some)}\n\n{_markdown(_cells(some))}")
    parts += _appraisal(released) if released["rows"] else []
    if rows := result.get("released without"):
        parts.append(f"### Parts taken away ({MEASURED})\n\n{_markdown(_cells(rows))}")
    if rows := [row for row in result.get("released indexing", ()) if "cell_found" in row]:
        table = _markdown(_cells(rows, "system", _INDEXING))
        parts.append(
            "### Indexing alone (simulated patterns of held-out minerals)\n\nTop-1 and top-5 are "
            "those of groups, with the prior.\n\n" + table
        )
    return "\n\n".join(parts)


def _of_released(row):
    """A row of the released predictor's file; "shuffled" says whose predictions were shuffled."""
    return {**row, "model": "released, shuffled"} if row["model"] == "shuffled" else row


def _appraisal(found):
    """What the released predictor's file has besides its scores, as parts of a document."""
    parts = ["## The released predictor, kind by kind"]
    for name, kind in found["kinds"].items():
        table = _markdown(_cells(kind, "kind", _KINDS))
        parts.append(f"### By {name} ({MEASURED})\n\n{table}")
    table = _markdown(_cells(found["groups"], "symbol", _GROUPS))
    parts.append(f"### By group ({MEASURED})\n\n{table}")
    parts.append(
        f"### Sets of groups ({MEASURED})\n\nCoverage that was promised, and that was met over "
        "families and over patterns; mean number of groups; share of sets of one group.\n\n"
        + _table(_COVERAGE, found["coverage"])
    )
    parts.append(
        f"### The most confident mistakes ({experiment.MEASURED[0]})\n\n"
        "Doubtful labels are listed, none was dropped.\n\n" + _table(_MISTAKES, found["mistakes"])
    )
    return parts


def insert(path, text, marks=RESULTS):
    """Replace what stands between two marks in a file.

    Parameters
    ----------
    path : path-like
    text : str
    marks : (str, str)
        Lines that stay.

    Raises
    ------
    XrdlibError
        If the file is missing, does not hold both marks once, or cannot be written.
    """
    path, (begin, end) = Path(path), marks
    try:
        before, rest = path.read_text(encoding="utf-8").split(begin)
        _, after = rest.split(end)
    except FileNotFoundError:
        raise XrdlibError(f"{path} does not exist; name the file that has the marks.") from None
    except ValueError:
        raise XrdlibError(f"{path} needs the lines {begin} and {end}, once each.") from None
    files.write_text(path, f"{before}{begin}\n{text}\n{end}{after}")


def _null_row(model, subset):
    keys = [key for _, *pair, _ in COLUMNS for key in pair if key]
    return {"model": model, "subset": subset, "n": None, **dict.fromkeys(keys)}


def _by_subset(result):
    """(subset, its rows) in the order of the file, measured patterns first."""
    subsets = dict.fromkeys(row["subset"] for row in result["rows"])
    for subset in sorted(subsets, key=lambda name: name != MEASURED):
        yield subset, [row for row in result["rows"] if row["subset"] == subset]


def _title(subset, rows):
    counts = sorted({row["n"] for row in rows if row["n"] is not None})
    families = sorted({row["n_families"] for row in rows if row.get("n_families") is not None})
    if not counts:
        return f"{subset} (no data)"
    of = f" of {_span(families)} families" if families else ""
    return f"{subset} (n = {_span(counts)} patterns{of})"


def _span(values):
    return f"{values[0]}" if len(values) == 1 else f"{values[0]} to {values[-1]}"


def _cells(rows, first="model", columns=COLUMNS):
    """Heading and one line a row, as strings."""
    lines = [[first, *(heading for heading, *_ in columns)]]
    for row in rows:
        line = [row[first]]
        for _, key, interval, decimals in columns:
            line.append(_number(row.get(key), decimals))
            ends = row.get(interval) if interval else None
            if ends:
                line[-1] += f" [{', '.join(_number(end, decimals) for end in ends)}]"
        lines.append(line)
    return lines


def _markdown(cells):
    """Heading and lines as a markdown table."""
    head, *body = cells
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *body))


def _number(value, decimals):
    if value is None or not math.isfinite(value):
        return "n/a"
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def _fixed(line, widths):
    first, *rest = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
    return "  ".join([first, *(cell.strip().rjust(len(cell)) for cell in rest)])


def _verdicts(result):
    """Claims that were tested, from any entry that carries a "verdict"."""
    for entry in result.values():
        if isinstance(entry, dict) and isinstance(entry.get("verdict"), dict):
            yield from (f"Claim '{claim}': {text}" for claim, text in entry["verdict"].items())


def _shown(path):
    return path.relative_to(paths.ROOT) if path.is_relative_to(paths.ROOT) else path


_KINDS = (
    ("n", "n", None, 0),
    ("families", "n_families", None, 0),
    ("top-1 %", "top1", "top1_ci95", 1),
    ("top-5 %", "top5", None, 1),
    ("prior only, top-1 %", "prior_top1", None, 1),
    ("bits", "bits_over_prior", "bits_ci95", 2),
    ("NLL", "nll", None, 2),
)

_INDEXING = (
    ("n", "n", None, 0),
    ("lines, median", "lines", None, 0),
    ("system right %", "system_found", None, 1),
    ("cell right %", "cell_found", None, 1),
    ("top-1 %", "top1", "top1_ci95", 1),
    ("top-5 %", "top5", None, 1),
)

# What the profile `released` left besides its scores: our key, the result, and where its rows are.
_PARTS = (
    ("released without", "retrieval", "parts"),
    ("released indexing", "indexing", "rows"),
)

_GROUPS = (
    ("n", "n", None, 0),
    ("predicted", "predicted", None, 0),
    ("top-1 %", "top1", None, 1),
    ("top-5 %", "top5", None, 1),
    ("NLL", "nll", None, 2),
)

_COVERAGE = ("promised", "families", "patterns", "size", "single")

_MISTAKES = ("source", "true", "predicted", "probability", "nearest", "similarity", "why")

_PERCENT = ("promised", "families", "patterns", "single", "probability")


def _table(columns, rows):
    lines = [[_cell(row[key], key in _PERCENT) for key in columns] for row in rows]
    return _markdown([columns, *lines])


def _cell(value, percent):
    if isinstance(value, float):
        return f"{100 * value:.0f} %" if percent else f"{value:.2f}"
    return str(value).replace("|", "\\|")
