"""What the simulator stage makes: simulated beside measured patterns, and what patterns cost."""

import json
import time
from dataclasses import replace

import numpy as np
import torch

from ..base import paths
from ..base.patterns import normalise
from ..base.records import N_ROTATIONS, concatenate
from ..identification import searchmatch
from ..learning.experiment import MEASURED, folder, grid, load_bank, load_set, realism
from ..simulation import crystal_statistics
from ..simulation.diffraction import reflections
from ..simulation.realism import measured_like
from ..structures import banks
from ..structures.banks import load_amcsd
from ..structures.crystals import generate
from ..structures.recipes import shipped
from .two_sample import features, two_sample

SIMILAR = 0.6  # cosine above which a library structure counts as that of the specimen

# What decides about a pattern of the measured collection, and varies in training.
COLLECTION = {"subtracted": 1.0, "cropped": 0.0, "coarse": 0.0}

_LEVELS = np.linspace(0, 1, 41)  # of the quantiles that stand for a distribution

_FOLDS = 5

_GROUP = 48  # structures timed together

_COPIES = 16  # of a supercell, which is large enough to hide what a call costs


def compare(config):
    """Simulated beside measured patterns of the same minerals, and how well they are told apart.

    Each pattern of rruff-calibration whose structure the library holds is paired with a pattern
    simulated from that structure, with the background subtracted and the full range, as in the
    collection.

    Returns
    -------
    dict
        "n", "families", "note" (None, or why there is no comparison), and unless there is none
        "two_sample" (see `two_sample.two_sample`), "as_trained_auc" (features, with all that
        training draws) and "features": {name: {"measured", "simulated": quantiles, "auc"}}.
    """
    patterns = load_set(config, MEASURED[0])
    if patterns is None:
        return {"n": 0, "families": 0, "note": "No measured patterns were at hand."}
    library = load_bank(config, "library")
    rows, nearest = matched(patterns, library, grid(config))
    family = patterns.family[rows]
    counts = {"n": len(rows), "families": len(set(family))}
    if counts["families"] < 2 * _FOLDS:
        return {**counts, "note": "The library holds too few of the measured minerals."}
    measured = patterns.x[rows].astype(np.float32) ** 2
    main = library.take(nearest)
    simulated = simulate_like(config, main, library, **COLLECTION)
    found = two_sample(measured, simulated, family, config.seed, _FOLDS, grid=grid(config))
    as_trained = two_sample(
        measured,
        simulate_like(config, main, library),
        family,
        config.seed,
        _FOLDS,
        permutations=0,
        epochs=0,
        grid=grid(config),
    )
    single = found["features"].pop("single")
    tables = {
        "measured": features(measured, grid(config)),
        "simulated": features(simulated, grid(config)),
    }
    return {
        **counts,
        "note": None,
        "two_sample": found,
        "as_trained_auc": as_trained["features"]["auc"],
        "features": {
            name: {
                **{kind: _quantiles(table[name]) for kind, table in tables.items()},
                "auc": value,
            }
            for name, value in single.items()
        },
    }


def matched(patterns, library, points):
    """Rows of patterns whose mineral the library holds, and the structure nearest to each.

    Parameters
    ----------
    patterns : experiment.PatternSet
    library : records.Reflections
    points : patterns.Grid

    Returns
    -------
    rows, nearest : ndarray, (n,) int64
        The structure has the pattern's extinction group and a similarity above `SIMILAR`.
    """
    similarity = searchmatch.similarities(
        searchmatch.measured(patterns.x.astype(np.float32) ** 2, points),
        searchmatch.library(library),
    )
    same = patterns.label[:, None] == library.group - 1
    similarity = np.where(same, similarity, -1.0)
    rows = np.flatnonzero(similarity.max(axis=1) > SIMILAR)
    return rows, similarity[rows].argmax(axis=1)


def simulate_like(config, main, impurities, **overrides):
    """One measured-looking pattern of each crystal, (n, n_points) float32, as sets keep them."""
    index = torch.arange(len(main))
    second = impurities.take(
        np.random.default_rng(config.seed).integers(len(impurities), size=len(main))
    )
    made = measured_like(
        main, realism(config, **overrides), config.seed, index, grid(config), second
    )
    # Measured sets are kept as square roots in half precision.
    return normalise(made).half().float().square().numpy()


