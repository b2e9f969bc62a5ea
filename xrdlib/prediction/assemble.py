"""Build the released predictor: fit the weights of its parts, and leave parts out in turn.

Every row is fitted on the calibration patterns as the predictor was, and scored on the test ones.
"""

import itertools
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numpy.typing import ArrayLike

from ..base.errors import XrdlibError
from ..base.patterns import GRID
from ..identification import lattice_evidence, library
from ..identification.library import Library
from ..identification.retrieval import Retrieval
from ..learning import calibrate, checkpoint, priors, stages
from ..learning.calibrate import Calibration
from ..learning.experiment import MEASURED, folder
from ..learning.metrics import evaluate
from ..structures.measured import Measured
from ..symmetry.groups import N_GROUPS
from . import fusion, pattern_training, predictor_file, readings
from .evidence import Seen
from .known_structures import FILE, build_library
from .lattices import LATTICES_FILE, LATTICES_FOLDER
from .predictor import Predictor, load_predictor

FOLDER, PREDICTOR = "retrieval", "fused.safetensors"


def build(
    config: SimpleNamespace,
    measured_sets: dict[str, Measured],
    prior: ArrayLike,
    calibration: Calibration,
) -> tuple[Predictor | None, dict[str, Seen]]:
    """A predictor with retrieval and indexing, weighed on the calibration patterns.

    Parameters
    ----------
    measured_sets : dict of str to Measured
        Weights are fitted on `rruff-calibration` alone; if there is nothing, nothing is built.
    prior : array_like, (99,)
        Distribution that "minerals" stands for.
    calibration : calibrate.Calibration
        Of the network alone.

    Returns
    -------
    predictor : Predictor or None
    seen : dict of str to Seen
        What it sees in the measured sets, see `readings.read`.
    """
    folder_ = folder(config, FOLDER)  # also where it stays empty, since the pipeline looks for it
    if not measured_sets:
        return None, {}
    model, about = stages.load_model(config, "stage2")
    known, sources = build_library(config)
    library.save(folder_ / FILE, known, sources)
    lattices, indices = lattice_evidence.load(folder(config, LATTICES_FOLDER) / LATTICES_FILE)
    lattice_evidence.save(folder_ / LATTICES_FILE, lattices, indices)
    patterns = measured_sets[MEASURED[0]]
    metadata = {
        "calibration": asdict(calibration),
        "training_prior": about["training_prior"],
        "minerals": np.asarray(prior).tolist(),
        "fusion": asdict(fusion.Fusion(1.0, 1.0, 1.0)),
    }
    predictor = Predictor(model, metadata, Retrieval(known), lattices)
    seen = readings.read(predictor, measured_sets, config.threads, cut=False)
    predictor_file.write(
        folder_ / PREDICTOR,
        model,
        calibration,
        about["training_prior"],
        prior,
        **weights(seen[MEASURED[0]], patterns, prior),
        library={"file": FILE, "about": sources},
        lattices={"file": LATTICES_FILE, "about": indices},
        profile=config.profile,
        chosen_on=MEASURED[0],
    )
    return load_predictor(folder_ / PREDICTOR), seen


def weights(
    seen: Seen,
    patterns: Measured,
    prior: ArrayLike,
    simulated: Sequence[tuple[Seen, Measured]] = (),
) -> dict:
    """Weights of all parts of a predictor, and of fewer, from calibration patterns.

    Parameters
    ----------
    seen : evidence.Seen
        What its parts find in the patterns.
    prior : array_like, (99,)
        Distribution that "minerals" stands for.
    simulated : sequence of (evidence.Seen, measured.Measured)
        Sets that count as much together as the measured patterns, each as much as another.

    Returns
    -------
    dict
        By the names of `fusion.FUSIONS`, and for "retrieval_alone" and "lattices_alone": fields
        of `fusion.Fusion`; "conformal": families, classes, and scores for each of `FUSIONS`
        ("scores" for the whole), predicted with weights of other families.
    """
    ratio = priors.log_ratio(prior, np.full(N_GROUPS, 1 / N_GROUPS))
    seen, labels, families, votes = _joined([(seen, patterns), *simulated])
    told, silent = (labels, ratio, families), np.zeros_like(seen.evidence)
    places, whole = seen.lattice, seen.pattern
    parts = {
        "fusion": (seen.evidence, seen.similarity, places, whole),
        "without_retrieval": (seen.evidence, silent, places, whole),
        "without_indexing": (seen.evidence, seen.similarity, None, None),
        "retrieval_alone": (silent, seen.similarity, None, None),
        "lattices_alone": (silent, silent, places, whole),
    }
    own = labels[: len(patterns)]
    about = {"families": patterns.family.astype(str).tolist(), "classes": own.tolist()}
    found = {"conformal": about}
    for name, (network, similarity, *more) in parts.items():
        options = {"known": similarity is not silent, "votes": votes}
        found[name] = asdict(fusion.fit(network, similarity, *told, *more, **options))
        if name in fusion.FUSIONS.values():
            unseen = fusion.cross_fitted(network, similarity, *told, *more, **options)
            scores = calibrate.scores(unseen[: len(own)], own).round(9).tolist()
            found["conformal"]["scores" if name == "fusion" else name] = scores
    return found


