"""The nearest known structure beside a pattern: its calculated lines, and the peaks it explains."""

from dataclasses import dataclass

import numpy as np

from .diffraction import WAVELENGTHS, strong_line
from .patterns import CU_KA1, GRID, to_grid
from .peaks import profile

NEAR = 0.2  # degrees; a peak this close to a calculated line is explained by it
_STEP = 0.02  # degrees, of the pattern that peaks are sought in
_ALPHA_2 = WAVELENGTHS["CuKa2"] / CU_KA1


@dataclass(frozen=True)
class Match:
    """Lines of a known structure at the angles of a measurement.

    Attributes
    ----------
    name : str
    group : int
        Extinction group 1..99.
    similarity : float
        -1 to 1.
    computed : bool
        Whether the structure's cell was computed, not measured.
    stretch : float
        Relative change of all cell edges at which the lines are drawn; positive where the
        specimen's cell is the larger one.
    two_theta, intensity : ndarray, (k,)
        Lines within the range of the measurement, ascending, in degrees at its wavelength; 1 for
        the structure's strongest line.
    peaks : ndarray, (p,)
        Degrees; peaks of the pattern where the structure's lines are known.
    explained : ndarray, (p,) bool
        Whether a peak lies where a line does, or its K-alpha2 companion.
    """

    name: str
    group: int
    similarity: float
    computed: bool
    stretch: float
    two_theta: np.ndarray
    intensity: np.ndarray
    peaks: np.ndarray
    explained: np.ndarray


def match(retrieval, two_theta, intensity, wavelength):
    """The structure of a library that is most like a pattern, and its lines.

    Parameters
    ----------
    retrieval : retrieval.Retrieval
    two_theta, intensity : array_like, (m,)
        Degrees and any linear scale.
    wavelength : str or float
        A named anode or line, or angstrom.

    Returns
    -------
    Match

    Raises
    ------
    XrdlibError
        If the pattern makes no sense, or is too short to compare.
    """
    wavelength = strong_line(wavelength)
    on_grid = to_grid(two_theta, intensity, wavelength, GRID)
    scores, rows = retrieval.similarities(on_grid[None])
    row = int(rows[0])
    stretch = retrieval.stretch(on_grid, row)
    angle, height = retrieval.lines(row)
    # sin(theta) of each line over the wavelength: a larger cell has its lines at lower angles.
    reciprocal = np.sin(np.radians(angle) / 2) / CU_KA1 / (1 + stretch)
    lines = _angles(reciprocal * wavelength)
    peaks = _peaks(two_theta, intensity)
    # Calculated lines go no further than the grid does.
    with_copper = _angles(np.sin(np.radians(peaks) / 2) * CU_KA1 / wavelength)
    peaks = peaks[(with_copper >= GRID.start) & (with_copper <= GRID.stop)]
    places = np.concatenate([lines, _angles(reciprocal * wavelength * _ALPHA_2)])
    shown = (lines >= np.min(two_theta)) & (lines <= np.max(two_theta))
    return Match(
        name=str(retrieval.name[row]),
        group=int(retrieval.group[row]),
        similarity=float(scores[0].max()),
        computed=retrieval.computed(row),
        stretch=stretch,
        two_theta=lines[shown],
        intensity=height[shown],
        peaks=peaks,
        explained=(np.abs(peaks[:, None] - places) < NEAR).any(1),
    )


def _angles(sine):
    """2theta in degrees; 180 where there is no reflection."""
    return 2 * np.degrees(np.arcsin(np.minimum(sine, 1)))


def _peaks(two_theta, intensity):
    """2theta of the peaks of a pattern, ascending."""
    order = np.argsort(two_theta, kind="stable")
    angle = np.asarray(two_theta, dtype=np.float64)[order]
    even = np.arange(angle[0], angle[-1], _STEP)
    counts = np.interp(even, angle, np.asarray(intensity, dtype=np.float64)[order])
    return even[profile(counts, _STEP).peaks]
