"""Sets and banks of a profile: simulated patterns, held-out minerals, measured patterns."""

import zlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from ..base import records
from ..base.patterns import GRID, normalise
from ..identification import searchmatch
from ..simulation.diffraction import reflections
from ..simulation.lines import strained_metric
from ..simulation.prototype_bank import training_bank
from ..simulation.realism import draw, measured_like
from ..simulation.stream import PatternStream
from ..structures import datasets
from ..structures.banks import build, load_amcsd
from ..structures.bgmn import bgmn_entries
from ..structures.crystals import detected_space_groups, generate_balanced
from ..structures.datasets import MissingData
from ..structures.measured import load, split
from ..structures.oqmd import build_oqmd
from ..structures.recipes import shipped
from ..symmetry.cells import conventional
from ..symmetry.groups import N_GROUPS, group_of_space_group, symbols
from . import experiment
from .experiment import (
    HELD_OUT,
    MEASURED,
    PatternSet,
    folder,
    grid,
    load_bank,
    random_crystals,
    realism,
    save_set,
    seed,
)

_SLICE = 512  # patterns simulated at a time


def verify_random_crystals(config):
    """Make random crystals of every group and let spglib tell their groups.

    Returns
    -------
    pandas.DataFrame
        A row a crystal: space_group, group (nominal), detected (extinction group), atoms, volume.
    """
    crystals = generate_balanced(shipped(), config.synthesis.verified, seed(config, "uniform"))
    return pd.DataFrame(
        {
            "space_group": crystals.space_group,
            "group": crystals.group,
            "detected": group_of_space_group()[detected_space_groups(crystals)],
            "atoms": np.diff(crystals.start),
            "volume": np.abs(np.linalg.det(crystals.lattice)),
        }
    )


def write_banks(config):
    """Reflections of the mineral structures, in the files train, holdout and library.

    `train` and `holdout` hold structures whose stated and detected groups agree, apart by mineral
    family; `library` all with a known group, for search-match. The name of each is its family.

    Returns
    -------
    dict of str to Reflections
    """
    crystals, table = load_amcsd(folder(config, "amcsd"))
    lines = reflections(crystals)
    lines.name = table["family"].to_numpy(dtype=str)
    lines.group = table["stated_group"].to_numpy(dtype=np.int16)
    agrees, holdout = table["agrees"].to_numpy(), table["holdout"].to_numpy()
    chosen = {
        "train": agrees & ~holdout,
        "holdout": agrees & holdout,
        "library": lines.group > 0,
    }
    banks = {name: lines.take(np.flatnonzero(rows)) for name, rows in chosen.items()}
    for name, bank in banks.items():
        records.save(bank, folder(config, "bank") / f"{name}.npz")
    return banks


def write_compounds(config):
    """Reflections of computed compounds, in the file compounds; None where not asked for.

    Left out are compounds of the same elements and group as a mineral that is kept from training.

    Returns
    -------
    Reflections or None
    """
    if not config.synthesis.compounds:
        return None
    compounds, about = build_oqmd(datasets.path("oqmd"))
    crystals, table = load_amcsd(folder(config, "amcsd"))
    kept_back = np.flatnonzero(table["holdout"])
    held_out = {
        (int(crystals.group[i]), *np.unique(crystals.number[slice(*crystals.start[i : i + 2])]))
        for i in kept_back
    }
    alike = [(g, *z) in held_out for g, z in zip(about["group"], about["elements"], strict=True)]
    bank = reflections(compounds.take(~np.array(alike)))
    records.save(bank, folder(config, "bank") / "compounds.npz")
    return bank


def write_refinements(config):
    """Reflections of further phases, in the file refinements; None where not asked for.

    Their cells were measured. They are for retrieval alone.

    Returns
    -------
    Reflections or None
    """
    if not config.synthesis.refinements:
        return None
    _, known = load_amcsd(folder(config, "amcsd"))
    names = set(known["mineral"]) - {""}
    crystals, table = build(bgmn_entries(datasets.path("bgmn"), names))
    bank = reflections(crystals.take(np.flatnonzero(table["agrees"])))
    records.save(bank, folder(config, "bank") / "refinements.npz")
    return bank


