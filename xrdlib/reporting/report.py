"""The summary of a profile's results, as `xrdlib report` prints it from its file.

`headline` has the one table of the README, `documents` all tables.
"""

import math
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

from ..base import files, paths, results
from ..base.errors import XrdlibError
from ..learning.experiment import HOW_TO_GET_MEASURED, MEASURED
from ..learning.nulls import BY_PATTERNS, ORACLE, PRIOR
from ..prediction.benchmarks import SETS

_TEST = MEASURED[1]

MODELS = (
    "released",
    "physics transformer",
    PRIOR,
    BY_PATTERNS,
    ORACLE,
    "shuffled",
    "search-match",
    "resnet",
    "plain transformer",
)

# Column heading, key, whether with its interval, decimals. Rates are in percent.
COLUMNS = (
    ("top-1 %", "top1", True, 1),
    ("top-5 %", "top5", True, 1),
    ("balanced %", "balanced_top1", False, 1),
    ("bits", "bits_over_prior", True, 2),
    ("NLL", "nll", False, 2),
    ("ECE %", "ece", False, 1),
)

_CELL = ("cell right %", "cell_found", True, 1)

SCORES = ("top1", "bits_over_prior", "nll")

WIDTH = 100

# Between these lines of a text file its tables are kept up to date.
RESULTS = ("<!-- results: xrdlib report --into FILE -->", "<!-- end of results -->")

HEADLINE = ("<!-- headline: xrdlib report --headline --into FILE -->", "<!-- end of headline -->")

LEGEND = (
    "Brackets: 95 % bootstrap interval over mineral families. Balanced: top-1 averaged over "
    "classes. Bits: information beyond the row 'prior only' of the same table; above 0, the model "
    "used the pattern. NLL in nats."
)


def summary(
    rows: list[dict],
    config: SimpleNamespace,
    missing: Iterable[str] = (),
    extra: dict | None = None,
) -> dict:
    """Write `results/PROFILE/summary.json` with its stamp.

    Parameters
    ----------
    rows : list of dict
        As `metrics.evaluate` gives them.
    missing : iterable of str
        Subsets without data: each model gets a row of nulls there, and a note says how to get them.
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
        how = HOW_TO_GET_MEASURED if subset == _TEST else how
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


# Further results of the profile `released`: our key, the result, and the key of its rows.
_PARTS = (
    ("released without", "retrieval", "parts"),
    ("released indexing", "indexing", "rows"),
    *((name, name, None) for name in SETS[1:]),
)


def load(profile: str) -> dict:
    """The summary that `summary` wrote, with the results beside it that reports also show.

    Returns
    -------
    dict
        As from `summary`; with "dag_errors" and "released" (contents of the files of these names)
        where they exist; "released without" a part and "released indexing", rows that the
        profile `released` left; and what `xrdlib evaluate` left there of other sets.

    Raises
    ------
    XrdlibError
        If there is no summary, or a file is not JSON.
    """
    result, own = read(profile, "summary"), SimpleNamespace(profile=profile)
    for name in ("dag_errors", "released"):
        if results.exists(own, name):
            result[name] = results.read(own, name)
    made = SimpleNamespace(profile="released")
    for key, name, rows in _PARTS:
        if results.exists(made, name):
            content = results.read(made, name)
            result[key] = content if rows is None else content[rows]
    return result


def read(profile: str, name: str) -> dict:
    """A result of a profile, or the command that makes it."""
    config = SimpleNamespace(profile=profile)
    if not results.exists(config, name):
        path = paths.results(profile) / f"{name}.json"
        raise XrdlibError(f"{path} does not exist; run `make repro PROFILE={profile}`.")
    return results.read(config, name)


def as_text(result: dict) -> str:
    """A summary as fixed-width text: one table a subset, notes, where the figures are."""
    first = f"Results of profile {result['profile']}"
    parts = [". ".join(filter(None, [first, result.get("cut_short")]))]
    for subset, rows in by_subset(result):
        lines = cells(rows)
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        head, *body = (_fixed(line, widths) for line in lines)
        rule = "-" * len(head)
        parts.append("\n".join([title(subset, rows), rule, head, rule, *body, rule]))
    prose = [LEGEND, *(f"Note: {note}" for note in result["notes"]), *_verdicts(result)]
    parts += [textwrap.fill(text, WIDTH, subsequent_indent="  ") for text in prose]
    figures = paths.figures(result["profile"])
    here = figures.is_relative_to(paths.ROOT)
    parts.append(f"Figures: {figures.relative_to(paths.ROOT) if here else figures}")
    return "\n\n".join(parts)


def markdown(lines: Iterable[Iterable[str]], rule: str = "---:") -> str:
    """A table in Markdown.

    Parameters
    ----------
    lines : iterable of iterable of str
        Cells; the first line is the heading.
    rule : str
        How all columns but the first are aligned, by default to the right, as numbers are.

    Examples
    --------
    >>> print(markdown([["model", "top-1 %"], ["released", "71.9"]]))
    | model | top-1 % |
    | --- | ---: |
    | released | 71.9 |
    """
    head, *body = lines
    rules = ["---", *(rule for _ in head[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rules, *body))


def insert(path: str | Path, text: str, marks: tuple[str, str] = RESULTS) -> None:
    """Replace what stands between two marks, lines that stay, in a file.

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
    keys = [key for _, key, *_ in COLUMNS]
    keys += [_interval(key) for _, key, shown, _ in COLUMNS if shown]
    return {"model": model, "subset": subset, "n": None, **dict.fromkeys(keys)}


