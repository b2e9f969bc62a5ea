"""The report and the page of the notebook, as a browser shows them and without a network."""

import os
import socket
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import bundled
import pytest
from browser import find, opened

from xrdlib import cli
from xrdlib.base.paths import ROOT
from xrdlib.prediction import widgets

pytestmark = pytest.mark.skipif(find() is None, reason="no Chromium is installed")
EXTERNAL = """[...document.querySelectorAll("[src], [href], object[data]")]
  .map((e) => e.src || e.href || e.data).filter((u) => /^(https?|ftp|ws)/.test(String(u)))"""
PICTURES = "[...document.images].map((image) => image.complete && image.naturalWidth > 0)"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def page(tmp_path):
    folder = tmp_path / "browser"
    folder.mkdir()
    with opened(folder) as page:
        yield page


def local(address):
    """Whether nothing has to leave the machine for an address."""
    parts = urlsplit(address)
    return parts.scheme in ("file", "data", "about", "blob") or parts.hostname == "127.0.0.1"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    pattern = widgets.quartz()
    rows = zip(pattern.two_theta, pattern.intensity, strict=True)
    # The name of a file is the user's and may look like a script.
    file = folder / "<img src=x onerror=alert(1)>.xy"
    file.write_text("\n".join(f"{x:.2f} {y:g}" for x, y in rows))
    arguments = ["predict", str(file), str(folder / "none"), "--html", str(folder / "report.html")]
    predictor = bundled.predictor()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xrdlib.prediction.predictor.load_predictor", lambda weights: predictor)
        assert cli.main([*arguments, "--cell", "4.916,4.916,5.4054,90,90,120"]) == 2
    return folder / "report.html"


def test_the_report_shows_everything_and_asks_for_nothing(page, report):
    page.open(report.as_uri())
    assert all(local(url) for url in page.requests), page.requests
    assert [urlsplit(url).scheme for url in page.requests if not url.startswith("data:")] == [
        "file"
    ]
    assert page.evaluate(EXTERNAL) == []
    assert page.evaluate("document.scripts.length") == 0 and not page.errors
    pictures = page.evaluate(PICTURES)
    assert len(pictures) == 3 and all(pictures)
    text = page.evaluate("document.body.innerText")
    assert "<img src=x onerror=alert(1)>.xy" in text and "none: does not exist" in text
    assert page.evaluate("document.querySelectorAll('table').length") >= 4


@pytest.mark.parametrize("width", [400, 1100])
def test_the_report_fits_a_narrow_and_a_wide_window(page, report, width):
    page.open(report.as_uri(), width=width)
    assert page.evaluate(OVERFLOW) <= 0


@pytest.fixture(params=["make page", "voila"])
def served(request, tmp_path):
    """Address of the notebook as `make page`, and as `voila` alone, serves it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
    env |= {"JUPYTER_CONFIG_DIR": str(tmp_path), "IPYTHONDIR": str(tmp_path / "ipython")}
    command = [sys.executable, "-m", "voila", "--no-browser", f"--port={port}"]
    command += ["notebooks/predict_your_pattern.ipynb"]
    if request.param == "make page":
        env["JUPYTER_PATH"] = "notebooks/jupyter"
        command += ["--template=offline"]
    with open(tmp_path / "voila.log", "w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(20)


def reachable(address, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urlopen(address + "voila/static/", timeout=5):
                return
        except URLError as problem:
            if hasattr(problem, "code"):  # it answers, if only that there is no such file
                return
            time.sleep(0.2)
    pytest.fail(f"nothing answers at {address}")


def test_the_voila_page_answers_and_asks_for_nothing_elsewhere(page, served, request):
    reachable(served)
    page.open(served)
    page.wait("document.querySelectorAll('.xrdlib table').length >= 3", 120)
    assert "quartz" in page.evaluate("document.querySelector('.xrdlib').innerText")
    assert "import" not in page.evaluate("document.body.innerText")
    pictures = page.evaluate(PICTURES)
    assert len(pictures) >= 3 and all(pictures)
    # The plot to zoom into is drawn, and the picture for exported notebooks is not shown.
    canvas = "document.querySelector('.xrdlib-plot')?.contentDocument?.querySelector('canvas')"
    page.wait(f"{canvas}?.width > 300")
    static = "getComputedStyle(document.querySelector('.xrdlib-static')).display"
    assert page.evaluate(static) == "none"
    # Another prior, chosen as a person does: the kernel answers and the page changes.
    page.evaluate(
        """(() => {
          const list = [...document.querySelectorAll("select")].find((s) =>
            [...s.options].some((o) => o.text === "uniform"));
          list.value = "uniform";
          list.dispatchEvent(new Event("change", {bubbles: true}));
        })()"""
    )
    page.wait("document.querySelector('.xrdlib').innerText.includes('prior: uniform')")
    assert any(url.startswith("ws:") for url in page.requests)
    assert all(local(url) for url in page.requests), page.requests
    if "make page" in request.node.name:
        assert all(local(url) for url in page.evaluate(EXTERNAL))
