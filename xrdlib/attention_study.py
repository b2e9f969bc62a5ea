"""Do heads look at absences? Attention, attribution and intervention at diagnostic absences."""

import numpy as np
import torch

from . import groups, specimens
from .absences import places, swapped, tokens
from .attention import maps
from .attribution import integrated_gradients, log_odds
from .contrast import compare
from .intervention import HEIGHTS, PLACES, effects
from .patterns import normalise
from .peaks import profile

_BATCH = 16
_EXPLAINED = 0.25  # degrees from an allowed line; other peaks are foreign
_PATH = 16  # points of the quadrature of integrated gradients


def located(subjects, model, prior, foreign_peaks=False):
    """The specimens that have diagnostic absences, with their places on a model's tokens.

    Parameters
    ----------
    subjects : specimens.Specimens
    model : model.PhysicsTransformer
    prior : array_like, (99,)
        How common each group is.
    foreign_peaks : bool
        Leave tokens out that hold a peak which no allowed line explains.

    Returns
    -------
    subjects : specimens.Specimens
        On the model's grid.
    found : list of absences.Places
    """
    grid = specimens.grid_of(model)
    subjects = specimens.regridded(subjects, grid)
    edges, width = tokens(model)
    found = []
    for i, intensity in enumerate(subjects.intensity):
        crystal = subjects.crystals.take([i])
        stop = grid.two_theta[np.flatnonzero(intensity)[-1]]
        here = places(crystal, edges, width, prior, stop)
        if here is not None and foreign_peaks:
            peaks = grid.two_theta[profile(intensity, grid.step).peaks]
            unexplained = np.abs(peaks[:, None] - here.allowed).min(axis=1) > _EXPLAINED
            here = places(crystal, edges, width, prior, stop, peaks[unexplained])
        found.append(here)
    kept = np.array([i for i, here in enumerate(found) if here is not None], dtype=np.int64)
    return subjects.take(kept), [found[i] for i in kept]


def exchanged(found, seed=0):
    """Places of absences exchanged among the patterns, a null for `looks`.

    Returns
    -------
    index : ndarray of int64
        Specimens that still have places.
    found : list of absences.Places
    """
    order = np.random.default_rng(seed).permutation(len(found))
    pairs = [(i, swapped(found[i], found[j])) for i, j in enumerate(order) if i != j]
    kept = [(i, here) for i, here in pairs if here is not None]
    return np.array([i for i, _ in kept], dtype=np.int64), [here for _, here in kept]


def looks(model, subjects, found):
    """Attention at absences and at lines against matched empty tokens.

    Parameters
    ----------
    model : model.PhysicsTransformer
    subjects, found
        As from `located`.

    Returns
    -------
    absences, lines : ndarray, (k, depth * heads * 2 + 1)
        Logarithm of the ratio of attention, a row an absence; columns by block, head and source
        (`attention.SOURCES`), and attention rollout last.
    owner : ndarray, (k,) int64
        Specimen of each absence.
    """
    x = normalise(torch.from_numpy(subjects.intensity))
    parts = []
    for part in x.split(_BATCH):
        heads, rolled = maps(model, part)
        parts.append(torch.cat([heads.flatten(1, 3), rolled[:, None]], dim=1).log())
    weight = torch.cat(parts).double().numpy()
    absences, lines, owner = [], [], []
    for i, here in enumerate(found):
        for j, token in enumerate(here.diagnostic):
            empty = weight[i][:, here.controls[j]] @ here.weights[j]
            absences.append(weight[i][:, token] - empty)
            lines.append(weight[i][:, here.line[j]] - empty)
            owner.append(i)
    return np.array(absences), np.array(lines), np.array(owner)


