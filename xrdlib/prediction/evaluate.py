"""The released predictor on measured patterns, beside the nulls."""

from tempfile import TemporaryDirectory
from types import SimpleNamespace

import numpy as np
from numpy.typing import ArrayLike

from ..base.errors import XrdlibError
from ..base.patterns import GRID
from ..base.records import Reflections
from ..identification import searchmatch
from ..learning import calibrate, nulls, priors
from ..learning.experiment import MEASURED, load_structures
from ..learning.metrics import evaluate
from ..learning.outcomes import RECOGNISED, SEARCH
from ..simulation.diffraction import reflections
from ..structures import datasets, structure_library
from ..structures.datasets import MissingData
from ..structures.measured import Measured, halves
from ..symmetry.groups import N_GROUPS
from .fusion import Fusion
from .predictor import Predictor, Seen
from .readings import CROPPED

FUSED = "released"

# What is left of a predictor in rows of parts, after its name.
NETWORK, RETRIEVAL, LATTICES = (
    f"{FUSED}, {part} alone" for part in ("network", "retrieval", "indexing")
)

NO_LIBRARY, NO_INDEXING = f"{FUSED}, without the library", f"{FUSED}, without indexing"


def measured(settings: SimpleNamespace | None = None) -> dict[str, Measured]:
    """Measured patterns on `patterns.GRID`, split by family.

    Parameters
    ----------
    settings : SimpleNamespace, optional
        A configuration, whose `measured` limits the patterns of each half; by default all.

    Returns
    -------
    dict of str to Measured
        Empty where there are none at hand.
    """
    try:
        return dict(zip(MEASURED, halves(settings and settings.measured), strict=True))
    except MissingData:
        return {}


def log_probs(
    predictor: Predictor, intensity: np.ndarray, prior: str | ArrayLike = "minerals"
) -> dict[str, np.ndarray]:
    """Calibrated log-probabilities with retrieval, of each part alone, and with parts left out.

    Parameters
    ----------
    predictor : Predictor
        With retrieval.
    intensity : ndarray, (n, 4251)
        On `patterns.GRID`.
    prior
        As for `priors.resolve_prior`.

    Returns
    -------
    dict of str to ndarray, (n, 99)
        `FUSED`, `NETWORK`, `RETRIEVAL` and, with indexing, `LATTICES`, `NO_LIBRARY` (a new
        compound) and `NO_INDEXING`.
    """
    return weighed(predictor, predictor.evidence(GRID.two_theta, intensity), prior)


def weighed(
    predictor: Predictor, seen: Seen, prior: str | ArrayLike = "minerals"
) -> dict[str, np.ndarray]:
    """As `log_probs`, from what `predictor.Predictor.evidence` gives."""
    metadata = predictor.metadata
    target = priors.resolve_prior(prior, metadata["minerals"])
    ratio = priors.log_ratio(target, np.full(N_GROUPS, 1 / N_GROUPS))
    zeros = np.zeros_like(seen.evidence)
    alone = Fusion(**metadata["retrieval_alone"])
    logp = {
        FUSED: predictor.weigh(seen, ratio),
        NETWORK: predictor.calibration.apply(None, seen.evidence, ratio),
        RETRIEVAL: alone.apply(zeros, seen.similarity, ratio),
    }
    if seen.lattice is not None:
        lattices = seen.lattice, seen.pattern
        alone = Fusion(**metadata["lattices_alone"])
        logp[LATTICES] = alone.apply(zeros, zeros, ratio, *lattices)
        rest = Fusion(**metadata["without_retrieval"])
        logp[NO_LIBRARY] = rest.apply(seen.evidence, zeros, ratio, *lattices)
        rest = Fusion(**metadata["without_indexing"])
        logp[NO_INDEXING] = rest.apply(seen.evidence, seen.similarity, ratio)
    return logp


def subsets(name: str, best: np.ndarray, recognised: float) -> dict[str, np.ndarray]:
    """Rows of a measured set: all, those a mineral of the AMCSD resembles, and the others.

    Parameters
    ----------
    best : ndarray, (n,)
        Similarity of the best search-match.
    recognised : float
        Similarity from which a mineral resembles a pattern.

    Returns
    -------
    dict of str to ndarray of int
    """
    halves = {"": best > -np.inf, ", recognised": best >= recognised, ", unlike": best < recognised}
    return {f"{name}{which}": np.flatnonzero(mask) for which, mask in halves.items() if mask.any()}


