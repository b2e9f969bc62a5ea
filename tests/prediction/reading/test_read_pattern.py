"""Every format gives back the angles, counts and wavelength that were written."""

import csv

import numpy as np
import pattern_files
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reading import OTHER, SCAN, same

import xrdlib
from xrdlib.base import paths
from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import CU_KA1
from xrdlib.prediction.reading.scans import stated_wavelength
from xrdlib.simulation.diffraction import WAVELENGTHS


@pytest.mark.parametrize("kind", pattern_files.FORMATS)
def test_each_format_gives_angles_counts_and_wavelength(read, kind):
    name, write = pattern_files.FORMATS[kind]
    pattern = read(write(SCAN), name)
    same(pattern, SCAN)
    assert pattern.wavelength == pytest.approx(pattern_files.WAVELENGTH, abs=1e-12)
    assert pattern.metadata["format"] == kind
    assert pattern.metadata["file"] == name


@pytest.mark.parametrize("kind", pattern_files.FORMATS)
def test_the_content_decides_not_the_name(read, kind):
    same(read(pattern_files.FORMATS[kind][1](SCAN), "renamed.xyz"), SCAN)


@pytest.mark.parametrize("kind", pattern_files.FORMATS)
def test_of_scans_that_do_not_belong_together_the_widest_is_read(read, kind):
    name, write = pattern_files.FORMATS[kind]
    content = write(SCAN, OTHER)
    pattern = read(content, name)
    same(pattern, OTHER)
    assert pattern.metadata["notes"] == ["scans_left"]
    assert (pattern.metadata["scans"], pattern.metadata["scans_used"]) == (2, [2])
    same(read(content, name, scan=1), SCAN)
    same(read(content, name, scan=2), OTHER)
    with pytest.raises(XrdlibError, match="has no scan 3"):
        read(content, name, scan=3)


@pytest.mark.parametrize("scan", [0, -1, True, "1", 1.0])
def test_scans_are_counted_from_one(read, scan):
    with pytest.raises(XrdlibError, match="give 1 for the first scan"):
        read(pattern_files.columns(*SCAN), scan=scan)


@pytest.mark.parametrize("kind", ["STD", "ESD", "FXYE"])
def test_gsas_in_its_three_layouts(read, kind):
    same(read(pattern_files.gsas(SCAN, kind=kind), "scan.gsa"), SCAN)


@pytest.mark.parametrize("kind", ["RAS", "UXD", "GSAS", "XRDML"])
def test_old_encodings_of_text_formats(read, kind):
    name, write = pattern_files.FORMATS[kind]
    text = write(SCAN).decode().replace("salt", "M\u00fcller \u00b0").replace("UTF-8", "ISO-8859-1")
    same(read(text.encode("latin-1"), name), SCAN)


def test_a_mean_wavelength_stands_for_the_strong_line_of_its_doublet(read):
    for anode in ("Cu", "Co", "Mo"):
        mean = round(WAVELENGTHS[f"{anode}Ka"], 4)
        pattern = read(f"##X-RAY WAVELENGTH={mean}\n" + pattern_files.columns(*SCAN).decode())
        assert pattern.wavelength == WAVELENGTHS[f"{anode}Ka1"]
        assert pattern.metadata["stated_wavelength"] == mean


@pytest.mark.parametrize("value", [1.5406, 1.540593, 1.54059, 1.0, 0.413909, 2.28976])
def test_other_wavelengths_stay_as_they_are_stated(value):
    assert stated_wavelength(value) == value


def test_a_given_wavelength_goes_before_the_stated_one(read):
    content = pattern_files.xrdml(SCAN)
    pattern = read(content, "scan.xrdml", wavelength="CuKa1")
    assert pattern.wavelength == CU_KA1
    assert pattern.metadata["stated_wavelength"] == pattern_files.WAVELENGTH
    same(pattern, SCAN)
    # A wrong one in the file does not stand in the way.
    assert read(pattern_files.xrdml(SCAN, wavelength=99), wavelength=1.2).wavelength == 1.2


