"""Checks of a pattern and of its answer; what fails one is a key of `flags.FLAGS`."""

from collections.abc import Sequence

import numpy as np

from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1, GRID, Grid, to_grid
from ..identification.cell_evidence import cell_reflections
from ..identification.peaks import background, profile
from ..simulation.diffraction import WAVELENGTHS
from ..symmetry import groups
from ..symmetry.cells import settings
from .attribution import Match, rescaled

# K-beta1 of the usual anodes, and the L-alpha1 of tungsten that ages tubes, in angstrom; Bearden,
# Reviews of Modern Physics 39, 78 (1967).
_BETA = {"Cr": 2.08487, "Fe": 1.75661, "Co": 1.62079, "Cu": 1.39222, "Mo": 0.632288, "Ag": 0.497069}
_TUNGSTEN = 1.47639
FEW = 5  # fewer peaks than this leave the symmetry open

# Scans that begin later or end earlier, in degrees as seen with Cu K-alpha, were not trained on;
# a few tenths more or less do not matter, nor does the end where there are peaks enough.
LATEST, EARLIEST = 15.5, 60.0
_ENOUGH = 15
_LEAST_SPAN = 5.0  # degrees of a scan that can be compared
COARSE, BROAD = 0.049, 0.2  # degrees, of steps and of the full width at half maximum
_SHARPEST = 0.045  # degrees; peaks of a laboratory's diffractometer with a doublet are wider
_CLEAR, _LEFT = 0.05, 0.15  # of the highest peak; of the clear peaks' heights together
_STATED = 0.7  # of the peaks; a cell that indexes fewer is most likely wrong
# First peaks that a stated cell is tested on, and fewest; standard deviations from chance, which
# random crystals' own cells exceed and nine of ten other cells do not.
_FIRST, _JUDGED, _CHANCE = 20, 8, 3.0
_AROUND = 4.0  # degrees on either side of a peak, whose angles it is compared with
_NEAR, _NEAR_STRUCTURE, _NEAR_BETA = 0.12, 0.15, 0.06  # degrees
_WITH_COPPER = " (as with Cu radiation)"
_MOST = 24  # clear peaks; further up a cell has reflections everywhere
_ALONE, _UNEVEN = 0.35, 1.6  # degrees between single reflections; ratio of widths
_BETA_SHARE = (0.005, 0.35)  # height of a K-beta peak over that of its K-alpha peak
_BETA_MATTERS = 0.02  # of the highest peak
_SPIKE, _SPIKE_NOISE = 0.1, 10  # of the highest point; standard deviations
_LONGEST_FIRST = 1.7  # angstrom; every crystal has a reflection above this spacing


def of_pattern(two_theta, intensity, wavelength: float, assumed: bool = False, grid: Grid = GRID):
    """Doubts about the pattern itself.

    Parameters
    ----------
    two_theta, intensity : array_like, (m,)
        Degrees and any linear scale.
    wavelength : float
        Angstrom.
    assumed : bool
        Whether the wavelength is not stated anywhere.
    grid : patterns.Grid
        What the predictor reads.

    Returns
    -------
    dict of str to str
        Keys of `flags.FLAGS`, and what is to be added to their sentences.

    Raises
    ------
    XrdlibError
        If it is no pattern, see `patterns.to_grid`, or too little of it lies on the grid.
    """
    inside, index, height, positions = _measured(two_theta, intensity, wavelength, grid)
    order = np.argsort(two_theta, kind="stable")
    angle = rescaled(np.asarray(two_theta, dtype=np.float64)[order], CU_KA1 / wavelength)
    first, last = angle[0], angle[-1]
    if (len(inside) - 1) * grid.step < _LEAST_SPAN:
        raise XrdlibError(
            f"Less than {_LEAST_SPAN:g} degrees of the scan lie between {grid.start:g} and "
            f"{grid.stop:g} degrees (as seen with Cu radiation) if its wavelength is "
            f"{wavelength:.5g} angstrom; most likely it is another one: state it with --wavelength."
        )
    number = len(positions)
    doubts = {}
    if number < FEW:
        doubts["few_peaks" if number else "no_peaks"] = ""
    if first > LATEST or last < EARLIEST and number < _ENOUGH:
        doubts["short_range"] = ""
    if number < 2 * FEW and _peaks_outside(angle, np.asarray(intensity, float)[order], grid):
        doubts["range_cut"] = ""
    if not number:
        return doubts
    step = float(np.median(np.diff(angle[(angle >= grid.start) & (angle <= grid.stop)])))
    high = index[np.argsort(-height, kind="stable")[:6]]
    width = float(np.median(_widths(inside - background(inside, grid.step), high, grid.step)))
    if step > COARSE:
        doubts["coarse"] = f"They are {step:.2g} degrees{_WITH_COPPER}."
    if width > BROAD:
        doubts["broad"] = f"About {width:.2g} degrees at half height{_WITH_COPPER}."
    clear = height > _CLEAR * height.max()
    spacing = CU_KA1 / 2 / np.sin(np.radians(positions[clear][0] / 2))
    if number > 1 and spacing < _LONGEST_FIRST and first < 25:
        doubts["wavelength_doubtful"] = (
            f"The first clear peak is at d = {spacing:.2f} angstrom, and every crystal has "
            "reflections at larger spacings: the true wavelength is longer."
        )
    elif assumed and step < _SHARPEST / 3 and width < _SHARPEST and number >= FEW:
        doubts["wavelength_doubtful"] = (
            f"The peaks are only {width:.2g} degrees wide, as those of synchrotrons."
        )
    if spikes := _spikes(np.asarray(intensity, dtype=np.float64)[order], width / step):
        doubts["spikes"] = f"There {'are' if spikes > 1 else 'is'} {spikes} here."
    return doubts


