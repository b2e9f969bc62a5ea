"""Whether two sets of patterns can be told apart, by features and by a small network.

Computed alike from measured and from simulated patterns, to see where they differ.
"""

import numpy as np
import pandas as pd
import torch
from scipy.signal import find_peaks, peak_widths

from ..base.errors import XrdlibError
from ..base.patterns import GRID, normalise

RANGES = ((5, 30), (30, 60), (60, 90))  # degrees 2theta, between which widths are told apart

_NOISE_WINDOW = 0.5  # degrees; noise is read in windows of this length

_BROAD = 2.5  # degrees; the background in windows of this length

_EDGE = 0.1  # degrees at either end, which a scan may just not reach

_QUIET = 0.3  # share of the windows, those of lowest level, that count as between the peaks

_PEAK = 0.02  # of the strongest; peaks are counted down to here or to six times the noise

_CLEAR = 0.05  # of the strongest; shapes are read from peaks at least as high, and isolated


def features(x, grid=GRID):
    """Numbers that describe patterns.

    Parameters
    ----------
    x : array_like, (n, grid.size)
        Intensities, at least 0, each row on any scale.
    grid : patterns.Grid

    Returns
    -------
    pandas.DataFrame, n rows
        peaks : number of peaks.
        fwhm 5-30, fwhm 30-60, fwhm 60-90 : median width of clear peaks in degrees (NaN: none).
        tailing : median of width at 4/5 of the depth over that at half; 1.6 for a Gaussian, 2 for
        a Lorentzian.
        skew 5-40 : median of how far the middle at 4/5 of the depth lies to the left of that at
        half, in half widths, below 40 degrees.
        noise : standard deviation between the peaks, of the strongest line.
        noise lag 1, noise lag 2 : autocorrelation of that noise at one and two points.
        floor : mean between the peaks, in units of the noise.
        background : share of the intensity that lies in the lower envelope.
        tilt : ln of the lower envelope below 20 over that above 60 degrees.
        zero : share of points below 1e-4 of the strongest.
        height 2, 4, 8, 16 : square root of that peak's height over the strongest one's (0: none).
        level 50, 75, 90, 97 : percentiles of the square root of intensity over the strongest.

    Raises
    ------
    XrdlibError
        If the patterns do not lie on the grid, are not finite, or one is empty.
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != grid.size or not np.isfinite(x).all():
        raise XrdlibError(
            f"Patterns of shape {x.shape} given; give finite intensities (n, {grid.size})."
        )
    if not (x.max(1) > 0).all():
        raise XrdlibError(f"Pattern {int((x.max(1) <= 0).argmax())} has no positive intensity.")
    x = x / x.max(1, keepdims=True)
    edge = round(_EDGE / grid.step)
    between = _between_peaks(x, grid)
    envelope = np.quantile(_windows(x, grid, _BROAD), 0.3, axis=2)
    angle = grid.start + _BROAD * (np.arange(envelope.shape[1]) + 0.5)
    ends = [envelope[:, angle < 20].mean(1), envelope[:, angle > 60].mean(1)]
    table = {
        **between,
        "background": envelope.mean(1) / x.mean(1),
        "tilt": np.log((ends[0] + 1e-5) / (ends[1] + 1e-5)),
        "zero": (x[:, edge:-edge] < 1e-4).mean(1),
    }
    for percent in (50, 75, 90, 97):
        table[f"level {percent}"] = np.quantile(np.sqrt(x), percent / 100, axis=1)
    peaks = [_peaks(row, noise, grid) for row, noise in zip(x, table["noise"], strict=True)]
    return pd.concat([pd.DataFrame(peaks), pd.DataFrame(table)], axis=1)


def _windows(x, grid, length):
    """(n, windows, points) of a length in degrees; what is left over at the end is dropped."""
    points = round(length / grid.step)
    count = x.shape[1] // points
    return x[:, : count * points].reshape(len(x), count, points)


def _between_peaks(x, grid):
    """Noise, its autocorrelation, and the level, in the windows of lowest level."""
    windows = _windows(x, grid, _NOISE_WINDOW)
    number = max(1, round(_QUIET * windows.shape[1]))
    # Empty windows, outside a measured range, hold no noise; they come last.
    level = np.where(windows.any(2), windows.mean(2), np.inf)
    order = np.argsort(level, axis=1, kind="stable")[:, :number, None]
    quiet = np.take_along_axis(windows, order, 1)
    # Second differences do not see slopes; of white noise they have six times its variance.
    noise = np.median(np.diff(quiet, 2, axis=2).std(2), axis=1) / np.sqrt(6)
    t = np.linspace(-1, 1, quiet.shape[2])
    basis = np.linalg.qr(np.stack([np.ones_like(t), t, t * t], 1))[0]
    rest = quiet - quiet @ basis @ basis.T
    power = (rest**2).mean((1, 2)) + 1e-30
    lags = [(rest[..., k:] * rest[..., :-k]).mean((1, 2)) / power for k in (1, 2)]
    return {
        "noise": noise,
        "noise lag 1": lags[0],
        "noise lag 2": lags[1],
        "floor": quiet.mean((1, 2)) / (noise + 1e-6),
    }


def _peaks(row, noise, grid):
    """What the peaks of one pattern of maximum 1 show."""
    at, found = find_peaks(row, prominence=max(_PEAK, 6 * noise))
    prominence = found["prominences"]
    clear = (prominence > _CLEAR) & (prominence > 0.8 * row[at])
    at_clear = at[clear]
    half = peak_widths(row, at_clear, 0.5)
    deep = peak_widths(row, at_clear, 0.8)
    angle = grid.start + grid.step * at_clear
    width = half[0] * grid.step
    lean = (half[2] + half[3] - deep[2] - deep[3]) / half[0]
    heights = np.sort(np.sqrt(row[at]))[::-1]
    numbers = {"peaks": len(at)}
    for low, high in RANGES:
        numbers[f"fwhm {low}-{high}"] = _median(width[(angle >= low) & (angle < high)])
    numbers["tailing"] = _median(deep[0] / half[0])
    numbers["skew 5-40"] = _median(lean[angle < 40])
    for k in (2, 4, 8, 16):
        numbers[f"height {k}"] = heights[k - 1] if len(heights) >= k else 0.0
    return numbers


def _median(values):
    return np.median(values) if len(values) else np.nan


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
