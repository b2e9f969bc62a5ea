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

from ..symmetry.cells import cell_parameters
from ..symmetry.groups import SYSTEMS, operations, space_group
from ..symmetry.wyckoff import positions
from . import banks, datasets
from .banks import one_of_each
from .detection import asymmetric_unit, detect
from .entries import amcsd_entries

SIZES = 4  # numbers of elements that are told apart, the last standing for more

_LEAST = 15  # phases that an element must occur in

_PSEUDO = 4.0  # structures added to every observed and expected number of a pair

_SWEEPS, _DRAWN = 40, 60_000  # of the fit of the pair weights, and sets drawn in each

_LEAST_SHARED = 5  # phases in which two elements must share a site

_RADIUS_RATIO = 1.35  # between elements that stand in for each other

_LEAST_LAMBDA = 1.2  # of Hautier et al., below which an exchange was hardly seen

_RIDGE = 1e-3

_NONMETALS = {"C", "N", "O", "F", "P", "S", "Cl", "As", "Se", "Br", "Te", "I"}

_METALLOIDS = {"B", "Si", "Ge", "Sb"}

_OUTLIER = 0.02  # relative errors far above count by their size, not by its square


def frequent(sets):
    """Atomic numbers of the elements in enough of the sets, rising."""
    counts = Counter(z for held in sets for z in held)
    return sorted(z for z, n in counts.items() if n >= _LEAST)


def volumes(contents, cell_volumes, numbers):
    """Volume that an atom of each element adds, by least absolute deviations of relative errors.

    Parameters
    ----------
    contents : list of dict
        Atoms in the cell by atomic number.
    cell_volumes : ndarray, (n,)
        Cubic angstrom.
    numbers : list of int
        Elements wanted; structures with others than these and hydrogen are left out.

    Returns
    -------
    volume : ndarray, (len(numbers),)
        Cubic angstrom.
    residual : float
        Median of the absolute relative error.
    """
    columns = {z: k for k, z in enumerate([*numbers, 1])}
    rows = [k for k, content in enumerate(contents) if set(content) <= set(columns)]
    matrix = np.zeros((len(rows), len(columns)))
    for row, k in enumerate(rows):
        for z, amount in contents[k].items():
            matrix[row, columns[z]] = amount / cell_volumes[k]
    # Hydrogen is often missing from the list of sites, which its column cannot know.
    share = np.ones(len(rows))
    for _ in range(_SWEEPS):
        found = np.linalg.lstsq(matrix * share[:, None], share, rcond=None)[0]
        residual = matrix @ found - 1
        # Least absolute deviations, by weights: high-pressure phases are outliers.
        share = 1 / np.sqrt(np.abs(residual) + _OUTLIER)
    return found[:-1], float(np.median(np.abs(residual)))


def abundances(contents, numbers):
    """Mean logarithm of the number of atoms of each element beside the others of its structures.

    Returns
    -------
    abundance : ndarray, (len(numbers),)
    spread : float
        Standard deviation of what is left.
    """
    columns, rows, values = {z: k for k, z in enumerate(numbers)}, [], []
    for content in contents:
        held = [(columns[z], np.log(n)) for z, n in content.items() if z in columns and n > 0]
        for k, logarithm in held if len(held) > 1 else []:
            row = np.zeros(len(numbers))
            row[[j for j, _ in held]] = -1 / len(held)
            row[k] += 1
            rows.append(row)
            values.append(logarithm - np.mean([v for _, v in held]))
    matrix, values = np.array(rows), np.array(values)
    normal = matrix.T @ matrix + _RIDGE * np.eye(len(numbers))
    found = np.linalg.solve(normal, matrix.T @ values)
    return found, float(np.std(values - matrix @ found))


def pair_weights(sets, numbers, seed=0):
    """Weights of elements and pairs with which sets drawn one by one resemble those observed.

    A set starts with an element in proportion to its weight among sets of that size; each further
    one is drawn in proportion to its weight times those of its pairs with all drawn before. Weights
    are multiplied by the ratio of observed and drawn numbers until these agree (iterative scaling).

    Parameters
    ----------
    sets : list of set of int
        Elements of each structure.
    numbers : list of int
        Elements wanted; others in the sets are left out.
    seed : int

    Returns
    -------
    weights : ndarray, (SIZES, e)
        Logarithms, for sets of 1, 2, ... and `SIZES` or more elements.
    pairs : ndarray, (e, e)
        Logarithms, symmetric.
    """
    columns = {z: k for k, z in enumerate(numbers)}
    kept = [held for held in ([columns[z] for z in s if z in columns] for s in sets) if held]
    observed = _counts(kept, len(numbers))
    sizes = np.array([len(held) for held in kept])
    weights = np.tile(np.log(observed[0].sum(0) / len(kept)), (SIZES, 1))
    pairs = np.zeros_like(observed[1])
    rng = np.random.default_rng(seed)
    for sweep in range(_SWEEPS):
        drawn = _draw_sets(rng.choice(sizes, _DRAWN), weights, pairs, rng)
        single, pair = (
            np.log((seen + _PSEUDO) / (found * len(kept) / _DRAWN + _PSEUDO)) / (1 + 0.1 * sweep)
            for seen, found in zip(observed, _counts(drawn, len(numbers)), strict=True)
        )
        weights, pairs = weights + single, pairs + 0.5 * pair
    return weights - weights.max(1, keepdims=True), pairs