def of_answer(
    two_theta, intensity, wavelength: float, lattice: dict | None, near: Match | None,
    grid: Grid = GRID, stated: Sequence[float] | None = None,
) -> dict[str, str]:  # fmt: skip
    """Doubts about the answer: peaks left unindexed, K-beta peaks, uneven widths.

    Parameters
    ----------
    two_theta, intensity, wavelength, grid
        As for `of_pattern`.
    lattice : dict or None
        With its "cell", see `predictor.Predictor.recognise`.
    near : attribution.Match or None
        The structure that is most like the pattern.
    stated : sequence of 6 floats, optional
        The cell that the user gave: it alone has to index the peaks.

    Returns
    -------
    dict of str to str
        As from `of_pattern`.
    """
    inside, index, height, position = _measured(two_theta, intensity, wavelength, grid)
    height = height / height.max(initial=1e-30)
    by_lattice = by_structure = np.zeros(len(position), dtype=bool)
    reflections = np.zeros(0)
    if lattice:
        reflections = _reflections(lattice["cell"], grid.start, position[-1] + 1)[2]
        by_lattice = _indexed(position, reflections)
    if near:
        calculated = rescaled(near.two_theta, CU_KA1 / wavelength)
        by_structure = (np.abs(position[:, None] - calculated) < _NEAR_STRUCTURE).any(1)
    doubts = {}
    beta, name = _beta(position, height, ~by_lattice | ~by_structure, wavelength)
    if height[beta].max(initial=0) > _BETA_MATTERS:
        doubts["k_beta"] = f"{name} at {_angles(position[beta], wavelength)} degrees."
    clear = (height > _CLEAR) & (np.cumsum(height > _CLEAR) <= _MOST) & ~beta
    left, strange = clear & ~by_lattice, clear & ~by_structure
    share = height[strange if near else left].sum() / height[clear].sum()
    if lattice and left.sum() >= (1 if near else 2) and share > _LEFT:
        if not near or strange.sum() >= 2:
            shown = np.flatnonzero(left)
            shown = np.sort(shown[np.argsort(-height[shown], kind="stable")[:5]])
            doubts["left_over"] = (
                f"Of {clear.sum()} clear peaks the lattice leaves {left.sum()} unindexed"
                + (f" and the most similar structure {strange.sum()}" if near else "")
                + f", for instance at {_angles(position[shown], wavelength)} degrees."
            )
    if stated is not None and lattice and lattice["explained"] < _STATED * lattice["lines"]:
        doubts["left_over"] = (
            f"The cell that you gave indexes only {lattice['explained']} of the first "
            f"{lattice['lines']} peaks."
        )
    elif stated is not None and _by_chance(first := position[clear][:_FIRST], stated):
        doubts["left_over"] = (
            f"The first {len(first)} peaks lie no nearer to reflections of the cell that you gave "
            "than by chance."
        )
    alone = (np.abs(position[:, None] - reflections) < _ALONE).sum(1) == 1
    alone &= (height > 3 * _CLEAR) & (position < 50)
    wide = _widest(position[alone], _widths(inside - background(inside, grid.step), index[alone]))
    if wide is not None:
        doubts["uneven"] = f"The widest is at {_angles([wide], wavelength)} degrees."
    return doubts


def _measured(two_theta, intensity, wavelength, grid):
    """The measured part of the grid; index, height and angle of each of its peaks."""
    on_grid = to_grid(two_theta, intensity, wavelength, grid)
    span = np.flatnonzero(on_grid)
    inside = on_grid[span[0] : span[-1] + 1]
    shape = profile(inside, grid.step)
    position = grid.two_theta[span[0]] + grid.step * shape.peaks
    return inside, shape.peaks, shape.height[shape.peaks], position


def hidden_start(lattice: dict, two_theta, wavelength: float, grid: Grid = GRID) -> bool:
    """Whether the group of a lattice allows reflections on the grid before a scan begins."""
    first = float(rescaled(np.min(two_theta), CU_KA1 / wavelength))
    hkl = _reflections(lattice["cell"], grid.start, first)[0]
    number = groups.table()["extinction_groups"][lattice["group"] - 1]["space_groups"][0]
    choices = settings(lattice["group"], lattice["cell"])
    return any((~groups.absent(number, hkl @ change)).any() for change in choices)


