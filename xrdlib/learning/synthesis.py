"""Structure libraries and sets of a profile: simulated, held-out and measured patterns."""

import zlib
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

from ..base import records
from ..base.patterns import GRID, normalise
from ..identification import searchmatch
from ..simulation.diffraction import Reflections, reflections
from ..simulation.prototype_library import training_prototypes
from ..simulation.prototypes import Prototypes
from ..simulation.realism import Realism, draw, measured_like
from ..simulation.specimen_effects import strained_metric
from ..simulation.stream import PatternStream
from ..structures import datasets
from ..structures.bgmn import bgmn_entries
from ..structures.crystals import detected_space_groups, generate_balanced
from ..structures.datasets import MissingData
from ..structures.measured import halves
from ..structures.oqmd import build_oqmd
from ..structures.recipes import shipped
from ..structures.structure_library import build, load_amcsd
from ..symmetry.cells import conventional
from ..symmetry.groups import N_GROUPS, group_of_space_group, symbols
from . import experiment
from .experiment import HELD_OUT, MEASURED, PatternSet, folder, grid, load_structures, realism, seed

_SLICE = 512  # patterns simulated at a time


def verify_random_crystals(config: SimpleNamespace) -> pd.DataFrame:
    """Random crystals of every group: nominal and, by spglib, detected extinction group."""
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


def write_structures(config: SimpleNamespace) -> dict[str, Reflections]:
    """Reflections of the mineral structures, in the files train, holdout and library.

    `train` and `holdout` hold structures whose stated and detected groups agree, apart by structure
    type, so that no isotype of a held-out mineral is trained on; `library` all with a known group,
    for search-match. The name of each is its family, of a held-out one its type.
    """
    crystals, table = load_amcsd(folder(config, "amcsd"))
    computed = reflections(crystals)
    computed.name = table["family"].to_numpy(dtype=str)
    computed.group = table["stated_group"].to_numpy(dtype=np.int16)
    agrees, holdout = table["agrees"].to_numpy(), table["holdout"].to_numpy()
    chosen = {
        "train": agrees & ~holdout,
        "holdout": agrees & holdout,
        "library": computed.group > 0,
    }
    libraries = {name: computed.take(np.flatnonzero(rows)) for name, rows in chosen.items()}
    libraries["holdout"].name = table["type"].to_numpy(dtype=str)[chosen["holdout"]]
    return {name: _save_bank(config, name, library) for name, library in libraries.items()}


def _save_bank(config, name, library):
    records.save(library, folder(config, "bank") / f"{name}.npz")
    return library


def write_compounds(config: SimpleNamespace) -> Reflections | None:
    """Reflections of computed compounds, in the file compounds; None where not asked for.

    Left out are compounds of the same elements and group as a mineral that is kept from training.
    """
    if not config.synthesis.compounds:
        return None
    compounds, metadata = build_oqmd(datasets.path("oqmd"))
    crystals, table = load_amcsd(folder(config, "amcsd"))
    held_out = {
        (int(crystals.group[i]), *np.unique(crystals.number[slice(*crystals.start[i : i + 2])]))
        for i in np.flatnonzero(table["holdout"])
    }
    alike = [
        (g, *z) in held_out for g, z in zip(metadata["group"], metadata["elements"], strict=True)
    ]
    library = reflections(compounds.take(~np.array(alike)))
    return _save_bank(config, "compounds", library)


def write_refinements(config: SimpleNamespace) -> Reflections | None:
    """Reflections of further phases, in the file refinements; None where not asked for.

    Their cells were measured. They are for retrieval alone.
    """
    if not config.synthesis.refinements:
        return None
    _, minerals = load_amcsd(folder(config, "amcsd"))
    names = set(minerals["mineral"]) - {""}
    crystals, table = build(bgmn_entries(datasets.path("bgmn"), names))
    library = reflections(crystals.take(np.flatnonzero(table["agrees"])))
    return _save_bank(config, "refinements", library)


def write_prototypes(config: SimpleNamespace) -> Prototypes | None:
    """Real structures to decorate, in the file prototypes; None where not asked for. A minute."""
    if not config.synthesis.prototypes:
        return None
    return _save_bank(
        config, "prototypes", training_prototypes(*load_amcsd(folder(config, "amcsd")))
    )


def validation_sets(config: SimpleNamespace) -> dict[str, PatternSet]:
    """The synthetic sets: balanced random crystals, held-out minerals split by family."""
    held_out = holdout_set(config)
    side = np.array([zlib.crc32(family.encode()) >> 8 & 1 for family in held_out.family])
    halves = {name: held_out.take(side == k) for k, name in enumerate(HELD_OUT)}
    return {"random-crystals": uniform_set(config), **halves}


def class_histogram(library: Reflections, sets: dict[str, PatternSet]) -> dict[str, list[int]]:
    """Counts (99,) of the groups: space groups, training minerals, and the labels of sets."""
    minerals = set(zip(library.name, library.group, strict=True))
    labels = {
        "space groups": group_of_space_group()[1:] - 1,
        "training minerals": np.array([group for _, group in minerals]) - 1,
        **{name: patterns.label for name, patterns in sets.items()},
    }
    return {name: np.bincount(k, minlength=N_GROUPS).tolist() for name, k in labels.items()}


