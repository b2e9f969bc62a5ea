"""What the profile paper shows to its models and costs: counts of the paper, hand-made sums."""

import pytest
from scripts import benchmark

from xrdlib.base import config
from xrdlib.base.paths import ROOT


@pytest.fixture(scope="module")
def plan():
    return benchmark("plan_paper")


@pytest.fixture(scope="module")
def paper():
    return config.load("paper")


def test_the_profile_shows_as_many_patterns_as_the_paper(plan, paper):
    parts = plan.trainings(paper)
    assert parts["stage 1"] == [("model", pytest.approx(1.38e6, abs=128))]
    assert parts["stage 2"] == [("model", pytest.approx(2.35e6 + 0.5e6, abs=128))]
    assert paper.stage1.batch == paper.stage2.batch == 128 and paper.stage2.lr == 1e-5
    assert paper.stage1.max_minutes is None and paper.stage2.max_minutes is None
    sizes = {n for _, n in parts["scaling: plain"] if n > paper.studies.scaling.trial}
    assert sizes == {99_000, 396_000, 990_000, 2_170_000, 5_140_000}


def test_operations_are_those_counted_by_hand(plan):
    # Linear layers of the transformer: 342 tokens, 12 d^2 weights a layer, two operations each,
    # three times for forward and back; attention adds 4 T^2 d a layer, its way back more than that.
    tokens, width, depth = 342, 128, 4
    linear = 3 * 2 * tokens * 12 * width**2 * depth
    attention = 3 * 4 * tokens**2 * width * depth
    assert linear + attention < plan.operations("paper", "model") < 1.15 * (linear + attention)


def test_hours_and_cost_are_those_of_the_rates(plan, monkeypatch):
    monkeypatch.setattr(plan, "GPU", 1e12)
    case = {"ms a pattern": 36.0, "ms to draw": 0.4, "ms to make crystals": 0.1}
    parts = {"one": [("model", 1_000_000)], "two": [("model", 2_000_000), ("model", 0)]}
    parts["three"] = [("plain", 36_000)]
    table = plan.rows(parts, {"model": 2e9, "plain": 1e12}, {"paper": case})
    # 36 ms x 1e6 = 10 hours; a GPU could do 500 patterns a second, one core draws 2,000.
    assert [row["core hours"] for row in table] == pytest.approx([10, 20, 180])
    assert [row["GPU hours"] for row in table] == pytest.approx([2000 / 3600, 4000 / 3600, 10])
    monkeypatch.setattr(plan, "GPU", 1e15)
    fast = plan.rows(parts, {"model": 2e9, "plain": 1e12}, {"paper": case})
    assert fast[0]["GPU hours"] == pytest.approx(500 / 3600)  # it waits for its patterns
    text = plan.markdown(table, 2000)
    assert "| two | 2 | 2.00 | 2.0 | 20 | 1.1 |" in text
    assert "stages 1 and 2, 1.7 hours of one GPU (about 5 USD) or 30 core hours (2 USD)" in text
    assert "fewer than 500 GFLOP" in text


def test_the_document_holds_the_plan_of_the_profile(plan):
    text = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
    assert text.split(plan.BEGIN)[1].split(plan.END)[0].strip() == plan.text()
