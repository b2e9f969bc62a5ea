"""Named tensors and a JSON header in one checked file: safetensors with a SHA-256, no pickle."""

import hashlib
import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from . import files
from .errors import XrdlibError

# One key for checksum and header: safetensors writes several in no settled order.
_HEADER = "xrdlib"


def write(
    path: str | os.PathLike,
    tensors: dict[str, Tensor],
    header: dict,
    keep_as: str | os.PathLike | None = None,
) -> None:
    """Write a file, or leave everything as it was.

    The file that stands at `path` is renamed to `keep_as` if that is given and the file is whole.

    Raises
    ------
    XrdlibError
        If the header holds other than JSON values or the file cannot be written.
    """
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    text = canonical(header)
    content = save(tensors, {_HEADER: f"{fingerprint(tensors, text)}\n{text}"})

    def keep():
        # A damaged file must not take the place of the last good one.
        if keep_as is not None and Path(path).exists() and _is_whole(path):
            os.replace(path, keep_as)

    with files.replacing(path, before=keep) as file:
        file.write(content)


def read(path: str | os.PathLike) -> tuple[dict[str, Tensor], dict]:
    """Tensors, on the CPU, and header of a file.

    Raises
    ------
    XrdlibError
        If the file is missing, is not one of ours, or its contents do not match its checksum.
    """
    if not Path(path).is_file():
        raise XrdlibError(
            f"{path} does not exist; run the stage that writes it, or `git checkout` it."
        )
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            # Copies, since the file may be replaced while its contents are in use.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise XrdlibError(
            f"{path} is damaged, cut off or no file of weights ({error}); copy or train it again."
        ) from None
    checksum, _, text = metadata.get(_HEADER, "").partition("\n")
    if checksum != fingerprint(tensors, text):
        raise XrdlibError(f"{path} is damaged: its contents do not match its checksum.")
    return tensors, json.loads(text)


def canonical(value: object) -> str:
    """JSON text of a value, keys sorted, so that equal values give equal text.

    Raises
    ------
    XrdlibError
        If the value holds other than what JSON can.
    """
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise XrdlibError(f"Only JSON values can be stored: {error}.") from None


def fingerprint(tensors: dict[str, Tensor], text: str = "") -> str:
    """SHA-256, in hexadecimal, of a text and of every tensor's name, type, shape and bytes."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _is_whole(path):
    try:
        read(path)
    except XrdlibError:
        return False
    return True
