"""Data that a test needs and that may not be here."""

from functools import cache

import pytest

from xrdlib.structures import datasets, structure_library
from xrdlib.structures.entries import amcsd_entries


def data(name):
    """Path of a data set; the test is skipped with the reason where there is none."""
    try:
        return datasets.path(name)
    except datasets.MissingData as missing:
        pytest.skip(str(missing))


@cache
def amcsd():
    """The entries of the AMCSD, read once for all tests of a process."""
    return amcsd_entries(data("amcsd"))


@cache
def amcsd_sample():
    """Every 45th of them as crystals with their table."""
    return structure_library.build(amcsd()[7::45])
