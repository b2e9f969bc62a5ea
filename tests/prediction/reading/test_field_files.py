"""Files of the field's instruments and programs: read rightly, or refused by name."""

import csv
import io
import re

import field_files
import numpy as np
import pattern_files
import pytest
from field_files import X, Y, block, table
from reading import OTHER, same

import xrdlib
from xrdlib.base import paths
from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import CU_KA1


@pytest.mark.parametrize("name", field_files.READ)
def test_a_file_of_the_field_is_read(read, name):
    content, wavelength, *beside = field_files.READ[name]
    facts = beside[0] if beside else {}
    pattern = read(content, name)
    x, y = np.asarray(facts.get("x", X)), np.asarray(facts.get("y", Y), float)
    if left_out := facts.get("masked"):
        assert pattern.metadata["points_masked"] == left_out
        kept = np.isin(np.round(x, 6), np.round(pattern.two_theta, 6))
        assert kept.sum() == len(x) - left_out
        x, y = x[kept], y[kept]
    if "below" in facts:
        assert pattern.metadata["points_below_zero"] == facts["below"]
        pattern.two_theta.flags.writeable = True
        pattern = pattern.__class__(pattern.two_theta[-151:], pattern.intensity[-151:], None, {})
    np.testing.assert_allclose(pattern.two_theta, x, rtol=0, atol=2e-5)
    np.testing.assert_allclose(pattern.intensity, y, rtol=1e-12)
    assert pattern.wavelength == (pytest.approx(wavelength, abs=2e-6) if wavelength else None)
    assert pattern.probe == facts.get("probe", pattern.probe)


@pytest.mark.parametrize("name", field_files.REFUSED)
def test_what_is_not_read_is_refused_by_name(read, name):
    content, expected = field_files.REFUSED[name]
    with pytest.raises(XrdlibError, match=expected) as error:
        read(content, name)
    assert "\n" not in str(error.value) and "line " not in str(error.value)


@pytest.mark.parametrize("header", field_files.HEAD_WAVELENGTHS)
def test_wavelengths_as_headers_state_them(read, header):
    expected = field_files.HEAD_WAVELENGTHS[header]
    wavelength = read(table(header=header)).wavelength
    assert wavelength == (pytest.approx(expected, abs=1e-6) if expected else None)


@pytest.mark.parametrize("name", field_files.AXIS_NAMES)
@pytest.mark.parametrize("layout", ["{},Intensity\n", "# {}\tI\n", "f\n{}\nIntensity\n 151\n"])
def test_axes_as_headers_name_them(read, name, layout):
    axis, x = field_files.AXIS_NAMES[name]
    sep = "," if layout.startswith("{}") else "\t" if "\t" in layout else " "
    pattern = read(table(x, header=layout.format(name), sep=sep))
    same(pattern, (X, Y))
    assert pattern.metadata["axis"] == axis
    assert pattern.wavelength == (None if axis == "two_theta" else CU_KA1)


@pytest.mark.parametrize("name", field_files.AXES_REFUSED)
@pytest.mark.parametrize("layout", ["{},Intensity\n", "f\n{}\nIntensity\n 151\n"])
def test_positions_that_are_no_angle_are_refused_by_name(read, name, layout):
    sep = "," if layout.startswith("{}") else " "
    with pytest.raises(XrdlibError, match="the (first column is|positions are) called"):
        read(table(header=layout.format(name), sep=sep))


def test_equal_angles_are_averaged_and_counted(read):
    x = np.insert(X, 51, X[50])
    y = np.insert(Y, 51, Y[50] + 10)
    pattern = read(table(x, y))
    expected = Y.copy()
    expected[50] += 5
    same(pattern, (X, expected))
    assert pattern.metadata["points_merged"] == 1


def test_a_file_of_a_zip_archive_is_chosen_by_its_place(read):
    content = pattern_files.archive({"b.xy": table(*OTHER), "a.xy": table()})
    same(read(content, "scans.zip", scan=1), (X, Y))
    same(read(content, "scans.zip", scan=2), OTHER)


# A scan that was aborted after 120 of its 151 counts.
FEWER = block(field_files.COUNTS[:120])
ABORTED = {
    "fullprof.dat": f"{field_files.RANGE}\n{FEWER}",
    "philips.udf": field_files.UDF + FEWER,
    "sietronics.cpi": field_files.CPI + FEWER,
    "rigaku.asc": re.sub(
        r"(COUNT[^\n]*\n)[^*]*", rf"\1{FEWER}", field_files.RIGAKU + field_files.rigaku(X, Y)
    ),
}


@pytest.mark.parametrize("name", ABORTED)
def test_an_aborted_scan_is_read_with_a_note(read, name):
    pattern = read(ABORTED[name], name)
    np.testing.assert_allclose(pattern.two_theta, X[:120], atol=2e-5)
    np.testing.assert_array_equal(pattern.intensity, Y[:120])
    assert pattern.metadata["notes"] == ["aborted"]


TABLES = {
    "pipes": table(header="2theta|I\n", sep="|"),
    "colons": table(header="sample: quartz\n", sep=" : "),
    "markdown": table(header="| 2theta | I |\n|---|---|\n", row="| {0!r} | {1!r} |"),
    "drawn": table(header="+---+---+\n| 2theta | I |\n+===+===+\n", row="| {0:7} | {1:6} |")
    + "+---+---+\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_pipes_and_colons_set_columns_apart(read, name):
    same(read(TABLES[name]), (X, Y))


def test_the_second_group_of_a_rigaku_file(read):
    content = field_files.RIGAKU + field_files.rigaku(X, Y) + field_files.rigaku(*OTHER, 1)
    same(read(content, "a.asc", scan=2), OTHER)


def test_the_standard_input(monkeypatch):
    class Stream:
        buffer = io.BytesIO(table().encode())

    monkeypatch.setattr("sys.stdin", Stream)
    same(xrdlib.read_pattern("-"), (X, Y))


def _expected():
    path = paths.data_dir() / "inputs" / "EXPECTED.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.skipif(not _expected(), reason="the folder of inputs is not here")
def test_the_inputs_of_the_data_folder():
    wrong = {}
    for row in _expected():
        pattern = xrdlib.read_pattern(paths.data_dir() / "inputs" / row["file"])
        axis = {"two_theta": "2theta"}.get(pattern.metadata["axis"], pattern.metadata["axis"])
        values = {"wavelength": pattern.wavelength, "axis": axis, "points": len(pattern.two_theta)}
        for key, value in values.items():
            if not row[key]:
                continue
            right = (
                value == row[key]
                if key == "axis"
                else value is not None and np.isclose(value, float(row[key]), rtol=1e-4)
            )
            if not right:
                wrong[row["file"], key] = value
    assert not wrong
