import zipfile

import needed
import numpy as np
import pytest

from xrdlib.base import paths
from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import GRID, Grid
from xrdlib.structures.datasets import MissingData
from xrdlib.structures.measured import load, load_archives, split
from xrdlib.symmetry.groups import group_of_space_group

ANGLES = np.arange(5, 90, 0.01)


def xy(mineral="Halite", centre=31.7, wavelength="1.541838", kind="Powder", rows=None):
    header = f"##NAMES={mineral}\n##RRUFFID=R070534\n##DIFFRACTION SAMPLE DESCRIPTION={kind}\n"
    header += f"##X-RAY WAVELENGTH={wavelength}\n"
    counts = 500 * np.exp(-(((ANGLES - centre) / 0.1) ** 2))
    rows = rows or "\n".join(f"{x:.3f}, {y:.4f}" for x, y in zip(ANGLES, counts, strict=True))
    return header + rows + "\n##END=\n\n"


def dif(symbol="Fm3m", mineral="Halite"):
    return (
        f"      {mineral}\n      CELL PARAMETERS:   5.6385   5.6385   5.6385   90.0   90.0   90.0\n"
        f"      SPACE GROUP: {symbol}\n      X-RAY WAVELENGTH:     1.541838\n"
        "               2-THETA      INTENSITY    D-SPACING   H   K   L\n"
        "                31.73        100.00        2.8200    2   0   0\n"
    )


def archive(path, files):
    with zipfile.ZipFile(path, "w") as made:
        for name, text in files.items():
            made.writestr(name, text)
    return path


@pytest.fixture
def archives(tmp_path):
    """A pair of archives: two usable patterns and one of each fault."""
    patterns = {
        "Halite__R070534-1": xy(),
        "Sylvite__R050169-1": xy("Sylvite", 28.3),
        "Odd__R000001-1": xy("Odd"),
        "Two__R000002-1": xy("Two"),
        "None__R000003-1": xy("None"),
        "One__R000004-1": xy(kind="Single Crystal"),
        "Bad__R000005-1": xy(rows="5.0, 1.2.3"),
        "Few__R000006-1": xy(rows="5.0, 1.0"),
    }
    cells = [
        ("Halite__R070534-1", "Fm3m"),
        ("Sylvite__R050169-1", "Fm3m"),
        ("Sylvite__R050169-1", "*F m -3 m "),
        ("Odd__R000001-1", "Q7/x"),
        ("Two__R000002-1", "P2_1/c"),
        ("Two__R000002-1", "Pnma"),
        ("Bad__R000005-1", "Fm3m"),
        ("Few__R000006-1", "Fm3m"),
    ]
    patterns = {f"{name}__Powder__Xray_Data_XY_Processed__1.txt": x for name, x in patterns.items()}
    cells = {f"{name}__Powder__DIF_File__{i}.txt": dif(x) for i, (name, x) in enumerate(cells)}
    patterns["readme.md"] = "not a pattern"
    return archive(tmp_path / "XY_Processed.zip", patterns), archive(tmp_path / "DIF.zip", cells)


def test_archives_give_patterns_with_their_space_groups(archives):
    measured = load_archives(*archives)
    assert sum(measured.skipped.values()) == 6
    assert list(measured.family) == ["Halite", "Sylvite"]
    assert list(measured.source) == ["R070534-1", "R050169-1"]
    assert list(measured.space_group) == [225, 225]
    assert list(measured.group) == [group_of_space_group()[225]] * 2
    angles = GRID.two_theta[measured.intensity.argmax(1)]
    assert np.allclose(angles, [31.7, 28.3], atol=0.011)


def test_copper_stays_in_place_and_molybdenum_is_mapped(tmp_path):
    cells = archive(tmp_path / "dif.zip", {"Halite__R1__Powder__DIF_File__1.txt": dif()})
    angles = []
    for wavelength in ("1.54056", "1.541838", "", "0.710730"):
        text = xy(wavelength=wavelength, centre=20.0)
        file = archive(tmp_path / "xy.zip", {"Halite__R1__Powder__Xray_Data_XY_RAW__1.txt": text})
        measured = load_archives(file, cells)
        angles.append(GRID.two_theta[measured.intensity[0].argmax()])
    d = 0.710730 / 2 / np.sin(np.radians(10))
    mapped = 2 * np.degrees(np.arcsin(1.540593 / 2 / d))
    assert np.allclose(angles, [20, 20, 20, mapped], atol=0.011)


def bundle(path, n=6, **changes):
    rng = np.random.default_rng(0)
    arrays = {
        "two_theta": ANGLES.astype(np.float32),
        "intensity": rng.random((n, len(ANGLES))).astype(np.float16) * 1000,
        "space_group": np.arange(1, n + 1, dtype=np.int16),
        "family": np.arange(n, dtype=np.int16),
        "source_index": np.arange(n, dtype=np.int16),
    }
    arrays.update(changes)
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"family": None}, "not a readable bundle"),
        ({"family": np.arange(5)}, "needs a space group"),
        ({"space_group": np.arange(6)}, "between 1 and 230"),
        ({"intensity": np.zeros((6, len(ANGLES)))}, "no positive intensity"),
        ({"intensity": np.full((6, len(ANGLES)), np.nan)}, "NaN"),
        ({"two_theta": ANGLES[:-1]}, "do not belong together"),
    ],
)
def test_bad_bundles_are_refused(tmp_path, changes, words):
    with pytest.raises(XrdlibError, match=words):
        load(bundle(tmp_path / "x.npz", **changes))


def test_without_data_the_error_can_be_caught_and_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("XRDLIB_DATA", str(tmp_path))
    monkeypatch.setattr(paths, "ROOT", tmp_path / "project")
    with pytest.raises(MissingData, match="rruff.npz.*XRDLIB_DATA.*rruff-dif"):
        load()


def test_archives_serve_where_there_is_no_bundle(archives, tmp_path, monkeypatch):
    monkeypatch.setenv("XRDLIB_DATA", str(tmp_path))
    monkeypatch.setattr(paths, "ROOT", tmp_path / "project")
    assert list(load().family) == ["Halite", "Sylvite"]


def test_split_is_by_family_and_does_not_depend_on_order(tmp_path):
    family = np.repeat(np.arange(100), 3)
    space_group = np.full(300, 14)
    intensity = np.tile(np.random.default_rng(1).random(len(ANGLES)), (300, 1))
    arrays = {"family": family, "space_group": space_group, "intensity": intensity}
    path = bundle(tmp_path / "x.npz", source_index=np.arange(300), **arrays)
    measured = load(path, Grid(5.0, 90.0, 1.0))
    calibration, test = split(measured)
    assert set(calibration.family).isdisjoint(test.family)
    assert len(calibration) + len(test) == 300
    assert 90 <= len(test) <= 210
    shuffled = measured.take(np.random.default_rng(0).permutation(300))
    assert set(split(shuffled)[1].source) == set(test.source)


def test_collection_is_split_near_the_middle():
    collection = load(needed.data("rruff"), Grid(5.0, 90.0, 0.1))
    calibration, test = split(collection)
    assert set(calibration.family).isdisjoint(test.family)
    for part in (calibration, test):
        assert 0.4 < len(part) / len(collection) < 0.6
        assert 1 <= part.group.min() and part.group.max() <= 99
