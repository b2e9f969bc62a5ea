"""The summary file and its printed forms."""

import json

import numpy as np
import pytest

import xrdlib
from xrdlib.base import config, paths
from xrdlib.base.errors import XrdlibError
from xrdlib.learning import metrics
from xrdlib.reporting import documents, report
from xrdlib.reporting.headline import headline


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Results go to a temporary project."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return tmp_path


def rows(subset="rruff-test", models=("physics transformer", "prior only")):
    rng = np.random.default_rng(0)
    labels, families = rng.integers(0, 99, 40), np.arange(40) % 12
    prior = np.full(99, -np.log(99))
    made = []
    for model in models:
        logp = np.log(rng.dirichlet(np.ones(99), size=40) * 0.99 + 0.01 / 99)
        made.append(metrics.evaluate(model, subset, logp, labels, families, prior, n_boot=40))
    return made


def test_round_trip(project):
    given = rows()
    written = report.summary(
        given, config.load("tiny"), extra={"dag": {"p": 0.5}, "notes": ["seen"]}
    )
    path = project / "results" / "tiny" / "summary.json"
    on_disk = json.loads(path.read_text())
    assert on_disk.pop("made_with")["version"] == xrdlib.__version__
    assert on_disk == written == report.load("tiny")
    assert written["rows"] == given
    scores = written["scores"][given[0]["subset"]][given[0]["model"]]
    assert scores == {key: given[0][key] for key in report.SCORES}
    assert written["notes"] == ["seen"] and written["dag"] == {"p": 0.5}
    assert [p.name for p in path.parent.iterdir()] == ["summary.json"]


def test_missing_measured_data_are_null_and_say_how_to_get_them(project):
    written = report.summary(rows("amcsd-holdout"), config.load("tiny"), missing=["rruff-test"])
    nulls = [row for row in written["rows"] if row["subset"] == "rruff-test"]
    assert [row["model"] for row in nulls] == list(report.MODELS)
    for row in nulls:
        assert {"n", "top1", "top5", "top1_ci95", "balanced_top1", "nll", "ece"} <= row.keys()
        assert {value for key, value in row.items() if key not in ("model", "subset")} == {None}
    assert "XRDLIB_DATA" in written["notes"][0]
    text = report.as_text(written)
    assert text.index("rruff-test (no data)") < text.index("n/a") < text.index("amcsd-holdout")
    for part in (part.splitlines()[1:] for part in text.split("\n\n") if "---" in part):
        assert len(set(map(len, part))) == 1  # columns line up


def test_the_table_shows_the_numbers_of_the_rows(project):
    written = report.summary(rows(), config.load("tiny"))
    row = written["rows"][0]
    for text in (report.as_text(written), documents.tables(written)):
        assert "n = 40 patterns of 12 families" in text
        line = next(line for line in text.splitlines() if "physics transformer" in line)
        low, high = row["top5_ci95"]
        assert f"{row['top5']:.1f} [{low:.1f}, {high:.1f}]" in line
        assert f"{row['bits_over_prior']:.2f}" in line and f"{row['nll']:.2f}" in line


def test_markdown_is_a_table(project):
    text = documents.tables(report.summary(rows(), config.load("tiny")))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 2
    assert len({line.count("|") for line in lines}) == 1
    assert set(lines[1]) <= set("|-: ")


def test_notes_verdicts_and_figures_are_printed(project):
    extra = {"dag": {"verdict": {"errors are local": "Supported. So it is."}}, "notes": ["Aha."]}
    printed = report.as_text(report.summary(rows(), config.load("tiny"), extra=extra))
    assert "Note: Aha." in printed
    assert "Claim 'errors are local': Supported. So it is." in printed
    assert "Figures: figures/tiny" in printed.replace("\\", "/")


def test_contradictory_or_unwritable_input_is_refused(project):
    with pytest.raises(XrdlibError, match="More than one row"):
        report.summary(rows() + rows(), config.load("tiny"))
    with pytest.raises(XrdlibError, match="listed as missing"):
        report.summary(rows(), config.load("tiny"), missing=["rruff-test"])
    with pytest.raises(XrdlibError, match="cannot be written"):
        report.summary([{**rows()[0], "nll": float("nan")}], config.load("tiny"))
    with pytest.raises(XrdlibError, match="cannot be written"):
        report.summary(rows(), config.load("tiny"), extra={"set": {1}})
    assert not (project / "results" / "tiny" / "summary.json").exists()


def test_a_damaged_file_is_named(project):
    (paths.results("tiny") / "summary.json").write_text("{")
    with pytest.raises(XrdlibError, match="not JSON"):
        report.load("tiny")


def between(page, marks):
    text = (paths.ROOT / page).read_text(encoding="utf-8")
    return text.split(marks[0])[1].split(marks[1])[0].strip()


def test_the_tables_of_the_documents_are_those_of_the_committed_results(from_results):
    def render():
        result = report.load("laptop")
        return headline(result["released"]["rows"]), documents.tables(result)

    shown = between("README.md", report.HEADLINE), between("docs/results.md", report.RESULTS)
    assert shown in from_results(render)
    assert "| cubic |" in shown[1]


def test_tables_go_between_the_marks_and_nowhere_else(tmp_path):
    page = tmp_path / "page.md"
    begin, end = report.RESULTS
    page.write_text(f"above\n{begin}\nold\n{end}\nbelow\n")
    report.insert(page, "new")
    assert page.read_text() == f"above\n{begin}\nnew\n{end}\nbelow\n"
    page.write_text("no marks")
    with pytest.raises(XrdlibError, match="needs the lines"):
        report.insert(page, "new")
    assert page.read_text() == "no marks"


def test_a_run_that_a_clock_cut_short_says_so_first(project):
    cut = "A clock cut trainings short: resnet after 13 of 1,500 steps."
    written = report.summary(rows(), config.load("tiny"), extra={"cut_short": cut})
    for text in (report.as_text(written), documents.tables(written)):
        assert cut in text.splitlines()[0]
    whole = report.as_text(report.summary(rows(), config.load("tiny"), extra={"cut_short": None}))
    assert whole.splitlines()[0] == "Results of profile tiny"
