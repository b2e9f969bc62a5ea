"""Fit the statistics of minerals to published structures; `minerals` reads them.

Fitted to those structures of the American Mineralogist Crystal Structure Database (the selection
in xraylarch 0.9.80) that models are trained on: symmetry confirmed by the atoms, not held out, one
a phase, up to 600 atoms a cell, without noble gases. Needs the data, spglib and pymatgen, which
reading the table does not.
"""

import json
from collections import Counter
from itertools import combinations

import gemmi
import numpy as np
from scipy import optimize, stats
from tqdm import tqdm

from ..base.records import Crystals
from ..symmetry.cells import cell_of_lattice
from ..symmetry.groups import SYSTEMS, operations, space_group
from ..symmetry.wyckoff import positions
from . import datasets, structure_library
from .detection import asymmetric_unit, detect
from .entries import amcsd_entries
from .fit_chemistry import abundances, pair_weights, substitutes, volumes
from .structure_library import one_of_each, ordinary

MAX_ATOMS = 600

# The selection holds structures of up to 9 sites, so that the fit must know of the cut.
_MOST_SITES = 9
_LEAST = 15  # phases that an element must occur in
_FEWEST = 80  # structures of a centring or space group that is fitted apart


def training_structures() -> Crystals:
    """Confirmed structures of the training part, one a phase, without noble gases."""
    crystals, table = structure_library.build(amcsd_entries(datasets.path("amcsd")))
    chosen = one_of_each(crystals.take((table["agrees"] & ~table["holdout"]).to_numpy()))
    return chosen.take(ordinary(chosen, MAX_ATOMS))


def describe_structures(crystals: Crystals) -> list[dict]:
    """Quantities that the fits need of each structure; hydrogen is left out of sites.

    Returns
    -------
    list of dict
        space_group, system, cell (standard lattice), volume of the standard cell, sites
        (multiplicity, freedom, leading element), content (atoms in the standard cell by atomic
        number), shared (pairs of elements on one site).
    """
    rows = []
    for i in tqdm(range(len(crystals)), desc="structures", mininterval=2):
        symmetry = detect(crystals, i)
        atoms = slice(crystals.start[i], crystals.start[i + 1])
        number, occupancy = crystals.number[atoms], crystals.occupancy[atoms]
        first_positions, multiplicity, freedom = asymmetric_unit(symmetry, crystals.lattice[i])
        # The published cell may be another than the standard one.
        scale = len(operations(symmetry.space_group)[0]) / len(symmetry.rotations)
        content, sites, shared = Counter(), [], set()
        for position, m, f in zip(first_positions, multiplicity, freedom, strict=True):
            own = symmetry.position == position
            held = dict(zip(number[own].tolist(), occupancy[own], strict=True))
            for z, amount in held.items():
                content[z] += float(amount) * m * scale
            held.pop(1, None)
            shared |= {frozenset(pair) for pair in combinations(held, 2)}
            if held:
                sites.append((round(m * scale), int(f), max(held, key=held.get)))
        rows.append(
            {
                "space_group": symmetry.space_group,
                "system": space_group(symmetry.space_group)["crystal_system"],
                "cell": symmetry.standard_lattice,
                "volume": abs(np.linalg.det(symmetry.standard_lattice)),
                "sites": sites,
                "content": dict(content),
                "shared": shared,
            }
        )
    return rows


def site_numbers(rows: list[dict]) -> dict[str, list[float]]:
    """Mean and spread of ln(number of sites), by maximum likelihood given at most 9."""
    shapes = {}
    for system in SYSTEMS:
        n = np.array([len(row["sites"]) for row in rows if row["system"] == system])
        counts = np.bincount(n[n <= _MOST_SITES], minlength=_MOST_SITES + 1)[1:]

        def surprise(shape, counts=counts):
            edges = np.log(np.arange(1, _MOST_SITES + 1) + 0.5)
            below = stats.norm.cdf((edges - shape[0]) / np.exp(shape[1]))
            share = np.diff(below, prepend=0.0) / below[-1]
            return -counts @ np.log(share + 1e-12)

        mean, log_spread = optimize.minimize(surprise, (1.5, -0.5), method="Nelder-Mead").x
        shapes[system] = [float(mean), float(np.exp(log_spread))]
    return shapes


