"""Files that are no powder pattern: each gets one sentence, in bounded time and memory."""

import gzip
import io
import os
import re
import resource
import struct
import subprocess
import sys
import zipfile

import bundled
import numpy as np
import pattern_files as files
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xrdlib
from xrdlib.errors import XrdlibError
from xrdlib.paths import ROOT
from xrdlib.read import MAX_BYTES

X, Y = files.scan()
SCAN = X, Y
LAUGHS = "".join(f'<!ENTITY l{i + 1} "{f"&l{i};" * 10}">' for i in range(9))
BOMB = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{LAUGHS}]><xrdMeasurements>&l9;'
XXE = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><xrdMeasurements>&f;</xrdMeasurements>'


def table(x=X, y=Y, **options):
    return files.columns(np.asarray(x, float), np.asarray(y, float), **options)


def changed(values, index, value):
    values = np.array(values, float)
    values[index] = value
    return values


def zipped(name, content, mode="w", **members):
    return files.archive({"Experiment0/DataContainer.xml": "<a/>", name: content} | members)


def encrypted():
    content = bytearray(files.brml(SCAN))
    central = content.index(b"PK\x01\x02")
    content[central + 8] |= 1
    return bytes(content)


def lying_about_its_size():
    """An archive whose member unpacks to more than it declares."""
    content = files.archive({"Experiment0/DataContainer.xml": b"<a>" + b" " * 10_000_000})
    small = struct.pack("<I", 100)
    central = content.index(b"PK\x01\x02")
    return content[: central + 24] + small + content[central + 28 :]


