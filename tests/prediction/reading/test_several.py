"""Files of several scans: joined, averaged, or the first with a note."""

import re

import numpy as np
import pattern_files
import pytest
from reading import same

WHOLE = pattern_files.scan(n=601)
X, Y = WHOLE


def noisy(level, seed, peaks=(15.0, 22.0, 31.0)):
    """Counts of a scan over X with peaks at these angles."""
    rng = np.random.default_rng(seed)
    lines = sum(900 * np.exp(-(((X - peak) / 0.12) ** 2)) for peak in peaks)
    return rng.poisson(level * (40 + lines)).astype(float)


@pytest.mark.parametrize("kind", pattern_files.FORMATS)
@pytest.mark.parametrize("overlap", [0, 1, 41])
def test_ranges_that_follow_each_other_are_joined(read, kind, overlap):
    name, write = pattern_files.FORMATS[kind]
    parts = [(X[:300], Y[:300]), (X[300 - overlap :], Y[300 - overlap :])]
    for scans in (parts, parts[::-1]):
        pattern = read(write(*scans), name)
        same(pattern, WHOLE)
        assert pattern.metadata["notes"] == ["scans_joined"]
        assert pattern.wavelength == pytest.approx(pattern_files.WAVELENGTH)


@pytest.mark.parametrize("overlap", [0, 60])
def test_counting_times_of_joined_ranges_are_brought_to_one_level(read, overlap):
    y = noisy(4, 1)
    later = 5 * y[300 - overlap :]
    pattern = read(pattern_files.raw1((X[:300], y[:300]), (X[300 - overlap :], later)), "a.raw")
    ratio = pattern.intensity[320:] / y[320:]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)
    assert ratio[0] == pytest.approx(1, abs=1e-9 if overlap else 0.2)


@pytest.mark.parametrize("kind", ["XRDML", "Bruker RAW 1", "UXD"])
@pytest.mark.parametrize("level", [0.05, 1, 10])
def test_repeated_scans_of_one_specimen_are_averaged(read, kind, level):
    name, write = pattern_files.FORMATS[kind]
    scans = [noisy(level, seed) for seed in range(3)]
    pattern = read(write(*((X, y) for y in scans)), name)
    np.testing.assert_allclose(pattern.intensity, np.mean(scans, 0))
    assert pattern.metadata["notes"] == ["scans_averaged"]
    assert pattern.metadata["scans_used"] == [1, 2, 3]


def test_of_a_series_that_changes_the_first_speaks(read):
    first, later = noisy(1, 0), noisy(1, 1, peaks=(15.2, 22.3, 31.4))
    pattern = read(pattern_files.xrdml((X, first), (X, later)), "series.xrdml")
    same(pattern, (X, first))
    assert pattern.metadata["notes"] == ["scans_left"]
    assert (pattern.metadata["scans"], pattern.metadata["scans_used"]) == (2, [1])


@pytest.mark.parametrize("kind", [f"Bruker RAW {version}" for version in (1, 2, 3, 4)])
def test_a_file_cut_off_within_its_last_scan_is_read_with_a_note(read, kind):
    name, write = pattern_files.FORMATS[kind]
    pattern = read(write(WHOLE)[: -4 * 201 - 2], name)
    same(pattern, (X[:399], Y[:399]))
    assert pattern.metadata["notes"] == ["aborted"]
    twice = read(write((X[:300], Y[:300]), (X[300:], Y[300:]))[:-401], name)
    same(twice, (X[:500], Y[:500]))
    assert twice.metadata["notes"] == ["aborted", "scans_joined"]


@pytest.mark.parametrize("part", ["<xrdMeasurement ", "<scan "])
def test_a_scan_that_says_that_it_was_aborted(read, part):
    text = pattern_files.xrdml(WHOLE).decode().replace(part, f'{part}status="Aborted" ')
    assert read(text, "a.xrdml").metadata["notes"] == ["aborted"]


@pytest.mark.parametrize("kind", pattern_files.FORMATS)
def test_zeros_that_fill_the_file_of_an_aborted_scan_are_left_out(read, kind):
    name, write = pattern_files.FORMATS[kind]
    y = np.where(np.arange(len(X)) < 400, Y, 0)
    pattern = read(write((X, y)), name)
    same(pattern, (X[:400], Y[:400]))
    assert pattern.metadata["notes"] == ["aborted"]
    y[200] = 0  # so that a zero is a count as others are
    same(read(write((X, y)), name), (X, y))


@pytest.mark.parametrize("falling", [False, True])
def test_scans_below_each_other_in_a_table(read, falling):
    parts = [(X[:320], Y[:320]), (X[300:], Y[300:])]
    parts = [(x[::-1], y[::-1]) for x, y in parts] if falling else parts
    content = b"\n".join(pattern_files.columns(*part) for part in parts)
    pattern = read(content)
    same(pattern, WHOLE)
    assert pattern.metadata["notes"] == ["scans_joined"]
    same(read(content, scan=2), (X[300:], Y[300:]))


@pytest.mark.parametrize("sep", [",", "\t", " "])
def test_a_table_of_two_rows_is_turned_upright(read, sep):
    rows = [sep.join(map(repr, values.tolist())) for values in WHOLE]
    same(read("\n".join(rows)), WHOLE)
    names = sep.join(f"p{i}" for i in range(len(X)))
    same(read("\n".join([names, *rows, rows[1]])), WHOLE)
    q = sep.join(repr(value) for value in (10 + X / 10).tolist())
    assert read(f"q(nm-1){sep}{q}\nI{sep}{rows[1]}").metadata["axis"] == "q"


def test_counts_of_uxd_may_have_their_times_behind_them(read):
    text = pattern_files.FORMATS["UXD"][1](WHOLE).decode()
    head = text[: re.search("^_(?:2THETA)?COUNTS", text, re.MULTILINE).start()]
    rows = "".join(f"{a:.4f}  {b:.0f}  1.5\n" for a, b in zip(*WHOLE, strict=True))
    same(read(f"{head}_2THETACOUNTSTIME\n{rows}", "a.uxd"), WHOLE)


def test_scans_of_a_spec_file_that_repeat_are_averaged(read):
    head = b"#F quartz\n#D today\n\n#S {} ascan tth 10 40 600 1\n#L Two Theta  Detector\n"
    scans = [noisy(1, seed) for seed in range(2)]
    pattern = read(b"\n".join(head + pattern_files.columns(X, y) for y in scans), "a.spec")
    np.testing.assert_allclose(pattern.intensity, np.mean(scans, 0))
    assert pattern.metadata["notes"] == ["scans_averaged"]


def test_a_scan_over_another_axis_is_left_out(read):
    text = pattern_files.xrdml((X[:150], Y[:150]), WHOLE).decode()
    rocking = text.replace('axis="2Theta"', 'axis="Chi"', 1)
    pattern = read(rocking, "a.xrdml")
    same(pattern, WHOLE)
    assert pattern.metadata["notes"] == ["scans_left"]
    assert pattern.metadata["scans_used"] == [2]
