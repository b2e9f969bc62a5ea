"""The answer about one pattern: ranking, set of groups, what they have in common, and warnings."""

from dataclasses import dataclass

import numpy as np

from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1, to_grid
from ..identification.peaks import profile
from ..learning import calibrate, priors
from ..simulation.diffraction import resolve_wavelength, strong_line
from ..symmetry import groups
from ..symmetry.cells import metric_tensor

ASSUMED = "CuKa"  # radiation where neither the user nor the file names one

COVERAGE = 0.9

_UNLIKE = 0.5  # similarity to the nearest structure, below which few answers are right

_FEW = 5  # fewer peaks than this leave the symmetry open

# Scans that begin later or end earlier, in degrees as seen with Cu K-alpha, were not trained on.
_LATEST, _EARLIEST = 15.0, 60.0


FLAGS = {
    "no_peaks": "No diffraction peak stands out, as with amorphous matter or a scan of the "
    "background: the pattern says nothing, and the ranking is the prior alone.",
    "few_peaks": f"Fewer than {_FEW} peaks stand out, too few to tell groups apart: trust the "
    "ranking little.",
    "unlike": "No known structure resembles the pattern, so that the ranking rests on less: trust "
    "it little. Such patterns are complex structures, mixtures, or not minerals.",
    "short_range": f"The scan begins above {_LATEST:g} or ends below {_EARLIEST:g} degrees (as "
    "with Cu radiation), outside of what was trained on: lines that decide may be missing.",
    "range_cut": "What was measured outside 5 to 90 degrees (as with Cu radiation) was not used.",
    "wavelength_assumed": f"Neither you nor the file names the wavelength; {ASSUMED} is assumed.",
    "neutrons": "The pattern was measured with neutrons, or at least not with X-rays, which the "
    "models know alone: the positions of its peaks count, their intensities mislead.",
}


@dataclass(frozen=True)
class Request:
    """What is asked about patterns.

    Attributes
    ----------
    wavelength : str or float, optional
        Overrides that of the file; where both are missing, copper's is assumed and flagged.
    prior : str, mapping or sequence
        As for `priors.resolve_prior`.
    top_k : int
        Groups to list, 1..99.
    coverage : float
        Probability with which the set is to hold the true group, above 0 and below 1.
    cell : sequence of 6 floats, optional
        a, b, c in angstrom, alpha, beta, gamma in degrees, where the cell is known.
    """

    wavelength: str | float | None = None
    prior: object = "minerals"
    top_k: int = 5
    coverage: float = COVERAGE
    cell: tuple | None = None

    def check(self, predictor):
        """Refuse what makes no sense, before any file is read.

        Raises
        ------
        XrdlibError
        """
        if self.wavelength is not None:
            resolve_wavelength(self.wavelength)
        priors.resolve_prior(self.prior, predictor.metadata["minerals"])
        if self.top_k not in range(1, groups.N_GROUPS + 1):
            raise XrdlibError(f"{self.top_k} groups are asked for; give a number from 1 to 99.")
        if not 0 < self.coverage < 1:
            raise XrdlibError(f"The coverage is {self.coverage}; give a number between 0 and 1.")
        if self.cell is not None:
            metric_tensor(self.cell)


def answer(predictor, file, pattern, request=None):
    """All that can be said about the extinction group of one pattern.

    Parameters
    ----------
    predictor : predict.Predictor
    file : str
        Name to report.
    pattern : prediction.reading.pattern.Pattern
        Or anything with `two_theta`, `intensity` and `wavelength`.
    request : Request, optional

    Returns
    -------
    dict
        Of values that JSON knows. "file"; "predictions", a list of dicts "group", "symbol",
        "crystal_system", "space_groups", "probability", the most probable first; "set", labels;
        "flags", keys of `FLAGS`; "coverage"; "at_least" and "at_most", see `common`; "nearest",
        the known structure that is most like it ("name", "group", "similarity"), or None;
        "wavelength" in angstrom.

    Raises
    ------
    XrdlibError
        If the pattern or the request makes no sense.
    """
    request = request or Request()
    request.check(predictor)
    wavelength, flags = used_wavelength(pattern, request)
    flags = pattern_flags(pattern, wavelength, predictor.grid) + flags
    probability, nearest, lattice = posterior(
        predictor, pattern, wavelength, request.prior, flags, request.cell
    )
    if nearest and nearest["similarity"] < _UNLIKE:
        flags.append("unlike")
    if "no_peaks" in flags:  # a statement about the prior, not about patterns like those of old
        inside = calibrate.members(probability[None], request.coverage)[0]
    else:
        inside = predictor.prediction_sets(probability[None], request.coverage)[0]
    order = np.argsort(-probability, kind="stable")
    labels = (order[inside[order]] + 1).tolist()
    return {
        "file": str(file),
        "predictions": ranking(probability, request.top_k),
        "set": labels,
        "flags": flags,
        "coverage": request.coverage,
        **common(labels),
        "nearest": nearest,
        "lattice": lattice,
        "wavelength": wavelength,
    }


