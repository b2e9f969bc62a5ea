"""The summary of a profile's results, the headline table and the model card.

`xrdlib report` prints it from its file, `--markdown` in the form that the README shows.
"""

import json
import math
import sys
import textwrap
from pathlib import Path

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
    ("top-1, 97 %", "top1_97", None, 1),
    ("bits", "bits_over_prior", "bits_ci95", 2),
    ("NLL", "nll", None, 2),
    ("ECE %", "ece", None, 1),
)

SCORES = ("top1", "bits_over_prior", "nll")

WIDTH = 100

# Between these lines of a text file the tables of a profile are kept up to date.
BEGIN = "<!-- results: xrdlib report --markdown --into FILE -->"

END = "<!-- end of results -->"

LEGEND = (
    "Brackets: 95 % bootstrap interval over mineral families. Balanced: top-1 averaged over "
    "classes. 97: the classes that diffraction can tell apart. Bits: information beyond the "
    "prior; above 0, the pattern told the model something. NLL in nats."
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
    """The summary that `summary` wrote, with the error analysis if there is one beside it.

    Raises
    ------
    XrdlibError
        If it does not exist or is not JSON.
    """
    path = paths.results(profile) / "summary.json"
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        result.pop("made_with", None)
        if (errors := path.with_name("dag_errors.json")).is_file():
            result["dag_errors"] = json.loads(errors.read_text(encoding="utf-8"))
        if (released := path.with_name("released.json")).is_file():
            result["released"] = json.loads(released.read_text(encoding="utf-8"))["rows"]
        return result
    except FileNotFoundError:
        raise XrdlibError(f"{path} does not exist; run `make repro PROFILE={profile}`.") from None
    except json.JSONDecodeError as error:
        raise XrdlibError(f"{path} or its neighbour is not JSON ({error}); run again.") from None


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
    """A summary as markdown tables, for the README; first what a clock cut short."""
    parts = [f"**{result['cut_short']}**"] if result.get("cut_short") else []
    if rows := result.get("released"):
        parts.append(headline(rows))
    for subset, rows in _by_subset(result):
        head, *body = _cells(rows)
        rule = ["---", *("---:" for _ in head[1:])]
        lines = [f"| {' | '.join(line)} |" for line in (head, rule, *body)]
        parts.append("\n".join([f"**{_title(subset, rows)}**", "", *lines]))
    return "\n\n".join([*parts, LEGEND, *(f"Note: {n}" for n in result["notes"])])


def insert(path, text, marks=(BEGIN, END)):
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


def _cells(rows):
    """Heading and one line a row, as strings."""
    lines = [["model", *(heading for heading, *_ in COLUMNS)]]
    for row in rows:
        line = [row["model"]]
        for _, key, interval, decimals in COLUMNS:
            line.append(_number(row.get(key), decimals))
            ends = row.get(interval) if interval else None
            if ends:
                line[-1] += f" [{', '.join(_number(end, decimals) for end in ends)}]"
        lines.append(line)
    return lines


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
    parts = [headline(found["rows"]), as_markdown(rows)]
    parts += [
        f"**By {name}** ({experiment.MEASURED[1]}; rates in percent)\n\n{_table(_KINDS, kind)}"
        for name, kind in found["kinds"].items()
    ]
    parts.append(f"**By group** ({experiment.MEASURED[1]})\n\n{_table(_GROUPS, found['groups'])}")
    parts.append(
        f"**Sets** ({experiment.MEASURED[1]}): promised and met coverage over families and "
        f"over patterns, mean number of groups, share of sets of one group\n\n"
        f"{_table(_COVERAGE, found['coverage'], _PERCENT)}"
    )
    parts.append(
        f"**The most confident mistakes** ({experiment.MEASURED[0]}; doubtful labels are listed, "
        f"none was dropped)\n\n{_table(_MISTAKES, found['mistakes'], _PERCENT)}"
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
    insert(CARD, tables(found))


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
