"""Write content to a file and read it back."""

import pytest

import xrdlib


@pytest.fixture
def read(tmp_path):
    def write_and_read(content, name="scan.txt", **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return xrdlib.read_pattern(path, **options)

    return write_and_read
