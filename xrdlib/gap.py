"""The gap from simulated to measured patterns, one nuisance at a time.

Measured patterns whose structure is known are simulated from that structure: without any nuisance,
with each alone, with one more at each step, with all but one, and with all that training draws. A
pattern's random numbers do not depend on the ranges (`counter`), so conditions differ by the
nuisance alone, and differences are paired.
"""

import numpy as np
import torch

from . import calibrate
from .experiment import PatternSet
from .groups import N_GROUPS
from .metrics import credit, log_likelihood, resamples
from .patterns import GRID, normalise
from .priors import log_ratio
from .realism import Realism, measured_like
from .simulator import COLLECTION, matched

CLEAN, EVERYTHING, LIKE = "clean", "as in training", "as in the collection"
# Fields of `Realism` that each nuisance is made of, with the values that take it away. Without
# widths lines are as narrow as the best of the collection, without background it is flat, of the
# median level, and subtracted perfectly: it must be there for noise to be of the right size.
NUISANCES = {
    "widths": {
        "fwhm": (0.064, 0.0),
        "lorentzian": (0.5, 0.5),
        "caglioti": (0.0, 0.0),
        "strain_width": (0.0, 0.0),
        "anisotropic": 0.0,
    },
    "noise": {"noise": (0.0037, 0.0), "counts": (1e12, 1e12)},
    "background": {
        "background": (0.10, 0.0),
        "polynomial": 0.0,
        "air": (0.0, 0.0),
        "hump_probability": 0.0,
        "subtracted": 1.0,
        "residual": 0.0,
    },
    "texture": {"no_texture": 1.0},
    "impurity": {"impurity": 0.0},
    "shifts, tails": {
        "zero_shift": 0.0,
        "displacement": 0.0,
        "asymmetry": (0.0, 0.0),
        "transparency": (0.0, 0.0),
    },
    "line errors": {
        "line_error": (0.0, 0.0),
        "smooth_error": 0.0,
        "debye_waller": (1.0, 1.0),
        "single_line": 0.0,
    },
    "cell strain": {"strain": (0.0, 0.0)},
    "faults": {"cropped": 0.0, "coarse": 0.0, "spikes": 0.0},
}


def ranges(present, base=None, **overrides):
    """Nuisance ranges with some nuisances only.

    Parameters
    ----------
    present : iterable of str
        Of `NUISANCES`; the others are taken away.
    base : Realism, optional
        Ranges of those present; by default those of laboratory patterns.
    overrides
        Fields that are set at the end.

    Returns
    -------
    Realism
    """
    values = vars(base or Realism.measured()).copy()
    for name in NUISANCES.keys() - set(present):
        values.update(NUISANCES[name])
    return Realism.measured(**{**values, **overrides})


def conditions(base=None):
    """All conditions that patterns are simulated under.

    Returns
    -------
    ladder, alone, without : dict of str to Realism
        By nuisance: it and those before it; it alone; all others. The first rung is `CLEAN`.
    ends : dict of str to Realism
        `EVERYTHING`, and `LIKE`: that with the background subtracted and the full range.
    """
    names = list(NUISANCES)
    ladder = {CLEAN: ranges((), base)}
    ladder |= {name: ranges(names[: i + 1], base) for i, name in enumerate(names)}
    alone = {name: ranges([name], base) for name in names}
    without = {name: ranges([n for n in names if n != name], base) for name in names}
    ends = {EVERYTHING: ranges(names, base), LIKE: ranges(names, base, **COLLECTION)}
    return ladder, alone, without, ends


def pairs(patterns, library, most=2):
    """Measured patterns whose structure is known, at most a few of each family.

    Parameters
    ----------
    patterns : rruff.Measured
    library : records.Reflections
    most : int
        Patterns of a family, the first ones.

    Returns
    -------
    rows, nearest : ndarray, (n,) int64
        Of the patterns and of the library, see `simulator.matched`.
    """
    x = normalise(torch.from_numpy(patterns.intensity)).numpy()
    label = patterns.group.astype(np.int64) - 1
    rows, nearest = matched(PatternSet(x, label, patterns.family, patterns.source), library, GRID)
    seen, kept = {}, []
    for i, family in enumerate(patterns.family[rows]):
        seen[family] = seen.get(family, 0) + 1
        if seen[family] <= most:
            kept.append(i)
    return rows[kept], nearest[kept]


