"""Whether two sets of patterns can be told apart, by features and by a small network.

0.5 of the area under the curve (AUC) means that they cannot be told apart by what a classifier
sees, 1 that they always can.
"""

import numpy as np
import torch
from numpy import ndarray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ..base.errors import XrdlibError
from ..base.patterns import GRID, Grid, normalise
from .pattern_features import features

_WINDOW = 3.0  # degrees 2theta that the network sees at a time
_BATCH = 128
_RATE = 3e-3


def two_sample(
    a: ndarray,
    b: ndarray,
    groups: ndarray,
    seed: int = 0,
    folds: int = 5,
    permutations: int = 50,
    epochs: int = 12,
    grid: Grid = GRID,
) -> dict:
    """Cross-validated AUC of classifiers that tell two samples of patterns apart.

    Parameters
    ----------
    a, b : array_like, (n, grid.size)
        Pairs of patterns: intensities, at least 0, on any scale.
    groups : array_like, (n,)
        Of each pair. Pairs of one group are never both learned from and tried on.
    permutations
        Times that a and b are exchanged at random within pairs, for the null of the features.
    epochs
        Passes of the network over its windows; 0 for no network.

    Gives "features": "auc", "null95" (2.5 and 97.5 % of the permutations), "p", and "single" (AUC
    of each feature alone, by name, above 0.5 where it is larger in b). "network": "auc" of whole
    patterns and "window_auc" of 3-degree windows, or None. "pairs", "groups".

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
    n_groups = len(np.unique(groups))
    if n_groups < folds:
        raise XrdlibError(f"{n_groups} groups cannot be split into {folds} folds; give more.")
    splits = list(GroupKFold(folds, shuffle=True, random_state=seed).split(a, groups=groups))
    tables = [features(x, grid) for x in (a, b)]
    x = np.stack([table.to_numpy() for table in tables])  # (2, n, k)
    found = _features_auc(x, splits)
    swaps = np.random.default_rng(seed).random((permutations, len(a), 1)) < 0.5
    null = [_features_auc(np.where(swap, x[::-1], x), splits) for swap in swaps]
    known = SimpleImputer(strategy="median", keep_empty_features=True)
    columns = known.fit_transform(np.concatenate(x)).T.reshape(-1, 2, len(a))
    return {
        "features": {
            "auc": found,
            "null95": np.quantile(null, [0.025, 0.975]).tolist() if null else None,
            "p": (1 + sum(value >= found for value in null)) / (1 + len(null)),
            "single": dict(zip(tables[0], map(_auc, columns), strict=True)),
        },
        "network": _network(a, b, splits, seed, epochs, grid) if epochs else None,
        "pairs": len(a),
        "groups": n_groups,
    }


def _auc(scores):
    """AUC of the scores of both samples, (2, n, ...)."""
    return float(roc_auc_score(np.repeat([0, 1], scores[0].size), scores.ravel()))


def _over_folds(scores, splits):
    """Mean AUC within folds, by size; scores of different folds are not compared."""
    values = [_auc(scores[:, test]) for _, test in splits]
    return float(np.average(values, weights=[len(test) for _, test in splits]))


def _features_auc(x, splits):
    """AUC of a logistic regression on features (2, n, k) and their squares."""
    scores = np.empty(x.shape[:2])
    for train, test in splits:
        model = make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True),
            StandardScaler(),
            FunctionTransformer(_with_squares),
            LogisticRegression(solver="newton-cholesky"),
        )
        model.fit(np.concatenate(x[:, train]), np.repeat([0, 1], len(train)))
        scores[:, test] = model.decision_function(np.concatenate(x[:, test])).reshape(2, -1)
    return _over_folds(scores, splits)


def _with_squares(z):
    """One sample may be the more varied one, which squares see."""
    z = np.clip(z, -4, 4)
    return np.hstack([z, z * z - 1])


def _network(a, b, splits, seed, epochs, grid):
    """A small convolutional network on windows, as scaled for the models and each for itself."""
    points = round(_WINDOW / grid.step)
    count = grid.size // points
    x = normalise(torch.from_numpy(np.stack([a, b])))[..., : count * points]
    x = x.unflatten(-1, (count, points))
    own = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-4)
    x = torch.stack([(x - x.mean()) / x.std(), own], -2)  # (2, n, windows, 2, points)
    scores = np.empty(x.shape[:3])
    with torch.random.fork_rng(devices=[]):
        for k, (train, test) in enumerate(splits):
            torch.manual_seed(seed + k)
            net = _fitted(x[:, train], epochs)
            with torch.no_grad():
                part = net(x[:, test].flatten(0, 2))
            scores[:, test] = part.view(2, -1, count).numpy()
    means = scores.mean(2)
    return {"auc": _over_folds(means, splits), "window_auc": _over_folds(scores, splits)}


def _fitted(x, epochs):
    """The network trained on (2, n, windows, 2, points)."""
    label = torch.zeros(x.shape[:3])
    label[1] = 1
    x, label = x.flatten(0, 2), label.flatten()
    layers = []
    for channels, more, width in ((2, 16, 7), (16, 32, 5), (32, 32, 5)):
        layers += [torch.nn.Conv1d(channels, more, width, stride=2), torch.nn.GELU()]
    layers += [torch.nn.AdaptiveAvgPool1d(1), torch.nn.Flatten()]
    net = torch.nn.Sequential(*layers, torch.nn.Linear(32, 1), torch.nn.Flatten(0))
    optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE)
    steps = epochs * -(-len(x) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(_BATCH):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x[rows]), label[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return net