def attributed(model, fusion, training_prior, subjects, found, n_boot=1000, seed=0):
    """Attribution at absences and at lines against matched empty tokens.

    Integrated gradients of the log-odds between the true group and the rival that allows most of
    the absences, summed over the points of a token: their absolute values as a share of the whole
    pattern's, and the signed values, positive where they speak for the true group.

    Parameters
    ----------
    model : model.PhysicsTransformer
    fusion, training_prior
        As for `attribution.log_odds`.
    subjects, found
        As from `located`.

    Returns
    -------
    dict
        "absences" and "lines", each as `contrast.compare` gives it; the columns are the share in
        percent and the signed value in nats. Empty with fewer than two families.
    """
    x = normalise(torch.from_numpy(subjects.intensity))
    rows = {"absences": [], "lines": []}
    owner = []
    for i, here in enumerate(found):
        rival = _main_rival(here)
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


def intervened(read, subjects, found, n_boot=1000, seed=0):
    """Effect of added lines, for all patterns and for those that the network names rightly.

    Parameters
    ----------
    read : callable
        As from `intervention.reader`.
    subjects, found
        As from `located`.

    Returns
    -------
    list of dict
        "patterns" ("all" or "named rightly"), "height", "n", "n_families"; for each of
        `intervention.PLACES` mean "change" of the log-odds in nats with "change_ci95", and the
        "difference" between absence and empty place with "difference_ci95" and "p".
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
            rows.append(
                {
                    "patterns": name,
                    "height": height,
                    "n": seen["n"],
                    "n_families": seen["n_families"],
                    "change": dict(zip(PLACES, seen["mean"], strict=False)),
                    "change_ci95": dict(zip(PLACES, seen["ci95"], strict=False)),
                    "difference": seen["mean"][-1],
                    "difference_ci95": seen["ci95"][-1],
                    "p": seen["p"][-1],
                }
            )
    return rows


def example(model, subjects, found, i, every=10):
    """One pattern with its lines and the attention that it gets.

    Returns
    -------
    dict
        "title", "subset", "intensity" (network input, the highest of every few points), "start"
        and "step" of its angles (degrees), "first_edge" and "width" of the tokens (degrees),
        "rollout" (tokens,) and "blocks" (depth, tokens), of the class token and the mean over
        heads, both in multiples of an even share; "allowed" angles, and "absent" angles and "hkl"
        of the diagnostic ones.
    """
    x = normalise(torch.from_numpy(subjects.intensity[i : i + 1]))
    heads, rolled = maps(model, x)
    edges, width = tokens(model)
    own = heads[0, :, :, 0].mean(dim=1)
    even = model.tokens / own.sum(dim=1, keepdim=True), model.tokens / rolled[0].sum()
    here, group = found[i], int(subjects.crystals.group[i])
    blocks = x.shape[1] // every
    return {
        "title": f"{subjects.crystals.name[i]}, {groups.symbols()[group - 1]}",
        "subset": subjects.subset,
        "start": subjects.grid.start,
        "step": every * subjects.grid.step,
        "intensity": x[0, : blocks * every].view(blocks, every).amax(1).double().numpy().round(3),
        "first_edge": float(edges[0]),
        "width": width,
        "rollout": (rolled[0] * even[1]).double().numpy().round(2),
        "blocks": (own * even[0]).double().numpy().round(2),
        "allowed": here.allowed.round(2),
        "absent": here.angle.round(2),
        "hkl": here.hkl,
    }


def examples(model, subjects, prior, n=3, measured=True):
    """Examples of different crystal systems, those with most diagnostic absences.

    Parameters
    ----------
    model : model.PhysicsTransformer
    subjects : specimens.Specimens
    prior, measured
        As for `located`.
    n : int

    Returns
    -------
    list of dict
        As from `example`.
    """
    subjects, found = located(subjects, model, prior, measured)
    systems = np.array(groups.crystal_systems())[subjects.crystals.group.astype(int) - 1]
    order = np.argsort([-len(here) for here in found], kind="stable")
    first = np.unique(systems[order], return_index=True)[1]
    return [example(model, subjects, found, int(order[i])) for i in np.sort(first)[:n]]


def _main_rival(here):
    """The group that allows most of the absences; of equal ones the first."""
    names, counts = np.unique(np.concatenate(here.rivals), return_counts=True)
    return int(names[counts.argmax()])
