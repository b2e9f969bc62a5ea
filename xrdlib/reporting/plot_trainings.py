"""Figures of trainings that are compared, and of the positional encoding."""

import matplotlib.pyplot as plt
import numpy as np

from ..prediction.style import COLOURS, CYCLE, MARKERS, PAGE, need, styled

_SCORES = {"top1": "top-1 (%)", "top5": "top-5 (%)", "nll": "NLL (nats)", "bits": "bits over prior"}

_SUBSETS = dict(zip(("rruff-test", "amcsd-test", "random-crystals"), CYCLE, strict=False))


@styled
def scaling(content):
    """Accuracy against training patterns and time, NLL with its power law, and learning curves.

    Parameters
    ----------
    content : dict
        results/PROFILE/scaling.json: "rows", "fits", "n" (test patterns), "null".

    Returns
    -------
    matplotlib.figure.Figure
    """
    need(content["rows"], "a row for each training")
    fig, axes = plt.subplots(2, 2, figsize=(PAGE, 4.8))
    models = list(dict.fromkeys(row["model"] for row in content["rows"]))
    for model, colour, marker in zip(models, CYCLE, MARKERS, strict=False):
        rows = [row for row in content["rows"] if row["model"] == model]
        sizes = sorted({row["patterns"] for row in rows})
        look = {"color": colour, "marker": marker, "label": model}
        for ax, x, score in (
            (axes[0, 0], "patterns", "top1"),
            (axes[0, 1], "seconds", "top1"),
            (axes[1, 0], "patterns", "nll"),
        ):
            ax.plot([r[x] for r in rows], [r[score] for r in rows], ls="", alpha=0.5, **look)
            means = [
                [np.mean([r[key] for r in rows if r["patterns"] == size]) for size in sizes]
                for key in (x, score)
            ]
            ax.plot(*means, color=colour)
        fit = content["fits"][model]
        ends = np.array([sizes[0], sizes[-1]])
        axes[1, 0].plot(ends, fit["a"] * ends ** -fit["b"], color=colour, ls=":")
        for row in rows:
            if row["curve"]:
                axes[1, 1].plot(
                    [r["patterns"] for r in row["curve"]],
                    [r["nll"] for r in row["curve"]],
                    color=colour,
                    alpha=0.7,
                )
    axes[0, 0].axhline(content["null"]["top1"], color=COLOURS["black"], ls="--", lw=1)
    axes[0, 1].axhline(
        content["null"]["top1"], color=COLOURS["black"], ls="--", lw=1, label="prior only"
    )
    for ax in axes[1]:
        ax.axhline(content["null"]["nll"], color=COLOURS["black"], ls="--", lw=1)
    for ax in axes.flat[:3]:
        ax.set_xscale("log")
    axes[1, 0].set_yscale("log")
    axes[1, 0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes[1, 0].yaxis.set_minor_formatter(lambda value, _: f"{value:.1f}")
    axes[0, 0].set(xlabel="training patterns", ylabel=_SCORES["top1"], ylim=(0, None))
    axes[0, 1].set(xlabel="training time (s)", ylabel=_SCORES["top1"], ylim=(0, None))
    axes[1, 0].set(xlabel="training patterns (dotted: power law)", ylabel=_SCORES["nll"])
    axes[1, 1].set(xlabel="patterns seen", ylabel="NLL on the way")
    axes[0, 1].legend(loc="upper left")
    fig.suptitle(
        f"balanced patterns of reflections, n = {content['n']}; every dot is one training",
        fontsize=8,
    )
    return fig


@styled
def ablations(
    content,
    variants=None,
    title="change from the model as it is (all parts, stage 2 alone); 95 % over families and seeds",
):
    """What each change does to the bits over the prior, a row a variant, a colour a set.

    Parameters
    ----------
    content : dict
        results/PROFILE/ablations.json: "tables" by subset, "base".
    variants : iterable of str, optional
        All but the base by default.

    Returns
    -------
    matplotlib.figure.Figure
    """
    need(content["tables"], "a table of trainings")
    first = next(iter(content["tables"].values()))
    names = list(variants or (row["variant"] for row in first if row["variant"] != content["base"]))
    fig, axes = plt.subplots(1, 2, figsize=(PAGE, 0.9 + 0.27 * len(names)), sharey=True)
    subsets = [name for name in content["tables"] if name in _SUBSETS]
    for k, subset in enumerate(subsets):
        rows = {row["variant"]: row for row in content["tables"][subset]}
        shift = 0.5 * (k / max(1, len(subsets) - 1) - 0.5)
        for ax, score in zip(axes, ("bits", "top1"), strict=True):
            y = np.arange(len(names)) + shift
            value = [rows[name][f"{score}_change"] for name in names]
            ends = np.array([rows[name][f"{score}_change_ci95"] for name in names])
            error = np.abs(ends.T - np.array(value))
            ax.errorbar(
                value,
                y,
                xerr=error,
                fmt=MARKERS[k],
                color=_SUBSETS[subset],
                capsize=2,
                label=f"{subset}, n = {rows[names[0]]['n']}",
            )
    axes[0].set_yticks(np.arange(len(names)), names)
    axes[0].invert_yaxis()
    axes[0].set_xlabel("change of bits over prior")
    axes[1].set_xlabel("change of top-1 (percentage points)")
    for ax in axes:
        ax.axvline(0, color=COLOURS["black"], lw=0.8)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    fig.suptitle(title, fontsize=8)
    return fig


@styled
def levels(content, variants, labels=None):
    """Scores of a few variants on every set, each seed a dot.

    Parameters
    ----------
    content : dict
        As for `ablations`.
    variants : iterable of str
    labels : iterable of str, optional
        What to call them.

    Returns
    -------
    matplotlib.figure.Figure
    """
    variants = list(variants)
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.6))
    subsets = [name for name in content["tables"] if name in _SUBSETS]
    first = next(iter(content["tables"].values()))
    # As many seeds of each, or their means could not be compared.
    seeds = min(row["seeds"] for row in first if row["variant"] in variants)
    for k, subset in enumerate(subsets):
        rows = {row["variant"]: row for row in content["tables"][subset]}
        x = np.arange(len(variants)) + 0.24 * (k - (len(subsets) - 1) / 2)
        for ax, score in zip(axes, ("top1", "top5", "bits"), strict=True):
            ax.bar(
                x,
                [np.mean(rows[name][f"{score}_seeds"][:seeds]) for name in variants],
                width=0.22,
                color=_SUBSETS[subset],
                label=f"{subset}, n = {rows[variants[0]]['n']}",
            )
            null = content["nulls"][subset][score]
            ax.hlines(np.full(len(x), null), x - 0.12, x + 0.12, color=COLOURS["black"], lw=1)
            for place, name in zip(x, variants, strict=True):
                each = rows[name][f"{score}_seeds"][:seeds]
                ax.plot([place] * seeds, each, ".", color=COLOURS["black"], ms=3)
            ax.set_ylabel(_SCORES[score])
    for ax in axes:
        ax.set_xticks(np.arange(len(variants)), labels or variants, rotation=20, ha="right")
        ax.axhline(0, color=COLOURS["black"], lw=0.8)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    fig.suptitle(f"bars: mean over {seeds} seeds; dots: each seed; lines: prior only", fontsize=8)
    return fig


