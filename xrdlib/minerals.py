"""How mineral structures are built: the statistics that random crystals are drawn from.

Read from `tables/minerals.json`, which `xrdlib derive minerals` fits to published
structures.
"""

import json
from functools import cache

from . import paths
from .errors import XrdlibError


@cache
def fitted():
    """The content of tables/minerals.json.

    Returns
    -------
    dict
        structures : int
            Published structures that the numbers were fitted to, one a phase.
        elements : dict of symbol to list
            Atomic number; fraction of structures that contain the element; volume in cubic
            angstrom that an atom adds to the cell; covalent radius in angstrom; abundance, the
            mean logarithm of the number of its atoms, up to what is common to all elements.
        abundance_spread : float
            Standard deviation of a logarithm of a number of atoms about the abundances.
        weights : list of list of float
            Logarithm of the weight of each element, in the order of `elements`, among sets of 1,
            2, 3, and 4 or more elements.
        pairs : list of list of float
            Logarithm of the weight of each pair of elements: row i holds columns 0..i - 1.
        substitutes : dict of symbol to dict
            Elements that stand in for it, with the logarithm of the weight of each.
        kinds : list of float
            Weights of 1, 2, 3, ... elements, of which those up to the number of sites count.
        sites : dict of crystal system to list
            Mean and standard deviation of the logarithm of the number of sites.
        positions : dict of crystal system to list
            Log-weight of a Wyckoff position with 1, 2, 3 free coordinates over one with none, and
            that of a factor e in its multiplicity.
        cells : dict of space group, or of system and centring, or of system to list
            Mean and standard deviation of ln a, ln b, ln c, up to the scale. Not of the cubic
            system; the most particular that there is counts.

    Raises
    ------
    XrdlibError
        If the table is missing.
    """
    path = paths.TABLES / "minerals.json"
    if not path.is_file():
        raise XrdlibError(f"{path} does not exist; run `xrdlib derive minerals`.")
    return json.loads(path.read_text(encoding="utf-8"))