def _reflections(cell, first, last):
    """All reflections of a primitive cell within angles of Cu K-alpha1, see `cell_reflections`."""
    try:
        return cell_reflections(cell, CU_KA1, first, last)
    except XrdlibError:  # no reflection in the range
        return np.zeros((0, 3), dtype=int), None, np.zeros(0), None


def _indexed(position, reflections):
    """Which peaks lie at reflections, once a zero shift common to most is taken off."""
    if not len(reflections):
        return np.zeros(len(position), dtype=bool)
    off = position[:, None] - reflections
    off = off[np.arange(len(position)), np.abs(off).argmin(1)]
    near = np.abs(off) < _NEAR_STRUCTURE
    shift = np.median(off[near][:_MOST]) if near.any() else 0.0
    return np.abs(off - shift) < _NEAR


def _by_chance(position, cell):
    """Whether peaks lie no nearer to the reflections of a cell than by chance.

    Of the angles around a peak, a share lies nearer to some reflection than the peak does. By
    chance all shares are alike, so that the mean of n has the expectation 1/2 and the variance
    1/(12 n). The cell may be a little larger or smaller, and the zero shifted.
    """
    if len(position) < _JUDGED:
        return False
    reflections = _reflections(cell, 1.0, position[-1] + _AROUND)[2]
    around, least = position[:, None] + np.arange(-_AROUND, _AROUND, 0.02), 1.0
    for scale in np.linspace(0.995, 1.005, 21):
        at = np.concatenate([[-np.inf], rescaled(reflections, scale), [np.inf]])
        for zero in (-0.04, 0, 0.04):
            distance, other = (_nearest(x + zero, at) for x in (position[:, None], around))
            least = min(least, (other <= distance).mean())
    return (0.5 - least) * np.sqrt(12 * len(position)) < _CHANCE


def _nearest(x, at):
    """Distance to the nearest of ascending positions; the first and last are infinite."""
    above = np.searchsorted(at, x)
    return np.minimum(x - at[above - 1], at[above] - x)


def _beta(position, height, left, wavelength):
    """Which peaks that are left are a strong one's at a shorter wavelength of the tube; its name.

    The strongest peak must have such a companion where it can be seen.
    """
    nothing = np.zeros(len(position), dtype=bool)
    anode = next((a for a in _BETA if abs(wavelength / WAVELENGTHS[f"{a}Ka1"] - 1) < 3e-3), None)
    if anode is None or not len(position):
        return nothing, ""
    companions = {f"K-beta of {anode}": _BETA[anode], "L-alpha of tungsten": _TUNGSTEN}
    for name, other in companions.items():
        ratio = other / WAVELENGTHS[f"{anode}Ka1"]
        at = rescaled(position, ratio)
        part = height[:, None] / height
        low, high = _BETA_SHARE
        pair = (np.abs(position[:, None] - at) < _NEAR_BETA) & (part > low) & (part < high)
        pair &= left[:, None]
        if ratio < 0.99 and pair[:, height.argmax()].any():
            return pair.any(1), name
    return nothing, ""


def _widest(position, widths):
    """Position of a peak much wider than others at about its angle or above; or None."""
    for x, width in zip(position, widths, strict=True):
        later = widths[(position > x - 5) & (position != x)]
        if len(later) > 1 and width > _UNEVEN * np.median(later):
            return x
    return None


def _widths(height, peaks, step=GRID.step):
    """Full widths at half maximum of peaks, degrees; `height` stands on no background."""
    widths = []
    for i in peaks:
        i = max(i - 4, 0) + int(np.argmax(height[max(i - 4, 0) : i + 5]))  # before smoothing
        below = height < height[i] / 2
        right = i + np.argmax(below[i:]) if below[i:].any() else len(height)
        left = i - np.argmax(below[i::-1]) if below[i::-1].any() else -1
        widths.append((right - left - 1) * step)
    return np.array(widths)


def _spikes(intensity, width):
    """Number of single points that stand out where peaks are `width` points wide."""
    if width < 3:
        return 0
    excess = intensity - _running(np.min, intensity, 11)
    noise = _running(np.median, np.abs(np.diff(intensity, 2)), 101) / 0.6745 / np.sqrt(6)
    middle, neighbour = excess[1:-1], np.maximum(excess[:-2], excess[2:])
    high = middle > np.maximum(_SPIKE * excess.max(), _SPIKE_NOISE * noise)
    return int((high & (neighbour < 0.25 * middle)).sum())


def _running(function, x, width):
    padded = np.pad(x, width // 2, mode="edge")
    return function(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1)


def _peaks_outside(angle, intensity, grid):
    """Whether a scan, at the angles of Cu radiation, has peaks that the grid leaves out."""
    for outside in (angle < grid.start, (angle > grid.stop) & (angle < 180)):
        if outside.sum() > 100:
            even = np.arange(angle[outside][0], angle[outside][-1], grid.step)
            if len(profile(np.interp(even, angle[outside], intensity[outside]), grid.step).peaks):
                return True
    return False


def _angles(with_copper, wavelength):
    """Angles at the wavelength of the measurement, as text."""
    return ", ".join(f"{x:.2f}" for x in rescaled(with_copper, wavelength / CU_KA1))
