"""Streams of numbered patterns, in batches that several processes may draw in parts."""

import copy
from typing import Self

import numpy as np

from ..base.errors import XrdlibError


class NumberedStream:
    """What streams share whose patterns depend on a seed and their own number alone."""

    def __init__(self, batch: int) -> None:
        self.batch_size, self._rows = batch, slice(None)

    def part(self, rank: int, count: int) -> Self:
        """Part `rank` of `count` of each batch, as one of several processes draws it.

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
