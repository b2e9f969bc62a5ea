"""CPU time that a training pattern costs, in one process and in two, and where it goes.

    python benchmarks/bench_processes.py [--json results/processes.json]

CPU time and not wall time, so that a machine which is shared with others gives numbers too. One
thread a process. On several processes, the time that each spends waiting for another is not in it.
"""

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import time
from pathlib import Path

import torch

from xrdlib.base import config
from xrdlib.learning import experiment, ranks, stages
from xrdlib.learning.train import train

# Profile, steps, processes: as many steps as a chunk of crystals lasts; last, 31 million / 1000.
CASES = (("laptop", 248, 1), ("laptop", 248, 2), ("paper", 6, 1), ("laptop", 969, 1))


def work(profile, steps):
    """One process of a measurement: train stage 1, print CPU seconds and counts as JSON."""
    torch.set_num_threads(1)
    cfg = config.load(profile)
    model, stream = stages.new_model(cfg, "model"), experiment.stage1_stream(cfg)
    source, batch = stream.sources[0], stream.batch_size
    begun = time.process_time()
    source.draw(torch.zeros(1).numpy(), torch.zeros(1, dtype=torch.int64).numpy())
    chunk = time.process_time() - begun
    begun = time.process_time()
    stream.batch(0)
    stream.batch(1)
    drawn = (time.process_time() - begun) / (2 * batch)
    cpu, wall = time.process_time(), time.monotonic()
    options = {"precision": cfg.precision, "ema": 0.99, "rows": 1, "progress": False}
    history = train(model, stream, steps=steps, **options)
    found = {"patterns": history.patterns, "cpu": time.process_time() - cpu, "drawn": drawn}
    found |= {"wall": time.monotonic() - wall, "chunk": chunk, "span": source.span}
    ranks.leave()
    print(json.dumps(found))


def measure(profile, steps, count):
    """A case: seconds of CPU a pattern, of all processes together, and its parts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(count):
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        if count > 1:
            env |= {"RANK": f"{rank}", "LOCAL_RANK": f"{rank}", "WORLD_SIZE": f"{count}"}
            env |= {"LOCAL_WORLD_SIZE": f"{count}", "MASTER_ADDR": "127.0.0.1"}
            env |= {"MASTER_PORT": f"{port}"}
        command = [sys.executable, __file__, "--work", profile, str(steps)]
        started.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True))
    found = [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]
    n = found[0]["patterns"]
    return {
        "profile": profile,
        "processes": count,
        "patterns": n,
        "ms a pattern": 1e3 * sum(f["cpu"] for f in found) / n,
        "ms to draw": 1e3 * found[0]["drawn"],
        "ms to make crystals": 1e3 * found[0]["chunk"] / found[0]["span"],
        "wall seconds": max(f["wall"] for f in found),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(options.work[0], int(options.work[1]))
    found = {"machine": platform.machine(), "torch": torch.__version__, "cases": []}
    for case in CASES:
        found["cases"].append(measure(*case))
        print(found["cases"][-1], flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
