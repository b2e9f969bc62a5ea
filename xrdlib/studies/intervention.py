"""What an answer owes to absences: lines added to patterns, and attribution.

A line at a place where the true group forbids one speaks against that group. A line where the cell
has no reflection is a foreign one, and a line upon an allowed one is nothing new: a reader of
absences would mind the first and not the others.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy import ndarray

from ..base.patterns import CU_KA1, Grid, normalise
from ..learning import decode, priors
from ..learning.model import PhysicsTransformer
from ..learning.statistics import compare
from ..prediction.attribution import integrated_gradients, log_odds
from ..simulation.diffraction import WAVELENGTHS
from .absences import Places
from .specimens import Specimens

FWHM = 0.12  # degrees
HEIGHTS = (0.02, 0.1)  # of the strongest line
MOST = 2  # absences of a pattern that are tried
PLACES = ("absence", "empty", "line")

_BATCH = 64
_PATH = 16  # points of the quadrature of integrated gradients


def reader(
    model: torch.nn.Module, fusion: float, training_prior: ndarray
) -> Callable[[torch.Tensor], ndarray]:
    """A function from network input (B, size) to log-probabilities (B, 99) of a network.

    `fusion` is the weight of the rule head, 0..1; the training prior (99,) is divided out.
    """

    @torch.inference_mode()
    def read(x):
        parts = [decode.log_probs(model.eval()(part), fusion) for part in x.split(_BATCH)]
        return priors.divide_out(torch.cat(parts).numpy(), training_prior)

    return read


def line_profile(grid: Grid, angle: float, fwhm: float = FWHM) -> ndarray:
    """A K-alpha doublet of unit height, half Gaussian and half Lorentzian, (grid.size,).

    `angle` is 2theta of the K-alpha1 line; both in degrees.
    """
    sine = np.sin(np.radians(angle / 2)) * WAVELENGTHS["CuKa2"] / CU_KA1
    second = 2 * np.degrees(np.arcsin(min(sine, 1.0)))
    x = (grid.two_theta - np.array([[angle], [second]])) / (fwhm / 2)
    shape = (np.exp(-np.log(2) * x**2) + 1 / (1 + x**2)) / 2
    shape = shape[0] + shape[1] / 2
    return shape / shape.max()


def effects(
    read: Callable,
    specimens: Specimens,
    places: list[Places],
    heights: tuple[float, ...] = HEIGHTS,
    most: int = MOST,
) -> tuple[ndarray, ndarray, ndarray]:
    """How added lines move the odds of the true group against its rivals.

    Lines of some `heights` (of the strongest) are added at absences, at most so many a pattern,
    spread evenly over its range.

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
    before = read(normalise(torch.from_numpy(specimens.intensity)))
    change, owner, right = [], [], []
    for i, here in enumerate(places):
        true = int(specimens.crystals.group[i]) - 1
        intensity = specimens.intensity[i]
        for j in np.unique(np.linspace(0, len(here) - 1, min(most, len(here))).astype(int)):
            rivals = np.array(here.rivals[j]) - 1
            # The same place within the token, there and in the controls.
            shift = (here.controls[j] - here.diagnostic[j]) * here.width
            angles = [here.angle[j], *(here.angle[j] + shift), here.line_angle[j]]
            added = np.array([line_profile(grid, angle) for angle in angles]) * intensity.max()
            raw = intensity + np.array(heights)[:, None, None] * added
            after = read(normalise(torch.from_numpy(raw.reshape(-1, grid.size))))
            odds = _odds(after, true, rivals) - _odds(before[i : i + 1], true, rivals)
            odds = odds.reshape(len(heights), len(angles))
            empty = odds[:, 1:-1] @ here.weights[j]
            change.append(np.column_stack([odds[:, 0], empty, odds[:, -1]]))
            owner.append(i)
            right.append(before[i].argmax() == true)
    return np.array(change), np.array(owner), np.array(right)


def intervened(
    read: Callable, subjects: Specimens, found: list[Places], n_boot: int = 1000, seed: int = 0
) -> list[dict]:
    """Effect of added lines, for all patterns and for those that the network names rightly.

    Rows have "patterns" ("all" or "named rightly"), "height", "n", "n_families"; for each of
    `PLACES` mean "change" of the log-odds in nats with "change_ci95", and the "difference" between
    absence and empty place with "difference_ci95" and "p".
    """
    change, owner, right = effects(read, subjects, found)
    family, rows = subjects.family[owner], []
    for name, mask in (("all", right | True), ("named rightly", right)):
        if len(np.unique(family[mask])) < 2:
            continue  # no interval
        for h, height in enumerate(HEIGHTS):
            here = change[mask, h]
            values = np.column_stack([here, here[:, 0] - here[:, 1]])
            seen = compare(values, family[mask], n_boot, seed=seed)
            counts = {key: seen[key] for key in ("n", "n_families")}
            rows.append(
                {
                    **{"patterns": name, "height": height, **counts},
                    "change": dict(zip(PLACES, seen["mean"], strict=False)),
                    "change_ci95": dict(zip(PLACES, seen["ci95"], strict=False)),
                    "difference": seen["mean"][-1],
                    "difference_ci95": seen["ci95"][-1],
                    "p": seen["p"][-1],
                }
            )
    return rows


def attributed(
    model: PhysicsTransformer,
    fusion: float,
    training_prior: ndarray,
    subjects: Specimens,
    found: list[Places],
    n_boot: int = 1000,
    seed: int = 0,
) -> dict:
    """Attribution at absences and at lines against matched empty tokens.

    Integrated gradients of the log-odds between the true group and the rival that allows most of
    the absences, summed over the points of a token: their absolute values as a share of the whole
    pattern's, and the signed values, positive where they speak for the true group.

    `fusion` and `training_prior` as for `attribution.log_odds`; subjects and places as from
    `absences.located`.

    Gives "absences" and "lines", each as `statistics.compare` gives it; the columns are the share
    in percent and the signed value in nats. Empty with fewer than two families.
    """
    x = normalise(torch.from_numpy(subjects.intensity))
    rows, owner = {"absences": [], "lines": []}, []
    for i, here in enumerate(found):
        names, counts = np.unique(np.concatenate(here.rivals), return_counts=True)
        rival = int(names[counts.argmax()])
        function = log_odds(model, int(subjects.crystals.group[i]), rival, fusion, training_prior)
        value = integrated_gradients(function, x[i], steps=_PATH)
        value = torch.nn.functional.pad(value, (0, model.tokens * model.token_points - len(value)))
        value = value.view(model.tokens, -1).double().numpy()
        share = 100 * np.abs(value).sum(axis=1) / max(np.abs(value).sum(), 1e-12)
        both = np.column_stack([share, value.sum(axis=1)])
        for j, token in enumerate(here.diagnostic):
            if rival in here.rivals[j]:
                empty = here.weights[j] @ both[here.controls[j]]
                rows["absences"].append(both[token] - empty)
                rows["lines"].append(both[here.line[j]] - empty)
                owner.append(i)
    family = subjects.family[owner]
    if len(np.unique(family)) < 2:
        return {}
    return {name: compare(r, family, n_boot, seed=seed) for name, r in rows.items()}


def _odds(logp, true, rivals):
    return logp[:, true] - np.logaddexp.reduce(logp[:, rivals], axis=1)
