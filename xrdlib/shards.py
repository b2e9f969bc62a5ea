"""A stream of patterns as files: Parquet shards, written by any number of processes, resumable.

    python -m xrdlib.shards FOLDER --profile paper --stage stage1 --patterns 1000000

The same under ``torchrun`` or ``accelerate launch``: each process writes its share of the shards.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from . import config, experiment, ranks, shard_file
from .errors import XrdlibError

BATCHES = 64  # a shard, where nothing else is asked


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
        header = shard_file.describe(stream, shard, count, batches)
        path = shard_file.path_of(folder, shard)
        if not _is_written(path, header):
            _write(path, stream, header)
            written += 1
    return written


def _is_written(path, header):
    """Whether a shard is there and whole as far as its end tells."""
    if not path.exists():
        return False
    try:
        found = shard_file.read_header(path)
    except XrdlibError:
        return False  # cut short: made again
    if found != header:
        raise XrdlibError(f"{path} belongs to another set; choose another folder.")
    return True


def _write(path, stream, header):
    first = header["shard"] * header["batches"]
    drawn = [stream.batch(step) for step in range(first, first + header["batches"])]
    x = torch.cat([x for x, _ in drawn]).cpu().numpy().astype(np.float16)
    label = torch.cat([label for _, label in drawn]).cpu().numpy().astype(np.int16)
    shard_file.write(path, x, label, header)


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
        getattr(cfg, chosen.stage).shards = None  # drawn, also where the stage then reads them
        if chosen.stage == "stage1":
            stream = experiment.stage1_stream(cfg)
        else:
            stream = experiment.stage2_stream(cfg, cfg.stage2.batch)
        write(stream, chosen.folder, chosen.patterns, chosen.batches)
    except XrdlibError as problem:
        sys.exit(f"xrdlib.shards: {problem}")


if __name__ == "__main__":
    main()
