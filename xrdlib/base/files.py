"""Files that are whole or absent: written beside and put in place at once, held by one process."""

import os
import socket
import warnings
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


try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None
    import msvcrt


NAME = "lock"

# There, locked bytes cannot be read either; this one is far behind the text.
_FAR = 1 << 20


class FolderInUse(XrdlibError):
    """A folder that another process is working in."""


@contextmanager
def held(folder):
    """Context in which no other process holds the same folder.

    The lock is the operating system's, on a file `lock` in the folder that names the process. It
    ends with the process, however that ends; the file stays and means nothing by itself.

    Parameters
    ----------
    folder : path-like
        Made if need be.

    Raises
    ------
    FolderInUse
        If another process, or this one, holds the folder; nothing in it was touched.
    XrdlibError
        If the file cannot be opened.
    """
    path = Path(folder) / NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Neither emptied nor changed before it is known to be ours.
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise XrdlibError(f"{path} cannot be written ({error.strerror}).") from None
    try:
        if _taken(file, path):
            raise FolderInUse(
                f"{path.parent} is in use by {_holder(file)}; wait for it to end, or stop it. "
                "Nothing was changed."
            )
        yield
    finally:
        os.close(file)  # and with it the lock


def _taken(file, path):
    """Take the lock and sign it; whether another process was first."""
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            os.lseek(file, _FAR, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError):
        return True
    except OSError as error:  # some network file systems have no locks
        warnings.warn(
            f"{path.parent} cannot be locked ({error.strerror}); see that no other run uses it.",
            stacklevel=4,
        )
        return False
    os.ftruncate(file, 0)
    os.lseek(file, 0, os.SEEK_SET)
    try:
        os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
    except OSError:
        pass  # a full disk takes nothing from the lock but its signature
    return False


def _holder(file):
    os.lseek(file, 0, os.SEEK_SET)
    return os.read(file, 200).decode(errors="replace") or "another process"
