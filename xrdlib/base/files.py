"""Atomic writing of files, and folders that one process locks at a time."""

import errno
import os
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from .errors import XrdlibError

NAME = "lock"
_UNFINISHED = ".tmp"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of some network file systems


@contextmanager
def replacing(
    path: str | os.PathLike, before: Callable[[], None] | None = None
) -> Iterator[BinaryIO]:
    """Open a binary file that replaces the one at `path` once it is completely written.

    It is written under a temporary name in the same folder, made if need be, flushed to disk and
    renamed. `before` is called when the new file is complete, just before the renaming.

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


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file as UTF-8; errors as for `replacing`."""
    with replacing(path) as file:
        file.write(text.encode())


def sweep(path: str | os.PathLike) -> None:
    """Remove temporary files of killed writers; call it only while no other process writes."""
    path = Path(path)
    for left in path.parent.glob(f"{path.name}.*{_UNFINISHED}"):
        left.unlink(missing_ok=True)


def _flush_folder(folder):
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class FolderInUse(XrdlibError):
    """A folder that another process is working in."""


@contextmanager
def held(folder: str | os.PathLike) -> Iterator[None]:
    """Context in which no other process holds the same folder, which is made if need be.

    The lock is the operating system's, on a file `lock` in the folder that names the process. It
    ends with the process, however that ends; the file stays and means nothing by itself.

    Raises
    ------
    FolderInUse
        If another process, or this one, holds the folder; nothing in it was touched.
    XrdlibError
        If the file cannot be opened.
    """
    path = Path(folder) / NAME
    lock = FileLock(path, blocking=False, on_acquired=_sign)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise FolderInUse(
            f"{path.parent} is in use by {_holder(path)}; wait for it to end, or stop it. "
            "Nothing was changed."
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise XrdlibError(f"{path} cannot be written ({error.strerror}).") from None
        warnings.warn(
            f"{path.parent} cannot be locked ({error.strerror}); see that no other run uses it.",
            stacklevel=3,
        )
    try:
        yield
    finally:
        lock.release()


def _sign(file):
    """Name this process in the lock's open file."""
    os.ftruncate(file, 0)
    with suppress(OSError):  # on a full disk the lock holds all the same, without its signature
        os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())


def _holder(path):
    owner = ""
    with suppress(OSError):  # elsewhere than on POSIX systems a locked file may not be readable
        owner = path.read_text(errors="replace")
    return owner or "another process"
