"""The answer about one pattern: ranking, set of groups, what they have in common, and warnings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..base.errors import XrdlibError
from ..learning import calibrate, priors
from ..learning.metrics import logsumexp
from ..simulation.diffraction import resolve_wavelength, strong_line
from ..symmetry import groups
from ..symmetry.cells import metric_tensor
from . import checks
from .attribution import NOT_DOUBLED, halved, match
from .flags import ASSUMED, FLAGS

COVERAGE = 0.9
# Share of a prior above which a group is named in it; of the probability, below which it is
# excluded by the pattern.
_NAMED, _EXCLUDED = 2e-5, 0.01
_UNLIKE = 0.5  # similarity to the nearest structure, below which few answers are right


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
    elements, library : optional
        As for `predictor.Predictor.knowing`.
    """

    wavelength: str | float | None = None
    prior: object = "minerals"
    top_k: int = 5
    coverage: float = COVERAGE
    cell: tuple | None = None
    elements: str | Sequence | None = None
    library: str | None = None

    def check(self, predictor) -> None:
        """Refuse an invalid request, before any file is read.

        Raises
        ------
        XrdlibError
        """
        predictor.knowing(self.elements, self.library)
        if self.wavelength is not None:
            resolve_wavelength(self.wavelength)
        priors.resolve_prior(self.prior, predictor.metadata["minerals"])
        if self.top_k not in range(1, groups.N_GROUPS + 1):
            raise XrdlibError(f"{self.top_k} groups are asked for; give a number from 1 to 99.")
        if not 0 < self.coverage < 1:
            raise XrdlibError(f"The coverage is {self.coverage}; give a number between 0 and 1.")
        if self.cell is not None:
            metric_tensor(self.cell)


def answer(predictor, file, pattern, request: Request | None = None) -> dict:
    """The extinction group of one pattern: ranking, set, nearest structure, lattice, warnings.

    Parameters
    ----------
    predictor : predictor.Predictor
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
        "flags", keys of `FLAGS`, and "details", additions to their sentences, by flag;
        "coverage"; "at_least" and "at_most", see `common`; "nearest", the known structure that is
        most like it ("name", "source", "group", "similarity"), and "lattice" ("group", "cell",
        "lines", "explained"), or None; "wavelength" in angstrom.

    Raises
    ------
    XrdlibError
        If the pattern or the request is invalid.
    """
    return examine(predictor, file, pattern, request)[0]


def examine(predictor, file, pattern, request: Request | None = None) -> tuple[dict, np.ndarray]:
    """As `answer`, with the probabilities of all 99 groups, which `reweighed` can start from."""
    request = request or Request()
    request.check(predictor)
    predictor = predictor.knowing(request.elements, request.library)
    wavelength, assumed = used_wavelength(pattern, request)
    scan = pattern.two_theta, pattern.intensity, wavelength
    raised = checks.of_pattern(*scan, assumed, predictor.grid)
    probability, nearest, lattice = posterior(
        predictor, pattern, wavelength, request.prior, raised, request.cell
    )
    if nearest and nearest["similarity"] < _UNLIKE:
        raised["unlike"] = ""
    if nearest and nearest["similarity"] < NOT_DOUBLED:
        theta = halved(predictor.retrieval, *scan)
        raised |= {"theta": f"If doubled, {theta} is like the pattern."} if theta else {}
    if lattice and "short_range" in raised and not checks.hidden_start(lattice, *scan[::2]):
        if np.max(pattern.two_theta) > checks.EARLIEST:
            del raised["short_range"]
    if "no_peaks" not in raised:
        near = nearest and match(predictor.retrieval, *scan)
        raised |= checks.of_answer(*scan, lattice, near, predictor.grid, request.cell)
        raised |= _contradiction(predictor, probability, request.prior)
    raised |= {"wavelength_assumed": ""} if assumed else {}
    raised |= {"neutrons": ""} if not_x_rays(pattern) else {}
    raised |= dict.fromkeys(getattr(pattern, "metadata", {}).get("notes", ()), "")
    if "no_peaks" in raised:  # coverage of the prior, not of patterns like the calibration ones
        members = calibrate.members(probability[None], request.coverage)[0]
    else:
        members = predictor.prediction_sets(probability[None], request.coverage)[0]
    order = np.argsort(-probability, kind="stable")
    labels = (order[members[order]] + 1).tolist()
    return {
        "file": str(file),
        "predictions": ranking(probability, request.top_k),
        "set": labels,
        "flags": [flag for flag in FLAGS if flag in raised],
        "details": {flag: raised[flag] for flag in FLAGS if raised.get(flag)},
        "coverage": request.coverage,
        **common(labels),
        "nearest": nearest,
        "lattice": lattice,
        "wavelength": wavelength,
    }, probability


