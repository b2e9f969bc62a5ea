"""From a measured pattern to ranked extinction groups: a calibrated network, and retrieval.

The network reads symmetry from the pattern; retrieval compares it with known structures. Both are
fused with weights that were fitted on calibration patterns, see `fusion`.
"""

from pathlib import Path

import numpy as np
import torch

from . import calibrate, checkpoint, conformal, decode, groups, library, paths, priors
from .calibrate import Calibration
from .diffraction import strong_line
from .errors import XrdlibError
from .fusion import Fusion
from .patterns import GRID, Grid, normalise, to_grid
from .retrieval import Retrieval

DEFAULT = paths.MODELS / "released.safetensors"
_BATCH = 64


def load_predictor(weights=None, retrieval=True):
    """A predictor from a file written by the pipeline.

    Parameters
    ----------
    weights : path-like, optional
        A ``predictor.safetensors``; by default the one in models/.
    retrieval : bool
        Whether to use the library of known structures that the file names, if it names one.

    Returns
    -------
    Predictor

    Raises
    ------
    XrdlibError
        If a file is missing or damaged, holds no calibrated model, or the library beside it is
        not the one that it was calibrated with.
    """
    path = Path(DEFAULT if weights is None else weights)
    model, metadata = checkpoint.load_weights(path), checkpoint.load_metadata(path)
    if "calibration" not in metadata:
        raise XrdlibError(f"{path} holds a model without calibration; give a predictor file.")
    if not retrieval or "library" not in metadata:
        return Predictor(model, metadata)
    file = path.with_name(metadata["library"]["file"])
    known, about = library.load(file)
    if about != metadata["library"]["about"]:
        raise XrdlibError(f"{file} is not the library that {path.name} was calibrated with.")
    return Predictor(model, metadata, Retrieval(known))


class Predictor:
    """A calibrated model; see `load_predictor`.

    Parameters
    ----------
    model : torch.nn.Module
    metadata : dict
        "calibration" (T, w, a), "training_prior" and "minerals" (99 probabilities each), and with
        retrieval "fusion" (network, similarity, prior).
    retrieval : Retrieval, optional
    """

    def __init__(self, model, metadata, retrieval=None):
        self.model, self.metadata = model.eval(), metadata
        start, step, size = model.config.grid
        self.grid = Grid(start, round(start + step * (size - 1), 6), step)
        self.calibration = Calibration(**metadata["calibration"])
        self.retrieval = retrieval
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
        """As `predict_proba`, with the structure in the library that is most like each pattern.

        Returns
        -------
        probability : ndarray, (n, 99) float64
        nearest : list of dict, or None without retrieval
            "name" of the structure, its extinction "group" 1..99, and its "similarity" to the
            pattern, -1 to 1.
        """
        target = priors.resolve_prior(prior, self.metadata["minerals"])
        ratio = priors.log_ratio(target, np.full(groups.N_GROUPS, 1 / groups.N_GROUPS))
        evidence, similarity, rows = self._look_up(two_theta, intensities, wavelength)
        if self.retrieval is None:
            return np.exp(self.calibration.apply(None, evidence, ratio)), None
        nearest = [
            {
                "name": str(self.retrieval.name[row]),
                "group": int(self.retrieval.group[row]),
                "similarity": float(own.max()),
            }
            for row, own in zip(rows, similarity, strict=True)
        ]
        return np.exp(self.fusion.apply(evidence, similarity, ratio)), nearest

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
            threshold = conformal.quantile(told["scores"], told["families"], coverage)
        else:
            threshold = coverage
        return conformal.members(probability, threshold)

    def evidence(self, two_theta, intensities, wavelength="CuKa"):
        """What the network reads and what retrieval finds, before any prior.

        Parameters
        ----------
        two_theta, intensities, wavelength
            As for `predict_proba`.

        Returns
        -------
        evidence : ndarray, (n, 99) float64
            Log-probabilities of the network, both heads fused, training prior divided out.
        similarity : ndarray, (n, 99) float32, or None without retrieval
            See `retrieval.Retrieval.similarities`.
        nearest : list of str, or None
            The structure in the library that is most like each pattern.

        Raises
        ------
        XrdlibError
            As for `predict`.
        """
        evidence, similarity, rows = self._look_up(two_theta, intensities, wavelength)
        return evidence, similarity, None if rows is None else self.retrieval.name[rows].tolist()

    def _look_up(self, two_theta, intensities, wavelength):
        """As `evidence`, with the structures' rows in place of their names."""
        wavelength = strong_line(wavelength)
        patterns = np.atleast_2d(to_grid(two_theta, intensities, wavelength, self.grid))
        heads = self._heads(normalise(torch.from_numpy(patterns)))
        evidence = calibrate.fuse(*heads, self.calibration.a)
        if self.retrieval is None:
            return evidence, None, None
        if self.grid != GRID:
            patterns = np.atleast_2d(to_grid(two_theta, intensities, wavelength, GRID))
        return evidence, *self.retrieval.similarities(patterns)

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
