"""Interventions: patterns whose lattice, absences or intensities say nothing.

What is left untouched stays as it was: filling absences keeps cell and intensities, another order
of intensities keeps absences and positions, a cell without symmetry keeps indices and intensities.

Lattice, absences and intensities of held-out minerals are kept or destroyed in all eight
combinations. Positions of one mineral with intensities of another say which of both is read.
"""

from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
import torch

from ..base.patterns import GRID
from ..base.records import N_ROTATIONS, Crystals, Reflections, concatenate
from ..identification import library
from ..identification.retrieval import Retrieval
from ..learning import priors, stages
from ..learning.calibrate import Calibration
from ..learning.experiment import folder, load_bank, realism, seed
from ..prediction import fusion, predictor
from ..prediction.assemble import SOURCES
from ..simulation.diffraction import d_star, reflections
from ..simulation.realism import measured_like
from ..symmetry import groups
from ..symmetry.cells import cell_of_lattice, settings
from ..symmetry.groups import N_GROUPS, OPERATORS, templates
from . import information
from .information import Votes
from .simulator import COLLECTION

_BINS = 24  # of 1/d^2, for the mean fall-off of intensities

_CARBON = 6  # any atom will do to list the reflections of a lattice

_FORBIDDEN = 1e-4  # of all intensity; more of it where a setting forbids any: it is another one


def unitary(bank):
    """|F|^2 relative to its mean fall-off with angle, and that fall-off, both (m,).

    The fall-off is that of all crystals together, which count alike: the mean of |F|^2 over the
    crystal's own mean, in bins of 1/d^2, its logarithm smoothed to a parabola.
    """
    owner = np.repeat(np.arange(len(bank)), np.diff(bank.start))
    square = _squares(bank)
    mean = np.bincount(owner, bank.f2) / np.bincount(owner)
    edges = np.linspace(0, square.max() * (1 + 1e-9), _BINS + 1)
    where = np.digitize(square, edges) - 1
    count = np.bincount(where, minlength=_BINS)
    total = np.bincount(where, bank.f2 / mean[owner], minlength=_BINS)
    filled = total > 0
    centre = (edges[1:] + edges[:-1])[filled] / 2
    level = np.log(total[filled] / count[filled])
    parabola = np.polyfit(centre, level, 2, w=np.sqrt(count[filled]))
    falloff = np.exp(np.polyval(parabola, square))
    return bank.f2 / falloff, falloff


def permuted(bank, seed):
    """The same reflections with |F|^2 dealt anew within each crystal; its fall-off stays."""
    relative, falloff = unitary(bank)
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(bank)), np.diff(bank.start))
    order = np.lexsort((rng.random(len(owner)), owner))
    return replace(bank, f2=(relative[order] * falloff).astype(np.float32))


def equal(bank):
    """The same reflections, all |F|^2 of a crystal equal but for the mean fall-off."""
    return replace(bank, f2=unitary(bank)[1].astype(np.float32))


def with_intensities_of(bank, others):
    """Cells and absences of one bank with the intensities of another, in order of 1/d.

    Parameters
    ----------
    bank : records.Reflections
        Whose group stays.
    others : records.Reflections
        As many crystals. Where one has fewer reflections, they are gone through again.
    """
    own = unitary(bank)[1]
    foreign = unitary(others)[0]
    square, square_other = _squares(bank), _squares(others)
    f2 = np.empty_like(bank.f2)
    for i in range(len(bank)):
        here, there = (slice(r.start[i], r.start[i + 1]) for r in (bank, others))
        order = np.argsort(square[here], kind="stable")
        given = foreign[there][np.argsort(square_other[there], kind="stable")]
        f2[here.start + order] = np.resize(given, len(order))
    return replace(bank, f2=(f2 * own).astype(np.float32))


def without_absences(bank, seed):
    """Reflections that screws and glides forbid, filled in; those of the centring stay absent.

    |F|^2 of the added reflections, relative to the mean fall-off, are drawn from those that the
    crystal has.

    Returns
    -------
    filled : records.Reflections
    added : ndarray, (n,) int64
        Reflections added to each crystal; -1 where its axes are in no setting of its group that
        is known (`cells.settings`), and it is returned as it was.
    """
    relative, falloff = unitary(bank)
    square = _squares(bank)
    every = reflections(_points(bank))
    every_square = _squares(every)
    rng = np.random.default_rng(seed)
    parts, added = [], np.full(len(bank), -1)
    for i in range(len(bank)):
        own = slice(bank.start[i], bank.start[i + 1])
        extinct = _forbidden(bank, i, every.hkl[every.start[i] : every.start[i + 1]])
        if extinct is None:
            parts.append(bank.take([i]))
            continue
        new = every.start[i] + np.flatnonzero(extinct)
        order = np.argsort(square[own])
        level = np.interp(every_square[new], square[own][order], falloff[own][order])
        f2 = rng.choice(relative[own], len(new)) * level
        one = bank.take([i])
        parts.append(
            replace(
                one,
                start=one.start + np.array([0, len(new)]),
                hkl=np.concatenate([one.hkl, every.hkl[new]]),
                multiplicity=np.concatenate([one.multiplicity, every.multiplicity[new]]),
                f2=np.concatenate([one.f2, f2.astype(np.float32)]),
            )
        )
        added[i] = len(new)
    return concatenate(parts), added


