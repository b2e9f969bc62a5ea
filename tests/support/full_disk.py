"""A disk that runs full in the middle of a write."""

import resource
from contextlib import contextmanager


@contextmanager
def room_for(size):
    """Let no file of this process grow beyond `size` bytes: what is more fails midway."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
