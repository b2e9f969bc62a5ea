"""Counter-based random numbers: right distribution, independence, no dependence on the batch."""

import numpy as np
import pytest
import torch
from scipy import stats

from xrdlib.base import counter

INDEX = torch.arange(256)


def test_splitmix64_reference_values():
    # First outputs of the published generator from state 1234567 (state advances by the constant).
    states = [1234567 + k * counter._GOLDEN for k in range(3)]
    got = counter._splitmix64(torch.tensor([(s + 2**63) % 2**64 - 2**63 for s in states]))
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [int(x) % 2**64 for x in got] == published


def test_lowbias32_is_the_published_function():
    def reference(x):
        x ^= x >> 16
        x = (x * 0x7FEB352D) % 2**32
        x ^= x >> 15
        x = (x * 0x846CA68B) % 2**32
        return x ^ (x >> 16)

    values = [1, 2, 0x80000000, 0xDEADBEEF, 0xFFFFFFFF]
    tensor = torch.tensor([counter._signed(v, 32) for v in values], dtype=torch.int32)
    assert [int(v) % 2**32 for v in counter._lowbias32_(tensor)] == [reference(v) for v in values]


@pytest.mark.parametrize(
    "draw, cdf", [(counter.uniform, stats.uniform.cdf), (counter.normal, stats.norm.cdf)]
)
def test_distribution(draw, cdf):
    for values in (
        draw(3, INDEX, 5, 1000),
        draw(3, torch.arange(100_000), 5, 1),
        torch.cat([draw(seed, INDEX, 5, 4) for seed in range(100)]),
        torch.cat([draw(3, INDEX, slot, 4) for slot in range(100)]),
    ):
        assert stats.kstest(values.numpy().ravel(), cdf).pvalue > 1e-3


def test_independence_along_every_coordinate():
    n = 64
    drawn = [counter.normal(k // 8, INDEX[:n], k % 8, n) for k in range(64)]
    cube = torch.stack(drawn).numpy().reshape(8, 8, n, n)
    for axis in range(4):
        pairs = np.moveaxis(cube, axis, 0)
        for lag in (1, 2, 4):
            r = np.corrcoef(pairs[:-lag].ravel(), pairs[lag:].ravel())[0, 1]
            assert abs(r) < 4.5 / np.sqrt(pairs[lag:].size)
            squares = np.corrcoef(pairs[:-lag].ravel() ** 2, pairs[lag:].ravel() ** 2)[0, 1]
            assert abs(squares) < 4.5 / np.sqrt(pairs[lag:].size)


def test_batch_order_and_length_do_not_matter():
    whole = counter.normal(7, INDEX, 3, 50)
    order = torch.randperm(256, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(counter.normal(7, order, 3, 50), whole[order], rtol=0, atol=0)
    torch.testing.assert_close(counter.normal(7, INDEX, 3, 20), whole[:, :20], rtol=0, atol=0)
    at = counter.normal_at(7, torch.tensor([4, 9]), 3, torch.tensor([11, 49]))
    assert at.tolist() == [whole[4, 11].item(), whole[9, 49].item()]


def test_range_and_distinct_streams():
    values = counter.uniform(0, INDEX, 0, 4000)
    assert values.min() >= 0 and values.max() < 1
    assert len(torch.unique(values)) > 0.95 * values.numel()
    assert torch.isfinite(counter.normal(0, INDEX, 0, 4000)).all()
    far = torch.tensor([2**40, 2**40 + 1, 1])
    assert not torch.equal(*counter.uniform(0, far, 0, 100)[:2])
    assert not torch.equal(counter.uniform(-1, far, 0, 100), counter.uniform(1, far, 0, 100))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_same_numbers_on_the_gpu():
    gpu = INDEX.cuda()
    cpu = counter.uniform(5, INDEX, 2, 999)
    torch.testing.assert_close(counter.uniform(5, gpu, 2, 999).cpu(), cpu, rtol=0, atol=0)
    cpu = counter.normal(5, INDEX, 2, 999)
    torch.testing.assert_close(counter.normal(5, gpu, 2, 999).cpu(), cpu, rtol=2e-6, atol=2e-6)
