"""One scan as a file holds it, and the checks that make a pattern of it: for all file readers."""

import re
from dataclasses import dataclass, field

import numpy as np

from ...base.errors import XrdlibError
from ...base.patterns import CU_KA1, MIN_POINTS
from ...simulation.diffraction import WAVELENGTHS, strong_line

AXES = ("two_theta", "d", "q")
MAX_ROWS = 500_000  # a step of 0.0004 degrees from 0 to 180
ANODES = ("Cr", "Fe", "Co", "Cu", "Mo", "Ag", "Ga")  # that headers abbreviate
# What programs write for a point that was not measured, beside NaN.
_MASKS = (-1, -2, -9, -10, -99, -999, -9999, -99999, -999999, -32768, -(2**31))
_TYPED = {"a": 1.0, "\u00e5": 1.0, "angstrom": 1.0, "angstroms": 1.0, "nm": 10.0, "pm": 0.01}
_SATURATED = 2.0**32 - 1  # dead pixels of counting area detectors
_BELOW_ZERO = 0.3  # of the points may have negative angles, as at neutron diffractometers
_TAIL = 20  # zeros in a row at the end that no background leads to
_NEGATIVE = 0.5  # of the strongest peak: noise around a subtracted background goes less deep


@dataclass(frozen=True)
class Scan:
    """A scan as a reader gives it, unchecked.

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
        What else the file says; what is empty is left out later.
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


def typed_wavelength(text):
    """A wavelength as people type it: the name of a line, or a number of angstrom.

    Parameters
    ----------
    text : str
        Another unit may stand behind the number.

    Returns
    -------
    str or float
        A name is not looked up; else angstrom.

    Raises
    ------
    XrdlibError
        If a number without a unit is a K-alpha line in nanometres.

    Examples
    --------
    >>> typed_wavelength("0,049 nm"), typed_wavelength("0.15406 A"), typed_wavelength("CuKa")
    (0.49, 0.15406, 'CuKa')
    """
    match = re.fullmatch(r"\s*([\d.,]+(?:e[-+]?\d+)?)\s*([a-z\u00e5]*)\s*", text.lower())
    unit = match and (match[2] or "angstrom")
    try:
        value = round(float(match[1].replace(",", ".")) * _TYPED[unit], 10)
    except (TypeError, ValueError, KeyError):
        return text
    if not match[2] and (anode := _in_nanometres(value)):
        meant = f', or "{value:g} A" if it is angstrom' if value >= 0.1 else ""
        what = f"is {anode} K-alpha in nanometres; give {10 * value:g}{meant}"
        raise XrdlibError(f"The wavelength {value:g} {what}.")
    return value


def _in_nanometres(value):
    """The anode whose K-alpha line a number is in nanometres, or None."""
    lines = {anode: WAVELENGTHS[f"{anode}Ka1"] for anode in ANODES}
    return next((a for a, line in lines.items() if abs(10 * value / line - 1) < 1e-3), None)


def stated_wavelength(value, probe=None):
    """The wavelength to work with, for one that a file states.

    The mean of a K-alpha doublet stands for its stronger line: that is where a peak has its top,
    and where models expect it.

    Parameters
    ----------
    value : float
        Angstrom.
    probe : str, optional
        "neutron" where there is no doublet.

    Returns
    -------
    float

    Raises
    ------
    XrdlibError
        If no powder diffractometer has this wavelength, or if it looks like nanometres.
    """
    if anode := _in_nanometres(value):
        raise XrdlibError(
            f"the file states a wavelength of {value:g}, which is {anode} K-alpha in nanometres "
            "but should be angstrom; give wavelength= yourself"
        )
    if not 0.1 <= value <= 5:
        raise XrdlibError(
            f"the file states a wavelength of {value:g} angstrom, outside 0.1 to 5; give "
            "wavelength= yourself"
        )
    return value if probe == "neutron" else strong_line(value)


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
    _check_number(len(x))
    stated = {key: value for key, value in scan.metadata.items() if value}
    metadata = {"format": scan.format, "axis": scan.axis, **stated}
    masked = np.isnan(x) | np.isnan(y) | (y == _SATURATED)
    negative = np.unique(y[y < 0])
    if len(negative) <= 2 and np.isin(negative, _MASKS).all():
        masked |= y < 0
    if masked.any():
        metadata["points_masked"] = int(masked.sum())
        x, y = x[~masked], y[~masked]
        _check_number(len(x), f" besides {masked.sum()} masked ones")
    if (rest := _unwritten(y)) < len(y):
        metadata["notes"] = [*metadata.get("notes", ()), "aborted"]
        x, y = x[:rest], y[:rest]
    if (bad := ~(np.isfinite(x) & (np.abs(y) < 1e30))).any():
        raise XrdlibError(
            f"point {bad.argmax() + 1} of the scan is infinite or above 1e30; repair or remove "
            "such rows"
        )
    if wavelength is None and scan.wavelength is not None:
        wavelength = stated_wavelength(scan.wavelength, scan.metadata.get("probe"))
    if scan.wavelength not in (None, wavelength):
        metadata["stated_wavelength"] = scan.wavelength
    x, y, merged = _rising(x, y)
    if merged:
        metadata["points_merged"] = merged
    if scan.axis != "two_theta":
        wavelength = CU_KA1 if wavelength is None else wavelength
        x, y, beyond = _to_two_theta(x, y, scan.axis, wavelength)
        if beyond:
            metadata["points_beyond_reach"] = beyond
    elif x[0] < 0 and (x < 0).mean() < _BELOW_ZERO:
        metadata["points_below_zero"] = int((x < 0).sum())
        x, y = x[x >= 0], y[x >= 0]
    if scan.axis == "two_theta" and 0 < x[-1] <= np.pi:
        raise XrdlibError(f"angles run to {x[-1]:g} only; give 2theta in degrees, or name its unit")
    if x[0] < 0 or x[-1] > 180:
        raise XrdlibError(
            f"angles run from {x[0]:g} to {x[-1]:g}; give 2theta in degrees between 0 and 180, or "
            'name the axis with axis="d" or axis="q"'
        )
    _check_intensity(y)
    return x, y, wavelength, metadata


def _check_number(n, beside=""):
    if n < MIN_POINTS:
        raise XrdlibError(
            f"{n} point{'s' * (n != 1)} found{beside} and {MIN_POINTS} needed; give the whole "
            "measured scan, not a peak list"
        )


def _unwritten(y):
    """How many points come before the zeros that fill the file of a scan that was aborted.

    Where other points are zero too, they are counts or a background taken off.
    """
    rest = np.flatnonzero(y)[-1] + 1 if y.any() else 0
    return int(rest) if rest >= MIN_POINTS and len(y) - rest >= _TAIL and y[:rest].all() else len(y)


def _rising(x, y):
    """A monotone scan in rising order, equal positions averaged; how many were merged."""
    step = np.diff(x)
    if (step < 0).any() and (step > 0).any():
        turn = (np.sign(step) == -np.sign(step[step != 0][0])).argmax()
        raise XrdlibError(
            f"positions turn back after {x[turn]:g} (point {turn + 1}); give one scan, and check "
            "which column is the angle"
        )
    if (step < 0).any():
        x, y = x[::-1], y[::-1]
    once, where, times = np.unique(x, return_inverse=True, return_counts=True)
    _check_number(len(once))
    return once, np.bincount(where, y) / times, len(x) - len(once)


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
    reached = sine <= 1
    if reached.sum() < MIN_POINTS:
        raise XrdlibError(
            f"{reached.sum()} of {len(x)} points lie within reach of {wavelength:g} angstrom on a "
            f"{axis} axis and {MIN_POINTS} are needed; check axis=, the unit and wavelength="
        )
    return 2 * np.degrees(np.arcsin(sine[reached])), y[reached].copy(), int((~reached).sum())


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
