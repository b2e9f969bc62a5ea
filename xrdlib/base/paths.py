"""Where things live. The only module that knows a folder."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

TABLES = Path(__file__).resolve().parent / "tables"

MODELS = ROOT / "models"


def data_dir():
    """Folder for downloaded and measured data: `XRDLIB_DATA`, else `data/` in the project.

    A relative `XRDLIB_DATA` starts at the project, so that it means the same folder to the pipeline
    and to a notebook opened in its own folder.
    """
    return ROOT / Path(os.environ.get("XRDLIB_DATA") or "data").expanduser()


def cache_dir():
    """Writable folder for files fetched on demand; `data/` even if `XRDLIB_DATA` is read-only."""
    wanted = data_dir()
    # Mode bits beside access: to root everything looks writable.
    writable = wanted.is_dir() and wanted.stat().st_mode & 0o222 and os.access(wanted, os.W_OK)
    return wanted if writable else ROOT / "data"


def runs(profile):
    """Large outputs of one profile's pipeline (ignored by git)."""
    return _made(ROOT / "runs" / profile)


def results(profile):
    """Compact metrics and predictions of one profile."""
    return _made(ROOT / "results" / profile)


def figures(profile):
    """Figures of one profile."""
    return _made(ROOT / "figures" / profile)


def checkpoints(profile):
    """Resume files of running trainings; never a DVC output, so a rerun cannot delete them."""
    return _made(ROOT / "checkpoints" / profile)


def _made(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder
