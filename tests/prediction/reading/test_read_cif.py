"""Powder CIF: constant and listed steps, gaps, wavelengths, axes."""

import numpy as np
import pattern_files
import pytest
from reading import SCAN, on_axis, same

from xrdlib.base.patterns import CU_KA1


def test_cif_with_constant_steps(read):
    same(read(pattern_files.cif(SCAN, stepped=True), "scan.cif"), SCAN)


def test_cif_takes_the_corrected_range_and_only_one_that_fits(read):
    text = pattern_files.cif(SCAN, stepped=True).decode()
    shifted = "\n".join(
        f"_pd_proc_2theta_range_{end} {value:.6g}"
        for end, value in (("min", SCAN[0][0] + 0.02), ("max", SCAN[0][-1] + 0.02), ("inc", 0.05))
    )
    text = text.replace("loop_", shifted + "\nloop_", 1)
    same(read(text, "scan.cif"), (SCAN[0] + 0.02, SCAN[1]))
    same(read(text.replace("_pd_proc_2theta_range_inc 0.05", "_pd_proc_2theta_range_inc 1")), SCAN)


def test_cif_leaves_out_points_without_value_and_says_so(read):
    lines = pattern_files.cif(SCAN).decode().splitlines()
    row = next(i for i, line in enumerate(lines) if line.startswith("0 "))
    lines[row + 5] = " ".join([*lines[row + 5].split()[:2], "?", "."])
    pattern = read("\n".join(lines), "scan.cif")
    same(pattern, [np.delete(values, 5) for values in SCAN])
    assert pattern.metadata["points_without_value"] == 1


@pytest.mark.parametrize("radiation", ["'Cu K\\a'", "CuK\\a~1~", "'Cu K\u03b1'", "'Cu Ka1'"])
def test_cif_may_name_the_radiation_in_another_block(read, radiation):
    text = pattern_files.cif(SCAN).decode().replace("_diffrn_radiation_wavelength 0.7093", "")
    pattern = read(f"data_publ\n_diffrn_radiation_type {radiation}\n{text}", "scan.cif")
    assert pattern.wavelength == CU_KA1


def test_cif_of_the_newer_dictionary_and_with_a_repeated_tag(read):
    text = pattern_files.cif(SCAN).decode()
    same(read(text.replace("_pd_proc_", "_pd_proc.")), SCAN)
    same(read(text.replace("loop_", "_a_tag 1\n_a_tag 2\nloop_")), SCAN)


def test_cif_on_a_d_or_q_axis(read):
    text = pattern_files.cif([on_axis("d", SCAN[0], 0.7093), SCAN[1]]).decode()
    pattern = read(text.replace("_2theta_corrected", "_d_spacing"))
    same(pattern, SCAN, tolerance=1e-4)  # six decimals are written
    assert (pattern.metadata["axis"], pattern.wavelength) == ("d", 0.7093)
    text = pattern_files.cif([on_axis("q", SCAN[0], 0.7093), SCAN[1]]).decode()
    same(read(text.replace("_2theta_corrected", "_recip_len_Q"), axis="q"), SCAN, tolerance=1e-4)
