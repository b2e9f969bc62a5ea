"""Verdicts follow the numbers: each judge is shown evidence for, against, and of nothing."""

import pytest

from xrdlib import cli
from xrdlib.base import config, paths, results
from xrdlib.reporting import claims, gallery, judges, judges_measured, verdicts
from xrdlib.reporting.verdicts import HOLDS, IN_PART, NOT, OPEN
from xrdlib.studies import ablations, comparison, graph_errors, information, temperature

UP, DOWN, NONE = (0.5, (0.2, 0.8)), (-0.5, (-0.8, -0.2)), (0.0, (-0.3, 0.3))


def change(value, ends, p=None, **more):
    """A paired difference in bits and in top-1, of the same sign."""
    p = p or (0.001 if ends[0] > 0 or ends[1] < 0 else 0.5)
    return more | {
        f"{score}_change{end}": x
        for score in ("bits", "top1")
        for end, x in (("", value), ("_ci95", ends), ("_p", p))
    }


def trained(pairs=3, p=None, **changes):
    """Results of a study in which variants differ as said on both sets, others not at all."""
    tables = {}
    for k, subset in enumerate(("rruff-test", "amcsd-test")):
        tables[subset] = []
        for variant in ablations.VARIANTS:
            sides = changes.get(variant.replace(" ", "_").replace(":", ""), NONE)
            row = change(*(sides[k] if isinstance(sides, list) else sides), p=p, pairs=pairs)
            row |= {"variant": variant, "n": 9}
            row["against"] = {ablations.PAIRS.get(variant): dict(row)}
            tables[subset].append(row)
    return {"tables": tables}


@pytest.mark.parametrize(
    "missed, verdict",
    [
        (DOWN, HOLDS),
        (NONE, OPEN),
        (UP, NOT),
        ([DOWN, NONE], IN_PART),
        ([DOWN, UP], IN_PART),
        ([NONE, UP], NOT),
    ],
)
def test_a_part_helps_where_it_is_missed(missed, verdict):
    judged = judges.coordinate_channel(trained(no_coordinate_channel=missed))
    assert judged.verdict == verdict and "n = 9" in judged.evidence
    assert judges.physics_position(trained(no_physics_position=missed)).verdict == verdict
    calibration = {"chosen_on": "here", "models": {results.MAIN: {"a": 0.25}}}
    judged = judges.rule_head(trained(no_rule_head=missed), calibration, {})
    assert judged.verdict == verdict and "0.25" in judged.evidence


def test_a_training_that_has_not_left_the_plateau_decides_nothing():
    for pairs, verdict in ((1, OPEN), (0, OPEN), (2, HOLDS)):
        content = trained(pairs=pairs, no_coordinate_channel=DOWN)
        judged = judges.coordinate_channel(content)
        assert judged.verdict == verdict and ("plateau" in judged.evidence) == (verdict == OPEN)
    one = trained(no_coordinate_channel=DOWN)
    row = next(r for r in one["tables"]["amcsd-test"] if r["variant"] == "no coordinate channel")
    row["pairs"] = 1  # that set is left out; the other one decides
    assert judges.coordinate_channel(one).verdict == HOLDS


def test_a_difference_that_does_not_survive_the_number_of_comparisons_is_none():
    content = trained(p=0.04, no_coordinate_channel=DOWN)
    assert judges.coordinate_channel(content).verdict == HOLDS
    ablations.correct(content["tables"])
    assert judges.coordinate_channel(content).verdict == OPEN


def test_a_decoder_counts_beside_the_training():
    calibration = {"chosen_on": "here", "models": {results.MAIN: {"a": 0.25}}}

    def decoded(value, ends):
        shared = {"subset": "s", "n": 9, "top1": 20.0}
        alone = {"decoder": comparison.AUXILIARY, **shared}
        return {"decoders": [alone, {"decoder": comparison.BEST, **shared, **change(value, ends)}]}

    for trainings, decoding, verdict in (
        (DOWN, UP, HOLDS),
        (NONE, UP, HOLDS),
        (UP, UP, IN_PART),
        (NONE, NONE, OPEN),
        (NONE, DOWN, NOT),
    ):
        content = trained(no_rule_head=trainings)
        assert judges.rule_head(content, calibration, decoded(*decoding)).verdict == verdict


