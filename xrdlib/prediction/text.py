"""Answers and explanations as text, JSON and CSV."""

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np

from ..base.errors import XrdlibError, printable
from ..learning.priors import parsed
from ..symmetry import groups
from ..symmetry.conditions import conditions
from ..symmetry.lookup import named, standard_symbol
from . import cell_words
from .flags import FLAGS

_COLUMNS = "file rank group symbol crystal_system space_groups probability in_set set flags".split()
_SHOWN = 12  # groups of a set that are named


def json_list(answers: list[dict]) -> str:
    """A JSON list with one object for each answer, see `answer.answer`."""
    return "[\n" + ",\n".join(json.dumps(answer) for answer in answers) + "\n]\n"


def csv_table(answers: list[dict]) -> str:
    """A row for each group listed; space groups, set and flags are separated by blanks."""
    import pandas as pd

    rows = [
        {**answer, **row, "rank": rank, "in_set": int(row["group"] in answer["set"])}
        for answer in answers
        for rank, row in enumerate(answer["predictions"], 1)
    ]
    for row in rows:
        row |= {key: " ".join(map(str, row[key])) for key in ("space_groups", "set", "flags")}
        row["probability"] = f"{row['probability']:.6g}"
    return pd.DataFrame(rows, columns=_COLUMNS).to_csv(index=False)


def text(answers: list[dict]) -> str:
    """A table and some sentences for each answer."""
    return "\n".join(_one(answer) for answer in answers)


def _one(answer):
    lines = [printable(answer["file"]), ""]
    lines.append(
        "  rank  space groups                    group  symbol           system"
        "                 probability"
    )
    for rank, row in enumerate(answer["predictions"], 1):
        label = f"eg{row['group']}"
        lines.append(
            f"  {rank:4}  {members(row['space_groups'], 3):30}  {label:5}  {row['symbol']:15}"
            f"  {row['crystal_system']:21}  {percent(row['probability']):>11}"
        )
    lines += ["", *(f"  {sentence}" for sentence in sentences(answer)), ""]
    return "\n".join(lines)


def sentences(answer: dict) -> list[str]:
    """What the set, the nearest structure, the lattice and the flags of an answer mean."""
    labels = answer["set"]
    rest = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    count = f"{len(labels)} groups" if len(labels) > 1 else "one group"
    lines = [f"{100 * answer['coverage']:g} % set, {count}: {named_groups(labels[:_SHOWN])}{rest}."]
    if len(labels) == groups.N_GROUPS:
        lines.append(
            "That is every group: too few families of minerals were at hand to calibrate sets of "
            "so high a coverage; ask for less with --coverage."
        )
    elif len(labels) > 1:
        lines.append(in_common(answer))
    lines += twins([row["group"] for row in answer["predictions"] if row["group"] in labels])
    if nearest := answer["nearest"]:
        lines.append(
            f"Most like: {nearest['name']} ({nearest['source']}), "
            f"{named_groups([nearest['group']])}, similarity {nearest['similarity']:.2f}."
        )
    if lattice := answer["lattice"]:
        lines.append(cell_words.sentence(lattice, named_groups([lattice["group"]])))
    return lines + warnings(answer)


def warnings(answer: dict) -> list[str]:
    """A sentence for each flag of an answer."""
    details = answer.get("details", {})
    return [" ".join(filter(None, (FLAGS[f], details.get(f)))) for f in answer["flags"]]


def named_groups(labels: Sequence[int]) -> str:
    """Space groups, label, extinction symbol and crystal system of groups.

    Examples
    --------
    >>> named_groups([4, 51])
    'P21/c (eg4 P 21/b 1 1, monoclinic); P4cc, P4/mcc (eg51 P - c c, tetragonal)'
    """
    symbols, systems = groups.symbols(), groups.system_names()
    rows = groups.table()["extinction_groups"]
    shown = {k: members(rows[k - 1]["space_groups"], 3) for k in labels}
    return "; ".join(f"{shown[k]} (eg{k} {symbols[k - 1]}, {systems[k - 1]})" for k in shown)


def twins(labels: Sequence[int]) -> list[str]:
    """A sentence for each pair of groups with the same absences that one of the labels is in."""
    classes = groups.diffraction_classes()
    lines = {}
    for label in labels:
        alike = np.flatnonzero(classes == classes[label - 1]) + 1
        if len(alike) > 1:
            both = " from ".join(named_groups([k]) for k in alike)
            lines[f"Diffraction cannot tell {both}: both forbid the same reflections."] = None
    return [*lines]


def percent(probability: float) -> str:
    """A probability for people: never quite 0 or 100 %."""
    if probability < 0.0005:
        return "< 0.1 %"
    return "> 99.9 %" if probability > 0.9995 else f"{100 * probability:.1f} %"


