"""Memory is bounded whatever the structure: one huge cell, measured in a process of its own."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource
import sys

import numpy as np
import torch

from xrdlib.simulation.diffraction import reflections
from xrdlib.base.patterns import GRID
from xrdlib.simulation.realism import Realism, measured_like
from xrdlib.base.records import Crystals

torch.set_num_threads(1)
rng = np.random.default_rng(0)


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def work(edge, atoms):
    crystal = Crystals(
        lattice=(np.eye(3) * edge + rng.normal(0, 0.3, (3, 3)))[None],
        start=np.array([0, atoms]),
        number=rng.integers(1, 80, atoms).astype(np.int16),
        frac=rng.random((atoms, 3)).astype(np.float32),
        occupancy=np.ones(atoms, np.float32),
        rotations=np.tile(np.eye(3, dtype=np.int8), (1, 24, 1, 1)),
        space_group=np.ones(1, np.int16),
        group=np.ones(1, np.int16),
        name=np.array(["huge"]),
    )
    known = reflections(crystal)
    pattern = measured_like(known, Realism(), 0, torch.arange(1), GRID)
    assert torch.isfinite(pattern).all()
    return len(known.hkl)


work(10, 30)
before = peak()
print(work(float(sys.argv[1]), int(sys.argv[2])), peak() - before)
"""


def measured(edge, atoms):
    """(reflections, MiB beyond what a small cell took) of a cell of random atoms."""
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(edge), str(atoms)],
        capture_output=True, text=True, cwd=__file__.rpartition("tests")[0],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return [float(word) for word in done.stdout.split()]


def test_a_huge_cell_stays_within_bounds():
    lines, more = measured(40.0, 1500)
    assert lines > 80_000
    # One complex phase for each atom and reflection would be a gigabyte by itself.
    assert lines * 1500 * 8 > 0.9e9
    assert more < 300
