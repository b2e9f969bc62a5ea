"""What tests of reading share: a scan, and a comparison."""

import numpy as np
import pattern_files

SCAN = pattern_files.scan()
OTHER = pattern_files.scan(n=160, start=20.0, step=0.1, seed=1)


def same(pattern, scan, tolerance=1e-9):
    assert pattern.two_theta.dtype == pattern.intensity.dtype == np.float64
    np.testing.assert_allclose(pattern.two_theta, scan[0], rtol=0, atol=tolerance)
    np.testing.assert_array_equal(pattern.intensity, scan[1])


def on_axis(kind, x, wavelength):
    """Positions of the angles x on another axis, from Bragg's law."""
    q = 4 * np.pi * np.sin(np.radians(x) / 2) / wavelength
    return {"two_theta": x, "d": 2 * np.pi / q, "q": q}[kind]