def posterior(predictor, pattern, wavelength, prior, flags=(), cell=None):
    """Probabilities of the groups, the most similar known structure, and the lattice.

    Parameters and errors are as for `answer`; `flags` are those of the pattern.

    Returns
    -------
    probability : ndarray, (99,)
        Those of the prior where the pattern has no peaks.
    nearest : dict or None
        "name", "group" and "similarity"; None without retrieval or peaks.
    lattice : dict or None
        "group", "cell", "lines" and "explained", see `predictor.Predictor.recognise`; None without
        indexing or peaks, or if none was found.
    """
    if "no_peaks" in flags:
        return priors.resolve_prior(prior, predictor.metadata["minerals"]), None, None
    known = {"cell": cell} if cell is not None and predictor.takes_cell else {}
    probability, nearest, lattice = predictor.recognise(
        pattern.two_theta, [pattern.intensity], wavelength, prior, **known
    )
    found = nearest and nearest[0] | {"similarity": round(nearest[0]["similarity"], 4)}
    return probability[0], found, lattice and lattice[0]


def used_wavelength(pattern, request):
    """Wavelength in angstrom, and the flags that its choice raises."""
    given = pattern.wavelength if request.wavelength is None else request.wavelength
    flags = ["wavelength_assumed"] if given is None else []
    if not_x_rays(pattern):  # no doublet to take the strong line of
        return resolve_wavelength(ASSUMED if given is None else given), flags
    return strong_line(ASSUMED if given is None else given), flags


def not_x_rays(pattern):
    """Whether the file of a pattern says that it was measured with neutrons or electrons."""
    probe = getattr(pattern, "probe", None)
    return bool(probe) and not probe.startswith("x")


def common(labels):
    """What groups have in common on the graph of symmetry lowering (`dag.subgroup_dag`).

    Parameters
    ----------
    labels : sequence of int
        Groups 1..99, one or more.

    Returns
    -------
    dict
        "at_least": maximal common subgroups, the highest symmetry that all of the groups reach by
        lowering theirs. "at_most": minimal common supergroups, the lowest symmetry from which all
        are reached; empty where no group is above all of them. A group counts as its own sub- and
        supergroup; labels ascend.
    """
    from ..symmetry.dag import relations

    everything = np.arange(1, groups.N_GROUPS + 1)
    relation = relations(np.asarray(labels)[:, None], everything)
    below = everything[np.isin(relation, ("same", "descendant")).all(0)]
    above = everything[np.isin(relation, ("same", "ancestor")).all(0)]
    # Maximal: below no other one; minimal: above no other one.
    inside = relations(below[:, None], below) == "ancestor"
    outside = relations(above[:, None], above) == "descendant"
    return {"at_least": below[~inside.any(1)].tolist(), "at_most": above[~outside.any(1)].tolist()}


def pattern_flags(pattern, wavelength, grid):
    """Warnings that the pattern itself gives rise to.

    Parameters
    ----------
    pattern : object
        As for `answer`.
    wavelength : float
        Angstrom.
    grid : patterns.Grid
        What the predictor reads.

    Returns
    -------
    list of str
        Keys of `FLAGS`.

    Raises
    ------
    XrdlibError
        If it is no pattern, see `patterns.to_grid`.
    """
    on_grid = to_grid(pattern.two_theta, pattern.intensity, wavelength, grid)
    ends = np.array([np.min(pattern.two_theta), np.max(pattern.two_theta)])
    first, last = _as_with_copper(ends, wavelength)
    measured = (grid.two_theta >= first) & (grid.two_theta <= last)
    number = len(profile(on_grid[measured], grid.step).peaks)
    flags = []
    if number < _FEW:
        flags.append("few_peaks" if number else "no_peaks")
    if first > _LATEST or last < _EARLIEST:
        flags.append("short_range")
    if first < grid.start - 1 or last > grid.stop + 1:
        flags.append("range_cut")
    if not_x_rays(pattern):
        flags.append("neutrons")
    return flags


def ranking(probability, top_k):
    """The most probable groups, as `answer` lists them.

    Parameters
    ----------
    probability : array_like, (99,)
    top_k : int

    Returns
    -------
    list of dict
    """
    order = np.argsort(-np.asarray(probability), kind="stable")[:top_k]
    rows = groups.table()["extinction_groups"]
    return [
        {
            "group": int(i) + 1,
            **{key: rows[i][key] for key in ("symbol", "crystal_system", "space_groups")},
            "probability": float(probability[i]),
        }
        for i in order
    ]


def _as_with_copper(two_theta, wavelength):
    """Angles (n,) at which Cu K-alpha1 would show the same spacings; 180 where it cannot."""
    sine = np.sin(np.radians(two_theta) / 2) * (CU_KA1 / wavelength)
    return 2 * np.degrees(np.arcsin(np.minimum(sine, 1)))
