"""Figure of the gap from simulated to measured patterns."""

import matplotlib.pyplot as plt
import numpy as np

from .gap import CLEAN, EVERYTHING, LIKE
from .gap_study import MEASURED_ROW, PRIOR_ROW, SHUFFLED_ROW
from .plot_style import COLOURS, CYCLE, PAGE, interval, need, note, styled

_ENDS = (LIKE, MEASURED_ROW)


@styled
def gap(found):
    """Top-1 as nuisances are added, and what each costs.

    Parameters
    ----------
    found : dict
        As `gap_study.study` makes it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if found["note"]:
        return note(found["note"])
    name, part = next(
        (item for item in found["parts"].items() if _has_ladder(item[1])), (None, None)
    )
    need([name] if name else [], "a set with nuisances one at a time")
    networks = part["networks"]
    fig, (left, right) = plt.subplots(1, 2, figsize=(PAGE, 4.0), width_ratios=(1.25, 1))
    for i, (title, own) in enumerate(networks.items()):
        shift = 0.22 * (i - (len(networks) - 1) / 2)
        _ladder(left, own, title, CYCLE[i], shift)
        _costs(right, own["nuisances"], title, CYCLE[i], 1.4 * shift)
    first = next(iter(networks.values()))["rows"]
    for row, style in ((PRIOR_ROW, "--"), (SHUFFLED_ROW, ":")):
        left.axhline(first[row]["top1"], color=COLOURS["black"], lw=0.8, ls=style, label=row)
    left.set(ylabel="top-1 (%)", ylim=(0, None))
    left.set_title("nuisances added one after the other", loc="left")
    right.axvline(0, color=COLOURS["black"], lw=0.8)
    names = [entry["nuisance"] for entry in _nuisances(networks)]
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    right.set_xlabel("change of information (bits a pattern)")
    right.set_title("what each changes", loc="left")
    for face, text in ((COLOURS["black"], "as the last one"), ("white", "alone")):
        right.plot([], [], "ko", markerfacecolor=face, markersize=3.5, label=text)
    handles, labels = left.get_legend_handles_labels()
    more = right.get_legend_handles_labels()
    fig.legend(handles + more[0], labels + more[1], loc="outside lower center", ncol=6)
    fig.suptitle(
        f"{name}, structure known: n = {part['n']} patterns of {part['families']} families, "
        f"{found['draws']} simulated for each; bars: 95 % over families",
        fontsize=8,
    )
    return fig


def _nuisances(networks):
    """Rows of the nuisances, in the order in which they were added."""
    return next(iter(networks.values()))["nuisances"]


def _has_ladder(part):
    return any("nuisances" in own for own in part["networks"].values())


def _ladder(ax, own, title, colour, shift):
    """Top-1 of one network from clean to measured."""
    rungs = [(CLEAN, own["rows"][CLEAN])]
    rungs += [(f"+ {entry['nuisance']}", entry) for entry in own["nuisances"]]
    rungs[-1] = (f"{rungs[-1][0]}: {EVERYTHING}", rungs[-1][1])
    rungs += [(which, own["rows"][which]) for which in _ENDS]
    x = np.arange(len(rungs)) + shift
    value = [entry["top1"] for _, entry in rungs]
    error = np.array([interval(entry, "top1") for _, entry in rungs]).T
    joined = len(rungs) - len(_ENDS)
    ax.plot(x[:joined], value[:joined], color=colour)
    ax.errorbar(x, value, error, fmt="o", color=colour, elinewidth=0.8, label=title)
    ax.set_xticks(
        range(len(rungs)),
        [name for name, _ in rungs],
        rotation=50,
        ha="right",
        rotation_mode="anchor",
    )
    ax.axvline(joined - 0.5, color=COLOURS["grey"], lw=0.5)


def _costs(ax, nuisances, title, colour, shift):
    """Change of bits by each nuisance, last of all and alone."""
    for kind, face, offset in (("last", colour, -0.07), ("alone", "white", 0.07)):
        value = [entry[kind]["bits"] for entry in nuisances]
        error = np.array([interval(entry[kind], "bits") for entry in nuisances]).T
        y = np.arange(len(nuisances)) + shift + offset
        ax.errorbar(
            value,
            y,
            xerr=error,
            fmt="o",
            color=colour,
            markerfacecolor=face,
            markersize=3.5,
            elinewidth=0.8,
        )
