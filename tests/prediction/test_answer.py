"""Answers: the set reaches its coverage, the graph is read rightly, and nothing is hidden."""

import json
import re
from types import SimpleNamespace

import bundled
import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrdlib.base.errors import XrdlibError
from xrdlib.prediction.answer import FLAGS, Request, answer, common, ranking
from xrdlib.prediction.reported_cells import shown
from xrdlib.prediction.widgets import quartz
from xrdlib.symmetry import dag, groups, lookup

GRAPH = dag.subgroup_dag()
LABELS = st.lists(st.integers(1, 99), min_size=1, max_size=6, unique=True)
RNG = np.random.default_rng(7)


@pytest.fixture(scope="module")
def predictor():
    return bundled.predictor()


def pattern(two_theta, intensity, wavelength=1.540593):
    return SimpleNamespace(two_theta=two_theta, intensity=intensity, wavelength=wavelength)


def reached(label):
    return {label} | nx.descendants(GRAPH, label)


@given(labels=LABELS)
def test_common_groups_are_those_of_the_graph(labels):
    shared = common(labels)
    below = set.intersection(*(reached(label) for label in labels))
    above = {k for k in GRAPH if set(labels) <= reached(k)}
    assert set(shared["at_least"]) == {k for k in below if not below & nx.ancestors(GRAPH, k)}
    assert set(shared["at_most"]) == {k for k in above if not above & nx.descendants(GRAPH, k)}
    assert shared["at_least"]  # P-1 is below every group


def test_one_group_has_itself_in_common():
    assert common([4]) == {"at_least": [4], "at_most": [4]}


def test_the_ranking_falls_and_names_its_groups():
    p = RNG.dirichlet(np.ones(99))
    rows = ranking(p, 99)
    assert [row["group"] for row in rows] == (np.argsort(-p) + 1).tolist()
    table = groups.extinction_groups()
    for row in rows[:10]:
        assert row["symbol"] == table.symbol[row["group"]]
        assert tuple(row["space_groups"]) == table.space_groups[row["group"]]
        assert row["probability"] == pytest.approx(p[row["group"] - 1])


def test_an_answer_is_what_the_predictor_says_and_json_knows_it(predictor):
    sample = quartz()
    reply = answer(predictor, "quartz.xy", sample, Request(top_k=7, coverage=0.8))
    assert json.loads(json.dumps(reply)) == reply
    p = predictor.predict_proba(sample.two_theta, [sample.intensity], sample.wavelength)[0]
    assert [row["probability"] for row in reply["predictions"]] == sorted(p, reverse=True)[:7]
    assert reply["file"] == "quartz.xy" and reply["flags"] == []
    inside = predictor.prediction_sets(p[None], 0.8)[0]
    assert sorted(reply["set"]) == (np.flatnonzero(inside) + 1).tolist()
    assert (np.diff(p[np.array(reply["set"]) - 1]) <= 0).all()
    assert "quartz" in reply["nearest"]["name"].lower() or reply["nearest"]["similarity"] > 0.8
    named = np.isin(predictor.retrieval.name, reply["nearest"]["name"])
    assert reply["nearest"]["group"] in predictor.retrieval.group[named]
    assert reply["at_least"] == common(reply["set"])["at_least"]


ANGLES = np.arange(5, 90, 0.02)


def peaks(positions, angles=ANGLES, seed=0, width=0.1):
    shape = sum(np.exp(-4 * np.log(2) * ((angles - x) / width) ** 2) for x in positions)
    return np.random.default_rng(seed).poisson(20 + 500 * shape).astype(float)


MANY = np.linspace(12, 85, 30)


WIDE = peaks(np.arange(12, 85, 5.0), np.arange(5, 120, 0.02))