def simulate(main, impurities, realism, draws, seed=0):
    """Patterns of crystals under one condition, (draws * n, GRID.size) float32.

    Parameters
    ----------
    main, impurities : records.Reflections
        n crystals, and the bank that second phases come from.
    realism : Realism
    draws : int
        Patterns of each crystal; those of one draw lie together.
    seed : int
        The same for all conditions that are compared.
    """
    n = len(main)
    index = torch.arange(draws * n)
    second = np.random.default_rng(seed).integers(len(impurities), size=draws * n)
    main = main.take(np.tile(np.arange(n), draws))
    return measured_like(main, realism, seed, index, GRID, impurities.take(second)).numpy()


def read(predictors, intensity):
    """Calibrated log-probabilities of networks, without retrieval, dict by name of (m, 99).

    Parameters
    ----------
    predictors : dict of str to predict.Predictor
        Loaded with ``retrieval=False``.
    intensity : ndarray, (m, GRID.size)
    """
    found = {}
    for title, predictor in predictors.items():
        evidence = predictor.evidence(GRID.two_theta, intensity).evidence
        minerals = predictor.metadata["minerals"]
        ratio = log_ratio(minerals, np.full(N_GROUPS, 1 / N_GROUPS))
        a = predictor.calibration
        found[title] = calibrate.rescale(evidence, a.T, a.w, ratio)
    return found


def gains(logp, labels, null):
    """Per-pattern scores, averaged over the draws of each pattern.

    Parameters
    ----------
    logp : ndarray, (draws * n, 99)
        As from `simulate`; measured patterns are one draw.
    labels : ndarray, (n,)
    null : ndarray, (99,)
        The prior-only prediction.

    Returns
    -------
    dict of ndarray, (n,)
        "top1", "top5" (percent), "nll" (nats), "bits" over the null.
    """
    draws = len(logp) // len(labels)
    truth = np.tile(labels, draws)
    told = log_likelihood(logp, truth)
    values = {
        "top1": 100 * credit(logp, truth, 1),
        "top5": 100 * credit(logp, truth, 5),
        "nll": -told,
        "bits": (told - np.log(null)[truth]) / np.log(2),
    }
    return {key: value.reshape(draws, -1).mean(0) for key, value in values.items()}


def row(values, families, n_boot=1000, seed=0):
    """Means of per-pattern scores with 95 % intervals over families.

    Parameters
    ----------
    values : dict of ndarray, (n,)
    families : ndarray, (n,)

    Returns
    -------
    dict
        Each key, and key + "_ci95"; with fewer than two families the interval is None.
    """
    found = {key: float(value.mean()) for key, value in values.items()}
    if len(np.unique(families)) < 2:
        return found | {f"{key}_ci95": None for key in values}
    stack = np.stack(list(values.values()), 1)
    means = np.concatenate(
        [w @ stack / w.sum(1, keepdims=True) for w in resamples(families, n_boot, seed)]
    )
    ends = np.percentile(means, [2.5, 97.5], axis=0).T.tolist()
    return found | {f"{key}_ci95": end for key, end in zip(values, ends, strict=True)}


def difference(values, others):
    """Per-pattern differences of scores, values less others."""
    return {key: value - others[key] for key, value in values.items()}


def shuffled(logp, labels, null):
    """Expected scores of predictions that are handed to patterns at random, per pattern.

    The exact mean over all permutations: every prediction with every label.
    """
    n = len(labels)
    every = gains(np.tile(logp, (n, 1)), np.repeat(labels, n), null)
    return {key: value.reshape(n, n).mean(1) for key, value in every.items()}
