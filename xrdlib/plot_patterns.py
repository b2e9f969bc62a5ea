"""Figures of patterns."""

import matplotlib.pyplot as plt
import numpy as np

from .errors import XrdlibError
from .plot_style import COLOURS, PAGE, need, styled


@styled
def example_patterns(examples):
    """Measured patterns, each with a simulated pattern of the same mineral under it.

    Parameters
    ----------
    examples : list of dict
        "title" (str), "measured" and "simulated": each (two_theta, intensity), arrays of equal
        length, degrees and any unit of intensity.

    Returns
    -------
    matplotlib.figure.Figure
    """
    need(examples, "one example or more")
    fig, axes = plt.subplots(
        len(examples), 1, figsize=(PAGE, 0.5 + 1.35 * len(examples)), sharex=True, squeeze=False
    )
    for ax, example in zip(axes[:, 0], examples, strict=True):
        for key, colour, base in (
            ("measured", COLOURS["black"], 1.0),
            ("simulated", COLOURS["blue"], 0.0),
        ):
            two_theta, intensity = (np.asarray(values) for values in example[key])
            if two_theta.shape != intensity.shape or not intensity.max() > 0:
                raise XrdlibError(
                    f"{example['title']}: the {key} pattern has {two_theta.shape} angles, "
                    f"{intensity.shape} intensities; give as many, not all zero."
                )
            ax.plot(two_theta, base + 0.92 * intensity / intensity.max(), color=colour, lw=0.6)
            ax.text(0.995, base / 2 + 0.4, key, color=colour, ha="right", va="top",
                    transform=ax.transAxes)  # fmt: skip
        ax.set_title(example["title"], loc="left")
        ax.set(yticks=[], ylim=(-0.04, 2.0))
        ax.margins(x=0)
    fig.supylabel("scaled intensity", fontsize=8)
    axes[-1, 0].set_xlabel(r"2$\theta$ (degrees)")
    return fig
