"""A stream of patterns read from Parquet shards, which `shards` writes."""

from pathlib import Path

import numpy as np
import torch

from . import shard_file
from .errors import XrdlibError
from .stream import PatternStream

_OF_THE_SET = ("stream", "batch", "shards", "batches")  # the same in all shards of a set


class ShardStream:
    """Batches read from shards, without end; a pure function of the step, as `PatternStream` is.

    First the patterns come as they were drawn, rounded to float16; in every later epoch shards,
    and the patterns of each, come in another order, which follows from seed and epoch.

    Parameters
    ----------
    folder : path-like
        As given to `shards.write`.
    batch : int, optional
        Patterns a batch; as they were drawn by default.
    seed : int, not negative
        Of the order from the second epoch on.

    Raises
    ------
    XrdlibError
        If there is no first shard or the batch is empty; from `batch`, if a shard is missing or
        damaged.
    """

    def __init__(self, folder, batch=None, seed=0):
        self.folder, self.seed = Path(folder), seed
        header = shard_file.read_header(shard_file.path_of(self.folder, 0))
        self.batch_size = header["batch"] if batch is None else batch
        if self.batch_size < 1:
            raise XrdlibError("A stream needs a batch of at least one.")
        self.set = {name: header[name] for name in _OF_THE_SET}
        self.shards, self.shard_size = header["shards"], header["batches"] * header["batch"]
        self.config = {"set": self.set, "batch": self.batch_size, "seed": seed}
        self.class_probabilities = np.array(header["class_probabilities"])
        self._rows, self._held = slice(None), (None, None, None)

    def __len__(self):
        return self.shards * self.shard_size

    part = PatternStream.part

    def batch(self, step):
        """Network input (batch, n_points) float32 and class indices (batch,) int64."""
        number = step * self.batch_size + np.arange(self.batch_size)[self._rows]
        place, row = np.divmod(number, self.shard_size)
        parts = [self._rows_of(int(p), row[place == p]) for p in np.unique(place)]
        x, label = (torch.from_numpy(np.concatenate(arrays)) for arrays in zip(*parts, strict=True))
        return x.float(), label

    def _rows_of(self, place, rows):
        """Rows of the shard that comes at a place, counted through all epochs."""
        epoch, shard = divmod(place, self.shards)
        if epoch:
            shard = int(self._permutation(self.shards, epoch)[shard])
            rows = self._permutation(self.shard_size, epoch, 1 + shard)[rows]
        if self._held[0] != shard:
            self._held = (shard, *self._read(shard))
        return [array[rows] for array in self._held[1:]]

    def _permutation(self, size, *key):
        return np.random.default_rng((self.seed, *key)).permutation(size)

    def _read(self, shard):
        path = shard_file.path_of(self.folder, shard)
        x, label, header = shard_file.read(path)
        if header["shard"] != shard or any(header[k] != v for k, v in self.set.items()):
            raise XrdlibError(f"{path} belongs to another set; write the set again.")
        return x, label
