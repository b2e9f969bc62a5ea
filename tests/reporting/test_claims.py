"""Verdicts follow the numbers: each judge is shown evidence for, against, and of nothing."""

import pytest

from xrdlib import cli
from xrdlib.base import config, paths, results
from xrdlib.reporting import claims, gallery, judges
from xrdlib.studies import ablations, graph_errors

UP, DOWN, NONE = (0.5, (0.2, 0.8)), (-0.5, (-0.8, -0.2)), (0.0, (-0.3, 0.3))


def trained(**changes):
    """Results of a study in which variants differ as said on both sets, others not at all."""
    tables = {}
    for k, subset in enumerate(("rruff-test", "amcsd-test")):
        tables[subset] = []
        for variant in ablations.VARIANTS:
            sides = changes.get(variant.replace(" ", "_").replace(":", ""), NONE)
            value, ends = sides[k] if isinstance(sides, list) else sides
            row = {"variant": variant, "n": 9, "bits_change": value, "bits_change_ci95": ends}
            row["against"] = {ablations.PAIRS.get(variant): dict(row)}
            tables[subset].append(row)
    return {"tables": tables}


@pytest.mark.parametrize(
    "change, verdict",
    [
        (DOWN, judges.HOLDS),
        (NONE, judges.OPEN),
        (UP, judges.NOT),
        ([DOWN, NONE], judges.IN_PART),
        ([DOWN, UP], judges.IN_PART),
        ([NONE, UP], judges.NOT),
    ],
)
def test_a_part_helps_where_it_is_missed(change, verdict):
    found = judges.coordinate_channel(trained(no_coordinate_channel=change))
    assert found.verdict == verdict and "n = 9" in found.evidence
    assert judges.physics_position(trained(no_physics_position=change)).verdict == verdict
    calibration = {"chosen_on": "here", "models": {results.MAIN: {"a": 0.25}}}
    found = judges.rule_head(trained(no_rule_head=change), calibration)
    assert found.verdict == verdict and "0.25" in found.evidence


@pytest.mark.parametrize(
    "change, verdict",
    [(DOWN, judges.HOLDS), (NONE, judges.IN_PART), (UP, judges.NOT)],
)
def test_the_target_by_symmetry_and_by_training(change, verdict):
    symmetry = {"space_groups": 230, "extinction_groups": 99, "diffraction_classes": 97}
    content = trained(**{"230_space_groups": change})
    assert judges.target(content, symmetry).verdict == verdict


@pytest.mark.parametrize(
    "pretrained, without_texture, verdict",
    [
        (UP, DOWN, judges.HOLDS),
        (UP, NONE, judges.IN_PART),
        (NONE, DOWN, judges.IN_PART),
        (NONE, NONE, judges.OPEN),
        (DOWN, NONE, judges.NOT),
    ],
)
def test_both_steps_of_the_curriculum_count(pretrained, without_texture, verdict):
    content = trained(
        after_stage_1_mixed=pretrained,
        after_stage_1_no_texture=without_texture,
    )
    assert judges.curriculum(content).verdict == verdict


def test_attention_as_its_study_says():
    content = {"fits": {"resnet": {"b": 0.1, "b_range": [0.0, 0.2]}}, "null": {"top1": 1.0}, "n": 5}
    for holds, verdict in (("yes", judges.HOLDS), ("no", judges.NOT), ("?", judges.OPEN)):
        content["verdict"] = {"holds": holds, "text": "Text."}
        assert judges.attention(content).verdict == verdict


def measured(network, search, best=60.0):
    def row(model, top1):
        return {
            "model": model,
            "subset": "rruff-test",
            "n": 9,
            "top1": top1,
            "top1_ci95": [top1 - 5, top1 + 5],
            "bits_over_prior": top1 / 20,
            "bits_ci95": [top1 / 20 - 0.2, top1 / 20 + 0.2],
        }

    models = {"released, network alone": network, "search-match": search, "released": best}
    return {"rows": [row(*pair) for pair in (models | {"prior only": 9.0}).items()]}


def test_a_network_alone_beside_search_match():
    assert judges.not_enough(measured(20, 50)).verdict == judges.HOLDS
    assert judges.not_enough(measured(60, 50)).verdict == judges.NOT
    assert judges.not_enough({"rows": []}).verdict == judges.OPEN