def members(space_groups: Sequence[int], most: int = 6) -> str:
    """Symbols of space groups, the first few."""
    shown = ", ".join(groups.reference_symbol(number) for number in space_groups[:most])
    return shown + (", ..." if len(space_groups) > most else "")


def in_common(answer: dict) -> str:
    """What the groups of a set share: crystal system, Laue class, and relatives on the graph.

    Examples
    --------
    >>> in_common({"set": [4, 6], "at_least": [99], "at_most": []})
    'All of them are monoclinic (Laue class 2/m).'
    """
    labels, systems = answer["set"], groups.system_names()
    in_set = dict.fromkeys(systems[k - 1] for k in labels)
    rows = [groups.table()["extinction_groups"][k - 1]["space_groups"] for k in labels]
    laue = dict.fromkeys(
        gemmi.find_spacegroup_by_number(number).laue_str() for row in rows for number in row
    )
    classes = f"Laue class {' or '.join(laue)}"
    if len(in_set) == 1:
        sentence = f"All of them are {next(iter(in_set))} ({classes})"
    else:
        sentence = f"They differ in crystal system ({', '.join(in_set)})"
    below = [k for k in answer["at_least"] if systems[k - 1] != "triclinic" and k not in labels]
    above = [k for k in answer["at_most"] if k not in labels][:3]
    if below:
        sentence += f"; lowering the symmetry of each leads to {named_groups(below)}"
    if above:
        sentence += f"; each is reached by lowering that of {named_groups(above)}"
    return sentence + "."


FORMS = {"text": text, "json": json_list, "csv": csv_table}


def understood(prior: str) -> list[str]:
    """What the symbols and numbers of a prior were taken for, one line each.

    Examples
    --------
    >>> understood("P21/n=2")
    ['prior: P21/n is space group 14, P21/c, in the setting P 1 21/n 1; extinction group eg4, \
P 21/b 1 1']
    """
    if prior in ("minerals", "uniform") or prior.startswith("system"):
        return []
    return [f"prior: {key} is {named(key)}" for key in parsed(prior)]


def overview() -> str:
    """One line for each of the 99 groups."""
    lines = ["group  symbol           system                 space groups"]
    for row in groups.table()["extinction_groups"]:
        numbers = " ".join(map(str, row["space_groups"]))
        label, system = row["label"], groups.system_names()[row["label"] - 1]
        lines.append(f"eg{label:<3}  {row['symbol']:15}  {system:21}  {numbers}")
    return "\n".join(lines) + "\n"


def group(key: int | str) -> str:
    """Explain one extinction group, and what its key was understood as.

    Parameters
    ----------
    key : int or str
        As for `lookup.named`. Symbol and reflection conditions are those of the standard setting
        of the space group that it names, else of the group's first one.

    Raises
    ------
    XrdlibError
        If the key names no group, or several.

    Examples
    --------
    >>> print(group("P21/n").splitlines()[0])
    P21/n: space group 14, P21/c, in the setting P 1 21/n 1; extinction group eg4, P 21/b 1 1.
    """
    from ..symmetry.dag import subgroup_dag

    entry = named(key)
    label = entry.label
    row = groups.table()["extinction_groups"][label - 1]
    number = entry.number or row["space_groups"][0]
    symbol, axes = standard_symbol(number), groups.reference_symbol(number)
    stated = "; ".join(map(str, conditions(number))) or "none, all reflections are there"
    graph = subgroup_dag()
    facts = {
        "space groups": ", ".join(
            f"{groups.reference_symbol(n)} ({n})" for n in row["space_groups"]
        ),
        f"absent unless, in the axes of {axes}": stated,
        "symbols in other settings": ", ".join(s for s in row["settings"] if s != symbol) or "none",
        "symmetry lowered by one step": named_groups(sorted(graph.successors(label))) or "none",
        "symmetry raised by one step": named_groups(sorted(graph.predecessors(label))) or "none",
    }
    classes = groups.diffraction_classes()
    alike = [k + 1 for k in np.flatnonzero(classes == classes[label - 1]) if k + 1 != label]
    if alike:
        facts["cannot be told apart by absences from"] = named_groups(alike)
    paper = "" if symbol == row["symbol"] else f" (in the paper {row['symbol']})"
    blocks = [
        f"{key}: {entry}.",
        f"Extinction group eg{label}: {symbol}{paper}, {groups.system_names()[label - 1]}",
    ]
    for name, value in facts.items():
        wrapped = textwrap.wrap(value, 76, break_on_hyphens=False)
        blocks.append("\n".join([f"{name}:", *(f"    {line}" for line in wrapped)]))
    return "\n".join(blocks) + "\n"


def write_text(path: str | Path, content: str) -> None:
    """Write a text file.

    Raises
    ------
    XrdlibError
        If it cannot be written.
    """
    try:
        Path(path).write_text(content, encoding="utf-8")
    except OSError as error:
        raise XrdlibError(f"{path} cannot be written: {error.strerror}.") from None
