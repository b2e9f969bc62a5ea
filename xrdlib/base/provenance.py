"""Which code a result comes from: what a notebook uses, and what makes a training run this one.

    xrdlib digests build/code notebooks/04_stage1.ipynb

writes a digest of all code behind a notebook, which its stage in dvc.yaml depends on. Imports are
followed statically, through every module and into functions. `xrdlib/__init__.py` only forwards
names, so what a name forwards to counts and the file itself does not: a new export must not retrain
a model. A released checkpoint keeps the digest that it was made with.
"""

import ast
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from importlib.util import resolve_name
from pathlib import Path
from typing import TYPE_CHECKING

from .. import _EXPORTS
from .. import __name__ as PACKAGE
from .errors import XrdlibError
from .paths import ROOT
from .tensorfile import canonical, fingerprint

if TYPE_CHECKING:
    import numpy as np
    import torch

FOLDER = ROOT / PACKAGE

# Modules, by the last part of their names, that handle runs but do not change their numbers.
_APART = ("checkpoint", "errors", "files", "paths", "provenance", "tensorfile")


def of_notebook(path: str | os.PathLike) -> list[str]:
    """Files of the package that a notebook uses, directly or through other modules.

    Sorted, relative to the project: modules, and the tables and templates that they name.

    Raises
    ------
    XrdlibError
        If the file is missing, is not a notebook, or its code does not parse.
    """
    return of_source(_code(path), path)


def of_source(source: str, name: str | os.PathLike = "<source>") -> list[str]:
    """As `of_notebook`, for Python source outside the package."""
    files = set(pending := _used(_parsed(source, name), ""))
    while pending:
        if (file := pending.pop()).suffix == ".py":
            more = _used_by(file) - files
            files |= more
            pending |= more
    return sorted(file.relative_to(ROOT).as_posix() for file in files)


def of_run(
    model: "torch.nn.Module",
    stream: object,
    settings: dict,
    class_probabilities: "np.ndarray | None" = None,
    config: dict | None = None,
) -> dict:
    """Identity of a training run: only a checkpoint with the same is resumed.

    Parameters
    ----------
    model : torch.nn.Module
        At its initial weights, with attributes `name` and `config`.
    stream : object
        With ``batch(step)``; a dict in ``stream.config`` counts too.
    settings, config : dict
        Of JSON values: those of the training, and whatever else the caller knows, such as hashes.
    class_probabilities : array_like, (99,), optional

    Raises
    ------
    XrdlibError
        If the stream's or the caller's part holds other than JSON values.
    """
    prior = [] if class_probabilities is None else class_probabilities
    identity = {
        "settings": settings,
        "model": [model.name, asdict(model.config)],
        "weights": fingerprint(model.state_dict()),
        "stream": getattr(stream, "config", {}),
        # Of the first batch the labels alone: patterns differ in rounding between devices.
        "labels": fingerprint({"labels": stream.batch(0)[1]}),
        "prior": [round(float(p), 9) for p in prior],
        "caller": config or {},
        "code": code_digest(training_files(type(stream).__module__)),
    }
    return json.loads(canonical(identity))


def training_files(stream: str = f"{PACKAGE}.simulation.stream") -> list[Path]:
    """Code and tables that training and a module with streams read."""
    files = [ROOT / name for name in of_source(f"import {PACKAGE}.learning.train, {stream}")]
    return [file for file in files if file.stem not in _APART]


def code_digest(files: Iterable[str | os.PathLike]) -> str:
    """SHA-256, hexadecimal, of files; of Python code without comments, docstrings and layout."""
    lines = [f"{_digest(Path(path))}  {Path(path).name}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def write(folder: str | os.PathLike, notebooks: Iterable[str | os.PathLike]) -> None:
    """Write into a folder for each notebook the digests of the files that it uses, one a line.

    A file there is named as its notebook, or as a module of the package (.py), without suffix;
    errors are those of `of_notebook`.
    """
    digest = cache(_digest)
    for path in map(Path, notebooks):
        files = _of_module(path) if path.suffix == ".py" else of_notebook(path)
        lines = [f"{digest(ROOT / name)}  {name}\n" for name in files]
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / path.stem).write_text("".join(lines), encoding="utf-8")


def _of_module(path):
    if not (ROOT / path).is_file():
        raise XrdlibError(f"{path} does not exist; give a module's path from the project's root.")
    return of_source(f"import {'.'.join(path.with_suffix('').parts)}")


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


def _parsed(source, name):
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise XrdlibError(f"{name} is not valid Python, line {error.lineno}.") from None


@cache
def _used_by(file):
    """Files that a module of the package mentions."""
    package = ".".join(file.relative_to(ROOT).parent.parts)
    return frozenset(_used(_parsed(file.read_text(encoding="utf-8"), file), package))


def _used(tree, package):
    """Files of the package that parsed source mentions; `package` is that of the source, or ""."""
    nodes = list(ast.walk(tree))
    imported = [alias for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    package_names = {a.asname for a in imported if a.name == PACKAGE} | {PACKAGE}
    dotted, files = {alias.name for alias in imported}, set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            target = "." * node.level + (node.module or "")
            origin = resolve_name(target, package) if node.level else target
            dotted |= {f"{origin}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in package_names:
                dotted.add(f"{PACKAGE}.{node.attr}")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            files |= _data().get(node.value, set())
    for parts in (name.split(".")[1:] for name in dotted if name.startswith(f"{PACKAGE}.")):
        parts = [*_EXPORTS.get(parts[0], parts[0]).split("."), *parts[1:]]
        # A name in a module counts as that module, and a module with the packages around it.
        candidates = [FOLDER.joinpath(*parts[:end]) for end in range(1, len(parts) + 1)]
        files |= {f for p in candidates for f in (p.with_suffix(".py"), p / "__init__.py")}
    return {file for file in files if file.is_file()}


@cache
def _data():
    """Name -> tables and templates of that name in the package, wherever they lie."""
    files_of_name = {}
    for file in FOLDER.rglob("*.*"):
        if file.suffix not in (".py", ".pyc"):
            files_of_name.setdefault(file.name, set()).add(file)
    return files_of_name


def _digest(path):
    content = path.read_bytes()
    if path.suffix == ".py":
        for node in ast.walk(tree := ast.parse(content)):
            if isinstance(body := getattr(node, "body", None), list):
                body[:] = [statement for statement in body if not _is_text(statement)]
        # Source again and not a dump of the tree, whose form changes with Python's version.
        content = ast.unparse(tree).encode()
    return hashlib.sha256(content).hexdigest()


def _is_text(statement):
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
