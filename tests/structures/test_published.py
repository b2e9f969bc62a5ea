import needed
import numpy as np
import pandas as pd
import pytest

from xrdlib.base.errors import XrdlibError
from xrdlib.structures import published

COLUMNS = ["index", "case_id", "mineral", "extinction_group", "rwp", "severity"]
COLUMNS += [f"published_{kind}{k}" for kind in ("top", "prob") for k in range(1, 6)]
ROW = [0, "Halite__1", "Halite", 97, 0.1, "recoverable", 4, 97, 1, 2, 3, 0.4, 0.2, 0.1, 0.1, 0.05]


@pytest.fixture
def write(tmp_path):
    """Function that writes a table of one good row, with columns changed, and gives its path."""

    def make(**changes):
        row = dict(zip(COLUMNS, ROW, strict=True)) | changes
        pd.DataFrame([row]).to_csv(tmp_path / "cases.csv", index=False)
        return tmp_path / "cases.csv"

    return make


def test_a_case_is_read_with_classes_from_zero(write):
    cases = published.load_published(write())
    assert len(cases) == 1 and cases.mineral.tolist() == cases.family.tolist() == ["Halite"]
    assert cases.label.tolist() == [96] and cases.top.tolist() == [[3, 96, 0, 1, 2]]
    assert cases.probability.tolist() == [[0.4, 0.2, 0.1, 0.1, 0.05]]
    assert [bool(cases.hits(k)[0]) for k in (1, 2, 5)] == [False, True, True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extinction_group": 100}, "between 1 and 99"),
        ({"published_top2": 4}, "must differ"),
        ({"published_prob2": 0.5}, "falling order"),
        ({"published_prob1": 0.9}, "sum to 1"),
        ({"rwp": -0.1}, "Rwp"),
        ({"extinction_group": "P21/c"}, "not a readable table"),
    ],
)
def test_a_bad_table_gets_a_word(write, changes, message):
    with pytest.raises(XrdlibError, match=message):
        published.load_published(write(**changes))


def test_the_published_table_has_what_the_paper_states():
    """325 cases, 10.46 and 43.69 % right among one and five: the abstract's numbers."""
    cases = published.load_published(needed.data("rruff325"))
    assert len(cases) == 325 and len(np.unique(cases.case_id)) == 325
    assert 100 * cases.hits(1).mean() == pytest.approx(10.46, abs=0.005)
    assert 100 * cases.hits(5).mean() == pytest.approx(43.69, abs=0.005)
