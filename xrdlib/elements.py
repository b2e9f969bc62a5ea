"""Elements as minerals use them: which together, how many atoms, how much room they take.

All numbers but the radii are fitted to published structures, see `minerals.fitted`. Radii are
covalent ones (B. Cordero et al., Dalton Trans. 2008, 2832).
"""

from functools import cache

import numpy as np
import torch

from .counter import normal, uniform
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


def draw(labels, seed, index, element_slot, abundance_slot):
    """Elements of the sites of crystals.

    Elements are drawn one by one, each weighted by those before it, so that minerals' pairs come
    out as often as in minerals. Label 0, which has the most atoms, goes to the element that
    usually has the most, and so on, but for chance.

    Parameters
    ----------
    labels : Tensor, (b, s) int64
        Which sites of a crystal share an element: 0, 1, ...
    seed : int
    index : Tensor, (b,) int64
        Numbers of the crystals.
    element_slot, abundance_slot : int
        Of the random numbers, see `counter`.

    Returns
    -------
    Tensor, (b, s) int64
        Rows of `table`.
    """
    weight, pairs, abundance, spread = _tensors(labels.device)
    most = int(labels.max()) + 1
    draws = uniform(seed, index, element_slot, most).double()
    last = labels.amax(1)
    score, drawn = weight[last.clamp(max=len(weight) - 1)], []
    for k in range(most):
        sums = torch.exp(score - score.amax(1, keepdim=True)).cumsum(1)
        drawn.append((sums <= draws[:, k : k + 1] * sums[:, -1:]).sum(1))
        score = (score + pairs[drawn[-1]]).scatter(1, drawn[-1][:, None], -torch.inf)
    drawn = torch.stack(drawn, 1)
    chance = spread * normal(seed, index, abundance_slot, most)
    used = torch.arange(most, device=labels.device) <= last[:, None]
    key = (abundance[drawn] + chance).masked_fill(~used, -torch.inf)
    return drawn.gather(1, key.argsort(1, descending=True)).gather(1, labels)


@cache
def _tensors(device):
    found = table()
    columns = (torch.from_numpy(found[name]) for name in ("weight", "pairs", "abundance"))
    return (*(column.to(device) for column in columns), fitted()["abundance_spread"])
