"""Where things live. The only module that knows a folder."""

import json
import os
from importlib.resources import files
from pathlib import Path

import platformdirs

from .errors import XrdlibError

_ABOVE = Path(__file__).resolve().parents[2]
# An installed package carries its models; the project is then whatever folder one works in, and
# what is fetched goes to the user's data.
CHECKOUT = (_ABOVE / "dvc.yaml").is_file()
ROOT = _ABOVE if CHECKOUT else Path.cwd()
TABLES = Path(files(__package__) / "tables")
MODELS = ROOT / "models" if CHECKOUT else Path(files("xrdlib") / "models")
_DATA = "data" if CHECKOUT else platformdirs.user_data_path("xrdlib")


def data_dir() -> Path:
    """Folder for downloaded and measured data: `XRDLIB_DATA`, else `data/` in the project.

    Without a checkout of the project it is a folder among the user's data.

    A relative `XRDLIB_DATA` starts at the project, so that it means the same folder to the pipeline
    and to a notebook opened in its own folder.
    """
    return ROOT / Path(os.environ.get("XRDLIB_DATA") or _DATA).expanduser()


def cache_dir() -> Path:
    """Writable folder for files fetched on demand; `data/` even if `XRDLIB_DATA` is read-only."""
    folder = data_dir()
    # Mode bits beside access: to root everything looks writable.
    writable = folder.is_dir() and folder.stat().st_mode & 0o222 and os.access(folder, os.W_OK)
    return folder if writable else ROOT / _DATA


def runs(profile: str) -> Path:
    """Large outputs of one profile's pipeline (ignored by git)."""
    return _made(ROOT / "runs" / profile)


def results(profile: str) -> Path:
    """Compact metrics and predictions of one profile."""
    return _made(ROOT / "results" / profile)


def figures(profile: str) -> Path:
    """Figures of one profile."""
    return _made(ROOT / "figures" / profile)


def checkpoints(profile: str) -> Path:
    """Resume files of running trainings; never a DVC output, so a rerun cannot delete them."""
    return _made(ROOT / "checkpoints" / profile)


def _made(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def table(name: str) -> dict | list:
    """Content of a derived table of the package, such as "symmetry.json".

    Raises
    ------
    XrdlibError
        If the table is missing.
    """
    path = TABLES / name
    if not path.is_file():
        raise XrdlibError(f"{path} does not exist; run `xrdlib derive {path.stem}`.")
    return json.loads(path.read_text(encoding="utf-8"))
