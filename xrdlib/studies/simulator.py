"""Results of the simulator stage: simulated beside measured patterns, and computing times."""

import json
import timeit
from types import SimpleNamespace

import numpy as np
import torch
from numpy import ndarray

from ..base import paths
from ..base.patterns import normalise
from ..base.records import Crystals, Reflections
from ..learning.experiment import MEASURED, folder, grid, load_set, load_structures, realism
from ..simulation import crystal_statistics
from ..simulation.diffraction import reflections
from ..simulation.realism import measured_like
from ..structures import structure_library
from ..structures.crystals import generate
from ..structures.recipes import shipped
from ..structures.structure_library import load_amcsd
from .pattern_features import features, two_sample
from .specimens import own_structure

# What decides about a pattern of the measured collection, and varies in training.
COLLECTION = {"subtracted": 1.0, "cropped": 0.0, "coarse": 0.0}

_LEVELS = np.linspace(0, 1, 41)  # of the quantiles that stand for a distribution
_FOLDS = 5
_GROUP = 48  # structures timed together


def compare(config: SimpleNamespace) -> dict:
    """Simulated beside measured patterns of the same minerals, and how well they are separated.

    Each pattern of rruff-calibration whose structure the library holds is paired with a pattern
    simulated from that structure, with the background subtracted and the full range, as in the
    collection.

    Gives "n", "families", "note" (None, or why there is no comparison), and unless there is none
    "two_sample" (see `pattern_features.two_sample`), "as_trained_auc" (with all that training
    draws) and "features": {name: {"measured", "simulated": quantiles, "auc"}}.
    """
    patterns = load_set(config, MEASURED[0])
    if patterns is None:
        return {"n": 0, "families": 0, "note": "No measured patterns were at hand."}
    library, points = load_structures(config, "library"), grid(config)
    measured = patterns.x.astype(np.float32) ** 2
    rows, nearest = own_structure(measured, patterns.label + 1, library, points)
    family, measured = patterns.family[rows], measured[rows]
    counts = {"n": len(rows), "families": len(set(family))}
    if counts["families"] < 2 * _FOLDS:
        return {**counts, "note": "The library holds too few of the measured minerals."}
    main = library.take(nearest)
    simulated = simulate_like(config, main, library, **COLLECTION)
    trained = simulate_like(config, main, library)
    options = (family, config.seed, _FOLDS)
    test = two_sample(measured, simulated, *options, grid=points)
    as_trained = two_sample(measured, trained, *options, permutations=0, grid=points)
    tables = {
        kind: {name: _quantiles(column) for name, column in features(x, points).items()}
        for kind, x in (("measured", measured), ("simulated", simulated))
    }
    single = test["features"].pop("single")
    return {
        **counts,
        "note": None,
        "two_sample": test,
        "as_trained_auc": as_trained["features"]["auc"],
        "features": {
            name: {**{kind: table[name] for kind, table in tables.items()}, "auc": value}
            for name, value in single.items()
        },
    }


def simulate_like(
    config: SimpleNamespace, main: Reflections, impurities: Reflections, **overrides: object
) -> ndarray:
    """One measured-looking pattern of each crystal, (n, n_points) float32, as sets keep them."""
    second = np.random.default_rng(config.seed).integers(len(impurities), size=len(main))
    settings = realism(config, **overrides), config.seed, torch.arange(len(main)), grid(config)
    made = measured_like(main, *settings, impurities.take(second))
    # Measured sets are kept as square roots in half precision.
    return normalise(made).half().float().square().numpy()


def published(config: SimpleNamespace, most: int) -> Crystals:
    """At most so many published structures, one of each phase, whose space group is confirmed."""
    crystals, table = load_amcsd(folder(config, "amcsd"))
    confirmed = crystals.take(np.flatnonzero(table["agrees_space_group"]))
    phases = structure_library.one_of_each(confirmed)
    return phases.take(np.arange(len(phases))[:: -(-len(phases) // most)])


def compare_crystals(config: SimpleNamespace, most: int = 600) -> dict:
    """Random crystals beside at most so many published ones of the same space groups.

    See `crystal_statistics.compare`.
    """
    known = published(config, most)
    made = generate(shipped(), known.space_group, len(known), config.seed)
    return crystal_statistics.compare(known, made, ("published", "random"))


def costs(config: SimpleNamespace) -> list[dict]:
    """Seconds of one core for structures and patterns of growing size, measured here and now.

    Rows have "by" (volume, atoms, or reflections), mean "volume" (cubic angstrom),
    "atoms", "reflections", and "structure_ms" and "pattern_ms": milliseconds from crystal to
    reflections, and from those to a measured-looking pattern.
    """
    crystals, _ = load_amcsd(folder(config, "amcsd"))
    computed = reflections(crystals)
    size = {
        "volume": np.abs(np.linalg.det(crystals.lattice)),
        "atoms": np.diff(crystals.start),
        "reflections": np.diff(computed.start),
    }
    rows = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for by, values in size.items():
        order = np.argsort(values, kind="stable")
        for part in np.array_split(order, 10):
            part = part[:: max(1, len(part) // _GROUP)][:_GROUP]
            rows.append({"by": by, **_cost(config, crystals.take(part))})
    torch.set_num_threads(threads)
    return rows


def benchmark() -> dict | None:
    """What `make bench` wrote on this machine, or None."""
    path = paths.ROOT / "results" / "bench.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _cost(config, crystals):
    computed = reflections(crystals)
    index, points, ranges = torch.arange(len(computed)), grid(config), realism(config)
    work = {
        "structure_ms": lambda: reflections(crystals),
        "pattern_ms": lambda: measured_like(computed, ranges, 0, index, points),
    }
    return {
        "volume": np.abs(np.linalg.det(crystals.lattice)).mean(),
        "atoms": np.diff(crystals.start).mean(),
        "reflections": np.diff(computed.start).mean(),
        **{name: 1e3 * _seconds(call) / len(crystals) for name, call in work.items()},
    }


def _seconds(call, times=3):
    """Shortest of a few runs, the first of which warms up."""
    call()
    return min(timeit.repeat(call, number=1, repeat=times))


def _quantiles(values):
    return np.nanquantile(values, _LEVELS).round(5) if values.notna().any() else None
