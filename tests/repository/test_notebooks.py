import ast
import json
import re
import subprocess
import sys

import pytest

from xrdlib.base.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ABSOLUTE = re.compile(
    r"""(?<![\w.:/])(/(home|root|tmp|usr|mnt|data|work|Users)\b|~/|[A-Za-z]:\\)"""
)

# Not of the pipeline, and so without a number: what its parameters cell says.
COMPANIONS = {"predict_your_pattern": "path = None"}

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def source(path):
    return "\n".join("".join(cell["source"]) for cell in code_cells(path))


def test_there_are_notebooks_and_they_are_numbered_without_a_gap():
    numbers = [path.stem.split("_")[0] for path in NOTEBOOKS if path.stem not in COMPANIONS]
    # What was put between two later has the number of the first and a letter.
    plain = [number for number in numbers if number.isdigit()]
    assert plain == [f"{i:02}" for i in range(len(plain))] and plain
    assert numbers == sorted(set(numbers)) and {n[:2] for n in numbers} == set(plain)


@each
def test_nothing_of_a_run_is_kept(path):
    assert all(cell["outputs"] == [] for cell in code_cells(path))
    assert all(cell["execution_count"] is None for cell in code_cells(path))
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    assert set(metadata) == {"kernelspec"}
    assert metadata["kernelspec"]["name"] == "python3"


@each
def test_cells_carry_no_metadata_but_tags(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert all(set(cell["metadata"]) <= {"tags"} for cell in cells)


@each
def test_one_cell_is_tagged_parameters_and_names_the_profile_or_the_file(path):
    tagged = [c for c in code_cells(path) if "parameters" in c["metadata"].get("tags", [])]
    assert len(tagged) == 1
    (statement,) = ast.parse("".join(tagged[0]["source"])).body
    assert ast.unparse(statement) == COMPANIONS.get(path.stem, "profile = None")


@each
def test_the_code_is_thin(path):
    nodes = list(ast.walk(ast.parse(source(path))))
    assert not [n for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Lambda)]
    assert sum(line.strip() != "" for line in source(path).splitlines()) <= 150


@each
def test_no_path_of_one_machine(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert not ABSOLUTE.search("\n".join("".join(cell["source"]) for cell in cells))


@each
def test_it_opens_with_a_title_and_text(path):
    first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]
    assert first["cell_type"] == "markdown"
    title, *text = "".join(first["source"]).splitlines()
    number = "" if path.stem in COMPANIONS else f"{path.stem.split('_')[0]} "
    assert title.startswith(f"# {number}") and "".join(text).strip()


@each
def test_no_line_is_too_long(path):
    companion = path.stem in COMPANIONS
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    lines = [
        line
        for cell in cells
        if companion or cell["cell_type"] == "code"
        for line in "".join(cell["source"]).splitlines()
    ]
    assert max(map(len, lines)) <= 100


def test_nbstripout_would_change_nothing():
    command = [sys.executable, "-m", "nbstripout", "--verify"]
    command += ["--extra-keys", "metadata.language_info", *map(str, NOTEBOOKS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
