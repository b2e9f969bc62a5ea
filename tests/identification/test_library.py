"""The structure library: against pymatgen's calculator, brute force, and its own file."""

from dataclasses import fields, replace

import numpy as np
import pytest
import samples
import torch
from pymatgen.analysis.diffraction.xrd import XRDCalculator

from xrdlib.base import tensorfile
from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import CU_KA1
from xrdlib.base.records import concatenate
from xrdlib.identification import library
from xrdlib.simulation.diffraction import reflections
from xrdlib.structures.crystals import generate_balanced
from xrdlib.structures.recipes import shipped

ABOUT = {"sources": [{"what": "random crystals", "structures": 30}]}


@pytest.fixture(scope="module")
def crystals():
    """Thirty random crystals; some have few reflections, others more than a library keeps."""
    return reflections(generate_balanced(shipped(), 30, seed=4))


def kept_reflections(known, i):
    rows = slice(known.start[i], known.start[i + 1])
    return library.position_angles()[known.position[rows]], known.intensities[rows]


def powder(crystals, i):
    """Angle and relative intensity of every reflection by Bragg's law, one at a time, float64."""
    inverse = np.linalg.inv(crystals.lattice[i])
    rows = []
    for row in range(crystals.start[i], crystals.start[i + 1]):
        theta = np.arcsin(CU_KA1 / 2 * np.linalg.norm(inverse @ crystals.hkl[row]))
        polarised = (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
        strength = crystals.multiplicity[row] * crystals.f2[row] * polarised
        rows.append((np.degrees(2 * theta), strength))
    angle, strength = np.array(rows).T
    seen = (angle > 4) & (angle < 92)
    return angle[seen], strength[seen] / strength[seen].max()


def same(a, b):
    return all(
        getattr(a, f.name).dtype.kind == getattr(b, f.name).dtype.kind
        and np.array_equal(getattr(a, f.name), getattr(b, f.name))
        for f in fields(library.Library)
    )


@pytest.mark.parametrize("name", ["halite", "quartz", "rutile", "calcite", "forsterite"])
def test_reflections_are_those_of_pymatgen(name):
    structure = samples.structures()[name]
    i = list(samples.structures()).index(name)
    crystals = reflections(samples.crystals().take([i]))
    crystals.group = np.array([1], dtype=np.int16)
    angle, height = kept_reflections(library.from_reflections(crystals), 0)
    other = XRDCalculator(CU_KA1).get_pattern(structure, two_theta_range=(4, 89))
    strong = np.flatnonzero(other.y > 3)
    assert len(strong) > 4
    rows = []
    for k in strong:
        at = np.abs(angle - other.x[k]) < 2e-3  # half a step, and float32
        assert at.any()
        rows.append(height[at].sum())
    rows = np.array(rows) / max(rows)
    # Form factors of ions and atoms differ; 8 bits of the square root are 1/128 of a half.
    assert np.allclose(rows, other.y[strong] / 100, atol=0.06)


def test_the_strongest_reflections_are_kept_in_order(crystals):
    known = library.from_reflections(crystals)
    counts = np.diff(known.start)
    assert counts.max() == library.MOST_REFLECTIONS and counts.min() < library.MOST_REFLECTIONS
    for i in range(len(crystals)):
        angle, strength = powder(crystals, i)
        order = np.argsort(-strength, kind="stable")[: library.MOST_REFLECTIONS]
        kept, height = kept_reflections(known, i)
        assert len(kept) == len(order)
        assert (np.diff(height) <= 0).all() and height[0] == 1
        assert np.abs(np.sqrt(height) - np.sqrt(strength[order])).max() < 0.6 / 255
        # Lines of equal strength may come in either order.
        assert np.abs(np.sort(kept) - np.sort(angle[order])).max() < 2e-3
    assert list(known.group) == list(crystals.group) and list(known.name) == list(crystals.name)


def test_crystals_do_not_depend_on_how_many_are_taken_at_once(crystals, monkeypatch):
    whole = library.from_reflections(crystals, computed=True)
    assert whole.computed.all()
    monkeypatch.setattr(library, "_CHUNK", 7)
    assert same(library.from_reflections(crystals, computed=True), whole)
    parts = [crystals.take(rows) for rows in ([0, 1, 2], [3], np.arange(4, 30))]
    joined = concatenate([library.from_reflections(part, computed=True) for part in parts])
    assert same(joined, whole)


def test_a_library_comes_back_as_it_was_saved(crystals, tmp_path):
    names = np.array([f"Příbramite {i}, ☉" for i in range(30)])
    made = concatenate(
        [
            library.from_reflections(replace(crystals, name=names)),
            library.from_reflections(crystals.take([3, 1]), computed=True),
        ]
    )
    library.save(tmp_path / "made.safetensors", made, ABOUT)
    again, about = library.load(tmp_path / "made.safetensors")
    assert same(again, made) and about == ABOUT and len(again) == 32
    assert list(again.computed) == [False] * 30 + [True] * 2
    assert np.array_equal(again.position, made.position)


def test_a_crystal_without_a_reflection_in_range_has_none(crystals):
    tiny = crystals.take([0, 1, 0, 2])
    tiny.lattice[[1, 3]] *= 0.01  # all reflections beyond reach, and no angle
    known = library.from_reflections(tiny)
    counts = np.diff(known.start)
    assert counts[1] == counts[3] == 0 and counts[0] == counts[2] > 0
    assert np.array_equal(kept_reflections(known, 0), kept_reflections(known, 2))


def test_what_is_no_library_is_refused(crystals, tmp_path):
    for group in (0, 100):
        bad = replace(crystals, group=np.where(np.arange(30) == 4, group, crystals.group))
        with pytest.raises(XrdlibError, match=r"each with a group 1\.\.99"):
            library.from_reflections(bad)
    with pytest.raises(XrdlibError, match="needs structures"):
        library.from_reflections(crystals.take(np.zeros(0, dtype=int)))
    known = library.from_reflections(crystals)
    known.name = np.where(np.arange(30) == 2, "two\nlines", known.name)
    with pytest.raises(XrdlibError, match="line break"):
        library.save(tmp_path / "made.safetensors", known, ABOUT)
    with pytest.raises(XrdlibError, match="does not exist"):
        library.load(tmp_path / "made.safetensors")
    tensorfile.write(tmp_path / "other.safetensors", {"x": torch.ones(3)}, {"step": 1})
    with pytest.raises(XrdlibError, match=r"other\.safetensors holds no library"):
        library.load(tmp_path / "other.safetensors")


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_file_is_refused(crystals, tmp_path, damage):
    path = tmp_path / "made.safetensors"
    library.save(path, library.from_reflections(crystals), ABOUT)
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content if damage == "flipped" else content[:-20])
    with pytest.raises(XrdlibError, match=r"made\.safetensors is damaged"):
        library.load(path)
