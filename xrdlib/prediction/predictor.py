"""From a measured pattern to ranked extinction groups: a network, retrieval and indexing.

The network reads symmetry from the pattern; retrieval compares it with known structures; indexing
looks for lattices that index its peaks, and fits the whole pattern with the best of them. All are
fused with weights that were fitted on calibration patterns, see `fusion`.
"""

from dataclasses import replace

import numpy as np
import torch

from ..base import paths
from ..base.errors import XrdlibError
from ..base.patterns import GRID, Grid, normalise, to_grid
from ..identification.retrieval import Retrieval
from ..learning import calibrate, priors
from ..learning.calibrate import Calibration
from ..simulation.diffraction import strong_line
from ..symmetry import groups
from . import evidence, knowledge, predictor_file, reported_cells
from .evidence import Seen
from .fusion import FUSIONS, Fusion

DEFAULT = paths.MODELS / "released.safetensors"


def load_predictor(weights=None, retrieval=True, indexing=True):
    """A predictor from a file written by the pipeline.

    Parameters
    ----------
    weights : path-like, optional
        A ``predictor.safetensors``; by default the one in models/.
    retrieval : bool
        Whether to use the library of known structures that the file names, if it names any.
        Without, each compound is treated as a new one.
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
    path = DEFAULT if weights is None else weights
    model, metadata = predictor_file.read(path)
    known = predictor_file.beside(path, metadata, "library") if retrieval else None
    lattices = predictor_file.beside(path, metadata, "lattices") if indexing else None
    return Predictor(model, metadata, known and Retrieval(known), lattices)


class Predictor:
    """A calibrated model; see `load_predictor`.

    Parameters
    ----------
    model : torch.nn.Module
    metadata : dict
        "calibration" (T, w, a), "training_prior" and "minerals" (99 probabilities each), and with
        retrieval or indexing the weights `fusion.Fusion` under their name in `fusion.FUSIONS`.
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
        self._known = {}  # what was made last of this one by `knowing`

    def knowing(self, elements=None, library=None):
        """This predictor with what is known of the specimen.

        Parameters
        ----------
        elements : str or iterable of str, optional
            As "Ca,Mg,Si,O": it has no others, but perhaps hydrogen; "Si O ...": at least these.
            Retrieval takes known structures of such elements, and the prior "minerals" is how
            frequent groups are among them, drawn towards the general one.
        library : path-like, optional
            A folder with CIF files: their structures join the known ones, or are named in the log.

        Returns
        -------
        Predictor
            This one where nothing is known.

        Raises
        ------
        XrdlibError
            If a symbol is wrong, no CIF file can be used, or this one was loaded without retrieval.
        """
        if elements is None and library is None:
            return self
        if self.retrieval is None:
            raise XrdlibError("Elements and structures need retrieval; load it, or give none.")
        key = str(elements), str(library)
        if key not in self._known:
            known, minerals = knowledge.informed(
                self.retrieval.library, self.metadata["minerals"], elements, library
            )
            metadata = {**self.metadata, "minerals": minerals.tolist()}
            retrieval = Retrieval(known) if len(known) else None
            self._known = {key: Predictor(self.model, metadata, retrieval, self.lattices)}
        return self._known[key]

    @property
    def takes_cell(self):
        """Whether a known cell makes a difference: there is indexing, with whole-pattern fits."""
        return self.lattices is not None and self.lattices.patterns is not None

    def predict(
        self,
        two_theta,
        intensity,
        wavelength="CuKa",
        prior="minerals",
        top_k=5,
        cell=None,
        elements=None,
        library=None,
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
        elements, library
            As for `knowing`.

        Returns
        -------
        pandas.DataFrame
            rank, group (1..99), symbol, crystal_system, space_groups, probability.

        Raises
        ------
        XrdlibError
            If the pattern, the wavelength, the prior or `top_k` is invalid.
        """
        if top_k not in range(1, groups.N_GROUPS + 1):
            raise XrdlibError(f"top_k is {top_k}; give a number from 1 to {groups.N_GROUPS}.")
        known = self.knowing(elements, library)
        probability = known.predict_proba(two_theta, [intensity], wavelength, prior, cell)[0]
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
            Columns in the order of `extinction_groups`. Errors are those of `predict`.
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
            "group", "cell" (six numbers, angstrom and degrees), how many peaks it was tried on
            ("lines") and indexes ("explained"); None where none is good. With fits of whole
            patterns it is the most probable cell, in the standard setting, with more facts
            (`cell_words.facts`); without, or where the cell is given, that of the most probable
            group that has one.
        """
        target = priors.resolve_prior(prior, self.metadata["minerals"])
        ratio = priors.log_ratio(target, np.full(groups.N_GROUPS, 1 / groups.N_GROUPS))
        seen = self.evidence(two_theta, intensities, wavelength, cell)
        probability = np.exp(self.weigh(seen, ratio, in_full=priors.gives_odds(prior)))
        nearest = lattice = None
        if seen.row is not None:
            names, labels = self.retrieval.name[seen.row], self.retrieval.group[seen.row]
            nearest = [
                {"name": str(name), "group": int(label), "similarity": float(scores.max())}
                for name, label, scores in zip(names, labels, seen.similarity, strict=True)
            ]
        if self.lattices is not None:
            wavelength = strong_line(wavelength)
            patterns = np.atleast_2d(to_grid(two_theta, intensities, wavelength, GRID))
            options = probability, patterns, wavelength, cell is not None
            lattice = reported_cells.of_patterns(self.lattices, seen, *options)
        return probability, nearest, lattice

    def weigh(self, seen, log_ratio, in_full=False):
        """Log-probabilities (n, 99) from the evidence, under a prior.

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
        return fusion.apply(seen.evidence, seen.similarity, log_ratio, seen.lattice, seen.pattern)

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
        stored = self.metadata.get("conformal", {})
        name = "scores" if self.parts == "fusion" else self.parts
        if name in stored:
            by_class = stored.get("classes"), self.metadata["minerals"]
            threshold = calibrate.thresholds(stored[name], stored["families"], coverage, *by_class)
        else:
            threshold = coverage
        return calibrate.members(probability, threshold)

    def evidence(self, two_theta, intensities, wavelength="CuKa", cell=None, workers=1):
        """What the network reads, and retrieval and indexing find, before any prior.

        Parameters
        ----------
        two_theta, intensities, wavelength, cell
            As for `predict_proba`.
        workers : int
            Processes that search for lattices.

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
        x, train = normalise(torch.from_numpy(patterns)), self.metadata["training_prior"]
        seen = Seen(evidence.of_network(self.model, x, train, self.calibration.a))
        if cell is not None and not self.takes_cell:
            raise XrdlibError("A cell needs indexing; load it, or give no cell.")
        if self.fusion is not None and self.grid != GRID:
            patterns = np.atleast_2d(to_grid(two_theta, intensities, wavelength, GRID))
        if self.retrieval is not None:
            similarity, row = self.retrieval.similarities(patterns)
            seen = seen._replace(similarity=similarity, row=row)
        if self.lattices is not None:
            seen = seen._replace(**self.lattices.evidence(patterns, cell, workers))
        return seen
