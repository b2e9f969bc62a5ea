"""Full float32 products where positions and intensities are computed."""

from contextlib import contextmanager

import torch


@contextmanager
def full_precision():
    """Context or decorator in which float32 matrix products are not rounded to fewer bits.

    Training may allow TF32 or bfloat16 products; to Miller indices and phases they would be wrong.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
