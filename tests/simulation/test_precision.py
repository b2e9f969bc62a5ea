"""The simulator does not depend on the precision that training chose."""

import numpy as np
import pytest
import samples
import torch

from xrdlib.base.patterns import GRID
from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.realism import Realism, measured_like


@pytest.fixture
def low_precision():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)


def simulated():
    known = reflections(samples.crystals())
    index = torch.arange(len(known))
    return known.f2, measured_like(known, Realism(), 0, index, GRID).numpy()


def test_patterns_do_not_change(low_precision):
    f2, patterns = simulated()
    assert torch.get_float32_matmul_precision() == "medium"
    torch.set_float32_matmul_precision("highest")
    for low, high in zip((f2, patterns), simulated(), strict=True):
        np.testing.assert_allclose(low, high, rtol=1e-6)
