"""The precision of trainings, chosen here alone, from what the processor computes natively."""

import platform
import warnings

import torch

from .errors import XrdlibError

PRECISIONS = ("auto", "float32", "bfloat16")


def precision(wanted: str = "auto", device: str | torch.device = "cpu") -> str:
    """Precision in which the forward passes of a training are to be computed.

    Parameters
    ----------
    wanted : str
        "float32", "bfloat16" or "auto": bfloat16 where the device computes it natively. An explicit
        choice is obeyed, slow bfloat16 with a warning.
    device : str or torch.device

    Raises
    ------
    XrdlibError
        If `wanted` is none of the three.

    Examples
    --------
    >>> precision("float32")
    'float32'
    """
    if wanted not in PRECISIONS:
        raise XrdlibError(
            f"precision is {wanted!r} in the configuration; write one of {', '.join(PRECISIONS)}."
        )
    if wanted == "float32":
        return wanted
    native = native_bfloat16(device)
    if wanted == "auto":
        return "bfloat16" if native else "float32"
    if not native:
        warnings.warn(
            "This processor has no native bfloat16, so training in it is many times slower than "
            "with `precision: auto`.",
            stacklevel=2,
        )
    return wanted


def native_bfloat16(device: str | torch.device = "cpu") -> bool:
    """Whether a device computes bfloat16 in hardware, as PyTorch may use it.

    On x86 that takes AVX512_BF16, with AVX-512 not switched off in PyTorch
    (``ATEN_CPU_CAPABILITY``); on ARM, what oneDNN reports of the processor.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if torch.device(device).type != "cpu":
        return False
    if platform.machine().lower() in ("arm64", "aarch64"):
        mkldnn = torch.backends.mkldnn.is_available()
        return mkldnn and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return wide and torch.cpu._is_avx512_bf16_supported()
