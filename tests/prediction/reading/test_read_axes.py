"""What the header says of the columns: axis, units, order; positions on d and q."""

import numpy as np
import pattern_files
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from reading import SCAN, on_axis, same

from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import CU_KA1
from xrdlib.prediction.reading.header import HC
from xrdlib.prediction.reading.scans import Scan, checked
from xrdlib.simulation.diffraction import WAVELENGTHS


@pytest.mark.parametrize("kind", ["d", "q"])
@pytest.mark.parametrize("wavelength", [None, "CoKa1", 1.2])
def test_a_named_axis_becomes_angles_of_the_given_wavelength(read, kind, wavelength):
    true = {None: CU_KA1, "CoKa1": WAVELENGTHS["CoKa1"]}.get(wavelength, wavelength)
    x = on_axis(kind, SCAN[0], true)
    pattern = read(pattern_files.columns(x, SCAN[1]), axis=kind, wavelength=wavelength)
    same(pattern, SCAN)
    assert pattern.wavelength == true


def test_points_that_no_angle_reaches_are_left_out_and_counted(read):
    q = np.linspace(1, 10, 400)
    pattern = read(pattern_files.columns(q, np.arange(400.0)), axis="q")
    reached = int((q * CU_KA1 / (4 * np.pi) <= 1).sum())
    assert len(pattern.two_theta) == reached < 400
    assert pattern.metadata["points_beyond_reach"] == 400 - reached


@pytest.mark.parametrize(
    ("header", "order"),
    [
        (",2theta,intensity", "nxy"),
        ("No.,Intensity,2Theta", "nyx"),
        ("2Theta,I_calc,I_obs", "xny"),
        ("d,2Theta,Counts", "nxy"),
        ("2theta,background,counts", "xny"),
        ("2theta,intensity,sigma", "xyn"),
        ("a,b,c", "xyn"),
    ],
)
def test_columns_are_found_by_name(read, header, order):
    n = np.arange(len(SCAN[0])) + 1.0
    table = {"x": SCAN[0], "y": SCAN[1], "n": n}
    rows = zip(*(table[column].tolist() for column in order), strict=True)
    same(read(header + "\n" + "\n".join(",".join(map(repr, row)) for row in rows)), SCAN)


def test_the_axis_of_a_chi_file_is_its_second_line(read):
    head = "frame.chi\n{}\nIntensity\n      151\n"
    same(read(head.format("2-Theta Angle (Degrees)").encode() + pattern_files.columns(*SCAN)), SCAN)
    q = on_axis("q", SCAN[0], CU_KA1)
    content = head.format("q (nm^-1)").encode() + pattern_files.columns(10 * q, SCAN[1])
    same(read(content), SCAN)


