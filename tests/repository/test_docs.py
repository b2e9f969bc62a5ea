"""The documents name tests that exist, and numbers that are those of the result files."""

import ast
import re

import pytest

from xrdlib.base.paths import ROOT

DOCS = ROOT / "docs"
NAMED = sorted(
    set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", (DOCS / "reliability.md").read_text()))
)


def test_every_fault_in_the_table_names_a_test():
    lines = (DOCS / "reliability.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("|")][2:]
    assert len(rows) > 15
    assert not [row for row in rows if not re.search(r"\| `test_\w+\.py::test_\w+` \|$", row)]


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_the_named_tests_exist(file, name):
    tree = ast.parse(next((ROOT / "tests").rglob(file)).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
