"""Interventions: reflections whose lattice, absences or intensities say nothing.

What is left untouched stays as it was: filling absences keeps cell and intensities, another order
of intensities keeps absences and positions, a cell without symmetry keeps indices and intensities.
"""

from dataclasses import replace

import numpy as np
from numpy import ndarray

from ..base.records import N_ROTATIONS, Crystals, Reflections, concatenate
from ..simulation.diffraction import d_star, reflections
from ..symmetry import groups
from ..symmetry.cells import cell_of_lattice, settings
from .specimens import absent

KINDS = ("lattice", "absences", "intensities")
UNTOUCHED = "untouched"

_BINS = 24  # of 1/d^2, for the mean fall-off of intensities
_CARBON = 6  # any atom will do to list the reflections of a lattice
_FORBIDDEN = 1e-4  # of all intensity; more of it where a setting forbids any: it is another one


def unitary(bank: Reflections) -> tuple[ndarray, ndarray]:
    """|F|^2 relative to its mean fall-off with angle, and that fall-off, both (m,).

    The fall-off is that of all crystals together, which count alike: the mean of |F|^2 over the
    crystal's own mean, in bins of 1/d^2, its logarithm smoothed to a parabola.
    """
    owner, square = _owner(bank), _squares(bank)
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


def permuted(bank: Reflections, seed: int) -> Reflections:
    """The same reflections with |F|^2 dealt anew within each crystal; its fall-off stays."""
    relative, falloff = unitary(bank)
    rng = np.random.default_rng(seed)
    owner = _owner(bank)
    order = np.lexsort((rng.random(len(owner)), owner))
    return replace(bank, f2=(relative[order] * falloff).astype(np.float32))


def equal(bank: Reflections) -> Reflections:
    """The same reflections, all |F|^2 of a crystal equal but for the mean fall-off."""
    return replace(bank, f2=unitary(bank)[1].astype(np.float32))


def with_intensities_of(bank: Reflections, others: Reflections) -> Reflections:
    """Cells and absences of one bank with the intensities of another, in order of 1/d.

    Both have as many crystals. Where one of `others` has fewer reflections, they are gone through
    again. The groups stay those of `bank`.
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


def without_absences(bank: Reflections, seed: int) -> tuple[Reflections, ndarray]:
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


def without_lattice_symmetry(bank: Reflections, seed: int, size: float = 0.05) -> Reflections:
    """The same indices and intensities on a cell without symmetry: equivalents fall apart.

    `size` is the standard deviation of the six components of the strain. All cells become a little
    smaller, so that no line of the range is missed. Every equivalent stands by itself (multiplicity
    2), the rotations are the identity.
    """
    strain = np.random.default_rng(seed).normal(scale=size, size=(len(bank), 3, 3))
    strain = (strain + strain.transpose(0, 2, 1)) / 2
    strain -= np.linalg.eigvalsh(strain)[:, -1, None, None].clip(min=0) * np.eye(3)
    owner = _owner(bank)
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
    rotations, translations = groups.operations(groups.first_member(label))
    lattice = (rotations == np.eye(3)).all((1, 2))
    own = slice(bank.start[i], bank.start[i + 1])
    present, f2 = bank.hkl[own], bank.f2[own] / bank.f2[own].sum()
    found = []
    for change in settings(label, cell_of_lattice(bank.lattice[i])):
        if f2[absent(label, change, present)].sum() <= _FORBIDDEN:
            target = hkl.astype(np.int64) @ change
            parts = rotations[lattice], translations[lattice]
            centred = groups.systematically_absent(*parts, target)
            found.append(absent(label, change, hkl) & ~centred)
    # Of settings that the reflections agree with, that which explains most absences.
    return max(found, key=np.count_nonzero, default=None)


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


def _owner(bank):
    """Crystal of every reflection, (m,)."""
    return np.repeat(np.arange(len(bank)), np.diff(bank.start))


def _squares(bank):
    """1/d^2 of every reflection, (m,)."""
    parts = [
        d_star(lattice, bank.hkl[first:last])
        for lattice, first, last in zip(bank.lattice, bank.start, bank.start[1:], strict=False)
    ]
    return np.square(np.concatenate(parts))
