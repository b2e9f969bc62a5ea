"""Retrieval and indexing beside a trained network: the library of a profile, and all weights."""

from dataclasses import asdict

import numpy as np

from . import conformal, fusion, indexing, lattice_evidence, library, predict, priors, stages
from .experiment import MEASURED, folder, load_bank
from .groups import N_GROUPS
from .patterns import GRID
from .retrieval import Retrieval

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
    lattices, indices = lattice_evidence.load(folder(config, indexing.FOLDER) / indexing.FILE)
    lattice_evidence.save(folder_ / indexing.FILE, lattices, indices)
    patterns = measured_sets[MEASURED[0]]
    metadata = {
        "calibration": asdict(calibration),
        "training_prior": about["training_prior"],
        "minerals": np.asarray(prior).tolist(),
        "fusion": asdict(fusion.Fusion(1.0, 1.0, 1.0)),
    }
    predictor = predict.Predictor(model, metadata, Retrieval(known), lattices)
    seen = predictor.evidence(GRID.two_theta, patterns.intensity)
    ratio = priors.log_ratio(prior, np.full(N_GROUPS, 1 / N_GROUPS))
    labels = patterns.group.astype(int) - 1
    told, silent = (labels, ratio, patterns.family), np.zeros_like(seen.evidence)
    unseen = fusion.cross_fitted(seen.evidence, seen.similarity, *told, seen.lattice)
    predict.write(
        folder_ / PREDICTOR,
        model,
        calibration,
        about["training_prior"],
        prior,
        fusion=asdict(fusion.fit(seen.evidence, seen.similarity, *told, seen.lattice)),
        retrieval_alone=asdict(fusion.fit(silent, seen.similarity, *told)),
        lattices_alone=asdict(fusion.fit(silent, silent, *told, seen.lattice)),
        conformal={
            "scores": conformal.scores(unseen, labels).round(9).tolist(),
            "families": patterns.family.astype(str).tolist(),
        },
        library={"file": FILE, "about": sources},
        lattices={"file": indexing.FILE, "about": indices},
        profile=config.profile,
        chosen_on=MEASURED[0],
    )
    return predict.load_predictor(folder_ / PREDICTOR)
