"""Build the released predictor: fit the weights of its parts, and leave parts out in turn.

Every row is fitted on the calibration patterns as the predictor was, and scored on the test ones.
"""

from dataclasses import asdict

import numpy as np

from ..base.patterns import GRID
from ..identification import lattice_evidence, library
from ..identification.library import Library
from ..identification.retrieval import Retrieval
from ..learning import calibrate, priors, stages
from ..learning.experiment import MEASURED, folder, load_bank
from ..learning.metrics import evaluate
from ..symmetry.groups import N_GROUPS
from . import fusion
from .lattices import LATTICES_FILE, LATTICES_FOLDER
from .predictor import Predictor, load_predictor, write

FOLDER, FILE, PREDICTOR = "retrieval", "library.safetensors", "fused.safetensors"

# Bank of a profile -> what its structures are, and whether their cells were computed.
SOURCES = {
    "library": ("minerals of the AMCSD file, nine sites or fewer", False),
    "refinements": ("phases of the BGMN structure files", False),
    "compounds": ("compounds of the Open Quantum Materials Database", True),
}


def build_library(config):
    """All structures that a profile knows, and where they come from.

    Returns
    -------
    library : library.Library
    about : dict
        "sources": list of {"structures", "what", "computed"}.
    """
    parts, sources = [], []
    for bank, (what, computed) in SOURCES.items():
        if not getattr(config.synthesis, bank, True):
            continue
        parts.append(library.from_reflections(load_bank(config, bank), computed))
        sources.append({"structures": len(parts[-1]), "what": what, "computed": computed})
    return library.join(parts), {"sources": sources}


def build(config, measured_sets, prior, calibration):
    """A predictor with retrieval and indexing, weighed on the calibration patterns.

    Parameters
    ----------
    config : namespace
    measured_sets : dict of str to rruff.Measured
        Weights are fitted on `rruff-calibration` alone; if there is nothing, nothing is built.
    prior : array_like, (99,)
        Distribution that "minerals" stands for.
    calibration : calibrate.Calibration
        Of the network alone.

    Returns
    -------
    predict.Predictor or None
    """
    folder_ = folder(config, FOLDER)  # also where it stays empty, since the pipeline looks for it
    if not measured_sets:
        return None
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
    seen = predictor.evidence(GRID.two_theta, patterns.intensity)
    ratio = priors.log_ratio(prior, np.full(N_GROUPS, 1 / N_GROUPS))
    labels = patterns.group.astype(int) - 1
    told, silent = (labels, ratio, patterns.family), np.zeros_like(seen.evidence)
    unseen = fusion.cross_fitted(seen.evidence, seen.similarity, *told, seen.lattice)
    write(
        folder_ / PREDICTOR,
        model,
        calibration,
        about["training_prior"],
        prior,
        fusion=asdict(fusion.fit(seen.evidence, seen.similarity, *told, seen.lattice)),
        retrieval_alone=asdict(fusion.fit(silent, seen.similarity, *told)),
        lattices_alone=asdict(fusion.fit(silent, silent, *told, seen.lattice)),
        conformal={
            "scores": calibrate.scores(unseen, labels).round(9).tolist(),
            "families": patterns.family.astype(str).tolist(),
        },
        library={"file": FILE, "about": sources},
        lattices={"file": LATTICES_FILE, "about": indices},
        profile=config.profile,
        chosen_on=MEASURED[0],
    )
    return load_predictor(folder_ / PREDICTOR)


def rows(predictor, known, sources, measured_sets, null, n_boot=1000, seed=0):
    """Scores on the test patterns with parts taken away.

    Parameters
    ----------
    predictor : predict.Predictor
    known : library.Library
        Its library, source after source.
    sources : list of dict
        "structures" and "what" of each source, in order.
    measured_sets : dict of str to rruff.Measured
    null : array_like, (99,)
        Prior over which bits are counted.
    n_boot, seed
        As for `metrics.evaluate`.

    Returns
    -------
    list of dict
        Rows of `metrics.evaluate`, the whole first.
    """
    parts = _sources(known, sources)
    evidence, similar, rigid, lattice = {}, {}, {}, {}
    for name in MEASURED:
        intensity = measured_sets[name].intensity
        seen = predictor.evidence(GRID.two_theta, intensity)
        evidence[name], lattice[name] = seen.evidence, seen.lattice
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
        "ratio": ratio,
        "families": True,
    }
    changes = {
        "everything": {},
        "without the network": {"evidence": nothing},
        "without retrieval": {"similarity": nothing},
        "without indexing": {"lattice": dict.fromkeys(MEASURED)},
        "retrieval alone": {"evidence": nothing, "lattice": dict.fromkeys(MEASURED)},
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
    )
    logp = chosen.apply(
        used["evidence"][tested], used["similarity"][tested], used["ratio"], used["lattice"][tested]
    )
    patterns = measured_sets[tested]
    told = (patterns.group.astype(int) - 1, patterns.family, np.log(null))
    return evaluate(title, tested, logp, *told, n_boot=n_boot, seed=seed)


def _sources(known, sources):
    """The library's parts, one for each source."""
    ends = np.cumsum([source["structures"] for source in sources])
    parts = []
    for first, last in zip([0, *ends[:-1]], ends, strict=True):
        lines = slice(known.start[first], known.start[last])
        parts.append(
            Library(
                start=known.start[first : last + 1] - known.start[first],
                position=known.position[lines],
                height=known.height[lines],
                group=known.group[first:last],
                computed=known.computed[first:last],
                name=known.name[first:last],
            )
        )
    return parts