def _draw_sets(sizes, weights, pairs, rng):
    """Sets of given sizes drawn as `pair_weights` describes, a list of arrays of columns."""
    score = weights[np.minimum(sizes, SIZES) - 1]
    picked = np.zeros((len(sizes), sizes.max()), dtype=int)
    for k in range(sizes.max()):
        picked[:, k] = (score + rng.gumbel(size=score.shape)).argmax(1)
        score += pairs[picked[:, k]]
        score[np.arange(len(sizes)), picked[:, k]] = -np.inf
    return [row[:n] for row, n in zip(picked, sizes, strict=True)]


def _counts(sets, n):
    """Sets by size and element, (SIZES, n), and by pair of elements, (n, n)."""
    single, pair = np.zeros((SIZES, n)), np.zeros((n, n))
    for held in sets:
        single[min(len(held), SIZES) - 1, held] += 1
        pair[np.ix_(held, held)] += 1
    return single, pair * (1 - np.eye(n))


def substitutes(shared, numbers):
    """Elements that stand in for each other, with the logarithm of a weight.

    Two elements do if their covalent radii are similar and either ions of one charge replace each
    other in inorganic crystals more often than by chance (data-mined by G. Hautier et al., Inorg.
    Chem. 50, 656 (2011), as in pymatgen; no metal for a nonmetal) or they share sites in several
    minerals. The weight is the larger of the two ratios of observed and expected numbers.

    Parameters
    ----------
    shared : list of set of frozenset
        Of each structure, the pairs of elements that share a site.
    numbers : list of int

    Returns
    -------
    dict of str to dict of str to float
    """
    symbols = [gemmi.Element(z).name for z in numbers]
    radius = {symbol: gemmi.Element(symbol).covalent_r for symbol in symbols}
    scores = _exchanged_ions(set(symbols))
    for pair, score in _shared_sites(shared).items():
        scores[pair] = max(score, scores.get(pair, score))
    table = {symbol: {} for symbol in symbols}
    for a, b in combinations(symbols, 2):
        score = scores.get(frozenset((a, b)), 0.0)
        if score > 0 and max(radius[a], radius[b]) < _RADIUS_RATIO * min(radius[a], radius[b]):
            table[a][b] = table[b][a] = round(score, 2)
    return table


def _exchanged_ions(symbols):
    """Logarithm of the pair correlation of two elements, the largest over ions of one charge."""
    from pymatgen.core.structure_prediction.substitution_probability import (
        SubstitutionProbability,
    )

    model, scores = SubstitutionProbability(), {}
    ions = [ion for ion in model.species if ion.symbol in symbols]
    for a, b in combinations(ions, 2):
        alike = a.symbol != b.symbol and a.oxi_state == b.oxi_state
        # S6+ and Cr6+ replace each other, but most sulphur and chromium is not in that state.
        alike &= (a.symbol in _NONMETALS) == (b.symbol in _NONMETALS) or not _METALLOIDS.isdisjoint(
            (a.symbol, b.symbol)
        )
        if alike and model.get_lambda(a, b) >= _LEAST_LAMBDA:
            pair, score = frozenset((a.symbol, b.symbol)), float(np.log(model.pair_corr(a, b)))
            scores[pair] = max(score, scores.get(pair, score))
    return scores


def _shared_sites(shared):
    """Logarithm of observed over expected numbers of structures in which elements share a site."""
    pairs = Counter(pair for found in shared for pair in found)
    single = Counter(z for found in shared for z in set().union(*found))
    total = sum(bool(found) for found in shared)
    return {
        frozenset(gemmi.Element(z).name for z in pair): float(
            np.log(n * total / np.prod([single[z] for z in pair]))
        )
        for pair, n in pairs.items()
        if n >= _LEAST_SHARED
    }


NOBLE = (2, 10, 18, 36, 54, 86)

MAX_ATOMS = 600

# The selection holds structures of up to 9 sites, so that the fit must know of the cut.
_MOST_SITES = 9

_FEWEST = 80  # structures of a centring or space group that is fitted apart


def training_structures():
    """Confirmed structures of the training part, one a phase, without noble gases."""
    entries = amcsd_entries(datasets.path("amcsd"))
    crystals, table = banks.build(entries)
    chosen = one_of_each(crystals.take((table["agrees"] & ~table["holdout"]).to_numpy()))
    start = chosen.start[:-1]
    noble = np.logical_or.reduceat(np.isin(chosen.number, NOBLE), start)
    seen = np.logical_or.reduceat(chosen.number > 1, start)
    return chosen.take(~noble & seen & (np.diff(chosen.start) <= MAX_ATOMS))


