"""Answers and explanations as text, JSON and CSV."""

import csv
import io
import json
import textwrap

import numpy as np

from ..learning.priors import label_of
from ..symmetry import groups
from ..symmetry.conditions import conditions
from . import cell_words
from .answer import FLAGS

_COLUMNS = "file rank group symbol crystal_system space_groups probability in_set set flags".split()

_SHOWN = 12  # groups of a set that are named


def json_list(answers):
    """A JSON list with one object for each answer, see `answer.answer`."""
    return "[\n" + ",\n".join(json.dumps(answer) for answer in answers) + "\n]\n"


def csv_table(answers):
    """A row for each group listed; space groups, set and flags are separated by blanks."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for answer in answers:
        for rank, row in enumerate(answer["predictions"], 1):
            writer.writerow(
                [answer["file"], rank, row["group"], row["symbol"], row["crystal_system"],
                 " ".join(map(str, row["space_groups"])), f"{row['probability']:.6g}",
                 int(row["group"] in answer["set"]), " ".join(map(str, answer["set"])),
                 " ".join(answer["flags"])]
            )  # fmt: skip
    return stream.getvalue()


def text(answers):
    """A table and some sentences for each answer."""
    return "\n".join(_one(answer) for answer in answers)


def _one(answer):
    name = "".join(c if c.isprintable() else "?" for c in answer["file"])
    lines = [name, ""]
    lines.append("  rank  group  symbol           system        probability  space groups")
    for rank, row in enumerate(answer["predictions"], 1):
        lines.append(
            f"  {rank:4}  {row['group']:5}  {row['symbol']:15}  {row['crystal_system']:12}"
            f"  {percent(row['probability']):>11}  {members(row['space_groups'])}"
        )
    lines += ["", *(f"  {sentence}" for sentence in sentences(answer)), ""]
    return "\n".join(lines)


def sentences(answer):
    """What the set and the flags of an answer mean.

    Returns
    -------
    list of str
    """
    symbols, labels = groups.symbols(), answer["set"]
    named = ", ".join(symbols[k - 1] for k in labels[:_SHOWN])
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    count = f"{len(labels)} groups" if len(labels) > 1 else "one group"
    found = [f"{100 * answer['coverage']:g} % set, {count}: {named}{more}."]
    if len(labels) > 1:
        found.append(_in_common(answer))
    found += twins([row["group"] for row in answer["predictions"] if row["group"] in labels])
    if nearest := answer["nearest"]:
        group = f"{symbols[nearest['group'] - 1]} ({nearest['group']})"
        found.append(
            f"Most like: {nearest['name']}, {group}, similarity {nearest['similarity']:.2f}."
        )
    if lattice := answer["lattice"]:
        found.append(_lattice(lattice, symbols))
    return found + [FLAGS[flag] for flag in answer["flags"]]


def _lattice(lattice, symbols):
    if "M" in lattice:
        return cell_words.sentence(lattice, symbols[lattice["group"] - 1])
    named = f"{symbols[lattice['group'] - 1]} ({lattice['group']})"
    edges = ", ".join(f"{x:.3f}" for x in lattice["cell"][:3])
    angles = ", ".join(f"{x:.2f}".removesuffix(".00") for x in lattice["cell"][3:])
    return (
        f"A lattice for {named}: {edges} angstrom, {angles} degrees; it explains "
        f"{lattice['explained']} of the first {lattice['lines']} lines."
    )


def twins(labels):
    """A sentence for each pair of groups with the same absences that a label belongs to.

    Parameters
    ----------
    labels : sequence of int
        Groups 1..99.

    Returns
    -------
    list of str
    """
    symbols, systems = groups.symbols(), groups.crystal_systems()
    classes = groups.diffraction_classes()
    said = []
    for label in labels:
        alike = np.flatnonzero(classes == classes[label - 1])
        if len(alike) > 1:
            named = " from ".join(f"{symbols[i]} ({i + 1}, {systems[i]})" for i in alike)
            sentence = f"Diffraction cannot tell {named}: both forbid the same reflections."
            said += [sentence] if sentence not in said else []
    return said


def percent(probability):
    """A probability for people: never quite 0 or 100 %."""
    if probability < 0.0005:
        return "< 0.1 %"
    return "> 99.9 %" if probability > 0.9995 else f"{100 * probability:.1f} %"


def members(space_groups, most=6):
    """Symbols of space groups, the first few."""
    shown = ", ".join(groups.reference_symbol(number) for number in space_groups[:most])
    return shown + (", ..." if len(space_groups) > most else "")


def _in_common(answer):
    """The sentence about the place of a set on the graph of symmetry lowering."""
    symbols, systems = groups.symbols(), groups.crystal_systems()
    least = [k for k in answer["at_least"] if systems[k - 1] != "triclinic"]
    if not least:
        return "These groups have no symmetry in common."
    named = " and ".join(f"{symbols[k - 1]} ({systems[k - 1]})" for k in least)
    upper = ", ".join(f"{symbols[k - 1]} ({systems[k - 1]})" for k in answer["at_most"][:3])
    return f"In common: at least {named}" + (f", at most {upper}." if upper else ".")


FORMS = {"text": text, "json": json_list, "csv": csv_table}


def overview():
    """One line for each of the 99 groups."""
    lines = ["group  symbol           system        space groups"]
    for row in groups.table()["extinction_groups"]:
        members = " ".join(map(str, row["space_groups"]))
        lines.append(f"{row['label']:5}  {row['symbol']:15}  {row['crystal_system']:12}  {members}")
    return "\n".join(lines) + "\n"


def group(key):
    """Explain one extinction group.

    Parameters
    ----------
    key : int or str
        As for `priors.label_of`; a label may be given as text.

    Returns
    -------
    str

    Raises
    ------
    XrdlibError
        If the key names no group, or several.
    """
    from ..symmetry.dag import subgroup_dag

    label = label_of(int(key) if str(key).isdecimal() else key)
    row = groups.table()["extinction_groups"][label - 1]
    first = row["space_groups"][0]
    stated = "; ".join(map(str, conditions(first))) or "none, all reflections are there"
    graph = subgroup_dag()
    facts = {
        "space groups": ", ".join(
            f"{groups.reference_symbol(n)} ({n})" for n in row["space_groups"]
        ),
        f"absent unless, in the axes of {groups.reference_symbol(first)}": stated,
        "symbols in other settings": ", ".join(row["settings"][1:]) or "none",
        "symmetry lowered by one step": _names(graph.successors(label)),
        "symmetry raised by one step": _names(graph.predecessors(label)),
    }
    if twins := _twins(row):
        facts["cannot be told apart by absences from"] = _names(twins)
    blocks = [f"Extinction group {label}: {row['symbol']}, {row['crystal_system']}"]
    for name, value in facts.items():
        wrapped = textwrap.wrap(value, 76, break_on_hyphens=False)
        blocks.append("\n".join([f"{name}:", *(f"    {line}" for line in wrapped)]))
    return "\n".join(blocks) + "\n"


def _twins(row):
    """Other labels with the same absences."""
    return [
        other["label"]
        for other in groups.table()["extinction_groups"]
        if other["diffraction_class"] == row["diffraction_class"] and other is not row
    ]


def _names(labels):
    symbols = groups.symbols()
    return ", ".join(f"{symbols[k - 1]} ({k})" for k in sorted(labels)) or "none"
