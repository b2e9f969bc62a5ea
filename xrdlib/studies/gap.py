"""The gap between simulated and measured patterns, one nuisance at a time.

Measured patterns whose structure is known are simulated from that structure: without any nuisance,
with each alone, with one more at each step, with all but one, and with all that training draws. A
pattern's random numbers do not depend on the ranges (`counter`), so conditions differ by the
nuisance alone, and differences are paired.
"""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from numpy import ndarray

from ..base.patterns import GRID
from ..base.records import Reflections
from ..learning import calibrate
from ..learning.experiment import MEASURED
from ..learning.metrics import credit, log_likelihood, means
from ..learning.priors import log_ratio
from ..prediction.evaluate import search_match
from ..prediction.predictor import Predictor
from ..simulation.realism import Realism, measured_like
from ..structures.measured import Measured
from ..symmetry.groups import N_GROUPS
from .comparison import changes, corrected, per_pattern
from .simulator import COLLECTION
from .specimens import own_structure

CLEAN, EVERYTHING, LIKE = "clean", "as in training", "as in the collection"
MEASURED_ROW, PRIOR_ROW, SHUFFLED_ROW = "measured", "prior only", "measured, shuffled"
FEWEST = 5  # families, below which there is no comparison

# Fields of `Realism` that each nuisance is made of, with the values that take it away. Without
# widths peaks are as narrow as the best of the collection, without background it is flat, of the
# median level, and subtracted perfectly: it must be there for noise to be of the right size.
_ZERO = (0.0, 0.0)
NUISANCES = {
    "widths": {"fwhm": (0.064, 0.0), "lorentzian": (0.5, 0.5), "anisotropic": 0.0}
    | dict.fromkeys(("caglioti", "strain_width"), _ZERO),
    "noise": {"noise": (0.0037, 0.0), "counts": (1e12, 1e12)},
    "background": {"background": (0.10, 0.0), "air": _ZERO, "subtracted": 1.0}
    | dict.fromkeys(("polynomial", "hump_probability", "residual"), 0.0),
    "texture": {"no_texture": 1.0},
    "impurity": {"impurity": 0.0},
    "shifts, tails": dict.fromkeys(("zero_shift", "displacement"), 0.0)
    | dict.fromkeys(("asymmetry", "transparency"), _ZERO),
    "line errors": {"line_error": _ZERO, "debye_waller": (1.0, 1.0)}
    | dict.fromkeys(("smooth_error", "single_line"), 0.0),
    "cell strain": {"strain": _ZERO},
    "faults": dict.fromkeys(("cropped", "coarse", "spikes"), 0.0),
}


def ranges(present: list[str], base: Realism | None = None, **overrides: object) -> Realism:
    """Nuisance ranges with those of `NUISANCES` that are present; the others are taken away.

    `base` gives the ranges of those present, by default those of laboratory patterns; `overrides`
    are fields that are set at the end.
    """
    values = vars(base or Realism.measured()).copy()
    for name in NUISANCES.keys() - set(present):
        values.update(NUISANCES[name])
    return Realism.measured(**{**values, **overrides})


def conditions() -> SimpleNamespace:
    """All conditions that patterns are simulated under.

    By nuisance `ladder` (it and those before it; the first rung is `CLEAN`), `alone` and `without`
    (all others); and `ends`: `EVERYTHING`, and `LIKE`, that with the background subtracted and the
    full range.
    """
    names = list(NUISANCES)
    return SimpleNamespace(
        ladder={CLEAN: ranges([])} | {n: ranges(names[: i + 1]) for i, n in enumerate(names)},
        alone={name: ranges([name]) for name in names},
        without={name: ranges([n for n in names if n != name]) for name in names},
        ends={EVERYTHING: ranges(names), LIKE: ranges(names, **COLLECTION)},
    )


def pairs(patterns: Measured, library: Reflections, most: int = 2) -> tuple[ndarray, ndarray]:
    """Measured patterns whose structure is known, the first few of each family, and its row, (n,).

    See `specimens.own_structure`.
    """
    rows, nearest = own_structure(patterns.intensity, patterns.group, library)
    kept = pd.Series(patterns.family[rows]).groupby(patterns.family[rows]).cumcount() < most
    return rows[kept], nearest[kept]


