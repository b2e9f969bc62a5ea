"""The examples in docstrings run, and what a person imports first has one."""

import doctest
import importlib

import xrdlib
from xrdlib.base.paths import ROOT


def test_examples_give_what_they_show():
    ran = 0
    for file in sorted((ROOT / "xrdlib").rglob("*.py")):
        if ">>> " in file.read_text(encoding="utf-8"):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
            assert found.attempted and not found.failed, name
            ran += found.attempted
    assert ran > 50
    for name in ("extinction_groups", "index", "simulate", "subgroup_dag"):
        assert ">>> " in getattr(xrdlib, name).__doc__