def examples(
    config: SimpleNamespace, patterns: PatternSet, library: Reflections, n: int = 3, every: int = 2
) -> list[dict]:
    """Measured patterns and the simulated minerals that resemble them most.

    Of the families that are recognised best, n with different groups are chosen; none where no
    pattern is recognised. Each has "title", and "measured" and "simulated", which are
    (two_theta, intensity) at every such point of the grid.
    """
    points = grid(config)
    squared = patterns.x.astype(np.float32) ** 2
    shown = searchmatch.measured(squared, points)
    similarity = searchmatch.similarities(shown, searchmatch.library(library))
    nearest = similarity.argmax(axis=1)
    order = np.argsort(-similarity.max(axis=1))
    right = order[patterns.label[order] == library.group[nearest[order]] - 1]
    _, first = np.unique(patterns.label[right], return_index=True)
    chosen = right[np.sort(first)[:n]]
    if not len(chosen):
        return []
    ranges = realism(config, cropped=0.0, coarse=0.0, spikes=0.0, impurity=0.0)
    settings = ranges, seed(config, "holdout"), torch.arange(len(chosen)), points
    simulated = measured_like(library.take(nearest[chosen]), *settings)
    angles, pairs = points.two_theta[::every].round(3).tolist(), []
    for i, model in zip(chosen, simulated.numpy(), strict=True):
        title = f"{library.name[nearest[i]]}, {symbols()[patterns.label[i]]}"
        pair = {"measured": squared[i], "simulated": model / model.max()}
        pair = {k: (angles, v[::every].astype(float).round(4).tolist()) for k, v in pair.items()}
        pairs.append({"title": title, **pair})
    return pairs


def uniform_set(config: SimpleNamespace) -> PatternSet:
    """Good, balanced patterns of random crystals that no training stream contains."""
    n = config.synthesis.uniform_patterns
    settings = realism(config, "mild"), seed(config, "uniform"), min(n, _SLICE)
    source = experiment.random_crystals(config, "uniform")
    stream = PatternStream([(source, 1.0)], *settings, grid=grid(config))
    batches = [stream.batch(step) for step in range(-(-n // stream.batch_size))]
    x = torch.cat([x.half() for x, _ in batches])[:n].numpy()
    label = torch.cat([label for _, label in batches])[:n].numpy()
    name = np.array([f"random {i}" for i in range(n)])
    return PatternSet(x, label, name, name)


def holdout_set(config: SimpleNamespace) -> PatternSet:
    """Measured-looking patterns of the minerals that were kept out of training."""
    library = load_structures(config, "holdout")
    index = np.repeat(np.arange(len(library)), config.synthesis.holdout_patterns)
    settings, parts = (realism(config), seed(config, "holdout")), []
    for rows in torch.arange(len(index)).split(_SLICE):
        pattern = measured_like(library.take(index[rows.numpy()]), *settings, rows, grid(config))
        parts.append(normalise(pattern).half())
    family, label = library.name[index], library.group[index].astype(np.int64) - 1
    name = np.array([f"{f} {i}" for i, f in enumerate(family)])
    return PatternSet(torch.cat(parts).numpy(), label, family, name)


def write_sets(config: SimpleNamespace) -> dict[str, PatternSet]:
    """Write the measured patterns, split by family; nothing where there are none at hand."""
    points = grid(config)
    folder(config, "sets/rruff")
    try:
        measured = halves(config.measured, points)
    except MissingData as missing:
        print(f"No measured patterns: {missing}")
        return {}
    sets = {}
    for name, part in zip(MEASURED, measured, strict=True):
        x = normalise(torch.from_numpy(part.intensity)).half().numpy()
        label = part.group.astype(np.int64) - 1
        sets[name] = PatternSet(x, label, part.family, part.source)
        experiment.save_set(config, name, sets[name])
    return sets


@dataclass
class Cases(records.Record):
    """n patterns, (n, GRID.size), with their conventional cells, six numbers each.

    `label` (0..98), `family` and `name` are those of rows `row` of the set they come from.
    """

    intensity: np.ndarray
    cell: list
    label: np.ndarray
    family: np.ndarray
    name: np.ndarray
    row: np.ndarray


def held_out(config: SimpleNamespace, name: str, limit: int) -> Cases:
    """Simulated patterns of held-out minerals with the cell that each specimen was given.

    The draws are those of the profile's set, one of `experiment.HELD_OUT`, on the finer
    `patterns.GRID`. Every structure is taken once, spread evenly if there are more than the limit.
    """
    patterns = experiment.load_set(config, name)
    number = np.array([int(label.rsplit(" ", 1)[1]) for label in patterns.name])
    _, once = np.unique(number // config.synthesis.holdout_patterns, return_index=True)
    row = once[np.unique(np.linspace(0, len(once) - 1, min(limit, len(once))).astype(int))]
    index = torch.from_numpy(number[row])
    library = load_structures(config, "holdout").take(
        number[row] // config.synthesis.holdout_patterns
    )
    settings = realism(config), seed(config, "holdout"), index
    counts, cells = (
        measured_like(library, *settings, GRID).numpy(),
        specimen_cells(library, *settings),
    )
    return Cases(counts, cells, patterns.label[row], patterns.family[row], patterns.name[row], row)


def specimen_cells(
    reflections: Reflections, realism: Realism, seed: int, index: np.ndarray
) -> list[tuple]:
    """Cells of the specimens that `realism.measured_like`, called so, strains for its patterns."""
    drawn, parts = draw(realism, seed, index), (reflections.lattice, reflections.rotations)
    lattice, rotations = (torch.from_numpy(part).double() for part in parts)
    star = strained_metric(lattice, rotations, drawn["strains"].double(), drawn["strain"].double())
    # Any triangular factor of the metric is a lattice with it.
    return [conventional(np.linalg.cholesky(np.linalg.inv(metric))) for metric in star.numpy()]
