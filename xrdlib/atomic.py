"""Files written in one step: a reader finds the old one or the new one, never a part of either."""

import os
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import XrdlibError

_UNFINISHED = ".tmp"


@contextmanager
def replacing(path, before=None):
    """Open a file that takes the place of the one at `path` when all went well.

    It is written beside its final name, flushed to disk and renamed.

    Parameters
    ----------
    path : path-like
        Its folder is made if need be.
    before : callable, optional
        Called without arguments when the new file is whole, just before it takes its place.

    Yields
    ------
    binary file

    Raises
    ------
    XrdlibError
        If the file cannot be written; the one that was there is untouched.
    """
    path = Path(path)
    temporary = path.with_name(f"{path.name}.{os.getpid()}{_UNFINISHED}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            before()
        os.replace(temporary, path)
        _flush_folder(path.parent)  # else a power cut could undo the renaming
    except OSError as error:
        raise XrdlibError(
            f"{path} cannot be written ({error.strerror or error}); make room or choose another "
            "folder, then give the same command again. What was saved before is untouched."
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_text(path, text):
    """Write a text file as UTF-8; errors as for `replacing`."""
    with replacing(path) as file:
        file.write(text.encode())


def sweep(path):
    """Remove what writers of a file left that were killed; only while no other writes it."""
    path = Path(path)
    for left in path.parent.glob(f"{path.name}.*{_UNFINISHED}"):
        left.unlink(missing_ok=True)


def _flush_folder(folder):
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