def simulate(
    main: Reflections, impurities: Reflections, realism: Realism, draws: int, seed: int = 0
) -> ndarray:
    """Patterns of n crystals under one condition, (draws * n, GRID.size) float32.

    Second phases come from `impurities`. Patterns of one draw lie together; the seed is
    the same for all conditions that are compared.
    """
    n = len(main)
    second = np.random.default_rng(seed).integers(len(impurities), size=draws * n)
    main, index = main.take(np.tile(np.arange(n), draws)), torch.arange(draws * n)
    return measured_like(main, realism, seed, index, GRID, impurities.take(second)).numpy()


def read(predictors: dict[str, Predictor], intensity: ndarray) -> dict[str, ndarray]:
    """Calibrated log-probabilities of networks without retrieval, by name, (m, 99) each."""
    logp = {}
    for title, predictor in predictors.items():
        evidence = predictor.evidence(GRID.two_theta, intensity).evidence
        ratio = log_ratio(predictor.metadata["minerals"], np.full(N_GROUPS, 1 / N_GROUPS))
        fit = predictor.calibration
        logp[title] = calibrate.rescale(evidence, fit.T, fit.w, ratio)
    return logp


def gains(logp: ndarray, labels: ndarray, null: ndarray) -> dict[str, ndarray]:
    """Per-pattern scores, averaged over the draws of each pattern.

    Log-probabilities (draws * n, 99) as of `simulate`; measured patterns are one draw. `null` (99,)
    is the prior-only prediction.

    "top1", "top5" (percent), "nll" (nats), "bits" over the null, (n,) each.
    """
    draws = len(logp) // len(labels)
    truth = np.tile(labels, draws)
    likelihood = log_likelihood(logp, truth)
    values = {
        "top1": 100 * credit(logp, truth, 1),
        "top5": 100 * credit(logp, truth, 5),
        "nll": -likelihood,
        "bits": (likelihood - np.log(null)[truth]) / np.log(2),
    }
    return {key: value.reshape(draws, -1).mean(0) for key, value in values.items()}


def shuffled(logp: ndarray, labels: ndarray, null: ndarray) -> dict[str, ndarray]:
    """Scores of predictions handed to patterns at random, (n,): every one with every label."""
    n = len(labels)
    every = gains(np.tile(logp, (n, 1)), np.repeat(labels, n), null)
    return {key: value.reshape(n, n).mean(1) for key, value in every.items()}


def study(
    predictors: dict[str, Predictor],
    measured_sets: dict[str, Measured],
    library: Reflections,
    null: ndarray | None,
    draws: int = 3,
    seed: int = 0,
) -> dict:
    """Scores of networks under every condition, on the patterns of known structure.

    Predictors have no retrieval; measured sets as from `evaluate.measured` may be none, and then
    there is no `null` (99,), the prior-only prediction; `library` has all structures. Each
    structure has `draws` patterns under each condition.

    Gives, for JSON, "note" (None, or why there is no comparison with measured patterns), "order"
    (nuisances), "draws", "parts" (by measured set) and "search"
    (`beside_search`).
    """
    parts = {}
    for name, patterns in measured_sets.items():
        rows, nearest = pairs(patterns, library)
        chosen = patterns.take(rows)
        if len(set(chosen.family)) >= FEWEST:
            draw = partial(simulate, library.take(nearest), library, draws=draws, seed=seed)
            # Which nuisance hurts is asked of the calibration half, the test half confirms.
            parts[name] = _part(predictors, chosen, draw, null, name == MEASURED[0])
    return {
        "note": None if parts else "Too few measured patterns of known structure were at hand.",
        "order": list(NUISANCES),
        "draws": draws,
        "search": beside_search(predictors, measured_sets, library, null, seed=seed),
        "parts": parts,
    }


