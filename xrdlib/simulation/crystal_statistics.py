"""Statistics of sets of crystals, and distances between the distributions of two sets."""

import numpy as np
import torch
from scipy.stats import ks_2samp

from ..base.errors import XrdlibError
from ..base.records import Crystals
from ..structures.detection import asymmetric_unit, detect
from ..symmetry.cells import cell_of_lattice
from ..symmetry.groups import space_group
from .diffraction import lorentz_polarisation, reflections

WAVELENGTH, TWO_THETA_MAX = 1.540593, 90.0
PROBABILITIES = (0.05, 0.25, 0.5, 0.75, 0.95)
COMMONEST = 10  # pairs of elements that are listed
_BINS = 20
_COUNTED = ("sites", "elements")  # one bin a number, up to `_BINS`
_LOGARITHMIC = (
    "volume per atom",
    "atoms per cell",
    "longest to shortest axis",
    "middle to shortest axis",
    "lines",
)

_EXPECTED = 5.0  # structures of a pair, below which its lift is noise


def compare(
    first: Crystals, second: Crystals, labels: tuple[str, str] = ("published", "simulated")
) -> dict:
    """Distributions of two sets of crystals, best with the same numbers of each space group.

    Returns
    -------
    dict
        Of JSON values. labels, n (numbers of crystals), probabilities; quantities: by name of
        `describe`, a dict of n, quantiles, share (of the bins, each summing to 1), all in pairs,
        edges, logarithmic, and distance (Kolmogorov and Smirnov's, 0..1); elements: a dict of
        symbol, share (two lists: fraction of crystals with it) and correlation (of logarithms);
        pairs: a dict of commonest (rows of two symbols and two shares, the commonest of `first`)
        and correlation (of the logarithms of observed over expected numbers).

    Raises
    ------
    XrdlibError
        If a set is empty or has a crystal of unknown space group.
    """
    if min(len(first), len(second)) == 0:
        raise XrdlibError("There is nothing to compare: each set needs one crystal or more.")
    measures = [describe(crystals) for crystals in (first, second)]
    sets = [_elements(crystals) for crystals in (first, second)]
    return {
        "labels": list(labels),
        "n": [len(first), len(second)],
        "probabilities": list(PROBABILITIES),
        "quantities": {
            name: _distributions(name, [m[name][np.isfinite(m[name])] for m in measures])
            for name in measures[0]
        },
        **_chemistry(sets),
    }


def describe(crystals: Crystals) -> dict[str, np.ndarray]:
    """Measures of every crystal.

    Hydrogen, which X-rays hardly see and which is often not located, is left out throughout.

    Returns
    -------
    dict of ndarray, (n,) float64
        NaN where a quantity does not apply:

        volume per atom : cubic angstrom, of the conventional cell
        atoms per cell : sum of the occupancies
        sites : atoms of the asymmetric unit, those that share a position counted once
        special sites : fraction of these that are not on the general position
        impure sites : fraction of these that hold less than one atom, or a mixture
        elements : different ones
        longest to shortest axis : ratio, but for the cubic system
        middle to shortest axis : ratio, orthorhombic, monoclinic and triclinic cells alone
        oblique angle : angle farthest from 90 degrees, monoclinic and triclinic cells alone
        lines : unique reflections up to 90 degrees of Cu K-alpha1
        strongest line : share of the integrated intensity

    Raises
    ------
    XrdlibError
        If a space group is not known.
    """
    if (crystals.space_group < 1).any():
        raise XrdlibError("Crystals of unknown space group cannot be described; leave them out.")
    owner = np.repeat(np.arange(len(crystals)), np.diff(crystals.start))
    weight = crystals.occupancy * (crystals.number > 1)
    atoms = np.bincount(owner, weight, minlength=len(crystals))
    lengths, angles = np.split(cell_of_lattice(crystals.lattice), 2, axis=1)
    lengths = np.sort(lengths, axis=1)
    middle, longest = (lengths[:, 1:] / lengths[:, :1]).T
    oblique = np.take_along_axis(angles, np.abs(angles - 90).argmax(1)[:, None], 1)[:, 0]
    systems = np.array([space_group(int(k))["crystal_system"] for k in crystals.space_group])
    low = np.isin(systems, ("monoclinic", "triclinic"))
    sites = np.array([_sites(crystals, i) for i in range(len(crystals))])
    strongest, n_reflections = _lines(crystals)
    return {
        "volume per atom": np.abs(np.linalg.det(crystals.lattice)) / np.where(atoms, atoms, np.nan),
        "atoms per cell": atoms,
        "sites": sites[:, 0],
        "special sites": sites[:, 1],
        "impure sites": sites[:, 2],
        "elements": np.array([len(held) for held in _elements(crystals)], dtype=float),
        "longest to shortest axis": np.where(systems != "cubic", longest, np.nan),
        "middle to shortest axis": np.where(low | (systems == "orthorhombic"), middle, np.nan),
        "oblique angle": np.where(low, np.maximum(oblique, 180 - oblique), np.nan),
        "lines": n_reflections,
        "strongest line": strongest,
    }


