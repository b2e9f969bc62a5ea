"""Training on the 230 space groups, and what that says of the 99 extinction groups."""

import numpy as np
import torch

from .errors import XrdlibError
from .experiment import stage2_stream
from .groups import N_GROUPS, group_of_space_group


class SpaceGroupStream:
    """A stream of patterns labelled with their space groups, 0..229.

    Parameters
    ----------
    stream : stream.PatternStream
        Whose patterns are given unchanged.
    """

    def __init__(self, stream):
        self.stream = stream
        self.config = {**stream.config, "target": "space groups"}
        self.class_probabilities = stream.class_probabilities

    def part(self, rank, count):
        """As `PatternStream.part`."""
        return SpaceGroupStream(self.stream.part(rank, count))

    def batch(self, step):
        """Network input (batch, grid.size) float32 and space groups less one (batch,) int64.

        Raises
        ------
        XrdlibError
            If the space group of a crystal is not known.
        """
        x, label = self.stream.batch(step)
        space_group = self.stream.crystals(self.stream.numbers(step)).space_group.astype(np.int64)
        if space_group.min() < 1:
            raise XrdlibError("A crystal has no space group; train on extinction groups instead.")
        return x, torch.from_numpy(space_group - 1).to(label.device)


def space_group_stream(config, batch):
    """The stream of stage 2 with space groups as labels."""
    return SpaceGroupStream(stage2_stream(config, batch))


def collapse(logp):
    """Log-probabilities of the extinction groups from those of the space groups.

    Parameters
    ----------
    logp : array_like, (n, 230)

    Returns
    -------
    ndarray, (n, 99) float64
        Each the sum over the members of a group.
    """
    members = group_of_space_group()[1:] - 1
    found = np.full((len(logp), N_GROUPS), -np.inf)
    for column, group in enumerate(members):
        found[:, group] = np.logaddexp(found[:, group], np.asarray(logp)[:, column])
    return found
