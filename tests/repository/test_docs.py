"""The documents: links lead somewhere, commands and examples are as written, nothing is missing."""

import re
import shlex

import numpy as np
from click import Context
from samples import structures

import xrdlib
from xrdlib.base.config import PROFILES
from xrdlib.base.paths import ROOT
from xrdlib.cli import commands
from xrdlib.identification import library
from xrdlib.prediction.answer import FLAGS
from xrdlib.reporting import report

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *DOCS.glob("*.md"), ROOT / "models" / "README.md"]
PAGES += ROOT.glob("results/*/README.md")


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def prose(page):
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(page):
    """The anchors that a repository's page gives the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def blocks(language, *names):
    """Blocks of code in documents."""
    return [
        block
        for name in names
        for block in re.findall(rf"^```{language}\n(.*?)^```", text(name), re.M | re.S)
    ]


def test_links_lead_to_files_and_headings_and_from_the_readme_to_every_document():
    reached, new = set(), {ROOT / "README.md"}
    while new:
        page = new.pop()
        reached.add(page)
        for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
            if not link.startswith(("http:", "https:")):
                name, _, anchor = link.partition("#")
                target = (page.parent / name).resolve() if name else page
                assert target.is_file(), (page, link)
                assert not anchor or anchor in anchors(target), (page, link)
                new |= {target} - reached if target.suffix == ".md" else set()
    assert set(PAGES) <= reached


def test_the_readme_is_short_and_names_every_package_and_notebook():
    readme = text("README.md")
    assert len(readme.splitlines()) <= 250
    packages = {path.parent.name for path in ROOT.glob("xrdlib/*/__init__.py")}
    assert packages == set(re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE))
    notebooks = {f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert notebooks == set(re.findall(r"\]\((notebooks/\w+\.ipynb)\)", readme))


def test_the_numbers_at_the_top_of_the_readme_are_those_of_the_results():
    top, rest = text("README.md").split(report.HEADLINE[0])
    top = " ".join(top.split())
    value, interval = re.search(r"\| top-1 % \|.* ([\d.]+) (\[.+?\]) \|", rest).groups()
    assert f"{value} % {interval}" in top
    sources = library.load(ROOT / "models" / "library.safetensors")[1]["sources"]
    assert f"{sum(source['structures'] for source in sources):,} known structures" in top
    patterns = re.search(r"### rruff-test \(n = (\d+)", text("docs/results.md"))[1]
    assert f"On {patterns} measured patterns" in top


def test_every_warning_is_explained():
    table = text("docs/predict.md").split("## Warnings")[1]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(FLAGS)


def shell_lines():
    """Lines of all shell blocks, continued lines joined, without remarks and redirections."""
    for block in blocks("sh", *(page.relative_to(ROOT) for page in PAGES)):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            yield words[: words.index(">")] if ">" in words else words


def test_commands_in_the_documents_exist_with_their_options():
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    seen = 0
    for words in filter(None, shell_lines()):
        program = words[0].rpartition("/")[2]
        if "-m" in words and words[words.index("-m") + 1] == "xrdlib":
            program, words = "xrdlib", words[words.index("-m") + 1 :]
        if program == "xrdlib":
            command = commands.get_command(Context(commands), words[1])
            assert command, words
            command.make_context(words[1], words[2:])  # parses, and runs nothing
            seen += 1
        elif "make" in words:
            goals = [word for word in words[words.index("make") + 1 :] if "=" not in word]
            assert goals and set(goals) <= targets, words
            chosen = [word.removeprefix("PROFILE=") for word in words if word[:8] == "PROFILE="]
            assert set(chosen) <= set(PROFILES), words
            seen += 1
    assert seen > 20


def test_the_python_of_the_documents_runs(tmp_path, monkeypatch):
    pattern = xrdlib.simulate([structures()["rutile"]])[0]
    angles = np.linspace(5, 90, len(pattern))
    np.savetxt(tmp_path / "my_pattern.xy", np.column_stack([angles, 1000 * pattern]))
    monkeypatch.chdir(tmp_path)
    for block in blocks("python", "README.md", "docs/predict.md", "docs/simulator.md"):
        exec(compile(block, "a document", "exec"), {})


def test_every_fault_in_the_table_names_a_test_that_exists():
    rows = [line for line in text("docs/reliability.md").splitlines() if line.startswith("|")][2:]
    assert len(rows) > 15
    for row in rows:
        file, name = re.search(r"\| `(test_\w+\.py)::(test_\w+)` \|$", row).groups()
        found = next((ROOT / "tests").rglob(file)).read_text(encoding="utf-8")
        assert f"\ndef {name}(" in found, row
