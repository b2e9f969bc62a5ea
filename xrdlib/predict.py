"""From a measured pattern to ranked extinction groups: a trained model with its calibration."""

import numpy as np
import torch

from . import checkpoint, decode, groups, paths, priors
from .calibrate import Calibration
from .diffraction import resolve_wavelength
from .errors import XrdlibError
from .patterns import Grid, normalise, to_grid

DEFAULT = paths.MODELS / "laptop.safetensors"
_BATCH = 64


def load_predictor(weights=None):
    """A predictor from a file written by the pipeline.

    Parameters
    ----------
    weights : path-like, optional
        A ``predictor.safetensors``; by default the one in models/.

    Returns
    -------
    Predictor

    Raises
    ------
    XrdlibError
        If the file is missing, damaged, or holds no calibrated model.
    """
    path = DEFAULT if weights is None else weights
    model, metadata = checkpoint.load_weights(path), checkpoint.load_metadata(path)
    if "calibration" not in metadata:
        raise XrdlibError(f"{path} holds a model without calibration; give a predictor file.")
    return Predictor(model, metadata)


class Predictor:
    """A calibrated model; see `load_predictor`.

    Parameters
    ----------
    model : torch.nn.Module
    metadata : dict
        "calibration" (T, w, a), "training_prior" and "minerals" (99 probabilities each).
    """

    def __init__(self, model, metadata):
        self.model, self.metadata = model.eval(), metadata
        start, step, size = model.config.grid
        self.grid = Grid(start, round(start + step * (size - 1), 6), step)
        self.calibration = Calibration(**metadata["calibration"])

    def predict(self, two_theta, intensity, wavelength="CuKa1", prior="minerals", top_k=5):
        """The most probable extinction groups of one pattern.

        Parameters
        ----------
        two_theta, intensity : array_like, (m,)
            Degrees, and counts or any linear scale, with or without background.
        wavelength : str or float
            A named anode or line, or angstrom.
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

    def predict_proba(self, two_theta, intensities, wavelength="CuKa1", prior="minerals"):
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
        target = priors.resolve_prior(prior, self.metadata["minerals"])
        ratio = priors.log_ratio(target, np.full(groups.N_GROUPS, 1 / groups.N_GROUPS))
        patterns = to_grid(two_theta, intensities, resolve_wavelength(wavelength), self.grid)
        x = normalise(torch.from_numpy(np.atleast_2d(patterns)))
        return np.exp(self.calibration.apply(*self._evidence(x), ratio))

    @torch.inference_mode()
    def _evidence(self, x):
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
