"""From a measured pattern to ranked extinction groups: a network, retrieval and indexing.

The network reads symmetry from the pattern; retrieval compares it with known structures; indexing
looks for lattices that explain its lines, and fits the whole pattern with the best of them. All are
fused with weights that were fitted on calibration patterns, see `fusion`.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ..base import paths
from ..base.errors import XrdlibError
from ..base.patterns import GRID, Grid, normalise, to_grid
from ..identification import lattice_evidence, library
from ..identification.retrieval import Retrieval
from ..learning import calibrate, checkpoint, decode, priors
from ..learning.calibrate import Calibration
from ..simulation.diffraction import strong_line
from ..symmetry import groups
from ..symmetry.cells import cell_of_parameters
from .fusion import Fusion

DEFAULT = paths.MODELS / "released.safetensors"

_BATCH = 64
# What weights and conformal scores are called, by whether there is retrieval, and indexing.
FUSIONS = {
    (True, True): "fusion",
    (False, True): "without_retrieval",
    (True, False): "without_indexing",
}


def load_predictor(weights=None, retrieval=True, indexing=True):
    """A predictor from a file written by the pipeline.

    Parameters
    ----------
    weights : path-like, optional
        A ``predictor.safetensors``; by default the one in models/.
    retrieval : bool
        Whether to use the library of known structures that the file names, if it names any.
        Without, a compound is judged as one that nobody has seen.
    indexing : bool
        Whether to look for lattices and fit whole patterns, if the file names what that needs.

    Returns
    -------
    Predictor

    Raises
    ------
    XrdlibError
        If a file is missing or damaged, holds no calibrated model, or the library or the sets
        beside it are not those that it was calibrated with.
    """
    path = Path(DEFAULT if weights is None else weights)
    model, metadata = checkpoint.load_weights(path), checkpoint.load_metadata(path)
    if "calibration" not in metadata:
        raise XrdlibError(f"{path} holds a model without calibration; give a predictor file.")
    known = lattices = None
    if retrieval and "library" in metadata:
        known = Retrieval(_beside(path, metadata["library"], library.load, "library"))
    if indexing and "lattices" in metadata:
        lattices = _beside(path, metadata["lattices"], lattice_evidence.load, "indexing")
    return Predictor(model, metadata, known, lattices)


def _beside(path, named, load, what):
    file = path.with_name(named["file"])
    found, about = load(file)
    if about != named["about"]:
        raise XrdlibError(f"{file} is not the {what} that {path.name} was calibrated with.")
    return found


class Seen(NamedTuple):
    """What the parts of a predictor find in n patterns, before any prior.

    Attributes
    ----------
    evidence : ndarray, (n, 99) float64
        Log-probabilities of the network, both heads fused, training prior divided out.
    similarity : ndarray, (n, 99) float32, or None without retrieval
        See `retrieval.Retrieval.similarities`.
    row : ndarray, (n,) int, or None
        Of the library: the structure that is most like each pattern.
    lattice : ndarray, (n, 99) float64, or None without indexing
        Log-probabilities, see `lattice_evidence.LatticeEvidence.weigh`.
    indexed : list of index_cells.Indexed, or None
    pattern : ndarray, (n, 99) float64, or None without fits of whole patterns
        Log-probabilities, see `lattice_evidence.LatticeEvidence.weigh_fits`.
    fitted : list of list of pattern_evidence.Scored, or None
    """

    evidence: np.ndarray
    similarity: np.ndarray | None = None
    row: np.ndarray | None = None
    lattice: np.ndarray | None = None
    indexed: list | None = None
    pattern: np.ndarray | None = None
    fitted: list | None = None


class Predictor:
    """A calibrated model; see `load_predictor`.

    Parameters
    ----------
    model : torch.nn.Module
    metadata : dict
        "calibration" (T, w, a), "training_prior" and "minerals" (99 probabilities each), and with
        retrieval or indexing the weights `fusion.Fusion` under their name in `FUSIONS`.
    retrieval : Retrieval, optional
    lattices : lattice_evidence.LatticeEvidence, optional
        Left out without retrieval if there are no weights for that.
    """

    def __init__(self, model, metadata, retrieval=None, lattices=None):
        self.model, self.metadata = model.eval(), metadata
        start, step, size = model.config.grid
        self.grid = Grid(start, round(start + step * (size - 1), 6), step)
        self.calibration = Calibration(**metadata["calibration"])
        self.parts = FUSIONS.get((retrieval is not None, lattices is not None))
        if self.parts not in metadata:
            # What has no weights of its own is weighed as in the whole, or left out.
            self.parts = None if retrieval is None else "fusion"
            lattices = None if retrieval is None else lattices
        self.retrieval, self.lattices = retrieval, lattices
        self.fusion = Fusion(**metadata[self.parts]) if self.parts else None

    @property
    def takes_cell(self):
        """Whether a known cell makes a difference: there is indexing, with whole-pattern fits."""
        return self.lattices is not None and self.lattices.patterns is not None

    def predict(
        self, two_theta, intensity, wavelength="CuKa", prior="minerals", top_k=5, cell=None
    ):
        """The most probable extinction groups of one pattern.

        Parameters
        ----------
        two_theta, intensity : array_like, (m,)
            Degrees, and counts or any linear scale, with or without background.
        wavelength : str or float
            A named anode or line, or angstrom. A K-alpha doublet is read at its stronger line.
        prior : str or mapping
            As for `priors.resolve_prior`: "minerals", "uniform", or weights by group.
        top_k : int
            Groups to list, 1..99.
        cell : sequence of 6 floats, optional
            The cell, where it is known: edges in angstrom and angles in degrees, conventional or
            primitive axes. Groups are then ranked by the absences that it shows.

        Returns
        -------
        pandas.DataFrame
            rank, group (1..99), symbol, crystal_system, space_groups, probability.

        Raises
        ------
        XrdlibError
            If the pattern, the wavelength, the prior or `top_k` makes no sense.
        """
        if top_k not in range(1, groups.N_GROUPS + 1):
            raise XrdlibError(f"top_k is {top_k}; give a number from 1 to {groups.N_GROUPS}.")
        probability = self.predict_proba(two_theta, [intensity], wavelength, prior, cell)[0]
        order = np.argsort(-probability, kind="stable")[:top_k]
        table = groups.extinction_groups().iloc[order]
        table = table.assign(crystal_system=np.array(groups.system_names())[order])
        table = table[["symbol", "crystal_system", "space_groups"]].reset_index(names="group")
        table.insert(0, "rank", np.arange(1, top_k + 1))
        return table.assign(probability=probability[order])

    def predict_proba(self, two_theta, intensities, wavelength="CuKa", prior="minerals", cell=None):
        """Probabilities of the 99 groups for patterns on the same angles.

        Parameters
        ----------
        two_theta : array_like, (m,)
        intensities : array_like, (n, m)
        wavelength, prior, cell
            As for `predict`.

        Returns
        -------
        ndarray, (n, 99) float64
            Columns in the order of `extinction_groups`.

        Raises
        ------
        XrdlibError
            As for `predict`.
        """
        return self.recognise(two_theta, intensities, wavelength, prior, cell)[0]

    def recognise(self, two_theta, intensities, wavelength="CuKa", prior="minerals", cell=None):
        """As `predict_proba`, with the most similar known structure and the lattice of each.

        Returns
        -------
        probability : ndarray, (n, 99) float64
        nearest : list of dict, or None without retrieval
            "name" of the structure, its extinction "group" 1..99, and its "similarity" to the
            pattern, -1 to 1.
        lattice : list of dict or None, or None without indexing
            "group", "cell" (six numbers, angstrom and degrees), how many of the pattern's "lines"
            that were looked at it has "explained"; None where none is good. With fits of whole
            patterns it is the most probable cell, in the standard setting, and there are more
            facts (`cell_words.facts`); without, or where the cell is given, that of the most
            probable group that has one.
        """
        target = priors.resolve_prior(prior, self.metadata["minerals"])
        ratio = priors.log_ratio(target, np.full(groups.N_GROUPS, 1 / groups.N_GROUPS))
        seen = self.evidence(two_theta, intensities, wavelength, cell)
        probability = np.exp(self.weigh(seen, ratio, in_full=priors.gives_odds(prior)))
        nearest = lattice = None
        if seen.row is not None:
            nearest = [
                {
                    "name": str(self.retrieval.name[row]),
                    "group": int(self.retrieval.group[row]),
                    "similarity": float(own.max()),
                }
                for row, own in zip(seen.row, seen.similarity, strict=True)
            ]
        if seen.fitted is not None and cell is not None:
            lattice = [*map(_fitted_lattice, seen.fitted, probability)]
        elif seen.fitted is not None:
            lattice = self._cells(two_theta, intensities, wavelength, seen.fitted, probability)
        elif seen.indexed is not None:
            lattice = [*map(_lattice, seen.indexed, probability)]
        return probability, nearest, lattice

    def weigh(self, seen, log_ratio, in_full=False):
        """Log-probabilities of what was seen, (n, 99), under a prior.

        Parameters
        ----------
        seen : Seen
        log_ratio : ndarray, (99,)
            Of the prior over equal ones, see `priors.log_ratio`.
        in_full : bool
            Whether it counts as it stands, as stated odds do, and not by its fitted weight.
        """
        if self.fusion is None:
            calibration = replace(self.calibration, w=1.0) if in_full else self.calibration
            return calibration.apply(None, seen.evidence, log_ratio)
        fusion = replace(self.fusion, prior=1.0) if in_full else self.fusion
        similarity = seen.similarity
        if similarity is None:
            similarity = np.zeros_like(seen.evidence)
        return fusion.apply(seen.evidence, similarity, log_ratio, seen.lattice, seen.pattern)

    def prediction_sets(self, probability, coverage=0.9):
        """Groups that hold the true one with a stated probability, for minerals not seen before.

        Conformal sets where the predictor was calibrated for them (`conformal`), else the groups
        above which no more probability lies than the coverage.

        Parameters
        ----------
        probability : array_like, (n, 99)
            As from `predict_proba`, under the default prior: another one changes the coverage.
        coverage : float
            Above 0 and below 1.

        Returns
        -------
        ndarray, (n, 99) bool
        """
        told = self.metadata.get("conformal", {})
        name = "scores" if self.parts == "fusion" else self.parts
        if name in told:
            about = told.get("classes"), self.metadata["minerals"]
            threshold = calibrate.thresholds(told[name], told["families"], coverage, *about)
        else:
            threshold = coverage
        return calibrate.members(probability, threshold)

    def evidence(self, two_theta, intensities, wavelength="CuKa", cell=None):
        """What the network reads, and retrieval and indexing find, before any prior.

        Parameters
        ----------
        two_theta, intensities, wavelength, cell
            As for `predict_proba`.

        Returns
        -------
        Seen

        Raises
        ------
        XrdlibError
            As for `predict`, or if a cell is given that is impossible or without indexing.
        """
        wavelength = strong_line(wavelength)
        patterns = np.atleast_2d(to_grid(two_theta, intensities, wavelength, self.grid))
        heads = self._heads(normalise(torch.from_numpy(patterns)))
        seen = Seen(calibrate.fuse(*heads, self.calibration.a))
        if cell is not None and not self.takes_cell:
            raise XrdlibError("Without indexing nothing is made of a cell; load it, or give none.")
        if self.fusion is not None and self.grid != GRID:
            patterns = np.atleast_2d(to_grid(two_theta, intensities, wavelength, GRID))
        if self.retrieval is not None:
            similarity, row = self.retrieval.similarities(patterns)
            seen = seen._replace(similarity=similarity, row=row)
        if self.lattices is not None:
            seen = seen._replace(**self.lattices.evidence(patterns, cell))
        return seen

    def _cells(self, two_theta, intensities, wavelength, fitted, probability):
        """Facts of the best cell of each pattern, or None where none is good."""
        from . import cell_words, indexing

        wavelength, found = strong_line(wavelength), []
        patterns = np.atleast_2d(to_grid(two_theta, intensities, wavelength, GRID))
        for told in zip(patterns, fitted, probability, strict=True):
            _, cells = indexing.cells_of(self.lattices.patterns, *told, wavelength)
            good = bool(cells) and cell_words.is_good(cells[0])
            found.append(cell_words.facts(cells[0]) if good else None)
        return found

    @torch.inference_mode()
    def _heads(self, x):
        """Log-probabilities of the rule head (or None) and the auxiliary one, prior divided out."""
        heads = {"rule": [], "aux": []}
        for part in x.split(_BATCH):
            output = self.model(part)
            heads["aux"].append(torch.log_softmax(output["aux"].float(), -1))
            if "rule" in output:
                heads["rule"].append(decode.rule_log_probs(output["rule"]))
        train = self.metadata["training_prior"]
        return tuple(
            priors.divide_out(torch.cat(parts).numpy(), train) if parts else None
            for parts in (heads["rule"], heads["aux"])
        )


def _lattice(indexed, probability):
    """The lattice of the most probable group that has one, see `Predictor.recognise`."""
    if not indexed.cell:
        return None
    label = max(indexed.cell, key=lambda label: probability[label - 1])
    return {
        "group": label,
        "cell": _shown(indexed.cell[label]),
        "lines": indexed.looked_at,
        "explained": int(indexed.explained[label - 1]),
    }


def _shown(cell):
    """A cell as people write it: rounded, and beta obtuse, as it is where a and b are reversed."""
    *others, beta, gamma = cell
    monoclinic = cell[3] == gamma == 90
    return [round(x, 4) for x in (*others, max(beta, 180 - beta) if monoclinic else beta, gamma)]


def _fitted_lattice(fitted, probability):
    """As `_lattice`, of lattices that were fitted to the whole pattern, the best first."""
    found = {}
    for own in fitted:
        for label in np.flatnonzero(np.isfinite(own.evidence)) + 1:
            best = found.setdefault(int(label), own)
            worth = own.worth - own.evidence.max() + own.evidence[label - 1]
            if worth > best.worth - best.evidence.max() + best.evidence[label - 1]:
                found[int(label)] = own
    if not found:
        return None
    label = max(found, key=lambda label: probability[label - 1])
    own = found[label]
    return {
        "group": label,
        "cell": _shown(cell_of_parameters(*own.lattice[:2])),
        "lines": own.observed,
        "explained": own.observed - len(own.strange),
    }


def write(path, model, calibration, training_prior, minerals, **about):
    """Write a predictor: weights, calibration, priors, and what is said about it.

    Parameters
    ----------
    path : path-like
    model : torch.nn.Module
    calibration : Calibration
    training_prior, minerals : array_like, (99,)
    about
        JSON values.
    """
    metadata = {
        "calibration": vars(calibration),
        "training_prior": np.asarray(training_prior).tolist(),
        "minerals": np.asarray(minerals).tolist(),
        **about,
    }
    checkpoint.save_weights(path, model, metadata)
