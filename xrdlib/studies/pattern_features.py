"""Features of patterns, and how well a classifier of features separates two sets of patterns.

An area under the curve (AUC) of 0.5 means that it cannot distinguish them, 1 that it always can.
"""

import numpy as np
import pandas as pd
from numpy import ndarray
from scipy.signal import find_peaks, peak_widths
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ..base.errors import XrdlibError
from ..base.patterns import GRID, Grid

RANGES = ((5, 30), (30, 60), (60, 90))  # degrees 2theta, for which widths are given separately

_FINE, _BROAD = 0.5, 2.5  # degrees; windows in which noise and background are read
_EDGE = 0.1  # degrees at either end, which a scan may just not reach
_QUIET = 0.3  # share of the windows, those of lowest level, that count as between the peaks
_PEAK = 0.02  # of the strongest; peaks are counted down to here or to six times the noise
_CLEAR = 0.05  # of the strongest; shapes are read from peaks at least as high, and isolated


def features(x: ndarray, grid: Grid = GRID) -> pd.DataFrame:
    """Numbers that describe patterns.

    Parameters
    ----------
    x : array_like, (n, grid.size)
        Intensities, at least 0, each row on any scale.

    Returns
    -------
    pandas.DataFrame, n rows
        peaks : number of peaks.
        fwhm 5-30, fwhm 30-60, fwhm 60-90 : median width of clear peaks in degrees (NaN: none).
        tailing : median of width at 4/5 of the depth over that at half; 1.6 for a Gaussian, 2 for
        a Lorentzian.
        skew 5-40 : median of how far the middle at 4/5 of the depth lies to the left of that at
        half, in half widths, below 40 degrees.
        noise : standard deviation between the peaks, of the strongest one.
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
    windows = _windows(x, grid, _FINE)
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
    at, shown = find_peaks(row, prominence=max(_PEAK, 6 * noise))
    prominence = shown["prominences"]
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


def two_sample(
    a: ndarray,
    b: ndarray,
    groups: ndarray,
    seed: int = 0,
    folds: int = 5,
    permutations: int = 50,
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

    Gives "features": "auc", "null95" (2.5 and 97.5 % of the permutations), "p", and "single" (AUC
    of each feature alone, by name, above 0.5 where it is larger in b). "pairs", "groups".

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
    observed = _features_auc(x, splits)
    swaps = np.random.default_rng(seed).random((permutations, len(a), 1)) < 0.5
    null = [_features_auc(np.where(swap, x[::-1], x), splits) for swap in swaps]
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    columns = imputer.fit_transform(np.concatenate(x)).T.reshape(-1, 2, len(a))
    return {
        "features": {
            "auc": observed,
            "null95": np.quantile(null, [0.025, 0.975]).tolist() if null else None,
            "p": (1 + sum(value >= observed for value in null)) / (1 + len(null)),
            "single": dict(zip(tables[0], map(_auc, columns), strict=True)),
        },
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
