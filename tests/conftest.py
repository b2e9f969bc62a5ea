"""Fixtures, and where tests look for data that cannot live in the repository."""

import csv
import io
import os
import re
import subprocess
import tarfile

import pytest

from xrdlib.base import paths
from xrdlib.base.config import load

# Two processes share the cores, so that each has one thread, as have the programs that it starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Reference and measured data may lie in a shared folder beside the checkout.
SHARED = paths.ROOT.parent / "shared" / "data"
if not os.environ.get("XRDLIB_DATA") and SHARED.is_dir():
    os.environ["XRDLIB_DATA"] = str(SHARED)


def pytest_configure(config):
    about = "pipeline: runs the tiny pipeline, some minutes; -m 'not pipeline' leaves it out"
    config.addinivalue_line("markers", about)


def pytest_collection_modifyitems(items):
    """The pipeline goes first, so that no process is left alone with it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("pipeline") is None)


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    """Configuration of the tiny profile, whose files go to a temporary project."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return load("tiny")


@pytest.fixture
def from_results(monkeypatch, tmp_path):
    """Function that yields what a function makes of `results` as last committed, then as they are.

    The documents are about the committed ones; `make repro` writes others into the working tree.
    Only where the documents were just made anew, and nobody has committed yet, do those count.
    """

    def made(render):
        done = subprocess.run(
            ["git", "archive", "HEAD", "results"], cwd=paths.ROOT, capture_output=True
        )
        if done.returncode:
            pytest.skip("the project is not a git checkout, so nothing says what was committed")
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(tmp_path, filter="data")
        with monkeypatch.context() as patch:
            patch.setattr(paths, "ROOT", tmp_path)
            committed = render()
        yield committed
        yield render()

    return made


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