@pytest.mark.parametrize(
    ("two_theta", "intensity", "wavelength", "flags"),
    [
        (ANGLES, peaks(MANY), 1.540593, []),
        (ANGLES, peaks(MANY), None, ["wavelength_assumed"]),
        (ANGLES, peaks([44.7, 65.0, 82.3]), 1.540593, ["few_peaks"]),
        (ANGLES, RNG.poisson(100, len(ANGLES)), 1.540593, ["no_peaks"]),
        (ANGLES, 20 + 1e3 * np.exp(-(((ANGLES - 22) / 5) ** 2)), 1.540593, ["no_peaks"]),
        # The range is told only where it matters.
        (ANGLES[:2300], peaks(MANY, ANGLES[:2300]), 1.540593, []),
        (ANGLES[:1300], peaks(MANY, ANGLES[:1300]), 1.540593, ["short_range"]),
        (ANGLES[501:], peaks(MANY, ANGLES[501:]), 1.540593, []),
        (ANGLES, peaks(MANY, width=0.06), 0.7093, []),
        (np.arange(5, 120, 0.02), WIDE, 1.540593, []),
        (ANGLES + 60, peaks(MANY + 60, ANGLES + 60), 1.540593, ["short_range", "range_cut"]),
        (ANGLES[::4], peaks(MANY, ANGLES[::4], width=0.2), 1.540593, ["coarse"]),
        (ANGLES, peaks(MANY, width=0.4), 1.540593, ["broad"]),
        (ANGLES, peaks(MANY[::2]) + 600 * (ANGLES == ANGLES[2222]), 1.540593, ["spikes"]),
        (ANGLES, peaks(MANY[17:]), 1.2, ["wavelength_doubtful"]),
        (ANGLES[::2] / 4, peaks(MANY, ANGLES[::2], width=0.12), None,
         ["wavelength_doubtful", "wavelength_assumed"]),
    ],
)  # fmt: skip
def test_each_doubt_is_flagged_and_no_other(predictor, two_theta, intensity, wavelength, flags):
    reply = answer(predictor, "x", pattern(two_theta, intensity, wavelength))
    beside = ("unlike", "left_over", "uneven")  # combs are no crystals
    assert [flag for flag in reply["flags"] if flag not in beside] == flags
    assert set(reply["flags"]) <= set(FLAGS) and set(reply["details"]) <= set(reply["flags"])


def test_a_late_start_matters_where_the_lattice_has_reflections_before_it(predictor):
    sample = quartz()  # (100) at 20.9 degrees
    for first, flags in ((17, []), (24, ["short_range"])):
        kept = sample.two_theta > first
        reply = answer(predictor, "x", pattern(sample.two_theta[kept], sample.intensity[kept]))
        assert [flag for flag in reply["flags"] if flag == "short_range"] == flags, first


def added(sample, at, height=0.3):
    shape = sum(np.exp(-(((sample.two_theta - x) / 0.06) ** 2)) for x in at)
    return pattern(sample.two_theta, sample.intensity + height * sample.intensity.max() * shape)


def test_unindexed_peaks_hint_at_a_mixture(predictor):
    halite = added(quartz(), [27.37, 31.70, 45.45, 53.88, 56.48])
    reply = answer(predictor, "x", halite)
    assert "left_over" in reply["flags"] and "45.4" in reply["details"]["left_over"]
    assert "left_over" not in answer(predictor, "x", quartz())["flags"]


def test_a_stated_cell_that_indexes_little_is_doubted(predictor):
    # Reflections of a triclinic cell are so many that some lie near any peak.
    quartz_cell = (4.913, 4.913, 5.405, 90, 90, 120)
    for cell in ((8, 9, 10, 90, 90, 90), (5, 6, 7, 80, 85, 95), quartz_cell):
        reply = answer(predictor, "x", quartz(), Request(cell=cell))
        assert ("left_over" in reply["flags"]) == (cell != quartz_cell)


def test_a_prior_that_excludes_what_the_peaks_favour_is_flagged(predictor):
    for prior, warned in (("sg=14,15", True), ("system=trigonal", False), ("sg=152", False)):
        reply = answer(predictor, "x", quartz(), Request(prior=prior))
        assert ("prior_contradicted" in reply["flags"]) == warned
        assert not warned or "P31" in reply["details"]["prior_contradicted"]


def test_theta_in_place_of_two_theta_is_flagged(predictor):
    sample = quartz()
    halved = answer(predictor, "x", pattern(sample.two_theta / 2, sample.intensity))
    assert "uartz" in halved["details"]["theta"]
    assert "theta" not in answer(predictor, "x", pattern(ANGLES, peaks(MANY)))["flags"]


