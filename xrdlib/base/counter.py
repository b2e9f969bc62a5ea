"""Random numbers without state: a hash of (seed, index, slot, position).

A number depends on its own four coordinates and on nothing else, so a pattern is the same in any
batch, order, worker or device. Keys are mixed by SplitMix64 (Steele, Lea & Flood, OOPSLA 2014,
finaliser of D. Stafford, variant 13) and the numbers by two rounds of C. Wellons' "lowbias32"
(hash-prospector, 2018), whose few 32-bit operations keep noise for a whole pattern cheap.
"""

import math

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15


def uniform(seed: int, index: Tensor, slot: int, n: int = 1) -> Tensor:
    """Uniform random numbers in [0, 1).

    Parameters
    ----------
    seed : int
        Names the whole stream.
    index : int64 tensor, (B,)
        Global number of each pattern (or crystal); its device is that of the result.
    slot : int
        Names the quantity, so that two quantities of one pattern are independent.
    n : int
        Numbers wanted for each index.

    Returns
    -------
    float32 tensor, (B, n)
        Multiples of 2^-24; the same on every device.
    """
    return uniform_at(seed, index[:, None], slot, _positions(n, index.device))


def normal(seed: int, index: Tensor, slot: int, n: int = 1) -> Tensor:
    """Standard normal random numbers, (B, n) float32; arguments as in `uniform`.

    The inverse error function of 23-bit numbers, so that |z| stays below 5.3.
    """
    return normal_at(seed, index[:, None], slot, _positions(n, index.device))


def uniform_at(seed: int, index: Tensor, slot: int, position: Tensor) -> Tensor:
    """Uniform numbers at given positions: `index` and `position` broadcast together."""
    bits = _bits(seed, index, slot, position)
    return bits.bitwise_right_shift_(8).bitwise_and_(0xFFFFFF).to(torch.float32).mul_(2.0**-24)


def normal_at(seed: int, index: Tensor, slot: int, position: Tensor) -> Tensor:
    """Standard normal numbers at given positions; `index` and `position` broadcast together."""
    bits = _bits(seed, index, slot, position)
    signed = bits.bitwise_right_shift_(9).to(torch.float32).add_(0.5).mul_(2.0**-22)
    return signed.erfinv_().mul_(math.sqrt(2.0))


def _positions(n, device):
    return torch.arange(n, dtype=torch.int32, device=device)


def _bits(seed, index, slot, position):
    """32 random bits (int32) for each broadcast (index, position)."""
    stream = _splitmix64(_splitmix64(torch.tensor(int(seed))) ^ int(slot))
    key = _splitmix64(index.to(torch.int64) ^ int(stream))
    low, high = key.to(torch.int32), (key >> 32).to(torch.int32)
    x = position.to(torch.int32) + low
    x = _lowbias32_(x)
    return _lowbias32_(x.bitwise_xor_(high))


def _lowbias32_(x):
    """The mixing function in place on int32; shifts are made logical by masks."""
    x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF)).mul_(0x7FEB352D)
    x.bitwise_xor_((x >> 15).bitwise_and_(0x1FFFF)).mul_(_signed(0x846CA68B, 32))
    return x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF))


def _splitmix64(x):
    """The SplitMix64 step on an int64 tensor."""
    x = x + _signed(_GOLDEN)
    x = (x ^ ((x >> 30) & ((1 << 34) - 1))) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ ((x >> 27) & ((1 << 37) - 1))) * _signed(0x94D049BB133111EB)
    return x ^ ((x >> 31) & ((1 << 33) - 1))


def _signed(x, bits=64):
    """The two's complement integer with the same bits."""
    return x - (1 << bits) if x >> (bits - 1) else x