@pytest.mark.parametrize(
    "pretrained, without_texture, verdict",
    [
        (UP, DOWN, HOLDS),
        (UP, NONE, IN_PART),
        (NONE, DOWN, IN_PART),
        (NONE, NONE, OPEN),
        (DOWN, NONE, NOT),
    ],
)
def test_both_steps_of_the_curriculum_count(pretrained, without_texture, verdict):
    content = trained(after_stage_1_mixed=pretrained, after_stage_1_no_texture=without_texture)
    assert judges.curriculum(content).verdict == verdict


def networks(size=100, **tops):
    """Rows of the study of scaling: top-1 of each seed of some networks at one size."""
    return [
        {"model": name.replace("_", " "), "seed": k, "patterns": size, "top1": top1, "nll": 1.0}
        for name, every in tops.items()
        for k, top1 in enumerate(every)
    ]


@pytest.mark.parametrize(
    "physics, plain, verdict",
    [
        ([70, 69, 71], [65, 66, 64], HOLDS),
        ([70, 69, 71], [50, 51, 49], IN_PART),
        ([50, 51, 49], [45, 44, 46], NOT),
        ([70, 50, 61], [59, 60, 62], OPEN),  # seeds differ more than networks
    ],
)
def test_each_transformer_is_judged_against_the_convolution(physics, plain, verdict):
    rows = networks(physics_transformer=physics, plain_transformer=plain, resnet=[60, 61, 59])
    judged = judges.attention({"rows": rows, "n": 9900})
    assert judged.verdict == verdict
    assert "physics transformer against resnet" in judged.evidence
    assert "plain transformer against resnet" in judged.evidence and "3 and 3" in judged.evidence


def test_where_nobody_has_learned_much_nothing_is_decided():
    rows = networks(physics_transformer=[4, 4, 4], resnet=[8, 8, 8])
    judged = judges.attention({"rows": rows, "n": 9900})
    assert judged.verdict == OPEN and "below 20 %" in judged.evidence


def test_the_largest_common_size_decides_and_borrows_the_spread_of_seeds():
    small = networks(50, physics_transformer=[30, 31, 32], resnet=[40, 41, 42])
    large = networks(100, physics_transformer=[75], resnet=[60])
    beyond = networks(200, physics_transformer=[80, 81])
    rows = [*small, *large, *beyond]
    row = verdicts.apart(rows, "physics transformer", "resnet", 9900)
    assert (row["patterns"], row["seeds"], row["sign"]) == (100, [1, 1], 1)
    # Variance 1 of the seeds of each, and that of the test patterns.
    error = 1.96 * (2 + (75 * 25 + 60 * 40) / 9900) ** 0.5
    assert row["change_ci95"] == pytest.approx([15 - error, 15 + error])
    assert judges.attention({"rows": rows, "n": 9900}).verdict == HOLDS
    assert verdicts.apart(large, "physics transformer", "resnet", 9900) is None
    assert judges.attention({"rows": large, "n": 9900}).verdict == OPEN


@pytest.mark.parametrize(
    "direct, control, verdict",
    [([50, 51], [30, 31], HOLDS), ([30, 31], [50, 51], NOT), ([9, 9], [1, 1], OPEN)],
)
def test_the_target_by_symmetry_and_by_training(direct, control, verdict):
    symmetry = {"space_groups": 230, "extinction_groups": 99, "diffraction_classes": 97}
    rows = networks(resnet=direct)
    rows += [
        {**row, "model": "resnet, 230 space groups", "uniform_top1": row["top1"], "top1": 0}
        for row in networks(resnet=control)
    ]
    content = {"targets": rows, "n": 9900}
    assert judges.target(content, symmetry).verdict == verdict
    assert judges.target({"n": 9900}, symmetry).verdict == OPEN


