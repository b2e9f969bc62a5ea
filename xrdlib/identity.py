"""What makes a training run this run and no other, so that only its own checkpoint is resumed."""

import ast
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from . import deps
from .paths import ROOT
from .tensorfile import canonical, fingerprint

# Modules that handle runs without a say in their numbers.
_APART = ("atomic", "checkpoint", "deps", "errors", "identity", "lock", "paths", "tensorfile")


def of_run(model, stream, settings, class_probabilities=None, config=None):
    """Identity of a training run.

    Parameters
    ----------
    model : torch.nn.Module
        At its initial weights, with attributes `name` and `config`.
    stream : object
        With ``batch(step)``; a dict in ``stream.config`` counts too.
    settings : dict
        Of JSON values.
    class_probabilities : array_like, (99,), optional
    config : dict, optional
        Of JSON values: whatever else the caller knows, such as hashes of data.

    Returns
    -------
    dict
        As it comes back from JSON.

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


def training_files(stream="xrdlib.stream"):
    """Code and tables that training and a module with streams read, a list of Path."""
    source = f"import xrdlib.train, {stream}"
    files = [ROOT / name for name in deps.of_source(source)]
    return [file for file in files if file.stem not in _APART]


def code_digest(files):
    """SHA-256 of files; of Python code without comments, docstrings and layout.

    Parameters
    ----------
    files : iterable of path-like

    Returns
    -------
    str
        Hexadecimal.
    """
    digest = hashlib.sha256()
    for path in map(Path, files):
        content = path.read_bytes()
        if path.suffix == ".py":
            content = ast.dump(_without_texts(ast.parse(content))).encode()
        digest.update(path.name.encode() + hashlib.sha256(content).digest())
    return digest.hexdigest()


def _without_texts(tree):
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [statement for statement in body if not _is_text(statement)]
    return tree


def _is_text(statement):
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
