"""Files that were damaged at random, and those that want much memory."""

import io
import subprocess
import sys
import zipfile

import numpy as np
import pattern_files as files
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from malformed_files import SCAN, XRDML, zipped

import xrdlib
from xrdlib.base.errors import XrdlibError
from xrdlib.base.paths import ROOT
from xrdlib.prediction.reading.pattern import MAX_BYTES

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
    position = st.integers(0, len(content) - 1) | st.integers(0, min(len(content), 800) - 1)
    patch = st.binary(max_size=4) | st.sampled_from(
        [b"nan ", b"1e999", b"-1 ", b"\xff" * 4, b"&x;"]
    )
    edits = st.lists(st.tuples(position, st.integers(0, 8), patch), min_size=1, max_size=6)

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
