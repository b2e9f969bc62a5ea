"""A small library, patterns of its structures, and retrieval from it by brute force."""

import numpy as np
import torch

from xrdlib.base.patterns import CU_KA1, GRID
from xrdlib.base.records import concatenate
from xrdlib.identification import library
from xrdlib.identification.retrieval import COMPUTED_LESS
from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.realism import Realism, measured_like
from xrdlib.structures.crystals import generate_balanced
from xrdlib.structures.recipes import shipped

N = 48  # half of them with measured cells
COARSE = 5 + 0.1 * np.arange(851)
FINE = 5 + 0.02 * np.arange(4251)


def small_bank():
    """Random crystals that no two of which are alike, in 99 groups with gaps."""
    return reflections(generate_balanced(shipped(), N, seed=6))


def small_library(structures):
    """Half of the library as measured structures, half as computed ones."""
    halves = structures.take(slice(0, N // 2)), structures.take(slice(N // 2, N))
    return concatenate(
        [library.from_reflections(halves[0]), library.from_reflections(halves[1], computed=True)]
    )


def simulated(crystals, seed=1, **changes):
    """Measured-looking patterns, (n, 4251), with the cells as they are."""
    exact = {"strain": (1e-9, 2e-9), "zero_shift": 0.0, "displacement": 0.0, **changes}
    return measured_like(
        crystals, Realism.mild(**exact), seed, torch.arange(len(crystals)), GRID
    ).numpy()


def windows(row, size, reduce):
    """A reduction over `size` points around each point, the ends repeated."""
    padded = np.pad(row, (size // 2, size - 1 - size // 2), mode="edge")
    return reduce(np.lib.stride_tricks.sliding_window_view(padded, size), -1)


def calculated(known, i):
    """A structure's pattern on the coarse grid, line by line, to the power 0.3."""
    total, angles = np.zeros(851), library.position_angles()[known.position]
    for k in range(known.start[i], known.start[i + 1]):
        for wavelength, share in ((CU_KA1, 2 / 3), (1.544427, 1 / 3)):
            sine = np.sin(np.radians(angles[k] / 2)) * wavelength / CU_KA1
            centre = 2 * np.degrees(np.arcsin(sine))
            line = np.exp(-((COARSE - centre) ** 2) / (2 * 0.15**2))
            total += share * known.intensities[k] * line
    return (total / total.max()) ** 0.3


def opening(row, size):
    """The highest of the least values in all windows that hold a point, the ends repeated."""
    padded = np.pad(row, size, mode="edge")
    least = np.lib.stride_tricks.sliding_window_view(padded, size).min(-1)
    highest = np.lib.stride_tricks.sliding_window_view(least, size).max(-1)
    return highest[1:-1]


def brute_force(known, drawn, row):
    """Best correlation of one pattern with each structure over all its stretches."""
    first, *_, last = np.flatnonzero(row)
    part = row[first : last + 1].astype(float)
    opened = opening(windows(part, 10, np.mean), 101)
    signal = np.zeros(4251)
    signal[first : last + 1] = np.maximum(part - windows(opened, 101, np.mean), 0)
    kernel = np.exp(-((np.arange(-20, 21) * 0.02) ** 2) / (2 * 0.1**2))
    smooth = np.convolve(signal, kernel / kernel.sum(), mode="same")[::5]
    best = np.full(len(known), -np.inf)
    for i in range(len(known)):
        reach, steps = (0.02, 9) if known.computed[i] else (0.004, 5)
        for stretch in np.linspace(-reach, reach, steps):
            sine = np.sin(np.radians(COARSE / 2)) / (1 + stretch)
            source = 2 * np.degrees(np.arcsin(np.minimum(sine, 1)))
            inside = (source >= FINE[first]) & (source <= FINE[last])
            view = np.interp(source[inside], COARSE, smooth)
            view = (view / view.max()) ** 0.3
            best[i] = max(best[i], correlation(view, drawn[i][inside]))
    return best - COMPUTED_LESS * known.computed


def correlation(a, b):
    """Of two vectors, 0 where one is constant."""
    a, b = a - a.mean(), b - b.mean()
    return a @ b / max(np.sqrt((a @ a) * (b @ b)), 1e-12)


def by_class(known, cosines):
    """Largest cosine of each class; the smallest of all, or 0, where there is none."""
    scores = np.full(99, np.nan)
    for group, cosine in zip(known.group, cosines, strict=True):
        scores[group - 1] = np.nanmax([scores[group - 1], cosine])
    return np.where(np.isnan(scores), min(np.nanmin(scores), 0), scores)
