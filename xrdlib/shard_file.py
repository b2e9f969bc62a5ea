"""One shard of a set of patterns: a Parquet file with a description of the set and a checksum."""

import json

import numpy as np
import torch

from . import atomic, tensorfile
from .errors import XrdlibError

_HEADER, _DIGEST = b"xrdlib", b"sha256"
_KEYS = {"stream", "batch", "shard", "shards", "batches", "class_probabilities"}


def path_of(folder, shard):
    """Where shard number `shard` of the set in a folder (Path) is kept."""
    return folder / f"part-{shard:06}.parquet"


def describe(stream, shard, shards, batches):
    """Header of a shard, as it comes back from JSON.

    Parameters
    ----------
    stream : PatternStream
        Whose patterns the set holds.
    shard, shards : int
        Which one of how many.
    batches : int
        Of the stream, in a shard.

    Returns
    -------
    dict
    """
    probabilities = [float(p) for p in stream.class_probabilities]
    found = {"stream": stream.config, "batch": stream.batch_size, "shard": shard}
    found |= {"shards": shards, "batches": batches, "class_probabilities": probabilities}
    return json.loads(tensorfile.canonical(found))


def write(path, x, label, header):
    """Write a shard in one step.

    Parameters
    ----------
    path : Path
    x : ndarray, (n, n_points) float16
    label : ndarray, (n,) int16
        Class index 0..98.
    header : dict
        As from `describe`.

    Raises
    ------
    XrdlibError
        If the file cannot be written.
    """
    import pyarrow as pa  # not needed, and not always there, where patterns are drawn
    from pyarrow import parquet

    first = header["shard"] * header["batches"] * header["batch"]
    number = first + np.arange(len(x), dtype=np.int64)
    pattern = pa.FixedSizeListArray.from_arrays(pa.array(x.reshape(-1)), x.shape[1])
    table = pa.table({"number": number, "label": label, "pattern": pattern})
    metadata = {_HEADER: tensorfile.canonical(header), _DIGEST: _digest(x, label, header)}
    table = table.replace_schema_metadata(metadata)
    atomic.sweep(path)  # what a process left that was killed while it wrote
    with atomic.replacing(path) as file:
        parquet.write_table(table, file, compression="zstd")


def read_header(path):
    """Header of a shard.

    Raises
    ------
    XrdlibError
        If the file is missing, cut short, or no shard.
    """
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


def read(path):
    """Patterns (n, n_points) float16, class indices (n,) int64 and header of a shard.

    Raises
    ------
    XrdlibError
        As for `read_header`, and if the contents do not match their checksum.
    """
    from pyarrow import ArrowException, parquet

    header = read_header(path)
    try:
        table = parquet.read_table(path)
        flat = table["pattern"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        x, label = flat.reshape(len(table), -1), table["label"].to_numpy()
        stored = table.schema.metadata[_DIGEST].decode()
    except (ArrowException, KeyError, OSError, ValueError) as error:
        raise _damaged(path, error) from None
    if stored != _digest(x, label, header):
        raise _damaged(path, "its contents do not match its checksum")
    return x, label.astype(np.int64), header


def _digest(x, label, header):
    arrays = {"x": torch.tensor(x), "label": torch.tensor(label)}
    return tensorfile.fingerprint(arrays, tensorfile.canonical(header))


def _damaged(path, error):
    reason = str(error).splitlines()[0]
    return XrdlibError(f"{path} is damaged ({reason}); delete it and write the set again.")
