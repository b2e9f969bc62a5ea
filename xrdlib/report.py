"""The summary of a profile's results: written once, printed as text or as markdown.

`xrdlib report` prints it from its file, `--markdown` in the form that the README shows.
"""

import json
import math
import sys
import textwrap
from pathlib import Path

from . import atomic, paths, results
from .errors import XrdlibError
from .headline import headline

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
# What to do about a subset that could not be had.
HOW_TO_GET = {
    MEASURED: (
        "set XRDLIB_DATA to a folder with rruff.npz or with the official RRUFF archives "
        "(www.rruff.net, zipped_data_files/powder: XY_Processed and DIF), then run again"
    ),
}
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
        how = HOW_TO_GET.get(subset, "`xrdlib fetch` says where it comes from, then run again")
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
    atomic.write_text(path, f"{before}{begin}\n{text}\n{end}{after}")


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
