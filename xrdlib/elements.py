"""Elements as minerals use them: which together, how many atoms, how much room they take.

All numbers but the radii are fitted to published structures, see `minerals.fitted`. Radii are
covalent ones (B. Cordero et al., Dalton Trans. 2008, 2832).
"""

from functools import cache

import numpy as np

from .minerals import fitted


@cache
def table():
    """The e elements that crystals are made of.

    Returns
    -------
    dict of ndarrays
        symbol : (e,) str
        number : (e,) int64, atomic number
        frequency : (e,) float64, fraction of structures that contain the element
        volume : (e,) float64, cubic angstrom an atom adds to the cell
        radius : (e,) float64, covalent radius in angstrom
        abundance : (e,) float64, mean logarithm of its number of atoms, beside other elements'
        weight : (4, e) float64, logarithm of the weight with which it is drawn first, among 1, 2,
            3, and 4 or more elements
        pairs : (e, e) float64, logarithm of the factor that one element drawn puts on another
    """
    found = fitted()
    rows = list(found["elements"].values())
    number, frequency, volume, radius, abundance = np.array(rows).T
    pairs = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(found["pairs"]):
        pairs[i, :i] = pairs[:i, i] = row
    return {
        "symbol": np.array(list(found["elements"])),
        "number": number.astype(np.int64),
        "frequency": frequency,
        "volume": volume,
        "radius": radius,
        "abundance": abundance,
        "weight": np.array(found["weights"]),
        "pairs": pairs,
    }


@cache
def substitutes():
    """Weights with which the elements stand in for each other.

    Returns
    -------
    ndarray, (e, e) float64
        In the order of `table`; 0 where one does not replace the other, and on the diagonal.
    """
    symbols = list(table()["symbol"])
    weights = np.zeros((len(symbols), len(symbols)))
    for symbol, others in fitted()["substitutes"].items():
        columns = [symbols.index(other) for other in others]
        weights[symbols.index(symbol), columns] = np.exp(list(others.values()))
    return weights
