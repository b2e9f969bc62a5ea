"""`xrdlib.index`: the unit cells that index a pattern, as a table."""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ..base.errors import XrdlibError
from ..base.patterns import GRID, to_grid
from ..learning import priors
from ..simulation.diffraction import strong_line
from ..symmetry import groups
from .indexing import COLUMNS, IndexedCell, Peaks, cells_of
from .predictor import Predictor, load_predictor

if TYPE_CHECKING:
    import pandas as pd


def index(
    two_theta: np.ndarray,
    intensity: np.ndarray,
    wavelength: str | float = "CuKa",
    top_k: int = 10,
) -> "pd.DataFrame":
    """Unit cells that index a powder pattern, the most probable first.

    Parameters
    ----------
    two_theta, intensity : array_like, (n,)
        The pattern, with or without background: degrees, and counts or any linear scale.
    wavelength : str or float
        A named anode or line, or angstrom. A K-alpha doublet is read at its stronger line.
    top_k : int
        Cells to list, at most.

    Returns
    -------
    pandas.DataFrame
        a, b, c (angstrom), alpha, beta, gamma (degrees), crystal_system and centring, in the
        standard setting of the International Tables: hexagonal axes for rhombohedral lattices, b
        unique and beta >= 90 for monoclinic ones, the axes of the group that fits best or else
        a <= b <= c for orthorhombic ones, the Niggli cell for triclinic ones. volume; zero,
        degrees that peaks are read too high; M20 and F20, of the first 20 peaks that the cell
        indexes or as many as there are (`figures_of_merit`); how many peaks of the fitted range
        are indexed and unindexed; probability, if one of the cells found is right: a cell with
        M20 below 10, or that leaves a tenth of the peaks unindexed, seldom is. Empty where none is
        found.

    Raises
    ------
    XrdlibError
        If the pattern, the wavelength or `top_k` is invalid.

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from xrdlib import index, simulate
    >>> sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    >>> halite = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], sites)
    >>> cell = index(np.linspace(5, 90, 8501), simulate(halite)[0], wavelength="CuKa1").iloc[0]
    >>> print(f"{cell.crystal_system} {cell.centring}, a = {cell.a:.2f}")
    cubic F, a = 5.64
    """
    if not isinstance(top_k, int) or top_k < 1:
        raise XrdlibError(f"top_k is {top_k}; give a whole number of cells, 1 or more.")
    _, cells = find_cells(_released(), two_theta, intensity, wavelength)
    return table(cells[:top_k])


@cache
def _released():
    return load_predictor()


def table(cells: list[IndexedCell]) -> "pd.DataFrame":
    """Cells as a table, see `index`."""
    import pandas as pd

    return pd.DataFrame([cell.row() for cell in cells], columns=COLUMNS)


def find_cells(
    predictor: Predictor,
    two_theta: np.ndarray,
    intensity: np.ndarray,
    wavelength: str | float = "CuKa",
) -> tuple[Peaks, list[IndexedCell]]:
    """Cells of a pattern, the most probable first, each lattice once.

    Parameters
    ----------
    predictor : Predictor
    two_theta, intensity, wavelength
        As for `index`.

    Returns
    -------
    peaks : Peaks
    cells : list of IndexedCell

    Raises
    ------
    XrdlibError
        As for `index`, or if the predictor has no fits of whole patterns.
    """
    if not predictor.takes_cell:
        raise XrdlibError("The predictor was made without whole-pattern fits; load one with them.")
    wavelength = strong_line(wavelength)
    seen = predictor.evidence(two_theta, [intensity], wavelength)
    target = priors.resolve_prior("minerals", predictor.metadata["minerals"])
    ratio = priors.log_ratio(target, np.full(groups.N_GROUPS, 1 / groups.N_GROUPS))
    probability = np.exp(predictor.weigh(seen, ratio))[0]
    pattern = to_grid(two_theta, intensity, wavelength, GRID)
    return cells_of(predictor.lattices.patterns, pattern, seen.fitted[0], probability, wavelength)