def test_a_limit_is_refuted_by_an_interval_above_it():
    information = {"verdict": {"ceiling": "Text."}}
    graph = {"models": [{"model": graph_errors.PUBLISHED, "accuracy": 10, "subset": "x", "n": 325}]}
    assert judges.ceiling(information, measured(1, 1, 60), graph).verdict == judges.NOT
    assert judges.ceiling(information, measured(1, 1, 12), graph).verdict == judges.OPEN
    assert judges.ceiling(information, measured(1, 1), {"models": []}).verdict == judges.OPEN


def graph(*verdicts):
    key, name = "flow to lower symmetry", "errors flow to lower symmetry"
    about = {"subset": "s", "n": 9, "n_errors": 3}
    return {
        "models": [
            {"model": f"m{k}", **about, "summary": {key: v}, "verdict": {name: "Text."}}
            for k, v in enumerate(verdicts)
        ]
    }


def test_models_must_agree_on_the_direction_of_errors():
    assert judges.direction(graph(judges.NOT, judges.NOT)).verdict == judges.NOT
    assert judges.direction(graph(judges.HOLDS, judges.NOT)).verdict == judges.IN_PART
    assert judges.direction({"models": []}).verdict == judges.OPEN


def test_what_was_not_run_is_said_and_not_judged(cfg):
    rows = claims.table(cfg)
    assert len(rows) == len(judges.CLAIMS) and set(rows.verdict) == {claims.NOT_RUN}
    results.write(cfg, "ablations", trained(no_coordinate_channel=DOWN))
    rows = claims.table(cfg)
    assert rows.verdict["coordinate channel"] == judges.HOLDS
    assert rows.verdict["rule head"] == claims.NOT_RUN
    assert "calibration.json" in rows.evidence["rule head"]
    text = claims.section(rows, "coordinate channel").data
    assert "**Holds.**" in text and "NOTEBOOK=15_ablations" in text


def test_the_table_goes_between_its_marks(cfg, tmp_path, capsys):
    page = tmp_path / "README.md"
    page.write_text("before\n{}\nold\n{}\nafter\n".format(*claims.MARKS))
    assert cli.main(["claims", "--profile", "tiny", "--into", str(page)]) == 0
    text = page.read_text()
    assert "old" not in text and text.startswith("before") and text.endswith("after\n")
    assert text.count("not run") == len(judges.CLAIMS)
    assert cli.main(["claims", "--profile", "tiny"]) == 0
    assert "attention and convolution: not run" in capsys.readouterr().out
    page.write_text("no marks")
    assert cli.main(["claims", "--profile", "tiny", "--into", str(page)]) == 2
    assert "needs the lines" in capsys.readouterr().err


def test_every_claim_has_a_figure_a_notebook_and_a_name_of_its_own():
    known = gallery.FIGURES.keys() | gallery.STUDIES.keys()
    assert {claim.figure for claim in judges.CLAIMS} <= known
    root = paths.ROOT / "notebooks"
    assert all((root / f"{claim.notebook}.ipynb").exists() for claim in judges.CLAIMS)
    assert len({claim.name for claim in judges.CLAIMS}) == len(judges.CLAIMS)


def test_the_documents_say_what_the_committed_results_say(from_results):
    """Studies are not made anew by `make repro`, whose results they are judged with."""
    cfg = config.load("laptop")

    def render():
        rows = claims.table(cfg)
        return claims.as_markdown(rows), claims.document(rows)

    tables, documents = zip(*from_results(render), strict=True)
    text = (paths.ROOT / "README.md").read_text(encoding="utf-8")
    begin, end = claims.MARKS
    assert text.split(begin)[1].split(end)[0].strip() in tables
    assert (paths.ROOT / "docs/companion.md").read_text(encoding="utf-8") in documents
    assert claims.NOT_RUN not in tables[-1]


def test_the_companion_has_every_claim_with_its_figure(cfg, tmp_path):
    page = tmp_path / "companion.md"
    assert cli.main(["claims", "--profile", "tiny", "--companion", str(page)]) == 0
    text = page.read_text()
    assert text.count("\n## ") == text.count("](../figures/tiny/") == len(judges.CLAIMS)
    assert all(claim.text in text for claim in judges.CLAIMS)


def test_results_of_different_runs_are_not_mixed_silently(cfg, capsys):
    results.write(cfg, "ablations", trained(no_coordinate_channel=DOWN))
    cli.main(["claims", "--profile", "tiny"])
    assert capsys.readouterr().err == ""
    cfg.seed += 1
    counts = {"space_groups": 230, "diffraction_classes": 97, "extinction_groups": 99}
    results.write(cfg, "symmetry", counts)
    cli.main(["claims", "--profile", "tiny"])
    (line,) = capsys.readouterr().err.splitlines()
    assert "ablations" in line and "symmetry" in line and "another configuration" in line