def test_networks_are_compared_with_search_match_in_pairs():
    def beside(*signs):
        shared = {"network": "net", "subset": "s", "n": 9, "top1": 20.0, "bits": 1.0}
        shared |= {"search_top1": 50.0, "search_bits": 2.0}
        return {"search": [shared | change(*sign) for sign in signs]}

    assert judges.not_enough(beside(DOWN, DOWN)).verdict == HOLDS
    assert judges.not_enough(beside(DOWN, NONE)).verdict == IN_PART
    assert judges.not_enough(beside(UP, NONE)).verdict == NOT
    assert judges.not_enough(beside(NONE)).verdict == OPEN
    split = beside(DOWN)
    split["search"][0] |= {"top1_change": 0.5, "top1_change_ci95": (0.2, 0.8)}
    assert judges.not_enough(split).verdict == OPEN  # fewer bits, more hits
    assert judges.not_enough({"search": []}).verdict == OPEN


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


def test_a_limit_is_refuted_by_an_interval_above_it():
    readers = ("released", information.BOTH, information.LATTICE)
    shared = {"top1": 50, "over_lattice": 5, "over_lattice_ci95": [1, 9]}
    readers = {"ceiling": [{"reader": reader, **shared} for reader in readers]}
    graph = {"models": [{"model": graph_errors.PUBLISHED, "accuracy": 10, "subset": "x", "n": 325}]}
    assert judges_measured.ceiling(readers, measured(1, 1, 60), graph).verdict == NOT
    assert judges_measured.ceiling(readers, measured(1, 1, 12), graph).verdict == OPEN
    assert judges_measured.ceiling(readers, measured(1, 1), {"models": []}).verdict == OPEN


def graph(*words, **more):
    """Results of the study of errors, of models whose errors flow as said."""
    null = {"value": {"descendant": 40.0}, "p": {"descendant": 0.2}}
    shared = {"subset": "s", "n": 9, "n_errors": 3, "observed": {"value": {"descendant": 50.0}}}
    shared["nulls"] = {"shuffled": null}
    key = "flow to lower symmetry"
    rows = [{"model": f"m{k}", **shared, "summary": {key: word}} for k, word in enumerate(words)]
    return {"models": rows, **more}


def test_models_must_agree_on_the_direction_of_errors():
    assert judges_measured.flow(graph(NOT, NOT)).verdict == NOT
    assert judges_measured.flow(graph(HOLDS, NOT)).verdict == IN_PART
    assert judges_measured.flow({"models": []}).verdict == OPEN
    assert "40.00 with" in judges_measured.flow(graph(NOT)).evidence


def test_errors_that_calibration_turns_downward_count_in_part():
    def turned(first, second, ends):
        row = {"first": first, "second": second, "change_ci95": ends}
        return graph(NOT, valid=47.0, calibrated={"T": {"downward": row}})

    judged = judges_measured.flow(turned(-30.0, 40.0, [50, 90]))
    assert judged.verdict == IN_PART and "-30.0 to +40.0 %" in judged.evidence
    assert "47.0 % of patterns" in judged.evidence
    for same in ((-30.0, 40.0, [-5, 90]), (10.0, 40.0, [20, 40]), (-40.0, -10.0, [20, 40])):
        assert judges_measured.flow(turned(*same)).verdict == NOT


def scaled(won, left, prior=0.1):
    """One predictor: what its temperature wins and leaves, counted twice and as a ratio."""
    rows = {"T = 1": {"nll": 4.0, "top1": 2.0}, "chosen": {"nll": 3.0, "top1": 9.0}}
    rows["limit"] = {"nll": 3.5, "top1": 9.0}
    shared = {"chosen": {"T": 5.0}, "best_on_test": {"T": None}, "rows": rows}
    own = {
        way: shared
        | {"won": w, "won_ci95": [w - 0.1, w + 0.1], "left": s, "left_ci95": [s - 0.1, s + 0.1]}
        for way, w, s in zip((temperature.TWICE, temperature.RATIO), won, left, strict=True)
    }
    nothing = {"rows": {"T = 1": {"nll": 4.0 + prior}}}
    return own | {temperature.NONE: nothing}


