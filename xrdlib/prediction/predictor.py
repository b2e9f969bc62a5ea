"""From a measured pattern to ranked extinction groups: a network, retrieval and indexing.

The network reads symmetry from the pattern; retrieval compares it with known structures; indexing
looks for lattices that explain its lines. All are fused with weights that were fitted on
calibration patterns, see `fusion`.
"""

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
from .fusion import Fusion

DEFAULT = paths.MODELS / "released.safetensors"

_BATCH = 64


def load_predictor(weights=None, retrieval=True):
    """A predictor from a file written by the pipeline.

    Parameters
    ----------
    weights : path-like, optional
        A ``predictor.safetensors``; by default the one in models/.
    retrieval : bool
        Whether to use the library of known structures and the sets of indices that the file names,
        if it names any. Without, the network is alone.

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
    if not retrieval or "library" not in metadata:
        return Predictor(model, metadata)
    known = _beside(path, metadata["library"], library.load, "library")
    lattices = None
    if "lattices" in metadata:
        lattices = _beside(path, metadata["lattices"], lattice_evidence.load, "indexing")
    return Predictor(model, metadata, Retrieval(known), lattices)


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
    """

    evidence: np.ndarray
    similarity: np.ndarray | None = None
    row: np.ndarray | None = None
    lattice: np.ndarray | None = None
    indexed: list | None = None


class Predictor:
    """A calibrated model; see `load_predictor`.

    Parameters
    ----------
    model : torch.nn.Module
    metadata : dict
        "calibration" (T, w, a), "training_prior" and "minerals" (99 probabilities each), and with
        retrieval "fusion" (network, similarity, prior, lattice).
    retrieval : Retrieval, optional
    lattices : lattice_evidence.LatticeEvidence, optional
        Used beside retrieval alone.
    """

    def __init__(self, model, metadata, retrieval=None, lattices=None):
        self.model, self.metadata = model.eval(), metadata
        start, step, size = model.config.grid
        self.grid = Grid(start, round(start + step * (size - 1), 6), step)
        self.calibration = Calibration(**metadata["calibration"])
        self.retrieval, self.lattices = retrieval, lattices
        self.fusion = Fusion(**metadata["fusion"]) if retrieval else None

    def predict(self, two_theta, intensity, wavelength="CuKa", prior="minerals", top_k=5):
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
        probability = self.predict_proba(two_theta, [intensity], wavelength, prior)[0]
        order = np.argsort(-probability, kind="stable")[:top_k]
        table = groups.extinction_groups().iloc[order]
        table = table[["symbol", "crystal_system", "space_groups"]].reset_index(names="group")
        table.insert(0, "rank", np.arange(1, top_k + 1))
        return table.assign(probability=probability[order])

    def predict_proba(self, two_theta, intensities, wavelength="CuKa", prior="minerals"):
        """Probabilities of the 99 groups for patterns on the same angles.

        Parameters
        ----------
        two_theta : array_like, (m,)
        intensities : array_like, (n, m)
        wavelength, prior
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
        return self.recognise(two_theta, intensities, wavelength, prior)[0]

    def recognise(self, two_theta, intensities, wavelength="CuKa", prior="minerals"):
        """As `predict_proba`, with the most similar known structure and the lattice of each.

        Returns
        -------
        probability : ndarray, (n, 99) float64
        nearest : list of dict, or None without retrieval
            "name" of the structure, its extinction "group" 1..99, and its "similarity" to the
            pattern, -1 to 1.
        lattice : list of dict or None, or None without indexing
            Of the most probable group that a lattice was found for: "group", "cell" (six numbers,
            angstrom and degrees), how many of the pattern's first "lines" it has "explained";
            None for a pattern that none was found for.
        """
        target = priors.resolve_prior(prior, self.metadata["minerals"])
        ratio = priors.log_ratio(target, np.full(groups.N_GROUPS, 1 / groups.N_GROUPS))
        seen = self.evidence(two_theta, intensities, wavelength)
        if self.retrieval is None:
            return np.exp(self.calibration.apply(None, seen.evidence, ratio)), None, None
        nearest = [
            {
                "name": str(self.retrieval.name[row]),
                "group": int(self.retrieval.group[row]),
                "similarity": float(own.max()),
            }
            for row, own in zip(seen.row, seen.similarity, strict=True)
        ]
        probability = np.exp(self.fusion.apply(seen.evidence, seen.similarity, ratio, seen.lattice))
        if seen.indexed is None:
            return probability, nearest, None
        return probability, nearest, [*map(_lattice, seen.indexed, probability)]

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
        if told := self.metadata.get("conformal"):
            threshold = calibrate.quantile(told["scores"], told["families"], coverage)
        else:
            threshold = coverage
        return calibrate.members(probability, threshold)

    def evidence(self, two_theta, intensities, wavelength="CuKa"):
        """What the network reads, and retrieval and indexing find, before any prior.

        Parameters
        ----------
        two_theta, intensities, wavelength
            As for `predict_proba`.

        Returns
        -------
        Seen

        Raises
        ------
        XrdlibError
            As for `predict`.
        """
        wavelength = strong_line(wavelength)
        patterns = np.atleast_2d(to_grid(two_theta, intensities, wavelength, self.grid))
        heads = self._heads(normalise(torch.from_numpy(patterns)))
        evidence = calibrate.fuse(*heads, self.calibration.a)
        if self.retrieval is None:
            return Seen(evidence)
        if self.grid != GRID:
            patterns = np.atleast_2d(to_grid(two_theta, intensities, wavelength, GRID))
        similarity, row = self.retrieval.similarities(patterns)
        if self.lattices is None:
            return Seen(evidence, similarity, row)
        indexed = self.lattices.index(patterns)
        return Seen(evidence, similarity, row, self.lattices.weigh(indexed), indexed)

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
        "cell": [round(x, 4) for x in indexed.cell[label]],
        "lines": indexed.looked_at,
        "explained": int(indexed.explained[label - 1]),
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