def compare_crystals(config, most=600):
    """Random crystals beside published ones of the same space groups, one of each phase.

    Returns
    -------
    dict
        As from `crystal_statistics.compare`.
    """
    crystals, table = load_amcsd(folder(config, "amcsd"))
    confirmed = crystals.take(np.flatnonzero(table["agrees_space_group"]))
    published = banks.one_of_each(confirmed)
    published = published.take(np.arange(len(published))[:: -(-len(published) // most)])
    made = generate(shipped(), published.space_group, len(published), config.seed)
    return crystal_statistics.compare(published, made, ("published", "random"))


def costs(config):
    """Seconds of one core for structures and patterns of growing size, measured here and now.

    Returns
    -------
    list of dict
        "by" (volume, atoms, reflections, or supercell), mean "volume" (cubic angstrom), "atoms",
        "reflections", and "structure_ms" and "pattern_ms": milliseconds from crystal to
        reflections, and from those to a measured-looking pattern.
    """
    crystals, _ = load_amcsd(folder(config, "amcsd"))
    known = reflections(crystals)
    size = {
        "volume": np.abs(np.linalg.det(crystals.lattice)),
        "atoms": np.diff(crystals.start),
        "reflections": np.diff(known.start),
    }
    rows = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for by, values in size.items():
        order = np.argsort(values, kind="stable")
        for part in np.array_split(order, 10):
            part = part[:: max(1, len(part) // _GROUP)][:_GROUP]
            rows.append({"by": by, **_cost(config, crystals.take(part))})
    middle = np.argsort(size["volume"])[len(crystals) // 2]
    for repeats in ((1, 1, 1), (2, 1, 1), (2, 2, 1), (2, 2, 2), (3, 2, 2), (3, 3, 2), (3, 3, 3)):
        large = supercell(crystals.take([middle]), repeats, config.seed)
        rows.append({"by": "supercell", **_cost(config, concatenate([large] * _COPIES))})
    torch.set_num_threads(threads)
    return rows


def supercell(crystals, repeats, seed):
    """The one crystal of a record with its cell repeated along a, b and c, and no symmetry left.

    Atoms are displaced a little (0.05 angstrom), so that all reflections of the cell are there.
    """
    shift = np.indices(repeats).reshape(3, -1).T
    frac = (crystals.frac[None] + shift[:, None]) / repeats
    copies = len(shift)
    lattice = crystals.lattice * np.array(repeats)[:, None]
    moves = np.random.default_rng(seed).normal(scale=0.05, size=frac.shape)
    frac = frac + moves @ np.linalg.inv(lattice[0])
    return replace(
        crystals,
        lattice=lattice,
        start=crystals.start * copies,
        number=np.tile(crystals.number, copies),
        frac=frac.reshape(-1, 3).astype(np.float32),
        occupancy=np.tile(crystals.occupancy, copies),
        rotations=np.tile(np.eye(3, dtype=np.int8), (1, N_ROTATIONS, 1, 1)),
    )


def benchmark():
    """What `make bench` wrote on this machine, or None."""
    path = paths.ROOT / "results" / "bench.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _cost(config, crystals):
    known = reflections(crystals)
    index, points, ranges = torch.arange(len(known)), grid(config), realism(config)
    work = {
        "structure_ms": lambda: reflections(crystals),
        "pattern_ms": lambda: measured_like(known, ranges, 0, index, points),
    }
    return {
        "volume": np.abs(np.linalg.det(crystals.lattice)).mean(),
        "atoms": np.diff(crystals.start).mean(),
        "reflections": np.diff(known.start).mean(),
        **{name: 1e3 * _seconds(call) / len(crystals) for name, call in work.items()},
    }


def _seconds(call, times=3):
    """Shortest of a few runs, the first of which warms up."""
    call()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)


def _quantiles(values):
    return np.nanquantile(values, _LEVELS).round(5) if values.notna().any() else None