@pytest.mark.parametrize(
    "won, left, verdict",
    [
        ([1, 1], [1, 1], HOLDS),
        ([1, 0], [1, 1], IN_PART),  # for the paper's decoder alone
        ([1, 0.15], [1, 1], IN_PART),  # less than the prior as a ratio wins
        ([1, 1], [0, 0], NOT),  # only a slide to the prior
        ([-1, -1], [1, 1], NOT),
    ],
)
def test_temperature_in_the_papers_situation_and_as_a_ratio(won, left, verdict):
    content = {"subset": "s", "n": 9, "models": {results.MAIN: scaled(won, left, 0.2)}}
    judged = judges_measured.temperature(content)
    assert judged.verdict == verdict and "T = 5" in judged.evidence
    assert "counted a second time" in judged.evidence and "as a ratio" in judged.evidence
    two = {**content["models"], "other": scaled([-1, -1], [1, 1])}
    expected = NOT if verdict == NOT else IN_PART
    assert judges_measured.temperature({**content, "models": two}).verdict == expected


def test_what_was_not_run_is_listed_and_not_judged(cfg):
    rows = claims.table(cfg)
    assert len(rows) == len(claims.CLAIMS) and set(rows.verdict) == {claims.NOT_RUN}
    results.write(cfg, "ablations", trained(no_coordinate_channel=DOWN))
    rows = claims.table(cfg)
    assert rows.verdict["coordinate channel"] == HOLDS
    assert rows.verdict["rule head"] == claims.NOT_RUN
    assert "calibration.json" in rows.evidence["rule head"]
    text = claims.section(rows, "coordinate channel").data
    assert "**Holds.**" in text and "NOTEBOOK=21_ablations" in text


def test_architectures_are_judged_where_they_were_compared_at_the_papers_sizes(cfg):
    own = networks(physics_transformer=[70, 71], resnet=[60, 61])
    results.write(cfg, "scaling", {"rows": own, "n": 9900})
    name = "attention and convolution"
    assert claims.table(cfg).verdict[name] == HOLDS
    assert claims.source(cfg, "scaling") is cfg
    regime = claims.SimpleNamespace(**{**vars(cfg), "profile": claims.REGIME})
    rows = networks(1000, physics_transformer=[70, 71], resnet=[90, 91])
    results.write(regime, "scaling", {"rows": rows, "n": 9900})
    row = claims.table(cfg).loc[name]
    assert row.verdict == NOT and row.results == "results/regime/scaling.json"
    assert row.figure == "figures/regime/scaling.png" and "PROFILE=regime" in row.command
    assert claims.source(cfg, "ablations") is cfg


def test_the_table_goes_between_its_marks(cfg, tmp_path, capsys):
    page = tmp_path / "README.md"
    page.write_text("before\n{}\nold\n{}\nafter\n".format(*claims.MARKS))
    assert cli.main(["claims", "--profile", "tiny", "--into", str(page)]) == 0
    text = page.read_text()
    assert "old" not in text and text.startswith("before") and text.endswith("after\n")
    assert text.count("not run") == len(claims.CLAIMS)
    assert cli.main(["claims", "--profile", "tiny"]) == 0
    assert "attention and convolution: not run" in capsys.readouterr().out
    page.write_text("no marks")
    assert cli.main(["claims", "--profile", "tiny", "--into", str(page)]) == 2
    assert "needs the lines" in capsys.readouterr().err


def test_every_claim_has_a_figure_a_notebook_and_a_name_of_its_own():
    available = gallery.FIGURES.keys() | gallery.STUDIES.keys()
    assert {claim.figure for claim in claims.CLAIMS} <= available
    root = paths.ROOT / "notebooks"
    assert all((root / f"{claim.notebook}.ipynb").exists() for claim in claims.CLAIMS)
    assert len({claim.name for claim in claims.CLAIMS}) == len(claims.CLAIMS)


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
    assert text.count("\n## ") == text.count("](../figures/tiny/") == len(claims.CLAIMS)
    assert all(claim.text in text for claim in claims.CLAIMS)


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
