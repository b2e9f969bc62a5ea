"""Lines of the nearest structure: where Bragg's law puts them, and what they leave unexplained."""

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
def bank():
    return reflections(generate_balanced(shipped(), N, seed=11))


@pytest.fixture(scope="module")
def known(bank):
    halves = bank.take(slice(0, N // 2)), bank.take(slice(N // 2, N))
    return concatenate(
        [library.from_reflections(half, computed=bool(k)) for k, half in enumerate(halves)]
    )


@pytest.fixture(scope="module")
def found(known):
    return Retrieval(known)


def bragg(bank, i, wavelength, larger=0.0):
    """2theta and relative intensity of a crystal's reflections, its cell edges a little longer."""
    rows = slice(bank.start[i], bank.start[i + 1])
    d_star = np.linalg.norm(np.linalg.inv(bank.lattice[i]) @ bank.hkl[rows].T, axis=0)
    sine = d_star * wavelength / 2 / (1 + larger)
    seen = (sine < np.sin(np.radians(60))) & (sine > np.sin(np.radians(1)))
    theta = np.arcsin(sine[seen])
    polarised = (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    strength = (bank.multiplicity[rows] * bank.f2[rows])[seen] * polarised
    return np.degrees(2 * theta), strength / strength.max()


def drawn(bank, i, wavelength=CU_KA1, larger=0.0, angles=ANGLES, extra=()):
    total = np.full(len(angles), 0.01)
    doublet = [
        (at, share * height)
        for ratio, share in ((1, 2 / 3), (WAVELENGTHS["CuKa2"] / WAVELENGTHS["CuKa1"], 1 / 3))
        for at, height in zip(*bragg(bank, i, ratio * wavelength, larger), strict=True)
    ]
    for at, height in [*doublet, *((x, 0.5) for x in extra)]:
        if height > 1e-4:
            total += height * np.exp(-4 * np.log(2) * ((angles - at) / 0.12) ** 2)
    return 1e4 * total


@pytest.mark.parametrize("i", [0, 7, 15, 23])
def test_lines_are_those_of_the_structure_by_angle(bank, known, found, i):
    row = int(np.flatnonzero(found.name == known.name[i])[0])
    angle, height = found.reflections(row)
    assert (np.diff(angle) >= 0).all() and height.max() == 1
    theirs, strength = bragg(bank, i, CU_KA1)
    for k in np.flatnonzero(strength > 0.3):
        if 5 < theirs[k] < 90:
            assert np.abs(angle - theirs[k]).min() < 2e-3
    assert found.computed(row) == (i >= N // 2)


@pytest.mark.parametrize(("i", "larger"), [(3, -0.0035), (3, 0.0012), (8, 0.0), (14, 0.013)])
@pytest.mark.parametrize("anode", ["CuKa1", "CoKa1"])
def test_the_cell_is_stretched_to_that_of_the_specimen(bank, known, found, i, larger, anode):
    wavelength = WAVELENGTHS[anode]
    near = match(found, ANGLES, drawn(bank, i, wavelength, larger), anode)
    assert near.name == known.name[i] and near.group == known.group[i]
    assert near.computed == (i >= N // 2) and near.similarity > 0.8
    assert near.stretch == pytest.approx(larger, abs=4e-4)
    theirs, strength = bragg(bank, i, wavelength, near.stretch)
    strong = np.flatnonzero((strength > 0.3) & (theirs > 5) & (theirs < 90))
    assert len(strong)
    for k in strong:
        assert np.abs(near.two_theta - theirs[k]).min() < 5e-3
    assert near.two_theta.min() >= 5 and near.two_theta.max() <= ANGLES[-1]


def test_only_what_the_structure_has_no_line_for_is_unexplained(bank, found):
    own, _ = bragg(bank, 5, CU_KA1)
    gaps = [x for x in np.arange(12, 80, 0.5) if np.abs(own - x).min() > 0.8]
    extra = gaps[:: max(1, len(gaps) // 2)][:2]
    plain = match(found, ANGLES, drawn(bank, 5), CU_KA1)
    assert len(plain.peaks) > 3 and plain.explained.all()
    mixed = match(found, ANGLES, drawn(bank, 5, extra=extra), CU_KA1)
    assert mixed.name == plain.name
    assert np.allclose(mixed.peaks[~mixed.explained], extra, atol=0.03)
    assert len(mixed.peaks) == len(plain.peaks) + len(extra)


def test_points_may_come_in_any_order_and_lines_beyond_the_scan_are_left_out(bank, found):
    angles = np.arange(20, 60, 0.02)
    counts = drawn(bank, 2, angles=angles)
    near, back = (
        match(found, angles, counts, "CuKa1"),
        match(found, angles[::-1], counts[::-1], "CuKa1"),
    )
    assert np.array_equal(near.two_theta, back.two_theta) and near.stretch == back.stretch
    assert np.array_equal(near.peaks, back.peaks)
    assert near.two_theta.min() >= 20 and near.two_theta.max() <= angles.max()


def test_a_doublet_is_read_at_its_stronger_line(bank, found):
    counts = drawn(bank, 2)
    one, two = (match(found, ANGLES, counts, name) for name in ("CuKa", "CuKa1"))
    assert one.stretch == two.stretch and np.array_equal(one.two_theta, two.two_theta)


def test_peaks_beyond_the_calculated_lines_are_not_held_against_it(bank, found):
    angles = np.arange(5, 120, 0.02)
    beyond = [100.0, 110.0]  # more than 90 degrees with copper, and no line there is known
    near = match(found, angles, drawn(bank, 5, angles=angles, extra=beyond), "CuKa1")
    assert near.peaks.max() <= 90 and near.explained.all()


def test_a_pattern_that_is_none_is_refused(found):
    with pytest.raises(XrdlibError, match="no positive intensity"):
        match(found, ANGLES, np.zeros(len(ANGLES)), "CuKa1")


def test_the_figure_has_a_stick_for_each_line_and_a_mark_for_each_strange_peak(bank, found):
    counts = drawn(bank, 5, extra=[30.3])
    near = match(found, ANGLES, counts, "CuKa1")
    near = replace(near, name=r"$\frac{a mineral with a name that does not end within a line" * 2)
    explained = np.arange(len(near.peaks)) % 3 > 0
    figure = plots.match(ANGLES, counts, replace(near, explained=explained))
    pattern, sticks = figure.axes
    (lines,) = sticks.collections
    segments = np.array(lines.get_segments())
    assert np.allclose(segments[:, 0, 0], near.two_theta)
    tall = near.intensity > 0.1
    assert np.allclose(segments[tall, 1, 1], near.intensity[tall])
    assert (segments[:, 1, 1] > 0).all()  # the weakest show, too
    marks = pattern.lines[1]
    assert np.allclose(marks.get_xdata(), near.peaks[~explained])
    title = sticks.get_title(loc="left")
    assert f"{near.similarity:.2f}" in title
    figure.draw_without_rendering()  # the name is no formula
    style.plt.close(figure)
