import csv

import numpy as np
import pytest

from xrdlib.base.errors import XrdlibError
from xrdlib.structures import datasets, measured

COLUMNS = ["index", "case_id", "mineral", "extinction_group", "rwp", "severity"]
COLUMNS += [f"published_{kind}{k}" for kind in ("top", "prob") for k in range(1, 6)]
ROW = [0, "Halite__1", "Halite", 97, 0.1, "recoverable", 4, 97, 1, 2, 3, 0.4, 0.2, 0.1, 0.1, 0.05]


@pytest.fixture
def write(tmp_path):
    """Function that writes a table of one good row, with columns changed, and gives its path."""

    def make(**changes):
        path = tmp_path / "cases.csv"
        row = dict(zip(COLUMNS, ROW, strict=True)) | changes
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerow(row)
        return path

    return make


def test_a_case_is_read_with_classes_from_zero(write):
    cases = measured.load_published(write())
    assert len(cases) == 1 and cases.mineral.tolist() == cases.family.tolist() == ["Halite"]
    assert cases.label.tolist() == [96] and cases.top.tolist() == [[3, 96, 0, 1, 2]]
    assert cases.probability.tolist() == [[0.4, 0.2, 0.1, 0.1, 0.05]]
    assert [bool(cases.hits(k)[0]) for k in (1, 2, 5)] == [False, True, True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extinction_group": 100}, "between 1 and 99"),
        ({"published_top3": 0}, "between 1 and 99"),
        ({"published_top2": 4}, "must differ"),
        ({"published_prob2": 0.5}, "falling order"),
        ({"published_prob5": "nan"}, "falling order"),
        ({"published_prob1": 0.9}, "sum to 1"),
        ({"rwp": -0.1}, "Rwp"),
        ({"severity": "fine"}, "usable_or_better, recoverable"),
        ({"extinction_group": "P21/c"}, "not a readable table"),
        ({"published_top1": None}, "not a readable table"),
    ],
)
def test_a_bad_table_gets_a_word(write, changes, message):
    with pytest.raises(XrdlibError, match=message):
        measured.load_published(write(**changes))


def test_an_empty_table_and_a_wrong_one_are_refused(tmp_path):
    file = tmp_path / "cases.csv"
    file.write_text(",".join(COLUMNS) + "\n")
    with pytest.raises(XrdlibError, match="no case|not a readable"):
        measured.load_published(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(XrdlibError, match="not a readable"):
        measured.load_published(file)


def test_a_missing_table_is_missing_data(tmp_path, monkeypatch):
    with pytest.raises(datasets.MissingData, match="does not exist"):
        measured.load_published(tmp_path / "none.csv")
    monkeypatch.setattr(datasets, "_folders", lambda: [tmp_path])
    with pytest.raises(datasets.MissingData, match="rruff325_cases.csv"):
        measured.load_published()


def test_the_published_table_has_what_the_paper_states():
    """325 cases, 10.46 and 43.69 % right among one and five: the abstract's numbers."""
    try:
        cases = measured.load_published()
    except datasets.MissingData as missing:
        pytest.skip(str(missing))
    assert len(cases) == 325 and len(np.unique(cases.case_id)) == 325
    assert 100 * cases.hits(1).mean() == pytest.approx(10.46, abs=0.005)
    assert 100 * cases.hits(5).mean() == pytest.approx(43.69, abs=0.005)