def write_prototypes(config):
    """Real structures to decorate, in the file prototypes; None where not asked for.

    Takes about a minute.

    Returns
    -------
    Prototypes or None
    """
    if not config.synthesis.prototypes:
        return None
    found = training_bank(*load_amcsd(folder(config, "amcsd")))
    records.save(found, folder(config, "bank") / "prototypes.npz")
    return found


def validation_sets(config):
    """The synthetic sets: balanced random crystals, held-out minerals split by family.

    Returns
    -------
    dict of str to PatternSet
    """
    held_out = holdout_set(config)
    side = np.array([zlib.crc32(family.encode()) >> 8 & 1 for family in held_out.family])
    halves = {name: held_out.take(side == k) for k, name in enumerate(HELD_OUT)}
    return {"random-crystals": uniform_set(config), **halves}


def class_histogram(bank, sets):
    """Counts of the groups: space groups, minerals, and the labels of sets.

    Parameters
    ----------
    bank : Reflections
        Named by mineral family.
    sets : dict of str to PatternSet

    Returns
    -------
    dict of str to list of int, (99,)
    """
    minerals = {(name, group) for name, group in zip(bank.name, bank.group, strict=True)}
    found = {
        "space groups": group_of_space_group()[1:] - 1,
        "training minerals": np.array([group for _, group in minerals]) - 1,
        **{name: patterns.label for name, patterns in sets.items()},
    }
    return {name: np.bincount(k, minlength=N_GROUPS).tolist() for name, k in found.items()}


def examples(config, patterns, bank, n=3, every=2):
    """Measured patterns and the simulated minerals that resemble them most.

    Of the families that are recognised best, those with different groups are chosen.

    Parameters
    ----------
    patterns : PatternSet
    bank : Reflections
    n : int
        Examples.
    every : int
        Keep every such point of the grid.

    Returns
    -------
    list of dict
        "title", and "measured" and "simulated", each (two_theta, intensity) as lists; none where
        no pattern is recognised.
    """
    points = grid(config)
    squared = patterns.x.astype(np.float32) ** 2
    similarity = searchmatch.similarities(
        searchmatch.measured(squared, points), searchmatch.library(bank)
    )
    nearest = similarity.argmax(axis=1)
    order = np.argsort(-similarity.max(axis=1))
    right = order[patterns.label[order] == bank.group[nearest[order]] - 1]
    _, first = np.unique(patterns.label[right], return_index=True)
    chosen = right[np.sort(first)[:n]]
    if not len(chosen):
        return []
    simulated = measured_like(
        bank.take(nearest[chosen]),
        realism(config, cropped=0.0, coarse=0.0, spikes=0.0, impurity=0.0),
        seed(config, "holdout"),
        torch.arange(len(chosen)),
        points,
    )
    found = []
    for i, model in zip(chosen, simulated.numpy(), strict=True):
        title = f"{bank.name[nearest[i]]}, {symbols()[patterns.label[i]]}"
        pair = {"measured": squared[i], "simulated": model / model.max()}
        angles = points.two_theta[::every].round(3).tolist()
        pair = {k: (angles, v[::every].astype(float).round(4).tolist()) for k, v in pair.items()}
        found.append({"title": title, **pair})
    return found


