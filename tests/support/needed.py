"""Data that a test needs and that may not be here."""

import pytest

from xrdlib.structures import datasets


def data(name):
    """Path of a data set; the test is skipped with the reason where there is none."""
    try:
        return datasets.path(name)
    except datasets.MissingData as missing:
        pytest.skip(str(missing))
