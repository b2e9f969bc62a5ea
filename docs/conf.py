"""The book, built by Sphinx: README, docs/, executed notebooks of a profile, and the API.

`make book` sets PROFILE. Sources are read where they lie, so that a link works on the repository's
page and in the book; a link to a file that is no page of the book downloads it.
"""

import os
import re
from pathlib import Path

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

import xrdlib
from xrdlib.base import config

ROOT = Path(__file__).parents[1]

PROFILE = os.environ.get("PROFILE") or config.load().profile

# The page of each notebook: executed where the profile has been run, else without output.
NOTEBOOKS = {
    path.stem: f"{folder}/{path.stem}"
    for folder in ("notebooks", f"runs/{PROFILE}")
    for path in sorted((ROOT / folder).glob("*.ipynb"))
}

DOCS = "predict results companion simulator indexing differences scale reliability mistakes"
MODELS = ["models/README", "results/released/README"]

API = "docs/api"  # pages made here, one a package

project, version, author = "xrdlib", xrdlib.__version__, "The xrdlib authors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
include_patterns = ["README.md", "docs/*.md", "models/README.md", "results/*/README.md"]
include_patterns += [f"{API}/*.rst", *(f"{page}.ipynb" for page in NOTEBOOKS.values())]
exclude_patterns = [".*", "data", "shared", "build/book*", "**/.ipynb_checkpoints"]
nb_execution_mode = "off"
nb_ipywidgets_js = {}  # would come from the network
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
# Widgets need a kernel; a name in backticks may mean an attribute of several classes.
suppress_warnings = ["mystnb.unknown_mime_type", "ref.python"]
html_theme = "furo"
html_title = "Extinction groups from powder diffraction"
html_copy_source = False
html_static_path, html_css_files = ["book.css"], ["book.css"]
html_math_renderer = "mathml"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings have them
napoleon_use_ivar = True


def _contents():
    """What stands in the book's margin, as a list of (caption, pages)."""
    return [
        ("Documents", [f"docs/{name}" for name in DOCS.split()] + MODELS),
        ("Notebooks", list(NOTEBOOKS.values())),
        ("Changing it", ["docs/developing", *(f"{API}/{name}" for name in _packages())]),
    ]


def _packages():
    found = sorted(path.parent.name for path in Path(xrdlib.__file__).parent.glob("*/__init__.py"))
    return [name for name in found if name != "models"]


def _write_api(app):
    """A page for each package: its docstring and those of its modules."""
    if f"{API}/*.rst" not in app.config.include_patterns:
        return
    folder = ROOT / API
    folder.mkdir(parents=True, exist_ok=True)
    for package in _packages():
        parts = [f"xrdlib.{package}\n{'=' * 40}\n\n.. automodule:: xrdlib.{package}\n"]
        root = Path(xrdlib.__file__).parent
        for file in sorted((root / package).rglob("*.py")):
            name = ".".join(["xrdlib", *file.relative_to(root).with_suffix("").parts])
            if not name.endswith("__init__"):
                parts.append(f"{name}\n{'-' * 60}\n\n.. automodule:: {name}\n   :members:\n")
        (folder / f"{package}.rst").write_text("\n".join(parts), encoding="utf-8")


def _complete(app, docname, source):
    """Links to notebooks lead to executed ones; the first page gets the table of contents."""
    source[0] = re.sub(r"\]\(((?:\.\./)?)notebooks/(\w+)\.ipynb", _link, source[0])
    if docname == root_doc:
        for caption, pages in _contents():
            listed = "\n".join(page for page in pages if page in app.env.found_docs)
            source[0] += f"\n```{{toctree}}\n:caption: {caption}\n:hidden:\n\n{listed}\n```\n"


def _link(found):
    return f"]({found[1]}{NOTEBOOKS.get(found[2], 'notebooks/' + found[2])}.ipynb"


def _escape(app, what, name, obj, options, lines):
    """Bars about a modulus, as in |F|, and a prefix such as own_ are not markup."""
    lines[:] = [re.sub(r"\||(?<=\w)_(?!\w)", r"\\\g<0>", line) for line in lines]


def _formula(block):
    def visit(self, node):
        self.body.append(tex2mathml(node.astext(), as_block=block))
        raise SkipNode

    return visit


def _first_page(app, problem):
    """The address of a folder leads to the first page."""
    text = f'<!DOCTYPE html><meta http-equiv="refresh" content="0; url={root_doc}.html">\n'
    (Path(app.outdir) / "index.html").write_text(text, encoding="utf-8")


def setup(app):
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (_formula(False), None), (_formula(True), None))
    app.connect("builder-inited", _write_api)
    app.connect("source-read", _complete)
    app.connect("autodoc-process-docstring", _escape)
    app.connect("build-finished", _first_page)
