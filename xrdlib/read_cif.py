"""Measured profiles in powder CIF (Toby, in International Tables for Crystallography, volume G)."""

import re

import gemmi
import numpy as np

from .errors import XrdlibError
from .scans import MAX_ROWS, Scan

_TWO_THETA = ("_pd_proc_2theta_corrected", "_pd_meas_2theta_scan", "_pd_meas_2theta_corrected")
_POSITIONS = {
    "two_theta": _TWO_THETA,
    "d": ("_pd_proc_d_spacing",),
    "q": ("_pd_proc_recip_len_Q", "_pd_proc_recip_len_q"),
}
_RANGES = ("_pd_proc_2theta_range_", "_pd_meas_2theta_range_")
_INTENSITIES = (
    "_pd_proc_intensity_total",
    "_pd_proc_intensity_net",
    "_pd_meas_intensity_total",
    "_pd_meas_intensity_net",
    "_pd_meas_counts_total",
)
_WAVELENGTH = (
    "_diffrn_radiation_wavelength",
    "_diffrn_radiation_wavelength.value",
    "_diffrn_radiation_wavelength_value",
    "_pd_proc_wavelength",
)


def looks_like_cif(text, suffix):
    """Whether a text is a CIF, by its first block or by the name of the file."""
    return suffix in (".cif", ".pdcif", ".rtv") or bool(
        re.search(r"^data_\S*\s*$", text[:20_000], re.MULTILINE | re.IGNORECASE)
        and re.search(r"^\s*(?:loop_|_\w+)", text[:20_000], re.MULTILINE | re.IGNORECASE)
    )


def parse(text, axis=None, scan=None):
    """The measured profile of a CIF.

    Parameters
    ----------
    text : str
    axis : str, optional
        One of `scans.AXES`; by default 2theta where it is given, else d, else q.
    scan : int, optional
        Which of the blocks that hold a profile, counted from 1.

    Returns
    -------
    scans.Scan

    Raises
    ------
    XrdlibError
        If it is no CIF, or holds no measured profile, or several and `scan` is not given.
    """
    if text.count("\n") >= MAX_ROWS:
        raise XrdlibError(f"has more than {MAX_ROWS} lines; give one powder scan")
    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:  # gemmi: syntax, and tags or blocks given twice
        reason = " ".join(str(error).split()).removeprefix("string:")[:200]
        raise XrdlibError(f"cannot be read as CIF (line {reason}); repair it") from None
    found = [(block, profile) for block in document if (profile := _profile(block, axis))]
    if not found:
        raise XrdlibError(
            "is a CIF without a measured powder profile (2theta and intensities); give the "
            "measured scan"
        )
    if scan is None and len(found) > 1:
        raise XrdlibError("holds several scans; choose one with scan=1, scan=2 and so on")
    if (scan or 1) > len(found):
        raise XrdlibError(f"has no scan {scan}; it holds {len(found)}")
    block, (kind, x, y) = found[(scan or 1) - 1]
    known = np.isfinite(x) & np.isfinite(y)
    metadata = {"block": block.name}
    if not known.all():
        metadata["points_without_value"] = int((~known).sum())
    return Scan(x[known], y[known], "CIF", kind, _wavelength(block, document), metadata)


def _profile(block, axis):
    """(axis, positions, intensities) of a block, or None."""
    for name in _INTENSITIES:
        if not (y := _column(block, name)).size:
            continue
        for kind, names in _POSITIONS.items():
            for position in names if axis in (None, kind) else ():
                x = _column(block, position)
                if len(x) == len(y):
                    return kind, x, y
        if axis in (None, "two_theta"):
            for prefix in _RANGES:
                start, stop, step = (_value(block, prefix + end) for end in ("min", "max", "inc"))
                if start is None or step is None:
                    continue
                x = start + step * np.arange(len(y))
                if stop is not None and abs(x[-1] - stop) > 1.5 * abs(step):
                    raise XrdlibError(
                        f"its block {block.name} gives {len(y)} intensities, which do not fill "
                        f"the range from {start:g} to {stop:g} in steps of {step:g}; repair it"
                    )
                return "two_theta", x, y
    return None


def _column(block, name):
    """Values of a loop; NaN where the CIF leaves them open or gives text."""
    return np.array([gemmi.cif.as_number(value) for value in block.find_loop(name)])


def _value(block, name):
    value = block.find_value(name)
    number = gemmi.cif.as_number(value) if value else float("nan")
    return number if np.isfinite(number) else None


def _wavelength(block, document):
    """In angstrom; from another block of the document if all that name one agree."""
    for blocks in ([block], document):
        found = set()
        for each in blocks:
            values = [v for name in _WAVELENGTH for v in each.find_values(name)]
            numbers = [n for n in map(gemmi.cif.as_number, values) if np.isfinite(n)]
            found |= set(numbers[:1])
        if len(found) == 1:
            return found.pop()
    return None