def positional(content):
    """The two ways of telling the model where a reflection lies, with and without, `levels`."""
    names = ["as it is", "no coordinate channel", "no physics position", "neither"]
    return levels(content, names, ["both", "position only", "channel only", "neither"])


def space_group_control(content):
    """Trained on 230 space groups and collapsed, beside trained on 99 groups, `levels`."""
    return levels(
        content, ["no rule head", "230 space groups"], ["99 groups", "230, then collapsed"]
    )


@styled
def curriculum_study(content):
    """What texture in stage 2, prior and temperature do, mean over seeds.

    Parameters
    ----------
    content : dict
        results/PROFILE/ablations.json: "decoded" by subset.

    Returns
    -------
    matplotlib.figure.Figure
    """
    decoded = content["decoded"]
    need(decoded, "a table of decodings")
    subset, rows = next(iter(decoded.items()))
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    ways = list(dict.fromkeys(row["decoding"] for row in rows))
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.8))
    for ax, score in zip(axes, ("top1", "top5", "bits"), strict=True):
        for k, way in enumerate(ways):
            values = {row["variant"]: row[score] for row in rows if row["decoding"] == way}
            x = np.arange(len(variants)) + 0.2 * (k - (len(ways) - 1) / 2)
            ax.bar(x, [values[v] for v in variants], width=0.18, color=CYCLE[k], label=way)
        ax.axhline(0, color=COLOURS["black"], lw=0.8)
        ax.set_xticks(np.arange(len(variants)), variants, rotation=25, ha="right")
        ax.set_ylabel(_SCORES[score])
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    fig.suptitle(f"{subset}, n = {rows[0]['n']}; mean over seeds", fontsize=8)
    return fig


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
