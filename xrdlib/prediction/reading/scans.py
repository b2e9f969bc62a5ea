"""One scan as a file holds it, and the checks that make a pattern of it: for all file readers."""

from dataclasses import dataclass, field

import numpy as np

from ...base.errors import XrdlibError
from ...base.patterns import CU_KA1, MIN_POINTS
from ...simulation.diffraction import WAVELENGTHS, strong_line

AXES = ("two_theta", "d", "q")

MAX_ROWS = 500_000  # a step of 0.0004 degrees from 0 to 180

_ANODES = ("Cr", "Fe", "Co", "Cu", "Mo", "Ag")

_NEGATIVE = 0.5  # of the strongest line: noise about a subtracted background goes less deep


@dataclass(frozen=True)
class Scan:
    """What a reader found, unchecked.

    Attributes
    ----------
    x, y : array_like, (m,)
        Positions on `axis` and intensities, in the order of the file.
    format : str
        Name of the file format.
    axis : str
        "two_theta" (degrees), "d" (angstrom) or "q" (1/angstrom).
    wavelength : float or None
        Angstrom, as the file states it.
    metadata : dict
        What else the file says.
    """

    x: object
    y: object
    format: str
    axis: str = "two_theta"
    wavelength: float | None = None
    metadata: dict = field(default_factory=dict)


def anode_line(anode):
    """K-alpha1 wavelength in angstrom of an anode such as "Cu" or "CU", or None."""
    return WAVELENGTHS.get(f"{(anode or '').strip().capitalize()}Ka1")


def stated_wavelength(value):
    """The wavelength to work with, for one that a file states.

    The mean of a K-alpha doublet stands for its stronger line: that is where a peak has its top,
    and where models expect it.

    Parameters
    ----------
    value : float
        Angstrom.

    Returns
    -------
    float

    Raises
    ------
    XrdlibError
        If no powder diffractometer has this wavelength, or if it looks like nanometres.
    """
    for anode in _ANODES:
        strong = WAVELENGTHS[f"{anode}Ka1"]
        if abs(10 * value / strong - 1) < 1e-3:
            raise XrdlibError(
                f"the file states a wavelength of {value:g}, which is {anode} K-alpha in "
                "nanometres but should be angstrom; give wavelength= yourself"
            )
    if not 0.1 <= value <= 5:
        raise XrdlibError(
            f"the file states a wavelength of {value:g} angstrom, outside 0.1 to 5; give "
            "wavelength= yourself"
        )
    return strong_line(value)


def checked(scan, wavelength=None):
    """Angles, intensities and wavelength of a scan, fit for use.

    Parameters
    ----------
    scan : Scan
    wavelength : float, optional
        Angstrom; goes before what the file states.

    Returns
    -------
    two_theta, intensity : ndarray, (m,) float64
        Degrees, strictly rising.
    wavelength : float or None
    metadata : dict

    Raises
    ------
    XrdlibError
        If the scan is no powder pattern; the message begins in the middle of a sentence.
    """
    x = np.asarray(scan.x, dtype=np.float64)
    y = np.asarray(scan.y, dtype=np.float64)
    if len(x) != len(y):
        raise XrdlibError(f"{len(x)} positions and {len(y)} intensities; export the scan again")
    if len(x) < MIN_POINTS:
        raise XrdlibError(
            f"{len(x)} point{'s' * (len(x) != 1)} found and {MIN_POINTS} needed; give the whole "
            "measured scan, not a peak list"
        )
    if (bad := ~(np.isfinite(x) & (np.abs(y) < 1e30))).any():
        raise XrdlibError(
            f"point {bad.argmax() + 1} of the scan is NaN or infinite; remove or repair such rows"
        )
    metadata = {"format": scan.format, "axis": scan.axis, **scan.metadata}
    if wavelength is None and scan.wavelength is not None:
        wavelength = stated_wavelength(scan.wavelength)
    if scan.wavelength not in (None, wavelength):
        metadata["stated_wavelength"] = scan.wavelength
    x, y = _rising(x, y)
    if scan.axis != "two_theta":
        wavelength = CU_KA1 if wavelength is None else wavelength
        x, y, beyond = _to_two_theta(x, y, scan.axis, wavelength)
        if beyond:
            metadata["points_beyond_reach"] = beyond
    if x[0] < 0 or x[-1] > 180:
        raise XrdlibError(
            f"angles run from {x[0]:g} to {x[-1]:g}; give 2theta in degrees between 0 and 180, or "
            'name the axis with axis="d" or axis="q"'
        )
    _check_intensity(y)
    return x, y, wavelength, metadata


def _rising(x, y):
    """A monotone scan in rising order."""
    step = np.diff(x)
    if (same := step == 0).any():
        raise XrdlibError(
            f"position {x[same.argmax()]:g} occurs twice in a row; merge repeated scans first"
        )
    if (step < 0).all():
        return x[::-1].copy(), y[::-1].copy()
    if (step < 0).any():
        turn = (np.sign(step) != np.sign(step[0])).argmax() + 1
        raise XrdlibError(
            f"positions turn back after {x[turn]:g} (point {turn + 1}); give one scan, and check "
            "which column is the angle"
        )
    return x, y


def _to_two_theta(x, y, axis, wavelength):
    """Rising d or q to rising 2theta in degrees; how many points no angle reaches."""
    if x[0] <= 0 if axis == "d" else x[0] < 0:
        unit = {"d": "d-spacing", "q": "q"}[axis]
        raise XrdlibError(f"a {unit} of {x[0]:g} is impossible; check the column and axis=")
    if axis == "d":
        x, y = (1 / x)[::-1], y[::-1]
    else:
        x = x / (2 * np.pi)
    sine = x * wavelength / 2
    seen = sine <= 1
    if seen.sum() < MIN_POINTS:
        raise XrdlibError(
            f"{seen.sum()} of {len(x)} points lie within reach of {wavelength:g} angstrom on a "
            f"{axis} axis and {MIN_POINTS} are needed; check axis=, the unit and wavelength="
        )
    return 2 * np.degrees(np.arcsin(sine[seen])), y[seen].copy(), int((~seen).sum())


def _check_intensity(y):
    low, high = y.min(), y.max()
    if high <= 0:
        what = "all intensities are zero" if low == high == 0 else "no intensity is positive"
        raise XrdlibError(f"{what}; check which column holds the counts")
    if low == high:
        raise XrdlibError(f"all intensities are {high:g}, so there is no reflection to read")
    if -low > _NEGATIVE * high:
        raise XrdlibError(
            f"intensities go down to {low:g} while the strongest is {high:g}; give counts, "
            "with or without background"
        )
