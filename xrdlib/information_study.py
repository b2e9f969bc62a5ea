"""What networks and retrieval make of patterns that lack one kind of information.

Lattice, absences and intensities of held-out minerals are kept or destroyed in all eight
combinations. Positions of one mineral with intensities of another say which of both is read.
"""

from dataclasses import dataclass, field
from itertools import product

import numpy as np
import torch

from . import fusion, information, knockouts, library, predict, priors, stages
from .calibrate import Calibration
from .experiment import folder, load_bank, realism, seed
from .groups import N_GROUPS, OPERATORS, templates
from .information import Votes
from .patterns import GRID
from .realism import measured_like
from .recognition import SOURCES
from .records import Reflections
from .retrieval import Retrieval
from .simulator import COLLECTION

KINDS = ("lattice", "absences", "intensities")
UNTOUCHED, NOTHING = "untouched", "lattice, absences and intensities destroyed"
EQUAL, WIDE = "intensities all equal", "lines 0.35 degrees wide"
SAME, OTHER = "intensities of another mineral, same group", "intensities of another group"
DONOR = "intensities of another group, asked for that group"
WIDTH = {"fwhm": (0.35, 0.05), "fwhm_limits": (0.3, 0.4)}
RELEASED, OWN = "released network", "network of this profile"
KNOWN, UNKNOWN = "retrieval, structure known", "retrieval, structure unknown"
STRENGTH = 50  # votes by which the minerals' frequencies are drawn to uniform classes
_SLICE = 32


@dataclass(frozen=True)
class Specimens:
    """Crystals to simulate, and what their patterns are asked for.

    Attributes
    ----------
    made : records.Reflections
    rows : ndarray, (n,) int
        Number of the nuisances of each pattern.
    asked : dict of str to records.Reflections
        Crystals whose groups are the right answers, by the name of the question.
    changes : dict
        Of the realism.
    """

    made: Reflections
    rows: np.ndarray
    asked: dict
    changes: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Answers:
    """What readers say, by their name, (n, 99) log-probabilities each.

    Attributes
    ----------
    votes : information.Votes
        The right answers.
    refitted : dict of str to ndarray
        Weights of evidence and prior fitted on other families of the same intervention
        (`fusion.cross_fitted`), so that a reader is not charged for trusting what was destroyed.
    kept : dict of str to ndarray
        Weights of the untouched patterns.
    """

    votes: Votes
    refitted: dict
    kept: dict


def minerals(config, most=400):
    """One structure of each held-out family, at most so many, whose absences are understood.

    Returns
    -------
    bank : records.Reflections
    filled : records.Reflections
        The same without absences of screws and glides.
    counts : dict
        "families" held out, "used", and "with absences" of screws or glides.
    """
    bank = load_bank(config, "holdout")
    first = np.unique(bank.name, return_index=True)[1]
    order = np.random.default_rng(config.seed).permutation(len(first))[:most]
    bank = bank.take(np.sort(first[order]))
    filled, added = knockouts.without_absences(bank, config.seed)
    usable = np.flatnonzero(added >= 0)
    counts = {"families": len(first), "used": len(usable), "with absences": int((added > 0).sum())}
    return bank.take(usable), filled.take(usable), counts


def title(destroyed):
    """Name of the pattern without some of `KINDS`."""
    if len(destroyed) == len(KINDS):
        return NOTHING
    return f"{' and '.join(destroyed)} destroyed" if destroyed else UNTOUCHED


def specimens(config, bank, filled):
    """Reflections of every intervention.

    Parameters
    ----------
    bank, filled : records.Reflections
        As from `minerals`.

    Returns
    -------
    list of Specimens
    """
    every = np.arange(len(bank))
    found = []
    for lost in product((False, True), repeat=len(KINDS)):
        destroyed = [kind for kind, gone in zip(KINDS, lost, strict=True) if gone]
        made = filled if "absences" in destroyed else bank
        if "intensities" in destroyed:
            made = knockouts.permuted(made, config.seed)
        if "lattice" in destroyed:
            made = knockouts.without_lattice_symmetry(made, config.seed)
        found.append(Specimens(made, every, {title(destroyed): bank}))
    found.append(Specimens(knockouts.equal(bank), every, {EQUAL: bank}))
    found.append(Specimens(bank, every, {WIDE: bank}, WIDTH))
    for name, same in ((SAME, True), (OTHER, False)):
        rows, others = donors(bank, same, config.seed)
        if len(rows):
            own, foreign = bank.take(rows), bank.take(others)
            asked = {name: own} if same else {name: own, DONOR: foreign}
            found.append(Specimens(knockouts.with_intensities_of(own, foreign), rows, asked))
    return found


