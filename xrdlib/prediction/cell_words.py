"""Unit cells in words: the cell of an answer, and what `xrdlib index` prints."""

import json

from ..base.errors import printable
from .indexing import COLUMNS, IndexedCell, Peaks

# Below the first a cell is doubtful, below the second it is not reported. M: de Wolff (1968) takes
# 10 for proof. Chosen on simulated patterns of the Materials Project, where none that is not
# reported is right, and most that are not doubtful are.
_MERIT, _SHARE = (10.0, 5.0), (0.9, 0.6)  # the latter of the peaks, that it indexes
_LIKELY = 0.7  # probability among the cells found


def is_doubtful(cell: IndexedCell) -> bool:
    """Whether a cell is reported with a warning."""
    return not _reaches(cell, 0) or cell.probability < _LIKELY


def is_good(cell: IndexedCell) -> bool:
    """Whether a cell is reported at all."""
    return _reaches(cell, 1)


def _reaches(cell, level):
    share = cell.indexed / max(cell.indexed + cell.unindexed, 1)
    return cell.merit.m >= _MERIT[level] and share >= _SHARE[level]


def facts(cell: IndexedCell) -> dict:
    """A cell as values that JSON knows, see `predictor.Predictor.recognise`."""
    return {
        "group": cell.group,
        "cell": [round(x, 4) for x in cell.standard.cell],
        "crystal_system": cell.standard.crystal_system,
        "centring": cell.standard.centring,
        "M": _plain(cell.merit.m),
        "F": _plain(cell.merit.f),
        "peaks": cell.merit.n,
        "lines": cell.indexed + cell.unindexed,
        "explained": cell.indexed,
        "probability": round(cell.probability, 4),
        "doubtful": is_doubtful(cell),
    }


def sentence(lattice: dict, group: str) -> str:
    """The cell of an answer, by `facts` or `predictor.Predictor.recognise`, and its group."""
    edges = ", ".join(f"{x:.3f}" for x in lattice["cell"][:3])
    angles = ", ".join(f"{x:.2f}".removesuffix(".00") for x in lattice["cell"][3:])
    kind, merit, doubt = "", "", ""
    if "M" in lattice:
        kind = f"{lattice['crystal_system']} {lattice['centring']}, "
        merit = f"M{lattice['peaks']} = {lattice['M']:.0f}, "
        doubt = " It is doubtful." if lattice["doubtful"] else ""
    return (
        f"Cell ({kind}with {group}): {edges} angstrom, {angles} degrees; {merit}it indexes "
        f"{lattice['explained']} of the first {lattice['lines']} peaks.{doubt}"
    )


def listing(file: str, peaks: Peaks, cells: list[IndexedCell], notes: list[str]) -> str:
    """The table that `xrdlib index` prints, with sentences about the pattern below it."""
    lines = [f"{printable(file)}: {len(peaks.two_theta)} peaks, {peaks.wavelength:.5f} angstrom"]
    lines.append("")
    if cells:
        lines.append(
            "        a        b        c   alpha    beta   gamma  system          volume    zero"
            "         M        F  indexed  unindexed  probability"
        )
    for cell in cells:
        standard, merit = cell.standard, cell.merit
        edges = " ".join(f"{x:8.4f}" for x in standard.cell[:3])
        angles = " ".join(f"{x:7.3f}" for x in standard.cell[3:])
        named = f"{standard.crystal_system} {standard.centring}"
        m, f = f"M{merit.n}={merit.m:.1f}", f"F{merit.n}={merit.f:.1f}"
        lines.append(
            f" {edges} {angles}  {named:15}{cell.volume:7.1f} {cell.zero:7.3f} {m:>9}{f:>9}"
            f" {cell.indexed:7} {cell.unindexed:10} {100 * cell.probability:10.1f} %"
        )
    lines += ["", *(f"  {note}" for note in (*verdict(cells), *notes)), ""]
    return "\n".join(lines)


def verdict(cells: list[IndexedCell]) -> list[str]:
    """What to make of the first cell, in sentences."""
    if not cells:
        return ["No cell was found."]
    if not is_good(cells[0]):
        return ["None of these cells is good: the pattern is not indexed."]
    if is_doubtful(cells[0]):
        return ["The first cell is doubtful."]
    return []


def document(file: str, peaks: Peaks, cells: list[IndexedCell], notes: list[str]) -> str:
    """The same as JSON: "file", "wavelength", "peaks", "cells" and "notes".

    Of each cell the columns of `cell_table.index` are given, with "peaks", how many M20 and F20 are
    made of.
    """
    rows = [
        {key: _plain(value) for key, value in zip(COLUMNS, cell.row(), strict=True)}
        | {"peaks": cell.merit.n}
        for cell in cells
    ]
    content = {"file": file, "wavelength": peaks.wavelength, "peaks": len(peaks.two_theta)}
    content |= {"cells": rows, "notes": [*verdict(cells), *notes]}
    return json.dumps(content, indent=1) + "\n"


def _plain(value):
    """A number as JSON knows it, rounded; None for an infinite one."""
    if not isinstance(value, float):
        return value
    return round(value, 5) if abs(value) < float("inf") else None
