"""The page of the notebook, its controls turned as a browser would turn them."""

import html
import json
import re
import subprocess
import sys
from datetime import UTC, datetime

import bundled
import numpy as np
import pytest

from xrdlib.base import paths
from xrdlib.base.errors import XrdlibError
from xrdlib.prediction import widgets
from xrdlib.prediction.predictor import DEFAULT
from xrdlib.symmetry import groups


@pytest.fixture
def page(monkeypatch):
    predictor = bundled.predictor()
    monkeypatch.setattr(widgets, "load_predictor", lambda weights: predictor)
    return widgets.Page()


def upload(page, *files):
    page.upload.value = tuple(
        {"name": name, "type": "", "size": len(content), "content": memoryview(content),
         "last_modified": datetime.now(UTC)}
        for name, content in files
    )  # fmt: skip


def table(sample):
    rows = zip(sample.two_theta, sample.intensity, strict=True)
    return "\n".join(f"{x:.2f} {y:g}" for x, y in rows).encode()


def test_it_begins_with_quartz_and_its_evidence(page):
    assert page.answer["file"] == "quartz (simulated)" and page.answer["flags"] == []
    shown = page.shown.value
    assert "Most probable extinction groups" in shown and "What the prior does" in shown
    assert "Reflections of the cell 4.916" in shown and shown.count("<img") == 3
    assert "What the network reads" in shown and "(eg72 P 31 - -, trigonal) from " in shown


def test_controls_change_the_answer(page):
    before = page.answer
    page.prior.value = "system=cubic"
    assert all(row["crystal_system"] == "cubic" for row in page.answer["predictions"])
    page.stated.value = "sg=152"  # what is written goes before what is chosen
    assert page.answer["predictions"][0]["group"] == groups.group_of_space_group()[152]
    page.stated.value, page.prior.value = "", "minerals"
    assert page.answer == before
    for typed, angstrom in (("MoKa1", 0.7093), ("0.4132", 0.4132), ("1,65", 1.65), ("", 1.540593)):
        page.wavelength.value = typed
        assert page.answer["wavelength"] == pytest.approx(angstrom, abs=1e-4)
    page.wavelength.value = "XxKa"
    assert page.answer is None and "Unknown radiation" in page.shown.value


def test_an_upload_is_answered_under_its_own_name(page):
    upload(page, ("mine.xy", table(widgets.quartz(seed=4))))
    assert page.answer["file"] == "mine.xy" and page.cell.value == page.elements.value == ""
    assert page.answer["flags"] == ["wavelength_assumed"]
    assert page.shown.value.count("<img") == 2


def test_several_files_are_answered_as_they_are_chosen_and_their_axis_is_asked_for(page):
    sample = widgets.quartz()
    q = 4 * np.pi * np.sin(np.radians(sample.two_theta / 2)) / 1.540593
    rows = zip(q, sample.intensity, strict=True)
    in_q = "\n".join(f"{x:.6f} {y:g}" for x, y in rows).encode()
    upload(page, ("one.xy", table(sample)), ("two.txt", in_q))
    assert page.shown_file.options == ("one.xy", "two.txt") and page.answer["file"] == "one.xy"
    first = page.answer["predictions"][0]["group"]
    page.shown_file.value = "two.txt"
    page.axis.value, page.wavelength.value = "q", "CuKa1"
    assert page.answer["file"] == "two.txt"
    assert page.answer["predictions"][0]["group"] == first


def test_the_plot_needs_nothing_from_elsewhere_and_exports_show_a_picture(page):
    assert "srcdoc" in page.plot.value and "square-root" in page.plot.value
    assert not re.search("<script[^>]*src=|https?:", html.unescape(page.plot.value))
    assert len(page.plot.value) + len(page.shown.value) < 1_000_000  # servers drop more a second
    assert "<img" in page._static and "xrdlib-static" in page._static
    upload(page, ("bad.xy", b"no numbers"))
    assert page.plot.value == ""


@pytest.mark.parametrize("name", ["empty.xy", "../../<b>.xy", "x" * 300 + ".xy", "no_suffix"])
def test_a_bad_upload_is_refused_and_a_good_one_answered_after_it(page, name):
    upload(page, (name, b"no numbers here"))
    assert page.answer is None and 'class="flag"' in page.shown.value
    assert "<b>" not in page.shown.value and "<img" not in page.shown.value
    assert "/tmp" not in page.shown.value
    page.prior.value = "uniform"
    assert page.answer is None  # there is nothing to answer about
    upload(page, ("good.xy", table(widgets.quartz())))
    assert page.answer["file"] == "good.xy"


@pytest.mark.parametrize(
    ("control", "text"),
    [
        ("cell", "five"),
        ("cell", "1, 2, 3"),
        ("stated", "<i>rocks</i>"),
        ("stated", "sg=999"),
        ("elements", "Six"),
    ],
)
def test_a_mistyped_wish_is_refused_and_can_be_corrected(page, control, text):
    before, shown = page.answer, page.shown.value
    kept = getattr(page, control).value
    getattr(page, control).value = text
    assert 'class="flag"' in page.shown.value and "<i>" not in page.shown.value
    getattr(page, control).value = kept
    assert page.answer == before and page.shown.value == shown


def test_it_begins_with_the_file_that_is_named(monkeypatch, tmp_path):
    predictor = bundled.predictor()
    monkeypatch.setattr(widgets, "load_predictor", lambda weights: predictor)
    (tmp_path / "first.xy").write_bytes(table(widgets.quartz()))
    assert widgets.Page(tmp_path / "first.xy").answer["file"] == "first.xy"
    with pytest.raises(XrdlibError, match="does not exist"):
        widgets.Page(tmp_path / "none.xy")


def test_quartz_is_quartz():
    sample = widgets.quartz()
    strongest = sample.two_theta[np.argsort(-sample.intensity)[:5]]
    # d(101) = 3.343 angstrom, the strongest line of powder diffraction file 46-1045.
    assert np.allclose(strongest, 26.64, atol=0.05)
    assert np.array_equal(sample.intensity, widgets.quartz().intensity)


@pytest.mark.skipif(not DEFAULT.is_file(), reason="no released predictor is here")
def test_the_notebook_runs_without_a_browser(tmp_path):
    out = tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", "--kernel", "python3", "--no-progress-bar"]
    command += [str(paths.ROOT / "notebooks/predict_your_pattern.ipynb"), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=paths.ROOT)
    assert done.returncode == 0, done.stderr
    state = json.loads(out.read_text())["metadata"]["widgets"]
    (state,) = (v["state"] for k, v in state.items() if "widget-state" in k)
    shown = [str(model["state"].get("value")) for model in state.values()]
    assert any("Most probable extinction groups" in value for value in shown)