def uniform_set(config):
    """Good, balanced patterns of random crystals that no training stream contains.

    Returns
    -------
    PatternSet
    """
    n = config.synthesis.uniform_patterns
    stream = PatternStream(
        [(random_crystals(config, "uniform"), 1.0)],
        realism(config, "mild"),
        seed(config, "uniform"),
        min(n, _SLICE),
        grid=grid(config),
    )
    batches = [stream.batch(step) for step in range(-(-n // stream.batch_size))]
    x = torch.cat([x.half() for x, _ in batches])[:n].numpy()
    label = torch.cat([label for _, label in batches])[:n].numpy()
    name = np.array([f"random {i}" for i in range(n)])
    return PatternSet(x, label, name, name)


def holdout_set(config):
    """Measured-looking patterns of the minerals that were kept out of training.

    Returns
    -------
    PatternSet
    """
    bank = load_bank(config, "holdout")
    index = np.repeat(np.arange(len(bank)), config.synthesis.holdout_patterns)
    parts = []
    for rows in np.split(np.arange(len(index)), range(_SLICE, len(index), _SLICE)):
        pattern = measured_like(
            bank.take(index[rows]),
            realism(config),
            seed(config, "holdout"),
            torch.from_numpy(rows),
            grid(config),
        )
        parts.append(normalise(pattern).half())
    family = bank.name[index]
    name = np.array([f"{f} {i}" for i, f in enumerate(family)])
    return PatternSet(
        torch.cat(parts).numpy(), bank.group[index].astype(np.int64) - 1, family, name
    )


def write_sets(config):
    """Write the measured patterns, split by family; nothing where there are none at hand.

    Returns
    -------
    dict of str to PatternSet
    """
    points = grid(config)
    folder(config, "sets/rruff")
    try:
        measured = load(grid=points)
    except MissingData as missing:
        print(f"No measured patterns: {missing}")
        return {}
    sets = {
        name: PatternSet(
            normalise(torch.from_numpy(part.intensity)).half().numpy(),
            part.group.astype(np.int64) - 1,
            part.family,
            part.source,
        )
        for name, part in zip(MEASURED, split(measured), strict=True)
    }
    for name, patterns in sets.items():
        save_set(config, name, patterns)
    return sets


@dataclass
class Cases:
    """n patterns with their cells.

    Attributes
    ----------
    intensity : ndarray, (n, GRID.size)
    cell : list of tuple of 6 floats
        Conventional cells, angstrom and degrees.
    label : ndarray, (n,) int
        Class 0..98.
    family, name : ndarray, (n,) str
    row : ndarray, (n,) int
        Of the set that the patterns come from.
    """

    intensity: np.ndarray
    cell: list
    label: np.ndarray
    family: np.ndarray
    name: np.ndarray
    row: np.ndarray

    def __len__(self):
        return len(self.label)


def held_out(config, name, limit):
    """Simulated patterns of held-out minerals with the cell that each specimen was given.

    The draws are those of the profile's set, on the finer `patterns.GRID`. Every structure is taken
    once, spread evenly if there are more than the limit.

    Parameters
    ----------
    config : namespace
    name : str
        One of `experiment.HELD_OUT`.
    limit : int

    Returns
    -------
    Cases
    """
    patterns = experiment.load_set(config, name)
    number = np.array([int(label.rsplit(" ", 1)[1]) for label in patterns.name])
    _, once = np.unique(number // config.synthesis.holdout_patterns, return_index=True)
    row = once[np.unique(np.linspace(0, len(once) - 1, min(limit, len(once))).astype(int))]
    index = torch.from_numpy(number[row])
    bank = experiment.load_bank(config, "holdout")
    bank = bank.take(number[row] // config.synthesis.holdout_patterns)
    about = experiment.realism(config), experiment.seed(config, "holdout"), index
    counts = measured_like(bank, *about, GRID).numpy()
    return Cases(
        counts,
        specimen_cells(bank, *about),
        patterns.label[row],
        patterns.family[row],
        patterns.name[row],
        row,
    )


def specimen_cells(reflections, realism, seed, index):
    """Cells of the specimens that `realism.measured_like` strains for these patterns.

    Parameters
    ----------
    reflections : records.Reflections
    realism, seed, index
        As for `realism.measured_like`.

    Returns
    -------
    list of tuple of 6 floats
    """
    drawn = draw(realism, seed, index)
    lattice, rotations = (
        torch.from_numpy(x).double() for x in (reflections.lattice, reflections.rotations)
    )
    star = strained_metric(lattice, rotations, drawn["strains"].double(), drawn["strain"].double())
    # Any triangular factor of the metric is a lattice with it.
    return [conventional(np.linalg.cholesky(np.linalg.inv(metric))) for metric in star.numpy()]
