"""Fit to published structures which elements go together, how large and how many their atoms are.

`fit_minerals` hands the structures in and writes the result to tables/minerals.json.
"""

from collections import Counter
from itertools import combinations

import gemmi
import numpy as np

SIZES = 4  # numbers of elements in a set that have weights of their own; the last stands for more
_PSEUDO = 4.0  # structures added to every observed and expected number of a pair
_SWEEPS, _DRAWN = 40, 60_000  # of the fit of the pair weights, and sets drawn in each
_LEAST_SHARED = 5  # phases in which two elements must share a site
_RADIUS_RATIO = 1.35  # between elements that stand in for each other
_LEAST_LAMBDA = 1.2  # of Hautier et al., below which an exchange was hardly seen
_RIDGE = 1e-3
_NONMETALS = {"C", "N", "O", "F", "P", "S", "Cl", "As", "Se", "Br", "Te", "I"}
_METALLOIDS = {"B", "Si", "Ge", "Sb"}
_OUTLIER = 0.02  # relative errors far above count by their size, not by its square


def volumes(
    contents: list[dict[int, float]], cell_volumes: list[float], numbers: list[int]
) -> np.ndarray:
    """Volume in cubic angstrom that an atom of each element in `numbers` adds.

    By least absolute deviations of relative errors from `contents` (atoms in each cell by atomic
    number) and `cell_volumes` (cubic angstrom); structures with other elements than these and
    hydrogen are left out.
    """
    columns = [*numbers, 1]
    matrix = np.array(
        [
            [content.get(z, 0) / volume for z in columns]
            for content, volume in zip(contents, cell_volumes, strict=True)
            if set(content) <= set(columns)
        ]
    )
    # Hydrogen is often missing from the list of sites, which its column cannot know.
    share = np.ones(len(matrix))
    for _ in range(_SWEEPS):
        solution = np.linalg.lstsq(matrix * share[:, None], share, rcond=None)[0]
        # Least absolute deviations, by weights: high-pressure phases are outliers.
        share = 1 / np.sqrt(np.abs(matrix @ solution - 1) + _OUTLIER)
    return solution[:-1]


def abundances(contents: list[dict[int, float]], numbers: list[int]) -> tuple[np.ndarray, float]:
    """Mean logarithm of the number of atoms of each element beside the others of its structures.

    With it, the standard deviation of what is left.
    """
    columns, rows, values = {z: k for k, z in enumerate(numbers)}, [], []
    for content in contents:
        held = {columns[z]: np.log(n) for z, n in content.items() if z in columns and n > 0}
        for k, logarithm in held.items() if len(held) > 1 else ():
            row = np.zeros(len(numbers))
            row[list(held)] = -1 / len(held)
            row[k] += 1
            rows.append(row)
            values.append(logarithm - np.mean(list(held.values())))
    matrix, values = np.array(rows), np.array(values)
    normal = matrix.T @ matrix + _RIDGE * np.eye(len(numbers))
    solution = np.linalg.solve(normal, matrix.T @ values)
    return solution, float(np.std(values - matrix @ solution))


def pair_weights(
    sets: list[set[int]], numbers: list[int], seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of elements and pairs with which sets drawn one by one resemble those observed.

    A set starts with an element in proportion to its weight among sets of that size; each further
    one is drawn in proportion to its weight times those of its pairs with all drawn before. Weights
    are multiplied by the ratio of observed and drawn numbers until these agree (iterative scaling).
    Logarithms are returned: (SIZES, e) for sets of 1, 2, ... and `SIZES` or more elements, and of
    pairs, (e, e), symmetric.
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
            np.log((seen + _PSEUDO) / (made * len(kept) / _DRAWN + _PSEUDO)) / (1 + 0.1 * sweep)
            for seen, made in zip(observed, _counts(drawn, len(numbers)), strict=True)
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


def substitutes(
    shared: list[set[frozenset[int]]], numbers: list[int]
) -> dict[str, dict[str, float]]:
    """Elements that stand in for each other, with the logarithm of a weight.

    Two elements do if their covalent radii are similar and either ions of one charge replace each
    other in inorganic crystals more often than by chance (data-mined by G. Hautier et al., Inorg.
    Chem. 50, 656 (2011), as in pymatgen; no metal for a nonmetal) or they share sites in several
    minerals (`shared`, of each structure the pairs that do). The weight is the larger of the two
    ratios of observed and expected numbers.
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
    from pymatgen.core.structure_prediction import substitution_probability

    model, scores = substitution_probability.SubstitutionProbability(), {}
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
    pairs = Counter(pair for pairs_of_phase in shared for pair in pairs_of_phase)
    single = Counter(z for pairs_of_phase in shared for z in set().union(*pairs_of_phase))
    total, name = sum(map(bool, shared)), {z: gemmi.Element(z).name for z in single}
    return {
        frozenset(map(name.get, pair)): float(
            np.log(n * total / np.prod([single[z] for z in pair]))
        )
        for pair, n in pairs.items()
        if n >= _LEAST_SHARED
    }
