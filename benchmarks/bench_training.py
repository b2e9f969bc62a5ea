"""Patterns a second of training, data included: ours beside the paper's configuration, one run.

    python benchmarks/bench_training.py [--seconds S] [--json FILE]

The paper's row is its ViT as it was trained: 8501 points, patches of 25, 341 tokens, Adam, batches
of 128, single precision. Ours is the profile `released`: 4251 points, a convolutional stem, 133
tokens, AdamW, batches of 64, bfloat16. Both draw their patterns from the same simulator.
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from xrdlib.base import config
from xrdlib.learning import stages
from xrdlib.learning.experiment import grid, random_crystals, realism
from xrdlib.learning.train import train
from xrdlib.simulation.stream import PatternStream

# Profile, optimiser and whether the forward pass is in bfloat16.
RECIPES = {
    "the paper's ViT, its recipe": ("paper", "adam", False),
    "the same in bfloat16": ("paper", "adam", True),
    "released": ("released", "adamw", True),
    "laptop": ("laptop", "adamw", True),
}


def rate(profile, optimiser, amp, seconds, threads):
    """Patterns a second over some seconds of training."""
    torch.set_num_threads(threads)
    settings = config.load(profile)
    model = stages.new_model(settings, "model")
    stream = PatternStream(
        [(random_crystals(settings, "stage1"), 1.0)],
        realism(settings),
        settings.seed,
        settings.stage1.batch,
        grid=grid(settings),
    )
    options = {"optimiser": optimiser, "amp": amp, "progress": False, "rows": 1}
    history = train(model, stream, max_minutes=seconds / 60, **options)
    return history.patterns / history.seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=40.0, help="of each training")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", metavar="FILE", help="where to keep the numbers")
    options = parser.parse_args()
    rates = {
        name: rate(*recipe, options.seconds, options.threads) for name, recipe in RECIPES.items()
    }
    base = next(iter(rates.values()))
    for name, value in rates.items():
        print(f"{name:30} {value:8.1f} patterns/s {value / base:6.2f} x")
    if options.json:
        found = {
            "threads": options.threads,
            "machine": platform.processor() or platform.machine(),
            "torch": torch.__version__,
            "patterns_per_second": rates,
        }
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
