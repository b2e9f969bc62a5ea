"""The plan of large trainings: its arithmetic, and that the document holds it."""

import pytest
from scripts import benchmark

from xrdlib.base.paths import ROOT


@pytest.fixture(scope="module")
def plan():
    return benchmark("plan")


def case(total, draw=0.5, crystals=0.1, patterns=1000):
    names = ("ms a pattern", "ms to draw", "ms to make crystals", "patterns")
    return dict(zip(names, (total, draw, crystals, patterns), strict=True))


def test_the_document_holds_the_plan_of_the_committed_numbers(plan):
    text = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
    assert text.split(plan.BEGIN)[1].split(plan.END)[0].strip() == plan.markdown(plan.measured())


def test_hours_are_those_of_the_rates(plan):
    rows = plan.table({"laptop": case(3.6), "paper": case(36.0)})
    text = {label.split(",")[0]: row for label, row in rows.items()}
    # 3.6 ms x 31e6 = 111,600 s = 31 hours; 3.6 ms x 1e9 = 1000 hours.
    assert text["train the laptop model on CPU cores"] == ["4", "31", "1,000"]
    assert text["train the paper model on CPU cores"] == ["42", "310", "10,000"]
    # 0.5 + 0.1 ms in one process, 0.125 + 0.1 ms in four.
    assert text["draw in 1 process"] == ["0.7", "5.2", "166.7"]
    assert text["draw in 4 processes"] == ["0.3", "1.9", "62.5"]
    assert text["keep them as float16"] == ["0.07", "0.53", "17.00"]


def test_more_processes_draw_faster_and_never_beyond_the_crystals(plan):
    rates = [plan.drawing_rate(case(3), n) for n in (1, 2, 8, 64, 10**6)]
    assert rates == sorted(rates) and rates[-1] < 1e3 / 0.1
    assert plan.drawing_rate(case(3), 5) == pytest.approx(0.5e3 / 0.1)  # draw / crystals = 5


def test_the_check_says_how_far_the_model_was_off(plan):
    found = {"laptop": case(2.0), "paper": case(30), "two": case(2.5)}
    found["check"] = case(2.2, patterns=31000)
    text = plan.markdown(found)
    assert "expected to take 62 s" in text and "took 68 s (+10 %)" in text
    assert "do 80 % of the work" in text
    assert "more than 10,000 patterns/s; half of that is reached with 5.0 processes" in text