def score_rows(
    logp: dict[str, np.ndarray],
    subset: str,
    patterns: Measured,
    index: np.ndarray,
    known: dict[str, np.ndarray],
    n_boot: int = 1000,
    n_shuffles: int = 200,
    seed: int = 0,
) -> list[dict]:
    """Table rows of predictions on one subset, with all nulls.

    Parameters
    ----------
    logp : dict of str to ndarray, (n, 99)
        The first one is shuffled.
    index : ndarray of int
        Rows that make the subset.
    known : dict of str to ndarray, (99,)
        Constant predictions, see `nulls.constants`.

    Returns
    -------
    list of dict
        Those of models also with "ece_if_calibrated", see `nulls.calibrated_ece`.
    """
    labels, families = patterns.group[index].astype(int) - 1, patterns.family[index]
    truth = (labels, families, np.log(next(iter(known.values()))))
    rows = [
        evaluate(title, subset, p[index], *truth, n_boot=n_boot, seed=seed)
        for title, p in logp.items()
    ]
    for row, p in zip(rows, logp.values(), strict=True):
        row["ece_if_calibrated"] = nulls.calibrated_ece(p[index], families, n_boot, seed)
    first = next(iter(logp.values()))[index]
    return [*rows, *nulls.beside(subset, first, labels, families, known, n_boot, n_shuffles, seed)]


def search_match(
    structures: Reflections, measured_sets: dict[str, Measured], prior: ArrayLike
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The baseline without learning, calibrated on the calibration patterns.

    Parameters
    ----------
    structures : records.Reflections
        The mineral structures of the AMCSD.
    prior : array_like, (99,)
        Target prior.

    Returns
    -------
    logp : dict of str to ndarray, (n, 99)
    best : dict of str to ndarray, (n,)
        Similarity to the most similar mineral.
    """
    known = searchmatch.library(structures)
    ratio = priors.log_ratio(prior, np.full(N_GROUPS, 1 / N_GROUPS))
    evidence, best = {}, {}
    for name, patterns in measured_sets.items():
        similarity = searchmatch.similarities(searchmatch.measured(patterns.intensity), known)
        scores = searchmatch.class_scores(similarity, structures.group)
        evidence[name] = searchmatch.log_probs(scores)
        best[name] = similarity.max(axis=1)
    calibration = MEASURED[0]
    labels = measured_sets[calibration].group.astype(int) - 1
    chosen = calibrate.fit(None, evidence[calibration], labels, ratio)
    return {name: chosen.apply(None, e, ratio) for name, e in evidence.items()}, best


def table(
    settings: SimpleNamespace,
    predictor: Predictor,
    seen: dict[str, Seen],
    measured_sets: dict[str, Measured],
    structures: Reflections,
    title: str = FUSED,
) -> list[dict]:
    """Rows of a predictor with retrieval, of its parts, of search-match and of the nulls.

    Parameters
    ----------
    settings : SimpleNamespace
        A configuration with the section `evaluate` and a seed.
    predictor : Predictor
        With retrieval.
    seen : dict of str to Seen
        What it sees in the test set, and maybe in the cut one, see `readings.read`.
    measured_sets : dict of str to Measured
        As from `measured`.
    structures : records.Reflections
        The mineral structures of the AMCSD, for search-match.
    title : str
        What the predictor is called.

    Returns
    -------
    list of dict
        For the test set, its halves by search-match, and what was seen of the cut test set.
    """
    name = MEASURED[1]
    patterns = measured_sets[name]
    minerals = predictor.metadata["minerals"]
    search, best = search_match(structures, measured_sets, minerals)
    logp = {**weighed(predictor, seen[name]), SEARCH: search[name]}
    known = null_priors(settings, predictor, measured_sets)
    rows = []
    for subset, index in subsets(name, best[name], RECOGNISED).items():
        rows += score_rows(logp, subset, patterns, index, known, *chance(settings))
    if CROPPED in seen:
        short, every = weighed(predictor, seen[CROPPED]), np.arange(len(patterns.group))
        rows += score_rows(short, CROPPED, patterns, every, known, *chance(settings))
    return [{**row, "model": row["model"].replace(FUSED, title)} for row in rows]


def chance(settings: SimpleNamespace) -> tuple[int, int, int]:
    """Numbers of resamples and permutations, and the seed, of `score_rows`."""
    return settings.evaluate.bootstrap, settings.evaluate.shuffles, settings.seed


def null_priors(
    settings: SimpleNamespace, predictor: Predictor, measured_sets: dict[str, Measured]
) -> dict[str, np.ndarray]:
    """Constant predictions: groups of the calibration patterns and of minerals."""
    patterns = measured_sets[MEASURED[0]]
    strength, minerals = settings.evaluate.prior_strength, predictor.metadata["minerals"]
    labels = patterns.group.astype(int) - 1
    return nulls.constants(labels, patterns.family, strength, minerals)


def null(
    settings: SimpleNamespace, predictor: Predictor, measured_sets: dict[str, Measured]
) -> np.ndarray:
    """The prior-only prediction that bits are counted over, (99,): the first of `null_priors`."""
    return null_priors(settings, predictor, measured_sets)[nulls.PRIOR]


def mineral_structures(settings: SimpleNamespace) -> Reflections:
    """Reflections of the AMCSD structures: those of a run of the profile, or made anew."""
    try:
        return load_structures(settings, "library")
    except XrdlibError:
        with TemporaryDirectory() as folder:
            crystals, entries = structure_library.build_amcsd(datasets.fetch("amcsd"), folder)
        known = entries["stated_group"].to_numpy() > 0
        return reflections(crystals.take(known))
