"""Fixtures, and where tests look for data that cannot live in the repository."""

import csv
import os
import re

import pytest

from xrdlib import config, paths

# Reference and measured data may lie in a shared folder beside the checkout.
SHARED = paths.ROOT.parent / "shared" / "data"
if not os.environ.get("XRDLIB_DATA") and SHARED.is_dir():
    os.environ["XRDLIB_DATA"] = str(SHARED)


def pytest_configure(config):
    about = "pipeline: runs the tiny pipeline, some minutes; -m 'not pipeline' leaves it out"
    config.addinivalue_line("markers", about)


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    """Configuration of the tiny profile, whose files go to a temporary project."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return config.load("tiny")


@pytest.fixture(scope="session")
def reference_table():
    """The published 99 groups: list of (symbol, other settings, space groups), label order.

    Symbols are stripped of white space, which the published table uses unevenly.
    """
    path = paths.data_dir() / "reference" / "extinction_groups.csv"
    if not path.is_file():
        pytest.skip(f"the published table of extinction groups is not at {path}")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["Index"]) for row in rows] == list(range(99))
    return [_published(row) for row in rows]


def _published(row):
    text = re.sub(r"\s", "", row["Canonical Extinction Group"])
    symbol, _, others = text.removesuffix(")").partition("(equiv:")
    if not others:
        symbol = text
    space_groups = tuple(int(n) for n in re.findall(r"\d+", row["Space Group Numbers"]))
    return symbol, tuple(filter(None, others.split(","))), space_groups