# A unit: the axes that it goes with, and the factor from their own unit to it.
UNITS = {
    "{angstrom}^-1": ("q", 1),
    "1/{angstrom}": ("q", 1),
    "{angstrom}-1": ("q", 1),
    "nm^-1": ("q", 10),
    "1/nm": ("q", 10),
    "nm-1": ("q", 10),
    "inverse nanometres": ("q", 10),
    "1/pm": ("q", 0.01),
    "{angstrom}": ("d", 1),
    "nm": ("d", 0.1),
    "pm": ("d", 100),
    "nanometers": ("d", 0.1),
    "deg": ("two_theta", 1),
    "degrees": ("two_theta", 1),
    "rad": ("two_theta", np.pi / 180),
    "radians": ("two_theta", np.pi / 180),
    "mrad": ("two_theta", np.pi / 0.18),
    # Nobody's units: refused, whatever the numbers.
    "furlong": (None, 3.7),
    "1/cm": (None, 0.2),
    "um": (None, 2.0),
}
NAMES = {"two_theta": ["2theta", "2Th", "2\u03b8"], "d": ["d", "D-spacing"], "q": ["q", "Q"]}
SPELLED = ["A", "\u00c5", "Angstrom", "\\305"]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    axis=st.sampled_from(["two_theta", "d", "q"]),
    name=st.integers(0, 1),
    unit=st.sampled_from(sorted(UNITS)),
    angstrom=st.sampled_from(SPELLED),
    bracket=st.sampled_from([" ({})", "({})", " [{}]", "_{}", " / {}"]),
    layout=st.sampled_from(["{}{sep}Intensity\n", "# {}{sep}I\n", "f\n{}\nIntensity\n 151\n"]),
    sep=st.sampled_from([",", ";", "\t", "   "]),
    wavelength=st.sampled_from([None, 0.4132, 0.7093, 1.78897]),
    written=st.integers(0, 11),
)
def test_a_wrong_unit_is_never_silent(
    read, axis, name, unit, angstrom, bracket, layout, sep, wavelength, written
):
    """A scan in some unit gives its angles back, or one sentence; never other angles."""
    kind, factor = UNITS[unit]
    assume((axis, kind) != ("q", "d"))  # who writes "q (nm)" means 1/nm
    unit = unit.format(angstrom=angstrom)
    header, stated = "", wavelength
    if wavelength:
        header, stated = WAVELENGTHS_WRITTEN[written % len(WAVELENGTHS_WRITTEN)](wavelength)
    x = factor * on_axis(axis, SCAN[0], wavelength or CU_KA1)
    title = layout.format(NAMES[axis][name] + bracket.format(unit), sep=sep)
    gap = " " if "151" in layout else sep
    # The four lines of a CHI file leave no room for a wavelength.
    header, stated = ("", None) if "151" in layout else (header, stated)
    x = x if stated == wavelength else factor * on_axis(axis, SCAN[0], CU_KA1)
    try:
        pattern = read(header.encode() + title.encode() + pattern_files.columns(x, SCAN[1], gap))
    except XrdlibError as error:
        assert kind != axis, error
        return
    if kind == axis:
        same(pattern, SCAN, tolerance=2e-4)
        if stated:
            assert pattern.wavelength == pytest.approx(stated, rel=2e-6)
    else:  # a unit of another axis: only where the numbers mean the same
        np.testing.assert_allclose(pattern.two_theta, SCAN[0], atol=2e-4)


WAVELENGTHS_WRITTEN = [
    lambda w: (f"# wavelength {w}\n", w),
    lambda w: (f"# Wavelength\t{w} A\n", w),
    lambda w: (f"! lambda = {w}\n", w),
    lambda w: (f"# wavelength: {w * 1e-10!r} m\n", w),
    lambda w: (f"# Wavelength: {w * 1e-10:.6e}\n", w),
    lambda w: (f'# {{"dist": 0.1, "wavelength": {w * 1e-10!r}, "rot1": 0.0}}\n', w),
    lambda w: (f"# wavelength (nm): {w / 10:.6f}\n", w),
    lambda w: (f"# wavelength_nm = {w / 10:.6f}\n", w),
    lambda w: (f"# Energy: {HC / w:.8f} keV\n", w),
    lambda w: (f"# photon energy (eV) = {1000 * HC / w:.6f}\n", w),
    lambda w: (f"# Lambda1: {w}\n# Lambda2: {w + 0.004}\n", w),
    lambda w: (f"# wavelength = {100 * w:.4f} pm\n", w),
]


@settings(max_examples=30, deadline=None)
@given(
    scale=st.floats(1e-6, 1e6),
    n=st.integers(100, 200),
    kind=st.sampled_from(["two_theta", "d", "q"]),
)
def test_order_and_scale_do_not_matter(scale, n, kind):
    x = on_axis(kind, np.linspace(10, 80, n), 1.2)
    y = np.sin(np.arange(n)) + 2
    up = checked(Scan(x, y, "text", kind, 1.2))
    down = checked(Scan(x[::-1], scale * y[::-1], "text", kind, 1.2))
    np.testing.assert_array_equal(up[0], down[0])
    np.testing.assert_allclose(down[1], scale * up[1])
    assert (np.diff(up[0]) > 0).all()
