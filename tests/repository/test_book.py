"""The book of the documents: built without a warning, opened in a browser without a network."""

import re
import subprocess
import sys

import browser
import pytest

from xrdlib.base.paths import ROOT

DOCUMENTS = "README.md,docs/*.md,models/README.md,results/*/README.md"


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """Folder of a book of the documents alone."""
    for name in ("sphinx", "myst_nb", "furo"):
        pytest.importorskip(name, reason="`make book` installs what builds it")
    folder = tmp_path_factory.mktemp("book")
    command = [sys.executable, "-m", "sphinx", "-q", "-c", "docs", "-d", folder / "cache"]
    command += ["-D", f"include_patterns={DOCUMENTS}", "-D", "exclude_patterns=.*,build,runs", "."]
    done = subprocess.run([*command, folder / "html"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # Notebooks are left out here, and links to them lead nowhere.
    to_notebook = re.compile(r"Unknown source document '(notebooks|runs)/")
    warned = [line for line in done.stderr.splitlines() if not to_notebook.search(line)]
    assert not warned, "\n".join(warned)
    return folder / "html"


def test_every_document_is_a_page(book):
    names = [file.relative_to(ROOT).with_suffix(".html") for file in ROOT.glob("docs/*.md")]
    assert len(names) > 8 and all((book / name).is_file() for name in names)


@pytest.mark.skipif(browser.find() is None, reason="no Chromium is installed")
def test_it_opens_in_a_browser_and_asks_for_nothing_elsewhere(book, tmp_path):
    with browser.opened(tmp_path) as page:
        page.open((book / "index.html").as_uri())
        page.wait("document.title.includes('Extinction groups')")
        page.wait("document.querySelectorAll('.sidebar-tree a').length > 8")
        page.wait("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        page.open((book / "docs/companion.html").as_uri())
        page.wait("document.images.length >= 12")
        page.wait("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert page.errors == []
        assert {url.partition(":")[0] for url in page.requests} <= {"file", "data"}
