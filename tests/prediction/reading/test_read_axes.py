"""What the header says of the columns: axis, units, order; positions on d and q."""

import numpy as np
import pattern_files
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import SCAN, on_axis, reader, same

from xrdlib.base.patterns import CU_KA1
from xrdlib.prediction.reading.scans import Scan, checked
from xrdlib.simulation.diffraction import WAVELENGTHS


@pytest.fixture
def read(tmp_path):
    return reader(tmp_path)


HEADERS = {
    "two_theta": ["2Theta", "2-theta (deg)", "TwoTheta", "2\u03b8 [\u00b0]", "2th", "Angle", "tth"],
    "d": ["d", "d-spacing", "d (A)", "d [\u00c5]", "d_spacing", "dspacing"],
    "q": ["Q", "Q (1/A)", "q [\u00c5-1]", "q(A^-1)", "Q_vector"],
}


@pytest.mark.parametrize("kind,name", [(k, n) for k, names in HEADERS.items() for n in names])
@pytest.mark.parametrize("sep", [",", ";", "\t", "   "])
def test_the_header_names_the_axis(read, kind, name, sep):
    x = on_axis(kind, SCAN[0], CU_KA1)
    pattern = read(pattern_files.columns(x, SCAN[1], sep, f"{name}{sep}Intensity\n"))
    same(pattern, SCAN)
    assert pattern.metadata["axis"] == kind
    assert pattern.wavelength == (None if kind == "two_theta" else CU_KA1)


@pytest.mark.parametrize("kind", ["d", "q"])
@pytest.mark.parametrize("wavelength", [None, "CoKa1", 1.2])
def test_a_named_axis_becomes_angles_of_the_given_wavelength(read, kind, wavelength):
    true = {None: CU_KA1, "CoKa1": WAVELENGTHS["CoKa1"]}.get(wavelength, wavelength)
    x = on_axis(kind, SCAN[0], true)
    pattern = read(pattern_files.columns(x, SCAN[1]), axis=kind, wavelength=wavelength)
    same(pattern, SCAN)
    assert pattern.wavelength == true


@pytest.mark.parametrize(
    ("name", "factor"), [("q (1/nm)", 10), ("Q (nm^-1)", 10), ("d (nm)", 0.1), ("2theta (rad)", 0)]
)
def test_units_of_the_axis(read, name, factor):
    kind = {"q": "q", "d": "d", "2": "two_theta"}[name[0].lower()]
    x = on_axis(kind, SCAN[0], CU_KA1) * (factor or np.pi / 180)
    same(read(pattern_files.columns(x, SCAN[1], ",", f"{name},I\n")), SCAN)


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
