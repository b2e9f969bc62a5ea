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
    "change, missed, target",
    [
        (DOWN, judges.HOLDS, judges.HOLDS),
        (NONE, judges.OPEN, judges.IN_PART),
        (UP, judges.NOT, judges.NOT),
        ([DOWN, NONE], judges.IN_PART, judges.IN_PART),
        ([DOWN, UP], judges.IN_PART, judges.NOT),
        ([NONE, UP], judges.NOT, judges.NOT),
    ],
)
def test_a_part_helps_where_it_is_missed(change, missed, target):
    calibration = {"chosen_on": "here", "models": {results.MAIN: {"a": 0.25}}}
    told = {"no_coordinate_channel", "no_physics_position", "no_rule_head", "230_space_groups"}
    content = trained(**dict.fromkeys(told, change))
    assert judges.coordinate_channel(content).verdict == missed
    assert judges.physics_position(content).verdict == missed
    assert judges.rule_head(content, calibration).verdict == missed
    symmetry = {"space_groups": 230, "extinction_groups": 99, "diffraction_classes": 97}
    assert judges.target(content, symmetry).verdict == target


def test_both_steps_of_the_curriculum_count():
    for pretrained, without_texture, verdict in (
        (UP, DOWN, judges.HOLDS),
        (UP, NONE, judges.IN_PART),
        (NONE, DOWN, judges.IN_PART),
        (NONE, NONE, judges.OPEN),
        (DOWN, NONE, judges.NOT),
    ):
        stages = {"after_stage_1_mixed": pretrained, "after_stage_1_no_texture": without_texture}
        assert judges.curriculum(trained(**stages)).verdict == verdict


def measured(network, search, best=60.0):
    rows = []
    models = {"released, network alone": network, "search-match": search, "released": best}
    for model, top1 in (models | {"prior only": 9.0}).items():
        bits = {"bits_over_prior": top1 / 20, "bits_ci95": [top1 / 20 - 0.2, top1 / 20 + 0.2]}
        row = {"model": model, "subset": "rruff-test", "n": 9, "top1": top1, **bits}
        rows.append(row | {"top1_ci95": [top1 - 5, top1 + 5]})
    return {"rows": rows}


def test_measured_patterns_judge_networks_and_limits():
    assert judges.not_enough(measured(20, 50)).verdict == judges.HOLDS
    assert judges.not_enough(measured(60, 50)).verdict == judges.NOT
    assert judges.not_enough({"rows": []}).verdict == judges.OPEN
    information = {"verdict": {"ceiling": "Text."}}
    graph = {"models": [{"model": graph_errors.PUBLISHED, "accuracy": 10, "subset": "x", "n": 325}]}
    assert judges.ceiling(information, measured(1, 1, 60), graph).verdict == judges.NOT
    assert judges.ceiling(information, measured(1, 1, 12), graph).verdict == judges.OPEN
    assert judges.ceiling(information, measured(1, 1), {"models": []}).verdict == judges.OPEN


def test_models_must_agree_on_the_direction_of_errors():
    def graph(*verdicts):
        about = {"subset": "s", "n": 9, "n_errors": 3}
        about["verdict"] = {"errors flow to lower symmetry": "Text."}
        models = enumerate(verdicts)
        return {
            "models": [
                {"model": f"m{k}", **about, "summary": {"flow to lower symmetry": v}}
                for k, v in models
            ]
        }

    assert judges.direction(graph(judges.NOT, judges.NOT)).verdict == judges.NOT
    assert judges.direction(graph(judges.HOLDS, judges.NOT)).verdict == judges.IN_PART
    assert judges.direction(graph()).verdict == judges.OPEN


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


def test_table_and_companion_have_every_claim(cfg, tmp_path, capsys):
    page, companion = tmp_path / "README.md", tmp_path / "companion.md"
    page.write_text("before\n{}\nold\n{}\nafter\n".format(*claims.MARKS))
    into = ["--into", str(page), "--companion", str(companion)]
    assert cli.main(["claims", "--profile", "tiny", *into]) == 0
    text = page.read_text()
    assert "old" not in text and text.startswith("before") and text.endswith("after\n")
    assert text.count("not run") == len(judges.CLAIMS)
    text = companion.read_text()
    assert text.count("\n## ") == text.count("](../figures/tiny/") == len(judges.CLAIMS)
    assert all(claim.text in text for claim in judges.CLAIMS)
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

    readme = (paths.ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.split(claims.MARKS[0])[1].split(claims.MARKS[1])[0].strip()
    companion = (paths.ROOT / "docs/companion.md").read_text(encoding="utf-8")
    assert (table, companion) in from_results(render)
    assert claims.NOT_RUN not in table


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