def _interval(key):
    return "bits_ci95" if key == "bits_over_prior" else f"{key}_ci95"


def by_subset(result: dict) -> Iterator[tuple[str, list[dict]]]:
    """(subset, its rows) in the order of the file, measured patterns first."""
    subsets = dict.fromkeys(row["subset"] for row in result["rows"])
    for subset in sorted(subsets, key=lambda name: name != _TEST):
        yield subset, [row for row in result["rows"] if row["subset"] == subset]


def title(subset: str, rows: list[dict]) -> str:
    """Name of a subset, with its numbers of patterns and families."""
    counts = sorted({row["n"] for row in rows if row["n"] is not None})
    families = sorted({row["n_families"] for row in rows if row.get("n_families") is not None})
    if not counts:
        return f"{subset} (no data)"
    of = f" of {_span(families)} families" if families else ""
    return f"{subset} (n = {_span(counts)} patterns{of})"


def _span(values):
    return f"{values[0]}" if len(values) == 1 else f"{values[0]} to {values[-1]}"


def cells(rows: list[dict], first: str = "model", columns: tuple = COLUMNS) -> list[list[str]]:
    """Heading and one line a row, as strings; `first` is the key of what is not a number.

    Cells of a set whose cells are known have a column more.
    """
    if any("cell_found" in row for row in rows) and columns is COLUMNS:
        columns = (*columns, _CELL)
    lines = [[first, *(heading for heading, *_ in columns)]]
    for row in rows:
        numbers = [
            number(row.get(key), decimals, row.get(_interval(key)) if shown else None, "n/a")
            for _, key, shown, decimals in columns
        ]
        lines.append([row[first], *numbers])
    return lines


def number(value: float | None, decimals: int, ends: list | None = None, unknown: str = "-") -> str:
    """A number with its interval, if it has one; no zero has a minus."""
    if value is None or not math.isfinite(value):
        return unknown
    text = f"{value:.{decimals}f}"
    text = text.lstrip("-") if float(text) == 0 else text
    shown = ", ".join(number(end, decimals) for end in ends or ())
    return f"{text} [{shown}]" if shown else text


def _fixed(line, widths):
    (first, *rest), (width, *others) = line, widths
    cells = (cell.rjust(width) for cell, width in zip(rest, others, strict=True))
    return "  ".join([first.ljust(width), *cells])


def _verdicts(result):
    """Claims that were tested, from any entry that carries a "verdict"."""
    for entry in result.values():
        if isinstance(entry, dict) and isinstance(entry.get("verdict"), dict):
            yield from (f"Claim '{claim}': {text}" for claim, text in entry["verdict"].items())
