"""A folder of CIF files as a library: as stated, whatever they leave out, broken ones named."""

import logging

import numpy as np
import pytest
import samples
from pymatgen.io.cif import CifWriter

from xrdlib.base.errors import XrdlibError
from xrdlib.identification import cif_library, library
from xrdlib.simulation.diffraction import reflections
from xrdlib.symmetry.groups import group_of_space_group

STATED = """data_{0}
_cell_length_a 4.594
_cell_length_b 4.594
_cell_length_c 2.959(3)
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M '{1}'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Ti1 0 0 0 0.9
Sn1 0 0 0 0.1
O1 0.305 0.305 0 1
"""


def sorted_reflections(known, i):
    one = known.take([i])
    order = np.argsort(one.position)
    return library.position_angles()[one.position][order], one.intensities[order]


@pytest.mark.parametrize("symprec", [None, 0.01])
def test_structures_of_files_have_the_reflections_of_their_crystals(tmp_path, symprec):
    """Written without symmetry, in P1, or with it: the group and the reflections are the same."""
    names = ["halite", "quartz", "calcite", "forsterite", "scheelite", "albite-like"]
    for name in names:
        writer = CifWriter(samples.structures()[name], symprec=symprec)
        writer.write_file(tmp_path / f"{name}.cif")
    known = cif_library.read(tmp_path)
    assert list(known.name) == sorted(f"{name}.cif" for name in names) and not known.computed.any()
    for i, name in enumerate(sorted(names)):
        k = samples.NAMES.index(name)
        assert known.group[i] == group_of_space_group()[samples.NUMBERS[k]]
        crystal = reflections(samples.crystals().take([k]))
        crystal.group = known.group[[i]]
        wanted = library.from_reflections(crystal)
        assert np.array_equal(known.elements[i], wanted.elements[0])
        angle, height = sorted_reflections(known, i)
        other, strength = sorted_reflections(wanted, 0)
        strong = strength > 0.05
        found, stated = (
            ((np.abs(x - other[strong][:, None]) < 0.01) * y).sum(1)
            for x, y in ((angle, height), (other, strength))
        )
        assert np.allclose(found, stated, atol=0.05)


def test_symmetry_by_name_alone_mixed_sites_and_several_blocks(tmp_path):
    (tmp_path / "inner").mkdir()
    two = STATED.format("first", "P 42/m n m") + STATED.format("second", "P 4_2/m n m")
    (tmp_path / "inner" / "two.CIF").write_text(two)
    known = cif_library.read(tmp_path)
    assert list(known.name) == ["first of two.CIF", "second of two.CIF"]
    assert set(known.group) == {52}
    assert known.elements[0, 0] == 1 << 22 | 1 << 50 | 1 << 8


def test_broken_files_are_named_and_the_others_used(tmp_path, caplog):
    (tmp_path / "good.cif").write_text(STATED.format("good", "P 42/m n m"))
    (tmp_path / "text.cif").write_text("no CIF file")
    (tmp_path / "empty.cif").write_text("data_empty\n")
    (tmp_path / "cell.cif").write_text(STATED.format("cell", "P 1").replace("2.959(3)", "?"))
    (tmp_path / "site.cif").write_text(STATED.format("x", "P 1").replace("0.305 0.305", "? ?"))
    (tmp_path / "symbol.cif").write_text(STATED.format("x", "Q 17").replace("Ti1", "Xx"))
    (tmp_path / "binary.cif").write_bytes(bytes(range(256)))
    (tmp_path / "notes.txt").write_text("not looked at")
    with caplog.at_level(logging.WARNING):
        known = cif_library.read(tmp_path)
    assert list(known.name) == ["good.cif"]
    messages = sorted(record.getMessage() for record in caplog.records)
    assert len(messages) == 6
    for name, sentence in zip("binary cell empty site symbol text".split(), messages, strict=True):
        assert f"{name}.cif cannot be used: " in sentence and sentence.endswith(".")
        assert "\n" not in sentence


def test_a_folder_without_structures_is_refused(tmp_path):
    with pytest.raises(XrdlibError, match="it has no CIF file"):
        cif_library.read(tmp_path)
    with pytest.raises(XrdlibError, match="it has no CIF file"):
        cif_library.read(tmp_path / "none")
    (tmp_path / "text.cif").write_text("no CIF file")
    with pytest.raises(XrdlibError, match="none of its 1 CIF files can be used"):
        cif_library.read(tmp_path)
