"""What a small line that should not be there does to a network's answer.

A line at a place where the true group forbids one speaks against that group. A line where the cell
has no reflection is a foreign one, and a line upon an allowed one is nothing new: a reader of
absences would mind the first and not the others.
"""

import numpy as np
import torch

from . import decode, priors
from .diffraction import WAVELENGTHS
from .patterns import CU_KA1, normalise

FWHM = 0.12  # degrees
HEIGHTS = (0.02, 0.1)  # of the strongest line
MOST = 2  # absences of a pattern that are tried
PLACES = ("absence", "empty", "line")
_BATCH = 64


def reader(model, fusion, training_prior):
    """A function that gives the log-probabilities of a network, training prior divided out.

    Parameters
    ----------
    model : torch.nn.Module
    fusion : float
        Weight of the rule head, 0..1.
    training_prior : array_like, (99,)

    Returns
    -------
    callable
        Network input, Tensor (B, size), to ndarray (B, 99).
    """

    @torch.inference_mode()
    def read(x):
        parts = [decode.log_probs(model.eval()(part), fusion) for part in x.split(_BATCH)]
        return priors.divide_out(torch.cat(parts).numpy(), training_prior)

    return read


def line_profile(grid, angle, fwhm=FWHM):
    """A K-alpha doublet of unit height, half Gaussian and half Lorentzian.

    Parameters
    ----------
    grid : patterns.Grid
    angle : float
        2theta of the K-alpha1 line, degrees.
    fwhm : float
        Degrees.

    Returns
    -------
    ndarray, (grid.size,)
    """
    sine = np.sin(np.radians(angle / 2)) * WAVELENGTHS["CuKa2"] / CU_KA1
    second = 2 * np.degrees(np.arcsin(min(sine, 1.0)))
    x = (grid.two_theta - np.array([[angle], [second]])) / (fwhm / 2)
    shape = (np.exp(-np.log(2) * x**2) + 1 / (1 + x**2)) / 2
    shape = shape[0] + shape[1] / 2
    return shape / shape.max()


def effects(read, specimens, places, heights=HEIGHTS, most=MOST):
    """How added lines move the odds of the true group against its rivals.

    Parameters
    ----------
    read : callable
        As from `reader`.
    specimens : specimens.Specimens
    places : list of absences.Places
        Of each specimen, none of them None.
    heights : sequence of float
        Of the strongest line.
    most : int
        Absences of a pattern, spread evenly over its range.

    Returns
    -------
    change : ndarray, (k, len(heights), 3)
        Change of ln p(true) - ln p(rivals that allow the absent line), in nats, for a line at the
        absence, at empty places (weighted mean of the controls), and upon an allowed line.
    owner : ndarray, (k,) int64
        Specimen of each absence.
    right : ndarray, (k,) bool
        Whether the network named the true group before.
    """
    grid = specimens.grid
    plain = normalise(torch.from_numpy(specimens.intensity))
    before = read(plain)
    change, owner, right = [], [], []
    for i, here in enumerate(places):
        true = int(specimens.crystals.group[i]) - 1
        top = specimens.intensity[i].max()
        chosen = np.unique(np.linspace(0, len(here) - 1, min(most, len(here))).astype(int))
        for j in chosen:
            rivals = np.array(here.rivals[j]) - 1
            # The same place within the token, there and in the controls.
            shift = (here.controls[j] - here.diagnostic[j]) * here.width
            angles = [here.angle[j], *(here.angle[j] + shift), here.line_angle[j]]
            added = np.array([line_profile(grid, angle) for angle in angles]) * top
            raw = specimens.intensity[i] + np.array(heights)[:, None, None] * added
            x = normalise(torch.from_numpy(raw.reshape(-1, grid.size)))
            odds = _odds(read(x), true, rivals) - _odds(before[i : i + 1], true, rivals)
            odds = odds.reshape(len(heights), len(angles))
            empty = odds[:, 1:-1] @ here.weights[j]
            change.append(np.column_stack([odds[:, 0], empty, odds[:, -1]]))
            owner.append(i)
            right.append(before[i].argmax() == true)
    return np.array(change), np.array(owner), np.array(right)


def _odds(logp, true, rivals):
    return logp[:, true] - np.logaddexp.reduce(logp[:, rivals], axis=1)