def beside_search(
    predictors: dict[str, Predictor],
    measured_sets: dict[str, Measured],
    library: Reflections,
    null: ndarray,
    n_boot: int = 1000,
    seed: int = 0,
) -> list[dict]:
    """Networks less search-match, which learns nothing, on the same measured test patterns.

    Rows have "network", "subset", "n", "n_families", "top1" (percent) and "bits" of the network,
    "search_top1" and "search_bits", and `comparison.changes`, in bits corrected for the number of
    networks; none without measured patterns.
    """
    subset, rows = MEASURED[1], []
    if subset not in measured_sets:
        return rows
    patterns = measured_sets[subset]
    labels, families = patterns.group.astype(int) - 1, patterns.family
    minerals = next(iter(predictors.values())).metadata["minerals"]
    search = per_pattern(search_match(library, measured_sets, minerals)[0][subset], labels, null)
    for title, logp in read(predictors, patterns.intensity).items():
        own = per_pattern(logp, labels, null)
        means_of = {key: float(own[key].mean()) for key in ("top1", "bits")}
        means_of |= {f"search_{key}": float(search[key].mean()) for key in ("top1", "bits")}
        counts = {"n": len(labels), "n_families": len(np.unique(families))}
        row = {"network": title, "subset": subset, **counts, **means_of}
        rows.append(row | changes(own, search, families, n_boot, seed))
    corrected(rows)
    return rows


def _part(predictors, patterns, draw, null, whole):
    """Rows of one measured set: measured, its nulls, both ends, and nuisance by nuisance."""
    labels, families = patterns.group.astype(int) - 1, patterns.family
    every = conditions()
    kinds = {"ends": {CLEAN: every.ladder.pop(CLEAN), **every.ends}}
    if whole:
        kinds |= {"ladder": every.ladder, "alone": every.alone, "without": every.without}
    scores = {title: {} for title in predictors}
    for kind, them in kinds.items():
        for name, realism in them.items():
            for title, logp in read(predictors, draw(realism)).items():
                scores[title][kind, name] = gains(logp, labels, null)
    constant = gains(np.tile(np.log(null), (len(labels), 1)), labels, null)
    measured = read(predictors, patterns.intensity)
    networks = {}
    for title, own in scores.items():
        own["ends", MEASURED_ROW] = real = gains(measured[title], labels, null)
        rows = {MEASURED_ROW: real, PRIOR_ROW: constant}
        rows[SHUFFLED_ROW] = shuffled(measured[title], labels, null)
        rows |= {end: own["ends", end] for end in (CLEAN, EVERYTHING, LIKE)}
        # Paired differences between the ends, each less the one before.
        chain = [CLEAN, LIKE, MEASURED_ROW]
        steps = {
            f"{a} to {b}": means(_less(own["ends", b], own["ends", a]), families)
            for a, b in zip(chain, chain[1:], strict=False)
        }
        rows = {name: means(values, families) for name, values in rows.items()}
        networks[title] = {"rows": rows, "steps": steps}
        if whole:
            networks[title] |= _nuisances(own, families)
    return {"n": len(labels), "families": len(set(families)), "networks": networks}


def _less(values, others):
    return {key: value - others[key] for key, value in values.items()}


def _nuisances(own, families):
    """What each nuisance changes at its step, alone, and as the last, and which one costs most."""
    table, last, before = [], {}, own["ends", CLEAN]
    for name in NUISANCES:
        rung = own["ladder", name]
        changes = {
            "step": _less(rung, before),
            "alone": _less(own["alone", name], own["ends", CLEAN]),
            "last": _less(own["ends", EVERYTHING], own["without", name]),
        }
        kept = {kind: means(change, families) for kind, change in changes.items()}
        table.append({"nuisance": name, **means(rung, families), **kept})
        last[name], before = changes["last"], rung
    worst = min(last, key=lambda name: last[name]["bits"].mean())
    rest = {n: means(_less(last[n], last[worst]), families) for n in last if n != worst}
    # Paired with the worst: whose interval holds zero could be the worst as well.
    alike = [name for name, gain in rest.items() if gain["bits_ci95"][0] <= 0]
    return {"nuisances": table, "worst": worst, "alike": alike}
