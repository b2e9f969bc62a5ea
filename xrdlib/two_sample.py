"""Can two samples of patterns be told apart? Classifiers that try, and what chance would give."""

import numpy as np
import torch

from .compare_patterns import features
from .errors import XrdlibError
from .patterns import GRID, normalise

_WINDOW = 3.0  # degrees 2theta that the network sees at a time
_RIDGE = 1.0  # penalty on the squared weights of standardised features


def two_sample(a, b, groups, seed=0, folds=5, permutations=50, epochs=12, grid=GRID):
    """Cross-validated AUC of classifiers that tell two samples of patterns apart.

    0.5 means that they cannot be told apart by what a classifier sees, 1 that they always can.

    Parameters
    ----------
    a, b : array_like, (n, grid.size)
        Pairs of patterns: intensities, at least 0, on any scale.
    groups : array_like, (n,)
        Of each pair. Pairs of one group are never both learned from and tried on.
    seed : int
    folds : int
    permutations : int
        Times that a and b are exchanged at random within pairs, for the null of the features.
    epochs : int
        Passes of the network over its windows; 0 for no network.
    grid : patterns.Grid

    Returns
    -------
    dict
        "features": "auc", "null95" (2.5 and 97.5 % of the permutations), "p", and "single" (AUC of
        each feature alone, by name, above 0.5 where it is larger in b). "network": "auc" of
        whole patterns and "window_auc" of 3-degree windows, or None. "pairs", "groups".

    Raises
    ------
    XrdlibError
        If the samples do not match, or there are fewer groups than folds.
    """
    a, b, groups = np.asarray(a, np.float32), np.asarray(b, np.float32), np.asarray(groups)
    if a.shape != b.shape or groups.shape != a.shape[:1]:
        raise XrdlibError(
            f"Samples of shapes {a.shape} and {b.shape} with {len(groups)} groups do not match; "
            "give as many patterns of each, in pairs, and one group for each pair."
        )
    rng = np.random.default_rng(seed)
    fold = _folds(groups, folds, rng)
    tables = [features(x, grid) for x in (a, b)]
    x = np.stack([table.to_numpy() for table in tables])  # (2, n, k)
    found = _cross_validated(x, fold)
    null = []
    for _ in range(permutations):
        swap = rng.random(len(fold)) < 0.5
        null.append(_cross_validated(np.where(swap[:, None], x[::-1], x), fold))
    single = {
        name: auc(*(np.nan_to_num(t[name], nan=np.nanmedian(x[..., i])) for t in tables))
        for i, name in enumerate(tables[0].columns)
    }
    return {
        "features": {
            "auc": found,
            "null95": np.quantile(null, [0.025, 0.975]).tolist() if null else None,
            "p": (1 + sum(value >= found for value in null)) / (1 + len(null)),
            "single": single,
        },
        "network": _network(a, b, fold, seed, epochs, grid) if epochs else None,
        "pairs": len(fold),
        "groups": len(np.unique(groups)),
    }


def auc(a, b):
    """Probability that a number of `b` is larger than one of `a`, ties counted half."""
    both = np.concatenate([a, b])
    _, inverse, count = np.unique(both, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[inverse]
    return float((rank[len(a) :].sum() - len(b) * (len(b) + 1) / 2) / (len(a) * len(b)))


def _folds(groups, folds, rng):
    """(n,) fold of each pair; a group lies in one fold."""
    names, inverse = np.unique(groups, return_inverse=True)
    if len(names) < folds:
        raise XrdlibError(f"{len(names)} groups cannot be split into {folds} folds; give more.")
    return rng.permutation(np.arange(len(names)) % folds)[inverse]


def _cross_validated(x, fold):
    """AUC of held-out scores; those of different folds are compared only within their fold."""
    scores = np.empty(x.shape[:2])
    for k in np.unique(fold):
        train, test = x[:, fold != k], x[:, fold == k]
        flat = train.reshape(-1, x.shape[2])
        median = np.nanmedian(flat, axis=0)
        flat = np.where(np.isnan(flat), median, flat)
        mean, spread = flat.mean(0), flat.std(0) + 1e-9

        def design(values, median=median, mean=mean, spread=spread):
            # Squares, too: one sample may be the more varied one.
            z = (np.where(np.isnan(values), median, values) - mean) / spread
            z = np.clip(z, -4, 4)
            return np.concatenate([z, z * z - 1, np.ones((*z.shape[:-1], 1))], -1)

        target = np.repeat([0.0, 1.0], train.shape[1])
        weight = _logistic(design(flat), target)
        scores[:, fold == k] = design(test) @ weight
    return _by_fold(scores, fold)


def _by_fold(scores, fold):
    """Mean over folds of the AUC within the fold, by size; `scores` is (2, n, ...)."""
    folds, size = np.unique(fold, return_counts=True)
    values = [auc(*(s[fold == k].ravel() for s in scores)) for k in folds]
    return float(np.average(values, weights=size))


def _logistic(x, y, steps=12):
    """Weights of a ridge logistic regression by Newton's method; the last column is not shrunk."""
    weight = np.zeros(x.shape[1])
    ridge = np.full(x.shape[1], _RIDGE)
    ridge[-1] = 1e-6
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(x @ weight, -30, 30)))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + np.diag(ridge)
        weight -= np.linalg.solve(hessian, x.T @ (p - y) + ridge * weight)
    return weight


def _network(a, b, fold, seed, epochs, grid):
    """A small convolutional network on windows, as scaled for the models and each for itself."""
    points = round(_WINDOW / grid.step)
    count = grid.size // points
    x = normalise(torch.from_numpy(np.stack([a, b])))[..., : count * points]
    x = x.unflatten(-1, (count, points))
    own = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-4)
    x = torch.stack([(x - x.mean()) / x.std(), own], -2)  # (2, n, windows, 2, points)
    scores = np.empty(x.shape[:3])
    with torch.random.fork_rng(devices=[]):
        for k in np.unique(fold):
            torch.manual_seed(seed + int(k))
            net = _fitted(x[:, fold != k], epochs)
            with torch.no_grad():
                part = net(x[:, fold == k].flatten(0, 2))
            scores[:, fold == k] = part.view(2, -1, count).numpy()
    return {"auc": _by_fold(scores.mean(2), fold), "window_auc": _by_fold(scores, fold)}


def _fitted(x, epochs, batch=128):
    """The network trained on (2, n, windows, 2, points)."""
    label = torch.zeros(x.shape[:3])
    label[1] = 1
    x, label = x.flatten(0, 2), label.flatten()
    net = torch.nn.Sequential(
        torch.nn.Conv1d(2, 16, 7, stride=2),
        torch.nn.GELU(),
        torch.nn.Conv1d(16, 32, 5, stride=2),
        torch.nn.GELU(),
        torch.nn.Conv1d(32, 32, 5, stride=2),
        torch.nn.GELU(),
        torch.nn.AdaptiveAvgPool1d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(32, 1),
        torch.nn.Flatten(0),
    )
    steps = epochs * -(-len(x) // batch)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x[rows]), label[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return net
