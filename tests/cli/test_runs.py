"""The commands that make or show the results of a profile."""

import pytest

from xrdlib import cli
from xrdlib.base import config, paths
from xrdlib.cli import tables
from xrdlib.prediction import benchmarks
from xrdlib.reporting import report


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Results go to a temporary project, which has one row."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    row = {"model": "released", "subset": "rruff-test", "n": 9, "top1": 50.0}
    report.summary([row], config.load("laptop"))
    return tmp_path


def test_the_report_is_text_or_markdown_or_goes_into_a_file(project, capsys):
    assert cli.main(["report", "--profile", "laptop"]) == 0
    assert capsys.readouterr().out.startswith("Results of profile laptop")
    assert cli.main(["report", "--profile", "laptop", "--markdown"]) == 0
    markdown = capsys.readouterr().out
    assert "### rruff-test (n = 9 patterns)" in markdown and "| released | 50.0 |" in markdown
    page = project / "page.md"
    page.write_text("\n".join(report.RESULTS + report.HEADLINE))
    assert cli.main(["report", "--profile", "laptop", "--into", str(page)]) == 0
    assert markdown in page.read_text() and capsys.readouterr().out == ""
    assert cli.main(["report", "--profile", "laptop", "--headline", "--into", str(page)]) == 0
    assert "the paper's best" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("report", "--profile", "paper"), "run `make repro PROFILE=paper`"),
        (("study", "scaling", "--part", "3/2", "--profile", "tiny"), "give for instance 1/2"),
        (("report", "--profile", "huge"), "'--profile'"),
        (("digests", "build", "gone.ipynb"), "gone.ipynb does not exist"),
        (("derive", "elements"), "'symmetry'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(project, capsys, arguments, message):
    assert cli.main(list(arguments)) == 2
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert line.startswith("xrdlib: ") and message in line and shown.out == ""


def test_an_evaluation_without_measured_patterns_says_how_to_get_them(capsys, monkeypatch):
    monkeypatch.setattr(benchmarks, "measured", dict)
    assert cli.main(["evaluate"]) == 2
    assert "No measured patterns: set XRDLIB_DATA" in capsys.readouterr().err


def test_a_derived_table_is_the_committed_one(tmp_path, monkeypatch, capsys):
    committed = paths.TABLES
    monkeypatch.setattr(paths, "TABLES", tmp_path)
    assert cli.main(["derive", "form_factors"]) == 0
    made = tmp_path / "form_factors.json"
    assert capsys.readouterr().out == f"{made}\n"
    assert made.read_bytes() == (committed / "form_factors.json").read_bytes()


def test_every_derived_table_is_there():
    assert {f"{name}.json" for name in tables.NAMES} <= {p.name for p in paths.TABLES.iterdir()}
