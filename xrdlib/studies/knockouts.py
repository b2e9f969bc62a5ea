"""Predictors on patterns whose lattice, absences or intensities are kept or destroyed.

Lattice, absences and intensities of held-out minerals are destroyed in all eight combinations. What
is left untouched stays as it was: filling absences keeps cell and intensities, another order of
intensities keeps absences and positions, a cell without symmetry keeps indices and intensities.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations, product
from types import SimpleNamespace

import numpy as np
import torch
from numpy import ndarray

from ..base.patterns import GRID
from ..base.records import N_ROTATIONS, Crystals, Reflections, concatenate
from ..identification import library
from ..identification.retrieval import Retrieval
from ..learning import priors, stages
from ..learning.calibrate import Calibration
from ..learning.experiment import folder, load_structures, realism, seed
from ..learning.metrics import log_likelihood, means
from ..prediction import fusion, predictor
from ..prediction.known_structures import SOURCES
from ..simulation.diffraction import d_star, reflections
from ..simulation.realism import measured_like
from ..symmetry import groups
from ..symmetry.cells import cell_of_lattice, settings
from ..symmetry.groups import N_GROUPS, OPERATORS, templates
from .information import LATTICE, NOTHING, Votes, readings, score, votes_of
from .simulator import COLLECTION
from .specimens import absent

KINDS = ("lattice", "absences", "intensities")
UNTOUCHED = "untouched"
NULLS = (NOTHING, "shuffled")
RELEASED, OWN = "released network", "network of this profile"
KNOWN, UNKNOWN = "retrieval, structure known", "retrieval, structure unknown"

_BINS = 24  # of 1/d^2, for the mean fall-off of intensities
_CARBON = 6  # any atom will do to list the reflections of a lattice
_FORBIDDEN = 1e-4  # of all intensity; more of it where a setting forbids any: it is another one
_STRENGTH = 50  # votes by which the minerals' frequencies are drawn to uniform classes
_SLICE = 32


def unitary(structures: Reflections) -> tuple[ndarray, ndarray]:
    """|F|^2 relative to its mean fall-off with angle, and that fall-off, both (m,).

    The fall-off is that of all crystals together, which count alike: the mean of |F|^2 over the
    crystal's own mean, in bins of 1/d^2, its logarithm smoothed to a parabola.
    """
    owner, square = _owner(structures), _squares(structures)
    mean = np.bincount(owner, structures.f2) / np.bincount(owner)
    edges = np.linspace(0, square.max() * (1 + 1e-9), _BINS + 1)
    where = np.digitize(square, edges) - 1
    count = np.bincount(where, minlength=_BINS)
    total = np.bincount(where, structures.f2 / mean[owner], minlength=_BINS)
    filled = total > 0
    centre = (edges[1:] + edges[:-1])[filled] / 2
    level = np.log(total[filled] / count[filled])
    parabola = np.polyfit(centre, level, 2, w=np.sqrt(count[filled]))
    falloff = np.exp(np.polyval(parabola, square))
    return structures.f2 / falloff, falloff


def permuted(structures: Reflections, seed: int) -> Reflections:
    """The same reflections with |F|^2 dealt anew within each crystal; its fall-off stays."""
    relative, falloff = unitary(structures)
    rng = np.random.default_rng(seed)
    owner = _owner(structures)
    order = np.lexsort((rng.random(len(owner)), owner))
    return replace(structures, f2=(relative[order] * falloff).astype(np.float32))


def without_absences(structures: Reflections, seed: int) -> tuple[Reflections, ndarray]:
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
    relative, falloff = unitary(structures)
    square = _squares(structures)
    every = reflections(_points(structures))
    every_square = _squares(every)
    rng = np.random.default_rng(seed)
    parts, added = [], np.full(len(structures), -1)
    for i in range(len(structures)):
        own = slice(structures.start[i], structures.start[i + 1])
        extinct = _forbidden(structures, i, every.hkl[every.start[i] : every.start[i + 1]])
        if extinct is None:
            parts.append(structures.take([i]))
            continue
        new = every.start[i] + np.flatnonzero(extinct)
        order = np.argsort(square[own])
        level = np.interp(every_square[new], square[own][order], falloff[own][order])
        f2 = rng.choice(relative[own], len(new)) * level
        one = structures.take([i])
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


def without_lattice_symmetry(structures: Reflections, seed: int, size: float = 0.05) -> Reflections:
    """The same indices and intensities on a cell without symmetry: equivalents fall apart.

    `size` is the standard deviation of the six components of the strain. All cells become a little
    smaller, so that no reflection is lost from the range. Every equivalent is one row (multiplicity
    2), the rotations are the identity.
    """
    strain = np.random.default_rng(seed).normal(scale=size, size=(len(structures), 3, 3))
    strain = (strain + strain.transpose(0, 2, 1)) / 2
    strain -= np.linalg.eigvalsh(strain)[:, -1, None, None].clip(min=0) * np.eye(3)
    owner = _owner(structures)
    rotations = structures.rotations.astype(np.int64)
    images = np.einsum("mi,mrij->mrj", structures.hkl.astype(np.int64), rotations[owner])
    sign = np.sign(images @ np.array([1 << 24, 1 << 12, 1]))  # of each pair of opposites, one
    images = (images * sign[..., None]).reshape(-1, 3)
    row = np.repeat(np.arange(len(owner)), N_ROTATIONS)
    distinct = np.unique(np.column_stack([row, images]), axis=0)
    source = distinct[:, 0]
    counts = np.bincount(owner[source], minlength=len(structures))
    return replace(
        structures,
        lattice=structures.lattice @ (np.eye(3) + strain),
        start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        hkl=distinct[:, 1:].astype(np.int16),
        multiplicity=np.full(len(source), 2, dtype=np.float32),
        f2=structures.f2[source],
        rotations=np.tile(np.eye(3, dtype=np.int8), (len(structures), N_ROTATIONS, 1, 1)),
    )


@dataclass(frozen=True)
class Answers:
    """What readers answer, by their name, (n, 99) log-probabilities each.

    Weights of evidence and prior are fitted on other families of the same intervention
    (`fusion.cross_fitted`), so that a reader is not charged for trusting what was destroyed.
    """

    votes: Votes  # the right answers
    logp: dict[str, ndarray]


def minerals(config: SimpleNamespace, most: int = 400) -> tuple[Reflections, Reflections, dict]:
    """One structure of each held-out family, at most so many, whose absences are understood.

    Gives them, the same without absences of screws and glides, and how many "families" are held
    out, "used", and "with absences" of screws or glides.
    """
    structures = load_structures(config, "holdout")
    first = np.unique(structures.name, return_index=True)[1]
    order = np.random.default_rng(config.seed).permutation(len(first))[:most]
    structures = structures.take(np.sort(first[order]))
    filled, added = without_absences(structures, config.seed)
    usable = np.flatnonzero(added >= 0)
    counts = {"families": len(first), "used": len(usable), "with absences": int((added > 0).sum())}
    return structures.take(usable), filled.take(usable), counts


def title(destroyed: list[str]) -> str:
    """Name of the pattern without some of `KINDS`."""
    return f"{' and '.join(destroyed)} destroyed" if destroyed else UNTOUCHED


def interventions(
    config: SimpleNamespace, structures: Reflections, filled: Reflections
) -> dict[str, Reflections]:
    """Reflections of all combinations of `KINDS` destroyed, by `title`, the untouched ones first.

    `structures` and `filled` as from `minerals`.
    """
    altered = {}
    for lost in product((False, True), repeat=len(KINDS)):
        destroyed = [kind for kind, gone in zip(KINDS, lost, strict=True) if gone]
        made = filled if "absences" in destroyed else structures
        if "intensities" in destroyed:
            made = permuted(made, config.seed)
        if "lattice" in destroyed:
            made = without_lattice_symmetry(made, config.seed)
        altered[title(destroyed)] = made
    return altered


def simulate(config: SimpleNamespace, structures: Reflections) -> ndarray:
    """One pattern of each crystal on `patterns.GRID`, (n, 4251) float32."""
    draws = realism(config, **COLLECTION), seed(config, "holdout")
    parts = [
        measured_like(structures.take(rows.numpy()), *draws, rows, GRID)
        for rows in torch.arange(len(structures)).split(_SLICE)
    ]
    return torch.cat(parts).numpy()


def readers(
    config: SimpleNamespace, structures: Reflections
) -> Callable[[ndarray], dict[str, tuple[ndarray, ndarray]]]:
    """The predictors: a function from intensities to (evidence, similarity) of each, by name.

    The released network, the network of the profile where there is one, and retrieval from the
    minerals of the AMCSD without the held-out ones, and with `structures` themselves.
    """
    reduced = Retrieval(
        library.from_reflections(load_structures(config, "train"), SOURCES["library"][1])
    )
    own = Retrieval(library.from_reflections(structures))
    networks = {RELEASED: predictor.load_predictor(retrieval=False, indexing=False)}
    if (folder(config, "models") / "stage2.safetensors").exists():
        model, trained = stages.load_model(config, "stage2")
        metadata = {"training_prior": trained["training_prior"], "calibration": vars(Calibration())}
        networks[OWN] = predictor.Predictor(model, metadata)

    def read(intensity):
        flat = np.zeros((len(intensity), N_GROUPS))
        similarity = reduced.similarities(intensity)[0]
        return {
            name: (network.evidence(GRID.two_theta, intensity).evidence, flat)
            for name, network in networks.items()
        } | {
            UNKNOWN: (flat, similarity),
            KNOWN: (flat, np.maximum(similarity, own.similarities(intensity)[0])),
        }

    return read


def frequencies(config: SimpleNamespace) -> ndarray:
    """Class frequencies of the minerals that were not held out, (99,)."""
    structures = load_structures(config, "train")
    index = np.unique(
        np.char.add(structures.name, structures.group.astype(str)), return_index=True
    )[1]
    counts = np.bincount(structures.group[index] - 1, minlength=N_GROUPS)
    return priors.smooth_prior(counts, _STRENGTH)


def predictions(
    config: SimpleNamespace, altered: dict[str, Reflections], read: Callable, prior: ndarray
) -> dict[str, Answers]:
    """Log-probabilities of every reader (`readers`) on `interventions`, by their title."""
    ratio = priors.log_ratio(prior, np.full(N_GROUPS, 1 / N_GROUPS))
    answers = {}
    for name, structures in altered.items():
        votes, terms = votes_of(structures), read(simulate(config, structures))
        truth = votes.label, ratio, votes.family
        logp = {reader: fusion.cross_fitted(*own, *truth) for reader, own in terms.items()}
        answers[name] = Answers(votes, logp)
    return answers


def without_screws(group: ndarray) -> ndarray:
    """Label 1..99 of the group that each group looks like without its screws and glides, (n,)."""
    lattice = readings()[LATTICE]
    bare = np.flatnonzero(~templates()[:, OPERATORS].any(axis=1))
    plain = np.zeros(len(bare), dtype=np.int64)
    plain[lattice[bare]] = bare + 1
    return plain[lattice[np.asarray(group, dtype=np.int64) - 1]]


def rows(
    answers: dict[str, Answers], prior: ndarray, n_shuffles: int = 20, **bootstrap: int
) -> list[dict]:
    """Scores of every reader on every intervention, and of the nulls on untouched patterns.

    Answers as from `predictions`; bits are counted over a prior (99,). `bootstrap` are `n_boot` and
    `seed` of `information.score`, here and below.

    Rows have "patterns", "reader" and a `information.score` each.
    """
    table = [
        {"patterns": name, "reader": reader, **score(logp, prior, own.votes, **bootstrap)}
        for name, own in answers.items()
        for reader, logp in own.logp.items()
    ]
    votes = answers[UNTOUCHED].votes
    n = len(votes.label)
    constant = score(np.tile(np.log(prior), (n, 1)), prior, votes, **bootstrap)
    # As many copies of every mineral as there are shuffles; families stay together.
    rng = np.random.default_rng(bootstrap.get("seed", 0))
    dealt = np.concatenate([rng.permutation(n) for _ in range(n_shuffles)])
    copies = Votes(*(np.tile(x, n_shuffles) for x in (votes.label, votes.family, votes.vote)))
    shuffled = score(answers[UNTOUCHED].logp[RELEASED][dealt], prior, copies, **bootstrap)
    nulls = zip(NULLS, (constant, shuffled | {"n": n}), strict=True)
    return table + [{"patterns": UNTOUCHED, "reader": name, **null} for name, null in nulls]


def shares(
    answers: dict[str, Answers], prior: ndarray, keep: ndarray | None = None, **bootstrap: int
) -> list[dict]:
    """Bits that each reader owes to each kind of information, of the minerals to `keep` (bool).

    A kind's share is its gain in bits, averaged over the orders in which the three kinds can be
    added to a pattern that has none (Shapley's value, Contributions to the Theory of Games II,
    307, 1953). The shares and the rest, bits from patterns without any, add up to the untouched
    pattern's.

    Rows have "reader", "kind", "bits", "bits_ci95", "n", "n_families".
    """
    votes = answers[UNTOUCHED].votes
    keep = np.ones(len(votes.label), dtype=bool) if keep is None else keep
    label, family = votes.label[keep], votes.family[keep]
    table, orders = [], list(permutations(KINDS))
    for reader in answers[UNTOUCHED].logp:

        def bits(kept, reader=reader):
            name = title([kind for kind in KINDS if kind not in kept])
            logp = answers[name].logp[reader][keep]
            return (log_likelihood(logp, label) - np.log(prior)[label]) / np.log(2)

        owed = dict.fromkeys(KINDS, 0)
        for order in orders:
            for place, kind in enumerate(order):
                gain = bits(order[: place + 1]) - bits(order[:place])
                owed[kind] = owed[kind] + gain / len(orders)
        mean = means(owed | {"rest": bits(())}, family, **bootstrap)
        counts = {"n": len(family), "n_families": len(set(family))}
        for kind in (*KINDS, "rest"):
            own = {"bits": mean[kind], "bits_ci95": mean[f"{kind}_ci95"]}
            table.append({"reader": reader, "kind": kind, **own, **counts})
    return table


def _forbidden(structures, i, hkl):
    """Which hkl (m, 3) of a crystal's lattice its screws and glides forbid; None if not known."""
    label = int(structures.group[i])
    rotations, translations = groups.operations(groups.first_member(label))
    lattice = (rotations == np.eye(3)).all((1, 2))
    own = slice(structures.start[i], structures.start[i + 1])
    present, f2 = structures.hkl[own], structures.f2[own] / structures.f2[own].sum()
    options = []
    for change in settings(label, cell_of_lattice(structures.lattice[i])):
        if f2[absent(label, change, present)].sum() <= _FORBIDDEN:
            target = hkl.astype(np.int64) @ change
            parts = rotations[lattice], translations[lattice]
            centred = groups.systematically_absent(*parts, target)
            options.append(absent(label, change, hkl) & ~centred)
    # Of settings that the reflections agree with, that which accounts for most absences.
    return max(options, key=np.count_nonzero, default=None)


def _points(structures):
    """The lattices of structures with one atom each, which has every reflection."""
    n = len(structures)
    return Crystals(
        lattice=structures.lattice,
        start=np.arange(n + 1),
        number=np.full(n, _CARBON, dtype=np.int16),
        frac=np.zeros((n, 3), dtype=np.float32),
        occupancy=np.ones(n, dtype=np.float32),
        rotations=structures.rotations,
        space_group=structures.space_group,
        group=structures.group,
        name=structures.name,
    )


def _owner(structures):
    """Crystal of every reflection, (m,)."""
    return np.repeat(np.arange(len(structures)), np.diff(structures.start))


def _squares(structures):
    """1/d^2 of every reflection, (m,)."""
    parts = [
        d_star(lattice, structures.hkl[first:last])
        for lattice, first, last in zip(
            structures.lattice, structures.start, structures.start[1:], strict=False
        )
    ]
    return np.square(np.concatenate(parts))
