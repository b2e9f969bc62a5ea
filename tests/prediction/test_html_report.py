"""The report: complete, escaped, and in need of nothing but itself."""

import base64
import re
from html.parser import HTMLParser
from types import SimpleNamespace
from xml.etree import ElementTree

import bundled
import numpy as np
import pytest

from xrdlib.base.errors import XrdlibError
from xrdlib.prediction import html_report
from xrdlib.prediction.answer import FLAGS, Request, answer, examine, reweighed
from xrdlib.prediction.plots import thinned
from xrdlib.prediction.text import percent, twins
from xrdlib.prediction.widgets import quartz
from xrdlib.symmetry import groups

NASTY = '<script>alert("1")</script>&\'"{{ 7 * 7 }}'
CELL = (4.916, 4.916, 5.4054, 90, 90, 120)
VOID = {"meta", "link", "img"}


class Reader(HTMLParser):
    """Elements with their attributes, text by element, and whether all were closed in order."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.text, self.open = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)


@pytest.fixture(scope="module")
def made():
    """Predictor, a request that asks for everything, and two patterns with their answers."""
    predictor, request = bundled.predictor(), Request(prior="system=trigonal", cell=CELL)
    rng = np.random.default_rng(0)
    angles = np.arange(20, 55, 0.02)
    noise = SimpleNamespace(
        two_theta=angles, intensity=rng.normal(50, 2, len(angles)), wavelength=None
    )
    patterns = [quartz(), noise]
    names = [NASTY, "noise.xy"]
    answered = [
        (*examine(predictor, name, pattern, request), pattern)
        for name, pattern in zip(names, patterns, strict=True)
    ]
    return predictor, request, answered


@pytest.fixture(scope="module")
def page(made, tmp_path_factory):
    predictor, request, answered = made
    path = tmp_path_factory.mktemp("report") / "report.html"
    sections = [(one[0], html_report.section(predictor, *one, request)) for one in answered]
    html_report.write(path, sections, [f"{NASTY}: is empty."])
    return path.read_text(encoding="utf-8")


def test_nothing_is_loaded_from_elsewhere(page):
    for tag, attributes in Reader(page).elements:
        assert tag not in ("script", "iframe", "object", "embed")
        assert tag != "link" or attributes["rel"] == "icon"
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("data:", "#"))
    assert not re.search(r"https?://|url\(|@import", page)


def test_names_and_problems_are_shown_as_they_are_and_do_nothing(page):
    text = "".join(Reader(page).text)
    assert text.count(NASTY) == 3  # in the list, as a heading, and among the problems
    assert "49" not in re.findall(r"\{\{.*?\}\}|\b49\b", text)


def test_each_file_has_its_ranking_set_and_warnings(page, made):
    text = " ".join(" ".join(Reader(page).text).split())
    for reply, *_ in made[2]:
        for row in reply["predictions"]:
            assert percent(row["probability"]) in text and row["symbol"] in text
        count = f"{len(reply['set'])} groups" if len(reply["set"]) > 1 else "one group"
        assert f"90 % set, {count}:" in text
        assert all(FLAGS[flag] in text for flag in reply["flags"])
    assert {"no_peaks", "short_range", "wavelength_assumed"} <= set(made[2][1][0]["flags"])


def test_the_effect_of_the_prior_stands_beside_the_uniform_one(page, made):
    predictor, request, answered = made
    text = " ".join(" ".join(Reader(page).text).split())
    assert "group symbol system=trigonal minerals uniform" in text
    sample, known = answered[0][2], {"cell": request.cell}
    for prior in ("minerals", "uniform"):
        p = predictor.predict_proba(sample.two_theta, [sample.intensity], prior=prior, **known)[0]
        assert percent(p.max()) in text


def test_pictures_are_well_formed_and_small(page):
    pictures = [a["src"] for tag, a in Reader(page).elements if tag == "img"]
    # Each file has its pattern and the reflections of the cell; of noise the network reads nothing.
    assert len(pictures) == 5
    for picture in pictures:
        kind, content = picture.split(",", 1)
        assert kind == "data:image/svg+xml;base64"
        root = ElementTree.fromstring(base64.b64decode(content))
        assert root.tag.endswith("svg")
    assert len(page) < 800_000


def test_the_same_answers_make_the_same_page(made, tmp_path, page):
    predictor, request, answered = made
    path = tmp_path / "again.html"
    sections = [(one[0], html_report.section(predictor, *one, request)) for one in answered]
    html_report.write(path, sections, [f"{NASTY}: is empty."])
    assert path.read_text(encoding="utf-8") == page


def test_a_cell_of_another_system_leaves_candidates_out(made):
    predictor, _, answered = made
    request = Request(prior="system=cubic", cell=CELL, top_k=3)
    pattern = answered[0][2]
    section = html_report.section(
        predictor, *examine(predictor, "x", pattern, request), pattern, request
    )
    assert "Not of the crystal system of this cell" in section and section.count("<img") == 2


def words(section):
    """Text of a fragment without its markup and line ends."""
    return " ".join("".join(Reader(section).text).split())


def asked(predictor, pattern, **wish):
    """Text about a pattern; its figures are drawn, but not written."""
    request = Request(**wish)
    examined = examine(predictor, "x", pattern, request)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html_report, "picture", lambda figure: html_report.plt.close(figure))
        return words(html_report.section(predictor, *examined, pattern, request))


def test_the_promise_of_the_set_is_that_of_its_prior(made, monkeypatch):
    predictor, _, answered = made
    sample, noise = answered[0][2], answered[1][2]
    promise = "hold the true group of 80 % of mineral families not met before, under the default"
    if not predictor.metadata.get("conformal"):
        pytest.skip("the bundled predictor has no conformal sets")
    assert promise in asked(predictor, sample, coverage=0.8)
    other = asked(predictor, sample, coverage=0.8, prior="uniform")
    assert promise not in other and "is not promised under this prior" in other
    empty = asked(predictor, noise, coverage=0.8)
    assert "conformal" not in empty and "80 % of the prior" in empty
    bare = {k: v for k, v in predictor.metadata.items() if k != "conformal"}
    monkeypatch.setattr(predictor, "metadata", bare)
    plain = asked(predictor, sample, coverage=0.8)
    assert "conformal" not in plain and "80 % of the probability" in plain


def test_the_nearest_structure_is_named_with_its_group_and_what_it_leaves(made):
    predictor, _, answered = made
    if predictor.retrieval is None:
        pytest.skip("the bundled predictor has no library")
    reply, _, sample = answered[0]
    near, text = reply["nearest"], asked(predictor, sample)
    symbol = groups.symbols()[near["group"] - 1]
    assert f"{near['name']} ({near['source']}), P31, " in text
    assert f"(eg{near['group']} {symbol}, trigonal)" in text
    assert "clear peaks lies at one of them" in text
    # Halite beside it: peaks that quartz does not have.
    strange = SimpleNamespace(**vars(sample))
    for at in (31.70, 45.45, 56.48):
        shape = np.exp(-(((sample.two_theta - at) / 0.06) ** 2))
        strange.intensity = strange.intensity + 2000 * shape
    assert "3 of " in asked(predictor, strange)
    assert "clear peaks lie at none of them" in asked(predictor, strange)


def test_what_the_network_reads_is_shown_as_one_part_of_the_answer(made):
    predictor, request, answered = made
    text = words(html_report.section(predictor, *answered[0], request))
    first = answered[0][0]["predictions"][0]
    assert f"favour {first['symbol']} (eg{first['group']}) for the network" in text
    assert "The network is one part of the answer only" in text
    assert "What the network reads" not in asked(predictor, answered[1][2])
    # With one group there is none to hold it against.
    assert "What the network reads" not in asked(predictor, answered[0][2], top_k=1)


def test_groups_that_diffraction_cannot_tell_apart_are_not_held_against_each_other(made):
    predictor, _, answered = made
    twins = asked(predictor, answered[0][2], prior="P3121=1,P6222=1", top_k=3)
    assert "(eg72 P 31 - -, trigonal) from P62, P64, P6222, ... (eg78 P 62 - -" in twins
    ranked = answer(predictor, "x", answered[0][2], Request(prior="P3121=1,P6222=1", top_k=3))
    assert {row["group"] for row in ranked["predictions"][:2]} == {72, 78}
    third = ranked["predictions"][2]
    assert f"and which {third['symbol']} (eg{third['group']})" in twins


def test_each_pair_is_named_once_and_other_groups_are_not():
    assert twins(range(1, 72)) == [] and twins([]) == []
    (both,) = twins([83, 82])
    assert "P213 (eg82 P 21 - -, cubic) from P4232 (eg83 P 42 - -, cubic)" in both
    assert len(twins(range(1, 100))) == 2


def test_a_place_that_cannot_be_written_is_refused(made, tmp_path):
    with pytest.raises(XrdlibError, match="cannot be written"):
        html_report.write(tmp_path, [])


def test_many_files_get_a_page_each_and_a_table_that_leads_to_them(made, tmp_path):
    predictor, request, answered = made
    one = answered[1][0], html_report.section(predictor, *answered[1], request)
    html_report.write(tmp_path / "all.html", [one] * 11, ["x: is empty."])
    text = (tmp_path / "all.html").read_text(encoding="utf-8")
    assert "<img" not in text and "x: is empty." in text and len(text) < 20_000
    pages = [a["href"] for tag, a in Reader(text).elements if tag == "a"]
    assert pages == [f"all_files/{k:04}.html" for k in range(1, 12)]
    assert all((tmp_path / page).read_text(encoding="utf-8").count("<img") for page in pages)


def test_another_prior_gives_what_the_predictor_gives_under_it(made):
    predictor, request, answered = made
    _, probability, sample = answered[0]
    for prior in ("minerals", "uniform", "P21/c=1"):
        again = predictor.predict_proba(
            sample.two_theta, [sample.intensity], sample.wavelength, prior, request.cell
        )
        weighed = reweighed(predictor, probability, request.prior, prior)
        assert np.allclose(weighed, again[0], rtol=1e-6, atol=1e-12)


def test_a_thinned_pattern_keeps_every_extreme_that_shows():
    rng = np.random.default_rng(0)
    x, y = np.linspace(5, 90, 20_000), rng.random(20_000)
    y[[0, 777, 12_345, 19_999]] = 50, 90, 70, 60
    thin_x, thin_y = thinned(x[::-1], y[::-1], columns=400)
    assert len(thin_x) < 1000 and (np.diff(thin_x) > 0).all()
    assert {50, 60, 70, 90} <= set(thin_y) and thin_x[[0, -1]].tolist() == [5, 90]
    assert set(zip(thin_x, thin_y, strict=True)) <= set(zip(x, y, strict=True))
    short = thinned(x[:500], y[:500], columns=400)
    assert np.array_equal(short, (x[:500], y[:500]))
