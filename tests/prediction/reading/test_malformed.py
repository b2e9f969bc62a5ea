"""Files that are no powder pattern: each gets one sentence, in bounded time and memory."""

import os
import re
import resource

import bundled
import numpy as np
import pytest
from malformed_files import MALFORMED, XRDML, Y, table

import xrdlib
from xrdlib.base.errors import XrdlibError


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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gone.xy", "does not exist; check the name"),
        ("folder.xy", "is a folder"),
        ("scan.xy/inner", "cannot be read"),
        ("loop.xy", "cannot be read"),
    ],
)
def test_what_is_no_file(tmp_path, name, expected):
    (tmp_path / "folder.xy").mkdir()
    (tmp_path / "scan.xy").write_bytes(table())
    (tmp_path / "loop.xy").symlink_to("loop.xy")
    refused(tmp_path / name, expected)


def test_a_name_too_long(tmp_path):
    with pytest.raises(XrdlibError, match="cannot be read"):
        xrdlib.read_pattern(tmp_path / ("x" * 400))


@pytest.mark.parametrize("name", ["a\0b", "a\udc80\ud800b"])
def test_an_impossible_name(name):
    with pytest.raises(XrdlibError, match="not a possible file name|does not exist"):
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


def test_no_permission_as_the_system_reports_it(tmp_path, monkeypatch):
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
    "a group too many": (LONG, TALL, {"top_k": 100}, "top_k"),
}


@pytest.mark.parametrize("case", UNANSWERABLE)
def test_what_only_the_predictor_can_see(case):
    x, y, options, expected = UNANSWERABLE[case]
    with pytest.raises(XrdlibError) as error:
        bundled.predictor().predict(x, y, **options)
    assert re.search(expected, one_sentence(error, ""))
