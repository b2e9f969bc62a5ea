"""Which crystals share a box of hkl, so that one batched product serves them all.

A few large products are faster than many small ones, as far as the padding costs less than the
launches it saves.
"""

from typing import NamedTuple

import numpy as np

# Box edges that count as alike before buckets are merged.
_EDGES = np.array([4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024])


class Bucket(NamedTuple):
    """B crystals and the box they share; index i along axis a stands for h = i - origin[a]."""

    dims: tuple
    crystal: np.ndarray  # (B,)
    origin: np.ndarray  # (B, 3)


def plan(count: np.ndarray, halved: np.ndarray, budget: int, waste: int) -> list[Bucket]:
    """Buckets that hold every crystal once, in slabs along the first axis where it is too large.

    `count` (n, 3) are the values that each Miller index takes, ascending along a row; `halved`
    (n, 3) says whether they start at 0, or else are symmetric about it. The boxes of a bucket have
    up to `budget` cells together, or there is one; `waste` cells of padding cost as much as one
    more bucket. The slabs of one crystal follow each other in order.
    """
    cells = count.prod(1)
    buckets = []
    for members in _alike(count, np.flatnonzero(cells <= budget), waste):
        step = max(1, budget // int(count[members].max(0).prod()))
        for part in (members[i : i + step] for i in range(0, len(members), step)):
            dims = count[part].max(0)
            origin = np.where(halved[part], 0, (dims - 1) // 2)
            buckets.append(Bucket(tuple(dims.tolist()), part, origin))
    for i in np.flatnonzero(cells > budget):
        first, second, third = count[i].tolist()
        thick = max(1, budget // (second * third))
        origin = np.where(halved[i], 0, (count[i] - 1) // 2)
        for begin in range(0, first, thick):
            buckets.append(Bucket((thick, second, third), i[None], (origin - [begin, 0, 0])[None]))
    return buckets


def _alike(count, rows, waste):
    """Split `rows` into lists whose boxes are alike, or too few to be worth their own bucket."""
    code = np.searchsorted(_EDGES, count[rows]) @ np.array([len(_EDGES) ** 2, len(_EDGES), 1])
    order = np.argsort(code, kind="stable")
    classes = np.split(rows[order], np.flatnonzero(np.diff(code[order])) + 1) if len(rows) else []
    dims = np.array([count[c].max(0) for c in classes]).reshape(-1, 3)
    size, members = np.empty((0, 3), dtype=np.int64), []
    for i in np.argsort(-dims.prod(1), kind="stable"):
        number = np.array([len(m) for m in members], dtype=np.int64)
        joint = np.maximum(size, dims[i])
        padding = joint.prod(1) * (number + len(classes[i])) - size.prod(1) * number
        padding -= dims[i].prod() * len(classes[i])
        best = int(padding.argmin()) if len(members) else -1
        if best >= 0 and padding[best] < waste:
            size[best] = joint[best]
            members[best] = np.concatenate([members[best], classes[i]])
        else:
            size = np.concatenate([size, dims[i : i + 1]])
            members.append(classes[i])
    return members
