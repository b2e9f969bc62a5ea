"""Reflections of the nearest structure by Bragg's law, and the peaks that they do not index."""

from dataclasses import replace

import matplotlib
import numpy as np
import pytest

from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import CU_KA1
from xrdlib.base.records import concatenate
from xrdlib.identification import library
from xrdlib.identification.retrieval import Retrieval
from xrdlib.prediction import plots, style
from xrdlib.prediction.attribution import match
from xrdlib.simulation.diffraction import WAVELENGTHS, reflections
from xrdlib.structures.crystals import generate_balanced
from xrdlib.structures.recipes import shipped

matplotlib.use("Agg")

N = 24  # the second half with computed cells
ANGLES = np.arange(5, 90, 0.02)


@pytest.fixture(scope="module")
def structures():
    return reflections(generate_balanced(shipped(), N, seed=11))


@pytest.fixture(scope="module")
def known(structures):
    halves = structures.take(slice(0, N // 2)), structures.take(slice(N // 2, N))
    return concatenate(
        [library.from_reflections(half, computed=bool(k)) for k, half in enumerate(halves)]
    )


@pytest.fixture(scope="module")
def retrieval(known):
    return Retrieval(known)


def bragg(structures, i, wavelength, larger=0.0):
    """2theta and relative intensity of a crystal's reflections, its cell edges a little longer."""
    rows = slice(structures.start[i], structures.start[i + 1])
    d_star = np.linalg.norm(np.linalg.inv(structures.lattice[i]) @ structures.hkl[rows].T, axis=0)
    sine = d_star * wavelength / 2 / (1 + larger)
    reached = (sine < np.sin(np.radians(60))) & (sine > np.sin(np.radians(1)))
    theta = np.arcsin(sine[reached])
    polarised = (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    strength = (structures.multiplicity[rows] * structures.f2[rows])[reached] * polarised
    return np.degrees(2 * theta), strength / strength.max()


def drawn(structures, i, wavelength=CU_KA1, larger=0.0, angles=ANGLES, extra=()):
    total = np.full(len(angles), 0.01)
    doublet = [
        (at, share * height)
        for ratio, share in ((1, 2 / 3), (WAVELENGTHS["CuKa2"] / WAVELENGTHS["CuKa1"], 1 / 3))
        for at, height in zip(*bragg(structures, i, ratio * wavelength, larger), strict=True)
    ]
    for at, height in [*doublet, *((x, 0.5) for x in extra)]:
        if height > 1e-4:
            total += height * np.exp(-4 * np.log(2) * ((angles - at) / 0.12) ** 2)
    return 1e4 * total


@pytest.mark.parametrize("i", [0, 7, 15, 23])
def test_reflections_are_those_of_the_structure_by_angle(structures, known, retrieval, i):
    row = int(np.flatnonzero(retrieval.name == known.name[i])[0])
    angle, height = retrieval.reflections(row)
    assert (np.diff(angle) >= 0).all() and height.max() == 1
    theirs, strength = bragg(structures, i, CU_KA1)
    for k in np.flatnonzero(strength > 0.3):
        if 5 < theirs[k] < 90:
            assert np.abs(angle - theirs[k]).min() < 2e-3
    assert retrieval.computed(row) == (i >= N // 2)


@pytest.mark.parametrize(("i", "larger"), [(3, -0.0035), (3, 0.0012), (8, 0.0), (14, 0.013)])
@pytest.mark.parametrize("anode", ["CuKa1", "CoKa1"])
def test_the_cell_is_scaled_to_that_of_the_specimen(structures, known, retrieval, i, larger, anode):
    wavelength = WAVELENGTHS[anode]
    near = match(retrieval, ANGLES, drawn(structures, i, wavelength, larger), anode)
    assert near.name == known.name[i] and near.group == known.group[i]
    assert near.computed == (i >= N // 2) and near.similarity > 0.8
    assert near.cell_scaling == pytest.approx(larger, abs=4e-4)
    theirs, strength = bragg(structures, i, wavelength, near.cell_scaling)
    strong = np.flatnonzero((strength > 0.3) & (theirs > 5) & (theirs < 90))
    assert len(strong)
    for k in strong:
        assert np.abs(near.two_theta - theirs[k]).min() < 5e-3
    assert near.two_theta.min() >= 5 and near.two_theta.max() <= ANGLES[-1]


def test_only_peaks_without_a_reflection_are_not_indexed(structures, retrieval):
    calculated, _ = bragg(structures, 5, CU_KA1)
    gaps = [x for x in np.arange(12, 80, 0.5) if np.abs(calculated - x).min() > 0.8]
    extra = gaps[:: max(1, len(gaps) // 2)][:2]
    plain = match(retrieval, ANGLES, drawn(structures, 5), CU_KA1)
    assert len(plain.peaks) > 3 and plain.indexed.all()
    mixed = match(retrieval, ANGLES, drawn(structures, 5, extra=extra), CU_KA1)
    assert mixed.name == plain.name
    assert np.allclose(mixed.peaks[~mixed.indexed], extra, atol=0.03)
    assert len(mixed.peaks) == len(plain.peaks) + len(extra)


def test_points_may_come_in_any_order_and_the_scan_limits_the_range(structures, retrieval):
    angles = np.arange(20, 60, 0.02)
    counts = drawn(structures, 2, angles=angles)
    near, back = (
        match(retrieval, angles, counts, "CuKa1"),
        match(retrieval, angles[::-1], counts[::-1], "CuKa1"),
    )
    assert np.array_equal(near.two_theta, back.two_theta) and near.cell_scaling == back.cell_scaling
    assert np.array_equal(near.peaks, back.peaks)
    assert near.two_theta.min() >= 20 and near.two_theta.max() <= angles.max()


def test_a_doublet_is_read_at_its_stronger_line(structures, retrieval):
    counts = drawn(structures, 2)
    one, two = (match(retrieval, ANGLES, counts, name) for name in ("CuKa", "CuKa1"))
    assert one.cell_scaling == two.cell_scaling and np.array_equal(one.two_theta, two.two_theta)


def test_peaks_beyond_the_calculated_reflections_do_not_count(structures, retrieval):
    angles = np.arange(5, 120, 0.02)
    beyond = [100.0, 110.0]  # more than 90 degrees with copper, and no reflection there is known
    near = match(retrieval, angles, drawn(structures, 5, angles=angles, extra=beyond), "CuKa1")
    assert near.peaks.max() <= 90 and near.indexed.all()


def test_a_pattern_that_is_none_is_refused(retrieval):
    with pytest.raises(XrdlibError, match="no positive intensity"):
        match(retrieval, ANGLES, np.zeros(len(ANGLES)), "CuKa1")


def test_the_figure_has_sticks_for_reflections_and_marks_for_strange_peaks(structures, retrieval):
    counts = drawn(structures, 5, extra=[30.3])
    near = match(retrieval, ANGLES, counts, "CuKa1")
    near = replace(near, name=r"$\frac{a mineral with a name that does not end within a line" * 2)
    indexed = np.arange(len(near.peaks)) % 3 > 0
    figure = plots.match(ANGLES, counts, replace(near, indexed=indexed))
    pattern, sticks = figure.axes
    (lines,) = sticks.collections
    segments = np.array(lines.get_segments())
    assert np.allclose(segments[:, 0, 0], near.two_theta)
    tall = near.intensity > 0.1
    assert np.allclose(segments[tall, 1, 1], near.intensity[tall])
    assert (segments[:, 1, 1] > 0).all()  # the weakest show, too
    marks = pattern.lines[1]
    assert np.allclose(marks.get_xdata(), near.peaks[~indexed])
    title = sticks.get_title(loc="left")
    assert f"{near.similarity:.2f}" in title
    figure.draw_without_rendering()  # the name is no formula
    style.plt.close(figure)
