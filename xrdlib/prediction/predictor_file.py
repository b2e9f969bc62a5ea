"""The file of a predictor, which names the files beside it: library and indexing."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from torch.nn import Module

from ..base.errors import XrdlibError
from ..identification import lattice_evidence, library
from ..learning import checkpoint
from ..learning.calibrate import Calibration

# Key of the header -> how the file that it names is read, and what that is called.
BESIDE = {"library": (library.load, "library"), "lattices": (lattice_evidence.load, "indexing")}


def read(path: str | Path) -> tuple[Module, dict]:
    """Network and header of a predictor's file.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    XrdlibError
        If it is missing or damaged, or holds no calibrated model.
    """
    model, metadata = checkpoint.load_weights(path), checkpoint.load_metadata(path)
    if "calibration" not in metadata:
        raise XrdlibError(f"{path} holds a model without calibration; give a predictor file.")
    return model, metadata


def beside(path: str | Path, metadata: dict, key: str) -> object | None:
    """What lies beside a predictor's file; None where its header names nothing of the kind.

    Parameters
    ----------
    path : path-like
    metadata : dict
    key : str
        Of `BESIDE`.

    Raises
    ------
    XrdlibError
        If it is missing or damaged, or another one than the predictor was calibrated with.
    """
    if key not in metadata:
        return None
    load, what = BESIDE[key]
    file = Path(path).with_name(metadata[key]["file"])
    content, about = load(file)
    if about != metadata[key]["about"]:
        raise XrdlibError(f"{file} is not the {what} that {Path(path).name} was calibrated with.")
    return content


def write(
    path: str | Path,
    model: Module,
    calibration: Calibration,
    training_prior: ArrayLike,
    minerals: ArrayLike,
    **about: object,
) -> None:
    """Write a predictor: weights, calibration, priors, and a description.

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
