"""Extinction groups in words: members, reflection conditions, neighbours."""

import textwrap

from . import groups
from .conditions import conditions
from .priors import label_of


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
    from .dag import subgroup_dag

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
