"""Buckets of boxes: every crystal once, large enough, within memory."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xrdlib.simulation.boxes import plan


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(1, 40)] * 3, *[st.booleans()] * 3), min_size=1, max_size=40),
    st.sampled_from([50, 2000, 100_000]),
    st.sampled_from([0, 1000, 10**7]),
)
@example(
    [(1, 1, 1, False, False, False)] * 4
    + [(1, 33, 34, False, False, False), (12, 12, 12, False, False, False)],
    100_000,
    10**7,
)
def test_every_index_is_held_once_and_boxes_stay_small(rows, budget, waste):
    halved = np.array([row[3:] for row in rows])
    reach = np.array([row[:3] for row in rows]) - 1
    count = np.where(halved, reach + 1, 2 * reach + 1)
    order = np.argsort(count, axis=1, kind="stable")
    count, halved, reach = (np.take_along_axis(x, order, 1) for x in (count, halved, reach))
    buckets = plan(count, halved, budget, waste)
    held = [[] for _ in rows]
    for bucket in buckets:
        cells = np.prod(bucket.dims)
        assert len(bucket.crystal) == 1 or cells * len(bucket.crystal) <= budget
        assert cells <= max(budget, np.prod(bucket.dims[1:]))  # one plane of hkl at least
        for i, origin in zip(bucket.crystal, bucket.origin, strict=True):
            low, high = -origin, np.array(bucket.dims) - 1 - origin
            assert (low[1:] <= np.where(halved[i], 0, -reach[i])[1:]).all()
            assert (high[1:] >= reach[i][1:]).all()
            held[i] += list(range(low[0], high[0] + 1))
    for i, values in enumerate(held):
        assert len(set(values)) == len(values), "no plane of hkl is computed twice"
        assert set(values) >= set(range(0 if halved[i, 0] else -reach[i, 0], reach[i, 0] + 1))
