"""The plans of large trainings: their arithmetic by hand, and that docs/scale.md holds them."""

import pytest
from scripts import benchmark

from xrdlib.base import config
from xrdlib.base.paths import ROOT


@pytest.fixture(scope="module")
def plan():
    return benchmark("plan")


@pytest.fixture(scope="module")
def paper():
    return benchmark("plan_paper")


def case(total, draw=0.5, crystals=0.1, patterns=1000):
    names = ("ms a pattern", "ms to draw", "ms to make crystals", "patterns")
    return dict(zip(names, (total, draw, crystals, patterns), strict=True))


def test_the_document_holds_both_plans(plan, paper):
    text = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
    assert f"{plan.BEGIN}\n{plan.markdown(plan.measured())}\n{plan.END}" in text
    assert f"{paper.BEGIN}\n{paper.text()}\n{paper.END}" in text


def test_hours_are_those_of_the_rates(plan):
    rows = plan.table({"laptop": case(3.6), "paper": case(36.0)})
    text = {label.split(",")[0]: row for label, row in rows.items()}
    # 3.6 ms x 31e6 = 111,600 s = 31 hours; 3.6 ms x 1e9 = 1000 hours.
    assert text["train the laptop model on CPU cores"] == ["4", "31", "1,000"]
    # 0.5 + 0.1 ms in one process, 0.125 + 0.1 ms in four.
    assert text["draw in 1 process"] == ["0.7", "5.2", "166.7"]
    assert text["draw in 4 processes"] == ["0.3", "1.9", "62.5"]
    assert text["keep them as float16"] == ["0.07", "0.53", "17.00"]


def test_more_processes_draw_faster_and_never_beyond_the_crystals(plan):
    rates = [plan.drawing_rate(case(3), n) for n in (1, 2, 8, 64, 10**6)]
    assert rates == sorted(rates) and rates[-1] < 1e3 / 0.1
    assert plan.drawing_rate(case(3), 5) == pytest.approx(0.5e3 / 0.1)  # draw / crystals = 5


def test_the_profile_paper_shows_as_many_patterns_as_the_paper(paper):
    settings = config.load("paper")
    parts = paper.trainings(settings)
    assert parts["stage 1"] == [("model", pytest.approx(1.38e6, abs=128))]
    assert parts["stage 2"] == [("model", pytest.approx(2.35e6 + 0.5e6, abs=128))]
    sizes = {n for _, n in parts["scaling: plain"] if n > settings.studies.scaling.trial}
    assert sizes == {99_000, 396_000, 990_000, 2_170_000, 5_140_000}


def test_operations_are_those_counted_by_hand(paper):
    # Linear layers of the transformer: 342 tokens, 12 d^2 weights a layer, two operations each,
    # three times for forward and back; attention adds 4 T^2 d a layer, its way back more than that.
    tokens, width, depth = 342, 128, 4
    linear = 3 * 2 * tokens * 12 * width**2 * depth
    attention = 3 * 4 * tokens**2 * width * depth
    assert linear + attention < paper.operations("paper", "model") < 1.15 * (linear + attention)


def test_a_gpu_waits_for_its_patterns(paper, monkeypatch):
    parts = {"one": [("model", 1_000_000)], "two": [("model", 2_000_000), ("model", 0)]}
    counted, found = {"model": 2e9}, {"paper": case(36.0, draw=0.4)}
    # 36 ms x 1e6 = 10 hours; a GPU could do 500 patterns a second, one core draws 2,000.
    for gpu, rate in ((1e12, 500), (1e15, 2000)):
        monkeypatch.setattr(paper, "GPU", gpu)
        table = paper.rows(parts, counted, found)
        assert [row["core hours"] for row in table] == pytest.approx([10, 20])
        hours = [1e6 / rate / 3600, 2e6 / rate / 3600]
        assert [row["GPU hours"] for row in table] == pytest.approx(hours)
