"""Patterns a second of training, data included, by precision and kind of processor.

    python benchmarks/bench_training.py [--seconds S] [--threads N] [--json FILE]
    ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/bench_training.py ...

The second line makes PyTorch behave as on a processor that has AVX2 and nothing newer. FILE keeps
the rows of other kinds of processor and other numbers of threads. Beside the networks of the
profile `laptop` stand the profile `released` and the paper's ViT as it was trained: 8501 points,
patches of 25, 341 tokens, Adam, batches of 128. All draw their patterns from the same simulator.
Patterns a second of CPU time tell more than those of wall time where other programs are running.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from xrdlib.base import config, results
from xrdlib.base.processor import native_bfloat16
from xrdlib.learning import stages
from xrdlib.learning.experiment import grid, random_crystals, realism
from xrdlib.learning.train import train
from xrdlib.simulation.stream import PatternStream

# Name -> profile, network and optimiser.
RECIPES = {
    "laptop, physics transformer": ("laptop", "model", "adamw"),
    "laptop, ResNet": ("laptop", "resnet", "adamw"),
    "laptop, plain transformer": ("laptop", "plain", "adamw"),
    "released": ("released", "model", "adamw"),
    "the paper's ViT": ("paper", "model", "adam"),
}


def rate(profile, network, optimiser, precision, seconds):
    """Patterns a second of wall and of CPU time over some seconds of training."""
    settings = config.load(profile)
    model = stages.new_model(settings, network)
    stream = PatternStream(
        [(random_crystals(settings, "stage1"), 1.0)],
        realism(settings),
        settings.seed,
        settings.stage1.batch,
        grid=grid(settings),
    )
    options = {"optimiser": optimiser, "precision": precision, "progress": False, "rows": 1}
    stream.batch(0)  # the first of many thousand makes the crystals of all
    begun = time.process_time()
    history = train(model, stream, max_minutes=seconds / 60, **options)
    cpu = time.process_time() - begun
    return {
        "patterns_per_second": round(history.patterns / history.seconds, 1),
        "patterns_per_cpu_second": round(history.patterns / cpu, 1),
        "load": round(os.getloadavg()[0], 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each training")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", metavar="FILE", type=Path, help="where to keep the numbers")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    stamp = results.stamp(config.load("laptop"))
    machine = {
        "processor": stamp["processor"],
        "capability": torch.backends.cpu.get_cpu_capability(),
        "native_bfloat16": native_bfloat16(),
        "threads": options.threads,
    }
    rows = []
    for recipe, (profile, network, optimiser) in RECIPES.items():
        # A large network in emulated bfloat16 takes minutes a step, which small ones show as well.
        both = machine["native_bfloat16"] or profile == "laptop"
        for precision in ("float32", "bfloat16")[: 1 + both]:
            speed = rate(profile, network, optimiser, precision, options.seconds)
            rows.append({**machine, "recipe": recipe, "precision": precision, **speed})
            print(
                f"{recipe:28} {precision:8} {speed['patterns_per_second']:8.1f} patterns/s, "
                f"{speed['patterns_per_cpu_second']:8.1f} a second of CPU time",
                flush=True,
            )
    if options.json:
        kept = json.loads(options.json.read_text("utf-8"))["rows"] if options.json.exists() else []
        others = [row for row in kept if not machine.items() <= row.items()]
        found = {"torch": torch.__version__, "rows": [*others, *rows]}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
