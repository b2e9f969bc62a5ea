"""A stream of patterns as files: Parquet shards, written by any number of processes, resumable.

    python -m xrdlib.shards FOLDER --profile paper --stage stage1 --patterns 1000000

The same under ``torchrun`` or ``accelerate launch``: each process writes its share of the shards.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from . import atomic, config, experiment, ranks, tensorfile
from .errors import XrdlibError
from .stream import PatternStream

BATCHES = 64  # a shard, where nothing else is asked
_HEADER, _DIGEST = b"xrdlib", b"sha256"
_KEYS = {"stream", "batch", "shard", "shards", "batches", "class_probabilities"}


def write(stream, folder, patterns, batches=BATCHES, progress=True):
    """Write the first patterns of a stream; shards that are there already stay.

    Under a launcher each process writes shards that follow one another, so that few crystals are
    made by two of them, and needs no word from the others.

    Parameters
    ----------
    stream : PatternStream
    folder : path-like
        Made if need be.
    patterns : int
        At least so many; the last shard is filled.
    batches : int
        Of the stream, in a shard.
    progress : bool
        Show a progress bar.

    Returns
    -------
    int
        Shards that this call wrote.

    Raises
    ------
    XrdlibError
        If the numbers are not positive, the folder holds a set of another stream, or a file
        cannot be written.
    """
    if min(patterns, batches) < 1:
        raise XrdlibError("A set needs at least one pattern, and one batch in a shard.")
    folder = Path(folder)
    count = -(-patterns // (batches * stream.batch_size))
    rank, processes = ranks.place()
    written = 0
    numbers = range(rank * count // processes, (rank + 1) * count // processes)
    for shard in tqdm(numbers, unit="shard", disable=not progress or rank > 0):
        header = _header(stream, shard, count, batches)
        path = _path(folder, shard)
        if not _is_written(path, header):
            _write(path, stream, header)
            written += 1
    return written


class ShardStream:
    """Batches read from shards, as `PatternStream` would draw them, in float16; without end.

    Parameters
    ----------
    folder : path-like
        As given to `write`.

    Raises
    ------
    XrdlibError
        If there is no first shard; from `batch`, if a shard is missing or damaged.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        header = _read_header(_path(self.folder, 0))
        self.batch_size, self.batches = header["batch"], header["batches"]
        self.shards = header["shards"]
        self.config = {k: header[k] for k in ("stream", "shards", "batches")}
        self.class_probabilities = np.array(header["class_probabilities"])
        self._rows, self._held = slice(None), (None, None, None)

    def __len__(self):
        return self.shards * self.batches * self.batch_size

    part = PatternStream.part

    def batch(self, step):
        """Network input (batch, n_points) float32 and class indices (batch,) int64."""
        shard, index = divmod(step % (self.shards * self.batches), self.batches)
        if self._held[0] != shard:
            self._held = (shard, *self._read(shard))
        first = index * self.batch_size
        rows = np.arange(first, first + self.batch_size)[self._rows]
        x, label = (torch.from_numpy(array[rows]) for array in self._held[1:])
        return x.float(), label

    def _read(self, shard):
        from pyarrow import ArrowException, parquet

        path = _path(self.folder, shard)
        header = _read_header(path)
        if header["shard"] != shard or any(header[k] != v for k, v in self.config.items()):
            raise XrdlibError(f"{path} belongs to another set; write the set again.")
        try:
            table = parquet.read_table(path)
            flat = table["pattern"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            x, label = flat.reshape(len(table), -1), table["label"].to_numpy()
            stored = table.schema.metadata[_DIGEST].decode()
        except (ArrowException, KeyError, OSError, ValueError) as error:
            raise _damaged(path, error) from None
        if stored != _digest(x, label, header):
            raise _damaged(path, "its contents do not match its checksum")
        return x, label.astype(np.int64)


def _path(folder, shard):
    return folder / f"part-{shard:06}.parquet"


def _header(stream, shard, count, batches):
    probabilities = [float(p) for p in stream.class_probabilities]
    found = {"stream": stream.config, "batch": stream.batch_size, "shard": shard}
    found |= {"shards": count, "batches": batches, "class_probabilities": probabilities}
    return json.loads(tensorfile.canonical(found))


def _digest(x, label, header):
    arrays = {"x": torch.tensor(x), "label": torch.tensor(label)}
    return tensorfile.fingerprint(arrays, tensorfile.canonical(header))


def _read_header(path):
    from pyarrow import ArrowException, parquet

    try:
        metadata = parquet.read_schema(path).metadata or {}
        header = json.loads(metadata[_HEADER])
    except FileNotFoundError:
        raise XrdlibError(f"{path} does not exist; write the set again, the rest stays.") from None
    except (ArrowException, KeyError, OSError, ValueError) as error:
        raise _damaged(path, error) from None
    if not isinstance(header, dict) or set(header) != _KEYS:
        raise _damaged(path, "its description is not one of ours")
    return header


def _damaged(path, error):
    reason = str(error).splitlines()[0]
    return XrdlibError(f"{path} is damaged ({reason}); delete it and write the set again.")


def _is_written(path, header):
    """Whether a shard is there and whole as far as its end tells."""
    if not path.exists():
        return False
    try:
        found = _read_header(path)
    except XrdlibError:
        return False  # cut short: made again
    if found != header:
        raise XrdlibError(f"{path} belongs to another set; choose another folder.")
    return True


def _write(path, stream, header):
    import pyarrow as pa
    from pyarrow import parquet

    first = header["shard"] * header["batches"]
    drawn = [stream.batch(step) for step in range(first, first + header["batches"])]
    x = torch.cat([x for x, _ in drawn]).cpu().numpy().astype(np.float16)
    label = torch.cat([label for _, label in drawn]).cpu().numpy().astype(np.int16)
    number = first * stream.batch_size + np.arange(len(x), dtype=np.int64)
    pattern = pa.FixedSizeListArray.from_arrays(pa.array(x.reshape(-1)), x.shape[1])
    table = pa.table({"number": number, "label": label, "pattern": pattern})
    metadata = {_HEADER: tensorfile.canonical(header), _DIGEST: _digest(x, label, header)}
    table = table.replace_schema_metadata(metadata)
    atomic.sweep(path)  # what a process left that was killed while it wrote
    with atomic.replacing(path) as file:
        parquet.write_table(table, file, compression="zstd")


def main(arguments=None):
    """The command line; exits with one sentence if something is wrong."""
    parser = argparse.ArgumentParser(prog="xrdlib.shards", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--profile", choices=config.PROFILES, required=True)
    parser.add_argument("--stage", choices=("stage1", "stage2"), required=True)
    parser.add_argument("--patterns", type=int, required=True)
    parser.add_argument("--batches", type=int, default=BATCHES, help="batches in a shard")
    chosen = parser.parse_args(arguments)
    try:
        cfg = config.load(chosen.profile)
        if chosen.stage == "stage1":
            stream = experiment.stage1_stream(cfg)
        else:
            stream = experiment.stage2_stream(cfg, cfg.stage2.batch)
        write(stream, chosen.folder, chosen.patterns, chosen.batches)
    except XrdlibError as problem:
        sys.exit(f"xrdlib.shards: {problem}")


if __name__ == "__main__":
    main()