XRDML = files.xrdml(SCAN)
MALFORMED = {
    # name: (content, what the message says)
    "empty.xy": (b"", "is empty"),
    "blank.txt": (b" \n\r\n\t\n", "nothing but zeros or blanks"),
    "zeros.xy": (bytes(5000), "nothing but zeros or blanks"),
    "noise.bin": (np.random.default_rng(0).bytes(5000), "is binary"),
    "noise.raw": (np.random.default_rng(1).bytes(5000), "is binary"),
    "prose.txt": (b"It was a dark and stormy night.\n" * 40, "no columns of numbers"),
    "page.html": (b"<!DOCTYPE html><html><body>404</body></html>", "is a web page"),
    "notes.json": (b'{"two_theta": [5, 6], "intensity": [1, 2]}', "no columns of numbers"),
    "code.py": (b"import numpy as np\nprint(np.pi)\n", "no columns of numbers"),
    "cut16.txt": ("5 6\n".encode("utf-16") + b"\0", "damaged UTF-16"),
    "nan.xy": (table(y=changed(Y, 7, np.nan)), "point 8 of the scan is NaN"),
    "nan_angle.xy": (table(x=changed(X, 7, np.nan)), "point 8 of the scan is NaN"),
    "inf.xy": (table(y=changed(Y, 7, np.inf)), "point 8 of the scan is NaN or infinite"),
    "huge.xy": (table(y=changed(Y, 7, 1e40)), "point 8 of the scan is NaN or infinite"),
    "one_point.xy": (b"5.0 10\n", "1 point found"),
    "two_points.xy": (b"5.0 10\n5.1 12\n", "2 points found"),
    "peak_list.xy": (table(X[:30], Y[:30]), "not a peak list"),
    "duplicate.xy": (table(changed(X, 51, X[50])), "occurs twice"),
    "duplicates.xy": (table(np.repeat(X, 2), np.repeat(Y, 2)), "occurs twice"),
    "shuffled.xy": (table(np.random.default_rng(0).permutation(X)), "turn back"),
    "two_scans.xy": (table() + table(), "turn back"),
    "constant_angle.xy": (table(np.full_like(X, 20.0)), "occurs twice"),
    "all_zero.xy": (table(y=0 * Y), "all intensities are zero"),
    "flat.xy": (table(y=0 * Y + 7), "all intensities are 7"),
    "negative.xy": (table(y=-Y), "no intensity is positive"),
    "deep_negative.xy": (table(y=changed(Y, 9, -1e6)), "intensities go down to"),
    "beyond_180.xy": (table(X + 170), "angles run from 180 to"),
    "below_zero.xy": (table(X - 20), "angles run from -10"),
    "channels.xy": (table(np.arange(len(X)) * 10), "angles run from 0 to 1500"),
    "negative_d.csv": (table(X - 20, sep=",", header="d (A),I\n"), "d-spacing of -10"),
    "q_out_of_reach.csv": (table(X, sep=",", header="Q (1/A),I\n"), "within reach"),
    "theta.csv": (table(X, sep=",", header="theta,counts\n"), "the first column is called 'theta'"),
    "tof.csv": (table(X, sep=",", header="TOF,counts\n"), "the first column is called 'tof'"),
    "one_column.txt": (b"\n".join(b"%d" % v for v in Y), "one column"),
    "ragged.csv": (table(sep=",").replace(b"12.0,", b"12.0,1,"), "line 41 has 3 columns"),
    "missing_cell.csv": (table(sep=",").replace(b"12.0,", b"12.0"), "line 41"),
    "start_step_stop.dat": (b"10.0 0.05 17.5\n" + table(), "line 1 has 3 columns"),
    "word_inside.xy": (table().replace(b"\n12.0 ", b"\ntwelve "), "line 41 .* no row of numbers"),
    "decimal_comma.csv": (table(sep=",").replace(b".", b","), "comma both inside numbers"),
    "one_line.txt": (b"1 2 " * 5000, "a line of 19999 characters"),
    "many_lines.txt": (b"1 2\n" * 600_000, "more than 500000 lines"),
    "wide.txt": (b"1 2 3 4 5 6 7 8 9\n" * 400_000, "more than 2000000 numbers"),
    "wavelength_pm.xy": (b"# wavelength = 154.06\n" + table(), "wavelength of 154.06 angstrom"),
    "wavelength_nm.xy": (b"# wavelength = 0.154056\n" + table(), "Cu K-alpha in nanometres"),
    "wavelength.xrdml": (files.xrdml(SCAN, wavelength=71.0), "wavelength of 71 angstrom"),
    "cut.xrdml": (XRDML[: len(XRDML) // 2], "cut-off XML"),
    "bomb.xrdml": (BOMB, "document type or entities"),
    "external.xrdml": (XXE, "document type or entities"),
    "other.xml": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "XML of another kind .*svg"),
    "encoding.xml": (b"<?xml version='1.0' encoding='klingon'?><a/>", "damaged or cut-off XML"),
    "deep.xml": (b"<xrdMeasurements>" + b"<a>" * 200_000, "damaged or cut-off XML"),
    "deep.xrdml": (
        b"<xrdMeasurements>" + b"<a>" * 50_000 + b"</a>" * 50_000 + b"</xrdMeasurements>",
        "nesting exceeds",
    ),
    "many.xml": (b"<xrdMeasurements>" + b"<a/>" * 600_000, "XML elements"),
    "empty.xrdml": (b"<xrdMeasurements></xrdMeasurements>", "holds no XRDML scan"),
    "words.xrdml": (XRDML.replace(b">10.0<", b">ten<"), "cannot be read as XRDML"),
    "omega.xrdml": (XRDML.replace(b'"Gonio"', b'"Omega"'), "Omega"),
    "cut.brml": (files.brml(SCAN)[:-200], "cut-off zip"),
    "cut_head.rasx": (files.rasx(SCAN)[:300], "cut-off zip"),
    "traversal.brml": (files.brml(SCAN, extra={"../../evil": "x"}), "files outside itself"),
    "absolute.brml": (files.brml(SCAN, extra={"/etc/evil": "x"}), "files outside itself"),
    "drive.brml": (files.brml(SCAN, extra={"C:\\evil": "x"}), "files outside itself"),
    "bomb.brml": (zipped("Experiment0/RawData0.xml", bytes(200 * 2**20)), "unpacks to more"),
    "many.rasx": (files.archive({f"{i}": "" for i in range(5001)}), "5000 files"),
    "liar.brml": (lying_about_its_size(), "damaged"),
    "entities.brml": (
        zipped(
            "Experiment0/RawData0.xml",
            BOMB,
            **{
                "Experiment0/DataContainer.xml": (
                    files.BRML_INDEX.format(members="<s>Experiment0/RawData0.xml</s>")
                )
            },
        ),
        "document type",
    ),
    "locked.brml": (encrypted(), "encrypted"),
    "packed.brml": (files.archive({"root.xml": "<a/>"}, zipfile.ZIP_LZMA), "unusual way"),
    "book.xlsx": (files.archive({"[Content_Types].xml": "<a/>"}), "Office document"),
    "arrays.npz": (files.archive({"a.npy": b"\x93NUMPY"}), "NumPy archive"),
    "other.zip": (files.archive({"readme.txt": "hello"}), "without a BRML or RASX pattern"),
    "no_members.brml": (files.archive({}), "cut-off zip|is binary"),
    "lonely.brml": (zipped("a.xml", "<a/>"), "holds no BRML scan"),
    "cut1.raw": (files.raw1(SCAN)[:400], "cut-off RAW"),
    "cut2.raw": (files.raw2(SCAN)[:400], "cut-off RAW"),
    "cut3.raw": (files.raw3(SCAN)[:1200], "cannot be read as RAW"),
    "cut4.raw": (files.raw4(SCAN)[:400], "cannot be read as RAW"),
    "large.raw": (b"RAW1.01" + bytes(17 * 2**20), "in an instrument's format"),
    "cut.ras": (files.ras(SCAN)[:2000], "cannot be read as RAS"),
    "attenuated.ras": (files.ras(SCAN, attenuation=1.0 + (X > 12)), "attenuator moved"),
    "cut.fxye": (files.gsas(SCAN)[:3000], "cannot be read as GSAS|points? found"),
    "tof.gsa": (files.gsas(SCAN).replace(b"CONS", b"SLOG"), "cannot be read as GSAS"),
    "structure.cif": (b"data_salt\n_cell_length_a 5.64\n", "without a measured powder profile"),
    "calculated.cif": (
        files.cif(SCAN).replace(b"_pd_proc_intensity_total", b"_x_y").replace(b"_pd_meas", b"_x"),
        "without a measured powder profile",
    ),
    "cut.cif": (
        b"data_salt\nloop_\n_pd_meas_counts_total\n_pd_proc_2theta_corrected\n1 2 3",
        "CIF",
    ),
    "prose.cif": (b"This is not a CIF.\n", "cannot be read as CIF"),
    "twice.cif": (
        files.cif(SCAN) + b"loop_\n_pd_proc_2theta_corrected\n1\n2\n",
        "gives _pd_proc_2theta_corrected twice",
    ),
    "misfit.cif": (
        files.cif(SCAN, stepped=True).replace(b"range_inc 0.05", b"range_inc 0.5"),
        "do not fill the range",
    ),
    "scan.xy.gz": (gzip.compress(table()), "compressed with gzip"),
    "scan.bz2": (b"BZh91AY&SY" + bytes(50), "compressed with bzip2"),
    "picture.png": (b"\x89PNG\r\n\x1a\n" + bytes(99), "is an image"),
    "picture.jpg": (b"\xff\xd8\xff\xe0" + bytes(99), "is an image"),
    "paper.pdf": (b"%PDF-1.7\n%\xe2\xe3\n", "PDF document"),
    "frames.h5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
    "old.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "Office document"),
    "tool.exe": (b"MZ\x90\0" + bytes(99) + b"\1", "is binary"),
    "objects.pkl": (b"\x80\x04\x95\x10\0\0\0\0\0\0\0cos\nsystem\n.", "is binary"),
}


def one_sentence(error, name):
    """The message of an error, after a check of its form."""
    message = str(error.value)
    assert error.type is XrdlibError
    assert name in message
    assert "\n" not in message and message.endswith(".") and len(message) < 500
    assert not re.search(r"[.!?] [A-Z]", message), "more than one sentence"
    assert "Traceback" not in message and "Error" not in message
    return message


def refused(path, expected, **options):
    with pytest.raises(XrdlibError) as error:
        xrdlib.read_pattern(path, **options)
    assert re.search(expected, one_sentence(error, path.name))
    assert error.value.__cause__ is None and error.value.__suppress_context__


def test_there_are_many_of_them():
    assert len(MALFORMED) >= 40


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_pattern_is_refused_in_one_sentence(tmp_path, name):
    content, expected = MALFORMED[name]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(path, expected)
    assert [p.name for p in tmp_path.iterdir()] == [name], "something was unpacked"


def test_the_table_itself_is_well_formed(tmp_path):
    path = tmp_path / "scan.xy"
    path.write_bytes(table())
    np.testing.assert_array_equal(xrdlib.read_pattern(path).intensity, Y)


def test_a_missing_file(tmp_path):
    refused(tmp_path / "gone.xy", "does not exist; check the name")


def test_a_folder(tmp_path):
    refused(tmp_path, "is a folder")


def test_a_file_in_a_file(tmp_path):
    (tmp_path / "scan.xy").write_bytes(table())
    refused(tmp_path / "scan.xy" / "inner", "cannot be read")


def test_a_link_to_itself(tmp_path):
    (tmp_path / "loop.xy").symlink_to("loop.xy")
    refused(tmp_path / "loop.xy", "cannot be read")


def test_a_name_too_long(tmp_path):
    with pytest.raises(XrdlibError, match="cannot be read"):
        xrdlib.read_pattern(tmp_path / ("x" * 400))


@pytest.mark.parametrize("name", ["a\0b", "a\udc80\ud800b"])
def test_an_impossible_name(name):
    with pytest.raises(XrdlibError, match="no possible file name|does not exist"):
        xrdlib.read_pattern(name)


def test_a_name_cannot_break_the_line(tmp_path):
    with pytest.raises(XrdlibError) as error:
        xrdlib.read_pattern(tmp_path / "a\nTraceback\x1b[31m")
    assert "\n" not in str(error.value) and "\x1b" not in str(error.value)


@pytest.mark.parametrize("path", [None, 3, 1.5, [], object()])
def test_what_is_no_path(path):
    with pytest.raises(XrdlibError, match="is not a path"):
        xrdlib.read_pattern(path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    path = tmp_path / "secret.xy"
    path.write_bytes(table())
    path.chmod(0)
    refused(path, "may not be read")


def test_no_permission_as_told_by_the_system(tmp_path, monkeypatch):
    path = tmp_path / "secret.xy"
    path.write_bytes(table())

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    refused(path, "may not be read")


@pytest.mark.timeout(20)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.xy")
    refused(tmp_path / "pipe.xy", "not a regular file")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_does_not_hang(device):
    if not os.path.exists(device):
        pytest.skip(f"no {device} here")
    with pytest.raises(XrdlibError, match="not a regular file"):
        xrdlib.read_pattern(device)


def test_500_megabytes_of_zeros_are_not_read(tmp_path):
    path = tmp_path / "zeros.xy"
    with path.open("wb") as file:
        file.truncate(500_000_000)  # sparse: takes no room on the disk
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path, "has 500 MB and at most 64 MB")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KB


@pytest.mark.parametrize(
    "options",
    [
        {"axis": "theta"},
        {"axis": ""},
        {"axis": 1},
        {"wavelength": 0},
        {"wavelength": -1.5},
        {"wavelength": 154.0},
        {"wavelength": "CuKz"},
        {"wavelength": "1.54"},
        {"wavelength": float("nan")},
        {"wavelength": [1.5]},
        {"scan": 2},
    ],
)
def test_options_that_make_no_sense(tmp_path, options):
    path = tmp_path / "scan.xy"
    path.write_bytes(table())
    with pytest.raises(XrdlibError):
        xrdlib.read_pattern(path, **options)


def test_an_axis_that_the_format_does_not_have(tmp_path):
    path = tmp_path / "scan.xrdml"
    path.write_bytes(XRDML)
    refused(path, "holds two_theta positions and axis='q' was given", axis="q")


LONG = np.linspace(4, 95, 2000)
TALL = 100 + 50 * np.sin(LONG)
# name: (2theta, intensity, options, what the message says)
UNANSWERABLE = {
    "high angles": (LONG + 84.9, TALL, {}, "points fall between 5 and 90 degrees"),
    "low angles": (LONG / 20, TALL, {}, "points fall between 5 and 90 degrees"),
    "a wavelength too short": (LONG, TALL, {"wavelength": 0.1}, "check the .* wavelength"),
    "a wavelength too long": (LONG, TALL, {"wavelength": 15.4}, "from 0.1 to 5"),
    "a wavelength of zero": (LONG, TALL, {"wavelength": 0}, "Wavelength"),
    "a wavelength without sense": (LONG, TALL, {"wavelength": "Kryptonite"}, "Kryptonite"),
    "a coarse step": (LONG[::10], TALL[::10], {}, "step is"),
    "too few points": (LONG[:50], TALL[:50], {}, "50 points"),
    "no points": ([], [], {}, "0 points"),
    "duplicate angles": (np.repeat(LONG, 2), np.repeat(TALL, 2), {}, "more than once"),
    "NaN": (LONG, np.where(LONG > 50, np.nan, TALL), {}, "NaN"),
    "infinite": (LONG, np.where(LONG > 50, np.inf, TALL), {}, "NaN or infinite"),
    "all zero": (LONG, 0 * TALL, {}, "no positive intensity"),
    "all negative": (LONG, -TALL, {}, "no positive intensity"),
    "nothing within 5 to 90": (LONG, TALL * (LONG < 4.5), {}, "no positive intensity"),
    "angles beyond 180": (LONG + 90, TALL, {}, "between 0 and 180"),
    "negative angles": (LONG - 50, TALL, {}, "between 0 and 180"),
    "different lengths": (LONG, TALL[1:], {}, "do not belong together"),
    "words": (["a"] * 200, TALL[:200], {}, "plain numbers"),
    "an unknown prior": (LONG, TALL, {"prior": "gut feeling"}, "Prior"),
    "a prior of nothing": (LONG, TALL, {"prior": {}}, "."),
    "a place too many": (LONG, TALL, {"top_k": 100}, "top_k"),
}


@pytest.mark.parametrize("case", UNANSWERABLE)
def test_what_only_the_predictor_can_see(case):
    x, y, options, expected = UNANSWERABLE[case]
    with pytest.raises(XrdlibError) as error:
        bundled.predictor().predict(x, y, **options)
    assert re.search(expected, one_sentence(error, ""))


HUNGRY = {
    "elements.xml": b"<xrdMeasurements>" + b"<a/>" * 490_000 + b"</xrdMeasurements>",
    "numbers.xrdml": XRDML.replace(
        b'<intensities unit="counts">', b"<intensities>" + b"1 " * 10**6
    ),
    "rows.xy": b"5.5;6;7\n" * 490_000,
    "spaces.brml": zipped("Experiment0/RawData0.xml", b"<a>" + b" " * 100_000_000),
    "long.txt": b"1 " * (MAX_BYTES // 2),
}
MEASURE = """
import resource, sys, xrdlib
xrdlib.read_pattern, resource.getrusage(resource.RUSAGE_SELF)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
outcome = "read"
try:
    xrdlib.read_pattern(sys.argv[1])
except xrdlib.XrdlibError as error:
    outcome = error
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, outcome)
"""


@pytest.mark.timeout(60)
@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other units elsewhere")
@pytest.mark.parametrize("name", HUNGRY)
def test_what_is_hungry_stays_within_400_megabytes(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(HUNGRY[name])
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert int(done.stdout.split()[0]) < 400, done.stdout


def mutations(content):
    """Content with some bytes changed, left out or put in, or cut off."""
    place = st.integers(0, len(content) - 1) | st.integers(0, min(len(content), 800) - 1)
    patch = st.binary(max_size=4) | st.sampled_from(
        [b"nan ", b"1e999", b"-1 ", b"\xff" * 4, b"&x;"]
    )
    edits = st.lists(st.tuples(place, st.integers(0, 8), patch), min_size=1, max_size=6)

    def apply(edits, end):
        data = bytearray(content)
        for start, length, new in edits:
            data[start : start + length] = new
        return bytes(data[:end])

    return st.builds(apply, edits, st.none() | st.integers(0, len(content)))


def repacked(content):
    """An archive with one of its members mutated."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return st.sampled_from(sorted(members)).flatmap(
        lambda name: mutations(members[name]).map(
            lambda data: files.archive(members | {name: data})
        )
    )


@pytest.mark.parametrize("kind", [*files.FORMATS, "text"])
def test_a_damaged_file_gives_a_pattern_or_one_sentence(tmp_path, kind):
    name, write = files.FORMATS.get(kind, ("scan.csv", lambda scan: files.columns(*scan, sep=",")))
    path, content = tmp_path / name, write(SCAN)
    inside = repacked(content) if content.startswith(b"PK") else st.nothing()

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(mutations(content) | inside)
    def check(damaged):
        path.write_bytes(damaged)
        try:
            pattern = xrdlib.read_pattern(path)
        except XrdlibError as error:
            assert "\n" not in str(error) and str(error).endswith(".")
        else:
            assert (np.diff(pattern.two_theta) > 0).all() and np.isfinite(pattern.intensity).all()
            assert len(pattern.two_theta) == len(pattern.intensity) >= 100

    check()