def test_attenuated_counts_of_xrdml_are_restored(read):
    x, y = SCAN
    factor = np.where(np.arange(len(x)) < 50, 2, 1)
    text = pattern_files.xrdml((x, y)).decode().replace("intensities", "counts")
    factors = " ".join(map(str, factor))
    text = text.replace(
        "</counts>", f"</counts><beamAttenuationFactors>{factors}</beamAttenuationFactors>"
    )
    same(read(text, "scan.xrdml"), (x, y * factor))


DIALECTS = st.sampled_from(
    [(sep, ".") for sep in (" ", "\t", ",", ", ", ";", " ; ", "   ")]
    + [(sep, ",") for sep in (" ", "\t", ";", "  ")]
)
HEADERS = ["", "# test\n", "! M\u00fcller\n\n", "2theta I\n", "##NAMES=A\n##OWNER=B\n", "x y\n"]
COUNTS = st.floats(0, 1e7, allow_subnormal=False) | st.integers(0, 10**6).map(float)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.data(),
    dialect=DIALECTS,
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "latin-1", "utf-16"]),
    header=st.sampled_from(HEADERS),
    footer=st.sampled_from(["", "\n\n", "##END=\n", "# end\n", "\x1a"]),
    extra=st.sampled_from(["", "1.5"]),
    descending=st.booleans(),
)
def test_every_dialect_of_text_comes_back_equal(
    read, data, dialect, newline, encoding, header, footer, extra, descending
):
    n = data.draw(st.integers(100, 130))
    start, step = data.draw(st.sampled_from([(0.0, 0.5), (5.0, 0.02), (3.3, 1 / 3)]))
    x = start + step * np.arange(n)
    y = np.array([0.0, 5.0, *data.draw(st.lists(COUNTS, min_size=n - 2, max_size=n - 2))])
    sep, decimal = dialect
    columns = [x[::-1], y[::-1]] if descending else [x, y]
    rows = [
        sep.join([repr(a), repr(b), *([extra] if extra else [])]).replace(".", decimal)
        for a, b in zip(*(c.tolist() for c in columns), strict=True)
    ]
    text = header + "\n".join(rows) + "\n" + footer
    pattern = read(text.replace("\n", newline).encode(encoding))
    same(pattern, (x, y), tolerance=0)


def test_metadata_holds_the_header(read):
    text = "##NAMES=Quartz\n##RRUFFID=R040031\n" + pattern_files.columns(*SCAN, sep=", ").decode()
    header = read(text + "##END=\n").metadata["header"]
    assert header == {"NAMES": "Quartz", "RRUFFID": "R040031"}


def test_fortran_exponents_and_remarks(read):
    rows = (f"{a:.4f} {b / 100:.4f}D+02 # {i}" for i, (a, b) in enumerate(zip(*SCAN, strict=True)))
    pattern = read("\n".join(rows))
    np.testing.assert_allclose(pattern.intensity, SCAN[1])


@pytest.mark.parametrize("name", ["Actinolite_R050336.csv", "Arsenopyrite_R050071.csv"])
def test_published_rruff_patterns(name):
    path = paths.data_dir() / "reference" / name
    if not path.is_file():
        pytest.skip(f"the published pattern is not at {path}")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    pattern = xrdlib.read_pattern(path)
    same(pattern, [np.array([float(row[k]) for row in rows]) for k in ("2theta", "intensity")])
    assert pattern.metadata["axis"] == "two_theta" and pattern.wavelength is None


def test_a_path_may_be_text_or_a_path(tmp_path):
    path = tmp_path / "a b \u00fc.xy"
    path.write_bytes(pattern_files.columns(*SCAN))
    same(xrdlib.read_pattern(path), SCAN)
    same(xrdlib.read_pattern(str(path)), SCAN)
