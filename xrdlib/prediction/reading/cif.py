"""Measured profiles in powder CIF (Toby, in International Tables for Crystallography, volume G)."""

import re
from collections import Counter

import gemmi
import numpy as np

from ...base.errors import XrdlibError
from . import several
from .scans import MAX_ROWS, MIN_POINTS, Scan, anode_line

_TWO_THETA = (
    "_pd_proc_2theta_corrected",
    "_pd_meas_2theta_scan",
    "_pd_meas_2theta_corrected",
    "_pd_meas_angle_2theta",
)
_POSITIONS = {
    "two_theta": _TWO_THETA,
    "d": ("_pd_proc_d_spacing",),
    "q": ("_pd_proc_recip_len_Q", "_pd_proc_recip_len_q"),
}
_RANGES = ("_pd_proc_2theta_range_", "_pd_meas_2theta_range_")
_INTENSITIES = (
    "_pd_proc_intensity_total",
    "_pd_proc_intensity_net",
    "_pd_proc_intensity_norm",
    "_pd_meas_intensity_total",
    "_pd_meas_intensity_net",
    "_pd_meas_counts_total",
    "_pd_meas_counts",
    "_pd_meas_intensity",
)
_NUMBER = ("_pd_meas_number_of_points", "_pd_proc_number_of_points")
_WAVELENGTH = (
    "_diffrn_radiation_wavelength",
    "_diffrn_radiation_wavelength.wavelength",
    "_diffrn_radiation_wavelength.value",
    "_diffrn_radiation_wavelength_wavelength",
    "_diffrn_radiation_wavelength_value",
    "_pd_proc_wavelength",
)
_ANODE = ("_diffrn_source_target", "_diffrn_source.target")
_RADIATION = ("_diffrn_radiation_type", "_diffrn_radiation.type")
_SOURCE = ("_diffrn_radiation_type", "_diffrn_source", "_diffrn_radiation_source")
_PROBE = ("_diffrn_radiation_probe", "_diffrn_radiation.probe")


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
    """
    if text.count("\n") >= MAX_ROWS:
        raise XrdlibError(f"has more than {MAX_ROWS} lines; give one powder scan")
    try:
        text = _without_replies(text)
        if not re.search(r"^\s*data_", text, re.MULTILINE | re.IGNORECASE):
            text = "data_\n" + text
        # Level 0: many a published CIF repeats a tag; that matters only where it is one of ours.
        document = gemmi.cif.read_string(text, check_level=0)
    except (ValueError, RuntimeError) as error:  # what gemmi raises for damaged syntax
        reason = re.sub(r"^string:(\d+)\S*", r"line \1:", " ".join(str(error).split()))[:200]
        raise XrdlibError(f"cannot be read as CIF ({reason}); repair it") from None
    profiles = [(block, profile) for block in document if (profile := _profile(block, axis))]
    if not profiles and "_time_of_flight" in text:
        raise XrdlibError("is a CIF of a time-of-flight diffractometer; give a scan over angles")
    if not profiles:
        raise XrdlibError(
            "is a CIF without a measured powder profile (2theta and intensities); give the "
            "measured scan"
        )
    return several.pick(len(profiles), scan, lambda i: _scan(document, *profiles[i]), "CIF")


def _scan(document, block, profile):
    """The profile of a block as a scan."""
    kind, x, y = profile
    _check_tags(block)
    known = np.isfinite(x) & np.isfinite(y)
    metadata = {"block": block.name, "probe": _probe(block)}
    metadata["points_without_value"] = int((~known).sum())
    return Scan(x[known], y[known], "CIF", kind, _wavelength(block, document), metadata)


def _without_replies(text):
    """A CIF without the replies to a validation that follow the rows of a profile's loop.

    They lack the underscore of a tag, so that their words would count as values of the loop.
    """
    kept, naming, profile, dropping = [], False, False, False
    for line in text.split("\n"):
        start = line.lstrip().lower()
        if start.startswith(("loop_", "data_", "_")):
            begins = start.startswith("loop_")
            naming = begins or (naming and start.startswith("_"))
            profile = profile and not begins
            profile = naming and bool(profile or re.search(r"_pd_(?:meas|proc|calc)", start))
            dropping = False
        elif start:
            naming = False
            dropping = dropping or (profile and not re.match(r"[-+.\d?'\"#]", start))
        if not dropping:
            kept.append(line)
    return "\n".join(kept)


def _profile(block, axis):
    """(axis, positions, intensities) of a block, or None."""
    numbers = (_value(block, name) for name in _NUMBER)
    number = next((int(n) for n in numbers if n and n >= MIN_POINTS), None)
    for name in _INTENSITIES:
        if not np.isfinite(y := _column(block, name)[:number]).any():
            continue
        for kind, names in _POSITIONS.items():
            for position in names if axis in (None, kind) else ():
                x = _column(block, position)[:number]
                if len(x) == len(y) and np.isfinite(x).any():
                    return kind, x, y
        if axis in (None, "two_theta"):
            if (x := _stepped(block, len(y))) is not None:
                return "two_theta", x, y
    return None


def _stepped(block, n):
    """Angles of n points from the range that fills them, or None where no range is given."""
    misfit = None
    for prefix in _RANGES:
        start, stop, step = (_value(block, prefix + end) for end in ("min", "max", "inc"))
        if start is not None and stop is not None and step is None:
            return np.linspace(start, stop, n)
        if start is None or not step:
            continue
        x = start + step * np.arange(n)
        if stop is None or abs(x[-1] - stop) <= 1.5 * abs(step):
            return x
        if abs((stop - start) / (n - 1) - step) <= _rounding(block, prefix + "inc"):
            return np.linspace(start, stop, n)
        misfit = f"from {start:g} to {stop:g} in steps of {step:g}"
    if misfit:
        raise XrdlibError(
            f"its block {block.name} gives {n} intensities, which do not fill the range {misfit}; "
            "repair it"
        )
    return None


def _column(block, name):
    """Values of a loop; NaN where the CIF leaves them open or gives text."""
    loops = [block.find_loop(tag) for tag in (name, _dotted(name))]
    return np.array([gemmi.cif.as_number(value) for loop in loops for value in loop])


def _value(block, name):
    value = block.find_value(name) or block.find_value(_dotted(name))
    number = gemmi.cif.as_number(value) if value else float("nan")
    return number if np.isfinite(number) else None


def _rounding(block, name):
    """Half a unit of the last digit of a value as it is written."""
    value = block.find_value(name) or block.find_value(_dotted(name))
    digits = re.match(r"[^.]*\.?(\d*)", value)[1]
    return 0.5000001 * 10.0 ** -len(digits)


def _dotted(name):
    """A tag as the newer dictionary writes it: _pd_proc.d_spacing."""
    return re.sub(r"^(_pd_(?:proc|meas))_", r"\1.", name)


def _check_tags(block):
    loops = (item.loop.tags if item.loop else (item.pair or [])[:1] for item in block)
    tags = Counter(tag.lower() for names in loops for tag in names)
    for tag, n in tags.items():
        if n > 1 and tag.startswith(("_pd_meas", "_pd_proc")):
            raise XrdlibError(f"its block {block.name} gives {tag} twice; keep one")


def _probe(block):
    """ "neutron", "x-ray" or another, as the block states it; None where it does not."""
    stated = [probe.lower() for probe in _strings(block, _PROBE) if probe]
    sources = " ".join(_strings(block, _SOURCE)).lower()
    if not stated and re.search(r"neutron|nuclear|reactor|spallation", sources):
        return "neutron"
    return re.sub("x ?ray", "x-ray", stated[0]) if stated else None


def _wavelength(block, document):
    """In angstrom; from another block of the document if all that state one agree."""
    for blocks in ([block], document):
        stated = [_numbers(each)[:1] for each in blocks]
        wavelengths = {value for values in stated for value in values}
        wavelengths = wavelengths or {line for each in blocks if (line := _line(each))}
        if len(wavelengths) == 1:
            return wavelengths.pop()
    return None


def _numbers(block):
    """All wavelengths of a block, the strongest line first as CIFs list them."""
    values = [value for name in _WAVELENGTH for value in block.find_values(name)]
    return [number for number in map(gemmi.cif.as_number, values) if np.isfinite(number)]


def _line(block):
    """The wavelength of a radiation that is named, such as 'Cu K\\a~1~'."""
    for value in _strings(block, _RADIATION):
        if match := re.search(r"\b([A-Z][a-z])[ ,-]*K", value):
            return anode_line(match[1])
    return next(filter(None, map(anode_line, _strings(block, _ANODE))), None)


def _strings(block, names):
    """All values of some tags."""
    return [gemmi.cif.as_string(value) for name in names for value in block.find_values(name)]
