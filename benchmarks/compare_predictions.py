"""Predictions of 200 measured patterns, kept before a change of the code and compared after it.

    python benchmarks/compare_predictions.py keep FILE      before
    python benchmarks/compare_predictions.py compare FILE   after; exit code 1 if a bit differs

The patterns are the first of the collection `rruff`; both runs must be on one machine, since other
processors round otherwise.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from xrdlib import load_predictor
from xrdlib.base import paths

PATTERNS = 200


def predictions():
    """Probabilities (200, 99), and per pattern the structure it is most like and its lattice."""
    with np.load(paths.data_dir() / "rruff.npz") as bundle:
        two_theta, intensity = bundle["two_theta"], bundle["intensity"][:PATTERNS]
    found = load_predictor().recognise(two_theta, intensity.astype(np.float64))
    return {"probability": found[0], "nearest": repr(found[1]), "lattice": repr(found[2])}


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("keep", "compare"):
        sys.exit(__doc__)
    command, file = sys.argv[1:]
    found = predictions()
    if command == "keep":
        with open(file, "wb") as kept:
            np.savez(kept, **found)
        return
    with np.load(file) as kept:
        same = {name: bool(np.array_equal(kept[name], found[name])) for name in found}
        moved = np.abs(kept["probability"] - found["probability"]).max()
    print(", ".join(f"{name} {'as before' if ok else 'DIFFERS'}" for name, ok in same.items()))
    print(f"largest difference of a probability: {moved:.3g} ({PATTERNS} patterns)")
    sys.exit(not all(same.values()))


if __name__ == "__main__":
    main()
