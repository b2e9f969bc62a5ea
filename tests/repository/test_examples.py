"""The examples in docstrings run, and what a person imports first has one."""

import doctest
import importlib

import pytest

import xrdlib
from xrdlib.base.paths import ROOT

FILES = [
    file.relative_to(ROOT)
    for file in sorted((ROOT / "xrdlib").rglob("*.py"))
    if ">>> " in file.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_examples_give_what_they_show(file):
    module = importlib.import_module(".".join(file.with_suffix("").parts))
    found = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert found.attempted and not found.failed


@pytest.mark.parametrize("name", ["extinction_groups", "simulate", "subgroup_dag"])
def test_public_names_have_an_example(name):
    assert ">>> " in getattr(xrdlib, name).__doc__