def donors(bank, same, seed):
    """A crystal of another family for each that has one, of the same group or of another.

    Returns
    -------
    rows, others : ndarray of int
    """
    rng = np.random.default_rng(seed)
    rows, others = [], []
    for i in range(len(bank)):
        fits = (bank.group == bank.group[i]) == same
        choice = np.flatnonzero(fits & (bank.name != bank.name[i]))
        if len(choice):
            rows.append(i)
            others.append(rng.choice(choice))
    return np.array(rows, dtype=np.int64), np.array(others, dtype=np.int64)


def simulate(config, bank, rows, **changes):
    """One pattern of each crystal on `patterns.GRID`, (n, 4251); row i has nuisances number i."""
    ranges = realism(config, **{**COLLECTION, **changes})
    parts = [
        measured_like(
            bank.take(np.arange(first, min(first + _SLICE, len(bank)))),
            ranges,
            seed(config, "holdout"),
            torch.from_numpy(rows[first : first + _SLICE]),
            GRID,
        )
        for first in range(0, len(bank), _SLICE)
    ]
    return torch.cat(parts).numpy()


def readers(config, bank):
    """Who reads the patterns: a function from intensities to (evidence, similarity) each.

    The released network, the network of the profile where there is one, and retrieval from the
    minerals of the AMCSD without the held-out ones, and with the very structures of `bank`.
    """
    known = Retrieval(library.from_reflections(load_bank(config, "train"), SOURCES["library"][1]))
    own = Retrieval(library.from_reflections(bank))
    networks = {RELEASED: predict.load_predictor(retrieval=False)}
    if (folder(config, "models") / "stage2.safetensors").exists():
        model, about = stages.load_model(config, "stage2")
        told = {"training_prior": about["training_prior"], "calibration": vars(Calibration())}
        networks[OWN] = predict.Predictor(model, told)

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


def frequencies(config):
    """Class frequencies of the minerals that were not held out, (99,)."""
    bank = load_bank(config, "train")
    names, index = np.unique(np.char.add(bank.name, bank.group.astype(str)), return_index=True)
    counts = np.bincount(bank.group[index] - 1, minlength=N_GROUPS)
    return priors.smooth_prior(counts, STRENGTH)


def predictions(config, specimens, read, prior):
    """Log-probabilities of every reader on every intervention.

    Parameters
    ----------
    specimens : list of Specimens
        The untouched patterns first.
    read : callable
        As from `readers`.
    prior : array_like, (99,)

    Returns
    -------
    dict of str to Answers
        By the name of the question.
    """
    ratio = priors.log_ratio(prior, np.full(N_GROUPS, 1 / N_GROUPS))
    found, weights = {}, {}
    for one in specimens:
        seen = read(simulate(config, one.made, one.rows, **one.changes))
        for name, bank in one.asked.items():
            votes = Votes(bank.group.astype(np.int64) - 1, bank.name, np.ones(len(bank)))
            told = votes.label, ratio, votes.family
            for reader, terms in seen.items():
                weights.setdefault(reader, fusion.fit(*terms, *told))
            refitted = {k: fusion.cross_fitted(*terms, *told) for k, terms in seen.items()}
            kept = {k: weights[k].apply(*terms, ratio) for k, terms in seen.items()}
            found[name] = Answers(votes, refitted, kept)
    return found


def without_screws(group):
    """Label 1..99 of the group that each group looks like without its screws and glides, (n,)."""
    lattice = information.readings()[information.LATTICE]
    bare = np.flatnonzero(~templates()[:, OPERATORS].any(axis=1))
    plain = np.zeros(len(bare), dtype=np.int64)
    plain[lattice[bare]] = bare + 1
    return plain[lattice[np.asarray(group, dtype=np.int64) - 1]]
