"""Figure of the positional ruler: angles read off tokens of trained and untrained networks."""

import matplotlib.pyplot as plt
import numpy as np

from .plot_style import COLOURS, PAGE, need, styled

_TITLES = {
    "two_theta": "2θ",
    "sin2_theta": "sin²θ, proportional to 1/d²",
    "d": "d for Cu Kα1",
}
_NULLS = {
    "as built": ("grey", "s", "-"),
    "no physics embedding": ("orange", "^", ":"),
    "no coordinate channel": ("green", "v", ":"),
    "neither": ("vermillion", "D", "--"),
}


@styled
def positional_ruler(content):
    """R2 of each target at each place, trained against untrained, a row a network.

    Parameters
    ----------
    content : dict
        Result `ruler`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    networks = content["networks"]
    need(networks, "at least one network")
    fig, axes = plt.subplots(
        len(networks), len(_TITLES), figsize=(PAGE, 0.6 + 2.3 * len(networks)), squeeze=False
    )
    for row, network in zip(axes, networks, strict=True):
        places = list(dict.fromkeys(r["place"] for r in network["trained"]))
        at = {place: i for i, place in enumerate(places)}
        for ax, (target, title) in zip(row, _TITLES.items(), strict=True):
            for variant, (colour, marker, style) in _NULLS.items():
                _line(
                    ax,
                    [r for r in network["untrained"][variant] if r["target"] == target],
                    at,
                    "r2_range",
                    f"untrained, {variant}",
                    {"color": COLOURS[colour], "marker": marker, "ls": style},
                )
            _line(
                ax,
                [r for r in network["trained"] if r["target"] == target],
                at,
                "r2_ci95",
                "trained",
                {"color": COLOURS["blue"], "marker": "o", "ls": "-"},
            )
            ax.axhline(0, color="black", lw=0.6)
            ax.set_xticks(range(len(places)), places, rotation=40, ha="right")
            ax.set(ylim=(-0.45, 1.08), title=f"{network['network']}: {title}")
        row[0].set_ylabel("R² on tokens held back")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=3)
    first = networks[0]
    seeds, few = (first["untrained"][name][0]["seeds"] for name in ("as built", "neither"))
    fig.suptitle(
        f"Linear probes on {content['subset']}, n = {first['patterns']} patterns\nbars: trained, "
        f"95 % over runs of tokens; untrained, range over {seeds} seeds ({few} of a variant)",
        fontsize=8,
    )
    return fig


def _line(ax, rows, at, ends, label, style):
    """Scores along the places, with their intervals or ranges."""
    shown = [row for row in rows if row["place"] in at]
    x = [at[row["place"]] for row in shown]
    values = np.array([row["r2"] for row in shown])
    low, high = np.transpose([row[ends] for row in shown])
    error = np.clip([values - low, high - values], 0, None)
    ax.errorbar(x, values, error, label=label, elinewidth=0.8, capsize=1.5, **style)