def test_beta_is_shown_obtuse():
    assert shown((5, 6, 7, 90, 80.5, 90)) == [5, 6, 7, 90, 99.5, 90]
    assert shown((5, 6, 7, 90, 99.5, 90)) == [5, 6, 7, 90, 99.5, 90]
    assert shown((5, 6, 7, 70, 80.5, 90)) == [5, 6, 7, 70, 80.5, 90]


@pytest.mark.parametrize("wavelength", [1.540593, 1.788996])
def test_k_beta_peaks_are_known_as_such_and_not_left_over(predictor, wavelength):
    sample = quartz()
    d = 1.540593 / 2 / np.sin(np.radians(sample.two_theta / 2))
    strong = np.array([3.343])
    beta = {1.540593: 1.39222, 1.788996: 1.62079}[wavelength]
    at_beta, d_beta = 2 * np.degrees(np.arcsin(beta / 2 / strong)), strong * wavelength / beta
    reached = d > wavelength / 2 + 0.01
    angle = 2 * np.degrees(np.arcsin(wavelength / 2 / d[reached]))
    positions = 2 * np.degrees(np.arcsin(1.540593 / 2 / d_beta))
    both = added(sample, positions, 0.08)
    reply = answer(predictor, "x", pattern(angle, both.intensity[reached], wavelength))
    assert "k_beta" in reply["flags"] and "left_over" not in reply["flags"]
    listed = [float(x) for x in re.findall(r"\d+\.\d+", reply["details"]["k_beta"])]
    assert np.abs(np.array(listed)[:, None] - at_beta).min(0).max() < 0.05


def test_a_wavelength_that_leaves_nothing_to_read_is_named(predictor):
    far = np.arange(2, 8, 0.002)  # at 0.4 angstrom, read as copper's
    with pytest.raises(XrdlibError, match="wavelength is 1.54.* --wavelength"):
        answer(predictor, "x", pattern(far, peaks([3, 4, 5], far), None))


@pytest.mark.parametrize(("probe", "warned"), [("neutron", 1), ("x-ray", 0), (None, 0)])
def test_neutrons_are_answered_with_a_warning(predictor, probe, warned):
    sample = pattern(ANGLES, peaks(MANY), 1.5418)
    sample.probe = probe
    reply = answer(predictor, "x", sample)
    assert reply["flags"].count("neutrons") == warned and reply["predictions"]
    # A doublet's mean stands for its stronger line; neutrons have one wavelength.
    assert reply["wavelength"] == (1.5418 if warned else 1.540593)


def test_what_no_structure_resembles_is_flagged_and_a_mineral_is_not(predictor):
    comb = answer(predictor, "comb", pattern(ANGLES, peaks(np.arange(10, 85, 1.7))))
    assert "unlike" in comb["flags"] and comb["nearest"]["similarity"] < 0.5
    assert "unlike" not in answer(predictor, "quartz", quartz())["flags"]


def test_without_peaks_the_answer_is_the_prior(predictor):
    noise = pattern(ANGLES, RNG.normal(100, 3, len(ANGLES)))
    reply = answer(predictor, "x", noise, Request(prior="uniform", top_k=99))
    assert np.allclose([row["probability"] for row in reply["predictions"]], 1 / 99)
    assert len(reply["set"]) == 90 and "no_peaks" in reply["flags"]
    stated = answer(predictor, "x", noise, Request(prior="P21/c=1", top_k=1))
    assert stated["predictions"][0]["group"] == lookup.label_of("P21/c")


def test_the_user_goes_before_the_file(predictor):
    sample = pattern(ANGLES, peaks(MANY), 1.540593)
    assert answer(predictor, "x", sample)["wavelength"] == 1.540593
    assert answer(predictor, "x", sample, Request(wavelength="CoKa1"))["wavelength"] == 1.788996


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(top_k=0), "1 to 99"),
        (Request(coverage=float("nan")), "between 0 and 1"),
        (Request(wavelength="XxKa"), "Unknown radiation"),
        (Request(cell=(5, 5, -5, 90, 90, 90)), "is impossible"),
    ],
)
def test_a_request_without_sense_is_refused(predictor, request_, message):
    with pytest.raises(XrdlibError, match=message):
        answer(predictor, "x", pattern(ANGLES, peaks(MANY)), request_)
