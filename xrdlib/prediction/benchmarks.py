"""`xrdlib evaluate`: the released predictor on a named set of patterns."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from ..base import config, files, results
from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1, GRID
from ..learning import nulls
from ..learning.experiment import HOW_TO_GET_MEASURED, MEASURED
from ..learning.metrics import means
from ..symmetry.groups import N_GROUPS
from . import appraisal, benchmark_sets, readings
from .benchmark_sets import BenchmarkSet
from .evaluate import (
    FUSED,
    NO_LIBRARY,
    chance,
    measured,
    mineral_structures,
    null_priors,
    score_rows,
    table,
    weighed,
)
from .indexing import cells_of
from .lattices import same_lattice
from .predictor import Predictor, Seen, load_predictor

SETS = (MEASURED[1], benchmark_sets.OTHER, benchmark_sets.COMPOUNDS, benchmark_sets.CRYSTALS)

# A cell is right as near as this: a share of the edges, degrees.
_EDGES, _ANGLES = 0.05, 3.0


def run(
    name: str = MEASURED[1], weights: str | Path | None = None, path: str | Path | None = None
) -> dict:
    """Evaluate a predictor on one of `SETS`.

    Parameters
    ----------
    name : str
    weights : path-like, optional
        Of a predictor; by default the released one.
    path : path-like, optional
        A JSON file to write what is returned to.

    Returns
    -------
    dict
        "set", "rows" (as from `evaluate.table`) or what `judged` gives, and "made_with" (see
        `results.stamp`).

    Raises
    ------
    XrdlibError
        If the patterns are not at hand, the predictor has no library, or the file cannot be
        written.
    """
    settings, measured_sets = config.load(), measured()
    if not measured_sets:
        raise XrdlibError(f"No measured patterns: {HOW_TO_GET_MEASURED}.")
    predictor = load_predictor(weights)
    if predictor.retrieval is None:
        raise XrdlibError("The predictor has no library; give one that was built with it.")
    if name == MEASURED[1]:
        seen = readings.read(predictor, {name: measured_sets[name]}, settings.threads)
        rows = table(settings, predictor, seen, measured_sets, mineral_structures(settings))
        scores = {"rows": rows}
    else:
        chosen = benchmark_sets.load_set(name)
        known = null_priors(settings, predictor, measured_sets)
        if chosen.prior == "uniform":
            known = {nulls.PRIOR: np.full(N_GROUPS, 1 / N_GROUPS)}
        scores = judged(settings, predictor, chosen, known)
    scores = {"set": name, **scores, "made_with": results.stamp(settings)}
    if path:
        text = json.dumps(scores, indent=1, allow_nan=False, default=vars)
        files.write_text(path, f"{text}\n")
    return scores


def judged(
    settings: SimpleNamespace,
    predictor: Predictor,
    chosen: BenchmarkSet,
    known: dict[str, np.ndarray],
) -> dict:
    """Scores of a predictor, of its parts and of the nulls on each part of a set.

    Returns
    -------
    dict
        "rows" (`evaluate.score_rows`), "kinds" (all patterns by crystal system) and "coverage"
        (`appraisal.coverage` on each part). Where true cells are known, the rows of the predictor
        with and without its library also have "cell_found", the percentage of patterns whose most
        probable cell is, reduced, within 5 % and 3 degrees of the true one, with its interval.
    """
    patterns, rows = chosen.patterns, []
    seen = predictor.evidence(GRID.two_theta, patterns.intensity, workers=settings.threads)
    logp, labels = weighed(predictor, seen, chosen.prior), patterns.group.astype(int) - 1
    chances = chance(settings)
    for subset, index in chosen.parts.items():
        rows += score_rows(logp, subset, patterns, index, known, *chances)
    for row in rows if chosen.cells else ():
        if row["model"] in (FUSED, NO_LIBRARY):
            index = chosen.parts[row["subset"]]
            hit = 100.0 * _right_cells(predictor, chosen, seen, np.exp(logp[row["model"]]))[index]
            row |= means({"cell_found": hit}, patterns.family[index], chances[0], chances[2])
    systems = benchmark_sets.crystal_systems(patterns)
    truth = labels, patterns.family, systems, next(iter(known.values()))
    kinds = appraisal.breakdown(logp[FUSED], *truth, chances[0], chances[2], subset="all")
    sets = appraisal.coverage_of_parts(predictor, logp[FUSED], patterns, chosen.parts)
    return {"rows": rows, "kinds": {"crystal system": kinds}, "coverage": sets}


def _right_cells(
    predictor: Predictor, chosen: BenchmarkSet, seen: Seen, probability: np.ndarray
) -> np.ndarray:
    """Whether the most probable cell of each pattern is the true one, (n,) bool."""
    hits = []
    rows = zip(chosen.patterns.intensity, seen.fitted, probability, chosen.cells, strict=True)
    for pattern, fitted, p, true in rows:
        _, cells = cells_of(predictor.lattices.patterns, pattern, fitted, p, CU_KA1)
        near = cells and same_lattice(cells[0].standard.reduced(), true, _EDGES, _ANGLES)
        hits.append(bool(near))
    return np.array(hits)
