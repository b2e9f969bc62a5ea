"""Who reads what from patterns whose lattice, absences or intensities are kept or destroyed.

Lattice, absences and intensities of held-out minerals are destroyed in all eight combinations.
Positions of one mineral with intensities of another say which of both is read.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from types import SimpleNamespace

import numpy as np
import torch
from numpy import ndarray

from ..base.patterns import GRID
from ..base.records import Reflections
from ..identification import library
from ..identification.retrieval import Retrieval
from ..learning import priors, stages
from ..learning.calibrate import Calibration
from ..learning.experiment import folder, load_bank, realism, seed
from ..prediction import fusion, predictor
from ..prediction.assemble import SOURCES
from ..simulation.realism import measured_like
from ..symmetry.groups import N_GROUPS, OPERATORS, templates
from . import knockouts
from .information import LATTICE, Votes, readings, votes_of
from .knockouts import KINDS, UNTOUCHED
from .simulator import COLLECTION

NOTHING = "lattice, absences and intensities destroyed"
EQUAL, WIDE = "intensities all equal", "lines 0.35 degrees wide"
SAME, OTHER = "intensities of another mineral, same group", "intensities of another group"
DONOR = "intensities of another group, asked for that group"
RELEASED, OWN = "released network", "network of this profile"
KNOWN, UNKNOWN = "retrieval, structure known", "retrieval, structure unknown"

_WIDTH = {"fwhm": (0.35, 0.05), "fwhm_limits": (0.3, 0.4)}
_STRENGTH = 50  # votes by which the minerals' frequencies are drawn to uniform classes
_SLICE = 32


@dataclass(frozen=True)
class Altered:
    """Crystals to simulate, and what their patterns are asked for."""

    made: Reflections
    rows: ndarray  # (n,) number of the nuisances of each pattern
    asked: dict[str, Reflections]  # whose groups are the right answers, by name of the question
    changes: dict = field(default_factory=dict)  # of the realism


@dataclass(frozen=True)
class Answers:
    """What readers say, by their name, (n, 99) log-probabilities each.

    Weights of evidence and prior are `refitted` on other families of the same intervention
    (`fusion.cross_fitted`), so that a reader is not charged for trusting what was destroyed, or
    `kept` from the untouched patterns.
    """

    votes: Votes  # the right answers
    refitted: dict[str, ndarray]
    kept: dict[str, ndarray]


def minerals(config: SimpleNamespace, most: int = 400) -> tuple[Reflections, Reflections, dict]:
    """One structure of each held-out family, at most so many, whose absences are understood.

    Gives them, the same without absences of screws and glides, and how many "families" are held
    out, "used", and "with absences" of screws or glides.
    """
    bank = load_bank(config, "holdout")
    first = np.unique(bank.name, return_index=True)[1]
    order = np.random.default_rng(config.seed).permutation(len(first))[:most]
    bank = bank.take(np.sort(first[order]))
    filled, added = knockouts.without_absences(bank, config.seed)
    usable = np.flatnonzero(added >= 0)
    counts = {"families": len(first), "used": len(usable), "with absences": int((added > 0).sum())}
    return bank.take(usable), filled.take(usable), counts


def title(destroyed: list[str]) -> str:
    """Name of the pattern without some of `KINDS`."""
    if len(destroyed) == len(KINDS):
        return NOTHING
    return f"{' and '.join(destroyed)} destroyed" if destroyed else UNTOUCHED


def interventions(config: SimpleNamespace, bank: Reflections, filled: Reflections) -> list[Altered]:
    """Reflections of every intervention on `minerals`, the untouched ones first."""
    every = np.arange(len(bank))
    found = []
    for lost in product((False, True), repeat=len(KINDS)):
        destroyed = [kind for kind, gone in zip(KINDS, lost, strict=True) if gone]
        made = filled if "absences" in destroyed else bank
        if "intensities" in destroyed:
            made = knockouts.permuted(made, config.seed)
        if "lattice" in destroyed:
            made = knockouts.without_lattice_symmetry(made, config.seed)
        found.append(Altered(made, every, {title(destroyed): bank}))
    found.append(Altered(knockouts.equal(bank), every, {EQUAL: bank}))
    found.append(Altered(bank, every, {WIDE: bank}, _WIDTH))
    for name, same in ((SAME, True), (OTHER, False)):
        rows, others = donors(bank, same, config.seed)
        if len(rows):
            own, foreign = bank.take(rows), bank.take(others)
            asked = {name: own} if same else {name: own, DONOR: foreign}
            found.append(Altered(knockouts.with_intensities_of(own, foreign), rows, asked))
    return found


def donors(bank: Reflections, same: bool, seed: int) -> tuple[ndarray, ndarray]:
    """Rows of crystals, and for each a crystal of another family, of the same group or another."""
    rng = np.random.default_rng(seed)
    rows, others = [], []
    for i in range(len(bank)):
        fits = (bank.group == bank.group[i]) == same
        choice = np.flatnonzero(fits & (bank.name != bank.name[i]))
        if len(choice):
            rows.append(i)
            others.append(rng.choice(choice))
    return np.array(rows, dtype=np.int64), np.array(others, dtype=np.int64)


def simulate(config: SimpleNamespace, one: Altered) -> ndarray:
    """One pattern of each crystal on `patterns.GRID`, (n, 4251) float32."""
    ranges = realism(config, **{**COLLECTION, **one.changes})
    parts = []
    for rows in np.split(np.arange(len(one.made)), range(_SLICE, len(one.made), _SLICE)):
        number = torch.from_numpy(one.rows[rows])
        about = ranges, seed(config, "holdout"), number, GRID
        parts.append(measured_like(one.made.take(rows), *about))
    return torch.cat(parts).numpy()


def readers(
    config: SimpleNamespace, bank: Reflections
) -> Callable[[ndarray], dict[str, tuple[ndarray, ndarray]]]:
    """Who reads the patterns: a function from intensities to (evidence, similarity) of each.

    The released network, the network of the profile where there is one, and retrieval from the
    minerals of the AMCSD without the held-out ones, and with the very structures of `bank`.
    """
    known = Retrieval(library.from_reflections(load_bank(config, "train"), SOURCES["library"][1]))
    own = Retrieval(library.from_reflections(bank))
    networks = {RELEASED: predictor.load_predictor(retrieval=False, indexing=False)}
    if (folder(config, "models") / "stage2.safetensors").exists():
        model, about = stages.load_model(config, "stage2")
        told = {"training_prior": about["training_prior"], "calibration": vars(Calibration())}
        networks[OWN] = predictor.Predictor(model, told)

    def read(intensity):
        flat = np.zeros((len(intensity), N_GROUPS))
        found = {
            name: (network.evidence(GRID.two_theta, intensity).evidence, flat)
            for name, network in networks.items()
        }
        similarity = known.similarities(intensity)[0]
        found[UNKNOWN] = (flat, similarity)
        found[KNOWN] = (flat, np.maximum(similarity, own.similarities(intensity)[0]))
        return found

    return read


def frequencies(config: SimpleNamespace) -> ndarray:
    """Class frequencies of the minerals that were not held out, (99,)."""
    bank = load_bank(config, "train")
    index = np.unique(np.char.add(bank.name, bank.group.astype(str)), return_index=True)[1]
    counts = np.bincount(bank.group[index] - 1, minlength=N_GROUPS)
    return priors.smooth_prior(counts, _STRENGTH)


def predictions(
    config: SimpleNamespace, altered: list[Altered], read: Callable, prior: ndarray
) -> dict[str, Answers]:
    """Log-probabilities of every reader (`readers`) on `interventions`, by name of the question."""
    ratio = priors.log_ratio(prior, np.full(N_GROUPS, 1 / N_GROUPS))
    found, weights = {}, {}
    for one in altered:
        seen = read(simulate(config, one))
        for name, bank in one.asked.items():
            votes = votes_of(bank)
            told = votes.label, ratio, votes.family
            for reader, terms in seen.items():
                weights.setdefault(reader, fusion.fit(*terms, *told))
            refitted = {k: fusion.cross_fitted(*terms, *told) for k, terms in seen.items()}
            kept = {k: weights[k].apply(*terms, ratio) for k, terms in seen.items()}
            found[name] = Answers(votes, refitted, kept)
    return found


def without_screws(group: ndarray) -> ndarray:
    """Label 1..99 of the group that each group looks like without its screws and glides, (n,)."""
    lattice = readings()[LATTICE]
    bare = np.flatnonzero(~templates()[:, OPERATORS].any(axis=1))
    plain = np.zeros(len(bare), dtype=np.int64)
    plain[lattice[bare]] = bare + 1
    return plain[lattice[np.asarray(group, dtype=np.int64) - 1]]