def _elements(crystals):
    """Atomic numbers of each crystal without hydrogen, a list of sets."""
    parts = np.split(crystals.number, crystals.start[1:-1])
    return [set(part.tolist()) - {1} for part in parts]


def _sites(crystals, i):
    """Number of sites of one crystal, fraction special, fraction not filled by one element."""
    symmetry = detect(crystals, i)
    rows = slice(crystals.start[i], crystals.start[i + 1])
    number, occupancy = crystals.number[rows], crystals.occupancy[rows]
    first_positions, _, freedom = asymmetric_unit(symmetry, crystals.lattice[i])
    held = [(symmetry.position == position) & (number > 1) for position in first_positions]
    seen = np.array([atoms.any() for atoms in held])
    if not seen.any():
        return 0.0, np.nan, np.nan
    full = np.array([atoms.sum() == 1 and occupancy[atoms].max() > 0.99 for atoms in held])
    return float(seen.sum()), (freedom[seen] < 3).mean(), 1 - full[seen].mean()


def _lines(crystals):
    """Share of the strongest reflection in the intensity, and number of reflections, (n,) each."""
    computed = reflections(crystals, WAVELENGTH, TWO_THETA_MAX)
    counts = np.diff(computed.start)
    owner = np.repeat(np.arange(len(computed)), counts)
    reciprocal = np.linalg.inv(computed.lattice).swapaxes(1, 2)
    vectors = np.einsum("mi,mij->mj", computed.hkl, reciprocal[owner])
    sine = torch.from_numpy(np.linalg.norm(vectors, axis=1) * WAVELENGTH / 2)
    intensity = computed.multiplicity * computed.f2 * lorentz_polarisation(sine).numpy()
    total = np.add.reduceat(intensity, computed.start[:-1])
    return np.maximum.reduceat(intensity, computed.start[:-1]) / total, counts.astype(float)


def _distributions(name, values):
    """Two samples of one quantity, as `compare` describes."""
    both = np.concatenate(values)
    if not len(both):
        return None
    if name in _COUNTED:
        edges = np.arange(0.5, min(both.max(), _BINS) + 1)
        values = [np.minimum(v, _BINS) for v in values]
    elif name in _LOGARITHMIC:
        low, high = np.log(np.quantile(both, [0.002, 0.998]))
        edges = np.exp(np.linspace(low, max(high, low + 1e-6), _BINS + 1))
    else:
        edges = np.linspace(both.min(), max(both.max(), both.min() + 1e-6), _BINS + 1)
    counts = [np.histogram(np.clip(v, edges[0], edges[-1]), edges)[0] for v in values]
    return {
        "n": [len(v) for v in values],
        "quantiles": [np.quantile(v, PROBABILITIES).tolist() if len(v) else None for v in values],
        "share": [(c / max(c.sum(), 1)).tolist() for c in counts],
        "edges": edges.tolist(),
        "logarithmic": name in _LOGARITHMIC,
        "distance": float(ks_2samp(*values, method="asymp").statistic)
        if all(map(len, values))
        else None,
    }


def _chemistry(sets):
    """Parts `elements` and `pairs` of what `compare` returns."""
    import gemmi

    numbers = sorted({z for held in (*sets[0], *sets[1]) for z in held})
    column = {z: k for k, z in enumerate(numbers)}
    symbol = [gemmi.Element(z).name for z in numbers]
    pairs = np.zeros((2, len(numbers), len(numbers)))
    for k, part in enumerate(sets):
        for held in part:
            own = [column[z] for z in held]
            pairs[k][np.ix_(own, own)] += 1
    single, pairs = pairs.diagonal(axis1=1, axis2=2), np.triu(pairs, 1)
    n = np.array([len(part) for part in sets])[:, None]
    expected = single[:, :, None] * single[:, None] / n[..., None]
    enough = (expected >= _EXPECTED).all(0) & np.triu(np.ones(pairs.shape[1:], dtype=bool), 1)
    lift = np.log((pairs + 1) / (expected + 1))
    common = (single >= _EXPECTED).all(0)
    order = np.argsort(-pairs[0].ravel(), kind="stable")[:COMMONEST]
    rows = [np.unravel_index(k, pairs.shape[1:]) for k in order if pairs[0].ravel()[k]]
    share = pairs / n[..., None]
    return {
        "elements": {
            "symbol": symbol,
            "share": (single / n).tolist(),
            "correlation": _correlation(np.log(single[:, common] + 1e-9)),
        },
        "pairs": {
            "commonest": [[symbol[i], symbol[j], *share[:, i, j].tolist()] for i, j in rows],
            "correlation": _correlation(lift[:, enough]),
        },
    }


def _correlation(rows):
    """Pearson's r of two rows; None where it has no meaning."""
    if rows.shape[1] < 3 or (rows.std(1) == 0).any():
        return None
    return float(np.corrcoef(rows)[0, 1])
