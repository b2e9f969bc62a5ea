"""Streams of numbered patterns, in batches that several processes may draw in parts."""

import copy

import numpy as np

from ..base.errors import XrdlibError


class NumberedStream:
    """What streams share whose patterns depend on a seed and their own number alone.

    Parameters
    ----------
    batch : int
        Patterns a batch.
    """

    def __init__(self, batch: int) -> None:
        self.batch_size, self._rows = batch, slice(None)

    def part(self, rank: int, count: int) -> "NumberedStream":
        """The same stream, drawn in parts: the batches of one of several processes.

        Parameters
        ----------
        rank, count : int
            Which part of how many; joined in order, the parts of a batch are the batch.

        Returns
        -------
        NumberedStream
            Whose batches hold ``batch_size / count`` patterns.

        Raises
        ------
        XrdlibError
            If a batch cannot be divided evenly.
        """
        if self.batch_size % count:
            raise XrdlibError(
                f"A batch of {self.batch_size} patterns cannot be divided evenly among {count} "
                "processes; change one of the two numbers."
            )
        size, part = self.batch_size // count, copy.copy(self)
        part._rows = slice(rank * size, (rank + 1) * size)
        return part

    def numbers(self, step: int) -> np.ndarray:
        """Numbers in the whole stream of the patterns of one batch, (batch,) int64."""
        return step * self.batch_size + np.arange(self.batch_size, dtype=np.int64)[self._rows]