def position_weights(rows: list[dict]) -> dict[str, list[float]]:
    """What makes a Wyckoff position likely (`minerals.fitted`), by maximum likelihood."""
    weights_of_system = {}
    for system in SYSTEMS:
        choices = Counter()
        for row in rows:
            if row["system"] == system:
                choices.update((row["space_group"], m, f) for m, f, _ in row["sites"])
        cases = [(*_candidates(*choice), count) for choice, count in choices.items()]
        cases = [case for case in cases if case[1].any()]

        def surprise(weights, cases=cases):
            total = 0.01 * weights @ weights  # keeps weights finite that a system does not fix
            for features, same, count in cases:
                score = np.exp(features @ weights - (features @ weights).max())
                total -= count * np.log(score[same].sum() / score.sum())
            return total

        weights_of_system[system] = optimize.minimize(surprise, np.zeros(4)).x.tolist()
    return weights_of_system


def _candidates(number, multiplicity, freedom):
    """Features (p, 4) of the positions of a space group, and which may be the one observed."""
    sites = positions(number)
    multiplicities = np.array([site.multiplicity for site in sites])
    freedoms = np.array([site.freedom for site in sites])
    features = np.column_stack([freedoms == f for f in (1, 2, 3)] + [np.log(multiplicities)])
    return features.astype(float), (multiplicities == multiplicity) & (freedoms == freedom)


def kind_weights(rows: list[dict], most: int = 6) -> list[float]:
    """Weights of 1, 2, ... elements among as many as the sites allow, by maximum likelihood."""
    table = np.zeros((_MOST_SITES + 1, most + 1))
    for row in rows:
        kinds = len({z for *_, z in row["sites"]})
        if len(row["sites"]) <= _MOST_SITES and kinds <= most:
            table[len(row["sites"]), kinds] += 1
    weights = np.full(most, 1 / most)
    for _ in range(1000):
        allowed = np.zeros(most)
        for n, count in enumerate(table.sum(1)):
            allowed[:n] += count / max(weights[:n].sum(), 1e-12)
        weights = table[:, 1:].sum(0) / allowed
        weights /= weights.sum()
    return weights.tolist()


def cell_shapes(rows: list[dict]) -> dict[str, list]:
    """Mean and spread of ln a, ln b, ln c in the reference setting, `minerals.fitted`."""
    logs = {}
    for row in (row for row in rows if row["system"] != "cubic"):
        axes = np.log(cell_of_lattice(row["cell"])[:3])
        centring = space_group(row["space_group"])["symbol"][0]
        for key in (row["system"], f"{row['system']} {centring}", str(row["space_group"])):
            logs.setdefault(key, []).append(axes - axes.mean())
    return {
        key: _shape(np.array(values))
        for key, values in sorted(logs.items())
        if key in SYSTEMS or len(values) >= _FEWEST
    }


def _shape(axes):
    """Mean and spread of three independent logarithms from these less their mean, (n, 3)."""
    variance = axes.var(0)
    if np.allclose(axes[:, 0], axes[:, 1], atol=1e-3):  # what differs is ln c - ln a
        ratio = axes[:, 2] - axes[:, 0]
        return [[0.0, 0.0, float(ratio.mean())], [0.0, 0.0, float(ratio.std())]]
    # Taking the mean off leaves variance i with 1/3 of itself and 1/9 of the sum.
    spread = np.sqrt(np.clip(3 * (variance - variance.sum() / 6), 0.01, None))
    return [axes.mean(0).tolist(), spread.tolist()]


def derive() -> str:
    """The text of tables/minerals.json."""
    rows = describe_structures(training_structures())
    sets = [{z for *_, z in row["sites"]} for row in rows]
    contents = [{z: n for z, n in row["content"].items() if z > 1} for row in rows]
    phases = Counter(z for held in sets for z in held)
    numbers = sorted(z for z, n in phases.items() if n >= _LEAST)
    volume = volumes([row["content"] for row in rows], [row["volume"] for row in rows], numbers)
    abundance, abundance_spread = abundances(contents, numbers)
    weights, pairs = pair_weights(sets, numbers)
    share = [sum(z in held for held in sets) / len(sets) for z in numbers]
    elements = [gemmi.Element(z) for z in numbers]
    content = {
        "structures": len(rows),
        "elements": {
            e.name: [z, round(s, 4), round(v, 1), round(e.covalent_r, 2), round(a, 2)]
            for e, z, s, v, a in zip(elements, numbers, share, volume, abundance, strict=True)
        },
        "abundance_spread": round(abundance_spread, 3),
        "weights": np.round(weights, 2).tolist(),
        "pairs": [np.round(row[:k], 2).tolist() for k, row in enumerate(pairs)],
        "substitutes": substitutes([row["shared"] for row in rows], numbers),
        "kinds": _rounded(kind_weights(rows)),
        "sites": _rounded(site_numbers(rows)),
        "positions": _rounded(position_weights(rows)),
        "cells": _rounded(cell_shapes(rows)),
    }
    lines = (f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in content.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _rounded(value):
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return np.round(value, 3).tolist()
