"""Observed peaks beside the reflections of a cell, as a table."""

from typing import TYPE_CHECKING

import numpy as np

from ..identification.figures_of_merit import nearest, positions_of
from .indexing import IndexedCell, Peaks

if TYPE_CHECKING:
    import pandas as pd


def positions(peaks: Peaks, cell: IndexedCell) -> "pd.DataFrame":
    """Observed and calculated peak positions.

    Parameters
    ----------
    peaks : Peaks
    cell : IndexedCell

    Returns
    -------
    pandas.DataFrame
        h, k, l, two_theta_calc, two_theta_obs, difference, intensity, in the order of angles: all
        reflections that the lattice allows up to the last peak, with the peak that each indexes
        if any, and peaks that none indexes, without indices. Degrees as they are read: the
        calculated ones carry the shift of the cell. The highest peak has intensity 100.
    """
    import pandas as pd

    true, read = cell.two_theta, peaks.two_theta
    columns = "h k l two_theta_calc two_theta_obs difference intensity".split()
    if not len(true):
        return pd.DataFrame(columns=columns)
    stop = min(true[-1] + peaks.near, 180.0)
    hkl, calculated = positions_of(*cell.standard[:2], stop, peaks.wavelength)
    index = nearest(true, calculated)
    off = true - calculated[index]
    rows, taken = [], set()
    for peak, (k, difference) in enumerate(zip(index, off, strict=True)):
        observed = read[peak], difference, peaks.intensity[peak]
        if abs(difference) <= peaks.near:
            taken.add(k)
            rows.append((*hkl[k], read[peak] - difference, *observed))
        else:
            rows.append((None, None, None, None, read[peak], None, peaks.intensity[peak]))
    shift = np.interp(calculated, true, read - true)
    for k in sorted({*range(len(calculated))} - taken):
        rows.append((*hkl[k], calculated[k] + shift[k], None, None, None))
    rows.sort(key=lambda row: row[4] if row[3] is None else row[3])
    table = pd.DataFrame(rows, columns=columns)
    return table.astype(dict.fromkeys("hkl", "Int64") | dict.fromkeys(columns[3:], float))
