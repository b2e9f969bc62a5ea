import os

import numpy as np
import pytest
import torch

from xrdlib.base import tensorfile
from xrdlib.base.errors import XrdlibError

TENSORS = {
    "weights": torch.arange(6, dtype=torch.float32).view(2, 3),
    "half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "count": torch.tensor(7),
    "bytes": torch.arange(5, dtype=torch.uint8),
}
HEADER = {"name": "x", "numbers": [1, 0.1, 1e-300], "nested": {"yes": True, "none": None}}


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "deeper" / "file.safetensors"
    tensorfile.write(path, TENSORS, HEADER)
    tensors, header = tensorfile.read(path)
    assert header == HEADER and tensors.keys() == TENSORS.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == TENSORS[name].dtype and torch.equal(tensor, TENSORS[name])
    assert os.listdir(path.parent) == [path.name]  # no temporary file stays


def test_any_flipped_byte_is_noticed(tmp_path):
    path = tmp_path / "file"
    tensorfile.write(path, TENSORS, HEADER)
    content = path.read_bytes()
    for position in np.random.default_rng(0).choice(len(content), 60, replace=False):
        damaged = bytearray(content)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        try:
            tensors, header = tensorfile.read(path)
        except XrdlibError:
            continue
        # White space that pads the JSON table may change without a change in what is stored.
        assert header == HEADER and content[position : position + 1].isspace()
        assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


def test_files_of_others_are_refused(tmp_path):
    from safetensors.torch import save_file

    save_file(TENSORS, tmp_path / "plain")
    torch.save(TENSORS, tmp_path / "pickle")
    for name, message in (("plain", "checksum"), ("pickle", "damaged"), ("none", "not exist")):
        with pytest.raises(XrdlibError, match=message):
            tensorfile.read(tmp_path / name)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_write_that_fails_harms_nothing(tmp_path, monkeypatch, call):
    path = tmp_path / "file"
    tensorfile.write(path, TENSORS, HEADER)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(XrdlibError, match="No space left"):
            tensorfile.write(path, {"other": torch.zeros(3)}, {}, keep_as=tmp_path / "kept")
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["file"]


def test_the_replaced_file_is_kept_only_if_whole(tmp_path):
    path, kept = tmp_path / "file", tmp_path / "kept"
    for value in (1, 2, 3):
        tensorfile.write(path, {"value": torch.tensor(value)}, {}, keep_as=kept)
    assert tensorfile.read(kept)[0]["value"] == 2
    path.write_bytes(b"damaged")
    tensorfile.write(path, {"value": torch.tensor(4)}, {}, keep_as=kept)
    assert tensorfile.read(kept)[0]["value"] == 2 and tensorfile.read(path)[0]["value"] == 4


@pytest.mark.parametrize("value", [{"x": float("nan")}, {"x": torch.zeros(2)}, {"x": {1, 2}}])
def test_only_json_values_are_headers(value):
    with pytest.raises(XrdlibError, match="Only JSON values"):
        tensorfile.canonical(value)


def test_fingerprints_tell_name_type_shape_and_value_apart():
    zeros, of = torch.zeros(4), tensorfile.fingerprint
    others = [zeros.view(2, 2), zeros.to(torch.int32), torch.tensor([0, 0, 0, 1e-45])]
    variants = [{"a": zeros}, {"b": zeros}, *({"a": other} for other in others)]
    assert len({*map(of, variants), of({"a": zeros}, "text")}) == 6
    strided = torch.arange(8.0).view(4, 2)[:, 0]
    assert of({"a": strided}) == of({"a": strided.clone()})