def without_lattice_symmetry(bank, seed, size=0.05):
    """The same indices and intensities on a cell without symmetry: equivalents fall apart.

    Parameters
    ----------
    bank : records.Reflections
    seed : int
    size : float
        Standard deviation of the six components of the strain. All cells become a little smaller,
        so that no line of the range is missed.

    Returns
    -------
    records.Reflections
        Every equivalent by itself (multiplicity 2), the rotations the identity.
    """
    strain = np.random.default_rng(seed).normal(scale=size, size=(len(bank), 3, 3))
    strain = (strain + strain.transpose(0, 2, 1)) / 2
    strain -= np.linalg.eigvalsh(strain)[:, -1, None, None].clip(min=0) * np.eye(3)
    owner = np.repeat(np.arange(len(bank)), np.diff(bank.start))
    rotations = bank.rotations.astype(np.int64)
    images = np.einsum("mi,mrij->mrj", bank.hkl.astype(np.int64), rotations[owner])
    sign = np.sign(images @ np.array([1 << 24, 1 << 12, 1]))  # of each pair of opposites, one
    images = (images * sign[..., None]).reshape(-1, 3)
    row = np.repeat(np.arange(len(owner)), N_ROTATIONS)
    distinct = np.unique(np.column_stack([row, images]), axis=0)
    source = distinct[:, 0]
    counts = np.bincount(owner[source], minlength=len(bank))
    return replace(
        bank,
        lattice=bank.lattice @ (np.eye(3) + strain),
        start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        hkl=distinct[:, 1:].astype(np.int16),
        multiplicity=np.full(len(source), 2, dtype=np.float32),
        f2=bank.f2[source],
        rotations=np.tile(np.eye(3, dtype=np.int8), (len(bank), N_ROTATIONS, 1, 1)),
    )


def _forbidden(bank, i, hkl):
    """Which hkl (m, 3) of a crystal's lattice its screws and glides forbid; None if not known."""
    label = int(bank.group[i])
    number = groups.table()["extinction_groups"][label - 1]["space_groups"][0]
    rotations, translations = groups.operations(number)
    lattice = (rotations == np.eye(3)).all((1, 2))
    own = slice(bank.start[i], bank.start[i + 1])
    present, f2 = bank.hkl[own].astype(np.int64), bank.f2[own] / bank.f2[own].sum()
    best = None
    for change in settings(label, cell_of_lattice(bank.lattice[i])):
        if f2[groups.absent(number, present @ change)].sum() > _FORBIDDEN:
            continue
        target = hkl.astype(np.int64) @ change
        centred = groups.systematically_absent(rotations[lattice], translations[lattice], target)
        extinct = groups.absent(number, target) & ~centred
        # Of settings that the reflections agree with, that which explains most absences.
        if best is None or extinct.sum() > best.sum():
            best = extinct
    return best


def _points(bank):
    """The lattices of a bank with one atom each, which has every reflection."""
    n = len(bank)
    return Crystals(
        lattice=bank.lattice,
        start=np.arange(n + 1),
        number=np.full(n, _CARBON, dtype=np.int16),
        frac=np.zeros((n, 3), dtype=np.float32),
        occupancy=np.ones(n, dtype=np.float32),
        rotations=bank.rotations,
        space_group=bank.space_group,
        group=bank.group,
        name=bank.name,
    )


def _squares(bank):
    """1/d^2 of every reflection, (m,)."""
    parts = [
        d_star(lattice, bank.hkl[first:last])
        for lattice, first, last in zip(bank.lattice, bank.start, bank.start[1:], strict=False)
    ]
    return np.square(np.concatenate(parts))


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
    filled, added = without_absences(bank, config.seed)
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
            made = permuted(made, config.seed)
        if "lattice" in destroyed:
            made = without_lattice_symmetry(made, config.seed)
        found.append(Specimens(made, every, {title(destroyed): bank}))
    found.append(Specimens(equal(bank), every, {EQUAL: bank}))
    found.append(Specimens(bank, every, {WIDE: bank}, WIDTH))
    for name, same in ((SAME, True), (OTHER, False)):
        rows, others = donors(bank, same, config.seed)
        if len(rows):
            own, foreign = bank.take(rows), bank.take(others)
            asked = {name: own} if same else {name: own, DONOR: foreign}
            found.append(Specimens(with_intensities_of(own, foreign), rows, asked))
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
    networks = {RELEASED: predictor.load_predictor(retrieval=False)}
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
