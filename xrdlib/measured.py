"""The measured patterns as the sets that models are calibrated and tested on."""

import numpy as np
import torch

from . import rruff
from .datasets import MissingData
from .experiment import MEASURED, PatternSet, folder, grid, save_set
from .patterns import normalise


def write_sets(config):
    """Write the measured patterns, split by family; nothing where there are none at hand.

    Returns
    -------
    dict of str to PatternSet
    """
    points = grid(config)
    folder(config, "sets/rruff")
    try:
        measured = rruff.load(grid=points)
    except MissingData as missing:
        print(f"No measured patterns: {missing}")
        return {}
    sets = {
        name: PatternSet(
            normalise(torch.from_numpy(part.intensity)).half().numpy(),
            part.group.astype(np.int64) - 1,
            part.family,
            part.source,
        )
        for name, part in zip(MEASURED, rruff.split(measured), strict=True)
    }
    for name, patterns in sets.items():
        save_set(config, name, patterns)
    return sets