def reweighed(predictor, probability: np.ndarray, prior, other) -> np.ndarray:
    """Probabilities (99,) under another prior: the evidence is that of the first ones.

    Log-probabilities hold the log of the prior times a fitted weight (1 for stated odds), nothing
    else of it.

    Parameters
    ----------
    predictor : predictor.Predictor
    probability : ndarray, (99,)
        As from `examine`, under `prior`.
    prior, other
        As for `priors.resolve_prior`.
    """
    minerals = predictor.metadata["minerals"]
    fitted = predictor.fusion.prior if predictor.fusion else predictor.calibration.w
    first, second = (
        (1.0 if priors.gives_odds(p) else fitted) * np.log(priors.resolve_prior(p, minerals))
        for p in (prior, other)
    )
    scores = np.log(np.maximum(probability, 1e-300)) + second - first
    return np.exp(scores - logsumexp(scores[None])[0])


def _contradiction(predictor, probability, prior):
    """The flag of a stated prior against which the pattern speaks, if it does."""
    if isinstance(prior, str) and prior in ("minerals", "uniform"):
        return {}
    named = priors.resolve_prior(prior, predictor.metadata["minerals"]) > _NAMED
    alike = reweighed(predictor, probability, prior, "uniform")
    best = int(alike.argmax())
    if named[best] or alike[named].sum() > _EXCLUDED or alike[best] < 0.5:
        return {}
    row = groups.table()["extinction_groups"][best]
    names = ", ".join(groups.reference_symbol(number) for number in row["space_groups"][:3])
    odds = f"With all groups alike, {names} (eg{best + 1}) would have {100 * alike[best]:.0f} %"
    return {"prior_contradicted": f"{odds}, those of the prior less than 1 %."}


def posterior(predictor, pattern, wavelength: float, prior, flags=(), cell=None):
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
    structure = nearest and {**nearest[0], "similarity": round(nearest[0]["similarity"], 4)}
    if structure:
        structure |= _named_structure(predictor.retrieval, structure)
    return probability[0], structure, lattice and lattice[0]


def _named_structure(retrieval, nearest):
    """Name and database of a structure; computed ones are called by formula and space group."""
    if nearest["name"].lower().endswith(".cif"):
        return {"source": "your own"}
    alike = (retrieval.name == nearest["name"]) & (retrieval.group == nearest["group"])
    if not retrieval.computed(int(np.flatnonzero(alike)[0])):
        return {"source": "AMCSD or BGMN"}
    formula, number, *identifier = nearest["name"].split(" ")
    name = ", ".join([formula, groups.reference_symbol(int(number)), *identifier])
    database = "Materials Project" if identifier else "Open Quantum Materials Database"
    return {"name": name, "source": f"{database}, computed"}


def used_wavelength(pattern, request: Request) -> tuple[float, bool]:
    """Wavelength in angstrom, and whether it is assumed since nobody states one."""
    given = pattern.wavelength if request.wavelength is None else request.wavelength
    wavelength, assumed = ASSUMED if given is None else given, given is None
    if not_x_rays(pattern):  # no doublet to take the strong line of
        return resolve_wavelength(wavelength), assumed
    return strong_line(wavelength), assumed


def not_x_rays(pattern) -> bool:
    """Whether the file of a pattern says that it was measured with neutrons or electrons."""
    probe = getattr(pattern, "probe", None)
    return bool(probe) and not probe.startswith("x")


def common(labels: Sequence[int]) -> dict[str, list[int]]:
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


def ranking(probability: np.ndarray, top_k: int) -> list[dict]:
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
            "symbol": rows[i]["symbol"],
            "crystal_system": groups.system_names()[i],
            "space_groups": rows[i]["space_groups"],
            "probability": float(probability[i]),
        }
        for i in order
    ]