def _joined(sets):
    """One `Seen` of all sets, with labels, families and votes of the patterns."""
    rows, labels, families, votes = [], [], [], []
    for k, (seen, patterns) in enumerate(sets):
        rows.append((seen.evidence, seen.similarity, seen.lattice, seen.pattern))
        labels.append(patterns.group.astype(int) - 1)
        families.append(patterns.family.astype(str))
        _, member, size = np.unique(families[k], return_inverse=True, return_counts=True)
        share = 1.0 if k == 0 else 1 / (len(sets) - 1)
        votes.append(share / size[member] / len(size))
    parts = [None if x[0] is None else np.concatenate(x) for x in zip(*rows, strict=True)]
    names = ("evidence", "similarity", "lattice", "pattern")
    seen = Seen(**dict(zip(names, parts, strict=True)))
    return seen, np.concatenate(labels), np.concatenate(families), np.concatenate(votes)


def reweigh(
    path: str | Path,
    patterns: Measured,
    simulated: tuple[np.ndarray, np.ndarray] | None = None,
    workers: int = 1,
    compounds: Sequence[Measured] = (),
) -> Predictor:
    """Fit the weights of a predictor's file anew; its network stays as it is.

    What is named beside it, the library and the sets of indices, may be newer than it is.

    Parameters
    ----------
    path : path-like
        A file that was written with a library and lattices.
    patterns : structures.measured.Measured
        Those that weights are to be chosen on.
    simulated : tuple, optional
        Patterns (n, GRID.size) and their classes, to learn first how far fits of whole patterns
        can be trusted; the file of lattices is then written anew too.
    workers : int
        Processes.
    compounds : sequence of measured.Measured
        Simulated sets that weights are chosen on, too; see `weights`.

    Returns
    -------
    predictor.Predictor

    Raises
    ------
    XrdlibError
        If a file is missing or damaged, or names no library or lattices.
    """
    model, metadata = checkpoint.load_weights(path), checkpoint.load_metadata(path)
    if not {"fusion", "library", "lattices"} <= set(metadata):
        raise XrdlibError(f"{path} names no library and lattices; give a predictor with both.")
    found = {}
    for name, (load, _) in predictor_file.BESIDE.items():
        file = metadata[name]["file"]
        found[name], about = load(Path(path).with_name(file))
        if name == "lattices" and simulated is not None:
            found[name].patterns = pattern_training.learn(found[name], *simulated, workers)
            about = {**about, "fits": len(simulated[1])}
            lattice_evidence.save(Path(path).with_name(file), found[name], about)
            about = load(Path(path).with_name(file))[1]
        metadata[name] = {"file": file, "about": about}
    predictor = Predictor(model, metadata, Retrieval(found["library"]), found["lattices"])
    seen, *more = (
        predictor.evidence(GRID.two_theta, own.intensity, workers=workers)
        for own in (patterns, *compounds)
    )
    simulated_sets = zip(more, compounds, strict=True)
    metadata |= weights(seen, patterns, metadata["minerals"], [*simulated_sets])
    families, extra = len(np.unique(patterns.family)), sum(map(len, compounds))
    about = f"{len(patterns)} measured patterns of {families} families"
    metadata["chosen_on"] = about + (f", {extra} simulated ones" if extra else "")
    checkpoint.save_weights(path, model, metadata)
    return load_predictor(path)


