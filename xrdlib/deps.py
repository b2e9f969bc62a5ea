"""Which modules and tables of xrdlib a notebook uses: what its stage in dvc.yaml must list.

    xrdlib deps notebooks/03_stage1.ipynb

Imports are followed statically, through every module and into functions. `xrdlib/__init__.py` only
forwards names, so what a name forwards to counts and the file itself does not: a new export must
not retrain a model.
"""

import ast
import json
from importlib.util import resolve_name
from pathlib import Path

from . import _EXPORTS
from . import __name__ as PACKAGE
from .errors import XrdlibError
from .paths import ROOT, TABLES

FOLDER = TABLES.parent


def of_notebook(path):
    """Files of the package that a notebook uses, directly or through other modules.

    Parameters
    ----------
    path : path-like
        An .ipynb file.

    Returns
    -------
    list of str
        Sorted, relative to the project: ``xrdlib/NAME.py`` and ``xrdlib/tables/NAME.json``.

    Raises
    ------
    XrdlibError
        If the file is missing, is not a notebook, or its code does not parse.
    """
    return of_source(_code(path), path)


def of_source(source, name="<source>"):
    """As `of_notebook`, for Python source outside the package.

    Raises
    ------
    XrdlibError
        If the source does not parse.
    """
    modules, tables = _used(source, "", name)
    pending = sorted(modules)
    while pending:
        file = _file(module := pending.pop())
        package = f"{PACKAGE}.{module}".rpartition(".")[0]
        more, named = _used(file.read_text(encoding="utf-8"), package, file)
        tables |= named
        pending += sorted(more - modules)
        modules |= more
    files = [_file(m) for m in modules] + [TABLES / t for t in tables]
    return sorted(file.relative_to(ROOT).as_posix() for file in files)


def _code(path):
    """All code cells of a notebook, joined; magics and shell lines are blanked."""
    try:
        cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    except FileNotFoundError:
        raise XrdlibError(f"{path} does not exist; give the path of a notebook.") from None
    except (KeyError, TypeError, ValueError):
        raise XrdlibError(f"{path} is not a Jupyter notebook.") from None
    lines = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code").split("\n")
    return "\n".join("" if line.startswith(("%", "!")) else line for line in lines)


def _used(source, package, name):
    """Module names and table file names that one piece of source mentions."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise XrdlibError(f"{name} is not valid Python, line {error.lineno}.") from None
    nodes = list(ast.walk(tree))
    imported = [alias for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    package_names = {a.asname for a in imported if a.name == PACKAGE} | {PACKAGE}
    dotted, tables = {alias.name for alias in imported}, set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            target = "." * node.level + (node.module or "")
            origin = resolve_name(target, package) if node.level else target
            dotted |= {f"{origin}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in package_names:
                dotted.add(f"{PACKAGE}.{node.attr}")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value.endswith(".json") and (TABLES / node.value).is_file():
                tables.add(node.value)
    names = (d.split(".")[1:] for d in dotted if d.startswith(f"{PACKAGE}."))
    # A name in a module counts as that module: xrdlib.package.module.name.
    modules = {".".join(parts[:end]) for parts in names for end in range(1, len(parts) + 1)}
    modules = {_EXPORTS.get(m, m) for m in modules}
    return {m for m in modules if _file(m).is_file()}, tables


def _file(module):
    """Where a module lies, whose name is given without that of the package."""
    return FOLDER / f"{module.replace('.', '/')}.py"
