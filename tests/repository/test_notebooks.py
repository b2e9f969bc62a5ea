"""Notebooks: numbered, thin, stripped, and of no machine."""

import ast
import json
import re

from xrdlib.base.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ABSOLUTE = re.compile(
    r"""(?<![\w.:/])(/(home|root|tmp|usr|mnt|data|work|Users)\b|~/|[A-Za-z]:\\)"""
)

# Not of the pipeline, and so without a number: what its parameters cell says.
COMPANIONS = {"predict_your_pattern": "path = None"}


def read(path):
    """A notebook, its code cells, and their source."""
    content = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    return content, code, "\n".join("".join(cell["source"]) for cell in code)


def test_notebooks_are_numbered_and_those_before_the_studies_without_a_gap():
    numbers = [path.stem.split("_")[0] for path in NOTEBOOKS if path.stem not in COMPANIONS]
    main = [number for number in numbers if number < "20"]
    assert main == [f"{i:02}" for i in range(len(main))] and main
    assert numbers == sorted(set(numbers))


def test_nothing_of_a_run_or_a_machine_is_kept():
    for path in NOTEBOOKS:
        content, code, _ = read(path)
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code), path
        assert all(set(cell["metadata"]) <= {"tags"} for cell in content["cells"]), path
        assert set(content["metadata"]) == {"kernelspec"}, path
        assert content["metadata"]["kernelspec"]["name"] == "python3", path
        assert not ABSOLUTE.search("\n".join("".join(c["source"]) for c in content["cells"])), path


def test_a_notebook_opens_with_a_title_takes_its_profile_and_is_thin():
    for path in NOTEBOOKS:
        content, code, source = read(path)
        title, *text = "".join(content["cells"][0]["source"]).splitlines()
        number = "" if path.stem in COMPANIONS else f"{path.stem.split('_')[0]} "
        assert title.startswith(f"# {number}") and "".join(text).strip(), path
        (tagged,) = (c for c in code if "parameters" in c["metadata"].get("tags", []))
        (statement,) = ast.parse("".join(tagged["source"])).body
        assert ast.unparse(statement) == COMPANIONS.get(path.stem, "profile = None"), path
        nodes = ast.walk(ast.parse(source))
        assert not [n for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Lambda)]
        lines = [line for line in source.splitlines() if line.strip()]
        assert len(lines) <= 150 and max(map(len, lines)) <= 100, path


def test_a_notebook_says_what_to_look_at_what_follows_and_what_to_try():
    for path in NOTEBOOKS:
        if path.stem in COMPANIONS:
            continue
        cells = [("".join(cell["source"]), cell["cell_type"]) for cell in read(path)[0]["cells"]]
        assert "**What to look at:**" in cells[0][0], path
        last, kind = cells[-1]
        assert kind == "markdown" and "## What we conclude" in last, path
        concluded, _, tried = last.partition("## What to try next")
        assert tried.strip(), path
        # Numbers are for the cells that compute them; those that stay name something.
        assert not re.search(r"\d+(\.\d+)? ?%|\d\.\d", concluded), path