def describe_structures(crystals):
    """What is needed of each structure, hydrogen left out where places are counted.

    Returns
    -------
    list of dict
        space_group, system, cell (standard lattice), volume of the standard cell, places
        (multiplicity, freedom, leading element), content (atoms in the standard cell by atomic
        number), shared (pairs of elements on one site).
    """
    rows = []
    for i in tqdm(range(len(crystals)), desc="structures", mininterval=2):
        found = detect(crystals, i)
        atoms = slice(crystals.start[i], crystals.start[i + 1])
        number, occupancy = crystals.number[atoms], crystals.occupancy[atoms]
        places, multiplicity, freedom = asymmetric_unit(found, crystals.lattice[i])
        # The published cell may be another than the standard one.
        scale = len(operations(found.space_group)[0]) / len(found.rotations)
        content, sites, shared = Counter(), [], set()
        for place, m, f in zip(places, multiplicity, freedom, strict=True):
            held = dict(
                zip(
                    number[found.place == place].tolist(),
                    occupancy[found.place == place],
                    strict=False,
                )
            )
            for z, amount in held.items():
                content[z] += float(amount) * m * scale
            held.pop(1, None)
            shared |= {frozenset(pair) for pair in combinations(held, 2)}
            if held:
                sites.append((round(m * scale), int(f), max(held, key=held.get)))
        rows.append(
            {
                "space_group": found.space_group,
                "system": space_group(found.space_group)["crystal_system"],
                "cell": found.standard_lattice,
                "volume": abs(np.linalg.det(found.standard_lattice)),
                "sites": sites,
                "content": dict(content),
                "shared": shared,
            }
        )
    return rows


def site_numbers(rows):
    """Mean and spread of ln(number of sites), by maximum likelihood given at most 9."""
    found = {}
    for system in SYSTEMS:
        n = np.array([len(row["sites"]) for row in rows if row["system"] == system])
        counts = np.bincount(n[n <= _MOST_SITES], minlength=_MOST_SITES + 1)[1:]

        def surprise(shape, counts=counts):
            edges = np.log(np.arange(1, _MOST_SITES + 1) + 0.5)
            below = stats.norm.cdf((edges - shape[0]) / np.exp(shape[1]))
            share = np.diff(below, prepend=0.0) / below[-1]
            return -counts @ np.log(share + 1e-12)

        mean, log_spread = optimize.minimize(surprise, (1.5, -0.5), method="Nelder-Mead").x
        found[system] = [float(mean), float(np.exp(log_spread))]
    return found


def position_weights(rows):
    """What makes a Wyckoff position likely (`minerals.fitted`), by maximum likelihood."""
    found = {}
    for system in SYSTEMS:
        choices = Counter()
        for row in rows:
            if row["system"] == system:
                choices.update((row["space_group"], m, f) for m, f, _ in row["sites"])
        cases = [(*_candidates(*choice), count) for choice, count in choices.items()]
        cases = [case for case in cases if case[1].any()]

        def surprise(weights, cases=cases):
            total = 0.01 * weights @ weights  # keeps what a system does not tell finite
            for features, same, count in cases:
                score = np.exp(features @ weights - (features @ weights).max())
                total -= count * np.log(score[same].sum() / score.sum())
            return total

        found[system] = optimize.minimize(surprise, np.zeros(4)).x.tolist()
    return found


def _candidates(number, multiplicity, freedom):
    """Features (p, 4) of the positions of a space group, and which may be the one observed."""
    sites = positions(number)
    multiplicities = np.array([site.multiplicity for site in sites])
    freedoms = np.array([site.freedom for site in sites])
    features = np.column_stack([freedoms == f for f in (1, 2, 3)] + [np.log(multiplicities)])
    return features.astype(float), (multiplicities == multiplicity) & (freedoms == freedom)


def kind_weights(rows, most=6):
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


def cell_shapes(rows):
    """Mean and spread of ln a, ln b, ln c in the reference setting, `minerals.fitted`."""
    logs = {}
    for row in rows:
        axes = np.log(cell_parameters(row["cell"][None])[0][0])
        if row["system"] == "cubic":
            continue
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


def derive():
    """The text of tables/minerals.json."""
    rows = describe_structures(training_structures())
    sets = [{z for *_, z in row["sites"]} for row in rows]
    contents = [{z: n for z, n in row["content"].items() if z > 1} for row in rows]
    numbers = frequent(sets)
    volume, _ = volumes(
        [row["content"] for row in rows], np.array([row["volume"] for row in rows]), numbers
    )
    abundance, abundance_spread = abundances(contents, numbers)
    weights, pairs = pair_weights(sets, numbers)
    share = [sum(z in held for held in sets) / len(sets) for z in numbers]
    symbols = [gemmi.Element(z).name for z in numbers]
    content = {
        "structures": len(rows),
        "elements": {
            symbol: [
                z,
                round(s, 4),
                round(v, 1),
                round(gemmi.Element(z).covalent_r, 2),
                round(a, 2),
            ]
            for symbol, z, s, v, a in zip(symbols, numbers, share, volume, abundance, strict=True)
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
