"""The simulator does not depend on the precision that training chose."""

import numpy as np
import samples
import torch

from xrdlib.base.patterns import GRID
from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.realism import Realism, measured_like


def test_patterns_do_not_change():
    known = samples.known()
    found = []
    before = torch.get_float32_matmul_precision()
    try:
        for precision in ("medium", "highest"):
            torch.set_float32_matmul_precision(precision)
            index = torch.arange(len(known))
            patterns = measured_like(known, Realism(), 0, index, GRID).numpy()
            assert torch.get_float32_matmul_precision() == precision
            found.append((reflections(samples.crystals()).f2, patterns))
    finally:
        torch.set_float32_matmul_precision(before)
    for low, high in zip(*found, strict=True):
        np.testing.assert_allclose(low, high, rtol=1e-6)