def rows(
    predictor: Predictor,
    seen: dict[str, Seen],
    known: Library,
    sources: list[dict],
    measured_sets: dict[str, Measured],
    null: ArrayLike,
    n_boot: int = 1000,
    seed: int = 0,
) -> list[dict]:
    """Scores on the test patterns with parts taken away.

    Parameters
    ----------
    seen : dict of str to Seen
        What it sees in the measured sets, see `readings.read`.
    known : library.Library
        Its library, source after source.
    sources : list of dict
        "structures" and "what" of each source, in order.
    null : array_like, (99,)
        Prior over which bits are counted.
    n_boot, seed
        As for `metrics.evaluate`.

    Returns
    -------
    list of dict
        Rows of `metrics.evaluate`, the whole first.
    """
    ends = np.cumsum([0] + [source["structures"] for source in sources])
    parts = [known.take(slice(*span)) for span in itertools.pairwise(ends)]
    evidence = {name: seen[name].evidence for name in MEASURED}
    lattice = {name: seen[name].lattice for name in MEASURED}
    whole = {name: seen[name].pattern for name in MEASURED}
    similar, rigid = {}, {}
    for name in MEASURED:
        intensity = measured_sets[name].intensity
        found = [Retrieval(part) for part in parts]
        similar[name] = [retrieval.similarities(intensity)[0] for retrieval in found]
        for retrieval in found:
            retrieval.parts = [(span, (0.0,)) for span, _ in retrieval.parts]
        rigid[name] = [retrieval.similarities(intensity)[0] for retrieval in found]
    uniform = np.full(N_GROUPS, 1 / N_GROUPS)
    ratio = priors.log_ratio(predictor.metadata["minerals"], uniform)
    nothing = {name: np.zeros_like(e) for name, e in evidence.items()}
    best = {name: np.max(s, axis=0) for name, s in similar.items()}
    everything = {
        "evidence": evidence,
        "similarity": best,
        "lattice": lattice,
        "whole": whole,
        "ratio": ratio,
        "families": True,
    }
    no_lattice = {"lattice": dict.fromkeys(MEASURED), "whole": dict.fromkeys(MEASURED)}
    changes = {
        "everything": {},
        "without the network": {"evidence": nothing},
        "without retrieval": {"similarity": nothing},
        "without indexing": no_lattice,
        "without fits of whole patterns": {"whole": dict.fromkeys(MEASURED)},
        "retrieval alone": {"evidence": nothing, **no_lattice},
        "indexing alone": {"evidence": nothing, "similarity": nothing},
        "without a prior": {"ratio": np.zeros(N_GROUPS)},
        "each pattern a vote, not each family": {"families": False},
        "without stretching cells": {
            "similarity": {n: np.max(s, axis=0) for n, s in rigid.items()}
        },
    }
    for i, source in enumerate(sources[1:], start=1):
        less = {n: np.max([*s[:i], *s[i + 1 :]], axis=0) for n, s in similar.items()}
        changes[f"without {source['what']}"] = {"similarity": less}
    if len(sources) > 2:
        first = {n: s[0] for n, s in similar.items()}
        changes[f"{sources[0]['what']} alone"] = {"similarity": first}
    return [
        _row(title, {**everything, **change}, measured_sets, null, n_boot, seed)
        for title, change in changes.items()
    ]


def _row(title, used, measured_sets, null, n_boot, seed):
    fitted, tested = MEASURED
    patterns = measured_sets[fitted]
    chosen = fusion.fit(
        used["evidence"][fitted],
        used["similarity"][fitted],
        patterns.group.astype(int) - 1,
        used["ratio"],
        patterns.family if used["families"] else None,
        used["lattice"][fitted],
        used["whole"][fitted],
        known=used["similarity"][fitted].any(),
    )
    logp = chosen.apply(
        used["evidence"][tested],
        used["similarity"][tested],
        used["ratio"],
        used["lattice"][tested],
        used["whole"][tested],
    )
    patterns = measured_sets[tested]
    told = (patterns.group.astype(int) - 1, patterns.family, np.log(null))
    return evaluate(title, tested, logp, *told, n_boot=n_boot, seed=seed)
